"""What all tests here share: the two programs, a deadline for each test, each test twice, and curl."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from certificates import certificates
from program import Program
from websockets.sync.client import ClientConnection, connect
from wire import Head, Wire, WireServer

ROOT = Path(__file__).parents[2]
_TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
_EXAMPLES = _TARGET / "release" / "examples"
ECHO = os.environ.get("ECHO", str(_EXAMPLES / "echo"))
CLIENT = os.environ.get("CLIENT", str(_EXAMPLES / "client"))
#: What it has to show does not depend on how it is built.
ACTIX_WEB = os.environ.get("ACTIX_WEB", str(_TARGET / "debug" / "examples" / "actix_web"))
HTTP = os.environ.get("HTTP", str(_TARGET / "debug" / "examples" / "http"))

MIB = 1 << 20
#: The sizes at which a frame's header changes its form (RFC 6455 §5.2), and two large ones.
SIZES = (0, 1, 125, 126, 65535, 65536, MIB, 20 * MIB)
UNICODE = "Κόσμε — 你好, мир, 🦀 and a \u0000 in the middle"


#: Whoever is a client here, of us or ours, trusts the authority of these, and nobody else.
CERTIFICATES = certificates(_TARGET / "peers" / "certificates")


def client_context() -> ssl.SSLContext:
    """Trusts our authority only, and wants the right name in the certificate."""
    return ssl.create_default_context(cafile=str(CERTIFICATES.ca))


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES.cert, CERTIFICATES.key)
    return context


class Echo(Program):
    """The `echo` example on a port that the system chose; under TLS, on the second that it tells."""

    def __init__(self, *options: str, tls: bool = False) -> None:
        files = ("--tls-cert", str(CERTIFICATES.cert), "--tls-key", str(CERTIFICATES.key))
        under_tls = ("--tls-bind", "127.0.0.1:0", *files) if tls else ()
        super().__init__(ECHO, "--bind", "127.0.0.1:0", *under_tls, *options)
        for scheme in ("ws", "wss") if tls else ("ws",):
            line = self.hears_line().decode()
            listening = re.fullmatch(rf"listening on ({scheme}://127\.0\.0\.1:(\d+))", line)
            assert listening, f"`echo` printed {line!r}"
        self.tls = tls
        self.url = listening[1] + "/"
        self.port = int(listening[2])
        self.http = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def wire(self) -> Wire:
        """A raw connection."""
        return Wire.to(self.port, tls=client_context() if self.tls else None)


class InsideActixWeb(Program):
    """The `actix_web` example on a port that the system chose; on actix-web's server, or on ours."""

    def __init__(self, *options: str) -> None:
        super().__init__(ACTIX_WEB, "127.0.0.1:0", *options)
        line = self.hears_line().decode()
        listening = re.fullmatch(r"listening on http://(127\.0\.0\.1:(\d+))", line)
        assert listening, f"`actix_web` printed {line!r}"
        self.url = f"ws://{listening[1]}/"
        self.port = int(listening[2])

    def wire(self) -> Wire:
        """A raw connection."""
        return Wire.to(self.port)


def python_client(url: str, **options: Any) -> ClientConnection:
    """Python `websockets` as a client: with its own defaults (it offers compression), but for large messages."""
    if url.startswith("wss:") and "ssl" not in options:
        options["ssl"] = client_context()
        # It reads and writes in two threads, which OpenSSL allows for no session: of TLS 1.3 one takes in the server's tickets
        # while the other sends the request, and now and then both hang, whoever the server is. TLS 1.2 has no such moment.
        options["ssl"].maximum_version = ssl.TLSVersion.TLSv1_2
    return connect(url, max_size=None, proxy=None, **options)


def curl(*arguments: str, content: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """What curl prints; its failure is the test's."""
    done = subprocess.run(
        ["curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--cacert", CERTIFICATES.ca, "--max-time", "20", *arguments],
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
    #: Whether what is said is said under TLS.
    tls = False

    def setUp(self) -> None:
        signal.signal(signal.SIGALRM, self._too_late)
        signal.alarm(self.deadline)
        self.addCleanup(signal.alarm, 0)

    def start(self, *command: str, env: dict[str, str] | None = None) -> Program:
        """A program that does not outlive the test."""
        return self.enterContext(Program(*command, env=env))

    @property
    def scheme(self) -> str:
        return "wss" if self.tls else "ws"

    def new_echo(self, *options: str) -> Echo:
        return Echo(*options, tls=self.tls)

    def new_client(self, url: str, *options: str) -> Program:
        """The `client` example; what it is to trust is told if TLS is spoken."""
        return self.start(CLIENT, *(("--ca", str(CERTIFICATES.ca)) if url.startswith("wss:") else ()), *options, url)

    def wire_server(self, script: Callable[[Wire, Head], None]) -> WireServer:
        return WireServer(script, server_context() if self.tls else None)

    def new_node(self, deflate: str = "false") -> tuple[Program, str]:
        """Node `ws` as the server, and its URL."""
        env = {"DEFLATE": deflate}
        if self.tls:
            env |= {"TLS_CERT": str(CERTIFICATES.cert), "TLS_KEY": str(CERTIFICATES.key)}
        node = self.start("node", str(Path(__file__).with_name("node_server.js")), env=env)
        line = node.hears_line().decode()
        listening = re.fullmatch(rf"listening on ({self.scheme}://127\.0\.0\.1:\d+)", line)
        assert listening, f"Node printed {line!r}"
        return node, listening[1] + "/"

    def _too_late(self, _signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test has not ended within {self.deadline} s")


class EchoTest(PeerTest):
    """Tests that share one `echo`."""

    options: tuple[str, ...] = ()
    echo: Echo

    @classmethod
    def setUpClass(cls) -> None:
        cls.echo = cls.enterClassContext(Echo(*cls.options, tls=cls.tls))  # type: ignore[assignment]


def twice(test: type[PeerTest]) -> type[PeerTest]:
    """Each of its tests in the clear, and again under TLS in a class beside it."""
    name = f"{test.__name__}UnderTls"
    setattr(sys.modules[test.__module__], name, type(name, (test,), {"tls": True, "__module__": test.__module__}))
    return test
