"""The check of the committed reports, checked: `python3 -m unittest discover tests/autobahn`."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import tempfile
import unittest
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import conformance
import full
import pages
import reports
import verdicts
import ways
from reports import Report
from verdicts import Verdict

SUITE = "autobahntestsuite 1.2.3"
TREE = "a" * 40
DESCRIBED = {
    "suite": SUITE,
    "sections": {case.split(".")[0]: "a section" for case in verdicts.CASES},
    "cases": {case: {"description": "<b>Send</b> <&>.<br>Twice.", "expectation": f"An echo, {case}."} for case in verdicts.CASES},
}


def perfect(way: ways.Way) -> Report:
    head = {"way": way.name, "date": "2026-01-01", "library": "we 1.0", "src": TREE, "suite": SUITE, "python": "2"}
    head |= ({"openssl": {"library": "3", "suite": "1.1"}} if way.tls else {}) | {"stalls": []}
    results = {}
    for case in verdicts.CASES:
        reason, must = verdicts.INFORMATIONAL.get(case), verdicts.required(case)
        results[case] = Verdict(case, must, must, 5, reason.close_code if reason else 1000)
    return Report(head, results)


class Reports(unittest.TestCase):
    """A folder of four reports, the pages and the document, all of them right."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.document = self.folder / "conformance.md"
        self.document.write_text(f"# Before\n\n{conformance.BEGIN}\n{conformance.END}\n\nAfter.\n")
        for way in ways.ALL:
            self.put(way, perfect(way))
        reports.write(self.folder, self.document, DESCRIBED, ways.ALL)

    def put(self, way: ways.Way, report: Report) -> None:
        reports.file(self.folder, way).write_text(report.text())

    def check(self) -> reports.Findings:
        return reports.check(self.folder, self.document, TREE, DESCRIBED, ways.ALL, verdicts.CASES)

    def problems(self) -> dict[str, list[str]]:
        return {name: problems for name, problems in self.check().problems.items() if problems}

    def problem(self, way: str = "server-ws") -> str:
        """The problem that a broken report is to have. What is made from the reports is then wrong, too."""
        problems = self.problems()
        self.assertEqual(list(problems), [f"autobahn-{way}.json", "server.html", "client.html", "conformance.md"])
        (problem,) = problems[f"autobahn-{way}.json"]
        return problem

    def with_verdict(self, case: str, **changes: object) -> str:
        report = perfect(ways.ALL[0])
        report.verdicts[case] = replace(report.verdicts[case], **changes)
        self.put(ways.ALL[0], report)
        return self.problem()


