"""`echo` behind nginx and HAProxy: requests, uploads and websockets, in the clear and under TLS on either side of the proxy."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from proxies import Haproxy, Nginx, Proxy
from support import MIB, SIZES, UNICODE, Echo, PeerTest, curl, python_client, server_context, twice
from websockets.exceptions import ConnectionClosed
from wire import Head, Wire, WireServer, close, opening_handshake, request, text

SMUGGLED = b"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*fields: str, version: str = "1.1") -> bytes:
    """The head of a request that has, or seems to have, content. The proxy ends the connection with its answer, and keeps its own to us."""
    return request(f"POST /echo HTTP/{version}", "Host: a", "Connection: close", *fields)


#: One request each that can be taken for two (T01, T02, T03, T07): what a proxy takes for content, or drops, is another request to who reads it otherwise.
PAIRS = {
    "a length and chunks": post(f"Content-Length: {5 + len(SMUGGLED)}", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunks and a length": post("Transfer-Encoding: chunked", "Content-Length: 4") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    "two lengths": post("Content-Length: 0", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,
    "two lengths in one field": post(f"Content-Length: 0, {len(SMUGGLED)}") + SMUGGLED,
    "a length with a sign": post("Content-Length: +0") + SMUGGLED,
    "a length of two numbers": post("Content-Length: 0 0") + SMUGGLED,
    "a length, and a space before its colon": post(f"Content-Length : {len(SMUGGLED)}") + SMUGGLED,
    "an unknown coding": post("Transfer-Encoding: xchunked") + b"0\r\n\r\n" + SMUGGLED,
    "identity": post("Transfer-Encoding: identity", "Content-Length: 0") + SMUGGLED,
    "chunked twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunked, and not last": post("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n" + SMUGGLED,
    "chunked behind a vertical tab": post("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunked behind a tab": post("Transfer-Encoding:\tchunked", f"Content-Length: {len(SMUGGLED)}") + b"0\r\n\r\n" + SMUGGLED,
    "chunked on a line of its own": post("Transfer-Encoding:\r\n chunked", f"Content-Length: {len(SMUGGLED)}") + b"0\r\n\r\n" + SMUGGLED,
    "a space before the colon": post("Transfer-Encoding : chunked", f"Content-Length: {len(SMUGGLED)}") + b"0\r\n\r\n" + SMUGGLED,
    "chunks in HTTP/1.0": post("Transfer-Encoding: chunked", version="1.0") + b"0\r\n\r\n" + SMUGGLED,
    "a chunk's size with a prefix": post("Transfer-Encoding: chunked") + b"0x0\r\n\r\n" + SMUGGLED,
    "a chunk's size that overflows": post("Transfer-Encoding: chunked") + b"10000000000000000\r\n\r\n" + SMUGGLED,
    "a chunk's line ended by LF alone": post("Transfer-Encoding: chunked") + b"0;x\n\r\n" + SMUGGLED,
    "a chunk longer than its size": post("Transfer-Encoding: chunked") + b"1\r\nxy\r\n0\r\n\r\n" + SMUGGLED,
    "a field that ends with CR alone": post("X: y\rContent-Length: 0") + SMUGGLED,
    "NUL in a field": post("X: y\x00", "Content-Length: 0") + SMUGGLED,
    "content of GET": request("GET / HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,
    "another protocol before its 101": opening_handshake("/", "Content-Length: 0", version="777").replace(b"Upgrade: web", b"Upgrade: Web")
    + text("early").masked_with()
    + SMUGGLED,
}


class Behind(PeerTest):
    """`echo` behind a proxy; `tls` is between the client and the proxy, `inner_tls` between the proxy and `echo`."""

    deadline = 120
    kind: type[Proxy]
    inner_tls = False
    echo: Echo
    proxy: Proxy

    @classmethod
    def setUpClass(cls) -> None:
        cls.echo = cls.enterClassContext(Echo(tls=cls.inner_tls))
        cls.proxy = cls.enterClassContext(cls.kind(cls.echo.port, cls.inner_tls))

    @property
    def http(self) -> str:
        return self.proxy.url("https" if self.tls else "http")

    @property
    def websocket(self) -> str:
        return self.proxy.url(self.scheme) + "/"

    def connections(self) -> int:
        """How many the proxy has to `echo`."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(1 for row in rows if row[1].endswith(f":{self.echo.port:04X}") and row[3] == "01")


