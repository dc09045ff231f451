#!/usr/bin/env python3
"""The four ways in which the suite meets us: a server and a client, in clear and under TLS.

    ways.py WAY [--sections 1-7,10,sample] [--jobs 2] [--programs FOLDER]

runs one of them, `server-ws` for example. `tests/run` runs each, full.py all four with all cases.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import suite
import verdicts

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CERTIFICATES = suite.HOME / "certificates"

#: What the programs cannot do yet. A way that waits for it is in no run and in no report.
MISSING: set[str] = set()


@dataclass(frozen=True)
class Way:
    side: str
    scheme: str

    @property
    def name(self) -> str:
        return f"{self.side}-{self.scheme}"

    @property
    def tls(self) -> bool:
        return self.scheme == "wss"

    def program(self, programs: Path) -> Path:
        return programs / {"server": "echo", "client": "autobahn-client"}[self.side]

    def command(self, programs: Path, sections: str, jobs: int, *options: str) -> list[str]:
        """server.py or client.py, with the program as the suite is to meet it."""
        program = [str(self.program(programs))]
        if self.side == "server":
            # The ordinary handler, an actor for each connection. The client offers compression by itself.
            program += ["--bind", "127.0.0.1:0", "--handler", "per-connection", "--deflate"]
        ours: list[str] = []
        if self.tls:
            authority, chain, key = (str(CERTIFICATES / name) for name in ("ca.pem", "chain.pem", "key.pem"))
            if self.side == "server":
                ours = ["--wss"]
                program += ["--tls-bind", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key]
            else:
                ours = ["--cert", chain, "--key", key]
                program += ["--ca", authority]
        script = str(HERE / f"{self.side}.py")
        return [script, "--sections", sections, "--jobs", str(jobs), "--agent", self.name, *ours, *options, "--", *program]


ALL = [Way("server", "ws"), Way("server", "wss"), Way("client", "ws"), Way("client", "wss")]
WAYS = [way for way in ALL if not (way.tls and "tls" in MISSING)]


def sections(full: bool, long: bool = True) -> str:
    """What runs in each way: in a full run everything, otherwise a sample of compression, and the long messages if asked for."""
    return ",".join(["1-7", *(["9"] if full or long else []), "10", *(["12", "13"] if full else ["sample"])])


def cases() -> list[str]:
    """All that a full run has to have run."""
    return verdicts.select(sections(full=True))


def certify() -> None:
    """An authority and a certificate of the loopback addresses, for both sides."""
    if subprocess.run([ROOT / "tests" / "lib" / "certificates.py", CERTIFICATES]).returncode:
        raise suite.Failure("there are no certificates")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=[way.name for way in WAYS])
    parser.add_argument("--sections", default=sections(full=False), help="(%(default)s)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--programs", type=Path, default=ROOT / "target" / "release" / "examples")
    asked = parser.parse_args()
    (way,) = (way for way in WAYS if way.name == asked.way)
    if way.tls:
        certify()
    command = way.command(asked.programs.resolve(), asked.sections, asked.jobs)
    sys.stdout.flush()
    os.execv(command[0], command)


if __name__ == "__main__":
    suite.guarded(main)
