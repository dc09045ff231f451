"""What each built-in stage and each hop between actors costs: the program `costs`, one way after the other."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MESSAGES = 64
#: What it is, its way, and the way that has all but that.
COSTS = [
    ("`Consolidation`, whole messages", "consolidation", "bare"),
    ("`Consolidation`, two fragments each", "consolidated", "fragments"),
    ("`AutoPong`", "auto-pong", "bare"),
    ("`AutoPing`", "auto-ping", "bare"),
    ("`HidePongs`", "hide-pongs", "bare"),
    ("the default stages together", "defaults", "bare"),
    ("a stage that looks at everything, fused", "watch", "bare"),
    ("an actor fed in its context", "actor", "defaults"),
    ("an actor by its address, through its mailbox", "mailbox", "defaults"),
    ("a stage that looks at everything, fused below an actor", "actor-watch", "actor"),
    ("the same as a `StageActor` on this arbiter", "hosted", "actor"),
    ("the same as a `StageActor` on another arbiter", "elsewhere", "actor"),
]
WAYS = list(dict.fromkeys(way for _, one, other in COSTS for way in (other, one)))


def seconds(program: Path, way: str, times: int) -> float:
    """The processor time of all its threads."""
    pid = os.spawnv(os.P_NOWAIT, program, [str(program), way, str(times)])
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"{program.name} {way} failed")
    return used.ru_utime + used.ru_stime


def instructions(program: Path, way: str, times: int) -> int:
    with tempfile.NamedTemporaryFile() as out:
        words = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", str(program), way, str(times)]
        said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    collected = re.search(r"Collected : (\d+)", said)
    if collected is None:
        sys.exit(f"{said}\ncallgrind has counted nothing")
    return int(collected[1])


def measure(program: Path, rounds: int, times: int = 20_000) -> dict[str, dict]:
    """For each way: nanoseconds of each round, and instructions, of a message there and back, client and kernel included."""
    found: dict[str, dict] = {way: {"ns": []} for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            took = seconds(program, way, times) - seconds(program, way, 1)
            found[way]["ns"].append(took * 1e9 / times / MESSAGES)
    for way in WAYS:
        found[way]["instructions"] = (instructions(program, way, 110) - instructions(program, way, 10)) / 100 / MESSAGES
    return found


def rows(found: dict[str, dict]) -> list[list[str]]:
    """What each thing adds to a message's way there and back."""

    def added(key: str, one: str, other: str) -> str:
        value = {way: found[way][key] if key == "instructions" else statistics.median(found[way][key]) for way in (one, other)}
        return f"{value[one] - value[other]:+,.0f}"

    return [[what, added("ns", one, other), added("instructions", one, other), f"`{one}`, `{other}`"] for what, one, other in COSTS]
