// The conversations: which there are, what was said in them, what is unread, and what of it the browser
// keeps. Knows no elements; whoever shows it is told of changes.

import { INBOX } from "./wire.js";
import { dateOf, nameOf } from "./text.js";

/** Messages kept of a conversation; more while somebody reads upwards, so that their place stays. */
const KEPT = 500;
export const KEPT_READING = 2000;
/** What the relay allows, so that a longer name is refused where it is typed. */
const NAME_BYTES = 128;

// --- what is kept in the browser, where it may be ---

export const store = {
  get(key, otherwise) {
    try { return JSON.parse(localStorage.getItem("sockeye." + key)) ?? otherwise; } catch { return otherwise; }
  },
  set(key, value) {
    try { localStorage.setItem("sockeye." + key, JSON.stringify(value)); } catch { /* then not */ }
  },
};

/** Where I have read to, by conversation: { epoch, offset }. */
export const seen = new Map(Object.entries(Object(store.get("read", {}))));
/** Conversations by key: a room's name, or `@` and a person's. */
export const channels = new Map();

/** What all parts of the page look at. */
export const chat = {
  me: "",
  /** Undefined until there is a name. */
  wire: undefined,
  /** The conversation that is shown. */
  active: undefined,
  /** Its newest message is in sight. */
  isAtEnd: true,
  /** The oldest message of the inbox that is here, and whether there are older ones. */
  inbox: { before: undefined, exhausted: false },
  /** Called whenever something is to be shown anew. */
  changed() {},
};

// --- conversations ---

export function channelOf(key) {
  let channel = channels.get(key);
  if (!channel) {
    const isDirect = key.startsWith("@");
    channel = {
      key, isDirect, name: isDirect ? key.slice(1) : key, items: [], keys: new Set(), unread: 0, firstUnread: undefined,
      members: isDirect ? undefined : new Set(), online: 0, typing: new Map(), draft: "", exhausted: false, below: 0,
    };
    channels.set(key, channel);
    if (!isDirect) {
      chat.wire.join(key);
      remember();
    }
  }
  return channel;
}

export function remember() {
  store.set("rooms", [...channels.values()].filter(channel => !channel.isDirect).map(channel => channel.key));
}

export function target(channel) {
  return channel.isDirect ? { to: channel.name } : { room: channel.name };
}

/** Why this cannot be a name, or nothing. */
export function faultOf(name, what) {
  if (!name) return `A ${what} needs at least one letter.`;
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return "Control characters cannot be part of a name.";
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > NAME_BYTES) return `This is ${bytes} bytes long, and ${NAME_BYTES} are allowed.`;
  if (what === "room" && name.startsWith("@")) return "Names with @ are people: click one to write to them.";
}

// --- messages ---

function itemOf({ epoch, offset, from, at, body }) {
  const name = nameOf(from);
  return { key: epoch + "/" + offset, epoch, offset, name, isMine: name === chat.me, date: dateOf(at), body };
}

export function delivered(name, event) {
  const channel = conversationOf(name, event);
  const item = itemOf(event);
  if (channel.keys.has(item.key)) return;
  channel.keys.add(item.key);
  channel.items.push(item);
  channel.typing.delete(item.name);
  if (name === INBOX) chat.inbox.before ??= item;
  count(channel, item);
  trim(channel);
  chat.changed();
}

function trim(channel) {
  const kept = channel === chat.active && !chat.isAtEnd ? KEPT_READING : KEPT;
  if (channel.items.length <= kept) return;
  for (const item of channel.items.splice(0, channel.items.length - kept)) channel.keys.delete(item.key);
  channel.exhausted = false;
}

/** The conversation that a message belongs to: a direct one is named after the other person. */
function conversationOf(name, event) {
  if (name !== INBOX) return channelOf(name);
  const from = nameOf(event.from);
  return channelOf("@" + (from === chat.me ? nameOf(event.to) : from));
}

function count(channel, item) {
  const read = seen.get(channel.key);
  if (item.isMine || (read?.epoch === item.epoch && item.offset <= read.offset)) return;
  if (channel === chat.active && !document.hidden) {
    if (!chat.isAtEnd) channel.below++;
    return;
  }
  // What was said before I came is history; what was written to me alone is not.
  const { found } = channel;
  if (!read && found?.epoch === item.epoch && item.offset <= found.offset) return;
  channel.unread++;
  channel.firstUnread ??= item.key;
}

/** Older messages to their place; those that are here already are left out. */
export function insertOlder(name, events) {
  for (const event of events) {
    const channel = conversationOf(name, event);
    const item = itemOf(event);
    if (channel.keys.has(item.key)) continue;
    channel.keys.add(item.key);
    const at = channel.items.findIndex(other => other.epoch === item.epoch && other.offset > item.offset);
    channel.items.splice(at < 0 ? channel.items.length : at, 0, item);
    if (name === INBOX) count(channel, item);
  }
}

export function missing(name, settled) {
  for (const channel of channels.values()) {
    if (name === INBOX ? !channel.isDirect : channel.key !== name) continue;
    for (const entry of settled) {
      if (keyOf(entry) !== channel.key || !entry.place) continue;
      const item = itemOf({ ...entry.place, from: chat.me, at: entry.at, body: entry.body });
      if (!channel.keys.has(item.key)) channel.items.push(item);
      channel.keys.add(item.key);
    }
    if (channel.items.length && !channel.items.at(-1).isGap) channel.items.push({ isGap: true });
  }
  chat.changed();
}

export function keyOf(entry) {
  return entry.to === undefined ? entry.room : "@" + entry.to;
}

export async function askWho(channel) {
  const { members } = await chat.wire.who(channel.key).catch(() => ({}));
  if (Array.isArray(members)) channel.members = new Set(members.map(nameOf));
  chat.changed();
}

export async function loadOlder(channel) {
  if (channel.loading || channel.exhausted || chat.wire.state !== "open") return;
  const first = channel.items.find(item => !item.isGap);
  const epoch = channel.items.findLast(item => !item.isGap)?.epoch;
  if (!channel.isDirect && (!first || first.epoch !== epoch)) return;
  if (channel.items.length >= KEPT_READING) return;
  channel.loading = true;
  chat.changed();
  try {
    if (channel.isDirect) await loadInbox(channel);
    else {
      const page = await chat.wire.history(channel.key, first.offset);
      if (channels.get(channel.key) !== channel) return;
      insertOlder(channel.key, page.messages);
      channel.exhausted = !page.more;
    }
  } catch {
    channel.exhausted = chat.wire.state === "open";
  }
  channel.loading = false;
  chat.changed();
}

/** Pages of the inbox until there is something of this conversation. */
export async function loadInbox(channel) {
  const had = channel.items.length;
  while (!chat.inbox.exhausted && channel.items.length === had) {
    const { messages, more } = await chat.wire.history(INBOX, chat.inbox.before?.offset);
    if (messages.length) chat.inbox.before = messages[0];
    chat.inbox.exhausted = !more;
    insertOlder(INBOX, messages);
  }
  channel.exhausted = chat.inbox.exhausted;
}

