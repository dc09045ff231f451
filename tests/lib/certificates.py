#!/usr/bin/env python3
"""Makes an authority and a certificate of `localhost`, 127.0.0.1 and ::1, for tests of TLS.

    certificates.py FOLDER

FOLDER then holds `ca.pem`, and `chain.pem` with `key.pem` for a server. What is there and good for another day is kept,
so that a run does not take the certificates of another away.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

DAYS = "30"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


def openssl(*words: str | Path, check: bool = True) -> bool:
    result = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    if check and result.returncode:
        sys.exit(f"certificates: openssl {words[0]} failed ({result.returncode}):\n{result.stderr.strip()}")
    return result.returncode == 0


def make(folder: Path) -> None:
    authority, chain, key = (folder / name for name in ("ca.pem", "chain.pem", "key.pem"))
    if all(f.exists() for f in (authority, chain, key)) and openssl("x509", "-checkend", "86400", "-noout", "-in", chain, check=False):
        return
    secret, leaf = folder / "ca-key.pem", folder / "leaf.pem"
    openssl(
        *("req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=tests of actix-sockets", "-keyout", secret, "-out", authority),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    openssl(
        *("req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=localhost", "-CA", authority, "-CAkey", secret),
        *("-addext", NAMES, "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"),
        *("-keyout", key, "-out", leaf),
    )
    secret.unlink()
    whole = folder / "chain.new"
    whole.write_text(leaf.read_text() + authority.read_text())
    os.replace(whole, chain)  # last: a chain is there only when all is


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make(folder)


if __name__ == "__main__":
    main()
