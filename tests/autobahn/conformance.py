"""The part of docs/conformance.md that comes from the reports, between two marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import verdicts

if TYPE_CHECKING:
    from reports import Report

BEGIN = "<!-- From the reports, by tests/autobahn/reports.py -->"
END = "<!-- End of what comes from the reports -->"

#: The two reports in the repository of SprayWebSockets: suite 0.5.6 and 0.6.5, 355 cases each.
SEED = {
    "SprayWebSockets, server": Counter({"OK": 289, "NON-STRICT": 9, "INFORMATIONAL": 3, "FAILED": 4, "UNIMPLEMENTED": 50}),
    "SprayWebSockets, client": Counter(
        {"OK": 290, "NON-STRICT": 8, "INFORMATIONAL": 3, "FAILED": 4, "UNIMPLEMENTED": 49, "missing": 1}
    ),
}
NAMES = {"server-ws": "server", "server-wss": "server, TLS", "client-ws": "client", "client-wss": "client, TLS"}
COLUMNS = ["OK", "INFORMATIONAL", "NON-STRICT", "FAILED", "UNIMPLEMENTED", "missing"]


class Broken(Exception):
    """The document has no place for it."""


def count(report: Report) -> Counter[str]:
    """How many cases came to what. Where the messages were right, and the close was not, it is the close that counts."""
    counts: Counter[str] = Counter()
    for verdict in report.verdicts.values():
        counts[verdict.behavior_close if verdict.behavior == "OK" else verdict.behavior] += 1
    return counts


def block(reports: Sequence[Report]) -> str:
    columns = {NAMES[report.head["way"]]: count(report) for report in reports}
    others = sorted({outcome for counts in columns.values() for outcome in counts} - set(COLUMNS))
    lines = [
        BEGIN,
        f"Made by `{reports[0].head['suite']}` from {reports[0].head['library']}, tree `{reports[0].head['src']}` of `src/`.",
        "",
        table(["", *columns, *SEED]),
        table(["---", *("---:" for _ in [*columns, *SEED])]),
        *(
            table([outcome, *(str(counts[outcome]) for counts in [*columns.values(), *SEED.values()])])
            for outcome in [*COLUMNS, *others]
        ),
        table(["all", *(str(counts.total()) for counts in [*columns.values(), *SEED.values()])]),
        "",
        table(["case", "what it does", "why there is no verdict", "what we do"]),
        table(["---"] * 4),
        *(table([case, reason.what, reason.why, reason.ours]) for case, reason in verdicts.INFORMATIONAL.items()),
        END,
    ]
    return "\n".join(lines)


def table(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def insert(document: str, reports: Sequence[Report]) -> str:
    """The document with its part anew."""
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        raise Broken("the document has not the two marks between which the numbers of the reports stand")
    before, rest = document.split(BEGIN)
    return before + block(reports) + rest.split(END)[1]
