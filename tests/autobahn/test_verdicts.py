"""The judge, judged: `python3 -m unittest discover tests/autobahn`."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
from collections import Counter
from dataclasses import replace
from pathlib import Path

import verdicts
from verdicts import Verdict

QUICK = verdicts.select("1-7,10")


def perfect(cases: list[str]) -> dict[str, Verdict]:
    return {case: Verdict(case, verdicts.required(case), verdicts.required(case)) for case in cases}


class Cases(unittest.TestCase):
    def test_sections_have_their_numbers_of_cases(self) -> None:
        sections = Counter(int(case.split(".")[0]) for case in verdicts.CASES)
        self.assertEqual(sections, {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126})
        self.assertEqual(len(set(verdicts.CASES)), 517)

    def test_a_choice_of_sections(self) -> None:
        self.assertEqual(len(QUICK), 247)
        self.assertEqual(len(verdicts.select("9")), 54)
        self.assertEqual(len(verdicts.select("1-7,9,10")), 301)
        self.assertEqual(len(verdicts.select("12,13")), 216)

    def test_a_choice_of_cases_keeps_the_order_and_names_each_once(self) -> None:
        self.assertEqual(verdicts.select("7.1.6,3.1,3.1"), ["3.1", "7.1.6"])
        self.assertEqual(verdicts.select("9.1"), [f"9.1.{n}" for n in range(1, 7)])

    def test_the_sample_meets_every_subsection_of_compression(self) -> None:
        sample = verdicts.select("sample")
        compression = verdicts.select("12,13")
        self.assertLess(set(sample), set(compression))
        self.assertEqual({case.rsplit(".", 1)[0] for case in sample}, {case.rsplit(".", 1)[0] for case in compression})

    def test_an_unknown_section_is_an_error(self) -> None:
        for sections in ("8", "1.1.9", "1-7,", "9.*", ""):
            with self.subTest(sections), self.assertRaises(ValueError):
                verdicts.select(sections)


class Judgement(unittest.TestCase):
    def problems(self, results: dict[str, Verdict]) -> dict[str, str]:
        return {difference.case: difference.problem for difference in verdicts.judge(QUICK, results)}

    def with_result(self, case: str, behavior: str, close: str) -> dict[str, str]:
        return self.problems(perfect(QUICK) | {case: Verdict(case, behavior, close)})

    def test_all_as_required(self) -> None:
        self.assertEqual(self.problems(perfect(QUICK)), {})

    def test_behavior(self) -> None:
        for behavior in ("NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED", "WRONG CODE", "UNCLEAN"):
            with self.subTest(behavior):
                problems = self.with_result("6.4.3", behavior, "OK")
                self.assertEqual(problems, {"6.4.3": f"behavior {behavior}, behaviorClose OK; required OK"})

    def test_behavior_close(self) -> None:
        for close in ("UNCLEAN", "WRONG CODE", "FAILED", "FAILED BY CLIENT", "INFORMATIONAL"):
            with self.subTest(close):
                problems = self.with_result("7.3.1", "OK", close)
                self.assertEqual(problems, {"7.3.1": f"behavior OK, behaviorClose {close}; required OK"})

    def test_the_three_informational_cases_are_just_that(self) -> None:
        self.assertEqual(set(verdicts.INFORMATIONAL), {"7.1.6", "7.13.1", "7.13.2"})
        for case in verdicts.INFORMATIONAL:
            with self.subTest(case):
                self.assertEqual(list(self.with_result(case, "OK", "OK")), [case])
                self.assertEqual(list(self.with_result(case, "INFORMATIONAL", "FAILED")), [case])

    def test_a_missing_case(self) -> None:
        results = perfect(QUICK)
        del results["10.1.1"]
        self.assertEqual(self.problems(results), {"10.1.1": "missing: the case did not run"})

    def test_an_extra_case(self) -> None:
        self.assertEqual(self.problems(perfect([*QUICK, "9.1.1"])), {"9.1.1": "extra: nobody asked for it"})
        self.assertEqual(self.problems(perfect([*QUICK, "1.3.1"])), {"1.3.1": "extra: nobody asked for it"})

    def test_nothing_ran(self) -> None:
        self.assertEqual(len(self.problems({})), 247)


class Conclusion(unittest.TestCase):
    def conclude(self, cases: list[str], results: dict[str, Verdict]) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = verdicts.conclude(cases, results)
        return status, printed.getvalue().splitlines()[-1]

    def test_passed(self) -> None:
        self.assertEqual(self.conclude(QUICK, perfect(QUICK)), (0, "247 passed, 0 failed"))

    def test_failed(self) -> None:
        results = perfect([*QUICK, "9.1.1"])
        del results["1.1.1"]
        results["1.1.2"] = replace(results["1.1.2"], behavior="NON-STRICT")
        self.assertEqual(self.conclude(QUICK, results), (1, "245 passed, 3 failed"))

    def test_no_cases_are_no_success(self) -> None:
        self.assertEqual(self.conclude([], {}), (1, "0 passed, 0 failed"))


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def part(self, name: str, agent: str, case: str, behavior: str) -> Path:
        part = self.folder / name
        part.mkdir()
        result = {"behavior": behavior, "behaviorClose": "OK", "remoteCloseCode": 1000, "duration": 5}
        result["reportfile"] = "case.json"
        (part / "index.json").write_text(json.dumps({agent: {case: result}}))
        details = {"expectation": "A <b>Pong</b>.", "result": "None came.", "resultClose": "Ok.", "remoteCloseCode": 1000}
        (part / "case.json").write_text(json.dumps(details))
        return part

    def test_parts_are_joined_and_only_the_agent_counts(self) -> None:
        parts = [self.part("1", "we", "1.1.1", "OK"), self.part("2", "we", "1.1.2", "FAILED")]
        parts += [self.part("3", "they", "1.1.3", "OK"), self.folder / "not written"]
        results = verdicts.load(parts, "we")
        self.assertEqual({case: v.behavior for case, v in results.items()}, {"1.1.1": "OK", "1.1.2": "FAILED"})

        (difference,) = verdicts.judge(["1.1.1", "1.1.2"], results)
        self.assertIn("expected: A Pong .", str(difference))
        self.assertIn("result: None came.", str(difference))
        self.assertIn("closing: Ok. (close code received: 1000)", str(difference))
        self.assertIn("report: ", str(difference))

    def test_the_summary(self) -> None:
        file = self.folder / "new" / "summary.json"
        verdicts.write_json(file, {"10.1.1": Verdict("10.1.1", "OK", "OK", 7, 1000), "9.1.1": Verdict("9.1.1", "OK", "UNCLEAN")})
        self.assertEqual(
            json.loads(file.read_text()),
            [
                {"case": "9.1.1", "behavior": "OK", "behaviorClose": "UNCLEAN", "closeCode": None, "duration": 0},
                {"case": "10.1.1", "behavior": "OK", "behaviorClose": "OK", "closeCode": 1000, "duration": 7},
            ],
        )


if __name__ == "__main__":
    unittest.main()
