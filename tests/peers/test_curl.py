"""curl as the client of `echo`'s HTTP side."""

from __future__ import annotations

import os
import re
import tempfile

from support import MIB, EchoTest, curl, twice


def responses(printed: bytes) -> list[tuple[int, dict[str, str]]]:
    """The status and fields of each response head that `curl --dump-header` printed."""
    heads = printed.decode("latin-1").split("\r\n\r\n")[:-1]
    parsed = []
    for head in heads:
        line, *fields = head.split("\r\n")
        parsed.append((int(line.split()[1]), {n.lower(): v.strip() for n, _, v in (f.partition(":") for f in fields)}))
    return parsed


@twice
class Http(EchoTest):
    def heads(
        self, path: str, *arguments: str, content: bytes | None = None, output: str = os.devnull
    ) -> list[tuple[int, dict[str, str]]]:
        """All response heads; the content goes to `output`."""
        arguments = ("--dump-header", "-", "--output", output, *arguments, self.echo.http + path)
        return responses(curl(*arguments, content=content).stdout)

    def test_get(self) -> None:
        [(status, fields)] = self.heads("/")
        self.assertEqual(status, 200)
        self.assertTrue(fields["content-type"].startswith("text/html"), fields)
        page = curl(self.echo.http + "/").stdout
        self.assertIn(b"<html", page.lower())
        self.assertEqual(int(fields["content-length"]), len(page))

    def test_head_has_the_fields_of_get_and_no_content(self) -> None:
        get = self.heads("/")[0][1]
        printed = curl("--head", self.echo.http + "/").stdout
        self.assertTrue(printed.endswith(b"\r\n\r\n"), printed)
        [(status, head)] = responses(printed)
        self.assertEqual(status, 200)
        for field in ("content-type", "content-length"):
            self.assertEqual(head[field], get[field])

    def test_post_echoes_the_content(self) -> None:
        for content in (b"", b"x", os.urandom(MIB)):
            with self.subTest(size=len(content)):
                self.assertTrue(self.post(content) == content)

    def test_post_in_chunks(self) -> None:
        for content in (b"", b"x", os.urandom(MIB)):
            with self.subTest(size=len(content)):
                self.assertTrue(self.post(content, "--header", "Transfer-Encoding: chunked") == content)

    def test_post_that_waits_for_100_continue(self) -> None:
        # curl would wait 15 s for the 100 that it asks for, and --max-time is below that.
        with tempfile.NamedTemporaryFile() as heard:
            heads = self.heads(
                "/echo",
                *("--header", "Expect: 100-continue", "--expect100-timeout", "15", "--max-time", "10"),
                *("--data-binary", "@-"),
                content=b"please",
                output=heard.name,
            )
            self.assertEqual([status for status, _ in heads], [100, 200])
            self.assertEqual(heard.read(), b"please")

    def test_another_expectation_is_refused(self) -> None:
        self.assertEqual(self.heads("/echo", "--header", "Expect: a miracle", "--data", "x")[0][0], 417)

    def test_chunks_go_to_http_1_1(self) -> None:
        [(status, fields)] = self.heads("/chunked", "--http1.1")
        self.assertEqual((status, fields["transfer-encoding"].lower()), (200, "chunked"))
        self.assertNotIn("content-length", fields)

    def test_no_chunks_go_to_http_1_0(self) -> None:
        [(status, fields)] = self.heads("/chunked", "--http1.0")
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", fields)

    def test_both_are_the_same_content(self) -> None:
        content = curl("--http1.1", self.echo.http + "/chunked").stdout
        self.assertTrue(content)
        self.assertEqual(curl("--http1.0", self.echo.http + "/chunked").stdout, content)

    def test_an_unknown_path_is_404(self) -> None:
        self.assertEqual(self.heads("/nowhere")[0][0], 404)

    def test_an_ordinary_request_for_ws_is_404(self) -> None:
        self.assertEqual(self.heads("/ws")[0][0], 404)

    def test_a_wrong_method_is_405_with_allow(self) -> None:
        for method, path, allowed in (
            ("DELETE", "/", {"GET", "HEAD"}),
            ("POST", "/", {"GET", "HEAD"}),
            ("GET", "/echo", {"POST"}),
            ("PUT", "/chunked", {"GET", "HEAD"}),
        ):
            with self.subTest(method=method, path=path):
                [(status, fields)] = self.heads(path, "--request", method)
                self.assertEqual(status, 405)
                self.assertLessEqual(allowed, set(re.split(r"\s*,\s*", fields["allow"])))
                self.assertNotIn(method, fields["allow"])

    def test_one_connection_carries_many_requests(self) -> None:
        urls = [self.echo.http + path for path in ("/", "/chunked", "/nowhere", "/")]
        every_output = [argument for url in urls for argument in (url, "--output", os.devnull)]
        connects = curl(*every_output, "--write-out", "%{http_code} %{num_connects}\n").stdout
        self.assertEqual(connects.split(b"\n")[:-1], [b"200 1", b"200 0", b"404 0", b"200 0"])

    def test_connection_close_is_honoured(self) -> None:
        url = self.echo.http + "/"
        fields = self.heads("/", "--header", "Connection: close")[0][1]
        self.assertEqual(fields["connection"].lower(), "close")
        connects = curl(
            *(url, "--output", os.devnull, url, "--output", os.devnull),
            *("--header", "Connection: close", "--write-out", "%{num_connects}\n"),
        ).stdout
        self.assertEqual(connects, b"1\n1\n")

    def test_a_bad_handshake_is_refused(self) -> None:
        good = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        for name, value, status in (
            ("Sec-WebSocket-Version", "12", 426),
            ("Sec-WebSocket-Key", None, 400),
            ("Sec-WebSocket-Key", "c2hvcnQ=", 400),
            ("Sec-WebSocket-Key", "*not base 64, 24 chars*", 400),
        ):
            with self.subTest(name=name, value=value):
                fields = {**good, name: value}
                arguments = [argument for n, v in fields.items() if v is not None for argument in ("--header", f"{n}: {v}")]
                answered, head = self.heads("/ws", "--http1.1", *arguments)[0]
                self.assertEqual(answered, status)
                self.assertNotIn("sec-websocket-accept", head)
                if status == 426:  # RFC 6455 §4.4, RFC 9110 §15.5.22
                    self.assertEqual(head["sec-websocket-version"], "13")
                    self.assertEqual(head["upgrade"].lower(), "websocket")
                    self.assertIn("upgrade", head["connection"].lower())

    def post(self, content: bytes, *arguments: str) -> bytes:
        return curl("--data-binary", "@-", *arguments, self.echo.http + "/echo", content=content).stdout
