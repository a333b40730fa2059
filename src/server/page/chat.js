// The chat as a person sees it. What comes and goes on the wire is wire.js's matter, how a message
// looks is text.js's, the conversations are talk.js's; here are the elements, and the page's manners.

import { Wire } from "./wire.js";
import { KEPT_READING, askWho, channelOf, channels, chat, delivered, faultOf, keyOf, loadInbox, loadOlder, missing, remember, seen, store, target } from "./talk.js";
import { EMOJI, bodyOf, clockOf, dayOf, faceOf, make, nameOf, withEmoji } from "./text.js";

const $ = id => document.getElementById(id);
/** Messages of one person within so many milliseconds stand under one name. */
const TOGETHER = 5 * 60_000;
/** A typing person says so this often, and is believed this long. Milliseconds. */
const TYPING_EVERY = 3000, TYPING_LASTS = 6000;

const asked = new URLSearchParams(location.search);
/** The people have room beside the messages. */
const wide = matchMedia("(min-width: 64.01rem)");
chat.me = asked.get("user") || store.get("name", "");
/** The page's own address, with what was asked there and stays. */
function showAddress(hash) {
  history.replaceState(null, "", location.pathname + (asked.size ? "?" + asked : "") + hash);
}

function leave(channel) {
  channels.delete(channel.key);
  if (!channel.isDirect) {
    chat.wire.leave(channel.key);
    remember();
  }
  if (channel === chat.active) go([...channels.keys()][0] ?? "");
  later();
}

chat.changed = later;

// --- the wire's news ---

const on = {
  state(news) {
    state = news;
    showState();
  },
  async hello({ user, inbox: place }, isFirst) {
    if (typeof user === "string" && user !== chat.me) {
      chat.me = user;
      showMe();
    }
    if (isFirst && place) {
      chat.inbox.before = { ...place, offset: place.offset + 1 };
      await loadInbox({ items: [] }).catch(() => {});
    }
    later();
  },
  joined({ room, members, online, epoch, offset }) {
    const channel = channels.get(room);
    if (!channel) return;
    channel.members = Array.isArray(members) ? new Set(members.map(member => nameOf(member?.user ?? member))) : undefined;
    channel.online = Number(online) || channel.members?.size || 0;
    channel.found ??= { epoch, offset };
    later();
  },
  delivered,
  missing,
  outbox: () => later(),
  presence({ room, user, change, online }) {
    const channel = channels.get(room);
    if (!channel) return;
    // A large room tells numbers only; once it is small again, its people are asked for.
    if (user === undefined) channel.members = undefined;
    else if (!channel.members) askWho(channel);
    else if (change === "leave") channel.members.delete(nameOf(user));
    else channel.members.add(nameOf(user));
    channel.online = Number(online) || channel.members?.size || 0;
    if (change === "leave") channel.typing.delete(nameOf(user));
    later();
  },
  signal({ room, from, body }) {
    const name = nameOf(from);
    const channel = channels.get(room ?? "@" + name);
    if (!channel || name === chat.me || typeof body?.typing !== "boolean") return;
    if (body.typing) {
      channel.typing.set(name, Date.now() + TYPING_LASTS);
      setTimeout(later, TYPING_LASTS + 50);
    } else channel.typing.delete(name);
    later();
  },
  /** Another device of mine has read. */
  read({ room, with: person, user, from, offset }) {
    const channel = channels.get(room ?? "@" + nameOf(person));
    if (!channel || nameOf(user ?? from ?? chat.me) !== chat.me) return;
    const last = channel.items.findLast(item => !item.isGap);
    if (last && offset >= last.offset) markRead(channel, false);
  },
  left({ room }) {
    const channel = channels.get(room);
    if (channel) warn(`You are no longer in ${channel.name}.`);
  },
  error({ message, code }) {
    warn(message || code || "The relay reports an error.");
  },
  renamed(name) {
    chat.me = name;
    for (const channel of [...channels.values()]) if (channel.isDirect) channels.delete(channel.key);
    chat.inbox = { before: undefined, exhausted: false };
    if (chat.active?.isDirect) go([...channels.keys()][0] ?? "");
    showMe();
    later();
  },
};

