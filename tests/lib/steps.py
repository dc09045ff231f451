"""The steps of `tests/run`, and how they are counted.

    tests/run [--quick] [--simulate N] [--soak] [--bench] [--fuzz MINUTES] [--full] [--only STEP[,STEP]] [--list]

Each step is one or more commands, run one after the other, their output shown as it comes. Some steps build or wait most of their time on one
processor: they are run beside the others, and what they print is shown when they are done. A command says how many of
its tests passed and failed: `cargo test` in its `test result:` lines, our own scripts in a last line `N passed,
N failed`; any other is one test, which passes with exit code 0. A command that was to run tests and ran none has failed,
so has one that exits non-zero though it counted no failure, and so has one whose build has failed before it.
A line `note: …` is said again at the end. The last line is the sum, and the exit code is non-zero if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "autobahn"))

import ways  # noqa: E402

PROGRAMS = ("echo", "client", "autobahn-client", "instructions")
HANDLERS = ("per-connection", "shared", "inline", "stage-actors")


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    ignored: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed, self.ignored + other.ignored)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f" ({self.ignored} ignored)" if self.ignored else "")


#: What was said in passing and should not be lost.
notes: list[str] = []

Counter = Callable[[str, int], Count]


def count_one(_output: str, code: int) -> Count:
    """A command that is one test."""
    return Count(passed=int(code == 0), failed=int(code != 0))


def count_cargo(output: str, code: int) -> Count:
    """The sum over all test binaries and the doctests."""
    total = Count()
    for result in re.finditer(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", output, re.M):
        total += Count(*map(int, result.groups()))
    return not_silent(total, code)


def count_unittest(output: str, code: int) -> Count:
    """Python's test runner: how many ran, and how many of them did not pass."""
    ran = sum(int(n) for n in re.findall(r"^Ran (\d+) tests? in ", output, re.M))
    failed = sum(int(n) for n in re.findall(r"\b(?:failures|errors|skipped)=(\d+)", output))
    return not_silent(Count(max(ran - failed, 0), failed), code)


def count_line(output: str, code: int) -> Count:
    """A script of ours: its last line."""
    lines = output.strip().splitlines()
    result = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1].strip()) if lines else None
    return not_silent(Count(*map(int, result.groups())) if result else Count(), code)


def not_silent(count: Count, code: int) -> Count:
    """A suite that ran nothing, or failed without saying where, has failed once."""
    if count.failed == 0 and (code != 0 or count.passed == 0):
        count.failed = 1
    return count


