"""Bytes that no library would send to `echo`, and the places where their reads may end."""

from __future__ import annotations

import time

from support import MIB, EchoTest, twice
from wire import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    Wire,
    close,
    opening_handshake,
    request,
    text,
)


@twice
class Segments(EchoTest):
    """The handshake and the first frames, cut every way (D2, D9 of the seed's defects)."""

    says = b"".join(
        (
            opening_handshake("/ws"),
            text("one").masked_with(),
            Frame(BINARY, bytes(126)).masked_with(),
            text("thr", fin=False).masked_with(),
            Frame(PING, b"?").masked_with(),
            Frame(CONTINUATION, b"ee").masked_with(),
            close(1000).masked_with(),
        )
    )

    def hears(self, wire: Wire) -> None:
        wire.hears_upgrade()
        heard = [wire.hears_frame() for _ in range(5)]
        self.assertFalse(any(frame.masked for frame in heard))
        self.assertEqual([f for f in heard if f.opcode == PONG], [Frame(PONG, b"?")])
        self.assertEqual([f for f in heard if f.opcode != PONG], [text("one"), Frame(BINARY, bytes(126)), text("three"), close(1000)])
        wire.hears_end()

    def test_all_in_one_segment(self) -> None:
        with self.echo.wire() as wire:
            wire.says(self.says)
            self.hears(wire)

    def test_in_two_segments_cut_at_every_byte(self) -> None:
        for cut in range(1, len(self.says)):
            with self.echo.wire() as wire:
                wire.says(self.says[:cut])
                time.sleep(0.002)  # so that the first part is a read of its own
                wire.says(self.says[cut:])
                try:
                    self.hears(wire)
                except (AssertionError, OSError) as failure:
                    self.fail(f"cut after {cut} bytes: {failure}")

    def test_byte_by_byte(self) -> None:
        with self.echo.wire() as wire:
            for byte in self.says:
                wire.says(bytes([byte]))
                time.sleep(0.0005)
            self.hears(wire)

    def test_behind_pipelined_requests(self) -> None:
        """The 101 waits its turn (D8)."""
        with self.echo.wire() as wire:
            wire.says(request("GET /nowhere HTTP/1.1", "Host: a"), request("HEAD / HTTP/1.1", "Host: a"), self.says)
            first = wire.hears_head()
            self.assertEqual(first.status, 404)
            wire.hears_content(first)
            self.assertEqual(wire.hears_head().status, 200)
            self.hears(wire)


@twice
class Frames(EchoTest):
    """What a library's client cannot send."""

    def opened(self) -> Wire:
        wire = self.enterContext(self.echo.wire())
        wire.says(opening_handshake())
        wire.hears_upgrade()
        return wire

    def test_a_close_without_a_code_is_answered_without_one(self) -> None:
        wire = self.opened()
        wire.says(close().masked_with())
        self.assertIsNone(wire.hears_close())
        wire.hears_end()

    def test_a_violation_is_answered_with_its_code(self) -> None:
        for name, violation, code in (
            ("an unmasked frame", text("hello").unmasked(), 1002),
            ("an unknown opcode", Frame(3).masked_with(), 1002),
            ("a reserved bit", Frame(TEXT, b"x", rsv=2).masked_with(), 1002),
            ("a ping of 126 bytes", Frame(PING, bytes(126)).masked_with(), 1002),
            ("a fragmented ping", Frame(PING, fin=False).masked_with(), 1002),
            ("a continuation of nothing", Frame(CONTINUATION).masked_with(), 1002),
            ("a message in a message", Frame(TEXT, fin=False).masked_with() + Frame(TEXT).masked_with(), 1002),
            ("a close body of one byte", Frame(8, b"\x03").masked_with(), 1002),
            ("a close code of the local kind", close(1005).masked_with(), 1002),
            ("text that is none", Frame(TEXT, b"\xff").masked_with(), 1007),
            ("a close reason that is no text", Frame(8, b"\x03\xe8\xff").masked_with(), 1007),
            ("more than 64 MiB, by the header", bytes([0x80 | BINARY, 0xFF]) + (64 * MIB + 1).to_bytes(8, "big") + bytes(4), 1009),
        ):
            with self.subTest(name):
                wire = self.opened()
                wire.says(text("before").masked_with(), violation)
                wire.hears(text("before"))  # what came before the violation is answered before the Close
                self.assertEqual(wire.hears_close(), code)
                wire.hears_end()

    def test_nothing_after_a_close_is_answered(self) -> None:
        wire = self.opened()
        wire.says(close(1000).masked_with(), text("too late").masked_with(), Frame(PING).masked_with())
        self.assertEqual(wire.hears_close(), 1000)
        wire.hears_end()

    def test_a_peer_that_vanishes_takes_nobody_with_it(self) -> None:
        for vanish in (Wire.abort, Wire.close):
            wire = self.opened()
            wire.says(Frame(TEXT, b"half of", fin=False).masked_with())
            vanish(wire)
        wire = self.opened()
        wire.says(text("hello").masked_with())
        wire.hears(text("hello"))
