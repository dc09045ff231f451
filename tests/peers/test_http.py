"""The `http` example, asked by curl and Python `httpx`: files, ranges, conditions, JSON, uploads, events."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import httpx
from program import Program
from support import HTTP, MIB, PeerTest, curl
from wire import Wire, request


class HttpExample(PeerTest):
    def setUp(self) -> None:
        super().setUp()
        parent = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = parent / "site"
        self.folder.mkdir()
        (self.folder / "digits.txt").write_text("0123456789")
        (parent / "secret.txt").write_text("secret")
        (self.folder / "link.txt").symlink_to(parent / "secret.txt")
        self.server = self.enterContext(Program(HTTP, "127.0.0.1:0", str(self.folder)))
        listening = re.fullmatch(r"listening on (http://127\.0\.0\.1:(\d+))", self.server.hears_line().decode())
        assert listening
        self.url, self.port = listening[1], int(listening[2])
        self.client = self.enterContext(httpx.Client(base_url=self.url, trust_env=False, timeout=20))

    def get(self, path: str = "/digits.txt", **fields: str) -> httpx.Response:
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in fields.items()})

    def test_a_file(self) -> None:
        answer = self.get()
        self.assertEqual((answer.status_code, answer.text, answer.headers["accept-ranges"]), (200, "0123456789", "bytes"))
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
        (self.folder / "README.md").write_text("# To be read")
        self.assertTrue(self.get("/README.md").headers["content-type"].startswith("text/plain"))
        head = self.client.head("/digits.txt")
        self.assertEqual((head.content, head.headers["content-length"], head.headers["etag"]), (b"", "10", answer.headers["etag"]))
        self.assertEqual(self.client.put("/digits.txt", content=b"x" * MIB).status_code, 405)
        self.assertEqual(self.get().text, "0123456789")

    def test_a_large_file(self) -> None:
        content = os.urandom(20 * MIB)
        (self.folder / "large").write_bytes(content)
        self.assertTrue(curl(self.url + "/large").stdout == content)
        self.assertTrue(curl("--range", "1000000-19999999", self.url + "/large").stdout == content[1_000_000:20_000_000])

    def test_ranges(self) -> None:
        """RFC 9110 §14.2, §15.3.7, §15.5.17."""
        for asked, content, told in (
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=0-0", "0", "bytes 0-0/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=7-99999999999999999999", "0123456789", None),  # no number of ours
            ("bytes=7-99", "789", "bytes 7-9/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=-99", "0123456789", "bytes 0-9/10"),
            ("bytes=4-2", "0123456789", None),
            ("bytes=0-1,5-6", "0123456789", None),
            ("lines=0-1", "0123456789", None),
            ("bytes=+2-+4", "0123456789", None),
        ):
            with self.subTest(asked):
                answer = self.get(Range=asked)
                self.assertEqual((answer.text, answer.headers.get("content-range")), (content, told))
                self.assertEqual(answer.status_code, 206 if told else 200)
        for asked in ("bytes=10-", "bytes=10-20", "bytes=-0"):
            answer = self.get(Range=asked)
            self.assertEqual((answer.status_code, answer.content, answer.headers["content-range"]), (416, b"", "bytes */10"))
        self.assertEqual(self.client.head("/digits.txt", headers={"Range": "bytes=2-4"}).status_code, 200)

    def test_conditions(self) -> None:
        """RFC 9110 §13.1."""
        fields = self.get().headers
        tag, date = fields["etag"], fields["last-modified"]
        for known in ({"If_None_Match": tag}, {"If_None_Match": f'"x", W/{tag}'}, {"If_None_Match": "*"}, {"If_Modified_Since": date}):
            with self.subTest(known=known):
                answer = self.get(**known)
                self.assertEqual((answer.status_code, answer.content, answer.headers["etag"]), (304, b"", tag))
        for unknown in (
            {"If_None_Match": '"x"'},
            {"If_None_Match": '"x"', "If_Modified_Since": date},
            {"If_Modified_Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
            {"If_Modified_Since": "yesterday"},
        ):
            with self.subTest(unknown=unknown):
                self.assertEqual(self.get(**unknown).status_code, 200)
        for meant in (
            *({"If_Match": tag}, {"If_Match": f'"x", {tag}'}, {"If_Match": "*"}, {"If_Unmodified_Since": date}),
            *({"If_Unmodified_Since": "yesterday"}, {"If_Match": tag, "If_Unmodified_Since": "Sun, 06 Nov 1994 08:49:37 GMT"}),
        ):
            with self.subTest(meant=meant):
                self.assertEqual(self.get(**meant).status_code, 200)
        for other in (
            *({"If_Match": '"x"'}, {"If_Match": f"W/{tag}"}, {"If_Unmodified_Since": "Sun, 06 Nov 1994 08:49:37 GMT"}),
            *({"If_Match": '"x"', "If_Unmodified_Since": date}, {"If_Match": '"x"', "If_None_Match": tag}),
        ):
            with self.subTest(other=other):
                answer = self.get(**other)
                self.assertEqual((answer.status_code, answer.content), (412, b""))
        for validator, status in ((tag, 206), (date, 206), ('"x"', 200), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
            with self.subTest(if_range=validator):
                self.assertEqual(self.get(Range="bytes=2-4", If_Range=validator).status_code, status)
        (self.folder / "digits.txt").write_text("new")
        self.assertEqual(self.get(If_None_Match=tag).text, "new")

    def test_nothing_is_found_outside_the_folder(self) -> None:
        for path in (
            *("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/x/../../secret.txt", "/link.txt", "//etc/passwd"),
            *("/%2fetc%2fpasswd", "/%00", "/%ff", "/digits.txt/", "/."),
        ):
            with self.subTest(path), Wire.to(self.port) as wire:
                wire.says(request(f"GET {path} HTTP/1.1", "Host: a"))
                head = wire.hears_head()
                self.assertIn(head.status, (400, 404))
                self.assertNotIn(b"secret", wire.hears_content(head))

    def test_json(self) -> None:
        self.assertRegex(self.get("/now.json").json()["now"], r"^\w{3}, \d\d \w{3} \d{4} ")

    def test_an_upload_is_told_as_it_comes(self) -> None:
        content = os.urandom(20 * MIB)
        answer = curl("--data-binary", "@-", self.url + "/upload", content=content).stdout
        self.assertEqual(answer, b'{"bytes":%d}' % len(content))
        *progress, last = self.server.hears_line().decode().split("\r")
        self.assertGreater(len(progress), 10)
        self.assertRegex(last, rf"^{len(content)} of {len(content)} bytes from 127\.0\.0\.1:\d+$")
        # In chunks, nobody knows of how many.
        self.assertEqual(self.client.post("/upload", content=iter([b"one", b"two"])).json(), {"bytes": 6})
        self.assertRegex(self.server.hears_line().decode().split("\r")[-1], r"^6 bytes from ")
        self.assertEqual(self.client.post("/upload").json(), {"bytes": 0})
        self.assertEqual(self.get("/upload").status_code, 405)
        # One that breaks off.
        with Wire.to(self.port) as wire:
            wire.says(request("POST /upload HTTP/1.1", "Host: a", "Content-Length: 10"), b"half")
        self.assertIn("given up", self.server.hears_line().decode())

    def test_events(self) -> None:
        with self.client.stream("GET", "/events") as answer:
            self.assertEqual(answer.headers["content-type"], "text/event-stream")
            lines = answer.iter_lines()
            for number in range(3):
                self.assertEqual(next(lines), f"id: {number}")
                self.assertRegex(next(lines), r"^data: \w{3}, ")
                self.assertEqual(next(lines), "")
        self.assertEqual(self.get().status_code, 200)

    def test_a_page_where_the_folder_has_none(self) -> None:
        self.assertIn("EventSource", self.get("/").text)
