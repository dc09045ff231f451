#!/usr/bin/env python3
"""Runs all cases in all ways, two pieces at a time, and writes the reports.

    full.py [--programs FOLDER] [--jobs 2] [--reports FOLDER]

The suite writes its results when it ends, so the cases are run in pieces, and each is kept under target/autobahn/full/TREE,
TREE being the git tree of `src/`: an interrupted run goes on where it stopped. A piece that has run is kept whatever its
verdicts are; only where the suite itself hung, a piece is run once more, and the reports say so. `src/` has to be committed, as
the reports name it.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reports
import suite
import verdicts
import ways

#: Seconds that a case may last: the suite itself gives up after 480 at most.
STALL = 600
#: Seconds that a piece may last: more than ten times what the longest took.
DEADLINE = 1800
ATTEMPTS = 2
EVERY = 30


@dataclass
class Piece:
    """Some sections in one way, and what has become of them, in a folder of their own."""

    way: ways.Way
    sections: str
    folder: Path
    #: What it was run with: nothing else may stand for it.
    recipe: dict[str, str]
    failure: str | None = None
    stalls: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.way.name} {self.sections}"

    @property
    def stamp(self) -> Path:
        return self.folder / "done.json"

    def is_done(self) -> bool:
        try:
            found = json.loads(self.stamp.read_text())
        except FileNotFoundError:
            return False
        if found["recipe"] != self.recipe:
            return False
        self.stalls = found["stalls"]
        return True

    def finish(self) -> None:
        """Written last and whole: with it the piece counts as run."""
        new = self.stamp.with_suffix(".new")
        new.write_text(json.dumps({"recipe": self.recipe, "stalls": self.stalls}, indent=1))
        os.replace(new, self.stamp)

    def verdicts(self) -> dict[str, verdicts.Verdict]:
        return verdicts.load([self.folder / "1"], self.way.name)

    def start(self, programs: Path) -> suite.Process:
        shutil.rmtree(self.folder, ignore_errors=True)
        options = ["--out", str(self.folder), "--stall", str(STALL), "--deadline", str(DEADLINE)]
        command = self.way.command(programs, self.sections, 1, *options)
        return suite.Process(str(self), command, self.folder / "run.log")


def sections(cases: list[str]) -> list[str]:
    """The pieces: the quick sections in one, the long messages in one, and compression by subsections."""
    long = dict.fromkeys(case.rsplit(".", 1)[0] for case in cases if case.split(".")[0] in ("12", "13"))
    return ["1-7,10", "9", *long]


def committed_tree() -> str:
    """The tree that the reports will name."""
    git = subprocess.run(
        ["git", "-c", "safe.directory=*", "rev-parse", "HEAD:src"], cwd=ways.ROOT, capture_output=True, text=True
    )
    if git.returncode:
        raise suite.Failure(f"git does not know src/: {git.stderr.strip()}")
    return git.stdout.strip()


def tree() -> str:
    present = reports.tree(reports.SOURCES)
    if present != committed_tree():
        raise suite.Failure("src/ is not as committed, and a report names the tree of src/ that it was made from: commit first")
    return present


def digest(*files: Path) -> str:
    try:
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    except FileNotFoundError as missing:
        raise suite.Failure(f"{missing.filename} is missing: build the examples with --release") from missing


def openssl(program: Path) -> str:
    """The version that the program is linked with."""
    linked = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    library = re.search(r"libcrypto\.so\S* => (\S+)", linked)
    if not library:
        raise suite.Failure(f"{program} is not linked with OpenSSL's libcrypto")
    version = ctypes.CDLL(library[1]).OpenSSL_version
    version.restype = ctypes.c_char_p
    return version(0).decode()


def run(pieces: list[Piece], programs: Path, jobs: int) -> None:
    """Runs what has not run yet. A failure ends its piece; the others go on."""
    waiting = [piece for piece in pieces if not piece.is_done()]
    total, began, shown = len(pieces), time.monotonic(), time.monotonic()
    say(f"{total - len(waiting)} of {total} pieces have run before, {len(waiting)} to go")
    live: dict[suite.Process, tuple[Piece, float]] = {}
    try:
        while waiting or live:
            while waiting and len(live) < jobs:
                piece = waiting.pop(0)
                live[piece.start(programs)] = (piece, time.monotonic())
            for process, (piece, started) in list(live.items()):
                if process.status() is None:
                    continue
                del live[process]
                if settle(piece, process):
                    waiting.insert(0, piece)
                left = len(waiting) + len(live)
                say(f"{piece}: {last_line(process)}, {time.monotonic() - started:.0f} s ({left} of {total} pieces to go)")
            if time.monotonic() - shown > EVERY:
                shown = time.monotonic()
                for process, (piece, _) in live.items():
                    say(f"{shown - began:.0f} s, {piece}: {last_line(process).removeprefix('autobahn: ')}")
            time.sleep(0.2)
    finally:
        for process in live:
            process.stop(patience=15)  # it has processes of its own to end


def settle(piece: Piece, process: suite.Process) -> bool:
    """Decides what the end of a piece's run means. Returns whether it is to be run again."""
    if process.status() == suite.STALLED:
        piece.stalls.append(f"{piece.sections}, attempt {len(piece.stalls) + 1}: {stalled_at(process.output())}")
        if len(piece.stalls) < ATTEMPTS:
            return True
    if process.status() != suite.STALLED and re.fullmatch(r"\d+ passed, \d+ failed", last_line(process)):
        piece.finish()
    else:
        piece.failure = process.tail()
    return False


