"""The `http` example among strangers: what breaks HTTP, in random order from several connections, while a well-behaved client beside them keeps its answers."""

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
from pathlib import Path

from program import Program
from support import HTTP

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "8"))
STRANGERS = 6
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


class Stranger(threading.Thread):
    """Says one thing after the other, each on a connection of its own, in pieces or whole, and leaves in one of three ways."""

    def __init__(self, port: int, seed: int, until: float) -> None:
        super().__init__(daemon=True)
        self.port, self.chance, self.until = port, random.Random(seed), until
        self.said, self.wrong = 0, list[str]()

    def run(self) -> None:
        while time.monotonic() < self.until:
            name, words, statuses = self.chance.choice(REPERTOIRE)
            try:
                answer = self.says(words, bool(statuses))
            except OSError as error:
                self.wrong.append(f"{name}: {error}")
                continue
            self.said += 1
            # A reset may overtake an answer to who goes on talking (RFC 9112 §9.6).
            if statuses and answer is not None and (answer == b"" or int(answer[9:12]) not in statuses):
                self.wrong.append(f"{name}: {answer[:60]!r}")

    def says(self, words: bytes, answered: bool) -> bytes | None:
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            cut = self.chance.randrange(len(words))
            try:
                wire.sendall(words[:cut])
                if self.chance.random() < 0.5:
                    time.sleep(0.002)
                wire.sendall(words[cut:])
                answer = wire.recv(4096) if answered else None
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


class Hostile(unittest.TestCase):
    def test_strangers_hurt_nobody_but_themselves(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        (Path(folder) / "digits.txt").write_text("0123456789")
        server = self.enterContext(Program(HTTP, "127.0.0.1:0", folder))
        listening = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)", server.hears_line().decode())
        assert listening
        port = int(listening[1])
        seed = int(os.environ.get("HOSTILE_SEED", random.randrange(1 << 32)))
        until = time.monotonic() + SECONDS
        strangers = [Stranger(port, seed + one, until) for one in range(STRANGERS)]
        for stranger in strangers:
            stranger.start()
        answers = 0
        with socket.create_connection(("127.0.0.1", port), 10) as friend, friend.makefile("rb") as heard:
            while time.monotonic() < until:
                friend.sendall(GET)
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = heard.readline()
                    self.assertTrue(line, f"seed {seed}: the connection of a friend has ended")
                    head += line
                self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
                self.assertIn(b"content-length: 10\r\n", head.lower())
                self.assertEqual(heard.read(10), b"0123456789")
                answers += 1
        for stranger in strangers:
            stranger.join(15)
            self.assertFalse(stranger.is_alive(), f"seed {seed}: a stranger waits for an answer")
        self.assertEqual([wrong for stranger in strangers for wrong in stranger.wrong], [], f"seed {seed}")
        self.assertGreater(answers, 20)
        self.assertGreater(sum(stranger.said for stranger in strangers), len(REPERTOIRE))
        print(f"{answers} answers beside {sum(stranger.said for stranger in strangers)} hostile connections")


if __name__ == "__main__":
    unittest.main()
