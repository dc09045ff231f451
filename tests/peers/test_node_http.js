// Node as an HTTP client of `echo`: `fetch`, which is undici, and the older `http` and `https`.
'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const { test } = require('node:test');

const URL_OF_ECHO = process.env.ECHO_URL.replace(/^ws/, 'http');
const MIB = 1 << 20;
const library = URL_OF_ECHO.startsWith('https') ? https : http;
const within = { timeout: 30_000 };

/** One request; `answer` has the head, `content` what followed. */
function asked(path, options = {}, content = undefined) {
  return new Promise((resolve, reject) => {
    const request = library.request(URL_OF_ECHO + path, options, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => resolve({ answer, content: Buffer.concat(pieces), socket: request.socket }));
      answer.on('error', reject);
    });
    request.on('error', reject);
    if (options.headers?.Expect) request.on('continue', () => request.end(content));
    else request.end(content);
  });
}

async function* pieces(content, size = 10_000) {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

test('fetch: requests', within, async () => {
  for (let n = 0; n < 50; n++) {
    assert.strictEqual(await (await fetch(URL_OF_ECHO + 'chunked')).text(), 'one two three');
  }
  const page = await fetch(URL_OF_ECHO);
  assert.strictEqual(page.status, 200);
  assert.match(page.headers.get('content-type'), /^text\/html/);
  assert.strictEqual((await page.text()).length > 0, true);
  const head = await fetch(URL_OF_ECHO, { method: 'HEAD' });
  assert.strictEqual(head.headers.get('content-length'), page.headers.get('content-length'));
  assert.strictEqual(await head.text(), '');
  assert.strictEqual((await fetch(URL_OF_ECHO + 'nowhere')).status, 404);
});

test('fetch: uploads, whole and in pieces', within, async () => {
  for (const content of [Buffer.from('x'), crypto.randomBytes(MIB)]) {
    for (const body of [content, pieces(content)]) {
      const answer = await fetch(URL_OF_ECHO + 'echo', { method: 'POST', body, duplex: 'half' });
      assert.ok(Buffer.from(await answer.arrayBuffer()).equals(content));
    }
  }
});

test('fetch: many at a time', within, async () => {
  const content = Array.from({ length: 64 }, (_, n) => crypto.randomBytes(n * 100 + 1));
  const answers = await Promise.all(
    content.map(async (body) => Buffer.from(await (await fetch(URL_OF_ECHO + 'echo', { method: 'POST', body })).arrayBuffer())),
  );
  answers.forEach((answer, n) => assert.ok(answer.equals(content[n])));
});

test('fetch: one that is given up takes no other along', within, async () => {
  const given = new AbortController();
  const gone = fetch(URL_OF_ECHO + 'echo', { method: 'POST', body: pieces(Buffer.alloc(MIB)), duplex: 'half', signal: given.signal });
  given.abort();
  await assert.rejects(gone, { name: 'AbortError' });
  assert.strictEqual((await fetch(URL_OF_ECHO)).status, 200);
});

test('http: one connection carries many requests', within, async () => {
  const agent = new library.Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set();
  for (let n = 0; n < 50; n++) {
    const { content, socket } = await asked('chunked', { agent });
    assert.strictEqual(content.toString(), 'one two three');
    sockets.add(socket);
  }
  assert.strictEqual(sockets.size, 1);
  agent.destroy();
});

test('http: the content that is waited for with 100', within, async () => {
  const { answer, content } = await asked('echo', { method: 'POST', headers: { Expect: '100-continue' } }, 'please');
  assert.deepStrictEqual([answer.statusCode, content.toString()], [200, 'please']);
});

test('http: an upload above the limit is a 413', within, async () => {
  // The server does not read to the end: what counts is that its answer comes through.
  const status = await new Promise((resolve, reject) => {
    const request = library.request(URL_OF_ECHO + 'echo', { method: 'POST', headers: { 'Content-Length': 9 * MIB } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
      request.destroy();
    });
    request.on('error', reject);
    request.flushHeaders();
  });
  assert.strictEqual(status, 413);
});
