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

INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
CASES = (Path(__file__).resolve().parent / "cases.txt").read_text().split()


@dataclass(frozen=True)
class Verdict:
    """A case's result, as the suite's index.json has it, and what its own report adds."""

    case: str
    behavior: str
    behavior_close: str
    duration: int = 0
    report: Path | None = None


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


def select(sections: str) -> list[str]:
    """The cases of `1-7,10` or `9.1,9.2` or `7.1.6`, in the suite's order. Each word must name something."""
    wanted: set[str] = set()
    for word in sections.split(","):
        if match := re.fullmatch(r"(\d+)-(\d+)", word):
            first, last = (int(number) for number in match.groups())
            found = {case for case in CASES if first <= int(case.split(".")[0]) <= last}
        else:
            found = {case for case in CASES if f"{case}.".startswith(f"{word}.")}
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
            verdicts[case] = Verdict(case, behavior, close, result["duration"], folder / result["reportfile"])
    return verdicts


def judge(cases: list[str], verdicts: dict[str, Verdict]) -> list[Difference]:
    """Everything that is not as required, in the order of `cases`; cases that nobody asked for come last."""
    differences: list[Difference] = []
    for case in cases:
        verdict, must = verdicts.get(case), required(case)
        if verdict is None:
            differences.append(Difference(case, "missing: the case did not run"))
        elif (verdict.behavior, verdict.behavior_close) != (must, must):
            problem = f"behavior {verdict.behavior}, behaviorClose {verdict.behavior_close}; required {must}"
            differences.append(Difference(case, problem, verdict.report))
    extra = [verdict for case, verdict in verdicts.items() if case not in set(cases)]
    return differences + [Difference(verdict.case, "extra: nobody asked for it", verdict.report) for verdict in extra]


def write_json(file: Path, verdicts: dict[str, Verdict]) -> None:
    rows = [
        {"case": v.case, "behavior": v.behavior, "behaviorClose": v.behavior_close, "duration": v.duration}
        for v in sorted(verdicts.values(), key=lambda v: [int(number) for number in v.case.split(".")])
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def conclude(cases: list[str], verdicts: dict[str, Verdict]) -> int:
    """Prints every difference and, last, the count. Returns the exit status."""
    differences = judge(cases, verdicts)
    for difference in differences:
        print(difference)
    failed = len(differences)
    passed = len(cases) - len({difference.case for difference in differences} & set(cases))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not cases else 0
