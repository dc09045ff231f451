"""What is said of TLS on the command line, and that whoever is to verify a certificate does."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from pathlib import Path

from certificates import certificates
from program import Program
from support import CERTIFICATES, CLIENT, MIB, UNICODE, Echo, EchoTest, client_context, curl, python_client
from websockets.asyncio.client import connect
from wire import Wire, opening_handshake, text


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


class Versions(TlsTest):
    def test_tls_1_2_and_1_3_are_spoken(self) -> None:
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            context = client_context()
            context.minimum_version = context.maximum_version = version
            with Wire.to(self.echo.port, tls=context) as wire:
                self.assertEqual(wire.socket.version(), name)
                wire.says(opening_handshake(), text("hello").masked_with())
                wire.hears_upgrade()
                wire.hears(text("hello"))


class OneThread(TlsTest):
    """Python `websockets` under TLS 1.3, in one thread, with what it is by default."""

    options = ("--deflate",)

    def test_compressed_messages_come_back(self) -> None:
        async def speak() -> None:
            async with connect(self.echo.url, ssl=client_context(), max_size=None, proxy=None) as peer:
                self.assertEqual(peer.transport.get_extra_info("ssl_object").version(), "TLSv1.3")
                self.assertIn("permessage-deflate", peer.response.headers["Sec-WebSocket-Extensions"])
                for message in ("hello", "", UNICODE, os.urandom(MIB).hex(), os.urandom(MIB)):
                    await peer.send(message)
                    self.assertTrue(await peer.recv() == message)

        asyncio.run(asyncio.wait_for(speak(), 30))

    def test_fifty_connections_at_once(self) -> None:
        async def speak(n: int) -> None:
            async with connect(self.echo.url, ssl=client_context(), proxy=None) as peer:
                for round in range(20):
                    await peer.send(f"peer {n}, round {round}")
                    self.assertEqual(await peer.recv(), f"peer {n}, round {round}")

        async def all_speak() -> None:
            await asyncio.wait_for(asyncio.gather(*map(speak, range(50))), 30)

        asyncio.run(all_speak())


class TheWrongPort(TlsTest):
    def test_http_in_the_clear_is_told_that_this_is_tls(self) -> None:
        status = curl(self.echo.http.replace("https:", "http:"), "--write-out", "%{http_code}").stdout
        self.assertTrue(status.startswith(b"This port speaks TLS") and status.endswith(b"400"), status)

    def test_a_client_in_the_clear_is_told_so_too(self) -> None:
        self.assertIn("This port speaks TLS", self.fails(self.new_client(self.echo.url.replace("wss:", "ws:"))))

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