// --- showing ---

let state = { state: "connecting" };
let planned = false;

/** Shows everything anew soon; many calls in a burst cost one. */
function later() {
  if (planned) return;
  planned = true;
  setTimeout(() => {
    planned = false;
    show();
  }, 16);
}

function show() {
  if (chat.active && !document.hidden && chat.isAtEnd) markRead(chat.active);
  showLists();
  showLog();
  showPeople();
  showTyping();
}

/** Puts these nodes there; what stands already is not touched, so that a screen reader hears only news. */
function reconcile(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.childNodes]) if (!wanted.has(node)) node.remove();
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

function hashOf(key) {
  const name = key.startsWith("@") ? key.slice(1) : key;
  try { return (key.startsWith("@") ? "#@" : "#") + encodeURIComponent(name); } catch { return "#"; }
}

function entryOf(channel) {
  if (!channel.entry) {
    const link = make("a", { href: hashOf(channel.key) });
    link.append(
      channel.isDirect ? faceOf(channel.name) : make("span", { className: "mark", "aria-hidden": "true" }, "#"),
      make("bdi", {}, channel.name),
      make("span", { className: "badge", hidden: true }),
    );
    link.onclick = event => {
      event.preventDefault();
      go(channel.key);
      $("text").focus();
    };
    channel.entry = make("li", {}, link);
  }
  const link = channel.entry.firstChild, badge = link.lastChild;
  channel === chat.active ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  link.toggleAttribute("data-unread", channel.unread > 0);
  badge.hidden = !channel.unread;
  const text = channel.unread > 99 ? "99+" : String(channel.unread);
  if (badge.firstChild?.data !== text) badge.replaceChildren(text, make("span", { className: "unseen" }, " unread"));
  return channel.entry;
}

function showLists() {
  const all = [...channels.values()];
  const directs = all.filter(channel => channel.isDirect);
  reconcile($("rooms"), all.filter(channel => !channel.isDirect).map(entryOf));
  reconcile($("directs"), directs.map(entryOf));
  $("directs-empty").hidden = directs.length > 0;
  const unread = all.reduce((sum, channel) => sum + channel.unread, 0);
  $("side-badge").hidden = !all.some(channel => channel.unread && channel !== chat.active);
  const place = chat.active ? (chat.active.isDirect ? chat.active.name : "#" + chat.active.name) + " · " : "";
  document.title = (unread ? `(${unread}) ` : "") + place + "Sockeye";
}

/** Lines between days, by their text, as long as they are shown. */
let days = new Map();
const fresh = make("li", { className: "line new" }, "New");

