"""The report maker, by figures that are made up."""

from __future__ import annotations

import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import plots
import report
from scenarios import BY_NAME, ECHO, SCENARIOS
from servers import SERVERS

MACHINE = dict.fromkeys(("processor", "kernel", "rustc", "commit", "settings", "descriptors"), "x")


def measured(rate: float, cpu: float, **more: object) -> dict:
    return {"msgs_per_s": rate, "server_us_per_msg": cpu, "p50_us": 10, "p99_us": 20, "server_cpu": 1.0, "others": 0.0} | more


class Figures(unittest.TestCase):
    def test_median_of_the_quiet_ones(self) -> None:
        rows = [measured(100, 1), measured(110, 2), measured(120, 3), measured(900, 9, others=0.5), {"failed": "gone", "others": 0.0}]
        got = report.figures(rows)
        self.assertEqual((got.rate, got.cpu), (110, 2))
        self.assertAlmostEqual(got.spread or 0, 20 / 110)

    def test_loud_ones_if_there_are_no_others(self) -> None:
        self.assertEqual(report.figures([measured(100, 1, others=0.5)]).rate, 100)

    def test_nothing_of_what_failed(self) -> None:
        self.assertIsNone(report.figures([{"failed": "gone"}]).rate)

    def test_best_rust_is_neither_ours_nor_the_limit(self) -> None:
        results = {"actix-sockets": 9, "limit": 8, "uwebsockets": 7, "fastwebsockets": 3, "axum": 2}
        of = report.all_figures({name: [measured(rate, 1 / rate)] for name, rate in results.items()})
        self.assertEqual((report.best_rust(of, "rate"), report.best_rust(of, "cpu")), (3, 1 / 3))

    def test_equal(self) -> None:
        self.assertEqual([report.shown_ratio(v) for v in (1.0, 1.049, 0.951, 1.06, 0.94, None)], ["= 1.00", "= 1.05", "= 0.95", "1.06", "0.94", "–"])


class Targets(unittest.TestCase):
    def run_of(self, ours: dict, rust: dict) -> list[report.Target]:
        return report.targets({"small-1": {"actix-sockets": [ours], "fastwebsockets": [rust]}})

    def test_met_within_the_tolerance(self) -> None:
        self.assertEqual([t.met for t in self.run_of(measured(96, 1.04), measured(100, 1))], [True, True])

    def test_missed_beyond_it(self) -> None:
        self.assertEqual([t.met for t in self.run_of(measured(94, 1.06), measured(100, 1))], [False, False])

    def test_none_of_what_was_not_measured(self) -> None:
        self.assertEqual(report.targets({"mid": {"limit": [measured(1, 1)]}}), [])

    def test_two_workers(self) -> None:
        [got] = report.targets({"workers-1": {"actix-sockets": [measured(9, 1.0)]}, "workers-2": {"actix-sockets": [measured(9, 1.1)]}})
        self.assertEqual((got.got, got.met), ("1.82", True))

    def test_memory_is_flat(self) -> None:
        of = {f"idle-{n}": {"actix-sockets": [{"bytes_per_conn": b}]} for n, b in ((1000, 3000), (15000, 3300))}
        self.assertEqual([t.met for t in report.targets(of)], [True, True, False])


class Rendered(unittest.TestCase):
    def test_every_scenario(self) -> None:
        everything = {}
        for scenario in SCENARIOS:
            names = [s.name for s in SERVERS if scenario.role in s.roles and (not scenario.only or s.name in scenario.only)]
            self.assertTrue(names, scenario.name)
            one = {"bytes_per_conn": 4096.0} if scenario.idle else measured(1000, 0.5)
            everything[scenario.name] = {name: [one, one] for name in names}
        everything["mid"]["axum"].append({"failed": "no echo", "others": 0.3})
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            text = report.render({"machine": MACHINE, "scenarios": everything, "unbuilt": {"yawc": "no compiler"}}, "limit", folder)
            for picture in folder.glob("*.svg"):
                ElementTree.parse(picture)
                self.assertIn(f"({picture.name})", text)
            self.assertGreater(len(list(folder.glob("*.svg"))), 12)
        for line in ("- **Not built: yawc**: no compiler", "- axum: 1 of 3 measurements failed: no echo", "## small-1", "## in-flight"):
            self.assertIn(line, text)
        self.assertIn("0 not", text)

    def test_tables_are_straight(self) -> None:
        lines = report.scenario_table(BY_NAME["mid"], {"limit": [measured(5, 1)], "actix-sockets-inline": [measured(4, 1.3)]}, "limit")
        self.assertEqual(len({len(line) for line in lines}), 1)
        self.assertIn("limit", lines[2])

    def test_outliers_are_cut(self) -> None:
        picture = plots.bars("t", [("a<b", "ours", 1), ("c", "rust", 1.1), ("d", "rust", 50)])
        self.assertIn("50 →", picture)
        ElementTree.fromstring(picture)


class Table(unittest.TestCase):
    def test_roles_and_names(self) -> None:
        self.assertEqual(len({s.name for s in SERVERS}), len(SERVERS))
        for server in SERVERS:
            self.assertEqual(server.roles.keys(), server.builds.keys())
        self.assertTrue(all(BY_NAME[name].role == "echo" for name in ECHO))


if __name__ == "__main__":
    unittest.main()
