"""Python `websockets` as the client of `echo`, in all its handler modes."""

from __future__ import annotations

import os
import signal
import sys
import threading

from program import Program
from support import CERTIFICATES, SIZES, UNICODE, Echo, EchoTest, InsideActixWeb, PeerTest, curl, python_client, twice
from websockets.exceptions import ConnectionClosed
from wire import close, opening_handshake, text


class EveryHandler:
    """What holds however `echo` is built inside."""

    echo: Echo | InsideActixWeb

    def test_text_comes_back(self) -> None:
        with python_client(self.echo.url) as peer:
            for message in ("hello", "", UNICODE):
                peer.send(message)
                self.assertEqual(peer.recv(timeout=10), message)

    def test_binary_comes_back_as_binary(self) -> None:
        with python_client(self.echo.url) as peer:
            for message in (b"", bytes(range(256)), b"\xff" * 65536):
                peer.send(message)
                self.assertEqual(peer.recv(timeout=10), message)

    def test_a_fragmented_message_comes_back_whole(self) -> None:
        with python_client(self.echo.url) as peer:
            peer.send(["one, ", "", "two, ", "three"])
            self.assertEqual(peer.recv(timeout=10), "one, two, three")

    def test_a_ping_is_answered_with_its_data(self) -> None:
        with python_client(self.echo.url) as peer:
            for data in (b"", b"are you there?", bytes(125)):
                self.assertTrue(peer.ping(data).wait(10), f"no pong with {data!r}")

    def test_messages_keep_their_order(self) -> None:
        with python_client(self.echo.url) as peer:
            sender = threading.Thread(target=lambda: [peer.send(f"number {n}") for n in range(2000)])
            sender.start()
            for n in range(2000):
                self.assertEqual(peer.recv(timeout=10), f"number {n}")
            sender.join(10)

    def test_a_close_is_answered_with_its_code(self) -> None:
        for code in (1000, 1001, 1011, 3000, 4999):
            with self.subTest(code=code), python_client(self.echo.url) as peer:
                peer.close(code, "because")
                self.assertEqual(peer.protocol.close_rcvd.code, code)

    def test_a_close_is_answered_behind_the_messages_before_it(self) -> None:
        with self.echo.wire() as wire:
            words = [text(f"word {n}") for n in range(100)]
            wire.says(opening_handshake(), *(word.masked_with() for word in words), close(1000).masked_with())
            wire.hears_upgrade()
            wire.hears(*words, close(1000))
            wire.hears_end()


@twice
class PerConnection(EveryHandler, EchoTest):
    options = ("--handler", "per-connection")


@twice
class Shared(EveryHandler, EchoTest):
    options = ("--handler", "shared")


@twice
class Inline(EveryHandler, EchoTest):
    options = ("--handler", "inline")


@twice
class StageActors(EveryHandler, EchoTest):
    options = ("--handler", "stage-actors")


@twice
class TwoWorkers(EveryHandler, EchoTest):
    options = ("--workers", "2")


class ActixWeb(EveryHandler, PeerTest):
    """An echo inside actix-web: the example `actix_web`."""

    options: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        cls.echo = cls.enterClassContext(InsideActixWeb(*cls.options))

    def test_every_size_comes_back(self) -> None:
        for compression in (None, "deflate"):
            with python_client(self.echo.url, compression=compression) as peer:
                for size in (0, 1, 125, 126, 65535, 65536, 1 << 19):
                    with self.subTest(size=size, compression=compression):
                        message = os.urandom(size)
                        peer.send(message)
                        self.assertTrue(peer.recv(timeout=30) == message)

    def test_a_page_beside_it(self) -> None:
        self.assertIn(b"<html", curl(self.echo.url.replace("ws:", "http:")).stdout)


class TheSameApp(ActixWeb):
    """The same application on a server of ours."""

    options = ("--ours",)


