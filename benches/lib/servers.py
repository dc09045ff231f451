"""The servers, what each can do, and how it is built and started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benches" / "peers"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
#: The peers have a folder of their own in the target folder: other features, other locks.
BENCH = Path(os.environ.get("BENCH_TARGET_DIR", TARGET / "bench")).resolve()
CERTIFICATES = BENCH / "certificates"
COSTS = TARGET / "release" / "examples" / "costs"

#: What a peer is told to be, beside `--port`.
SWITCHES = {
    "echo": "",
    "tls": " --tls {cert} {key}",
    "deflate": " --deflate",
    "fan-out": " --fan-out",
    "http": " --http",
}


@dataclass(frozen=True)
class Server:
    name: str
    #: `ours`, `rust`, `other` or `limit`.
    kind: str
    #: Role to command. `{port}`, `{other}` (a second port), `{cert}` and `{key}` are filled in.
    roles: dict[str, str]
    #: Role to what has to be built.
    builds: dict[str, str]


def peer(name: str, roles: str = "echo", package: str = "", switches: str = "", kind: str = "rust") -> Server:
    package = package or name
    command = f"{BENCH}/release/peer-{package} --port {{port}}{switches}"
    return Server(name, kind, {r: command + SWITCHES[r] for r in roles.split()}, dict.fromkeys(roles.split(), package))


def ours(name: str, handler: str, more: dict[str, str]) -> Server:
    """The echo example; HTTP and the message to everybody have a program of their own."""
    echo = f"{TARGET}/release/examples/echo --handler {handler} --bind 127.0.0.1:"
    roles = {
        "echo": f"{echo}{{port}}",
        "echo-2": f"{echo}{{port}} --workers 2",
        "tls": f"{echo}{{other}} --tls-bind 127.0.0.1:{{port}} --tls-cert {{cert}} --tls-key {{key}}",
        "deflate": f"{echo}{{port}} --deflate --without-contexts",
    }
    return Server(name, "ours", roles | more, dict.fromkeys(roles, "echo") | dict.fromkeys(more, "actix-sockets"))


_OWN = peer("", "http fan-out", package="actix-sockets").roles
_UWS = f"{BENCH}/uwebsockets --port {{port}}"
_NODE = f"env NODE_PATH={BENCH}/node/node_modules node {PEERS}/node-ws/echo.js --port {{port}}"
_ALL = "echo tls deflate fan-out".split()

SERVERS = [
    ours("actix-sockets", "per-connection", _OWN),
    ours("actix-sockets-inline", "inline", {}),
    peer("limit", kind="limit"),
    Server("uwebsockets", "other", {r: _UWS + SWITCHES[r] for r in _ALL}, dict.fromkeys(_ALL, "uwebsockets")),
    peer("fastwebsockets", "echo tls"),
    peer("fastwebsockets-openssl", "tls", "fastwebsockets", " --openssl"),
    peer("tungstenite", "echo tls fan-out", "tokio-tungstenite"),
    peer("tungstenite-batch", "echo tls", "tokio-tungstenite", " --batch"),
    peer("tungstenite-batch-openssl", "tls", "tokio-tungstenite", " --batch --openssl"),
    peer("tokio-websockets", "echo tls fan-out"),
    peer("tokio-websockets-batch", "echo tls", "tokio-websockets", " --batch"),
    peer("tokio-websockets-batch-openssl", "tls", "tokio-websockets", " --batch --openssl"),
    peer("soketto", "echo tls"),
    peer("soketto-batch", "echo tls", "soketto", " --batch"),
    peer("sockudo-ws", "echo tls deflate fan-out"),
    peer("sockudo-ws-batch", "echo tls deflate", "sockudo-ws", " --batch"),
    peer("yawc", "echo tls deflate"),
    peer("yawc-batch", "echo tls deflate", "yawc", " --batch"),
    peer("axum", "echo"),
    peer("axum-batch", "echo", "axum", " --batch"),
    peer("actix-ws", "echo tls fan-out"),
    peer("actix-web-actors", "echo tls fan-out"),
    Server("node-ws", "other", {r: _NODE + SWITCHES[r] for r in _ALL}, dict.fromkeys(_ALL, "node-ws")),
    peer("actix-web", "http"),
    peer("hyper", "http"),
]


def command(*words: str | Path, cwd: Path, target: Path = BENCH) -> str | None:
    """Why it failed, or nothing."""
    env = os.environ | {"CARGO_TARGET_DIR": str(target)}
    try:
        result = subprocess.run([str(w) for w in words], cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as failure:
        return str(failure)
    if result.returncode == 0:
        return None
    said = [line for line in result.stdout.splitlines() if "error" in line.lower()] or result.stdout.strip().splitlines() or ["no output"]
    return said[0].strip()


def build(what: str) -> str | None:
    """Builds a peer, `echo` or `load`. Each peer by itself, so that no peer's features leak into another's."""
    match what:
        case "echo" | "costs":
            return command("cargo", "build", "--release", "--example", what, cwd=ROOT, target=TARGET)
        case "load":
            return command("cargo", "build", "--release", "--locked", cwd=ROOT / "benches" / "load")
        case "uwebsockets":
            return uwebsockets()
        case "node-ws":
            node = BENCH / "node"
            node.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PEERS / "node-ws" / name, node)
            return command("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=node)
        case _:
            return command("cargo", "build", "--release", "--locked", "-p", f"peer-{what}", cwd=PEERS)


def uwebsockets() -> str | None:
    """From the sources that a crate of bindings carries. With OpenSSL and zlib; needs their headers, gcc and g++."""
    if failed := command("cargo", "fetch", "--locked", cwd=PEERS):
        return failed
    described = subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=PEERS, capture_output=True, text=True)
    packages = json.loads(described.stdout or '{"packages": []}')["packages"]
    manifest = next((p["manifest_path"] for p in packages if p["name"] == "libuwebsockets-sys"), None)
    if manifest is None:
        return "cargo does not know libuwebsockets-sys"
    source = Path(manifest).parent / "uWebSockets"
    include, objects, program = source / "uSockets" / "src", BENCH / "uwebsockets.o", BENCH / "uwebsockets"
    ours = PEERS / "uwebsockets" / "echo.cpp"
    if program.exists() and program.stat().st_mtime > ours.stat().st_mtime:
        return None
    objects.mkdir(parents=True, exist_ok=True)
    c = [f for f in include.glob("*.c")] + [include / "eventing" / "epoll_kqueue.c", include / "crypto" / "openssl.c"]
    flags = ["-O3", "-flto", "-DLIBUS_USE_OPENSSL", "-DLIBUS_USE_EPOLL", f"-I{include}"]
    sni = include / "crypto" / "sni_tree.cpp"
    return (
        command("gcc", *flags, "-c", *c, cwd=objects)
        or command("g++", "-std=c++20", *flags, "-c", sni, cwd=objects)
        or command(
            *("g++", "-std=c++20", *flags, f"-I{source / 'src'}", ours, *sorted(objects.glob("*.o"))),
            *("-lssl", "-lcrypto", "-lz", "-o", program),
            cwd=objects,
        )
    )


def certificates() -> tuple[Path, Path]:
    """A chain and a key of `localhost`."""
    subprocess.run([sys.executable, ROOT / "tests" / "lib" / "certificates.py", CERTIFICATES], check=True)
    return CERTIFICATES / "chain.pem", CERTIFICATES / "key.pem"
