// The tutorials' chats with a library that the tutorials use: `node dialects.cjs LIBRARY URL CASE`, where
// LIBRARY is `ws` or `nodejs-websocket`. "ok" and exit status 0 if the server did all that it should.
'use strict';
const assert = require('assert');

const [library, base, name] = process.argv.slice(2);

// What a client saw, in order: { text } | { binary } | { close: [code, reason] }. Whoever waits for what
// never comes ends with the whole script, see below.
class Client {
  constructor() {
    this.seen = [];
    this.pongs = [];
    this.waiting = null;
  }
  saw(event) {
    if (event.pong !== undefined) this.pongs.push(event.pong);
    else this.seen.push(event);
    if (this.waiting) this.waiting();
  }
  async until(condition) {
    while (!condition()) await new Promise((resolve) => (this.waiting = resolve));
    this.waiting = null;
  }
  async next() {
    await this.until(() => this.seen.length > 0);
    return this.seen.shift();
  }
  async text() {
    const event = await this.next();
    assert.strictEqual(typeof event.text, 'string', `not a text: ${JSON.stringify(event).slice(0, 200)}`);
    return event.text;
  }
  async binary() {
    const event = await this.next();
    assert(Buffer.isBuffer(event.binary), `not binary: ${JSON.stringify(event).slice(0, 200)}`);
    return event.binary;
  }
  async closed() {
    let event;
    do event = await this.next();
    while (!event.close);
    return event.close;
  }
  // All that this client said has been heard.
  async heard() {
    const token = `heard ${Math.random()}`;
    this.ping(token);
    await this.until(() => this.pongs.includes(token));
  }
}

function openWs(path, protocols) {
  const { WebSocket } = require('ws');
  const socket = new WebSocket(base + path, protocols);
  const client = new Client();
  client.send = (data) => socket.send(data);
  client.ping = (data) => socket.ping(data);
  client.close = (code, reason) => socket.close(code, reason);
  client.raw = (bytes) => socket._socket.write(bytes);
  client.abort = () => socket.terminate();
  socket.on('message', (data, binary) => client.saw(binary ? { binary: data } : { text: data.toString() }));
  socket.on('pong', (data) => client.saw({ pong: data.toString() }));
  socket.on('close', (code, reason) => client.saw({ close: [code, reason.toString()] }));
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => {
      client.port = socket._socket.localPort;
      client.protocol = socket.protocol;
      resolve(client);
    });
  });
}

function openNodejsWebsocket(path, protocols) {
  const library = require('nodejs-websocket');
  const client = new Client();
  return new Promise((resolve, reject) => {
    const conn = library.connect(base + path, { protocols }, () => {
      client.port = conn.socket.localPort;
      client.protocol = conn.protocol || '';
      resolve(client);
    });
    client.send = (data) => conn.send(data);
    client.ping = (data) => conn.sendPing(data);
    client.close = (code, reason) => conn.close(code, reason);
    client.raw = (bytes) => conn.socket.write(bytes);
    client.abort = () => conn.socket.destroy();
    conn.on('text', (text) => client.saw({ text }));
    conn.on('binary', (stream) => {
      const parts = [];
      stream.on('data', (part) => parts.push(part));
      stream.on('end', () => client.saw({ binary: Buffer.concat(parts) }));
    });
    conn.on('pong', (pong) => client.saw({ pong }));
    conn.on('close', (code, reason) => client.saw({ close: [code, reason] }));
    conn.on('error', reject);
  });
}

const open = { ws: openWs, 'nodejs-websocket': openNodejsWebsocket }[library];

// Nothing more comes to any of them: all that they said has been heard, and what that caused on other
// loops has had its time.
async function quiet(...clients) {
  for (const client of clients) await client.heard();
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const client of clients) await client.heard();
  for (const client of clients) assert.deepStrictEqual(client.seen, []);
}

