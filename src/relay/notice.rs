//! `/chat`, what clients are told: one JSON object per text message, `ev` names what happened. Only
//! writes; who is told is the hub's affair.

use super::effect::{Kind, Shared};
use super::limits::Config;
use super::log::{ContentKind, Cursor, Entry, Refused};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// An event under construction, at the end of a buffer.
pub(super) struct Event<'s> {
    out: &'s mut Vec<u8>,
}

impl<'s> Event<'s> {
    /// Clears the buffer first.
    pub(super) fn new(ev: &str, out: &'s mut Vec<u8>) -> Self {
        out.clear();
        Self { out }.begin(ev)
    }

    fn begin(self, ev: &str) -> Self {
        self.out.push(b'{');
        self.text("ev", ev)
    }

    pub(super) fn done(self) -> Shared {
        self.out.push(b'}');
        Shared::new(Kind::Text, self.out)
    }

    /// The id of the request that this answers, as written there.
    pub(super) fn id(self, id: Option<&str>) -> Self {
        match id {
            Some(id) => self.json("id", id.as_bytes()),
            None => self,
        }
    }

    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        self.name(name);
        quote(text.as_bytes(), self.out);
        self
    }

    pub(super) fn number(self, name: &str, number: u64) -> Self {
        self.json(name, number.to_string().as_bytes())
    }

    pub(super) fn number_if(self, name: &str, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    pub(super) fn count(self, name: &str, count: usize) -> Self {
        self.number(name, count as u64)
    }

    /// Only if it is so.
    pub(super) fn so(self, name: &str, so: bool) -> Self {
        if so { self.json(name, b"true") } else { self }
    }

    /// What is JSON already.
    pub(super) fn json(mut self, name: &str, json: &[u8]) -> Self {
        self.name(name);
        self.out.extend_from_slice(json);
        self
    }

    pub(super) fn texts<'a>(
        mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.name(name);
        self.out.push(b'[');
        for (at, text) in texts.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            quote(text.as_bytes(), self.out);
        }
        self.out.push(b']');
        self
    }

    pub(super) fn object(
        mut self,
        name: &str,
        write: impl for<'e> FnOnce(Event<'e>) -> Event<'e>,
    ) -> Self {
        self.name(name);
        self.out.push(b'{');
        write(Event { out: &mut *self.out }).out.push(b'}');
        self
    }

    pub(super) fn cursor(self, cursor: Cursor) -> Self {
        self.number("epoch", cursor.epoch).number("offset", cursor.offset)
    }

    /// The head of a log as a newcomer finds it, and how it goes on from there.
    pub(super) fn head(self, head: Cursor, prev: u64, recovered: bool, more: bool) -> Self {
        let event = self.cursor(head).number("prev", prev);
        event.json("recovered", if recovered { b"true" } else { b"false" }).so("more", more)
    }

    fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Appends an entry of a log: `message` in a room, `direct` in an inbox.
pub(super) fn entry(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let event = Event { out };
    let event = match entry.channel.strip_prefix('@') {
        Some(user) => {
            event.begin("direct").text("from", entry.from).text("to", entry.to.unwrap_or(user))
        }
        None => event.begin("message").text("room", entry.channel).text("from", entry.from),
    };
    let event = event.cursor(entry.at).number("prev", entry.prev).number("at", entry.at_ms);
    let event = match entry.content {
        ContentKind::Json => event.json("body", entry.body),
        ContentKind::Text => event.text("body", &String::from_utf8_lossy(entry.body)),
        ContentKind::Binary => {
            event.object("body", |body| body.text("base64", &STANDARD.encode(entry.body)))
        }
    };
    event.out.push(b'}');
}

/// The limits that a client has to know.
pub(super) fn limits<'s>(event: Event<'s>, config: &Config) -> Event<'s> {
    let chat = &config.limits.chat;
    let event = event
        .count("body_bytes", chat.body_bytes)
        .count("message_bytes", chat.message_bytes)
        .count("id_bytes", chat.id_bytes)
        .count("producer_bytes", chat.producer_bytes)
        .number("unacked", chat.unacked.into())
        .count("history", chat.history)
        .count("replay", chat.replay)
        .count("rooms", config.limits.rooms_per_connection)
        .count("presence_members", chat.presence_members);
    match config.chat_rates {
        None => event,
        Some(rates) => event
            .number("messages_per_second", rates.messages_per_second.get().into())
            .number("bytes_per_second", rates.bytes_per_second.get())
            .number("burst_ms", u64::try_from(rates.burst.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// What an error is, to a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Code {
    BadRequest,
    UnknownOp,
    Forbidden,
    NotJoined,
    TooLarge,
    RateLimited,
    Unavailable,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownOp => "unknown_op",
            Self::Forbidden => "forbidden",
            Self::NotJoined => "not_joined",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why a request is not done, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    code: Code,
    /// A sentence with the remedy.
    message: Cow<'static, str>,
    retry_ms: Option<u64>,
}

impl Problem {
    pub(super) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_ms: None }
    }

    pub(super) fn retry_ms(self, retry_ms: u64) -> Self {
        Self { retry_ms: Some(retry_ms), ..self }
    }

    pub(super) fn write(
        &self,
        id: Option<&str>,
        seq: Option<u64>,
        room: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Shared {
        let event = Event::new("error", out).id(id).number_if("seq", seq);
        let event = match room {
            Some(room) => event.text("room", room),
            None => event,
        };
        let event = event.text("code", self.code.as_str()).text("message", &self.message);
        event.number_if("retry", self.retry_ms).done()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unavailable { retry_ms } => {
                let message = "The log of messages can't be reached: try again after \"retry\" ms.";
                Self::new(Code::Unavailable, message).retry_ms(retry_ms)
            }
            Refused::Overloaded { retry_ms } => {
                let message =
                    "The log of messages has too much to do: try again after \"retry\" ms.";
                Self::new(Code::RateLimited, message).retry_ms(retry_ms)
            }
            Refused::TooLarge => {
                Self::new(Code::TooLarge, "The log takes no message of this size: make it shorter.")
            }
            Refused::OldNumber => Self::new(
                Code::BadRequest,
                "This \"seq\" is below one that was used, and too old to be looked up: go on with higher ones.",
            ),
            Refused::Forbidden => Self::new(Code::Forbidden, "You may not do this here."),
        }
    }
}

/// Appends a string of JSON: bytes that are no UTF-8 as U+FFFD.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.bytes().position(must_be_escaped) {
            let (plain, special) = rest.split_at(at);
            out.extend_from_slice(plain.as_bytes());
            for &byte in special.as_bytes().iter().take(1) {
                escape(byte, out);
            }
            rest = special.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest.as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// RFC 8259 §7.
fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => return out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    };
    out.extend([b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_quoted_so_that_another_reader_finds_it_again(text in "\\PC{0,8}[\u{0}-\u{22}\\\\é😀]{0,8}") {
            let mut out = Vec::new();
            quote(text.as_bytes(), &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_quoted_as_text_with_marks_for_what_is_none(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut out = Vec::new();
            quote(&bytes, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), String::from_utf8_lossy(&bytes));
        }
    }
}