function showLog() {
  const scroll = $("scroll");
  // What is being read stays where it is, whatever comes or goes above it.
  const anchor = [...$("log").children].find(node => node.offsetTop >= scroll.scrollTop && node.matches(".message"));
  const wasAt = anchor?.offsetTop;
  const nodes = [];
  if (chat.active) {
    const dayLines = new Map();
    let before, day;
    const put = (item, node) => {
      const date = item.date ?? before?.date;
      const text = date ? dayOf(date) : day;
      if (text !== day) {
        day = text;
        const line = days.get(text) ?? make("li", { className: "line" }, text);
        dayLines.set(text, line);
        nodes.push(line);
        before = undefined;
      }
      if (item.key !== undefined && item.key === chat.active.firstUnread) {
        nodes.push(fresh);
        before = undefined;
      }
      node.classList.toggle("follows", Boolean(before && before.name === item.name && item.date - before.date < TOGETHER));
      nodes.push(node);
      before = item;
    };
    for (const item of chat.active.items) {
      if (item.isGap) {
        nodes.push(item.node ??= make("li", { className: "line gap" }, "Some messages are missing here"));
        before = undefined;
      } else put(item, item.node ??= messageOf(item));
    }
    for (const entry of chat.wire.outbox) if (keyOf(entry) === chat.active.key) put(...pendingOf(entry));
    days = dayLines;
  }
  const isEmpty = nodes.length === 0;
  reconcile($("log"), nodes);
  $("empty").hidden = !isEmpty;
  if (isEmpty) showEmpty();
  $("older").hidden = isEmpty || !(chat.active.loading || chat.active.exhausted || chat.active.items.length >= KEPT_READING);
  $("older").textContent = chat.active?.loading ? "Loading older messages …" : chat.active?.exhausted ? "This is where it begins." : "Older messages are not shown here.";
  if (chat.isAtEnd) scroll.scrollTop = scroll.scrollHeight;
  else if (anchor?.isConnected && anchor.offsetTop !== wasAt) scroll.scrollTop += anchor.offsetTop - wasAt;
  $("latest").hidden = chat.isAtEnd;
  $("latest").textContent = chat.active?.below ? `↓ ${chat.active.below} new` : "↓ Newest";
  if (chat.active && !isEmpty && scroll.scrollHeight <= scroll.clientHeight) loadOlder(chat.active);
  if (chat.active?.isDirect && isEmpty) loadOlder(chat.active);
}

function messageOf(item, state) {
  const author = make("div", { className: "author" });
  if (item.isMine) author.append(make("bdi", {}, item.name));
  else {
    const button = make("button", { type: "button", tabIndex: -1, title: "Write to this person" }, make("bdi", {}, item.name));
    button.onclick = () => go("@" + item.name, true);
    author.append(button);
  }
  if (item.date) author.append(clockOf(item.date));
  const tick = item.isMine ? make("span", { className: "tick", title: "Sent" }, make("span", { "aria-hidden": "true" }, "✓"), make("span", { className: "unseen" }, "sent")) : "";
  const late = make("div", { className: "late" }, item.date ? clockOf(item.date) : "", tick);
  if (item.date) late.firstChild.setAttribute("aria-hidden", "true");
  const node = make("li", { className: "message" }, faceOf(item.name), author, bodyOf(item.body), late);
  node.classList.toggle("mine", item.isMine);
  if (state) node.dataset.state = state;
  return node;
}

const MARKS = { queued: ["◷", "waiting to be sent"], sent: ["◷", "on its way"], acked: ["✓", "sent"], failed: ["!", "not sent"] };

/** A message of mine that is not in the log yet, as an item and its node. */
function pendingOf(entry) {
  entry.item ??= { name: chat.me, isMine: true, date: new Date(entry.at), body: entry.body };
  entry.node ??= messageOf(entry.item, "queued");
  const { node } = entry;
  node.dataset.state = entry.state;
  const [mark, text] = MARKS[entry.state];
  const tick = node.querySelector(".tick");
  tick.title = text;
  tick.firstChild.textContent = mark;
  tick.lastChild.textContent = text;
  const refused = node.querySelector(".refused");
  if (entry.state === "failed" && !refused) {
    const again = make("button", { type: "button" }, "Try again");
    const drop = make("button", { type: "button" }, "Discard");
    again.onclick = () => { chat.wire.again(entry); $("text").focus(); };
    drop.onclick = () => { chat.wire.drop(entry); $("text").focus(); };
    node.append(make("p", { className: "refused", role: "alert" }, `Not sent: ${entry.reason} `, again, drop));
  } else if (entry.state !== "failed") refused?.remove();
  return [entry.item, node];
}

let emptyFor;

