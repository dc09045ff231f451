// Node's `ws` as a client that compresses, of an `echo --deflate` whose URL is in DEFLATE_URL.
"use strict";

const assert = require("node:assert/strict");
const { randomBytes } = require("node:crypto");
const { once } = require("node:events");
const { test } = require("node:test");
const { WebSocket } = require("ws");

const URL = process.env.DEFLATE_URL;
const MIB = 1 << 20;
const SIZES = [0, 1, 125, 126, 127, 128, 1000, 65535, 65536, MIB, 20 * MIB];

const within = (timeout) => ({ timeout });

async function connected(perMessageDeflate) {
  const peer = new WebSocket(URL, { perMessageDeflate });
  await once(peer, "open");
  return peer;
}

async function closes(peer, code) {
  const closed = once(peer, "close");
  peer.close(code);
  const [received] = await closed;
  return received;
}

for (const [options, agreed] of [
  [{}, "permessage-deflate"],
  [{ threshold: 0 }, "permessage-deflate"],
  [
    { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  ],
  [{ threshold: 0, serverNoContextTakeover: true }, "permessage-deflate; server_no_context_takeover"],
  [
    { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
  ],
]) {
  const told = JSON.stringify(options);

  test(`every size comes back, ${told}`, within(60_000), async () => {
    const peer = await connected(options);
    assert.equal(peer.extensions, "permessage-deflate");
    const parameters = peer._extensions["permessage-deflate"].params;
    const said = Object.entries(parameters).map(([name, value]) => (value === true ? `; ${name}` : `; ${name}=${value}`));
    assert.deepEqual(["permessage-deflate", ...said].join("").split("; ").sort(), agreed.split("; ").sort());
    for (const size of SIZES) {
      for (const message of [randomBytes(size), Buffer.from("prose, ".repeat(Math.ceil(size / 7)).slice(0, size))]) {
        peer.send(message);
        const [heard, isBinary] = await once(peer, "message");
        assert.equal(isBinary, true);
        assert.ok(heard.equals(message), `${size} bytes`);
      }
    }
    assert.equal(await closes(peer, 1000), 1000);
  });

  test(`fragments and what is not compressed come back, ${told}`, within(20_000), async () => {
    const peer = await connected(options);
    for (let round = 0; round < 20; round++) {
      peer.send("one, ".repeat(100), { fin: false, compress: round % 2 === 0 });
      peer.ping("in the middle");
      peer.send("Κόσμε 🦀", { fin: true });
      const [heard] = await once(peer, "message");
      assert.equal(heard.toString(), "one, ".repeat(100) + "Κόσμε 🦀");
    }
    assert.equal(await closes(peer, 1000), 1000);
  });
}
