"""What each case of the suite must come to, and the comparison with what it did.

Every case that was asked for must be there, and no other. `behavior` and `behaviorClose` are OK, except in three cases
where the suite itself always says INFORMATIONAL, as no RFC says what should happen.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Reason:
    """Why a case has no verdict, and what we do in it."""

    what: str
    why: str
    ours: str
    #: The close code that we send.
    close_code: int


INFORMATIONAL = {
    "7.1.6": Reason(
        "a message of 256 KiB, a text, a Close and a Ping, back to back",
        "RFC 6455 lets an endpoint close before it has written what it was asked to echo",
        "both messages are echoed, then the Close; the Ping behind it goes unanswered",
        1000,
    ),
    "7.13.1": Reason(
        "a Close frame with code 5000",
        "RFC 6455 §7.4.2 does not say what to do with such codes",
        "1002: it is none of the codes that may be sent",
        1002,
    ),
    "7.13.2": Reason("a Close frame with code 65535", "the same", "1002", 1002),
}
CASES = (HERE / "cases.txt").read_text().split()
SAMPLE = [case for line in (HERE / "sample.txt").read_text().splitlines() for case in line.split("#")[0].split()]


@dataclass(frozen=True)
class Verdict:
    """A case's result, as the suite's index.json has it, and what its own report adds."""

    case: str
    behavior: str
    behavior_close: str
    duration: int = 0
    #: The close code that the suite received, if any.
    close_code: int | None = None
    report: Path | None = None

    def row(self) -> dict[str, str | int | None]:
        """As it stands in our own files."""
        return {
            "case": self.case,
            "behavior": self.behavior,
            "behaviorClose": self.behavior_close,
            "closeCode": self.close_code,
            "duration": self.duration,
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Verdict":
        return cls(row["case"], row["behavior"], row["behaviorClose"], row["duration"], row["closeCode"])


@dataclass(frozen=True)
class Difference:
    case: str
    problem: str
    report: Path | None = None

    def __str__(self) -> str:
        lines = [f"{self.case}: {self.problem}"]
        if self.report:
            details = json.loads(self.report.read_text())
            for title, key in (("expected", "expectation"), ("result", "result"), ("closing", "resultClose")):
                text = " ".join(re.sub(r"<[^>]*>", " ", details.get(key) or "-").split())
                if key == "resultClose":
                    text += f" (close code received: {details.get('remoteCloseCode')})"
                lines += textwrap.wrap(f"{title}: {text}", 110, initial_indent="    ", subsequent_indent="        ")
            lines.append(f"    report: {self.report.with_suffix('.html')}")
        return "\n".join(lines)


def required(case: str) -> str:
    return "INFORMATIONAL" if case in INFORMATIONAL else "OK"


def is_as_required(verdict: Verdict) -> bool:
    return verdict.behavior == verdict.behavior_close == required(verdict.case)


def select(sections: str) -> list[str]:
    """The cases of `1-7,10` or `9.1,9.2` or `7.1.6` or `sample`, in the suite's order. Each word must name something."""
    wanted: set[str] = set()
    for word in sections.split(","):
        if match := re.fullmatch(r"(\d+)-(\d+)", word):
            first, last = (int(number) for number in match.groups())
            found = {case for case in CASES if first <= int(case.split(".")[0]) <= last}
        else:
            found = set(SAMPLE) if word == "sample" else {case for case in CASES if f"{case}.".startswith(f"{word}.")}
        if not found:
            raise ValueError(f"the suite has no section {word!r}")
        wanted |= found
    return [case for case in CASES if case in wanted]


def load(folders: list[Path], agent: str) -> dict[str, Verdict]:
    """The verdicts of all index.json in `folders`. One that was not written has no verdicts."""
    verdicts: dict[str, Verdict] = {}
    for folder in folders:
        index = folder / "index.json"
        results = json.loads(index.read_text()).get(agent, {}) if index.exists() else {}
        for case, result in results.items():
            behavior, close = result["behavior"], result["behaviorClose"]
            code, report = result["remoteCloseCode"], folder / result["reportfile"]
            verdicts[case] = Verdict(case, behavior, close, result["duration"], code, report)
    return verdicts


def judge(cases: list[str], verdicts: dict[str, Verdict]) -> list[Difference]:
    """Everything that is not as required, in the order of `cases`; cases that nobody asked for come last."""
    differences: list[Difference] = []
    for case in cases:
        verdict, must = verdicts.get(case), required(case)
        if verdict is None:
            differences.append(Difference(case, "missing: the case did not run"))
        elif not is_as_required(verdict):
            problem = f"behavior {verdict.behavior}, behaviorClose {verdict.behavior_close}; required {must}"
            differences.append(Difference(case, problem, verdict.report))
    extra = [verdict for case, verdict in verdicts.items() if case not in set(cases)]
    return differences + [Difference(verdict.case, "extra: nobody asked for it", verdict.report) for verdict in extra]


def rows(verdicts: dict[str, Verdict]) -> str:
    """A JSON list with a line for each case, in the suite's order, so that a diff can be read."""
    ordered = sorted(verdicts.values(), key=lambda verdict: [int(number) for number in verdict.case.split(".")])
    return "[\n" + ",\n".join(json.dumps(verdict.row()) for verdict in ordered) + "\n]"


def write_json(file: Path, verdicts: dict[str, Verdict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(rows(verdicts) + "\n")


def conclude(cases: list[str], verdicts: dict[str, Verdict]) -> int:
    """Prints every difference and, last, the count. Returns the exit status."""
    differences = judge(cases, verdicts)
    for difference in differences:
        print(difference)
    failed = len(differences)
    passed = len(cases) - len({difference.case for difference in differences} & set(cases))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not cases else 0