class Check(Reports):
    def test_all_is_right(self) -> None:
        findings = self.check()
        self.assertEqual(list(findings.problems), [f"autobahn-{way.name}.json" for way in ways.ALL] + ["server.html", "client.html", "conformance.md"])
        self.assertEqual((self.problems(), findings.notes), ({}, []))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(findings.conclude(), 0)
        self.assertEqual(said.getvalue(), "7 passed, 0 failed\n")

    def test_bad_verdicts(self) -> None:
        for bad in ("FAILED", "WRONG CODE", "UNCLEAN", "NON-STRICT", "UNIMPLEMENTED", "INFORMATIONAL"):
            with self.subTest(bad):
                self.assertIn(f"12.1.1: behavior {bad}", self.with_verdict("12.1.1", behavior=bad))
                self.assertIn(f"behaviorClose {bad}", self.with_verdict("3.2", behavior_close=bad))

    def test_the_informational_cases(self) -> None:
        self.assertIn("required INFORMATIONAL", self.with_verdict("7.1.6", behavior="OK"))
        self.assertIn("closed with 1011, and verdicts.py says that we send 1002", self.with_verdict("7.13.2", close_code=1011))

    def test_a_case_is_missing(self) -> None:
        report = perfect(ways.ALL[3])
        del report.verdicts["13.7.18"]
        self.put(ways.ALL[3], report)
        self.assertEqual(self.problem("client-wss"), "13.7.18: missing: the case did not run")

    def test_a_case_is_one_too_many_or_twice(self) -> None:
        report = perfect(ways.ALL[0])
        self.put(ways.ALL[0], Report(report.head, report.verdicts | {"9.9.1": Verdict("9.9.1", "OK", "OK")}))
        self.assertIn("nobody asked for it", self.problem())
        found = json.loads(perfect(ways.ALL[0]).text())
        reports.file(self.folder, ways.ALL[0]).write_text(json.dumps(found | {"cases": [*found["cases"], found["cases"][0]]}))
        self.assertEqual(self.problem(), "a case stands in it twice")

    def test_a_way_is_missing(self) -> None:
        for way in ways.ALL:
            with self.subTest(way.name):
                reports.file(self.folder, way).unlink()
                self.assertEqual(self.problem(way.name), "the report is missing")
                self.put(way, perfect(way))

    def test_no_report_at_all(self) -> None:
        for way in ways.ALL:
            reports.file(self.folder, way).unlink()
        self.assertEqual(len(self.problems()), 5)

    def test_a_way_that_there_is_not(self) -> None:
        (self.folder / "autobahn-proxy-ws.json").write_text("{}")
        self.assertEqual(self.problems(), {"autobahn-proxy-ws.json": ["a report of no way that there is"]})

    def test_a_report_under_another_name(self) -> None:
        self.put(ways.ALL[0], perfect(ways.ALL[2]))
        self.assertEqual(self.problem(), "it is the report of client-ws")

    def test_files_that_are_no_reports(self) -> None:
        whole = perfect(ways.ALL[0]).text()
        for broken in ("", "[]", "{}", whole[:5000], whole.replace('"behaviorClose"', '"close"'), whole.replace('"date"', '"day"')):
            with self.subTest(broken[:40]):
                reports.file(self.folder, ways.ALL[0]).write_text(broken)
                self.assertRegex(self.problem(), "not a report|its head has")

    def test_reports_of_different_runs(self) -> None:
        report = perfect(ways.ALL[1])
        self.put(ways.ALL[1], Report(report.head | {"src": "b" * 40}, report.verdicts))
        self.assertEqual(self.problem("server-wss"), "another src than in server-ws: the reports are of different runs")

    def test_another_suite(self) -> None:
        findings = reports.check(self.folder, self.document, TREE, DESCRIBED | {"suite": "autobahntestsuite 2"}, ways.ALL, verdicts.CASES)
        self.assertEqual(findings.problems["autobahn-client-ws.json"], [f"made by {SUITE}, and the suite is autobahntestsuite 2"])

    def test_other_sources_are_a_note_and_no_failure(self) -> None:
        findings = reports.check(self.folder, self.document, "c" * 40, DESCRIBED, ways.ALL, verdicts.CASES)
        (note,) = findings.notes
        self.assertIn(f"{TREE} of src/, and src/ is now {'c' * 40}", note)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(findings.conclude(), 0)
        self.assertIn(note, said.getvalue())

    def test_a_way_that_is_not_run_yet_is_told(self) -> None:
        findings = reports.check(self.folder, self.document, TREE, DESCRIBED, ways.ALL[:3], verdicts.CASES)
        (note,) = findings.notes
        self.assertIn("is not run, and no report is asked for, in client-wss", note)

    def test_what_is_made_from_the_reports_is_not_changed_by_hand(self) -> None:
        for name in ("server.html", "client.html", "conformance.md"):
            with self.subTest(name):
                file = self.folder / name
                before = file.read_text()
                file.write_text(before.replace("INFORMATIONAL", "WELL", 1))
                self.assertEqual(list(self.problems()), [name])
                file.unlink()
                self.assertEqual(list(self.problems()), [name])
                file.write_text(before)

    def test_pages_of_older_reports(self) -> None:
        report = perfect(ways.ALL[1])
        self.put(ways.ALL[1], Report(report.head | {"date": "2026-02-02"}, report.verdicts))
        self.assertEqual(list(self.problems()), ["server.html"])

    def test_a_document_without_the_marks(self) -> None:
        self.document.write_text("nothing")
        self.assertEqual(list(self.problems()), ["conformance.md"])