/** What can be done where there is nothing yet. */
function showEmpty() {
  const key = chat.active?.key ?? "";
  if (emptyFor === key) return;
  emptyFor = key;
  const empty = $("empty");
  if (!chat.active) {
    empty.replaceChildren(make("h3", {}, "You are in no room"), make("p", {}, "Join one on the left: any name will do, and it exists as soon as you are in it."));
  } else if (chat.active.isDirect) {
    empty.replaceChildren(
      make("h3", {}, "You and ", make("bdi", {}, chat.active.name)),
      make("p", {}, "What you write here only this person gets, even if they are away now."),
    );
  } else {
    const copy = make("button", { type: "button", className: "plain" }, "Copy the address");
    copy.onclick = () => copyText(location.href.split("?")[0].split("#")[0] + hashOf(key), copy);
    empty.replaceChildren(
      make("h3", {}, "It is quiet in ", make("bdi", {}, "#" + chat.active.name)),
      make("p", {}, "Write the first message below, or bring others in: whoever opens this page's address enters this room."),
      make("p", {}, make("code", { dir: "ltr" }, location.host + location.pathname + hashOf(key))),
      copy,
    );
  }
}

function showPeople() {
  $("title").textContent = chat.active ? (chat.active.isDirect ? chat.active.name : "#" + chat.active.name) : "Sockeye";
  $("leave").hidden = !chat.active;
  const leaveText = chat.active?.isDirect ? "Close this conversation" : "Leave this room";
  $("leave").setAttribute("aria-label", leaveText);
  $("leave").title = leaveText;
  const { members, online = 0 } = chat.active ?? {};
  $("subtitle").textContent = !chat.active ? "" : chat.active.isDirect ? "Only the two of you read this" : online === 1 ? "1 person here" : `${online.toLocaleString()} people here`;
  const names = chat.active?.isDirect ? [chat.active.name, chat.me] : [...(members ?? [])].sort((a, b) => a.localeCompare(b));
  const old = new Map([...$("members").children].map(node => [node.dataset.name, node]));
  reconcile($("members"), names.map(name => old.get(name) ?? memberOf(name)));
  $("people-title").textContent = chat.active?.isDirect ? "In this conversation" : "Here now";
  $("members-hint").textContent = !chat.active || chat.active.isDirect ? "" : !members ? `${online.toLocaleString()} people are here, too many to list.` : names.length < 2 ? "Only you, so far. Send the address of this page to somebody." : "";
}

function memberOf(name) {
  const isMe = name === chat.me;
  const button = make("button", { type: "button", title: isMe ? "This is you" : "Write to this person" }, faceOf(name), make("bdi", {}, name));
  if (isMe) button.append(make("small", { className: "hint" }, "you"));
  else button.append(make("span", { className: "unseen" }, ", write to them"));
  button.onclick = () => isMe ? askName() : go("@" + name, true);
  const node = make("li", {}, button);
  node.dataset.name = name;
  return node;
}

function showTyping() {
  const now = Date.now();
  const names = [...(chat.active?.typing ?? [])].filter(([, until]) => until > now).map(([name]) => name);
  const text = names.length === 0 ? "" : names.length === 1 ? " is typing …" : names.length < 4 ? " are typing …" : " people are typing …";
  const who = names.length > 3 ? [String(names.length)] : names.flatMap((name, i) => [i ? ", " : "", make("bdi", {}, name)]);
  $("typing").replaceChildren(...who, text);
}

function showMe() {
  $("me-name").textContent = chat.me;
  faceOf(chat.me, $("me-face"));
  $("me-hint").textContent = "Change name";
}

let ticking;

function showState() {
  clearInterval(ticking);
  const { state: now, until, reason } = state;
  $("state").dataset.state = now;
  $("state-now").hidden = now !== "waiting" && now !== "stopped";
  $("state-now").textContent = now === "stopped" ? "Try again" : "Try now";
  const text = { connecting: "Connecting …", open: "Connected", waiting: "Offline", stopped: "Closed by the relay" + (reason ? `: ${reason}` : "") }[now];
  const seconds = make("span", { "aria-hidden": "true" });
  $("state-text").replaceChildren(text, seconds);
  const tick = () => { seconds.textContent = `, again in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s`; };
  if (now === "waiting") {
    tick();
    ticking = setInterval(tick, 1000);
  }
  $("text").placeholder = now === "open" || now === "connecting" ? "Write a message" : "Write a message: it is sent once you are online";
  later();
}

