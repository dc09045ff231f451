"""What all tests here share: the two programs, a deadline for each test, and curl."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import unittest
from pathlib import Path
from types import FrameType
from typing import Any

from program import Program
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
_EXAMPLES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "examples"
ECHO = os.environ.get("ECHO", str(_EXAMPLES / "echo"))
CLIENT = os.environ.get("CLIENT", str(_EXAMPLES / "client"))

MIB = 1 << 20
#: The sizes at which a frame's header changes its form (RFC 6455 §5.2), and two large ones.
SIZES = (0, 1, 125, 126, 65535, 65536, MIB, 20 * MIB)
UNICODE = "Κόσμε — 你好, мир, 🦀 and a \u0000 in the middle"


class Echo(Program):
    """The `echo` example on a port that the system chose."""

    def __init__(self, *options: str) -> None:
        super().__init__(ECHO, "--bind", "127.0.0.1:0", *options)
        line = self.hears_line().decode()
        listening = re.fullmatch(r"listening on (ws://127\.0\.0\.1:(\d+))", line)
        assert listening, f"`echo` printed {line!r}"
        self.url = listening[1] + "/"
        self.port = int(listening[2])
        self.http = f"http://127.0.0.1:{self.port}"


def python_client(url: str, **options: Any) -> ClientConnection:
    """Python `websockets` as a client: with its own defaults (it offers compression), but for large messages."""
    return connect(url, max_size=None, proxy=None, **options)


def curl(*arguments: str, content: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """What curl prints; its failure is the test's."""
    done = subprocess.run(
        ["curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *arguments],
        input=content,
        stdin=subprocess.DEVNULL if content is None else None,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, f"curl {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.decode()}"
    return done


class PeerTest(unittest.TestCase):
    """A test that ends after `deadline` seconds whatever happens."""

    deadline = 60

    def setUp(self) -> None:
        signal.signal(signal.SIGALRM, self._too_late)
        signal.alarm(self.deadline)
        self.addCleanup(signal.alarm, 0)

    def start(self, *command: str) -> Program:
        """A program that does not outlive the test."""
        return self.enterContext(Program(*command))

    def _too_late(self, _signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test has not ended within {self.deadline} s")


class EchoTest(PeerTest):
    """Tests that share one `echo`."""

    options: tuple[str, ...] = ()
    echo: Echo

    @classmethod
    def setUpClass(cls) -> None:
        cls.echo = cls.enterClassContext(Echo(*cls.options))  # type: ignore[assignment]
