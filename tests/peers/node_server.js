// Node's `ws` as a server for `client`. The path says what it does:
// / echoes, /close/CODE (or `none`), /terminate, /refuse/STATUS. It prints where it listens, then each connection's end.
// DEFLATE holds its options for permessage-deflate; without, there is none. TLS_CERT and TLS_KEY name the files for TLS.
"use strict";

const { readFileSync } = require("node:fs");
const { WebSocketServer } = require("ws");

const { TLS_CERT, TLS_KEY } = process.env;
const http = TLS_CERT
  ? require("node:https").createServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : require("node:http").createServer();
const websockets = new WebSocketServer({
  noServer: true,
  maxPayload: 64 << 20,
  perMessageDeflate: JSON.parse(process.env.DEFLATE || "false"),
});

http.on("upgrade", (request, socket, head) => {
  const [, what, how] = request.url.split("/");
  if (what === "refuse") {
    socket.end(`HTTP/1.1 ${how} Not a websocket\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n`);
    return;
  }
  websockets.handleUpgrade(request, socket, head, (peer) => {
    peer.on("close", (code) => console.log(`closed ${code}`));
    peer.on("error", (error) => console.log(`error ${error.message}`));
    if (what === "") {
      peer.on("message", (message, isBinary) => peer.send(message, { binary: isBinary }));
      return;
    }
    peer.send("last words");
    if (what === "close") peer.close(...(how === "none" ? [] : [Number(how), "because"]));
    if (what === "terminate") setTimeout(() => peer.terminate(), 100);
  });
});

http.listen(0, "127.0.0.1", () => console.log(`listening on ${TLS_CERT ? "wss" : "ws"}://127.0.0.1:${http.address().port}`));
