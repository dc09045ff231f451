"""The reports as pages for people: reports/server.html and reports/client.html, each with both transports side by side.

A page is made of the JSON files and of the suite's own words on its cases, and of nothing else: made twice, it is the same.
It needs no other file and no script.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import verdicts
from verdicts import Verdict

if TYPE_CHECKING:
    from reports import Report

TEMPLATE = Path(__file__).resolve().parent / "page.html"
TRANSPORTS = {"ws": "in clear (ws)", "wss": "under TLS (wss)"}
FACTS = {
    "library": "library",
    "src": "git tree of <code>src/</code>",
    "suite": "suite",
    "python": "the suite runs on",
    "openssl": "OpenSSL",
    "stalls": "stalls of the suite",
    "date": "date",
}
MEANINGS = {
    "OK": "What the case expects, in the order in which it expects it.",
    "INFORMATIONAL": "The suite gives no verdict, whatever happens: no RFC says what should.",
    "closing": "A second verdict in every case: the closing handshake was clean, with the right code, and by the right side.",
    "required": "A case is as required if both verdicts are OK, and INFORMATIONAL in the three cases that are so by nature. "
    "NON-STRICT, UNIMPLEMENTED, UNCLEAN, WRONG CODE and FAILED are failures.",
}


def render(side: str, reports: Sequence[Report], described: dict[str, Any]) -> str:
    cases = [case for case in verdicts.CASES if any(case in report.verdicts for report in reports)]
    parts = {
        "title": f"The {side} of {reports[0].head['library']} in the Autobahn suite",
        "summary": "\n".join([result(reports), overview(reports, cases, described), facts(reports), meanings(), informational(reports)]),
        "sections": "\n".join(section(name, reports, cases, described) for name in sections(cases)),
    }
    return Template(TEMPLATE.read_text()).substitute(parts)


def transport(report: Report) -> str:
    return report.head["way"].rsplit("-", 1)[1]


def sections(cases: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(case.split(".")[0] for case in cases))


def within(cases: Sequence[str], section: str) -> list[str]:
    return [case for case in cases if case.startswith(f"{section}.")]


def as_required(report: Report, cases: Sequence[str]) -> int:
    return sum(case in report.verdicts and verdicts.is_as_required(report.verdicts[case]) for case in cases)


def result(reports: Sequence[Report]) -> str:
    """The one sentence for those who read no further."""
    said = []
    for report in reports:
        done, informational = as_required(report, verdicts.CASES), sum(case in report.verdicts for case in verdicts.INFORMATIONAL)
        mark = "ok" if done == len(verdicts.CASES) else "bad"
        said.append(
            f'<p class="result {mark}">{sentence(TRANSPORTS[transport(report)])}: {done} of {len(verdicts.CASES)} cases are as '
            f"required, {informational} of them informational.</p>"
        )
    return "\n".join(said)


def sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def overview(reports: Sequence[Report], cases: Sequence[str], described: dict[str, Any]) -> str:
    head = "".join(f'<th class="number">{transport(report)}: as required</th><th class="number">seconds</th>' for report in reports)
    rows = []
    for name in sections(cases):
        inside = within(cases, name)
        cells = ""
        for report in reports:
            done = as_required(report, inside)
            mark = "ok" if done == len(inside) else "bad"
            spent = sum(report.verdicts[case].duration for case in inside if case in report.verdicts) / 1000
            cells += f'<td class="number {mark}">{done} of {len(inside)}</td><td class="number">{spent:.1f}</td>'
        rows.append(f'<tr><td><a href="#section-{name}">{name} {text(described["sections"][name])}</a></td>{cells}</tr>')
    return (
        '<nav aria-label="Sections"><div class="scroll"><table class="sum"><thead><tr><th>section</th>'
        f"{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div></nav>"
    )


def facts(reports: Sequence[Report]) -> str:
    head = "".join(f"<th>{TRANSPORTS[transport(report)]}</th>" for report in reports)
    rows = []
    for key, name in FACTS.items():
        if any(key in report.head for report in reports):
            cells = "".join(f"<td>{text(fact(report.head.get(key)))}</td>" for report in reports)
            rows.append(f"<tr><th>{name}</th>{cells}</tr>")
    return (
        f'<h2 id="made-from">What was tested, and by what</h2>\n<div class="scroll"><table class="facts"><thead><tr><th></th>{head}</tr>'
        "</thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>"
    )


def fact(value: Any) -> str:
    """A value of a report's head as a reader may want it."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {inner}" for key, inner in value.items())
    if isinstance(value, list):
        return "; ".join(value) or "none"
    return "–" if value is None else str(value)


