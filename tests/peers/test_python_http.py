"""Python `httpx` and `aiohttp` as clients of `echo`: requests, streamed both ways, and websockets. `aiohttp` as a server is in `test_client.py`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import aiohttp
import httpx
from support import MIB, UNICODE, Echo, EchoTest, client_context, twice


def pieces(content: bytes, size: int = 10_000) -> Iterator[bytes]:
    yield from (content[at : at + size] for at in range(0, len(content), size))


@twice
class Httpx(EchoTest):
    def client(self, **options: object) -> httpx.Client:
        return self.enterContext(httpx.Client(base_url=self.echo.http, verify=client_context(), trust_env=False, timeout=20, **options))

    def test_requests_on_one_connection(self) -> None:
        client = self.client(limits=httpx.Limits(max_connections=1))
        for _ in range(50):
            self.assertEqual(client.get("/chunked").text, "one two three")
        page = client.get("/")
        self.assertEqual((page.status_code, page.http_version), (200, "HTTP/1.1"))
        self.assertTrue(page.headers["content-type"].startswith("text/html"))
        head = client.head("/")
        self.assertEqual((head.content, head.headers["content-length"]), (b"", page.headers["content-length"]))
        self.assertEqual(client.get("/nowhere").status_code, 404)
        self.assertEqual(client.delete("/").status_code, 405)

    def test_uploads(self) -> None:
        client = self.client()
        for content in (b"", b"x", os.urandom(MIB)):
            self.assertEqual(client.post("/echo", content=content).content, content)
            self.assertEqual(client.post("/echo", content=pieces(content)).content, content)

    def test_fields_come_back(self) -> None:
        answer = self.client().post("/echo", content="héllo".encode(), headers={"Content-Type": "text/plain; charset=utf-8"})
        self.assertEqual(answer.text, "héllo")

    def test_a_response_in_pieces(self) -> None:
        with self.client().stream("GET", "/chunked") as answer:
            self.assertEqual("".join(answer.iter_text()), "one two three")

    def test_an_upload_above_the_limit_is_a_413(self) -> None:
        self.assertEqual(self.client().post("/echo", content=bytes(9 * MIB)).status_code, 413)

    def test_many_at_a_time(self) -> None:
        async def all_of_them() -> None:
            async with httpx.AsyncClient(base_url=self.echo.http, verify=client_context(), trust_env=False, timeout=20) as client:
                content = [os.urandom(n * 100) for n in range(64)]
                answers = await asyncio.gather(*(client.post("/echo", content=each) for each in content))
                self.assertEqual([answer.content for answer in answers], content)

        asyncio.run(all_of_them())


@twice
class Aiohttp(EchoTest):
    def session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=client_context())
        return aiohttp.ClientSession(self.echo.http, connector=connector, timeout=aiohttp.ClientTimeout(20))

    def test_requests(self) -> None:
        async def requests() -> None:
            async with self.session() as session:
                for _ in range(20):
                    async with session.get("/chunked") as answer:
                        self.assertEqual(await answer.text(), "one two three")
                async with session.head("/") as answer:
                    self.assertEqual((answer.status, await answer.read()), (200, b""))
                    self.assertGreater(int(answer.headers["Content-Length"]), 0)
                async with session.get("/nowhere") as answer:
                    self.assertEqual(answer.status, 404)

        asyncio.run(requests())

    def test_uploads(self) -> None:
        async def streamed(content: bytes) -> AsyncIterator[bytes]:
            for piece in pieces(content):
                yield piece

        async def uploads() -> None:
            async with self.session() as session:
                for content in (b"", b"x", os.urandom(MIB)):
                    for data in (content, streamed(content)):
                        async with session.post("/echo", data=data) as answer:
                            self.assertEqual(await answer.read(), content)
                async with session.post("/echo", data=b"please", expect100=True) as answer:
                    self.assertEqual(await answer.read(), b"please")

        asyncio.run(uploads())

    def test_many_at_a_time(self) -> None:
        async def one(session: aiohttp.ClientSession, content: bytes) -> bool:
            async with session.post("/echo", data=content) as answer:
                return await answer.read() == content

        async def all_of_them() -> None:
            async with self.session() as session:
                self.assertTrue(all(await asyncio.gather(*(one(session, os.urandom(n * 100)) for n in range(64)))))

        asyncio.run(all_of_them())

    def test_websockets(self) -> None:
        async def says(url: str, compress: int) -> None:
            async with self.session() as session, session.ws_connect(url, compress=compress, max_msg_size=0) as socket:
                self.assertEqual(bool(socket.compress), bool(compress))
                for message in ("hello", "", UNICODE):
                    await socket.send_str(message)
                    self.assertEqual(await socket.receive_str(timeout=10), message)
                for size in (0, 125, 126, 65535, 65536, MIB):
                    content = os.urandom(size)
                    await socket.send_bytes(content)
                    self.assertTrue(await socket.receive_bytes(timeout=20) == content)
                await socket.ping(b"?")
                await socket.close(code=4000, message=b"enough")
                self.assertEqual(socket.close_code, 4000)

        asyncio.run(says(self.echo.url, 0))
        with Echo("--deflate", tls=self.tls) as compressing:
            asyncio.run(says(compressing.url, 15))
