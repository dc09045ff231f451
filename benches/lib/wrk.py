"""`wrk` against two servers by turns, and the report of it."""

from __future__ import annotations

import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import measure
from servers import Server

SCRIPT = Path(__file__).with_name("pipeline.lua")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Figures:
    """One run."""

    #: Requests answered in a second.
    rate: float
    #: Microseconds of the server's processor for each.
    cpu: float


def parsed(told: str) -> tuple[int, float]:
    """How many requests were answered, in how many seconds. Whatever went wrong is an error."""
    for wrong in ("Non-2xx", "Socket errors"):
        if line := re.search(rf"^.*{wrong}.*$", told, re.M):
            raise RuntimeError(line[0].strip())
    found = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", told)
    if not found:
        raise RuntimeError(f"wrk says {told!r}")
    return int(found[1]), float(found[2]) * UNITS[found[3]]


def wrk(port: int, connections: int, in_flight: int, secs: int) -> tuple[int, float]:
    """On the load's processor."""
    words = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{secs}s", "--timeout", "10s"]
    words += ["--script", str(SCRIPT), f"http://127.0.0.1:{port}/", "--", str(in_flight)]
    pinned = ["taskset", "--cpu-list", str(measure.processors()[1]), *words]
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=secs + 60)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"wrk has ended with {done.returncode}")
    return parsed(done.stdout)


def run(server: Server, connections: int, in_flight: int, secs: int) -> Figures:
    """A fresh server on its processor, one second to warm up, then what counts."""
    with measure.Running(server, "http") as running:
        wrk(running.port, connections, in_flight, 1)
        before = measure.process_busy(running.process.pid)
        requests, took = wrk(running.port, connections, in_flight, secs)
        busy = measure.process_busy(running.process.pid) - before
    return Figures(requests / took, busy / requests * 1e6)


def by_turns(pair: tuple[Server, Server], connections: int, in_flight: int, secs: int, rounds: int) -> list[tuple[Figures, Figures]]:
    """Each round has both, one after the other; who is first changes."""
    out = []
    for number in range(rounds):
        order = pair if number % 2 == 0 else pair[::-1]
        figures = {server.name: run(server, connections, in_flight, secs) for server in order}
        out.append((figures[pair[0].name], figures[pair[1].name]))
    return out


def ratio(values: list[tuple[float, float]]) -> str:
    """The median of the rounds' ratios, and how far they lie apart."""
    ratios = [ours / theirs for ours, theirs in values]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def render(names: tuple[str, str], measured: dict[int, list[tuple[Figures, Figures]]], about: list[str]) -> str:
    ours, theirs = names
    lines = [f"# HTTP under wrk: {ours} beside {theirs}", "", *about, ""]
    lines += [f"| in flight | | {ours} | {theirs} | ratio: median (least–most) |", "|---|---|---|---|---|"]
    for in_flight, rounds in measured.items():
        for title, field, form in (("requests/s", "rate", "{:,.0f}"), ("CPU per request, µs", "cpu", "{:.2f}")):
            values = [(getattr(a, field), getattr(b, field)) for a, b in rounds]
            medians = (form.format(statistics.median(column)) for column in zip(*values))
            lines.append(f"| {in_flight} | {title} | {' | '.join(medians)} | {ratio(values)} |")
    return "\n".join(lines) + "\n"
