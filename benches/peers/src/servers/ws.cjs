// npm's ws as in its documentation. Flags: --broadcast, --deflate.
'use strict';
const path = require('node:path');
const { createRequire } = require('node:module');
const [where, ...flags] = process.argv.slice(2);
const { WebSocket, WebSocketServer } = createRequire(path.join(where, 'x.js'))('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  backlog: 1024,
  perMessageDeflate: flags.includes('--deflate') ? { threshold: 0 } : false,
});
server.on('listening', () => console.log(`http://127.0.0.1:${server.address().port}/`));
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => {
    if (!flags.includes('--broadcast')) return socket.send(data, { binary });
    for (const client of server.clients) {
      if (client !== socket && client.readyState === WebSocket.OPEN) client.send(data, { binary });
    }
  });
});
