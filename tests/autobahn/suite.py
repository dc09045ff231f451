"""The suite as a process, and its peer as another: what server.py and client.py share.

Every process has a group of its own, which ends with the run whatever way that ends, and writes into a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1] / "target" / "autobahn"
SITE = HOME / "site"
PYPY = HOME / "debian" / "usr" / "bin" / "pypy"

#: The exit code of a run that the suite itself has kept from its end.
STALLED = 3

LISTENING = re.compile(r"^listening on (wss?://\S+)$", re.MULTILINE)
RUNNING = re.compile(r"^Running test case ID (\S+) ", re.MULTILINE)


class Failure(Exception):
    """The run itself went wrong, whatever the cases say."""


class Stalled(Failure):
    """The suite went on for ever, while its peer was well."""


def guarded(main: Callable[[], int | None]) -> None:
    """Runs `main` so that every `finally` is reached on a signal, and a failure is one message."""

    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def interrupted(number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # a second one must not cut the cleaning up short
        raise SystemExit(128 + number)

    for number in signals:
        signal.signal(number, interrupted)
    try:
        sys.exit(main())
    except Stalled as stall:
        print(f"autobahn: {stall}", file=sys.stderr)
        sys.exit(STALLED)
    except Failure as failure:
        sys.exit(f"autobahn: {failure}")


def install() -> None:
    if subprocess.run([HERE / "install"]).returncode:
        raise Failure("the suite could not be installed")


def library_folder() -> Path:
    """Where Debian's packages keep their libraries: usr/lib/x86_64-linux-gnu or its like."""
    return next((HOME / "debian" / "usr" / "lib").glob("*/libssl.so.1.1")).parent


def environment() -> dict[str, str]:
    """PyPy's: the unpacked libraries, and nothing that is meant for the machine's own Python."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return ours | {"LD_LIBRARY_PATH": str(library_folder())}


def describe() -> dict[str, Any]:
    """What the suite says about itself and its cases."""
    result = subprocess.run(fuzzer("--describe"), env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        raise Failure(f"the suite does not describe itself:\n{result.stderr}")
    return json.loads(result.stdout)


def fuzzer(*arguments: str) -> list[str]:
    return [str(PYPY), "-u", "-B", str(HERE / "fuzzer.py"), str(SITE), *arguments]


class Process:
    """A command in a process group of its own, with its output in the file `log`."""

    def __init__(self, name: str, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, start_new_session=True
                )
            except OSError as error:
                raise Failure(f"{name} does not start: {error}") from error

    def status(self) -> int | None:
        return self._process.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: re.Pattern[str], what: str, seconds: float = 30) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while True:
            ended = self.status() is not None  # asked first: the last words of a process count
            if match := pattern.search(self.output()):
                return match
            if ended:
                raise Failure(f"{self.name} ended with {self.status()} and without {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} has run for {seconds:.0f} s without {what}\n{self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        return "\n".join([f"{self.log} ends with:", *(f"  {line}" for line in self.output().splitlines()[-15:])])

    def stop(self, patience: float = 3) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
            os.killpg(self._process.pid, signal.SIGKILL)  # those in the group who did not hear
        self._process.wait()


@contextlib.contextmanager
def stopping(processes: list[Process]) -> Iterator[list[Process]]:
    """A list whose processes end with the block."""
    try:
        yield processes
    finally:
        for process in reversed(processes):
            process.stop()


@dataclass
class Part:
    """One `wstest` at work on its share of the cases. The part is done when `ending`, it or the client, has ended."""

    cases: list[str]
    folder: Path
    fuzzer: Process
    ending: Process
    #: Where to ask whether the listening side, our server or the suite, is still there.
    url: str
    started: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    begun: list[str] = field(default_factory=list)

    def look(self) -> None:
        begun = RUNNING.findall(self.fuzzer.output())
        if len(begun) != len(self.begun):
            self.begun, self.moved = begun, time.monotonic()

    def current(self) -> str:
        return f"case {self.begun[-1]}" if self.begun else "the first case"


def shares(cases: list[str], jobs: int) -> list[list[str]]:
    """Dealt out in turn: neighbours cost about the same."""
    return [cases[job::jobs] for job in range(min(jobs, len(cases)))]


def clear(out: Path) -> None:
    """Takes away what an earlier run, perhaps of more parts, has left in `out`."""
    for spec in out.glob("*/spec.json"):
        shutil.rmtree(spec.parent)


def start_fuzzer(mode: str, job: int, cases: list[str], folder: Path, spec: dict[str, object]) -> Process:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "spec.json"
    whole = spec | {"outdir": str(folder), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    file.write_text(json.dumps(whole, indent=1))
    command = fuzzer("-m", mode, "-s", str(file), "-u", "0")
    return Process(f"wstest {job}", command, folder / "wstest.log", environment())


def answers(url: str, seconds: float = 10) -> bool:
    """Whether an opening handshake is completed there."""
    address = urllib.parse.urlsplit(url)
    request = (
        f"GET /getCaseCount HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    try:
        with contextlib.ExitStack() as stack:
            peer = stack.enter_context(socket.create_connection((address.hostname, address.port), seconds))
            if address.scheme == "wss":
                trusting = ssl.create_default_context()
                trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
                peer = stack.enter_context(trusting.wrap_socket(peer))
            peer.sendall(request.encode())
            return peer.recv(64).startswith(b"HTTP/1.1 101 ")
    except OSError:
        return False


def hanging(part: Part, stall: float) -> Failure:
    """Who is to blame. The suite has a timer in every case, so a server that is silent does not hold it up; a client may."""
    said = f"{part.current()} has lasted {stall:.0f} s\n{part.fuzzer.tail()}"
    if answers(part.url) == (part.ending is part.fuzzer):
        return Stalled(f"{part.fuzzer.name} hangs: {said}")
    return Failure(f"the peer of {part.fuzzer.name} hangs: {said}\n{part.ending.tail()}")


def watch(parts: list[Part], stall: float, deadline: float) -> None:
    """Returns when all parts have ended, and shows how far they are. No case may last `stall` seconds."""
    began, total = time.monotonic(), sum(len(part.cases) for part in parts)
    on_terminal = sys.stderr.isatty()
    every, shown = (0.5, began) if on_terminal else (10.0, began)
    while True:
        live = [part for part in parts if part.ending.status() is None]
        for part in parts:
            part.look()
        now = time.monotonic()
        if not live or now - shown >= every:
            shown = now
            begun = sum(len(part.begun) for part in parts)
            line = f"autobahn: {begun} of {total} cases begun, {now - began:.0f} s"
            end = "\r" if on_terminal and live else "\n"
            print(line, end=end, file=sys.stderr, flush=True)
        if not live:
            return
        for part in live:
            if now - part.moved > stall:
                raise hanging(part, stall)
            if part.ending is not part.fuzzer and part.fuzzer.status() is not None:
                raise Failure(f"{part.fuzzer.name} ended with {part.fuzzer.status()}\n{part.fuzzer.tail()}")
            if now - began > deadline:
                raise Failure(f"not done in {deadline:.0f} s: {part.fuzzer.name} is at {part.current()}")
        time.sleep(0.1)
