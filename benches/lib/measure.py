"""A server on one processor, the load on another."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import socket
import subprocess
import time

import servers
from scenarios import Scenario
from servers import Server

#: Processors that others may use while a good measurement is taken.
QUIET = 0.08
#: How often one is taken again in a noisy moment.
TRIES = 4
TICKS = os.sysconf("SC_CLK_TCK")


def processors() -> tuple[int, int]:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("two processors are needed: one for the server, one for the load")
    return allowed[0], allowed[1]


def free_ports() -> list[int]:
    holders = [socket.socket() for _ in range(2)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


class Running:
    """A server process, pinned, listening; ended on exit."""

    def __init__(self, server: Server, role: str, both: bool = False) -> None:
        self.port, other = free_ports()
        cert, key = servers.CERTIFICATES / "chain.pem", servers.CERTIFICATES / "key.pem"
        command = server.roles[role].format(port=self.port, other=other, cert=cert, key=key)
        cpus = set(processors()) if both else {processors()[0]}
        self.process = subprocess.Popen(
            shlex.split(command),
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
        )
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError(f"did not start: {command}") from None
                time.sleep(0.02)
        time.sleep(0.05)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def machine_busy() -> float:
    """Seconds that all processes have used on this machine, stolen time included."""
    with open("/proc/stat") as stat:
        fields = [int(v) for v in stat.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def process_busy(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load(running: Running, scenario: Scenario, secs: float, warmup: float, more: str = "") -> dict:
    """One line of figures; under `failed`, why there are none."""
    words = [f"{servers.BENCH}/release/load", "--port", str(running.port), "--pid", str(running.process.pid)]
    words += shlex.split(f"{scenario.load} {more}") + ["--secs", str(secs), "--warmup", str(warmup)]
    cpu = processors()[1]
    result = subprocess.run(
        words, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180
    )
    figures = json.loads((result.stdout.strip().splitlines() or ["{}"])[-1])
    if result.returncode or not figures:
        why = result.stderr.strip() or figures.get("why") or f"{figures.get('errors')} errors"
        figures["failed"] = why.splitlines()[0]
    return figures


def measure(server: Server, scenario: Scenario, secs: float, warmup: float, tries: int = TRIES) -> dict:
    """On a fresh server; taken again while others use the processors. The load spins: a server never pays for waking it."""
    best: dict | None = None
    for _ in range(tries):
        try:
            with Running(server, scenario.role, scenario.both) as running:
                pid = running.process.pid
                start, busy, ours = time.monotonic(), machine_busy(), process_busy(pid) + children_busy()
                figures = load(running, scenario, secs, warmup, "" if scenario.idle else "--spin")
                ours = process_busy(pid) + children_busy() - ours
                figures["others"] = round(max(0.0, (machine_busy() - busy - ours) / (time.monotonic() - start)), 3)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as failure:
            figures = {"failed": str(failure), "others": 0.0}
        if best is None or figures["others"] < best["others"]:
            best = figures
        if best["others"] <= QUIET:
            break
    assert best is not None
    return best