class Passes:
    def test_requests(self) -> None:
        page = curl(self.http + "/").stdout
        self.assertIn(b"<html", page.lower())
        self.assertEqual(curl(self.http + "/chunked").stdout, b"one two three")
        self.assertEqual(curl("--http1.0", self.http + "/chunked").stdout, b"one two three")
        head = curl("--head", self.http + "/").stdout.decode().lower()
        self.assertIn(f"content-length: {len(page)}\r\n", head)
        self.assertEqual(curl("--write-out", "%{http_code}", "--output", os.devnull, self.http + "/nowhere").stdout, b"404")

    def test_connections_to_us_are_kept(self) -> None:
        for _ in range(20):
            self.assertEqual(curl(self.http + "/chunked").stdout, b"one two three")
        self.assertIn(self.connections(), (1, 2), "one is there, and there are not twenty")

    def test_uploads(self) -> None:
        for content in (b"", b"x", os.urandom(MIB), os.urandom(8 * MIB)):
            for more in ((), ("--header", "Transfer-Encoding: chunked"), ("--header", "Expect: 100-continue")):
                with self.subTest(size=len(content), more=more):
                    self.assertTrue(curl("--data-binary", "@-", *more, self.http + "/echo", content=content).stdout == content)

    def test_an_upload_above_the_limit_is_a_413(self) -> None:
        status = ("--write-out", "%{http_code}", "--output", os.devnull)
        self.assertEqual(curl("--data-binary", "@-", *status, self.http + "/echo", content=bytes(9 * MIB)).stdout, b"413")

    def test_messages_of_every_size(self) -> None:
        with python_client(self.websocket) as peer:
            for message in ("", UNICODE, *(os.urandom(size) for size in SIZES)):
                peer.send(message)
                self.assertTrue(peer.recv(timeout=20) == message, f"{len(message)} bytes")
            peer.send(["one, ", "two, ", "three"])
            self.assertEqual(peer.recv(timeout=10), "one, two, three")
            for data in (b"", bytes(125)):
                self.assertTrue(peer.ping(data).wait(10), "no pong")

    def test_compressed_messages(self) -> None:
        with Echo("--deflate", tls=self.inner_tls) as echo, self.kind(echo.port, self.inner_tls) as proxy:
            with python_client(proxy.url(self.scheme) + "/") as peer:
                self.assertIn("permessage-deflate", peer.response.headers["Sec-WebSocket-Extensions"])
                peer.send("hello " * 10_000)
                self.assertEqual(peer.recv(timeout=10), "hello " * 10_000)

    def test_closes(self) -> None:
        for code in (1000, 1001, 3000, 4999):
            with self.subTest(code=code), python_client(self.websocket) as peer:
                peer.close(code, "because")
                self.assertEqual(peer.protocol.close_rcvd.code, code)

    def test_a_server_that_stops_says_so(self) -> None:
        with Echo(tls=self.inner_tls) as echo, self.kind(echo.port, self.inner_tls) as proxy:
            with python_client(proxy.url(self.scheme) + "/") as peer:
                peer.send("hello")
                self.assertEqual(peer.recv(timeout=10), "hello")
                echo.process.send_signal(signal.SIGTERM)
                with self.assertRaises(ConnectionClosed):
                    peer.recv(timeout=10)
                self.assertEqual(peer.protocol.close_rcvd.code, 1001)
                self.assertEqual(echo.exits(), 0)

    def test_frames_behind_the_handshake_in_one_segment(self) -> None:
        with self.proxy.wire(self.tls) as wire:
            wire.says(opening_handshake(), text("early").masked_with(), close(1000).masked_with())
            wire.hears_upgrade()
            wire.hears(text("early"))
            self.assertEqual(wire.hears_close(), 1000)

    def test_a_bad_handshake_stays_http(self) -> None:
        """Nothing is tunnelled that is not a 101."""
        with self.proxy.wire(self.tls) as wire:
            wire.says(opening_handshake(version="12"))
            head = wire.hears_head()
            self.assertEqual((head.status, head.fields["sec-websocket-version"]), (426, "13"))
            wire.hears_content(head)
            wire.says(request("GET /nowhere HTTP/1.1", "Host: a"))
            self.assertEqual(wire.hears_head().status, 404)

    def test_what_our_server_is_told(self) -> None:
        """The origin of a page is judged by `Host`; the rest is for who believes it."""

        def script(wire: Wire, head: Head) -> None:
            self.assertEqual(head.fields["host"], "example.org:8443")
            self.assertEqual((head.fields["upgrade"], head.fields["connection"].lower()), ("websocket", "upgrade"))
            self.assertEqual(head.fields["x-forwarded-for"], "127.0.0.1")
            self.assertEqual(head.fields["origin"], "https://example.org:8443")
            wire.says(request("HTTP/1.1 403 Forbidden", "Content-Length: 0"))

        server = WireServer(script, server_context() if self.inner_tls else None)
        with self.kind(server.port, self.inner_tls) as proxy, proxy.wire(self.tls) as wire:
            handshake = opening_handshake("/", "Origin: https://example.org:8443")
            wire.says(handshake.replace(b"Host: 127.0.0.1", b"Host: example.org:8443"))
            self.assertEqual(wire.hears_head().status, 403)
            server.done()


