// The conversation with the relay: connecting and coming back, cursors, and what is not yet
// acknowledged. Knows no page: it tells a listener what happened.
//
//   const wire = new Wire({ url, user, on: { delivered(channel, message) { … } } });
//   wire.join("lobby"); wire.say("lobby", "hello"); wire.tell("ada", "hello");
//
// What it promises: every message of a channel is delivered once and in order, or `missing` says that
// something is gone; what is said is sent until it is acknowledged, and stands in the log once.

/** The channel of direct messages, which is one for all conversations. */
export const INBOX = "@";

const SUBPROTOCOL = "chat.sockeye.v1";
/** The id of the greeting; those of other requests are numbers. */
const HELLO = "hello";
/** Milliseconds. The first pause is short, as most drops are; the last spares a relay in trouble. */
const PAUSE_FIRST = 500, PAUSE_MAX = 30_000;
/** A connection that lasted so long was a good one: the pauses begin anew. */
const GOOD_AFTER = 10_000;
/** Opening and greeting together. */
const OPEN_WITHIN = 15_000;
/** A relay that says nothing is asked, and left if it does not answer. */
const QUIET_MAX = 30_000, ANSWER_WITHIN = 10_000;
/** Messages on their way at once: more would only burst into the relay's quota. */
const IN_FLIGHT_MAX = 8;
/** Refusals of one message before the person is asked. */
const TRIES_MAX = 8;
/** Messages at the first entry of a room, and in a page of history. */
const HISTORY = 100;
/** Messages that wait for a hole before them; past that the connection is made anew and resumes. */
const AHEAD_MAX = 5000;
/** Channels that one greeting resumes: what a relay allows by default. The others are entered anew. */
const RESUMED_MAX = 64;

export class Wire {
  /** `on`: state, hello, joined, delivered, missing, outbox, presence, signal, read, error, renamed. */
  constructor({ url, user, token, on }) {
    this.url = url;
    this.user = user;
    this.token = token;
    this.on = on;
    /**
     * Waiting for an acknowledgement or for delivery: { seq, channel, room | to, body, state, place, … }.
     * A message gets its number when it is sent first and keeps it; numbers grow in this order.
     */
    this.outbox = [];
    this.channels = new Map([[INBOX, newChannel(INBOX)]]);
    this.newProducer();
    this.asked = new Map();
    this.nextId = 1;
    this.attempts = 0;
    this.heard = 0;
    this.canRead = true;
    this.pausedUntil = 0;
    this.beat = setInterval(() => this.listen(), 5000);
    addEventListener("online", () => this.now());
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
    this.open();
  }

  // --- what a person does ---

  join(room) {
    if (this.channels.has(room)) return;
    this.channels.set(room, newChannel(room));
    if (this.greeted) this.enter(this.channels.get(room));
  }

  leave(room) {
    if (!this.channels.delete(room)) return;
    this.outbox = this.outbox.filter(entry => entry.channel !== room);
    this.send({ op: "leave", room });
    this.on.outbox();
  }

  say(room, body) {
    return this.post({ channel: room, room, body });
  }

  tell(to, body) {
    return this.post({ channel: INBOX, to, body });
  }

  /** May be lost: nobody waits for it. */
  signal(target, body) {
    this.send({ op: "signal", ...target, body });
  }

  /** My read cursor: other devices of mine follow it. */
  read(target, offset) {
    if (this.canRead) this.send({ op: "read", ...target, offset });
  }

  /** A page of what was before `offset`, oldest first. */
  async history(channel, before) {
    const answer = await this.ask("history", { ...address(channel), before, limit: HISTORY });
    const messages = messagesOf(answer);
    return { messages, more: messages.length > 0 && messages[0].prev > 0 };
  }

  /** Who is in a room: { members, online }. */
  who(room) {
    return this.ask("who", { room });
  }

  /** Takes effect when nothing is under way: what was written under a name is sent under it. */
  rename(user) {
    this.renaming = user;
    this.tryRename();
  }

  /** Forget a message that the relay refused. */
  drop(entry) {
    this.outbox = this.outbox.filter(other => other !== entry);
    this.on.outbox();
  }

  /** A refused message once more, as a new one. */
  again(entry) {
    this.drop(entry);
    this.post({ channel: entry.channel, room: entry.room, to: entry.to, body: entry.body });
  }

  /** Connect at once, where it waits for its time. */
  now() {
    if (this.timer && this.state !== "stopped") this.open();
  }

  /** Connect, although the relay said that there is no coming back. */
  retry() {
    this.attempts = 0;
    this.open();
  }