let warned;

function warn(text) {
  $("warning").textContent = text;
  clearTimeout(warned);
  warned = setTimeout(() => { $("warning").textContent = ""; }, 8000);
}

// --- going from one to another ---

/** Opens a conversation; its address is the page's. */
function go(key, focus = false) {
  const hash = hashOf(key);
  if (location.hash !== hash) history.pushState(null, "", hash);
  route();
  if (focus) $("text").focus();
}

function route() {
  let key;
  try { key = decodeURIComponent(location.hash.slice(1)); } catch { key = ""; }
  const fault = key && faultOf(key.replace(/^@/, ""), key.startsWith("@") ? "name" : "room");
  if (fault) warn(fault);
  if (key === "@" + chat.me) key = "";
  if (!key || fault) key = chat.active && channels.has(chat.active.key) ? chat.active.key : [...channels.keys()][0];
  enter(key ? channelOf(key) : undefined);
}

function enter(channel) {
  drawer("side", false);
  if (!wide.matches) drawer("people", false);
  if (channel === chat.active) return later();
  if (chat.active) {
    chat.active.draft = $("text").value;
    chat.active.firstUnread = undefined;
    chat.active.below = 0;
  }
  chat.active = channel;
  chat.isAtEnd = true;
  emptyFor = undefined;
  $("text").value = channel?.draft ?? "";
  $("text").disabled = !channel;
  grow();
  // A whole conversation is no news: it is not read out.
  $("scroll").setAttribute("aria-busy", "true");
  $("scroll").setAttribute("aria-label", channel ? `Messages of ${channel.name}` : "Messages");
  $("log").replaceChildren();
  show();
  setTimeout(() => $("scroll").removeAttribute("aria-busy"), 100);
}

function markRead(channel, tell = true) {
  const last = channel.items.findLast(item => !item.isGap);
  channel.unread = 0;
  channel.below = 0;
  const read = last && seen.get(channel.key);
  if (!last || (read?.epoch === last.epoch && read.offset >= last.offset)) return;
  seen.set(channel.key, { epoch: last.epoch, offset: last.offset });
  store.set("read", Object.fromEntries([...seen].slice(-200)));
  if (tell && !last.isMine) chat.wire.read(channel.isDirect ? { with: channel.name } : { room: channel.name }, last.offset);
}

function step(by) {
  const all = [...channels.values()];
  const keys = [...all.filter(channel => !channel.isDirect), ...all.filter(channel => channel.isDirect)].map(channel => channel.key);
  if (!keys.length) return;
  go(keys[(keys.indexOf(chat.active?.key) + by + keys.length) % keys.length], true);
}

/** Opens or closes what comes in from a side. */
function drawer(side, isOpen) {
  if ((document.body.dataset[side] === "open") === isOpen) return;
  document.body.dataset[side] = isOpen ? "open" : "closed";
  $(side + "-open").setAttribute("aria-expanded", String(isOpen));
  $("shade").hidden = !isOpen;
}

// --- writing ---

let typedAt = 0;

function say() {
  const text = withEmoji($("text").value).trim();
  if (!chat.active || !text) return;
  chat.active.firstUnread = undefined;
  chat.isAtEnd = true;
  chat.active.isDirect ? chat.wire.tell(chat.active.name, text) : chat.wire.say(chat.active.key, text);
  $("text").value = "";
  typedAt = 0;
  grow();
  show();
}