@dataclass
class Command:
    words: list[str]
    counter: Counter = count_one
    minutes: float = 15
    env: dict[str, str] = field(default_factory=dict)
    #: Seconds of processors that it took.
    worked: float = 0

    def __str__(self) -> str:
        return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in self.env.items()), shlex.join(self.words)])

    def run(self, show: Callable[[str], None]) -> Count:
        """Runs it in a session of its own, none of which outlives it."""
        show(f"\n$ {self}\n")
        try:
            process = subprocess.Popen(
                self.words,
                cwd=ROOT,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as failure:
            show(f"cannot be run: {failure}\n")
            return Count(failed=1)
        running.add(process)
        late = threading.Event()

        def too_late() -> None:
            late.set()
            end_session(process)

        deadline = threading.Timer(self.minutes * 60, too_late)
        deadline.start()
        output = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                text = line.decode(errors="replace")
                output.append(text)
                show(text)
            _, status, used = os.wait4(process.pid, 0)
            code = process.returncode = os.waitstatus_to_exitcode(status)
            self.worked = used.ru_utime + used.ru_stime
        finally:
            deadline.cancel()
            end_session(process)
            running.discard(process)
        if late.is_set():
            show(f"stopped: it has not ended within {self.minutes:g} minutes\n")
            code = code or 1
        notes.extend(line for line in output if line.startswith("note: "))
        return self.counter("".join(output), code)


#: What runs at the moment.
running: set[subprocess.Popen[bytes]] = set()


def end_session(process: subprocess.Popen[bytes], patience: float = 20) -> None:
    """Asks first: what runs in it may have started sessions of its own, and ends those."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, ending)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass


@dataclass
class Step:
    name: str
    about: str
    commands: list[Command]
    needs: tuple[str, ...] = ()
    #: Here, or beside those that are run here, or behind both, with the machine for itself.
    row: str = "here"
    #: Left out unless this is asked for, `soak`, `bench`, `fuzz` or `full`; the latter asks for everything.
    extra: str | None = None


def sets_of_features(features: dict[str, list[str]]) -> list[list[str]]:
    """The default ones, none, and all; those that are the same once only. What another feature needs counts as named."""
    named, wanted = set(), {"default"} & features.keys()
    while wanted:
        named |= wanted
        wanted = {feature for name in wanted for feature in features[name] if feature in features} - named
    sets: list[list[str]] = [[]]
    if named:
        sets.append(["--no-default-features"])
    if features.keys() - named:
        sets.append(["--all-features"])
    return sets


def each_alone(features: dict[str, list[str]]) -> list[list[str]]:
    return [["--no-default-features", "--features", name] for name in features if name != "default"]


def steps(options: argparse.Namespace) -> list[Step]:
    described = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, stdout=subprocess.PIPE, timeout=120
    )
    if described.returncode != 0:
        print("cargo cannot read the manifest\n0 passed, 1 failed")
        sys.exit(1)
    metadata = json.loads(described.stdout)
    target = Path(metadata["target_directory"])
    [package] = metadata["packages"]
    feature_sets = sets_of_features(package["features"])

    fuzzing = options.fuzz or 10.0
    deny = {"RUSTDOCFLAGS": "-D warnings"}
    # Most of the time of most of them is spent on waiting.
    side_by_side = {"RUST_TEST_THREADS": str(2 * (os.cpu_count() or 1))}
    examples = str(target / "tested" / "examples")
    program = {name: f"{examples}/{name}" for name in PROGRAMS}
    simulation = str(target / "simulation" / "examples" / "simulation")
    handlers = [
        Command(
            [
                *("tests/autobahn/server.py", "--agent", f"echo-{handler}", "--sections", "1-7,9,10" if options.full else "1-7,10"),
                *("--", program["echo"], "--bind", "127.0.0.1:0", "--handler", handler),
            ],
            count_line,
        )
        for handler in HANDLERS
    ]
    some = ways.sections(full=False, long=not options.quick)
    four_ways = [
        Command(["tests/autobahn/ways.py", way.name, "--sections", some, "--programs", examples], count_line)
        for way in ways.WAYS
    ]
    install = Command(["tests/autobahn/install"])
    benches, apart = ("benches/load/Cargo.toml", "benches/peers/Cargo.toml"), {"CARGO_TARGET_DIR": str(target / "bench")}
    judge = Command(["python3", "-m", "unittest", "discover", "tests/autobahn"], count_unittest)

    return [
        Step("fmt", "rustfmt", [Command(["cargo", "fmt", "--all", "--check"])]),
        Step(
            "clippy",
            "no lint on any target, on all features",
            [Command(["cargo", "clippy", "--all-targets", *feature_sets[-1], "--", "-D", "warnings"])],
        ),
        Step(
            "features",
            "nor in the library on each feature alone",
            [Command(["cargo", "clippy", "--lib", *features, "--", "-D", "warnings"]) for features in each_alone(package["features"])],
            extra="full",
        ),
        Step(
            "supply",
            "what it is made of: licences, doubles, sources, advisories, and the compiler that its dependencies ask for",
            [Command(["tests/lib/supply"], count_line, minutes=30)],
        ),
        Step(
            "doc",
            "the documentation, also of private items, without a warning",
            [
                Command(["cargo", "doc", "--no-deps", "--all-features", *private], env=deny)
                for private in (["--document-private-items"], [])  # the public one last: it is what is left to be read
            ],
        ),
        Step(
            "test",
            "all cargo tests, doctests too, on default features, on none, and on all if there are others",
            [Command(["cargo", "test", "--no-fail-fast", *features], count_cargo, env=side_by_side) for features in feature_sets],
        ),
        Step(
            "examples",
            "the programs of the steps below, optimized",
            [Command(["cargo", "build", "--profile", "tested", *(word for name in PROGRAMS for word in ("--example", name))])],
            row="beside",
        ),
        Step(
            "simulation",
            "the actors at both ends of a bad network: so many seeds, and the bugs that are planted to be found",
            [
                Command(
                    ["cargo", "build", "--profile", "simulation", "--features", "test", "--example", "simulation"],
                    minutes=30,
                    env={"RUSTFLAGS": "--cfg planted"},
                ),
                Command([simulation, "--seeds", str(options.simulate)], minutes=10 + options.simulate / 6000),
                Command([simulation, "--planted"], count_line),
            ],
            row="beside",
        ),
        Step(
            "instructions",
            "what codec, masking, UTF-8, stages and an echo cost, in instructions: no more than recorded",
            [Command(["benches/instructions/run", program["instructions"]], count_line)],
            needs=("examples",),
            row="beside",
        ),
        Step("bench-report", "the report maker of the benches", [Command(["python3", "-m", "unittest", "discover", "benches/lib"], count_unittest)]),
        Step("autobahn-install", "the real Autobahn suite, and the tests of its judge", [install, judge], row="beside"),
        Step(
            "autobahn-handlers",
            "the suite against `echo`, in each of its handler modes",
            handlers,
            needs=("examples", "autobahn-install"),
            row="beside",
        ),
        Step(
            "autobahn-ways",
            "the suite with a server and a client, in clear and under TLS, and a sample of compression",
            four_ways,
            needs=("examples", "autobahn-install"),
            row="beside",
        ),
        Step(
            "peers",
            "clients and servers of Python and Node, curl, wrk, h2load, nginx, HAProxy and raw sockets, in the clear and under TLS",
            [
                Command(["cargo", "build", "--example", "actix_web", "--example", "http", "--all-features"]),
                Command(
                    ["tests/peers/run"],
                    count_line,
                    env={
                        **{"ECHO": program["echo"], "CLIENT": program["client"]},
                        **{name.upper(): str(target / "debug" / "examples" / name) for name in ("actix_web", "http")},
                    },
                )
            ],
            needs=("examples",),
            row="beside",
        ),
        # While tests run, those who build have the build directory to themselves.
        Step(
            "clippy-less",
            "nor on the other features that the tests are run on",
            [Command(["cargo", "clippy", "--all-targets", *features, "--", "-D", "warnings"]) for features in feature_sets[:-1]],
            row="beside",
        ),
        Step(
            "autobahn-full",
            "all cases in all ways, and the reports written anew",
            [Command(["tests/autobahn/full.py", "--programs", examples], count_line, minutes=240)],
            needs=("examples", "autobahn-install"),
            extra="full",
        ),
        Step(
            "autobahn-reports",
            "the committed reports: nothing missing, nothing bad, and the pages made from them",
            [Command(["tests/autobahn/reports.py"], count_line)],
            needs=("autobahn-install",),
            row="alone",
        ),
        Step(
            "soak",
            "64 connections x 100 000 messages, each compared; memory stays flat",
            [
                Command(
                    ["tests/soak/soak.py", "--", program["echo"], "--bind", "127.0.0.1:0", "--handler", "per-connection"],
                    count_line,
                )
            ],
            needs=("examples",),
            extra="soak",
        ),
        Step(
            "fuzz",
            "the fuzzers, from their corpus on: an eighth of the time with AddressSanitizer",
            [
                Command(["cargo", "fmt", "--all", "--check", "--manifest-path", "fuzz/Cargo.toml"]),
                Command(["tests/fuzz/run", "--minutes", f"{fuzzing * 7 / 8:g}"], count_line, minutes=fuzzing + 60),
                Command(["tests/fuzz/run", "--minutes", f"{fuzzing / 8:g}", "--sanitizer", "address"], count_line, minutes=fuzzing + 60),
            ],
            extra="fuzz",
        ),
        Step(
            "lowest",
            "the oldest versions of the dependencies that Cargo.toml allows",
            [Command(["tests/lib/lowest"], minutes=30)],
            extra="full",
        ),
        Step(
            "bench",
            "the benches: the load generator's tests, and each peer's echoes compared",
            [
                *(Command(["cargo", "fmt", "--all", "--check", "--manifest-path", manifest]) for manifest in benches),
                Command(["cargo", "clippy", "--all-targets", "--manifest-path", benches[0], "--", "-D", "warnings"], env=apart),
                Command(["cargo", "test", "--manifest-path", benches[0]], count_cargo, env=apart),
                Command(["benches/run", "--verify"], count_line, minutes=60),
            ],
            extra="bench",
        ),
    ]


def chosen(all_steps: list[Step], options: argparse.Namespace) -> list[Step]:
    """The steps to run, in order, with what they need."""
    if options.only is None:
        return [step for step in all_steps if not step.extra or options.full or getattr(options, step.extra)]
    by_name = {step.name: step for step in all_steps}
    wanted: set[str] = set()

    def want(names: Iterable[str]) -> None:
        for name in names:
            if name not in by_name:
                sys.exit(f"no step is called {name!r}; there are {', '.join(by_name)}")
            wanted.add(name)
            want(by_name[name].needs)

    want(options.only.split(",") + [extra for extra in ("soak", "bench", "fuzz") if getattr(options, extra)])
    return [step for step in all_steps if step.name in wanted]


@dataclass
class Run:
    """The steps of one call, in two rows side by side: one is shown as it comes, the other a step at a time."""

    total: Count = field(default_factory=Count)
    broken: set[str] = field(default_factory=set)
    table: dict[str, str] = field(default_factory=dict)
    done: dict[str, threading.Event] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self, steps: list[Step]) -> None:
        self.done = {step.name: threading.Event() for step in steps}

        def run(row: str) -> None:
            for step in steps:
                # What is long comes behind the others.
                if row == ("alone" if step.extra else step.row):
                    self.one(step, shown=row != "beside")

        beside = threading.Thread(target=run, args=("beside",), daemon=True)
        beside.start()
        run("here")
        beside.join()
        run("alone")
        self.table = {step.name: self.table[step.name] for step in steps}

    def one(self, step: Step, shown: bool) -> None:
        for need in step.needs:
            if need in self.done:
                self.done[need].wait()
        kept: list[str] = []

        def show(text: str) -> None:
            if not shown:
                kept.append(text)
                return
            with self.lock:
                sys.stdout.write(text)
                sys.stdout.flush()

        show(f"\n=== {step.name}: {step.about}\n")
        started, count = time.monotonic(), Count(failed=len(step.commands))
        try:
            if in_the_way := sorted(self.broken.intersection(step.needs)):
                show(f"cannot run: {', '.join(in_the_way)} failed\n")
            else:
                count = sum((command.run(show) for command in step.commands), Count())
        except Exception:  # of ours: the step has failed, the others go on
            show(traceback.format_exc())
        finally:
            worked = sum(command.worked for command in step.commands)
            line = f"{step.name:18} {time.monotonic() - started:6.0f} s, {worked:6.0f} s of processors   {count}"
            with self.lock:
                self.total += count
                if count.failed:
                    self.broken.add(step.name)
                self.table[step.name] = line
                sys.stdout.write("".join(kept))
                sys.stdout.write(f"--- {line}\n")
                sys.stdout.flush()
            self.done[step.name].set()


def main() -> int:
    # The tests open many connections in one process, and actix keeps two descriptors of each system that a process has had.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    arguments = argparse.ArgumentParser(
        prog="tests/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--quick", action="store_true", help="leave out Autobahn's section 9, the large messages")
    arguments.add_argument("--simulate", type=int, default=10_000, metavar="N", help="so many seeds of the simulation, in place of 10 000")
    arguments.add_argument("--soak", action="store_true", help="the soak too")
    arguments.add_argument("--bench", action="store_true", help="the benches too: builds all peers, and compares their echoes; no figures")
    arguments.add_argument("--fuzz", metavar="MINUTES", type=float, help="the fuzzers too, for so long in all; with --full 10 minutes")
    arguments.add_argument("--full", action="store_true", help="everything: the soak, and all of Autobahn, which writes reports/")
    arguments.add_argument("--only", metavar="STEP[,STEP]", help="these steps, and what they need")
    arguments.add_argument("--list", action="store_true", help="tell the steps and their commands, and run none")
    options = arguments.parse_args()
    if options.quick and options.full:
        arguments.error("--quick and --full exclude each other")

    all_steps = steps(options)
    if options.list:
        for step in all_steps:
            print(f"{step.name}: {step.about}" + (f" (only with --{step.extra})" if step.extra else ""))
            for command in step.commands:
                print(f"    {command}")
        return 0

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what has been started is ended
    ran = Run()
    try:
        ran.all(chosen(all_steps, options))
    finally:
        for process in list(running):
            end_session(process)

    total = ran.total
    print("\n" + "\n".join(ran.table.values()))
    print("".join(dict.fromkeys(notes)), end="")
    if total.ignored:
        print(f"{total.ignored} tests are marked #[ignore]; their reasons stand beside them")
    print(f"\n{total.passed} passed, {total.failed} failed", flush=True)
    return int(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    sys.exit(main())
