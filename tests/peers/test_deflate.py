"""permessage-deflate (RFC 7692) with peers that we have not written: Python `websockets`, both ways, in every combination of what it can ask for; and
what an attacker would send, with the memory that it costs."""

from __future__ import annotations

import json
import os
import random
import threading
import zlib

from program import Program
from support import MIB, UNICODE, Echo, EchoTest, PeerTest, python_client, server_context, twice
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection, serve
from wire import BINARY, CONTINUATION, TEXT, Frame, Head, Wire, close, opening_handshake, switching_protocols

WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor".split()


def prose(size: int) -> str:
    """Text that is compressible as prose is: some four times."""
    words = random.Random(size)
    text = ""
    while len(text) < size:
        text += " ".join(words.choice(WORDS) for _ in range(200)) + " "
    return text[:size]


SIZES = (0, 1, 125, 126, 127, 128, 1000, 65535, 65536)


def inflated(frame: Frame) -> bytes:
    """Of the first message of a connection, which has become much shorter (RFC 7692 §7.2.2)."""
    assert frame.fin and frame.rsv == 0b100, frame
    assert len(frame.payload) < 200, frame
    return zlib.decompressobj(-15).decompress(frame.payload + b"\0\0\xff\xff")


class EveryHandler:
    """What holds however `echo --deflate` is built inside."""

    echo: Echo

    def agrees(self, sizes: tuple[int, ...] = SIZES, **asked: object) -> None:
        """With what the client asks for, messages come back, compressed where it pays."""
        offer = ClientPerMessageDeflateFactory(**asked)
        with python_client(self.echo.url, compression=None, extensions=[offer]) as peer:
            self.assertEqual([extension.name for extension in peer.protocol.extensions], ["permessage-deflate"])
            for size in sizes:
                for message in (prose(size), os.urandom(size)):
                    peer.send(message)
                    self.assertTrue(peer.recv(timeout=30) == message, f"{size} bytes, {asked}")
            peer.send(["one, ", "", UNICODE, " three"])
            self.assertEqual(peer.recv(timeout=10), f"one, {UNICODE} three")

    def test_what_websockets_asks_for_by_itself(self) -> None:
        with python_client(self.echo.url) as peer:
            self.assertIn("permessage-deflate", peer.response.headers["Sec-WebSocket-Extensions"])
            for message in ("hello", "", UNICODE, prose(10_000)):
                peer.send(message)
                self.assertEqual(peer.recv(timeout=10), message)

    def test_large_messages(self) -> None:
        self.agrees((MIB, 5 * MIB), client_max_window_bits=True)

    def test_what_is_long_is_short_on_the_wire(self) -> None:
        with self.echo.wire() as wire:
            wire.says(opening_handshake("/", "Sec-WebSocket-Extensions: permessage-deflate"))
            self.assertIn("permessage-deflate", wire.hears_upgrade().fields["sec-websocket-extensions"])
            wire.says(Frame(TEXT, b"x" * 10_000).masked_with())
            self.assertEqual(inflated(wire.hears_frame()), b"x" * 10_000)

    def test_every_combination(self) -> None:
        # zlib itself has no raw window of 8 bits, neither there nor here: `websockets` takes 9 and more.
        for server_bits in (None, 9, 12, 15):
            for client_bits in (None, True, 9, 15):
                for alone in (False, True):
                    self.agrees(
                        server_no_context_takeover=alone,
                        client_no_context_takeover=not alone,
                        server_max_window_bits=server_bits,
                        client_max_window_bits=client_bits,
                    )


@twice
class PerConnection(EveryHandler, EchoTest):
    options = ("--deflate", "--handler", "per-connection")


@twice
class Shared(EveryHandler, EchoTest):
    options = ("--deflate", "--handler", "shared")


@twice
class Inline(EveryHandler, EchoTest):
    options = ("--deflate", "--handler", "inline")


@twice
class StageActors(EveryHandler, EchoTest):
    options = ("--deflate", "--handler", "stage-actors")


@twice
class WithoutContexts(EveryHandler, EchoTest):
    options = ("--deflate", "--without-contexts")


@twice
class Off(EchoTest):
    def test_it_is_off_by_default(self) -> None:
        with python_client(self.echo.url) as peer:
            self.assertNotIn("Sec-WebSocket-Extensions", peer.response.headers)