// A client's frame, good or bad.
function frame(first, payload, masked = true) {
  assert(payload.length < 126);
  const head = Buffer.from([first, (masked ? 0x80 : 0) | payload.length]);
  // The key is zero, so that the payload stands as it is.
  return Buffer.concat(masked ? [head, Buffer.alloc(4), payload] : [head, payload]);
}

const json = JSON.stringify;

const cases = {
  async echo() {
    const client = await open('/echo');
    for (const length of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
      client.send('x'.repeat(length));
      assert.strictEqual(await client.text(), 'x'.repeat(length));
      client.send(Buffer.alloc(length, 0xfe));
      assert((await client.binary()).equals(Buffer.alloc(length, 0xfe)));
    }
    client.send('grüße 🐟');
    assert.strictEqual(await client.text(), 'grüße 🐟');
  },

  async large() {
    const client = await open('/echo');
    const text = 'x'.repeat(10000000);
    client.send(text);
    if (library === 'ws') {
      assert.strictEqual(await client.text(), text);
    } else {
      // It takes no frame over 2 MiB, and says so.
      assert.deepStrictEqual(await client.closed(), [1009, undefined]);
    }
    const other = await open('/echo');
    other.send('still there?');
    assert.strictEqual(await other.text(), 'still there?');
  },

  async 'too-large'() {
    const client = await open('/echo');
    const other = await open('/echo');
    // The header of a frame of 16 MiB and a byte; the rest need not come.
    client.raw(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]));
    assert.strictEqual((await client.closed())[0], 1009);
    await quiet(other);
  },

  async broadcast() {
    const early = await open('/broadcast');
    early.send('before anybody came');
    await early.heard();
    const [a, b, elsewhere, root] = [
      await open('/broadcast'), await open('/broadcast'), await open('/broadcast?room=other'), await open('/'),
    ];
    await quiet(early, a, b, elsewhere, root);
    a.send('hello');
    a.send(Buffer.from([0, 255]));
    for (const client of [early, b, root]) {
      assert.strictEqual(await client.text(), 'hello');
      assert((await client.binary()).equals(Buffer.from([0, 255])));
    }
    root.send('from the root');
    for (const client of [early, a, b]) assert.strictEqual(await client.text(), 'from the root');
    await quiet(early, a, b, elsewhere, root);
    b.abort();
    a.send('after');
    assert.strictEqual(await early.text(), 'after');
    assert.strictEqual(await root.text(), 'after');
  },

  async faults() {
    for (const path of ['/broadcast', '/direct', '/ws', '/im', '/echo']) {
      const good = await open(path);
      if (path === '/ws') await good.text();
      for (const [bytes, code] of [
        [frame(0x81, Buffer.from('unmasked'), false), 1002],
        [frame(0x83, Buffer.from('reserved')), 1002],
        [frame(0xc1, Buffer.from('rsv1')), 1002],
        [frame(0x81, Buffer.from([0xff, 0xfe])), 1007],
        [frame(0x88, Buffer.from([0x03, 0xed])), 1002],
      ]) {
        const bad = await open(path);
        bad.raw(bytes);
        let closed;
        do closed = await bad.closed();
        while (closed[0] === undefined);
        assert.strictEqual(closed[0], code, `${path}: ${bytes.toString('hex')}`);
      }
      for (const text of ['not json', '[1', '5', 'null', '{"a":'.repeat(5000), '['.repeat(5000)]) {
        const bad = await open(path);
        bad.send(text);
        await bad.heard();
      }
      await good.heard();
      if (path === '/direct' || path === '/im') assert.deepStrictEqual(good.seen, []);
    }
  },

  async close() {
    for (const path of ['/broadcast', '/direct', '/ws', '/im', '/echo']) {
      const client = await open(path);
      client.close(4001, 'enough');
      assert.deepStrictEqual(await client.closed(), [4001, 'enough']);
    }
  },

  async subprotocols() {
    for (const path of ['/broadcast', '/direct', '/ws', '/im', '/echo']) {
      assert.strictEqual((await open(path, ['first', 'second'])).protocol, 'first');
      assert.strictEqual((await open(path, ['only'])).protocol, 'only');
      assert.strictEqual((await open(path)).protocol, '');
    }
  },

  async direct() {
    const [a, b, stranger] = [await open('/direct'), await open('/direct'), await open('/direct')];
    a.send(json({ type: 'online', from: 'a' }));
    b.send(json({ type: 'online', from: 'b' }));
    await quiet(a, b, stranger);
    // Verbatim, whatever it looks like, and whoever sends it.
    const written = ' {"to" : "b",\n "from":"a", "type":"chat", "n":1.0, "n":2 } ';
    a.send(written);
    assert.strictEqual(await b.text(), written);
    stranger.send(json({ to: 'a', from: 'b', no: 'type' }));
    assert.strictEqual(await a.text(), json({ to: 'a', from: 'b', no: 'type' }));
    stranger.send(Buffer.from('{"to":"\\u0061","type":"binary"}'));
    assert.strictEqual((await a.binary()).toString(), '{"to":"\\u0061","type":"binary"}');
    for (const ignored of ['not json', '[]', '5', '{"to":"nobody"}', '{"type":"chat"}', '{"to":["a"]}', '{"to":1}']) {
      a.send(ignored);
    }
    await quiet(a, b, stranger);
    // Oneself.
    a.send(json({ to: 'a', text: 'note' }));
    assert.strictEqual(await a.text(), json({ to: 'a', text: 'note' }));
  },

  async 'direct-ids'() {
    const ids = [1, '1', true, null, 'true', 1.5, '', 'ü', { a: 1 }];
    const clients = [];
    for (const id of ids) {
      const client = await open('/direct');
      client.send(json({ type: 'online', from: id }));
      await client.heard();
      clients.push(client);
    }
    const sender = await open('/direct');
    for (const id of ids) sender.send(json({ to: id }));
    for (const [at, id] of ids.entries()) assert.strictEqual(await clients[at].text(), json({ to: id }));
    await quiet(...clients);
  },

  async 'direct-twice'() {
    const sender = await open('/direct');
    const [older, newer] = [await open('/direct'), await open('/direct')];
    for (const client of [older, newer]) {
      client.send(json({ type: 'online', from: 'me' }));
      client.send(json({ type: 'online', from: 'also me' }));
      await client.heard();
    }
    sender.send('{"to":"me","n":1}');
    assert.strictEqual(await newer.text(), '{"to":"me","n":1}');
    newer.abort();
    await quiet(older);
    sender.send('{"to":"me","n":2}');
    sender.send('{"to":"also me","n":3}');
    assert.strictEqual(await older.text(), '{"to":"me","n":2}');
    assert.strictEqual(await older.text(), '{"to":"also me","n":3}');
    older.close(1000, '');
    await older.closed();
    await quiet(sender);
    sender.send('{"to":"me","n":4}');
    await quiet(sender);
  },

  async named() {
    const [a, b, elsewhere] = [await open('/ws'), await open('/ws'), await open('/ws?room=other')];
    const names = [a, b, elsewhere].map((client) => `::ffff:127.0.0.1${client.port}`);
    for (const [at, client] of [a, b, elsewhere].entries()) {
      assert.strictEqual(await client.text(), `Welcome ${names[at]}`);
    }
    a.send('hello');
    a.send(Buffer.from([0x68, 0x69, 0xff]));
    for (const client of [a, b]) {
      assert.strictEqual(await client.text(), `${names[0]} -> hello`);
      assert.strictEqual(await client.text(), `${names[0]} -> hi\ufffd`);
    }
    b.send('');
    for (const client of [a, b]) assert.strictEqual(await client.text(), `${names[1]} -> `);
    await quiet(a, b, elsewhere);
  },

  async im() {
    const created = '{"code":"1","msg":"Channel Creation Successful"}';
    const [a, b, known] = [await open('/im'), await open('/im'), await open('/im')];
    a.send(json({ type: 'get-pass', userId: 'a' }));
    assert.strictEqual(await a.text(), created);
    b.send(json({ type: 'get-pass', userId: 'b' }));
    assert.strictEqual(await b.text(), created);
    known.send(json({ type: 'get-pass', userId: 'test001' }));
    await quiet(a, b, known);
    const now = Date.now();
    const two = (number) => String(number).padStart(2, '0');
    const time = (at) => `${two(new Date(at).getHours())}:${two(new Date(at).getMinutes())}`;
    const packet = (userId, toId, createTime, timeStr) =>
      json({ formId: userId, toId, msgUserId: userId, content: 'hi "you"', createTime, timeStr, read: false });
    const enter = (userId, toId, createTime) =>
      json({ createTime, content: 'hi "you"', type: 'get-enter', msgUserId: userId, toId, userId });
    for (const at of [now, 0, now - 12345678900]) {
      a.send(enter('a', 'b', at));
      assert.strictEqual(await a.text(), packet('a', 'b', at, time(at)));
      assert.strictEqual(await b.text(), packet('a', 'b', at, time(at)));
    }
    b.send(enter('b', 'test001', 'soon'));
    assert.strictEqual(await b.text(), packet('b', 'test001', 'soon', '0NaN:0NaN'));
    assert.strictEqual(await known.text(), packet('b', 'test001', 'soon', '0NaN:0NaN'));
    // To oneself twice; to nobody once; without a channel; without most members.
    a.send(enter('a', 'a', now));
    assert.strictEqual(await a.text(), await a.text());
    a.send(enter('a', 'nobody', now));
    assert.strictEqual(await a.text(), packet('a', 'nobody', now, time(now)));
    const stranger = await open('/im');
    stranger.send('{"type":"get-enter","toId":"b"}');
    assert.strictEqual(await stranger.text(), '{"toId":"b","timeStr":"0NaN:0NaN","read":false}');
    assert.strictEqual(await b.text(), '{"toId":"b","timeStr":"0NaN:0NaN","read":false}');
    for (const ignored of ['no json', '[]', '{"type":"else"}', '{}', Buffer.from(enter('a', 'b', now))]) a.send(ignored);
    await quiet(a, b, known, stranger);
  },

  async 'im-takeover'() {
    const get = json({ type: 'get-pass', userId: 'me' });
    const [older, newer, sender] = [await open('/im'), await open('/im'), await open('/im')];
    older.send(get);
    await older.text();
    newer.send(get);
    await quiet(newer, older);
    const said = async (n) => {
      sender.send(json({ type: 'get-enter', userId: 's', toId: 'me', content: n }));
      return sender.text();
    };
    let packet = await said(1);
    assert.strictEqual(await newer.text(), packet);
    newer.close(1000, '');
    await newer.closed();
    await quiet(older);
    packet = await said(2);
    assert.strictEqual(await older.text(), packet);
    older.abort();
    await quiet(sender);
    await said(3);
    await quiet(sender);
  },

  // A whole evening: everybody talks at once, nothing is lost, each sender's order holds.
  async crowd() {
    const clients = [];
    for (let n = 0; n < 20; n++) clients.push(await open('/broadcast?room=crowd'));
    for (let n = 0; n < 30; n++) for (const [at, client] of clients.entries()) client.send(`${at} ${n}`);
    for (const [at, client] of clients.entries()) {
      const next = new Map();
      for (let n = 0; n < 19 * 30; n++) {
        const [from, number] = (await client.text()).split(' ').map(Number);
        assert.notStrictEqual(from, at);
        assert.strictEqual(number, next.get(from) ?? 0);
        next.set(from, number + 1);
      }
    }
    await quiet(...clients);
  },
};

const patience = setTimeout(() => {
  console.log('waited in vain');
  process.exit(1);
}, 30000);

cases[name]().then(
  () => {
    console.log('ok');
    clearTimeout(patience);
    process.exit(0);
  },
  (error) => {
    console.log(error.stack);
    process.exit(1);
  },
);