class Made(Reports):
    def test_a_report_has_a_line_for_each_case(self) -> None:
        text = reports.file(self.folder, ways.ALL[0]).read_text()
        self.assertEqual(len(re.findall(r'^\{"case": ', text, re.M)), 517)
        self.assertEqual(reports.read(reports.file(self.folder, ways.ALL[0]), ways.ALL[0]), perfect(ways.ALL[0]))

    def test_the_page_has_an_anchor_for_each_case_and_every_link_has_one(self) -> None:
        found = Tags((self.folder / "client.html").read_text())
        self.assertLess(set(f"case-{case}" for case in verdicts.CASES), set(found.ids))
        self.assertEqual(len(found.ids), len(set(found.ids)))
        self.assertTrue(all(link.startswith("#") for link in found.links))
        self.assertLessEqual({link[1:] for link in found.links}, set(found.ids))
        self.assertEqual(found.unclosed, [])
        self.assertNotIn("script", found.seen)

    def test_the_page_speaks_of_both_transports_and_escapes_the_suites_words(self) -> None:
        text = (self.folder / "server.html").read_text()
        self.assertIn("In clear (ws): 517 of 517 cases are as required, 3 of them informational.", text)
        self.assertIn("Under TLS (wss): 517 of 517", text)
        self.assertIn("Send &lt;&amp;&gt;.<br>Twice.", text)

    def test_the_page_shows_what_is_not_as_required(self) -> None:
        report = perfect(ways.ALL[0])
        report.verdicts["1.1.1"] = Verdict("1.1.1", "OK", "UNCLEAN", 5, None)
        del report.verdicts["1.1.2"]
        text = pages.render("server", [report], DESCRIBED)
        self.assertIn('<p class="result bad">In clear (ws): 515 of 517', text)
        self.assertIn('<td class=failed><span class="bad">OK</span><small>closed UNCLEAN, without a code, 5 ms</small></td>', text)

    def test_the_document_keeps_the_rest_of_itself(self) -> None:
        text = self.document.read_text()
        self.assertTrue(text.startswith("# Before\n\n<!--") and text.endswith("-->\n\nAfter.\n"))
        self.assertIn("| OK | 514 | 514 | 514 | 514 | 289 | 290 |", text)
        self.assertIn("| all | 517 | 517 | 517 | 517 | 355 | 355 |", text)

    def test_a_verdict_of_a_kind_that_nobody_has_seen(self) -> None:
        report = perfect(ways.ALL[0])
        report.verdicts["1.1.1"] = Verdict("1.1.1", "OK", "FAILED BY CLIENT")
        self.assertIn("| FAILED BY CLIENT | 1 | 0 | 0 |", conformance.block([report]))


class Tags(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.unclosed: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "br"):
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.unclosed or self.unclosed.pop() != tag:
            raise AssertionError(f"</{tag}> closes nothing")


class Committed(unittest.TestCase):
    """The reports that stand in the repository."""

    def test_t20_all_cases_are_as_strict_as_can_be_in_all_four_ways(self) -> None:
        for way in ways.ALL:
            with self.subTest(way.name):
                found = reports.read(reports.file(reports.FOLDER, way), way).verdicts
                self.assertEqual(sorted(found), sorted(verdicts.CASES))
                self.assertEqual({case.split(".")[0] for case in found}, {*map(str, range(1, 11)), "12", "13"} - {"8"})
                strict = [case for case, verdict in found.items() if verdict.behavior == verdict.behavior_close == "OK"]
                others = sorted(found.keys() - set(strict))
                print(f"t20: {way.name}: {len(strict)} of {len(found)} OK, none non-strict; {', '.join(others)}: {found[others[0]].behavior}")
                self.assertEqual(others, sorted(verdicts.INFORMATIONAL))
                self.assertEqual({found[case].behavior for case in others}, {"INFORMATIONAL"})