class Smuggling:
    def heard(self, wire: Wire) -> bytes:
        """All that comes, to the end, or until nothing more does."""
        wire.socket.settimeout(1)
        heard = b""
        try:
            while data := wire.socket.recv(65536):
                heard += data
        except OSError:
            pass
        return heard

    def test_no_second_request_is_answered(self) -> None:
        for name, said in PAIRS.items():
            with self.subTest(name), self.proxy.wire(self.tls) as wire:
                wire.says(said)
                heard = self.heard(wire)
                self.assertNotIn(b"two", heard.split(b"\r\n\r\n", 1)[-1].replace(SMUGGLED, b""))
                wire.abort()
                # Nor is it answered to whoever comes next by the same connection to us.
                for _ in range(4):
                    with self.proxy.wire(self.tls) as innocent:
                        innocent.says(request("GET /nowhere HTTP/1.1", "Host: a"))
                        head = innocent.hears_head()
                        self.assertEqual(head.status, 404, head)
                        self.assertEqual(innocent.hears_content(head), b"404 Not Found\n")


@twice
class BehindNginx(Passes, Smuggling, Behind):
    kind = Nginx


@twice
class BehindNginxThatSpeaksTls(Passes, Behind):
    kind = Nginx
    inner_tls = True


@twice
class BehindHaproxy(Passes, Smuggling, Behind):
    kind = Haproxy


@twice
class BehindHaproxyThatSpeaksTls(Passes, Behind):
    kind = Haproxy
    inner_tls = True


class SaysWho:
    """HAProxy tells of each connection whose it is, by the PROXY protocol; before TLS, where it speaks that to us."""

    kind = Haproxy
    versions = ("send-proxy", "send-proxy-v2")

    @classmethod
    def setUpClass(cls) -> None:
        cls.echo = cls.enterClassContext(Echo("--proxy-protocol", tls=cls.inner_tls))

    def address(self, peer: Wire) -> bytes:
        peer.says(request("GET /address HTTP/1.1", "Host: a"))
        head = peer.hears_head()
        self.assertEqual(head.status, 200)
        return peer.hears_content(head)

    def test_each_client_has_its_own_address(self) -> None:
        for version in self.versions:
            with self.subTest(version), Haproxy(self.echo.port, self.inner_tls, version) as proxy:
                with proxy.wire(self.tls) as one, proxy.wire(self.tls) as other:
                    addresses = ["{}:{}".format(*peer.socket.getsockname()).encode() for peer in (one, other)]
                    # In turn, and kept by the proxy in between: who comes second is not taken for who was first.
                    for peer, address in zip((one, other) * 3, addresses * 3):
                        self.assertEqual(self.address(peer), address)

    def test_what_a_client_says_of_itself_is_not_believed(self) -> None:
        for version in self.versions:
            with self.subTest(version), Haproxy(self.echo.port, self.inner_tls, version) as proxy, proxy.wire(self.tls) as liar:
                liar.says(b"PROXY TCP4 192.0.2.7 192.0.2.1 7 80\r\n" + request("GET /address HTTP/1.1", "Host: a"))
                head = liar.hears_head()
                self.assertEqual(head.status, 400, "HAProxy takes it for a request")

    def test_uploads_and_websockets(self) -> None:
        for version in self.versions:
            with self.subTest(version), Haproxy(self.echo.port, self.inner_tls, version) as proxy:
                content = os.urandom(MIB)
                http = proxy.url("https" if self.tls else "http")
                self.assertTrue(curl("--data-binary", "@-", http + "/echo", content=content).stdout == content)
                with python_client(proxy.url(self.scheme) + "/") as peer:
                    for message in ("", UNICODE, content):
                        peer.send(message)
                        self.assertTrue(peer.recv(timeout=20) == message, f"{len(message)} bytes")

    def test_frames_behind_the_handshake_in_one_segment(self) -> None:
        for version in self.versions:
            with self.subTest(version), Haproxy(self.echo.port, self.inner_tls, version) as proxy, proxy.wire(self.tls) as wire:
                wire.says(opening_handshake(), text("early").masked_with(), close(1000).masked_with())
                wire.hears_upgrade()
                wire.hears(text("early"))
                self.assertEqual(wire.hears_close(), 1000)

    def test_who_comes_past_the_proxy_is_closed(self) -> None:
        """A server that is told to expect the header guesses nothing."""
        with Wire.to(self.echo.port) as wire:
            wire.says(request("GET /address HTTP/1.1", "Host: a"))
            wire.hears_end()


@twice
class BehindHaproxyThatSaysWho(SaysWho, Behind):
    pass


@twice
class BehindHaproxyThatSaysWhoAndSpeaksTls(SaysWho, Behind):
    inner_tls = True
