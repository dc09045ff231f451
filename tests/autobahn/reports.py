#!/usr/bin/env python3
"""The committed reports of full runs: a JSON file for each way, a page for each side, a table in docs/conformance.md.

    reports.py            check them; the last line is `N passed, N failed`
    reports.py --write    make the pages and the table anew from the JSON files

A report names the git tree of `src/` that it was made from. That it is an older one is said, and is no failure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import conformance
import pages
import suite
import verdicts
import ways
from verdicts import Verdict

FOLDER = ways.ROOT / "reports"
SOURCES = ways.ROOT / "src"
DOCUMENT = ways.ROOT / "docs" / "conformance.md"

#: What a report says of itself, before its cases. `openssl` only under TLS.
HEAD = ["way", "date", "library", "src", "suite", "python", "openssl", "stalls"]
#: What all reports have in common, being of one run.
COMMON = ["library", "src", "suite", "python"]


class Broken(Exception):
    """A file that is no report."""


@dataclass(frozen=True)
class Report:
    head: dict[str, Any]
    verdicts: dict[str, Verdict]

    def text(self) -> str:
        head = ",\n".join(f"{json.dumps(key)}: {json.dumps(self.head[key])}" for key in HEAD if key in self.head)
        return f'{{\n{head},\n"cases": {verdicts.rows(self.verdicts)}\n}}\n'


def file(folder: Path, way: ways.Way) -> Path:
    return folder / f"autobahn-{way.name}.json"


def page(folder: Path, side: str) -> Path:
    return folder / f"{side}.html"


def read(source: Path, way: ways.Way) -> Report:
    """The report of `way`, if that is what the file is."""
    try:
        found = json.loads(source.read_text())
        rows = [Verdict.from_row(row) for row in found.pop("cases")]
    except FileNotFoundError:
        raise Broken("the report is missing") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Broken(f"not a report: {type(error).__name__}: {error}") from None
    wanted = [key for key in HEAD if key != "openssl" or way.tls]
    if list(found) != wanted:
        raise Broken(f"its head has {', '.join(found)} and not {', '.join(wanted)}")
    if found["way"] != way.name:
        raise Broken(f"it is the report of {found['way']}")
    report = Report(found, {row.case: row for row in rows})
    if len(report.verdicts) != len(rows):
        raise Broken("a case stands in it twice")
    return report


def tree(folder: Path) -> str:
    """The id that git gives to the folder as it is now, committed or not."""
    entries = []
    for path in folder.iterdir():
        if path.is_dir():
            entries.append((f"{path.name}/", f"40000 {path.name}", tree(path)))
        else:
            mode = "100755" if path.stat().st_mode & 0o100 else "100644"
            entries.append((path.name, f"{mode} {path.name}", object_id("blob", path.read_bytes())))
    content = b"".join(name.encode() + b"\0" + bytes.fromhex(id) for _, name, id in sorted(entries))
    return object_id("tree", content)


def object_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


@dataclass
class Findings:
    """What is wrong with each file, and what else should be known."""

    problems: dict[str, list[str]]
    notes: list[str]

    def conclude(self) -> int:
        for name, problems in self.problems.items():
            for problem in problems:
                print(f"{name}: {problem}")
        for note in self.notes:
            print(note)
        failed = sum(bool(problems) for problems in self.problems.values())
        print(f"{len(self.problems) - failed} passed, {failed} failed", flush=True)
        return 1 if failed or not self.problems else 0


def generated(folder: Path, document: Path, reports: dict[str, Report], described: dict[str, Any]) -> dict[Path, Callable[[], str]]:
    """What is made from the reports: each file, and how it should read."""
    sides = dict.fromkeys(way.side for way in ways.ALL if way.name in reports)
    made: dict[Path, Callable[[], str]] = {}
    for side in sides:
        both = [reports[way.name] for way in ways.ALL if way.side == side and way.name in reports]
        made[page(folder, side)] = lambda side=side, both=both: pages.render(side, both, described)
    made[document] = lambda: conformance.insert(document.read_text(), list(reports.values()))
    return made


def check(
    folder: Path,
    document: Path,
    present: str,
    described: dict[str, Any],
    expected: Iterable[ways.Way] = tuple(ways.WAYS),
    cases: Iterable[str] | None = None,
) -> Findings:
    """Judges all files that a full run of the `expected` ways writes. `present` is the tree of the sources as they are."""
    cases, expected = list(ways.cases() if cases is None else cases), list(expected)
    problems: dict[str, list[str]] = {}
    reports: dict[str, Report] = {}
    for way in expected:
        name = file(folder, way).name
        try:
            report = reports[way.name] = read(file(folder, way), way)
        except Broken as broken:
            problems[name] = [str(broken)]
            continue
        problems[name] = [str(difference) for difference in verdicts.judge(cases, report.verdicts)]
        problems[name] += [
            f"{case}: closed with {report.verdicts[case].close_code}, and verdicts.py says that we send {reason.close_code}"
            for case, reason in verdicts.INFORMATIONAL.items()
            if case in report.verdicts and report.verdicts[case].close_code != reason.close_code
        ]
        first = next(iter(reports.values()))
        different = [key for key in COMMON if report.head[key] != first.head[key]]
        problems[name] += [f"another {key} than in {first.head['way']}: the reports are of different runs" for key in different]
        if report.head["suite"] != described["suite"]:
            problems[name].append(f"made by {report.head['suite']}, and the suite is {described['suite']}")
    for made, text in generated(folder, document, reports, described).items():
        if any(problems[file(folder, way).name] for way in expected):
            problems[made.name] = ["it cannot be right while a report is wrong"]
            continue
        try:
            right = made.read_text() == text()
            problems[made.name] = [] if right else ["not what the reports say: `tests/autobahn/reports.py --write` makes it anew"]
        except (FileNotFoundError, conformance.Broken) as error:
            problems[made.name] = [str(error)]
    extra = sorted({path.name for path in folder.glob("autobahn-*.json")} - {file(folder, way).name for way in expected})
    problems |= {name: ["a report of no way that there is"] for name in extra}
    older = {report.head["src"] for report in reports.values()} - {present}
    notes = [f"note: the Autobahn reports were made from tree {id} of src/, and src/ is now {present}: they are not of these sources." for id in older]
    waiting = [way.name for way in ways.ALL if way not in expected]
    if waiting:
        notes.append(f"note: Autobahn is not run, and no report is asked for, in {', '.join(waiting)}: see MISSING in ways.py")
    return Findings(problems, notes)


def write(folder: Path, document: Path, described: dict[str, Any], expected: Iterable[ways.Way] = tuple(ways.WAYS)) -> None:
    """Makes the pages and the table from the JSON files."""
    try:
        reports = {way.name: read(file(folder, way), way) for way in expected}
        for made, text in generated(folder, document, reports, described).items():
            made.write_text(text())
    except (Broken, conformance.Broken) as broken:
        raise suite.Failure(str(broken)) from broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    suite.install()
    described = suite.describe()
    if asked.write:
        write(FOLDER, DOCUMENT, described)
    return check(FOLDER, DOCUMENT, tree(SOURCES), described).conclude()


if __name__ == "__main__":
    suite.guarded(main)
