// Echo on Node's ws; with --fan-out, any message makes it send the prepared one to everybody.
const fs = require('fs');
const { WebSocketServer } = require('ws');

const args = process.argv.slice(2);
const port = Number(args[args.indexOf('--port') + 1]);
const tls = args.indexOf('--tls') + 1;
const deflate = args.includes('--deflate') && { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true };
const server = tls
  ? require('https').createServer({ cert: fs.readFileSync(args[tls]), key: fs.readFileSync(args[tls + 1]) })
  : require('http').createServer();
const wss = new WebSocketServer({ server, perMessageDeflate: deflate });
const prepared = Buffer.alloc(128, 'x');
wss.on('connection', (ws) => {
  ws._socket.setNoDelay(true);
  ws.on('error', () => {});
  ws.on('message', (data, binary) => {
    if (args.includes('--fan-out')) wss.clients.forEach((each) => each.send(prepared));
    else ws.send(data, { binary });
  });
});
server.listen({ host: '127.0.0.1', port, backlog: 4096 });
