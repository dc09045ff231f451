"""nginx and HAProxy in front of `echo`, told what `docs/behind-a-proxy.md` says."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from program import Program
from support import CERTIFICATES, ROOT, client_context
from wire import Wire

_PAGE = (ROOT / "docs" / "behind-a-proxy.md").read_text()


def _told(language: str) -> list[str]:
    """What the page says in this language, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.M | re.S)


def _replaced(text: str, *replacements: tuple[str, str]) -> str:
    """Each of these is there once, and goes."""
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in\n{text}"
        text = text.replace(old, new)
    return text


class Proxy(Program):
    """A proxy that listens in the clear and under TLS, at ports that the system chose, for a server of ours at this port."""

    def __init__(self, ours: int, inner_tls: bool = False, more: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="proxy-"))
        # It inherits the sockets, which listen already: no port is free for a moment, and nobody waits for it to come up.
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.tls_port = (listener.getsockname()[1] for listener in sockets)
        clear, tls = (listener.fileno() for listener in sockets)
        command, env = self.configured(ours, inner_tls, clear, tls, more)
        super().__init__(*command, env=env, pass_fds=(clear, tls))
        for listener in sockets:
            listener.close()

    def configured(self, ours: int, inner_tls: bool, clear: int, tls: int, more: str) -> tuple[list[str], dict[str, str]]:
        """The command, and what is added to its environment; the configuration is written."""
        raise NotImplementedError

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def wire(self, tls: bool) -> Wire:
        return Wire.to(self.tls_port if tls else self.port, tls=client_context() if tls else None)

    def url(self, scheme: str) -> str:
        """`http` and `ws` lead to the one port, `https` and `wss` to the other."""
        return f"{scheme}://127.0.0.1:{self.tls_port if scheme.endswith('s') and scheme != 'ws' else self.port}"

    def kill(self) -> None:
        # Asked first: nginx ends its worker then.
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        super().kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Proxy):
    def configured(self, ours: int, inner_tls: bool, clear: int, tls: int, more: str) -> tuple[list[str], dict[str, str]]:
        http, to_tls = _told("nginx")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        http = _replaced(
            http,
            ("http {\n", f"http {{\n    access_log off;\n{paths}{more}"),
            ("127.0.0.1:9001", f"127.0.0.1:{ours}"),
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.tls_port} ssl;"),
            ("chain.pem", str(CERTIFICATES.cert)),
            ("key.pem", str(CERTIFICATES.key)),
        )
        if inner_tls:
            http = _replaced(http, ("            proxy_pass http://ours;\n", _replaced(to_tls, ("ca.pem", str(CERTIFICATES.ca)))))
        # Its workers give up root's rights otherwise, and with them the way to this folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        here = f"{user}daemon off;\nworker_processes 1;\npid {self.folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        config = self.write("nginx.conf", here + http)
        # Sockets that it finds named here it does not open: it is what its own binaries say to each other when one replaces the other.
        return [_found("nginx"), "-e", "stderr", "-p", str(self.folder), "-c", config], {"NGINX": f"{clear};{tls};"}


class Haproxy(Proxy):
    """`more` is what the line of our server ends with, where it says who the client is: `send-proxy` or `send-proxy-v2`."""

    def configured(self, ours: int, inner_tls: bool, clear: int, tls: int, more: str) -> tuple[list[str], dict[str, str]]:
        config, to_tls, says_who = _told("haproxy")
        assert says_who == "    server ours 127.0.0.1:9001 send-proxy-v2\n", says_who
        if inner_tls:
            config = _replaced(config, ("    server ours 127.0.0.1:9001\n", _replaced(to_tls, ("ca.pem", str(CERTIFICATES.ca)))))
        site = self.write("site.pem", CERTIFICATES.cert.read_text() + CERTIFICATES.key.read_text())
        config = _replaced(
            config,
            ("server ours 127.0.0.1:9001", f"server ours 127.0.0.1:{ours} {more}".rstrip()),
            ("bind :80\n", f"bind fd@{clear}\n"),
            ("bind :443", f"bind fd@{tls}"),
            ("site.pem", site),
        )
        return [_found("haproxy"), "-db", "-f", self.write("haproxy.cfg", config)], {}


def _found(name: str) -> str:
    """The program, also where only root looks for it."""
    path = shutil.which(name, path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    assert path, f"{name} is not installed"
    return path
