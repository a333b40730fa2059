// An echo server on ws. `node server.cjs on|off` says whether permessage-deflate is negotiated.
// Prints its port, then a line for each connection that ended: code, reason, extensions.
'use strict';
const { WebSocketServer } = require('ws');

const perMessageDeflate = process.argv[2] === 'on' ? { threshold: 0 } : false;
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate, maxPayload: 32 << 20 });
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket, request) => {
  const extensions = socket.extensions || '-';
  const query = new URL(request.url, 'ws://host').searchParams;
  if (query.has('close')) socket.close(Number(query.get('close')), query.get('reason'));
  if (query.has('ping')) socket.ping('from ws');
  socket.on('pong', (data) => socket.send(`pong ${data}`));
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('close', (code, reason) => console.log(`${code} ${reason} ${extensions}`));
  socket.on('error', (error) => console.log(`error ${error.message}`));
});
// The test holds our standard input: when it is gone, so are we.
process.stdin.on('end', () => process.exit()).resume();
