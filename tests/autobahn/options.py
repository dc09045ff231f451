"""The command line that server.py and client.py share, and the end of their runs."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import suite
import verdicts


@dataclass
class Asked:
    cases: list[str]
    jobs: int
    agent: str
    out: Path
    json: Path | None
    stall: float
    deadline: float
    cert: Path | None
    key: Path | None
    wss: bool
    command: list[str]


def parse(usage: str | None) -> Asked:
    parser = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", default="1-7,9,10", help="sections or cases: 1-7,10 or 9.1 or 7.1.6 or sample (1-7,9,10)")
    parser.add_argument("--jobs", type=int, default=2, help="how many wstest run side by side (2)")
    parser.add_argument("--agent", default="actix-sockets", help="the name in the reports")
    parser.add_argument("--out", type=Path, help="folder of the reports (target/autobahn/reports/AGENT)")
    parser.add_argument("--json", type=Path, help="also write a summary of all cases into this file")
    parser.add_argument("--stall", type=float, default=120, help="seconds that a single case may last (120)")
    parser.add_argument("--deadline", type=float, default=1800, help="seconds that the whole may last (1800)")
    parser.add_argument("--cert", type=Path, help="client.py only: the suite's certificate, makes it wss://")
    parser.add_argument("--key", type=Path, help="client.py only: and its key")
    parser.add_argument("--wss", action="store_true", help="server.py only: test where it says wss://")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="the program under test, after --")
    given = parser.parse_args()
    try:
        cases = verdicts.select(given.sections)
    except ValueError as error:
        parser.error(str(error))
    if bool(given.cert) != bool(given.key):
        parser.error("--cert and --key go together")
    out = (given.out or suite.HOME / "reports" / given.agent).resolve()
    return Asked(
        cases,
        max(1, given.jobs),
        given.agent,
        out,
        given.json,
        given.stall,
        given.deadline,
        given.cert and given.cert.resolve(),
        given.key and given.key.resolve(),
        given.wss,
        given.command,
    )


def conclude(asked: Asked, folders: list[Path], began: float) -> int:
    results = verdicts.load(folders, asked.agent)
    if asked.json:
        verdicts.write_json(asked.json, results)
    print(f"autobahn: {time.monotonic() - began:.1f} s, reports in {asked.out}", file=sys.stderr, flush=True)
    return verdicts.conclude(asked.cases, results)
