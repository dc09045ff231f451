"""What is read from wrk, and what is made of it."""

import unittest

import wrk
from wrk import Figures

TOLD = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.00ms  100.00us   2.00ms   90.00%
  50000 requests in 1.25s, 10.00MB read
Requests/sec:  40000.00
"""


class Wrk(unittest.TestCase):
    def test_a_run(self) -> None:
        self.assertEqual(wrk.parsed(TOLD), (50000, 1.25))
        self.assertEqual(wrk.parsed(TOLD.replace("1.25s", "2.00m")), (50000, 120.0))

    def test_what_went_wrong_is_no_figure(self) -> None:
        for more in ("  Socket errors: connect 0, read 1, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 7\n"):
            with self.assertRaisesRegex(RuntimeError, more.strip().split(":")[0]):
                wrk.parsed(TOLD + more)
        with self.assertRaises(RuntimeError):
            wrk.parsed("unable to connect")

    def test_ratios_are_taken_round_by_round(self) -> None:
        rounds = [(Figures(200, 1), Figures(100, 2)), (Figures(30, 1), Figures(10, 1)), (Figures(100, 1), Figures(100, 1))]
        told = wrk.render(("ours", "theirs"), {16: rounds}, ["How."])
        self.assertIn("| 16 | requests/s | 100 | 100 | 2.00 (1.00–3.00) |", told)
        self.assertIn("| 16 | CPU per request, µs | 1.00 | 1.00 | 1.00 (0.50–1.00) |", told)


if __name__ == "__main__":
    unittest.main()
