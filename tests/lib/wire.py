"""A raw socket that speaks HTTP/1.1 and RFC 6455 by hand: the peer that no library stands in front of."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the key of RFC 6455 §1.3, and what it is answered with
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def accept_for(key: str) -> str:
    """RFC 6455 §4.2.2: what proves that the server has read the key."""
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def xor(data: bytes, mask: bytes) -> bytes:
    """RFC 6455 §5.3. One big number is quicker than a loop over bytes."""
    pattern = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pattern, "big")).to_bytes(len(data), "big")


class Frame(NamedTuple):
    """RFC 6455 §5.2."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    masked: bool = False

    def unmasked(self) -> bytes:
        """As a server sends it."""
        return self._head(mask_bit=0) + self.payload

    def masked_with(self, mask: bytes | None = None) -> bytes:
        """As a client sends it."""
        mask = os.urandom(4) if mask is None else mask
        return self._head(mask_bit=0x80) + mask + xor(self.payload, mask)

    def _head(self, mask_bit: int) -> bytes:
        first = self.fin << 7 | self.rsv << 4 | self.opcode
        size = len(self.payload)
        if size < 126:
            return bytes([first, mask_bit | size])
        if size < 1 << 16:
            return bytes([first, mask_bit | 126]) + size.to_bytes(2, "big")
        return bytes([first, mask_bit | 127]) + size.to_bytes(8, "big")


def text(content: str, fin: bool = True) -> Frame:
    return Frame(TEXT, content.encode(), fin)


def close(code: int | None = None, reason: str = "") -> Frame:
    return Frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode())


class Head(NamedTuple):
    """The first line of an HTTP message and its fields, names in lower case."""

    line: str
    fields: dict[str, str]

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    @property
    def path(self) -> str:
        return self.line.split()[1]


def request(line: str, *fields: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([line, *fields, "", ""]).encode()


def opening_handshake(path: str = "/", *more: str, version: str = "13", key: str | None = KEY) -> bytes:
    """RFC 6455 §4.1."""
    fields = ["Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Version: {version}"]
    if key is not None:
        fields.append(f"Sec-WebSocket-Key: {key}")
    return request(f"GET {path} HTTP/1.1", *fields, *more)


def switching_protocols(key: str, *more: str, accept: str | None = None) -> bytes:
    """RFC 6455 §4.2.2, what a server answers."""
    accept = accept_for(key) if accept is None else accept
    return request(
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        *more,
    )


class Wire:
    """One TCP connection, perhaps under TLS. Every read has the same deadline."""

    def __init__(self, connection: socket.socket, timeout: float = 10) -> None:
        connection.settimeout(timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.unread = b""

    @classmethod
    def to(cls, port: int, timeout: float = 10, tls: ssl.SSLContext | None = None) -> "Wire":
        connection = socket.create_connection(("127.0.0.1", port), timeout)
        if tls is not None:
            # An end without a close_notify is an error, and not an end.
            connection = tls.wrap_socket(connection, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        return cls(connection, timeout)

    def says(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def hears_bytes(self, count: int) -> bytes:
        if len(self.unread) < count:
            # Bytes that grow piece by piece are copied with each of them: with many MiB it would be us for whom the peer waits too long.
            heard = bytearray(self.unread)
            while len(heard) < count:
                data = self.socket.recv(1 << 20)
                if not data:
                    raise AssertionError(f"the connection ended {count - len(heard)} bytes early: {bytes(heard)!r}")
                heard += data
            self.unread = bytes(heard)
        heard_whole, self.unread = self.unread[:count], self.unread[count:]
        return heard_whole

    def hears_head(self) -> Head:
        heard = b""
        while not heard.endswith(b"\r\n\r\n"):
            heard += self.hears_bytes(1)
        line, *fields = heard.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        return Head(line, {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)})

    def hears_content(self, head: Head) -> bytes:
        """The content of a response that tells its length."""
        return self.hears_bytes(int(head.fields["content-length"]))

    def hears_upgrade(self) -> Head:
        head = self.hears_head()
        assert head.status == 101, head
        assert head.fields["sec-websocket-accept"] == ACCEPT, head
        assert "content-length" not in head.fields and "transfer-encoding" not in head.fields, head  # RFC 9110 §8.6
        return head

    def hears_frame(self) -> Frame:
        first, second = self.hears_bytes(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(self.hears_bytes(2), "big")
        elif size == 127:
            size = int.from_bytes(self.hears_bytes(8), "big")
        masked = bool(second & 0x80)
        mask = self.hears_bytes(4) if masked else bytes(4)
        return Frame(first & 15, xor(self.hears_bytes(size), mask), bool(first & 0x80), first >> 4 & 7, masked)

    def hears(self, *frames: Frame) -> None:
        """These frames, in this order; whether they are masked is told by `hears_frame`."""
        for expected in frames:
            heard = self.hears_frame()
            assert heard._replace(masked=False) == expected, f"heard {heard!r:.300}, expected {expected!r:.300}"

    def hears_close(self) -> int | None:
        """The code of the Close frame that comes next."""
        heard = self.hears_frame()
        assert heard.opcode == CLOSE, f"heard {heard!r:.300}, expected a Close"
        return int.from_bytes(heard.payload[:2], "big") if heard.payload else None

    def hears_end(self) -> None:
        """The other side's FIN, with nothing before it."""
        data = self.unread or self.socket.recv(65536)
        assert not data, f"heard {data!r:.300}, expected the end of the connection"

    def close(self) -> None:
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.fileno() >= 0:
            self.socket.settimeout(0)
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()  # says close_notify, and waits for none
        self.socket.close()

    def abort(self) -> None:
        """Ends the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class WireServer:
    """Accepts one connection and plays a script on it; what goes wrong in the script is raised by `done`."""

    def __init__(self, script: Callable[[Wire, Head], None], tls: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}/"
        self._tls = tls
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._play, args=(script,), daemon=True)
        self._thread.start()

    def done(self, within: float = 20) -> None:
        self._thread.join(within)
        assert not self._thread.is_alive(), f"the server's script has not ended within {within} s"
        if self.failure is not None:
            raise self.failure

    def _accept(self) -> Wire:
        connection = self.listener.accept()[0]
        connection.settimeout(10)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
        return Wire(connection)

    def _play(self, script: Callable[[Wire, Head], None]) -> None:
        try:
            with self.listener, self._accept() as wire:
                script(wire, wire.hears_head())
        except BaseException as failure:  # told by `done`, in the test's own thread
            self.failure = failure
