"""The `client` example, spoken to by `echo`, Python `websockets` and `aiohttp`, Node `ws` and a raw socket."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import socket
import threading
import time
from pathlib import Path

from aiohttp import WSMsgType, web
from program import Program
from support import MIB, UNICODE, PeerTest, server_context, twice
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from wire import BINARY, CLOSE, PING, PONG, TEXT, Frame, Head, Wire, close, switching_protocols, text


class ClientTest(PeerTest):
    def fails(self, client: Program, within: float = 10) -> str:
        """The one line on stderr of a client that exits 1."""
        self.assertEqual(client.exits(within), 1, client.errors)
        lines = client.errors.decode().splitlines()
        self.assertEqual(len(lines), 1, f"one line on stderr, not {lines}")
        self.assertTrue(lines[0].strip())
        return lines[0]

    def succeeds(self, client: Program, within: float = 10) -> None:
        self.assertEqual(client.exits(within), 0, client.errors)
        self.assertEqual(client.errors, b"")


class Echoes:
    """What holds with every server that echoes; `url` leads to it."""

    url: str

    def test_lines_go_out_as_messages_and_come_back(self) -> None:
        client = self.new_client(self.url)
        for line in ("hello", "", UNICODE, "  spaces stay  "):
            client.feed(line + "\n")
            self.assertEqual(client.hears_line().decode(), line)
        client.end_input()
        self.succeeds(client)

    def test_no_input_at_all(self) -> None:
        client = self.new_client(self.url)
        client.end_input()
        self.assertEqual(client.hears_rest(), [])
        self.succeeds(client)

    def test_every_size_comes_back(self) -> None:
        client = self.new_client(self.url)
        for size in (125, 126, 65535, 65536, MIB, 20 * MIB):
            client.feed(b"x" * size + b"\n")
            self.assertTrue(client.hears_line(30) == b"x" * size, f"{size} bytes")
        client.end_input()
        self.succeeds(client)

    def test_binary(self) -> None:
        client = self.new_client(self.url, "--binary")
        for line in (b"hello", b"\xff\xfe\x00 no text", os.urandom(MIB).replace(b"\n", b"")):
            client.feed(line + b"\n")
            self.assertTrue(client.hears_line(20) == line)
        client.end_input()
        self.succeeds(client)


class ClosesFirst:
    """A server that says "last words" and then ends the connection, while `client` waits for its user."""

    url: str

    def connection_ended(self) -> float:
        """When the server saw the end of the connection."""
        raise NotImplementedError

    def ends(self, path: str) -> Program:
        client = self.new_client(self.url + path)
        self.assertEqual(client.hears_line(), b"last words")
        ended = self.connection_ended()
        client.exits(within=5)
        self.assertLess(time.monotonic() - ended, 1, "`client` exits within a second of the connection's end")
        return client

    def test_clean_codes_exit_0(self) -> None:
        for code in ("1000", "1001", "3000", "4999", "none"):
            with self.subTest(code=code):
                self.succeeds(self.ends(f"close/{code}"))

    def test_other_codes_exit_1_and_are_told(self) -> None:
        for code in ("1002", "1008", "1009", "1011"):
            with self.subTest(code=code):
                self.assertIn(code, self.fails(self.ends(f"close/{code}")))

    def test_an_end_without_a_close_exits_1(self) -> None:
        self.fails(self.ends("terminate"))

    def test_a_refusal_exits_1_with_its_status(self) -> None:
        for status in ("403", "404", "503", "200"):
            with self.subTest(status=status):
                client = self.new_client(self.url + f"refuse/{status}")
                self.assertIn(status, self.fails(client))
                self.assertEqual(client.hears_rest(), [])


@twice
class WithEcho(Echoes, ClientTest):
    def setUp(self) -> None:
        super().setUp()
        self.url = self.enterContext(self.new_echo()).url

    def test_answers_that_are_under_way_at_the_end_of_input_are_printed(self) -> None:
        client = self.new_client(self.url)
        lines = [f"number {n}" for n in range(2000)]
        client.feed("\n".join(lines))  # the last line has no newline, and is a message all the same
        client.end_input()
        self.assertEqual([line.decode() for line in client.hears_rest(20)], lines)
        self.succeeds(client)

    def test_text_that_is_not_utf_8_is_named_and_ends_it(self) -> None:
        client = self.new_client(self.url)
        client.feed(b"good\n\xff\xfe\n")
        self.assertEqual(client.hears_line(), b"good")
        self.assertIn("UTF-8", self.fails(client, within=2))  # standard input is still open


@twice
class WithPython(Echoes, ClosesFirst, ClientTest):
    """Python `websockets` as the server: / echoes, /close/CODE, /terminate, /refuse/STATUS, /redirect/STATUS to / and /round to itself."""

    def setUp(self) -> None:
        super().setUp()
        self.ended = threading.Event()
        server = self.enterContext(
            serve(
                *(self.serve, "127.0.0.1", 0),
                process_request=self.refuse,
                max_size=None,
                close_timeout=5,
                ssl=server_context() if self.tls else None,
            )
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        self.addCleanup(server.shutdown)
        self.url = f"{self.scheme}://127.0.0.1:{server.socket.getsockname()[1]}/"

    def connection_ended(self) -> float:
        self.assertTrue(self.ended.wait(10), "the server has not seen the end of the connection")
        self.ended.clear()
        return time.monotonic()

    def refuse(self, peer: ServerConnection, request: Request) -> Response | None:
        _, what, *how = request.path.split("/")
        if what in ("redirect", "round"):
            answer = peer.respond(int(how[0]) if how else 302, "elsewhere\n")
            answer.headers["Location"] = "../#there" if how else "/round"
            return answer
        return peer.respond(int(how[0]), "no\n") if what == "refuse" else None

    def test_redirects_are_followed_where_that_is_wanted(self) -> None:
        for status in ("301", "302", "303", "307", "308"):
            with self.subTest(status=status):
                client = self.new_client(self.url + f"redirect/{status}", "--redirects", "1")
                client.feed("hello\n")
                self.assertEqual(client.hears_line(), b"hello")
                client.end_input()
                self.succeeds(client)
        self.assertIn("307", self.fails(self.new_client(self.url + "redirect/307")))
        self.assertIn("where we have been", self.fails(self.new_client(self.url + "round", "--redirects", "9")))

    def serve(self, peer: ServerConnection) -> None:
        _, what, *how = peer.request.path.split("/")
        try:
            if what == "":
                for message in peer:
                    peer.send(message)
                return
            peer.send("last words")
            if what == "terminate":
                time.sleep(0.1)
                peer.close_socket()
            elif how[0] == "none":
                with peer.send_context():
                    peer.protocol.send_close()
                for _ in peer:
                    pass
            else:
                peer.close(int(how[0]), "because")
        except ConnectionClosed:
            pass
        self.ended.set()


@twice
class WithNode(Echoes, ClosesFirst, ClientTest):
    """Node `ws` as the server."""

    def setUp(self) -> None:
        super().setUp()
        self.server, self.url = self.new_node()

    def connection_ended(self) -> float:
        self.assertRegex(self.server.hears_line().decode(), "^closed ")
        return time.monotonic()


@twice
class WithAiohttp(Echoes, ClosesFirst, ClientTest):
    """`aiohttp` as the server: / echoes, /close/CODE, /terminate, /refuse/STATUS. It compresses where it is offered."""

    def setUp(self) -> None:
        super().setUp()
        self.ended = threading.Event()
        started: queue.Queue[tuple[int, asyncio.AbstractEventLoop]] = queue.Queue()
        thread = threading.Thread(target=lambda: asyncio.run(self.run_server(started)), daemon=True)
        thread.start()
        port, loop = started.get(timeout=10)
        self.addCleanup(thread.join, 10)
        self.addCleanup(lambda: loop.call_soon_threadsafe(self.over.set))
        self.url = f"{self.scheme}://127.0.0.1:{port}/"

    async def run_server(self, started: queue.Queue[tuple[int, asyncio.AbstractEventLoop]]) -> None:
        self.over = asyncio.Event()
        server = web.Application()
        server.router.add_get("/{path:.*}", self.serve)
        runner = web.AppRunner(server, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context() if self.tls else None)
        await site.start()
        started.put((runner.addresses[0][1], asyncio.get_running_loop()))
        await self.over.wait()
        await runner.cleanup()

    def connection_ended(self) -> float:
        self.assertTrue(self.ended.wait(10), "the server has not seen the end of the connection")
        self.ended.clear()
        return time.monotonic()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        what, *how = request.match_info["path"].split("/")
        if what == "refuse":
            return web.Response(status=int(how[0]), text="no\n")
        peer = web.WebSocketResponse(max_msg_size=0)
        await peer.prepare(request)
        if what == "":
            async for message in peer:
                send = peer.send_str if message.type is WSMsgType.TEXT else peer.send_bytes
                await send(message.data)
            return peer
        await peer.send_str("last words")
        if what == "terminate":
            await asyncio.sleep(0.1)
            request.transport.abort()
        elif how[0] == "none":
            request.transport.write(b"\x88\x00")
            await peer.receive()
        else:
            await peer.close(code=int(how[0]), message=b"because")
        self.ended.set()
        return peer


@twice
class WithAWire(ClientTest):
    """Servers that no library would be."""

    def test_the_handshake_and_the_masks_are_as_the_rfc_wants_them(self) -> None:
        masks = set()

        def script(wire: Wire, head: Head) -> None:
            self.assertEqual(head.line, "GET /some/path?with=query HTTP/1.1")
            self.assertEqual(head.fields["host"], f"127.0.0.1:{server.port}")
            self.assertEqual(head.fields["upgrade"].lower(), "websocket")
            self.assertIn("upgrade", head.fields["connection"].lower())
            self.assertEqual(head.fields["sec-websocket-version"], "13")
            self.assertEqual(len(head.fields["sec-websocket-key"]), 24)
            wire.says(switching_protocols(head.fields["sec-websocket-key"]))
            for _ in range(3):
                first, second = wire.hears_bytes(2)
                self.assertEqual((first, second), (0x81, 0x85), "a whole, masked text frame of five bytes")
                mask = wire.hears_bytes(4)
                wire.hears_bytes(5)
                masks.add(mask)
            self.assertEqual(wire.hears_frame(), close(1000)._replace(masked=True))
            wire.says(close(1000).unmasked())

        server = self.wire_server(script)
        client = self.new_client(server.url + "some/path?with=query")
        client.feed("hello\nhello\nhello\n")
        client.end_input()
        server.done()
        self.succeeds(client)
        self.assertEqual(len(masks), 3, "RFC 6455 §5.3: a fresh masking key for each frame")

    def test_what_comes_after_our_close_is_still_printed(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            wire.says(switching_protocols(head.fields["sec-websocket-key"]))
            self.assertEqual(wire.hears_close(), 1000)
            wire.says(text("one ", fin=False).unmasked(), Frame(PING, b"?").unmasked())
            wire.says(Frame(0, b"more").unmasked(), text("and another").unmasked(), close(1000).unmasked())

        server = self.wire_server(script)
        client = self.new_client(server.url)
        client.end_input()
        self.assertEqual(client.hears_rest(), [b"one more", b"and another"])
        self.succeeds(client)
        server.done()

    def test_a_ping_is_answered_while_the_user_is_silent(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            wire.says(switching_protocols(head.fields["sec-websocket-key"]), Frame(PING, b"still there?").unmasked())
            self.assertEqual(wire.hears_frame(), Frame(PONG, b"still there?", masked=True))
            wire.says(close().unmasked())
            self.assertIsNone(wire.hears_close())

        server = self.wire_server(script)
        client = self.new_client(server.url)
        server.done()
        self.succeeds(client)

    def test_interim_responses_are_passed_over(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            wire.says(b"HTTP/1.1 100 Continue\r\n\r\n")
            wire.says(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            wire.says(b"HTTP/1.1 103 Early Hints\r\n\r\n", switching_protocols(head.fields["sec-websocket-key"]))
            self.hears_and_closes(wire)

        self.greets(script)

    def test_frames_in_the_segment_of_the_101_are_read(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            welcome = b"".join(text(word).unmasked() for word in ("welcome", "to", "you"))
            wire.says(switching_protocols(head.fields["sec-websocket-key"]), welcome)
            self.hears_and_closes(wire)

        self.greets(script, b"welcome", b"to", b"you")

    def test_the_101_and_the_frames_may_come_byte_by_byte(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            for byte in switching_protocols(head.fields["sec-websocket-key"]) + text("welcome").unmasked():
                wire.says(bytes([byte]))
                time.sleep(0.0005)
            self.hears_and_closes(wire)

        self.greets(script, b"welcome")

    def test_a_handshake_that_proves_nothing_is_refused(self) -> None:
        key = "sec-websocket-key"
        answers = {
            "a wrong accept": lambda head: switching_protocols("", accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            "an extension not offered": lambda head: switching_protocols(
                head.fields[key], "Sec-WebSocket-Extensions: x-webkit-deflate-frame"
            ),
            "a subprotocol not offered": lambda head: switching_protocols(head.fields[key], "Sec-WebSocket-Protocol: chat"),
            "no Upgrade": lambda head: switching_protocols(head.fields[key]).replace(b"Upgrade: websocket\r\n", b""),
            "no Connection": lambda head: switching_protocols(head.fields[key]).replace(b"Connection: Upgrade\r\n", b""),
            "no HTTP": lambda head: b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "nothing": lambda head: b"",
        }
        for name, answer in answers.items():
            with self.subTest(name):
                server = self.wire_server(lambda wire, head: wire.says(answer(head)))
                client = self.new_client(server.url)
                self.fails(client)
                self.assertEqual(client.hears_rest(), [])
                server.done()

    def test_a_violation_is_answered_with_its_code(self) -> None:
        violations = {
            "a masked frame": (text("hello").masked_with(), 1002),
            "an unknown opcode": (Frame(3).unmasked(), 1002),
            "a reserved bit": (Frame(TEXT, b"x", rsv=1).unmasked(), 1002),
            "a ping of 126 bytes": (Frame(PING, bytes(126)).unmasked(), 1002),
            "a fragmented ping": (Frame(PING, fin=False).unmasked(), 1002),
            "a continuation of nothing": (Frame(0, b"x").unmasked(), 1002),
            "a close code of the local kind": (close(1006).unmasked(), 1002),
            "text that is none": (Frame(TEXT, b"\xff").unmasked(), 1007),
            "more than 64 MiB": (bytes([0x80 | BINARY, 127]) + (64 * MIB + 1).to_bytes(8, "big"), 1009),
        }
        for name, (violation, code) in violations.items():
            with self.subTest(name):

                def script(wire: Wire, head: Head) -> None:
                    wire.says(switching_protocols(head.fields["sec-websocket-key"]), violation)
                    heard = wire.hears_frame()
                    self.assertTrue(heard.masked)
                    self.assertEqual((heard.opcode, heard.payload[:2]), (CLOSE, code.to_bytes(2, "big")))

                server = self.wire_server(script)
                client = self.new_client(server.url)
                server.done()
                self.assertIn(str(code), self.fails(client))
                self.assertEqual(client.hears_rest(), [])

    def test_a_reset_exits_1(self) -> None:
        def script(wire: Wire, head: Head) -> None:
            wire.says(switching_protocols(head.fields["sec-websocket-key"]), text("hello").unmasked())
            time.sleep(0.2)
            wire.abort()

        server = self.wire_server(script)
        client = self.new_client(server.url)
        self.assertEqual(client.hears_line(), b"hello")
        server.done()
        self.fails(client, within=1)

    def test_input_waits_for_a_server_that_does_not_read(self) -> None:
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def script(wire: Wire, head: Head) -> None:
            wire.says(switching_protocols(head.fields["sec-websocket-key"]))
            go_on.wait(30)
            wire.abort()

        server = self.wire_server(script)
        client = self.new_client(server.url)
        fed = 0

        def feed() -> None:
            nonlocal fed
            try:
                while True:
                    client.feed((b"x" * 1023 + b"\n") * 256)
                    fed += 256 << 10
            except OSError:  # it has exited
                pass

        threading.Thread(target=feed, daemon=True).start()
        before = -1
        while fed > before:
            before = fed
            time.sleep(1)
        status = Path(f"/proc/{client.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10
        self.assertLess(peak, 32 * MIB, f"resident, with {fed} bytes fed")
        self.assertIsNone(client.process.poll(), "it waits")
        go_on.set()
        server.done()
        self.fails(client, within=1)

    def test_it_reads_while_it_cannot_write(self) -> None:
        """A server that takes no message before its own is out, each more than all buffers on the way hold."""

        def script(wire: Wire, head: Head) -> None:
            wire.says(switching_protocols(head.fields["sec-websocket-key"]))
            first = wire.hears_bytes(2)  # the message is on its way
            wire.says(Frame(TEXT, b"y" * (32 * MIB)).unmasked())
            wire.unread = first + wire.unread
            self.assertEqual(len(wire.hears_frame().payload), 32 * MIB)
            self.assertEqual(wire.hears_close(), 1000)
            wire.says(close(1000).unmasked())

        server = self.wire_server(script)
        client = self.new_client(server.url)
        client.feed(b"x" * (32 * MIB))
        client.end_input()
        self.assertTrue(client.hears_line(20) == b"y" * (32 * MIB))
        self.succeeds(client)
        server.done()

    def test_nobody_listens(self) -> None:
        server = self.wire_server(lambda wire, head: None)
        server.listener.shutdown(socket.SHUT_RDWR)  # before anybody came
        server.listener.close()
        self.fails(self.new_client(server.url))

    def hears_and_closes(self, wire: Wire) -> None:
        self.assertEqual(wire.hears_frame(), Frame(TEXT, b"hello", masked=True))
        self.assertEqual(wire.hears_close(), 1000)
        wire.says(close(1000).unmasked())

    def greets(self, script: object, *welcome: bytes) -> None:
        server = self.wire_server(script)  # type: ignore[arg-type]
        client = self.new_client(server.url)
        for line in welcome:
            self.assertEqual(client.hears_line(), line)
        client.feed("hello\n")
        client.end_input()
        server.done()
        self.succeeds(client)