@twice
class Defaults(EchoTest):
    """What is asked of `echo` without options."""

    def test_every_size_comes_back(self) -> None:
        with python_client(self.echo.url) as peer:
            for size in SIZES:
                with self.subTest(size=size, kind="binary"):
                    message = os.urandom(size)
                    peer.send(message)
                    self.assertTrue(peer.recv(timeout=30) == message)
                with self.subTest(size=size, kind="text"):
                    message = "x" * size
                    peer.send(message)
                    self.assertTrue(peer.recv(timeout=30) == message)

    def test_every_size_comes_back_uncompressed(self) -> None:
        with python_client(self.echo.url, compression=None) as peer:
            for size in SIZES:
                with self.subTest(size=size):
                    message = os.urandom(size)
                    peer.send(message)
                    self.assertTrue(peer.recv(timeout=30) == message)

    def test_ten_thousand_fragments_are_one_message(self) -> None:
        with python_client(self.echo.url) as peer:
            peer.send(f"{n} " for n in range(10_000))
            self.assertEqual(peer.recv(timeout=30), "".join(f"{n} " for n in range(10_000)))

    def test_any_path_and_any_origin_upgrade(self) -> None:
        for path in ("", "ws", "some/where/else?with=query"):
            with self.subTest(path=path), python_client(self.echo.url + path, origin="http://elsewhere.example") as peer:
                peer.send("hello")
                self.assertEqual(peer.recv(timeout=10), "hello")

    def test_the_subprotocol_echo_is_chosen(self) -> None:
        with python_client(self.echo.url, subprotocols=["chat", "echo"]) as peer:
            self.assertEqual(peer.subprotocol, "echo")

    def test_no_other_subprotocol_is_chosen(self) -> None:
        with python_client(self.echo.url, subprotocols=["chat"]) as peer:
            self.assertIsNone(peer.subprotocol)

    def test_fifty_connections_at_once(self) -> None:
        peers = [self.enterContext(python_client(self.echo.url)) for _ in range(50)]
        for round in range(20):
            for n, peer in enumerate(peers):
                peer.send(f"peer {n}, round {round}")
            for n, peer in enumerate(peers):
                self.assertEqual(peer.recv(timeout=10), f"peer {n}, round {round}")


@twice
class Stopping(PeerTest):
    """SIGTERM and Ctrl-C tell every peer 1001, and leave nothing behind."""

    def stops_with(self, with_signal: signal.Signals, *options: str) -> None:
        with self.new_echo(*options) as echo, python_client(echo.url) as peer, python_client(echo.url) as other:
            peer.send("hello")
            self.assertEqual(peer.recv(timeout=10), "hello")
            echo.process.send_signal(with_signal)
            for each in (peer, other):
                with self.assertRaises(ConnectionClosed) as closed:
                    each.recv(timeout=10)
                self.assertEqual(closed.exception.rcvd.code, 1001)
            self.assertEqual(echo.exits(within=5), 0)
            with self.assertRaises(ConnectionRefusedError):
                python_client(echo.url)
            self.assertEqual(echo.hears_rest(), [], "`echo` prints one line for each listener and no more")

    def test_sigterm(self) -> None:
        for handler in ("per-connection", "shared", "inline", "stage-actors"):
            with self.subTest(handler=handler):
                self.stops_with(signal.SIGTERM, "--handler", handler)

    def test_ctrl_c(self) -> None:
        self.stops_with(signal.SIGINT)

    def test_sigterm_with_nobody_connected(self) -> None:
        with self.new_echo() as echo:
            self.assertEqual(echo.stop(signal.SIGTERM, within=5), 0)


@twice
class InteractiveClient(EchoTest):
    """`python3 -m websockets URL`, what a user types first."""

    def test_a_line_is_echoed(self) -> None:
        env = {"SSL_CERT_FILE": str(CERTIFICATES.ca)}
        with Program(sys.executable, "-m", "websockets", self.echo.url, env=env) as user:
            self.assertEqual(user.hears_line(), f"Connected to {self.echo.url}.".encode())
            for line in ("hello", UNICODE.replace("\0", "")):
                user.feed(line + "\n")
                while f"< {line}".encode() not in user.hears_line():
                    pass  # what moves the cursor around the prompt
            user.end_input()
            self.assertIn(b"Connection closed: 1000 (OK).", user.hears_line())
            self.assertEqual(user.exits(), 0)
