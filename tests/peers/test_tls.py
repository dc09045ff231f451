"""What is said of TLS on the command line, and that whoever is to verify a certificate does."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from certificates import certificates
from program import Program
from support import CERTIFICATES, CLIENT, Echo, EchoTest, curl, python_client


class TlsTest(EchoTest):
    tls = True

    def says_hello(self, client: Program) -> None:
        client.feed("hello\n")
        self.assertEqual(client.hears_line(), b"hello")
        client.end_input()
        self.assertEqual(client.exits(), 0, client.errors)

    def fails(self, client: Program) -> str:
        """The one line on stderr of a client that exits 1."""
        self.assertEqual(client.exits(), 1, client.errors)
        [line] = client.errors.decode().splitlines()
        return line


class Trust(TlsTest):
    def test_the_authority_is_named_by_an_option(self) -> None:
        self.says_hello(self.new_client(self.echo.url))

    def test_the_authority_is_named_by_the_environment(self) -> None:
        self.says_hello(self.start(CLIENT, self.echo.url, env={"SSL_CERT_FILE": str(CERTIFICATES.ca)}))

    def test_an_unknown_authority_is_not_trusted(self) -> None:
        self.assertIn("not trusted", self.fails(self.start(CLIENT, self.echo.url)))
        with tempfile.TemporaryDirectory() as folder:
            other = certificates(Path(folder))
            self.assertIn("not trusted", self.fails(self.start(CLIENT, "--ca", str(other.ca), self.echo.url)))
        with self.assertRaises(ssl.SSLCertVerificationError):
            python_client(self.echo.url, ssl=ssl.create_default_context())

    def test_the_name_must_be_the_certificates(self) -> None:
        self.says_hello(self.new_client(self.echo.url.replace("127.0.0.1", "localhost")))
        # Also an address of this machine, and not in the certificate.
        with Echo("--tls-bind", "127.0.0.2:0", *self.files()) as echo:
            port = echo.hears_line().decode().rsplit(":", 1)[1]
            self.assertIn("not trusted", self.fails(self.new_client(f"wss://127.0.0.2:{port}/")))

    def files(self) -> tuple[str, ...]:
        return ("--tls-cert", str(CERTIFICATES.cert), "--tls-key", str(CERTIFICATES.key))


class Clients(TlsTest):
    """`--client-ca` asks for a certificate, and `--cert` shows one."""

    options = ("--client-ca", str(CERTIFICATES.ca))

    def test_one_with_a_certificate_and_one_without_come_in(self) -> None:
        shown = ("--cert", str(CERTIFICATES.client_cert), "--key", str(CERTIFICATES.client_key))
        self.says_hello(self.new_client(self.echo.url, *shown))
        self.says_hello(self.new_client(self.echo.url))

    def test_one_with_a_strangers_certificate_does_not(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            other = certificates(Path(folder))
            shown = ("--cert", str(other.client_cert), "--key", str(other.client_key))
            self.fails(self.new_client(self.echo.url, *shown))
        self.says_hello(self.new_client(self.echo.url))


class TheWrongPort(TlsTest):
    def test_http_in_the_clear_is_told_that_this_is_tls(self) -> None:
        status = curl(self.echo.http.replace("https:", "http:"), "--write-out", "%{http_code}").stdout
        self.assertTrue(status.startswith(b"This port speaks TLS") and status.endswith(b"400"), status)

    def test_a_client_in_the_clear_is_told_so_too(self) -> None:
        self.assertIn("400", self.fails(self.new_client(self.echo.url.replace("wss:", "ws:"))))

    def test_tls_where_none_is_spoken_fails(self) -> None:
        with Echo() as clear:
            self.assertIn("TLS", self.fails(self.new_client(clear.url.replace("ws:", "wss:"))))

    def test_both_are_served_by_one_process(self) -> None:
        files = ("--tls-cert", str(CERTIFICATES.cert), "--tls-key", str(CERTIFICATES.key))
        with Echo("--tls-bind", "127.0.0.1:0", *files) as echo:
            under_tls = echo.hears_line().decode().removeprefix("listening on ")
            self.assertTrue(under_tls.startswith("wss://"), under_tls)
            for url in (echo.url, under_tls):
                with python_client(url) as peer:
                    peer.send("hello")
                    self.assertEqual(peer.recv(timeout=10), "hello")
