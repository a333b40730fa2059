// How what people write becomes nodes of the page: text, links, emoji, other JSON, files, times.
// Everything is made by createElement and textContent: nothing that somebody writes becomes markup.

/** An element with properties (`dataset`, `aria` and the like by attributes) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Names by which people know them, and the order of the picker. */
export const EMOJI = [
  ["smile", "😄"], ["grin", "😁"], ["joy", "😂"], ["wink", "😉"], ["blush", "😊"], ["heart_eyes", "😍"],
  ["thinking", "🤔"], ["sunglasses", "😎"], ["sweat_smile", "😅"], ["upside_down", "🙃"], ["sad", "😢"], ["sob", "😭"],
  ["angry", "😠"], ["scream", "😱"], ["sleeping", "😴"], ["shrug", "🤷"], ["wave", "👋"], ["thumbsup", "👍"],
  ["thumbsdown", "👎"], ["clap", "👏"], ["pray", "🙏"], ["ok_hand", "👌"], ["muscle", "💪"], ["eyes", "👀"],
  ["heart", "❤️"], ["broken_heart", "💔"], ["fire", "🔥"], ["sparkles", "✨"], ["star", "⭐"], ["tada", "🎉"],
  ["rocket", "🚀"], ["bulb", "💡"], ["check", "✅"], ["x", "❌"], ["warning", "⚠️"], ["question", "❓"],
  ["fish", "🐟"], ["bear", "🐻"], ["coffee", "☕"], ["pizza", "🍕"], ["cake", "🍰"], ["beer", "🍺"],
  ["sun", "☀️"], ["rain", "🌧️"], ["snow", "❄️"], ["tree", "🌲"], ["bug", "🐛"], ["lock", "🔒"],
];

const BY_NAME = new Map([...EMOJI, ["+1", "👍"], ["-1", "👎"], ["cry", "😢"]]);

/** `:fish:` becomes a fish; what is no name stays as it is. */
export function withEmoji(text) {
  return text.replace(/:([a-z0-9_+-]{1,20}):/g, (whole, name) => BY_NAME.get(name) ?? whole);
}

/** A name of any type as text: raw clients are known by an address, or by a JSON value. */
export function nameOf(from) {
  if (typeof from === "string") return from;
  return from === undefined || from === null ? "somebody" : JSON.stringify(from);
}

/** What a message says, as an element. */
export function bodyOf(body) {
  if (typeof body === "string") return make("div", { className: "body", dir: "auto" }, ...linked(body));
  if (isBinary(body)) return make("div", { className: "body" }, fileOf(body.base64));
  return make("pre", { className: "body", dir: "ltr", tabIndex: 0 }, JSON.stringify(body, null, 2) ?? "");
}

/** Text whose http and https addresses can be followed. */
function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"'`]+/gi)) {
    const shown = trimmed(match[0]);
    const url = URL.parse ? URL.parse(shown) : parsed(shown);
    if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) continue;
    nodes.push(text.slice(from, match.index));
    nodes.push(make("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "auto" }, shown));
    from = match.index + shown.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

function parsed(text) {
  try { return new URL(text); } catch { return null; }
}

/** Without the punctuation of the sentence; a closing bracket stays if it was opened. */
function trimmed(address) {
  for (;;) {
    const last = address.at(-1);
    const isOpen = last === ")" && address.split("(").length > address.split(")").length - 1;
    if (!".,;:!?)]}*_~".includes(last) || isOpen) return address;
    address = address.slice(0, -1);
  }
}

function isBinary(body) {
  return typeof body?.base64 === "string" && Object.keys(body).length === 1;
}

/** Bytes of a raw client: nothing is shown of them, they can be saved. */
function fileOf(base64) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0));
  } catch {
    return make("span", { className: "chip" }, "unreadable bytes");
  }
  const button = make("button", { type: "button", className: "chip" }, `⬇ ${bytes.length.toLocaleString()} bytes`);
  button.setAttribute("aria-label", `Save ${bytes.length} bytes`);
  button.onclick = () => {
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    make("a", { href: url, download: "message.bin" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return button;
}

/** One or two letters in a colour of its own, for eyes only. */
export function faceOf(name, face = make("span", { className: "face" })) {
  const letters = [...name.replace(/^[^\p{L}\p{N}]+/u, "")];
  face.textContent = (letters[0] ?? "?").toUpperCase();
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 1_000_003;
  face.dataset.hue = hash % 8;
  face.setAttribute("aria-hidden", "true");
  return face;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const NEAR = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** Milliseconds since 1970 or an ISO 8601 text; anything else is no time. */
export function dateOf(at) {
  const date = new Date(typeof at === "number" || typeof at === "string" ? at : NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}

export function clockOf(date) {
  return make("time", { dateTime: date.toISOString(), title: MOMENT.format(date) }, CLOCK.format(date));
}

/** "today", "yesterday", or the date. */
export function dayOf(date) {
  const start = day => new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
  const days = Math.round((start(date) - start(new Date())) / 86_400_000);
  const text = days === 0 || days === -1 ? NEAR.format(days, "day") : DAY.format(date);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
