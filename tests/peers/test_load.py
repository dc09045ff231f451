"""`wrk` and `h2load` against `echo`: not how fast, but that every request is answered, and with 200."""

from __future__ import annotations

import re
import subprocess

from support import EchoTest, twice


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@twice
class Load(EchoTest):
    def test_wrk(self) -> None:
        for path in ("/", "/chunked"):
            with self.subTest(path=path):
                told = said("wrk", "--threads", "1", "--connections", "16", "--duration", "1s", "--timeout", "20s", self.echo.http + path)
                # What it has nothing to say of has not happened.
                self.assertNotIn("Non-2xx", told)
                self.assertNotIn("Socket errors", told)
                self.assertGreater(int(re.search(r"(\d+) requests in ", told)[1]), 16, told)

    def test_h2load(self) -> None:
        for path, in_flight in (("/", 1), ("/chunked", 1), ("/", 16)):
            with self.subTest(path=path, in_flight=in_flight):
                told = said(
                    *("h2load", "--h1", "--requests", "2000", "--clients", "16", "--max-concurrent-streams", str(in_flight)),
                    self.echo.http + path,
                )
                self.assertIn("2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout", told)
                self.assertIn("2000 2xx, 0 3xx, 0 4xx, 0 5xx", told)
