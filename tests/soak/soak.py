#!/usr/bin/env python3
"""Soak: many connections, many messages, each compared with what was sent; nothing lost, in order, in flat memory.

    tests/soak/soak.py [--connections 64] [--messages 100000] -- COMMAND...

COMMAND is an echo server that prints `listening on ws://IP:PORT`. Every connection sends batches of text messages, each
of which carries the connection's number and its own; a batch is one size, and the sizes alternate between the forms of
a frame's header. What comes back is compared with the bytes that have to come: one lost, doubled, reordered or changed
message is an unequal byte, and then the message is named. Pings between them are answered.

Memory: the kernel keeps the peak of the server's resident memory. Its value at half of the messages is the first half's
peak; at the end it may be 5 % higher. A server's worst moment is that at which all its connections want something at
once. It would come by chance, in one half or the other; so it is made, equally often in both: when nothing is under way
the server is stopped, everything that may be under way is sent, and it goes on.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import sys
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from program import Program
from wire import CLOSE, PING, PONG, TEXT, Frame, Wire, opening_handshake

SIZES = (32, 125, 126, 64, 700)
BATCH = 200
#: Batches that a connection may have under way. Two keep the server busy while one is compared.
WINDOW = 2
#: What the peak of the memory may grow by in the last half, as a part of it.
GROWTH = 0.05
#: How often the server finds everything waiting, in all.
RUSHES = 16
SILENCE = 20.0  # seconds without a byte from the server, after which it is taken for dead


class Lost(Exception):
    """What came back is not what was sent."""


def batch(connection: int, first: int, count: int) -> tuple[bytes, bytes]:
    """The frames of `count` messages as the client sends them, and as the server has to send them back."""
    size = SIZES[(first // BATCH + connection) % len(SIZES)]
    payloads = [(b"connection %d message %d " % (connection, n)).ljust(size, b".") for n in range(first, first + count)]
    head = Frame(TEXT, bytes(size)).unmasked()[:-size]
    expected = b"".join([head + payload for payload in payloads])

    # One exclusive-or of large numbers masks the whole batch: the pattern is zero where the heads and masks are.
    mask = os.urandom(4)
    masked_head = bytes([head[0], head[1] | 0x80]) + head[2:] + mask
    pattern = bytes(len(masked_head)) + (mask * (size // 4 + 1))[:size]
    plain = b"".join([masked_head + payload for payload in payloads])
    masked = int.from_bytes(plain, "big") ^ int.from_bytes(pattern * count, "big")
    return masked.to_bytes(len(plain), "big"), expected


class Connection:
    """One websocket: what it still sends, and what it still has to hear."""

    def __init__(self, number: int, port: int, messages: int) -> None:
        self.number = number
        self.messages = messages
        self.made = 0  # messages put into a batch
        self.heard = 0  # messages that came back as they were sent
        self.unsent = b""
        self.pongs = b""
        self.unread = b""  # the beginning of a ping
        self.expected: deque[tuple[bytes, int]] = deque()  # the bytes of a batch and the number of its messages
        self.position = 0  # in the first of `expected`
        wire = Wire.to(port)
        wire.says(opening_handshake())
        wire.hears_upgrade()
        assert not wire.unread, wire.unread
        self.socket = wire.socket
        self.socket.setblocking(False)

    @property
    def done(self) -> bool:
        return self.heard == self.messages

    @property
    def waits(self) -> bool:
        return bool(self.expected)

    def send(self) -> None:
        """Sends until the socket or the window is full."""
        while True:
            if not self.unsent:
                self.unsent, self.pongs = self.pongs, b""
            if not self.unsent:
                if len(self.expected) >= WINDOW or self.made == self.messages:
                    return
                count = min(BATCH, self.messages - self.made)
                self.unsent, expected = batch(self.number, self.made, count)
                self.expected.append((expected, count))
                self.made += count
            try:
                sent = self.socket.send(self.unsent)
            except BlockingIOError:
                return
            self.unsent = self.unsent[sent:]

    def receive(self) -> int:
        """Compares what has come; the number of messages that are now complete."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return 0
        if not data:
            raise Lost(f"connection {self.number}: the server ended it after message {self.heard}")
        complete = 0
        data, self.unread = self.unread + data, b""
        while data:
            expected, count = self.expected[0] if self.expected else (b"", 1)
            part = expected[self.position : self.position + len(data)]
            if not part or not data.startswith(part):
                data = self.without_ping(data, len(os.path.commonprefix([data, part])), len(expected) // count)
                continue
            self.position += len(part)
            data = data[len(part) :]
            if self.position == len(expected):
                self.expected.popleft()
                self.position = 0
                complete += count
        self.heard += complete
        return complete

    def without_ping(self, data: bytes, same: int, frame: int) -> bytes:
        """`data` without the ping behind its first `same` bytes, which are as they have to be; `frame` is the size of a message."""
        before, ping = data[:same], data[same:]
        if ping[0] != 0x80 | PING or (frame and (self.position + same) % frame):
            if not self.expected:
                raise Lost(f"connection {self.number}: more comes back than was sent: {data[:80]!r}")
            raise Lost(self.difference(data, self.expected[0][0], frame))
        size = 2 + ping[1] if len(ping) > 1 else 2
        if len(ping) < size:
            self.unread = ping
            return before
        self.pongs += Frame(PONG, ping[2:size]).masked_with()
        return before + ping[size:]

    def difference(self, data: bytes, expected: bytes, frame: int) -> str:
        """Names the message that is not the one that has to come; `frame` is the size of each of `expected`."""
        place = self.position + next(
            n for n, byte in enumerate(expected[self.position :]) if n >= len(data) or data[n] != byte
        )
        wanted = expected[place - place % frame :][:frame]
        heard = data[place - self.position :][:80]
        return (
            f"connection {self.number}, message {self.heard + place // frame}: "
            f"expected {wanted!r:.120}, heard {heard!r} from its byte {place % frame} on"
        )

    def end(self) -> None:
        """The closing handshake, behind which nothing may come."""
        self.socket.setblocking(True)
        wire = Wire(self.socket)
        wire.says(self.pongs, Frame(CLOSE, b"\x03\xe8").masked_with())
        wire.unread = self.unread
        while (heard := wire.hears_frame()).opcode == PING:
            pass
        assert heard == Frame(CLOSE, b"\x03\xe8"), heard
        wire.hears_end()
        wire.close()


class Memory:
    """A process's resident memory, in KiB."""

    def __init__(self, pid: int) -> None:
        self.status = Path(f"/proc/{pid}/status")
        self.samples: list[int] = []
        self.next_sample = 0.0

    def _read(self, field: str) -> int:
        for line in self.status.read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise Lost("the server is gone")

    def peak(self) -> int:
        return self._read("VmHWM")

    def sample(self) -> None:
        """Every 0.2 s, for the report."""
        if time.monotonic() >= self.next_sample:
            self.samples.append(self._read("VmRSS"))
            self.next_sample = time.monotonic() + 0.2


def soak(server: Program, port: int, connections: int, messages: int) -> None:
    memory = Memory(server.pid)
    peers = [Connection(number, port, messages) for number in range(connections)]
    started = last_heard = time.monotonic()
    total, heard = connections * messages, 0
    first_half: int | None = None
    samples_of_first_half = 0
    rushes = deque(total * rush // RUSHES for rush in range(RUSHES))

    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)
        while heard < total:
            if rushes and heard >= rushes[0] and not any(peer.waits for peer in peers):
                rushes.popleft()
                with server.stopped():
                    for peer in peers:
                        peer.send()
            for key, events in selector.select(1.0):
                peer = key.data
                if events & selectors.EVENT_READ:
                    heard += peer.receive()
                    last_heard = time.monotonic()
                if not (rushes and heard >= rushes[0] and not peer.unsent):
                    peer.send()
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0)
                if peer.done:
                    selector.unregister(peer.socket)
                elif key.events != wanted:
                    selector.modify(peer.socket, wanted, peer)
            memory.sample()
            if first_half is None and heard >= total // 2:
                first_half, samples_of_first_half = memory.peak(), len(memory.samples)
            if time.monotonic() - last_heard > SILENCE:
                raise Lost(f"silence for {SILENCE:.0f} s; {total - heard} messages have not come back")
    seconds = time.monotonic() - started
    whole = memory.peak()
    for peer in peers:
        peer.end()

    assert first_half is not None
    halves = memory.samples[:samples_of_first_half], memory.samples[samples_of_first_half:]
    print(f"{connections} connections x {messages} messages: {heard} came back, 0 lost, all in order")
    print(f"{seconds:.1f} s, {heard / seconds:,.0f} messages a second")
    for name, half in zip(("first", "last"), halves):
        print(f"resident memory, {name} half: {max(half, default=0)} KiB at most in {len(half)} samples")
    allowed = int(first_half * GROWTH)
    print(f"peak: {first_half} KiB at half, {whole} KiB at the end: {whole - first_half} KiB more, {allowed} are allowed")
    if whole - first_half > allowed:
        raise Lost(f"memory grew by more than {allowed} KiB in the last half")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--messages", type=int, default=100_000, help="on each connection")
    arguments.add_argument("command", nargs="+", metavar="COMMAND", help="the server, behind --")
    options = arguments.parse_args()
    if options.connections < 1 or options.messages < 1:
        arguments.error("a soak without messages proves nothing")

    try:
        with Program(*options.command) as server:
            line = server.hears_line().decode()
            soak(server, int(line.rpartition(":")[2]), options.connections, options.messages)
            code = server.stop(within=10)
            if code != 0:
                raise Lost(f"the server's exit code is {code}")
    except (Lost, AssertionError, OSError, ValueError) as failure:
        print(f"FAILED: {failure}\n0 passed, 1 failed")
        return 1
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
