#!/usr/bin/env python3
"""Tests a client with the Autobahn suite.

    client.py --sections 1-7,10 --jobs 2 -- COMMAND…

COMMAND is called as `COMMAND… URL AGENT`. It asks URL/getCaseCount, echoes on URL/runCase?case=N&agent=AGENT for N from 1
to that count, ends with URL/updateReports?agent=AGENT, and exits with 0. See README.md.
"""

from __future__ import annotations

import re
import time

import options
import suite

REPORTED = re.compile(r"^Report generation complete", re.MULTILINE)


def main() -> int:
    asked = options.parse(__doc__)
    suite.install()
    suite.clear(asked.out)
    began = time.monotonic()
    spec = {"url": "wss://127.0.0.1" if asked.cert else "ws://127.0.0.1"}
    if asked.cert:
        spec |= {"cert": str(asked.cert), "key": str(asked.key)}
    with suite.stopping([]) as processes:
        parts: list[suite.Part] = []
        for job, cases in enumerate(suite.shares(asked.cases, asked.jobs), 1):
            folder = asked.out / str(job)
            fuzzer = suite.start_fuzzer("fuzzingserver", job, cases, folder, spec)
            processes.append(fuzzer)
            url = fuzzer.wait_for(suite.LISTENING, "saying where it listens")[1]
            client = suite.Process(f"client {job}", [*asked.command, url, asked.agent], folder / "client.log")
            processes.append(client)
            parts.append(suite.Part(cases, folder, fuzzer, ending=client, url=url))
        suite.watch(parts, asked.stall, asked.deadline)
        for part in parts:
            if part.ending.status():
                raise suite.Failure(f"{part.ending.name} ended with {part.ending.status()}\n{part.ending.tail()}")
            part.fuzzer.wait_for(REPORTED, "being asked for /updateReports by the client")
    return options.conclude(asked, [part.folder for part in parts], began)


if __name__ == "__main__":
    suite.guarded(main)