  get unsent() {
    return this.outbox.some(entry => entry.state === "queued" || entry.state === "sent");
  }

  // --- the connection ---

  open() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.hangUp();
    this.greeted = false;
    this.comeBackIn = undefined;
    this.changed("connecting");
    let socket;
    try {
      socket = new WebSocket(this.url, [SUBPROTOCOL]);
    } catch {
      return this.closed({ code: 1006, reason: "" });
    }
    this.socket = socket;
    const mine = handler => event => { if (this.socket === socket) handler(event); };
    socket.onopen = mine(() => this.greet());
    socket.onmessage = mine(event => this.receive(event.data));
    socket.onclose = mine(event => this.closed(event));
    this.slow = setTimeout(() => this.lost(), OPEN_WITHIN);
  }

  greet() {
    this.heard = Date.now();
    const known = [...this.channels.values()].filter(channel => channel.cursor).slice(0, RESUMED_MAX);
    const resume = known.map(({ name, cursor }) => [name === INBOX ? "@" + this.user : name, cursor]);
    const hello = { op: "hello", id: HELLO, user: this.user, producer: this.producer, resume: Object.fromEntries(resume) };
    if (this.token) hello.token = this.token;
    this.send(hello);
    for (const channel of this.channels.values()) channel.resumed = known.includes(channel);
  }

  /** The relay went away without a word, or too slowly. */
  lost() {
    this.hangUp();
    this.closed({ code: 1006, reason: "" });
  }

  hangUp() {
    clearTimeout(this.slow);
    const socket = this.socket;
    this.socket = undefined;
    if (socket) socket.close(1000);
  }

  closed({ code, reason }) {
    clearTimeout(this.slow);
    clearTimeout(this.draining);
    this.socket = undefined;
    if (this.greeted && Date.now() - this.since > GOOD_AFTER) this.attempts = 0;
    this.greeted = false;
    for (const { reject } of this.asked.values()) reject(new Error("disconnected"));
    this.asked.clear();
    for (const channel of this.channels.values()) {
      channel.ahead = [];
      channel.filling = false;
    }
    for (const entry of this.outbox) if (entry.state === "sent") entry.state = "queued";
    this.pausedUntil = 0;
    this.on.outbox();
    // 4500-4999: the relay asks not to come back.
    if (code >= 4500 && code <= 4999) return this.changed("stopped", { code, reason });
    const pause = Math.min(PAUSE_MAX, PAUSE_FIRST * 2 ** this.attempts) * (0.5 + Math.random() / 2);
    this.attempts = Math.min(this.attempts + 1, 16);
    this.wait(this.comeBackIn ? Math.max(0, this.comeBackIn - Date.now()) : pause);
  }

  wait(pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), pause);
    this.changed("waiting", { until: Date.now() + pause });
  }

  changed(state, more = {}) {
    this.state = state;
    this.on.state({ state, ...more });
  }

  /** A connection may die without a word: a quiet one is asked. */
  listen() {
    if (!this.greeted) return;
    const quiet = Date.now() - this.heard;
    // A sleeping machine's clock jumps: the question first, the verdict at a later turn.
    if (this.pinged && Date.now() - this.pinged > ANSWER_WITHIN) return this.lost();
    if (!this.pinged && quiet > QUIET_MAX) {
      this.pinged = Date.now();
      this.send({ op: "ping", t: this.pinged });
    }
  }

  send(request) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    if (request.op !== "hello" && !this.greeted) return false;
    this.socket.send(JSON.stringify(request));
    return true;
  }

  ask(op, fields) {
    const id = String(this.nextId++);
    return new Promise((resolve, reject) => {
      if (!this.send({ op, id, ...fields })) return reject(new Error("disconnected"));
      this.asked.set(id, { resolve, reject });
    });
  }

  // --- what the relay says ---

  receive(data) {
    this.heard = Date.now();
    this.pinged = undefined;
    let event;
    try { event = JSON.parse(data); } catch { return; }
    if (!event || typeof event !== "object") return;
    const asked = event.id !== undefined && this.asked.get(String(event.id));
    if (asked) {
      this.asked.delete(String(event.id));
      if (event.ev === "error") asked.reject(Object.assign(new Error(event.message), { event }));
      else asked.resolve(event);
      return;
    }
    switch (event.ev) {
      case "hello": return this.welcomed(event);
      case "joined": return this.joined(event);
      case "message": return this.place(this.channels.get(event.room), event);
      case "direct": return this.place(this.channels.get(INBOX), event);
      case "ack": return this.acknowledged(event);
      case "error": return this.refused(event);
      case "drain": return this.drained(event);
      case "left": case "presence": case "signal": case "read": return this.on[event.ev](event);
      // Anything else is of a later relay.
    }
  }

  welcomed(event) {
    if (this.greeted) return;
    clearTimeout(this.slow);
    this.greeted = true;
    this.since = Date.now();
    if (typeof event.user === "string") this.user = event.user;
    const inbox = this.channels.get(INBOX);
    const first = !inbox.cursor;
    this.changed("open");
    this.on.hello(event, first);
    this.opened(inbox, event.inbox);
    for (const channel of this.channels.values()) {
      if (channel.name !== INBOX && !channel.resumed) this.enter(channel);
    }
    this.pump();
  }

  enter(channel) {
    this.send({ op: "join", room: channel.name, history: HISTORY });
  }

  joined(event) {
    const channel = this.channels.get(event.room);
    if (!channel) return;
    this.on.joined(event);
    this.opened(channel, event);
  }

  /** The head of a channel's log as the relay has it, and what will come first of it. */
  async opened(channel, head) {
    if (!isPlace(head)) return;
    const isOther = channel.cursor && channel.cursor.epoch !== head.epoch;
    if (channel.cursor && (head.recovered === false || isOther)) this.gap(channel);
    // Nothing may be missed from where the replay follows on, or, without one, from the head.
    channel.cursor ??= { epoch: head.epoch, offset: typeof head.prev === "number" ? head.prev : head.offset };
    if (!head.more) return;
    // The replay does not reach the head: once it is here, the rest is asked for.
    const socket = this.socket;
    await this.ask("ping", {}).catch(() => {});
    if (this.socket === socket) this.fill(channel, head);
  }

  /** Deliver, drop as a duplicate, or wait until the hole before it is filled. */
  place(channel, event) {
    if (!channel || !isPlace(event)) return;
    if (channel.filling) {
      channel.ahead.push(event);
      if (channel.ahead.length > AHEAD_MAX) this.lost();
      return;
    }
    const cursor = channel.cursor;
    if (cursor && cursor.epoch !== event.epoch) this.gap(channel);
    else if (cursor && event.offset <= cursor.offset) return;
    else if (cursor && typeof event.prev === "number" && event.prev > cursor.offset) {
      channel.ahead.push(event);
      return void this.fill(channel);
    }
    this.deliver(channel, event);
  }

  deliver(channel, event) {
    const place = channel.cursor = placeOf(event);
    const written = this.outbox.length;
    this.outbox = this.outbox.filter(entry => entry.channel !== channel.name || !isSame(entry.place, place));
    this.on.delivered(channel.name, event);
    if (this.outbox.length !== written) this.on.outbox();
  }

  /** Asks for what is between the cursor and the first message that waits, or a head that is known. */
  async fill(channel, head) {
    if (channel.filling) return;
    channel.filling = true;
    const socket = this.socket;
    for (;;) {
      const { cursor, ahead: [next] } = channel;
      const goal = next ? { epoch: next.epoch, offset: next.prev } : head;
      if (!goal || goal.epoch !== cursor?.epoch || cursor.offset >= goal.offset) break;
      let page = [];
      try {
        page = messagesOf(await this.ask("history", { ...address(channel.name), after: cursor.offset, limit: HISTORY }));
      } catch { /* what cannot be had is missing */ }
      if (this.socket !== socket || !this.greeted) return;
      page = page.filter(event => event.epoch === cursor.epoch && event.offset > cursor.offset);
      if (!page.length || page[0].prev > cursor.offset) {
        this.gap(channel);
        if (!page.length) break;
      }
      for (const event of page) this.deliver(channel, event);
    }
    channel.filling = false;
    const ahead = channel.ahead;
    channel.ahead = [];
    for (const event of ahead) this.place(channel, event);
  }

  /** Says that something is gone; what comes next is taken as it comes. */
  gap(channel) {
    channel.cursor = null;
    const isKept = entry => entry.channel !== channel.name || entry.state !== "acked";
    const settled = this.outbox.filter(entry => !isKept(entry));
    this.outbox = this.outbox.filter(isKept);
    this.on.missing(channel.name, settled);
  }

  drained(event) {
    const pause = Number(event.reconnect_in_ms) || 0;
    this.comeBackIn = Date.now() + pause;
    clearTimeout(this.draining);
    // The relay closes; if it does not, this page leaves by itself.
    this.draining = setTimeout(() => this.socket && this.open(), pause);
  }

  // --- what is said ---

  newProducer() {
    this.producer = Array.from(crypto.getRandomValues(new Uint32Array(4)), word => word.toString(36)).join("");
    this.seq = 0;
  }

  post(message) {
    const entry = { ...message, at: Date.now(), state: "queued", tries: 0 };
    this.outbox.push(entry);
    this.pump();
    this.on.outbox();
    return entry;
  }

  /** Sends what waits, in order and not too much at once. */
  pump() {
    if (!this.greeted) return;
    const pause = this.pausedUntil - Date.now();
    if (pause > 0) {
      clearTimeout(this.paused);
      this.paused = setTimeout(() => this.pump(), pause);
      return;
    }
    let flying = this.outbox.filter(entry => entry.state === "sent").length;
    for (const entry of this.outbox) {
      if (flying >= IN_FLIGHT_MAX) break;
      if (entry.state !== "queued") continue;
      const { room, to, body } = entry;
      const seq = entry.seq ??= ++this.seq;
      if (!this.send(to === undefined ? { op: "say", room, seq, body } : { op: "tell", to, seq, body })) break;
      entry.state = "sent";
      flying++;
    }
    this.on.outbox();
  }

  acknowledged(event) {
    const entry = this.outbox.find(entry => entry.seq === event.seq && entry.state === "sent");
    if (!entry) return;
    entry.state = "acked";
    entry.place = isPlace(event) ? placeOf(event) : undefined;
    const channel = this.channels.get(entry.channel);
    const cursor = channel?.cursor;
    const delivered = !entry.place || !channel || (cursor?.epoch === entry.place.epoch && cursor.offset >= entry.place.offset);
    if (delivered) this.outbox = this.outbox.filter(other => other !== entry);
    this.pump();
    this.on.outbox();
    this.tryRename();
  }

  /** An error belongs to a message if it repeats its number. */
  refused(event) {
    const entry = event.seq !== undefined && this.outbox.find(entry => entry.seq === event.seq && entry.state === "sent");
    if (entry) return this.sentBack(entry, event);
    if (!this.greeted && event.id === HELLO && event.room === undefined) {
      this.hangUp();
      if (event.retry === undefined) return this.closed({ code: 4500, reason: event.message ?? event.code });
      this.comeBackIn = Date.now() + Number(event.retry);
      return this.closed({ code: 1013, reason: "" });
    }
    if (event.code === "unknown_op") this.canRead = false;
    // Of what nobody waits for: a sign of typing, a read cursor.
    else if (event.code !== "rate_limited") this.on.error(event);
  }

  sentBack(entry, event) {
    entry.tries++;
    // Whether it was stored is not known: under its number it can be sent again without harm.
    // After any other refusal it was not, and its number may be too old by now: it gets a new one.
    const isUnsure = event.code === "unavailable";
    const isLater = isUnsure || event.code === "rate_limited" || event.retry !== undefined;
    const isOutside = event.code === "not_joined" && this.channels.has(entry.room);
    if ((isLater || isOutside) && entry.tries < TRIES_MAX) {
      if (isOutside) this.enter(this.channels.get(entry.room));
      if (isLater) this.pausedUntil = Date.now() + Math.max(Number(event.retry) || 0, 100 * 2 ** entry.tries);
      entry.state = "queued";
      if (!isUnsure) this.renumber(entry);
    } else {
      entry.state = "failed";
      entry.reason = event.message ?? event.code;
    }
    this.pump();
    this.on.outbox();
    this.tryRename();
  }

  /** Behind all that have a number, so that numbers go on growing in the order of the outbox. */
  renumber(entry) {
    entry.seq = undefined;
    const others = this.outbox.filter(other => other !== entry);
    const at = others.findLastIndex(other => other.seq !== undefined) + 1;
    others.splice(at, 0, entry);
    this.outbox = others;
  }

  tryRename() {
    if (this.renaming === undefined || this.unsent) return;
    this.user = this.renaming;
    this.renaming = undefined;
    this.channels.set(INBOX, newChannel(INBOX));
    this.outbox = this.outbox.filter(entry => entry.channel !== INBOX);
    this.newProducer();
    this.on.renamed(this.user);
    this.attempts = 0;
    this.open();
  }
}

/** `cursor`: the last message delivered. `ahead`: what came after a hole that is being filled. */
function newChannel(name) {
  return { name, cursor: null, ahead: [], filling: false };
}

function address(channel) {
  return channel === INBOX ? { inbox: true } : { room: channel };
}

function isPlace(event) {
  return typeof event?.offset === "number" && event.epoch !== undefined;
}

function placeOf({ epoch, offset }) {
  return { epoch, offset };
}

function isSame(a, b) {
  return a?.epoch === b.epoch && a.offset === b.offset;
}

function messagesOf(answer) {
  return Array.isArray(answer?.messages) ? answer.messages.filter(isPlace) : [];
}
