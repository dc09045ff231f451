"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    #: The load generator's arguments.
    load: str
    role: str = "echo"
    #: What is counted.
    unit: str = "msgs"
    #: Only these servers; all that have the role if empty.
    only: tuple[str, ...] = ()
    rounds: int | None = None
    #: Servers run on both processors.
    both: bool = False
    #: A point of this curve, here.
    curve: str = ""
    at: int = 0

    @property
    def idle(self) -> bool:
        return self.unit == "KiB"


SMALL_1 = "--conns 64 --size 32 --text --pipeline 1"
SMALL_PIPE = "--conns 16 --size 64 --text --pipeline 64"
MID = "--conns 32 --size 1024 --binary --pipeline 8"

#: Who is on the curves: ours, the limit, and the best of the others.
FEW = ("actix-sockets", "actix-sockets-inline", "limit", "uwebsockets", "fastwebsockets", "tokio-websockets-batch", "actix-web-actors")
CURVES = {
    "connections": "CPU per message over the number of connections (64-byte text, one in flight on each)",
    "in-flight": "CPU per message over the messages in flight (64-byte text, 16 connections)",
    "idle": "Memory of a connection at rest, after one echo, over their number",
}

SCENARIOS = [
    Scenario("small-1", "64 connections × 32-byte text, 1 in flight", SMALL_1),
    Scenario("small-pipe", "16 connections × 64-byte text, 64 in flight", SMALL_PIPE),
    Scenario("mid", "32 connections × 1 KiB binary, 8 in flight", MID),
    Scenario("large", "8 connections × 64 KiB binary, 2 in flight", "--conns 8 --size 65536 --binary --pipeline 2"),
    Scenario("huge", "4 connections × 1 MiB binary, 1 in flight", "--conns 4 --size 1048576 --binary --pipeline 1"),
    Scenario("latency", "1 connection × 32-byte text, 1 in flight", "--conns 1 --size 32 --text --pipeline 1"),
    Scenario("handshakes", "Connect, upgrade, one echo, close; 16 at a time", "--connect-rate --conns 16 --size 32 --text", unit="conns"),
    Scenario("fan-out", "One prepared 128-byte message to 5 000 connections", "--fan-out --conns 5000", "fan-out"),
    Scenario("tls-small-1", "TLS: 64 connections × 32-byte text, 1 in flight", f"--tls {SMALL_1}", "tls"),
    Scenario("tls-small-pipe", "TLS: 16 connections × 64-byte text, 64 in flight", f"--tls {SMALL_PIPE}", "tls"),
    Scenario("tls-mid", "TLS: 32 connections × 1 KiB binary, 8 in flight", f"--tls {MID}", "tls"),
    Scenario(
        "deflate",
        "permessage-deflate: 16 connections × 1 KiB of JSON, 4 in flight",
        "--deflate --conns 16 --size 1024 --text --pipeline 4",
        "deflate",
    ),
    Scenario("http-1", "HTTP GET, plain text: 64 connections, 1 in flight", "--http --conns 64 --pipeline 1", "http", "requests"),
    Scenario("http-16", "HTTP GET, plain text: 64 connections, 16 in flight", "--http --conns 64 --pipeline 16", "http", "requests"),
    *(
        Scenario(f"idle-{n}", f"{n} connections at rest, after one echo of 100 bytes", f"--idle {n}", unit="KiB", rounds=1, curve="idle", at=n)
        for n in (1000, 5000, 15000)
    ),
    *(
        Scenario(f"connections-{n}", f"{n} connections", f"--conns {n} --size 64 --text", only=FEW, curve="connections", at=n)
        for n in (1, 10, 100, 1000, 10_000)
    ),
    *(
        Scenario(f"in-flight-{n}", f"{n} in flight", f"--conns 16 --size 64 --text --pipeline {n}", only=FEW, curve="in-flight", at=n)
        for n in (1, 4, 16, 64, 256)
    ),
    Scenario("workers-1", "One worker: 32 connections × 1 KiB binary, 8 in flight", MID, only=("actix-sockets", "actix-sockets-inline")),
    Scenario("workers-2", "Two workers on both processors: the same", MID, "echo-2", both=True),
]
BY_NAME = {s.name: s for s in SCENARIOS}
ECHO = ("small-1", "small-pipe", "mid", "large", "huge", "latency")
TLS = ("tls-small-1", "tls-small-pipe", "tls-mid")
