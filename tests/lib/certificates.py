#!/usr/bin/env python3
"""Makes an authority and a certificate of `localhost`, 127.0.0.1 and ::1, for tests of TLS.

    certificates.py FOLDER

FOLDER then holds `ca.pem`, `chain.pem` with `key.pem` for a server, and `client.pem` with `client-key.pem` for a client that
is to show who it is. What is there and good for another day is kept, so that a run does not take the certificates of
another away. For Python there is `certificates(folder)`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

DAYS = "30"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


def openssl(*words: str | Path, check: bool = True) -> bool:
    result = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    if check and result.returncode:
        sys.exit(f"certificates: openssl {words[0]} failed ({result.returncode}):\n{result.stderr.strip()}")
    return result.returncode == 0


class Certificates(NamedTuple):
    """PEM files."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


def certificates(folder: Path) -> Certificates:
    """Those in this folder, made if they are not there."""
    files = Certificates(*(folder / f"{name}.pem" for name in ("ca", "chain", "key", "client", "client-key")))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = all(file.exists() for file in files) and openssl(
            *("x509", "-checkend", "86400", "-noout", "-in", files.cert), check=False
        )
        if not fresh:
            make(folder, files)
    return files


def make(folder: Path, files: Certificates) -> None:
    secret, leaf = folder / "ca-key.pem", folder / "leaf.pem"
    signed = ("-CA", files.ca, "-CAkey", secret, "-addext", "basicConstraints=critical,CA:FALSE")
    openssl(
        *("req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=tests of actix-sockets", "-keyout", secret, "-out", files.ca),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    openssl(
        *("req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=somebody", *signed, "-addext", "extendedKeyUsage=clientAuth"),
        *("-keyout", files.client_key, "-out", files.client_cert),
    )
    openssl(
        *("req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=localhost", *signed, "-addext", "extendedKeyUsage=serverAuth"),
        *("-addext", NAMES, "-keyout", files.key, "-out", leaf),
    )
    secret.unlink()
    whole = folder / "chain.new"
    whole.write_text(leaf.read_text() + files.ca.read_text())
    os.replace(whole, files.cert)  # last: a chain is there only when all is


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    certificates(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