@twice
class TheClient(PeerTest):
    """`client --deflate`, with Python `websockets` and our own `echo` as servers."""

    def speaks(self, url: str, agreed: str) -> None:
        client = self.new_client(url, "--deflate")
        for line in ("hello", "", UNICODE, prose(1000), prose(1000), prose(MIB)):
            client.feed(line + "\n")
            self.assertTrue(client.hears_line(30) == line.encode())
        client.end_input()
        self.assertEqual(client.exits(), 0, client.errors)
        self.assertEqual(client.errors.decode(), f"client: agreed on {agreed}\n")

    def served_by(self, **options: object) -> str:
        def echo(peer: ServerConnection) -> None:
            for message in peer:
                peer.send(message)

        server = self.enterContext(serve(echo, "127.0.0.1", 0, max_size=None, ssl=server_context() if self.tls else None, **options))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        self.addCleanup(server.shutdown)
        return f"{self.scheme}://127.0.0.1:{server.socket.getsockname()[1]}/"

    def test_python_by_its_defaults(self) -> None:
        self.speaks(self.served_by(), "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12")

    def test_python_in_every_combination(self) -> None:
        for server_bits, client_bits, alone in ((9, 9, False), (15, 10, True), (10, 15, False)):
            wishes = ServerPerMessageDeflateFactory(
                server_no_context_takeover=alone,
                client_no_context_takeover=alone,
                server_max_window_bits=server_bits,
                client_max_window_bits=client_bits,
            )
            agreed = "permessage-deflate"
            if alone:
                agreed += "; server_no_context_takeover; client_no_context_takeover"
            agreed += f"; server_max_window_bits={server_bits}; client_max_window_bits={client_bits}"
            self.speaks(self.served_by(compression=None, extensions=[wishes]), agreed)

    def test_python_without(self) -> None:
        self.speaks(self.served_by(compression=None), "no extension")

    def test_node(self) -> None:
        for options, agreed in (
            ({"threshold": 0}, ""),
            ({"serverNoContextTakeover": True, "clientNoContextTakeover": True}, "; server_no_context_takeover; client_no_context_takeover"),
            ({"serverMaxWindowBits": 9, "clientMaxWindowBits": 10}, "; client_max_window_bits=10; server_max_window_bits=9"),
        ):
            with self.subTest(options=options):
                _, url = self.new_node(json.dumps(options))
                self.speaks(url, f"permessage-deflate{agreed}")

    def test_what_is_long_is_short_on_the_wire(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            self.assertIn("permessage-deflate", head.fields["sec-websocket-extensions"])
            agreed = "Sec-WebSocket-Extensions: permessage-deflate"
            wire.says(switching_protocols(head.fields["sec-websocket-key"], agreed))
            heard = wire.hears_frame()
            self.assertEqual(inflated(heard), b"x" * 10_000)
            wire.says(heard.unmasked())
            self.assertEqual(wire.hears_close(), 1000)
            wire.says(close(1000).unmasked())

        server = self.wire_server(script)
        client = self.new_client(server.url, "--deflate")
        client.feed("x" * 10_000 + "\n")
        self.assertEqual(client.hears_line(), b"x" * 10_000)
        client.end_input()
        server.done()
        self.assertEqual(client.exits(), 0, client.errors)

    def test_ourselves(self) -> None:
        with self.new_echo("--deflate") as echo:
            self.speaks(echo.url, "permessage-deflate")
        with self.new_echo("--deflate", "--without-contexts") as echo:
            self.speaks(echo.url, "permessage-deflate; server_no_context_takeover; client_no_context_takeover")


def gibibyte() -> bytes:
    """A message of about a mebibyte that inflates to a gibibyte."""
    state, block = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(MIB)
    return b"".join([*(state.compress(block) for _ in range(1024)), state.flush(zlib.Z_SYNC_FLUSH)])[:-4]


def resident_at_most(program: Program) -> int:
    """The most memory that the process has ever had, in bytes."""
    with open(f"/proc/{program.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


@twice
class Bomb(PeerTest):
    """T29: refused with 1009 while it is inflated; memory rises by the message limit (8 MiB) and 4 MiB at most."""

    def test_a_gibibyte_in_a_mebibyte(self) -> None:
        bomb = gibibyte()
        for handler in ("per-connection", "shared", "inline", "stage-actors"):
            for guard in ((), ("--ratio-unlimited",)):
                for size in (len(bomb), 64):
                    with self.subTest(handler=handler, guard=guard, size=size):
                        self.refuses(bomb, size, "--deflate", "--limit", str(8 * MIB), "--handler", handler, *guard)

    def refuses(self, bomb: bytes, size: int, *options: str) -> None:
        parts = [bomb[at : at + size] for at in range(0, len(bomb), size)]
        last = len(parts) - 1
        frames = [
            Frame(BINARY if n == 0 else CONTINUATION, part, fin=n == last, rsv=0b100 if n == 0 else 0).masked_with(b"\x12\x34\x56\x78")
            for n, part in enumerate(parts)
        ]
        with self.new_echo(*options) as echo:
            with echo.wire() as wire:
                wire.says(opening_handshake("/", "Sec-WebSocket-Extensions: permessage-deflate"))
                wire.hears_upgrade()
                before = resident_at_most(echo)
                try:
                    wire.says(b"".join(frames))
                except OSError:
                    pass  # it has heard enough
                closed = wire.hears_frame()
                self.assertEqual(int.from_bytes(closed.payload[:2], "big"), 1009, closed)
            rise = resident_at_most(echo) - before
            print(f"\n{' '.join(options)}, {len(parts)} frames: {closed.payload[2:].decode()}; memory rose by {rise / MIB:.1f} MiB", end=" ")
            self.assertLessEqual(rise, 12 * MIB)
