#!/usr/bin/env python3
"""Tests a server with the Autobahn suite.

    server.py --sections 1-7,10 --jobs 2 -- COMMAND…

COMMAND is a server which echoes, and prints one line, flushed, as soon as it accepts connections:

    listening on ws://127.0.0.1:PORT

With --wss it is tested where it says `listening on wss://127.0.0.1:PORT`, which may be beside the other.
"""

from __future__ import annotations

import re
import time

import options
import suite


def main() -> int:
    asked = options.parse(__doc__)
    suite.install()
    suite.clear(asked.out)
    began = time.monotonic()
    with suite.stopping([]) as processes:
        server = suite.Process("the server", asked.command, asked.out / "server.log")
        processes.append(server)
        scheme = "wss" if asked.wss else "ws"
        listening = re.compile(rf"^listening on ({scheme}://\S+)$", re.MULTILINE)
        url = server.wait_for(listening, f"the line `listening on {scheme}://IP:PORT`")[1]
        spec = {"servers": [{"agent": asked.agent, "url": url}]}
        parts: list[suite.Part] = []
        for job, cases in enumerate(suite.shares(asked.cases, asked.jobs), 1):
            folder = asked.out / str(job)
            fuzzer = suite.start_fuzzer("fuzzingclient", job, cases, folder, spec)
            processes.append(fuzzer)
            parts.append(suite.Part(cases, folder, fuzzer, ending=fuzzer, url=url))
        suite.watch(parts, asked.stall, asked.deadline)
        for part in parts:
            if part.fuzzer.status():
                raise suite.Failure(f"{part.fuzzer.name} ended with {part.fuzzer.status()}\n{part.fuzzer.tail()}")
        if server.status() is not None:
            print(f"the server ended with {server.status()} during the run\n{server.tail()}")
    return options.conclude(asked, [part.folder for part in parts], began)


if __name__ == "__main__":
    suite.guarded(main)
