// Node's `ws` as the client of `echo`, whose URL is in ECHO_URL.
"use strict";

const assert = require("node:assert/strict");
const { randomBytes } = require("node:crypto");
const { once } = require("node:events");
const { test } = require("node:test");
const { rootCertificates } = require("node:tls");
const { WebSocket } = require("ws");

const URL = process.env.ECHO_URL;
const MIB = 1 << 20;
const SIZES = [0, 1, 125, 126, 65535, 65536, MIB, 20 * MIB];

const within = (timeout) => ({ timeout });

async function connected(options = {}, path = "", protocols = []) {
  const peer = new WebSocket(URL + path, protocols, options);
  await once(peer, "open");
  return peer;
}

async function closes(peer, code, reason) {
  const closed = once(peer, "close");
  peer.close(code, reason);
  const [received] = await closed;
  return received;
}

for (const perMessageDeflate of [false, true]) {
  const offer = perMessageDeflate ? "offering compression" : "without compression";

  test(`binary of every size comes back, ${offer}`, within(60_000), async () => {
    const peer = await connected({ perMessageDeflate });
    for (const size of SIZES) {
      const message = randomBytes(size);
      peer.send(message);
      const [heard, isBinary] = await once(peer, "message");
      assert.equal(isBinary, true);
      assert.ok(heard.equals(message), `${size} bytes`);
    }
    assert.equal(await closes(peer, 1000), 1000);
  });

  test(`text of every size comes back, ${offer}`, within(60_000), async () => {
    const peer = await connected({ perMessageDeflate });
    for (const message of ["hello", "Κόσμε — 你好, 🦀", ...SIZES.map((size) => "x".repeat(size))]) {
      peer.send(message);
      const [heard, isBinary] = await once(peer, "message");
      assert.equal(isBinary, false);
      assert.ok(heard.toString() === message, `${message.length} characters`);
    }
    assert.equal(await closes(peer, 1000), 1000);
  });
}

test("a fragmented message comes back whole", within(20_000), async () => {
  const peer = await connected();
  peer.send("one, ", { fin: false });
  peer.ping("in the middle");
  peer.send("two, ", { fin: false });
  peer.send("three", { fin: true });
  const [heard] = await once(peer, "message");
  assert.equal(heard.toString(), "one, two, three");
  assert.equal(await closes(peer, 1000), 1000);
});

test("a ping is answered with its data", within(20_000), async () => {
  const peer = await connected();
  for (const data of [Buffer.alloc(0), Buffer.from("are you there?"), randomBytes(125)]) {
    peer.ping(data);
    const [heard] = await once(peer, "pong");
    assert.ok(heard.equals(data));
  }
  assert.equal(await closes(peer, 1000), 1000);
});

test("a close is answered with its code", within(20_000), async () => {
  for (const code of [1000, 1001, 1011, 3000, 4999]) {
    assert.equal(await closes(await connected(), code, "because"), code);
  }
});

test("a close without a code is answered without one", within(20_000), async () => {
  assert.equal(await closes(await connected()), 1005);
});

test("messages keep their order", within(30_000), async () => {
  const peer = await connected();
  const heard = [];
  const all = new Promise((done) => {
    peer.on("message", (message) => heard.push(message.toString()) === 5000 && done());
  });
  for (let n = 0; n < 5000; n++) peer.send(`number ${n}`);
  await all;
  assert.deepEqual(heard, Array.from({ length: 5000 }, (_, n) => `number ${n}`));
  assert.equal(await closes(peer, 1000), 1000);
});

test("the subprotocol echo is chosen, and no other", within(20_000), async () => {
  const peer = await connected({}, "", ["chat", "echo"]);
  assert.equal(peer.protocol, "echo");
  assert.equal(await closes(peer, 1000), 1000);
  const refused = new WebSocket(URL, ["chat"]);
  const [error] = await once(refused, "error");
  assert.equal(error.message, "Server sent no subprotocol");
});

test("any path and any origin upgrade", within(20_000), async () => {
  for (const path of ["", "ws", "some/where/else?with=query"]) {
    const peer = await connected({ origin: "http://elsewhere.example" }, path);
    peer.send("hello");
    const [heard] = await once(peer, "message");
    assert.equal(heard.toString(), "hello");
    assert.equal(await closes(peer, 1000), 1000);
  }
});

test("fifty connections at once", within(30_000), async () => {
  const peers = await Promise.all(Array.from({ length: 50 }, () => connected()));
  await Promise.all(
    peers.map(async (peer, n) => {
      for (let round = 0; round < 20; round++) {
        peer.send(`peer ${n}, round ${round}`);
        const [heard] = await once(peer, "message");
        assert.equal(heard.toString(), `peer ${n}, round ${round}`);
      }
      assert.equal(await closes(peer, 1000), 1000);
    }),
  );
});

if (URL.startsWith("wss:")) {
  test("a certificate is verified: the usual authorities know nothing of ours", within(20_000), async () => {
    const peer = new WebSocket(URL, { ca: rootCertificates });
    const [error] = await once(peer, "error");
    assert.match(error.code, /^(UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/);
  });
}