function typing() {
  grow();
  const field = $("text");
  if (field.selectionStart === field.selectionEnd && field.value[field.selectionStart - 1] === ":") {
    const before = field.value.slice(0, field.selectionStart);
    const start = before.lastIndexOf(":", before.length - 2);
    const emoji = start < 0 ? "" : withEmoji(before.slice(start));
    if (start >= 0 && emoji !== before.slice(start)) field.setRangeText(emoji, start, before.length, "end");
  }
  if (!chat.active || !field.value || Date.now() - typedAt < TYPING_EVERY) return;
  typedAt = Date.now();
  chat.wire.signal(target(chat.active), { typing: true });
}

/** The field is as high as what is written, up to a limit of the style sheet. */
function grow() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = field.scrollHeight + 2 + "px";
}

function toEnd() {
  chat.isAtEnd = true;
  if (chat.active) chat.active.below = 0;
  later();
}

async function copyText(text, button) {
  const was = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it by hand: it is marked";
    const code = button.parentElement.querySelector("pre, code");
    if (code) getSelection().selectAllChildren(code);
  }
  setTimeout(() => { button.textContent = was; }, 2000);
}

function askName() {
  $("name-field").value = chat.me || "guest-" + (1000 + crypto.getRandomValues(new Uint16Array(1))[0] % 9000);
  $("name-error").textContent = "";
  $("name-cancel").hidden = !chat.wire;
  $("name-form").querySelector("button:last-child").textContent = chat.wire ? "Change" : "Start chatting";
  $("name").showModal();
  $("name-field").select();
}

function named() {
  const name = $("name-field").value.trim();
  const fault = faultOf(name, "name");
  $("name-error").textContent = fault ?? "";
  if (fault) return $("name-field").focus();
  store.set("name", name);
  $("name").close();
  if (!chat.wire) begin(name);
  else if (name !== chat.me) {
    $("me-hint").textContent = chat.wire.unsent ? "Changes once everything is sent" : "";
    chat.wire.rename(name);
    asked.delete("user");
    showAddress(location.hash);
  }
  $("text").focus();
}

function showHelp() {
  const url = new URL("chat", location.origin + location.pathname);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const room = chat.active && !chat.active.isDirect ? chat.active.name : "lobby";
  $("help-room").textContent = location.host + location.pathname + hashOf(room);
  $("help-code").textContent = [
    `const ws = new WebSocket(${JSON.stringify(url.href)}, "chat.sockeye.v1");`,
    `const send = o => ws.send(JSON.stringify(o));`,
    `ws.onmessage = e => console.log(JSON.parse(e.data));`,
    `ws.onopen = () => {`,
    `  send({ op: "hello", user: "ada" });`,
    `  send({ op: "join", room: ${JSON.stringify(room)}, history: 10 });`,
    `  send({ op: "say", room: ${JSON.stringify(room)}, seq: 1, body: "hello" });`,
    `};`,
  ].join("\n");
  const paths = [
    ["/chat", "JSON: rooms, direct messages, history, resume; what this page speaks"],
    ["/ws?user=ada&room=lobby", "text in, “name -> text” out, to all in the room"],
    ["/broadcast?room=lobby", "what you send goes to all others, as it is"],
    ["/direct", "JSON packets from one to another, by “from” and “to”"],
    ["/im", "one-to-one messages with a packet format of its own"],
    ["/echo", "what you send comes back"],
  ];
  $("help-paths").replaceChildren(...paths.flatMap(([path, what]) => [make("dt", {}, make("code", {}, path)), make("dd", {}, what)]));
  $("help").showModal();
  $("help-title").focus();
}

// --- the page ---

function begin(name) {
  chat.me = name;
  const url = new URL("chat", location.origin + location.pathname);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const token = asked.get("token") ?? undefined;
  const room = asked.get("room");
  for (const once of ["room", "token"]) asked.delete(once);
  showAddress(location.hash || (room ? hashOf(room) : ""));
  chat.wire = new Wire({ url: url.href, user: chat.me, token, on });
  const rooms = store.get("rooms", []);
  for (const key of Array.isArray(rooms) ? rooms : []) if (typeof key === "string" && !faultOf(key, "room")) channelOf(key);
  if (!channels.size && location.hash.length < 2) channelOf("lobby");
  showMe();
  route();
}