class Sources(unittest.TestCase):
    def test_the_tree_is_the_one_that_git_knows(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in ("src/a.rs", "src/a/mod.rs", "src/a-b.rs", "src/run"):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(file)
            (folder / "src/run").chmod(0o755)
            git = ["git", "-c", "user.name=n", "-c", "user.email=n@localhost", "-C", name]
            for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
                subprocess.run([*git, *words], check=True)
            known = subprocess.run([*git, "rev-parse", "HEAD:src"], check=True, capture_output=True, text=True).stdout.strip()
            self.assertEqual(reports.tree(folder / "src"), known)
            (folder / "src/a.rs").write_text("changed")
            self.assertNotEqual(reports.tree(folder / "src"), known)


class Pieces(unittest.TestCase):
    def test_together_they_are_all_cases(self) -> None:
        pieces = full.sections(verdicts.CASES)
        cases = [case for piece in pieces for case in verdicts.select(piece)]
        self.assertEqual(sorted(cases), sorted(verdicts.CASES))

    def test_a_piece_is_done_if_it_was_run_with_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            piece = full.Piece(ways.ALL[0], "9", Path(name), {"program": "1"}, stalls=["9, attempt 1"])
            self.assertFalse(piece.is_done())
            piece.finish()
            again = replace(piece, stalls=[])
            self.assertTrue(again.is_done())
            self.assertEqual(again.stalls, ["9, attempt 1"])
            self.assertFalse(replace(piece, recipe={"program": "2"}).is_done())


class Ends(unittest.TestCase):
    """What becomes of a piece when its run has ended."""

    def settle(self, status: int, said: str, times: int = 1) -> tuple[list[bool], full.Piece]:
        with tempfile.TemporaryDirectory() as name:
            piece = full.Piece(ways.ALL[0], "12.1", Path(name), {})
            process = Ended(status, said)
            again = [full.settle(piece, process) for _ in range(times)]
            piece.failure = "done" if piece.stamp.exists() else piece.failure
            return again, piece

    def test_verdicts_good_and_bad_are_an_end(self) -> None:
        for status, said in ((0, "18 passed, 0 failed\n"), (1, "12.1.3: FAILED\n17 passed, 1 failed\n")):
            again, piece = self.settle(status, said)
            self.assertEqual((again, piece.failure, piece.stalls), ([False], "done", []))

    def test_a_stall_of_the_suite_is_run_again_once(self) -> None:
        said = "autobahn: wstest 1 hangs: case 12.1.15 has lasted 600 s\n"
        again, piece = self.settle(3, said)
        self.assertEqual((again, piece.failure, piece.stalls), ([True], None, ["12.1, attempt 1: case 12.1.15"]))
        again, piece = self.settle(3, said, times=2)
        self.assertEqual((again, piece.failure, len(piece.stalls)), ([True, False], "the tail", 2))

    def test_any_other_end_is_a_failure(self) -> None:
        for status, said in ((1, "autobahn: the peer of wstest 1 hangs: case 1.1.1 has lasted 600 s\n"), (1, ""), (-9, "half")):
            again, piece = self.settle(status, said)
            self.assertEqual((again, piece.failure, piece.stalls), ([False], "the tail", []))


@dataclass
class Ended:
    """A process that has ended."""

    code: int
    said: str

    def status(self) -> int:
        return self.code

    def output(self) -> str:
        return self.said

    def tail(self) -> str:
        return "the tail"


if __name__ == "__main__":
    unittest.main()
