"""A program under test: what it prints is heard line by line, and nothing waits without a deadline.

A program stays in the process group of the run that started it, so that `tests/run` can end a whole step at once; what
is still alive when the interpreter leaves is killed.
"""

from __future__ import annotations

import atexit
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

_alive: set["Program"] = set()


class Program:
    """A running process with its three streams."""

    def __init__(self, *command: str, env: Mapping[str, str] | None = None, pass_fds: Collection[int] = ()) -> None:
        self.command = command
        self.errors = b""
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env} if env else None,
            pass_fds=pass_fds,
        )
        _alive.add(self)
        self._readers = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within this the process does nothing, and what it is sent waits."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def feed(self, data: str | bytes) -> None:
        """Writes to its standard input, which stays open."""
        assert self.process.stdin is not None
        self.process.stdin.write(data.encode() if isinstance(data, str) else data)
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def hears_line(self, within: float = 10) -> bytes:
        """The next line of its standard output, without the newline."""
        try:
            line = self._lines.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"{self} printed no line within {within} s; {self._state()}") from None
        if line is None:
            self._lines.put(None)
            raise AssertionError(f"{self} ended its output; {self._state()}")
        return line

    def hears_rest(self, within: float = 10) -> list[bytes]:
        """All lines up to the end of its output."""
        deadline = time.monotonic() + within
        lines: list[bytes] = []
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self} did not end its output within {within} s") from None
            if line is None:
                self._lines.put(None)
                return lines
            lines.append(line)

    def exits(self, within: float = 10) -> int:
        """Its exit code, which is to come by itself."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} is still running after {within} s") from None
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, within: float = 5) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(with_signal)
        return self.exits(within)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was buffered for a program that is gone
                    pass
        _alive.discard(self)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def __str__(self) -> str:
        return f"`{' '.join(self.command)}`"

    def _state(self) -> str:
        code = self.process.poll()
        state = "still running" if code is None else f"exit code {code}"
        return f"{state}, stderr: {self.errors.decode(errors='replace')[-2000:]!r}"

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self._lines.put(line.removesuffix(b"\n"))
        finally:
            self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.errors += data


@atexit.register
def _leave_nothing_behind() -> None:
    for program in list(_alive):
        program.kill()
