"""The `http` and `echo` examples among strangers: what breaks HTTP and websockets, in random order from several connections, while a well-behaved client beside them
keeps its answers and does not wait long for them, and the server neither grows nor keeps what it had of them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import struct
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path

from program import Program
from support import HTTP, Echo

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "8"))
STRANGERS = 6
# What the server may grow by, in KiB: unsent bytes and messages in hand of all strangers, and what its allocator keeps.
GROWTH = 24 << 10
HOST = b"Host: a\r\n"
GET = b"GET /digits.txt HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /upload HTTP/1.1\r\n" + HOST
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

# What is said, and the statuses that may come of it; none where no answer need come.
REPERTOIRE: list[tuple[str, bytes, tuple[int, ...]]] = [
    ("no request", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    ("two lengths", POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", (400,)),
    ("length and coding", POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, (400,)),
    ("an unknown coding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", (501,)),
    ("chunked, but not last", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", (400,)),
    ("chunks in HTTP/1.0", POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    ("a chunk of no size", POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", (400,)),
    ("a chunk larger than all", POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", (413, 400)),
    ("a chunk that overflows", POST + b"Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\n", (400,)),
    ("a chunk without its end", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", (400,)),
    ("a negative length", POST + b"Content-Length: -1\r\n\r\n", (400,)),
    ("a length beyond all", POST + b"Content-Length: 99999999999999999999\r\n\r\n", (400, 413)),
    ("a huge length", POST + b"Content-Length: 9000000000000000000\r\n\r\n", (413,)),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", (400,)),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400,)),
    ("a folded field", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", (400,)),
    ("space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", (400,)),
    ("a bare CR", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", (400,)),
    ("a NUL", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", (400,)),
    ("another version", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", (505,)),
    ("a long target", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", (414,)),
    ("a long field", b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n", (431,)),
    ("a long head", b"GET / HTTP/1.1\r\n" + HOST + b"X: aaaaaaaa\r\n" * 2000 + b"\r\n", (431,)),
    ("an odd expectation", POST + b"Expect: a miracle\r\nContent-Length: 1\r\n\r\n", (417,)),
    ("a tunnel", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET, (405, 400)),
    ("an upgrade of nothing", b"GET /digits.txt HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n", (200,)),
    ("an upgrade with content", b"POST /upload HTTP/1.1\r\n" + HOST + UPGRADE + b"Content-Length: 3\r\n\r\nabc", (200,)),
    ("content nobody wants", b"PUT /digits.txt HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nabcde" + GET, (405,)),
    ("more of it than is drained", b"PUT /digits.txt HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999\r\n\r\n" + b"a" * 400_000, (405,)),
    ("forbidden trailers", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\nHost: b\r\n\r\n" + GET, (200,)),
    ("malformed trailers", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nno colon\r\n\r\n", (400,)),
    ("a way out of the folder", b"GET /..%2f..%2fetc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", (404,)),
    ("many at once", GET * 200, (200,)),
    ("the beginning of a head", GET[:20], ()),
    ("the beginning of content", POST + b"Content-Length: 100\r\n\r\nabc", ()),
    ("the beginning of a chunk", POST + b"Transfer-Encoding: chunked\r\n\r\n64\r\nabc", ()),
    ("events nobody reads", b"GET /events HTTP/1.1\r\n" + HOST + b"\r\n", (200,)),
]


HANDSHAKE = b"GET / HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n"


def frame(first: int, payload: bytes = b"", masked: bool = True) -> bytes:
    """With the masking-key of zeros, if it is masked."""
    length, mask = len(payload), 0x80 if masked else 0
    if length < 126:
        head = bytes((first, mask | length))
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask | 127, length)
    return head + (bytes(4) if masked else b"") + payload


# What is said behind the handshake, and the close codes that may come of it; none where no Close need come.
FRAMES: list[tuple[str, bytes, tuple[int, ...]]] = [
    ("no mask", frame(0x81, b"a", masked=False), (1002,)),
    ("a reserved bit", frame(0xA1, b"a"), (1002,)),
    ("a reserved opcode", frame(0x83, b"a"), (1002,)),
    ("a reserved control opcode", frame(0x8B), (1002,)),
    ("HTTP again", GET, (1002,)),
    ("a long ping", frame(0x89, b"a" * 126), (1002,)),
    ("a ping in two", frame(0x09, b"a"), (1002,)),
    ("a continuation of nothing", frame(0x80, b"a"), (1002,)),
    ("a text within a text", frame(0x01, b"a") + frame(0x81, b"b"), (1002,)),
    ("a length that could be shorter", b"\x82\xfe\x00\x05" + bytes(9), (1002,)),
    ("a length with its top bit", b"\x82\xff" + b"\xff" * 8 + bytes(4), (1002,)),
    ("an exbibyte", b"\x82\xff" + struct.pack("!Q", 1 << 60) + bytes(4), (1009,)),
    ("no UTF-8", frame(0x81, b"\xff"), (1007,)),
    ("half a character", frame(0x81, b"\xe2\x82"), (1007,)),
    ("a Close of one byte", frame(0x88, b"\x03"), (1002,)),
    ("a Close of no code", frame(0x88, struct.pack("!H", 1005)), (1002,)),
    ("a Close in good order", frame(0x88, struct.pack("!H", 4000)), (4000,)),
    ("twenty thousand fragments", frame(0x01) + frame(0x00) * 20_000, ()),
    ("a thousand Closes", frame(0x88, struct.pack("!H", 1000)) * 1000, (1000,)),
    ("pings that nobody hears", frame(0x89, b"a" * 125) * 3000, ()),
    ("echoes that nobody hears", frame(0x82, b"a" * 60_000) * 40, ()),
    ("the beginning of a message", frame(0x02, b"a" * 50_000), ()),
    ("the beginning of a frame", frame(0x82, b"a" * 50_000)[:40_000], ()),
    ("the beginning of a header", b"\x82\xff\x00", ()),
]


class Stranger(threading.Thread):
    """Says one thing after the other, each on a connection of its own, in pieces or whole, and leaves in one of three ways."""

    repertoire = REPERTOIRE

    def __init__(self, port: int, seed: int, until: float) -> None:
        super().__init__(daemon=True)
        self.port, self.chance, self.until = port, random.Random(seed), until
        self.said, self.wrong = 0, list[str]()

    def run(self) -> None:
        while time.monotonic() < self.until:
            name, words, statuses = self.chance.choice(self.repertoire)
            try:
                answer = self.says(words, bool(statuses))
            except OSError as error:
                self.wrong.append(f"{name}: {error}")
                continue
            self.said += 1
            # A reset may overtake an answer to who goes on talking (RFC 9112 §9.6).
            if statuses and answer is not None and not self.is_right(answer, statuses):
                self.wrong.append(f"{name}: {answer[:60]!r}")

    def hears(self, wire: socket.socket) -> bytes:
        return wire.recv(4096)

    def is_right(self, answer: bytes, expected: tuple[int, ...]) -> bool:
        return answer != b"" and int(answer[9:12]) in expected

    def says(self, words: bytes, answered: bool) -> bytes | None:
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            cut = self.chance.randrange(len(words))
            try:
                wire.sendall(words[:cut])
                if self.chance.random() < 0.5:
                    time.sleep(0.002)
                wire.sendall(words[cut:])
                answer = self.hears(wire) if answered else None
            except (ConnectionResetError, BrokenPipeError):
                answer = None
            match self.chance.randrange(3):
                case 0:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                case 1:
                    with contextlib.suppress(OSError):
                        wire.shutdown(socket.SHUT_WR)
                case _:
                    pass
            return answer


class WebSocketStranger(Stranger):
    """The same behind a handshake: the repertoire is of frames, and the answer is looked for among what comes."""

    repertoire = FRAMES

    def says(self, words: bytes, answered: bool) -> bytes | None:
        return super().says(HANDSHAKE + words, answered)

    def hears(self, wire: socket.socket) -> bytes:
        heard = b""
        while more := wire.recv(1 << 16):
            heard += more
        return heard

    def is_right(self, answer: bytes, expected: tuple[int, ...]) -> bool:
        head, _, frames = answer.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 101 ") and len(frames) > 1:
            first, length = frames[0], frames[1]
            if first == 0x88:
                return length > 1 and struct.unpack("!H", frames[2:4])[0] in expected
            frames = frames[2 + length :]
        return False


class Friend:
    """Asks one thing after the other, and notes how long each answer takes."""

    def __init__(self) -> None:
        self.took: list[float] = []

    def asks(self, wire: socket.socket, question: bytes, hears: Callable[[], None], until: float) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            wire.sendall(question)
            hears()
            self.took.append(time.monotonic() - began)

    def __str__(self) -> str:
        took = sorted(self.took)
        middle, late = took[len(took) // 2], took[len(took) * 99 // 100]
        return f"{len(took)} answers in {1000 * middle:.1f} ms, 99 of 100 in {1000 * late:.1f} ms, all in {1000 * took[-1]:.1f} ms"


def resident(pid: int) -> int:
    """In KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Hostile(unittest.TestCase):
    def are_harmless(self, pid: int, kind: type[Stranger], port: int, wire: socket.socket, question: bytes, hears: Callable[[], None]) -> None:
        """Strangers of this kind beside a friend who asks this on his connection."""
        seed = int(os.environ.get("HOSTILE_SEED", random.randrange(1 << 32)))
        alone, beside = Friend(), Friend()
        alone.asks(wire, question, hears, time.monotonic() + 1)
        size, open_files = resident(pid), descriptors(pid)
        until = time.monotonic() + SECONDS
        strangers = [kind(port, seed + one, until) for one in range(STRANGERS)]
        for stranger in strangers:
            stranger.start()
        beside.asks(wire, question, hears, until)
        for stranger in strangers:
            stranger.join(15)
            self.assertFalse(stranger.is_alive(), f"seed {seed}: a stranger waits for an answer")
        self.assertEqual([wrong for stranger in strangers for wrong in stranger.wrong], [], f"seed {seed}")
        said = sum(stranger.said for stranger in strangers)
        self.assertGreater(len(beside.took), 20)
        self.assertGreater(said, len(kind.repertoire))
        # What lingers has its deadlines: 30 s without progress are the longest.
        patience = time.monotonic() + 40
        while descriptors(pid) > open_files and time.monotonic() < patience:
            time.sleep(0.1)
        grown = resident(pid) - size
        print(f"{said} hostile connections; a friend alone: {alone}; beside them: {beside}; grown by {grown} KiB, limit {GROWTH}")
        self.assertLessEqual(descriptors(pid), open_files, f"seed {seed}")
        self.assertLess(grown, GROWTH, f"seed {seed}")

    def test_strangers_hurt_nobody_but_themselves(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        (Path(folder) / "digits.txt").write_text("0123456789")
        server = self.enterContext(Program(HTTP, "127.0.0.1:0", folder))
        listening = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)", server.hears_line().decode())
        assert listening
        port = int(listening[1])
        with socket.create_connection(("127.0.0.1", port), 10) as friend, friend.makefile("rb") as heard:

            def hears() -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = heard.readline()
                    self.assertTrue(line, "the connection of a friend has ended")
                    head += line
                self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
                self.assertIn(b"content-length: 10\r\n", head.lower())
                self.assertEqual(heard.read(10), b"0123456789")

            self.are_harmless(server.pid, Stranger, port, friend, GET, hears)

    def test_strangers_at_a_websocket_hurt_nobody_but_themselves(self) -> None:
        # Smaller than the example's, so that what is too large comes soon.
        server = self.enterContext(Echo("--limit", str(1 << 20)))
        with socket.create_connection(("127.0.0.1", server.port), 10) as friend, friend.makefile("rb") as heard:
            friend.sendall(HANDSHAKE)
            while heard.readline() != b"\r\n":
                pass

            def hears() -> None:
                self.assertEqual(heard.read(7), b"\x81\x05hello")

            self.are_harmless(server.pid, WebSocketStranger, server.port, friend, frame(0x81, b"hello"), hears)


if __name__ == "__main__":
    unittest.main()