def stalled_at(said: str) -> str:
    found = re.search(r"hangs: (.*?) has lasted", said)
    return found[1] if found else "somewhere"


def last_line(process: suite.Process) -> str:
    lines = process.output().strip().splitlines()
    return lines[-1] if lines else "begins"


def say(text: str) -> None:
    print(f"autobahn: {text}", flush=True)


def head(way: ways.Way, tree: str, programs: Path, described: dict[str, Any], pieces: list[Piece]) -> dict[str, Any]:
    package = tomllib.loads((ways.ROOT / "Cargo.toml").read_text())["package"]
    made = {
        "way": way.name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "library": f"{package['name']} {package['version']}",
        "src": tree,
        "suite": described["suite"],
        "python": described["python"],
        "stalls": [stall for piece in pieces for stall in piece.stalls],
    }
    if way.tls:
        made["openssl"] = {"library": openssl(way.program(programs)), "suite": described["openssl"]}
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, default=ways.ROOT / "target" / "release" / "examples")
    parser.add_argument("--jobs", type=int, default=2, help="how many pieces run side by side (2)")
    parser.add_argument("--reports", type=Path, default=reports.FOLDER, help="where the reports are written (reports)")
    asked = parser.parse_args()
    programs = asked.programs.resolve()

    source, cases = tree(), ways.cases()
    suite.install()
    described = suite.describe()
    if any(way.tls for way in ways.WAYS):
        ways.certify()
    kept = suite.HOME / "full" / source
    pieces = [
        Piece(way, part, kept / way.name / part, {"program": digest(way.program(programs)), "suite": described["suite"]})
        for part in sections(cases)
        for way in ways.WAYS
    ]
    run(pieces, programs, max(1, asked.jobs))
    failures = [piece for piece in pieces if piece.failure]
    if failures:
        for piece in failures:
            print(f"{piece}: {piece.failure}")
        raise suite.Failure(f"{len(failures)} of {len(pieces)} pieces have no result; the same command goes on with these")
    if tree() != source:
        raise suite.Failure("src/ has changed during the run")

    passed = failed = 0
    for way in ways.WAYS:
        own = [piece for piece in pieces if piece.way == way]
        found = {case: verdict for piece in own for case, verdict in piece.verdicts().items()}
        report = reports.Report(head(way, source, programs, described, own), found)
        asked.reports.mkdir(parents=True, exist_ok=True)
        reports.file(asked.reports, way).write_text(report.text())
        differences = verdicts.judge(cases, found)
        for difference in differences:
            print(f"{way.name} {difference}")
        failed += len(differences)
        passed += sum(case in found and verdicts.is_as_required(found[case]) for case in cases)
    reports.write(asked.reports, reports.DOCUMENT, described)
    if failed:
        say(f"verdicts are kept: to hear others from the same sources, take {kept} away")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    suite.guarded(main)
