"""Who is to blame when nothing moves: `python3 -m unittest discover tests/autobahn`."""

from __future__ import annotations

import socket
import tempfile
import threading
import unittest
from contextlib import closing
from pathlib import Path

import suite


def listening(answer: bytes | None) -> tuple[socket.socket, str]:
    """A socket that says `answer` to its first connection, and nothing at all without one."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(answer or b"")

    if answer is not None:
        threading.Thread(target=serve, daemon=True).start()
    return listener, f"ws://127.0.0.1:{listener.getsockname()[1]}"


class Silence(unittest.TestCase):
    def test_a_handshake_is_an_answer_and_nothing_else_is(self) -> None:
        for said, alive in ((b"HTTP/1.1 101 Switching Protocols\r\n", True), (b"HTTP/1.1 500 No\r\n", False), (b"", False), (None, False)):
            listener, url = listening(said)
            with self.subTest(said), closing(listener):
                self.assertEqual(suite.answers(url, 0.5), alive)
        self.assertFalse(suite.answers(url, 0.5))  # where nobody listens

    def hanging(self, client: bool, alive: bool) -> suite.Failure:
        with tempfile.TemporaryDirectory() as name, suite.stopping([]) as processes:
            fuzzer = suite.Process("wstest 1", ["true"], Path(name) / "wstest.log")
            ending = suite.Process("client 1", ["true"], Path(name) / "client.log") if client else fuzzer
            processes += [fuzzer, ending]
            listener, url = listening(b"HTTP/1.1 101 " if alive else b"")
            with closing(listener):
                return suite.hanging(suite.Part(["1.1.1"], Path(name), fuzzer, ending, url), 1)

    def test_where_our_server_answers_it_is_the_suite(self) -> None:
        self.assertIsInstance(self.hanging(client=False, alive=True), suite.Stalled)
        self.assertNotIsInstance(self.hanging(client=False, alive=False), suite.Stalled)

    def test_where_the_suite_answers_it_is_our_client(self) -> None:
        self.assertNotIsInstance(self.hanging(client=True, alive=True), suite.Stalled)
        self.assertIsInstance(self.hanging(client=True, alive=False), suite.Stalled)


if __name__ == "__main__":
    unittest.main()