$("say").onsubmit = event => { event.preventDefault(); say(); $("text").focus(); };
$("text").oninput = typing;
$("text").onkeydown = event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    say();
  }
};
$("join").onsubmit = event => {
  event.preventDefault();
  const name = $("join-name").value.trim().replace(/^#/, "");
  const fault = faultOf(name, "room");
  if (fault) return warn(fault);
  $("join-name").value = "";
  go(name, true);
};
$("scroll").onscroll = () => {
  const { scrollTop, scrollHeight, clientHeight } = $("scroll");
  const was = chat.isAtEnd;
  chat.isAtEnd = scrollHeight - scrollTop - clientHeight < 48;
  if (chat.isAtEnd !== was) later();
  if (scrollTop < 150 && chat.active && scrollHeight > clientHeight) loadOlder(chat.active);
};
new ResizeObserver(() => { if (chat.isAtEnd) $("scroll").scrollTop = $("scroll").scrollHeight; }).observe($("scroll"));
$("latest").onclick = () => { toEnd(); $("text").focus(); };
$("skip").onclick = event => { event.preventDefault(); $("text").focus(); };
$("leave").onclick = () => { leave(chat.active); $("text").focus(); };
$("state-now").onclick = () => state.state === "stopped" ? chat.wire.retry() : chat.wire.now();
$("me").onclick = askName;
$("name-form").onsubmit = event => { event.preventDefault(); named(); };
$("name-cancel").onclick = () => $("name").close();
$("name").oncancel = event => { if (!chat.wire) { event.preventDefault(); named(); } };
$("help-open").onclick = showHelp;
$("help-copy").onclick = () => copyText($("help-code").textContent, $("help-copy"));
for (const side of ["side", "people"]) {
  $(side + "-open").onclick = () => {
    const isOpen = document.body.dataset[side] !== "open";
    drawer(side, isOpen);
    if (isOpen) $(side + "-close").focus();
  };
  $(side + "-close").onclick = () => { drawer(side, false); $(side + "-open").focus(); };
}
$("shade").onclick = () => { drawer("side", false); drawer("people", false); };
$("emoji-all").append(...EMOJI.map(([name, emoji]) => {
  const label = name.replaceAll("_", " ");
  const button = make("button", { type: "button", title: `:${name}:` }, emoji);
  button.setAttribute("aria-label", label);
  button.onclick = () => {
    const field = $("text");
    field.setRangeText(emoji, field.selectionStart, field.selectionEnd, "end");
    $("emoji").hidePopover?.();
    field.focus();
    typing();
  };
  return button;
}));
document.onkeydown = event => {
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    step(event.key === "ArrowUp" ? -1 : 1);
  } else if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open], :popover-open")) {
    if (document.body.dataset.side === "open") { drawer("side", false); $("side-open").focus(); }
    else if (!wide.matches && document.body.dataset.people === "open") { drawer("people", false); $("people-open").focus(); }
    else { toEnd(); $("text").focus(); }
  }
};
addEventListener("hashchange", () => chat.wire && route());
addEventListener("popstate", () => chat.wire && route());
document.addEventListener("visibilitychange", () => { if (chat.wire && !document.hidden) later(); });
addEventListener("beforeunload", event => { if (chat.wire?.unsent) event.preventDefault(); });

document.body.dataset.side = "closed";
document.body.dataset.people = "closed";
wide.onchange = () => drawer("people", wide.matches);
wide.onchange();
if (chat.me && !faultOf(chat.me, "name")) {
  begin(chat.me);
  $("text").focus();
} else askName();
