// A client on ws: `node client.cjs URL on|off`. Sends texts and bytes of many lengths, wants them
// back, closes with 4002 and wants that back. Exit status 0 and "ok" if all of it was so.
'use strict';
const { WebSocket } = require('ws');

const [url, deflate] = process.argv.slice(2);
const perMessageDeflate = deflate === 'on' ? { threshold: 0 } : false;
const socket = new WebSocket(url, ['chat'], { perMessageDeflate });
const lengths = [0, 1, 125, 126, 65535, 65536, 1 << 20];
const waiting = [];

const fail = (why) => {
  console.log(why);
  process.exit(1);
};

socket.on('error', (error) => fail(error.message));
socket.on('open', () => {
  if (socket.protocol !== 'chat') fail(`subprotocol ${socket.protocol}`);
  if (!socket.extensions !== (deflate !== 'on')) fail(`extensions ${socket.extensions}`);
  for (const length of lengths) {
    for (const message of ['ö'.repeat(length), Buffer.alloc(length, 'bytes')]) {
      socket.send(message);
      waiting.push(message);
    }
  }
  socket.ping('from ws');
});
socket.on('pong', (data) => {
  // In order: all messages were echoed before.
  if (waiting.length > 0) fail(`${waiting.length} messages are missing`);
  if (data.toString() !== 'from ws') fail(`pong ${data}`);
  socket.close(4002, 'done');
});
socket.on('message', (data, binary) => {
  const sent = waiting.shift();
  if (binary !== Buffer.isBuffer(sent) || !Buffer.from(sent).equals(data)) fail('another message came back');
});
socket.on('close', (code, reason) => {
  if (code !== 4002 || reason.toString() !== 'done') fail(`close ${code} ${reason}`);
  console.log('ok');
});