def meanings() -> str:
    items = "\n".join(f"<dt>{text(word)}</dt><dd>{text(meaning)}</dd>" for word, meaning in MEANINGS.items())
    return f'<h2 id="words">What the words mean</h2>\n<dl>\n{items}\n</dl>'


def informational(reports: Sequence[Report]) -> str:
    rows = []
    for case, reason in verdicts.INFORMATIONAL.items():
        seen = {report.verdicts[case].close_code for report in reports if case in report.verdicts}
        codes = ", ".join(str(code) for code in sorted(seen, key=str))
        cells = "".join(f"<td>{text(word)}</td>" for word in (reason.what, reason.why, reason.ours, codes))
        rows.append(f'<tr><td><a href="#case-{case}">{case}</a></td>{cells}</tr>')
    return (
        '<h2 id="informational">The informational cases</h2>\n<div class="scroll"><table class="reasons"><thead><tr><th>case</th><th>what it does</th>'
        "<th>why there is no verdict</th><th>what we do</th><th>our close code</th></tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def section(name: str, reports: Sequence[Report], cases: Sequence[str], described: dict[str, Any]) -> str:
    inside = within(cases, name)
    groups = dict.fromkeys(case.rsplit(".", 1)[0] for case in inside)
    return "\n".join(
        [f'<section id="section-{name}">', f"<h2>{name} {text(described['sections'][name])}</h2>"]
        + [group(each, [case for case in inside if case.rsplit(".", 1)[0] == each], reports, described) for each in groups]
        + ["</section>"]
    )


def group(name: str, cases: Sequence[str], reports: Sequence[Report], described: dict[str, Any]) -> str:
    """A subsection, or a section that has none."""
    title = f'<h3 id="section-{name}">{name} {text(described["sections"].get(name, ""))}</h3>\n' if "." in name else ""
    outcomes = "".join(f'<th class="outcome">{TRANSPORTS[transport(report)]}</th>' for report in reports)
    rows = []
    for case in cases:
        words = described["cases"][case]
        cells = "".join(outcome(report.verdicts.get(case)) for report in reports)
        rows.append(
            f'<tr id="case-{case}"><th scope="row"><a href="#case-{case}">{case}</a></th><td>{text(words["description"])}</td>'
            f"<td>{text(words['expectation'])}</td>{cells}</tr>"
        )
    return (
        f'{title}<div class="scroll"><table class="cases"><thead><tr><th>case</th><th>what the suite does</th><th>what it expects</th>'
        f"{outcomes}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>"
    )


def outcome(verdict: Verdict | None) -> str:
    if verdict is None:
        return '<td class="failed"><span class="bad">missing</span></td>'
    fine = verdicts.is_as_required(verdict)
    mark = "bad" if not fine else "info" if verdict.case in verdicts.INFORMATIONAL else "ok"
    code = "without a code" if verdict.close_code is None else f"with {verdict.close_code}"
    closing = "" if verdict.behavior_close == verdict.behavior else f"{text(verdict.behavior_close)}, "
    return (
        f'<td{"" if fine else " class=failed"}><span class="{mark}">{text(verdict.behavior)}</span>'
        f"<small>closed {closing}{code}, {verdict.duration} ms</small></td>"
    )


def text(words: str) -> str:
    """The suite's words, which have line breaks and bold letters in HTML, and anything else in plain text."""
    lines = re.split(r"\s*<br>\s*", re.sub(r"</?b>", "", words.strip()))
    return "<br>".join(html.escape(" ".join(line.split()), quote=False) for line in lines)
