//! What a message says: a template filled in, and in it a stamp by which the message is known again
//! wherever it turns up, whatever the server wraps around it.

use crate::proto::Kind;

/// Who sent a message and which of theirs it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    /// The connection's number.
    pub(super) conn: u32,
    /// Counted from 0 on each connection.
    pub(super) seq: u64,
}

impl Stamp {
    /// A mark, four digits for the connection and six for the number: plain ASCII that needs no escape in
    /// JSON, so that it passes through every chat.
    pub(super) const LEN: usize = 11;
    /// Connections that four digits of six bits can tell apart.
    pub(super) const CONNS: u32 = 1 << 24;

    fn write(self, to: &mut [u8]) {
        if let Some((mark, digits)) = to.split_first_mut() {
            *mark = MARK;
            let mut bits = u64::from(self.conn) << 36 | self.seq & SEQ_MASK;
            bits <<= 4;
            for digit in digits {
                *digit = DIGITS[(bits >> 58) as usize & 63];
                bits <<= 6;
            }
        }
    }

    /// The first stamp in `bytes`.
    pub(super) fn find(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        loop {
            let at = rest.iter().position(|&byte| byte == MARK)?;
            rest = rest.get(at + 1..)?;
            if let Some(stamp) = rest.first_chunk().and_then(Self::read) {
                return Some(stamp);
            }
        }
    }

    fn read(digits: &[u8; Self::LEN - 1]) -> Option<Self> {
        let mut bits = 0;
        for &digit in digits {
            let value = VALUES[usize::from(digit)];
            if value > 63 {
                return None;
            }
            bits = bits << 6 | u64::from(value);
        }
        Some(Self { conn: u32::try_from(bits >> 36).ok()?, seq: bits & SEQ_MASK })
    }
}

/// How to make messages.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) kind: Kind,
    parts: Vec<Part>,
    /// Bytes a whole message has, as far as the template leaves room.
    size: usize,
    /// What `{pad}` is cut from.
    filler: Vec<u8>,
    stamped: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(Vec<u8>),
    Seq,
    Conn,
    Pad,
}

impl Body {
    /// The message of `template`, or of the pad alone.
    pub(super) fn new(kind: Kind, template: Option<&str>, size: usize) -> Self {
        let parts = template.map_or_else(|| vec![Part::Pad], parse);
        let pads = parts.iter().filter(|part| **part == Part::Pad).count();
        let literal: usize = parts.iter().map(Part::literal_len).sum();
        // A pad of a template carries the stamp even where no room is left for it.
        let stamped = pads > 0 && (template.is_some() || size >= Stamp::LEN);
        Self { filler: filler(kind, size), kind, size: size.max(literal), parts, stamped }
    }

    /// Whether messages can be told apart when they come back.
    pub(super) fn stamped(&self) -> bool {
        self.stamped
    }

    /// A buffer in which [`fill`](Self::fill) builds messages.
    pub(super) fn draft(&self) -> Draft {
        let bytes = if self.is_pad() { self.filler.clone() } else { Vec::new() };
        Draft { bytes }
    }

    /// Builds the message. One that is a pad only is not built anew: its stamp is changed.
    pub(super) fn fill<'d>(&self, draft: &'d mut Draft, stamp: Stamp) -> &'d [u8] {
        if self.is_pad() {
            if self.stamped
                && let Some(place) = draft.bytes.get_mut(..Stamp::LEN)
            {
                stamp.write(place);
            }
            return &draft.bytes;
        }
        let bytes = &mut draft.bytes;
        bytes.clear();
        let (seq, conn) = (stamp.seq.to_string(), stamp.conn.to_string());
        let others: usize = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.len(),
                Part::Seq => seq.len(),
                Part::Conn => conn.len(),
                Part::Pad => 0,
            })
            .sum();
        let mut room = self.size.saturating_sub(others);
        for part in &self.parts {
            match part {
                Part::Literal(text) => bytes.extend_from_slice(text),
                Part::Seq => bytes.extend_from_slice(seq.as_bytes()),
                Part::Conn => bytes.extend_from_slice(conn.as_bytes()),
                // The first takes all the room; any more carry the stamp only.
                Part::Pad => {
                    let start = bytes.len();
                    bytes.extend_from_slice(&[0; Stamp::LEN]);
                    if let Some(place) = bytes.get_mut(start..) {
                        stamp.write(place);
                    }
                    bytes.extend_from_slice(self.filler.get(Stamp::LEN..room).unwrap_or_default());
                    room = 0;
                }
            }
        }
        bytes
    }

    fn is_pad(&self) -> bool {
        self.parts == [Part::Pad]
    }
}

/// Where a message is built, again and again.
#[derive(Debug)]
pub(super) struct Draft {
    bytes: Vec<u8>,
}

/// `text` with `{conn}` filled in.
pub(super) fn with_conn(text: &str, conn: u32) -> String {
    text.replace("{conn}", &conn.to_string())
}

fn parse(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let names = [("{seq}", Part::Seq), ("{conn}", Part::Conn), ("{pad}", Part::Pad)];
        let found = names
            .into_iter()
            .filter_map(|(name, part)| rest.find(name).map(|at| (at, name.len(), part)))
            .min_by_key(|(at, ..)| *at);
        let (at, len, part) = match found {
            Some((at, len, part)) => (at, len, Some(part)),
            None => (rest.len(), 0, None),
        };
        let (literal, after) = rest.split_at(at);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.as_bytes().to_vec()));
        }
        parts.extend(part);
        rest = after.get(len..).unwrap_or_default();
    }
    parts
}

impl Part {
    fn literal_len(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Seq | Self::Conn | Self::Pad => 0,
        }
    }
}

/// Bytes to fill a message with: words that compress about as prose does, or for binary anything. The same in every run.
fn filler(kind: Kind, len: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut next = || {
        // Knuth's MMIX generator; its upper bits are good enough to look like text.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        match kind {
            Kind::Text => {
                bytes.extend_from_slice(WORDS[next() % WORDS.len()].as_bytes());
                bytes.push(b' ');
            }
            Kind::Binary => bytes.push(next().to_le_bytes()[1]),
        }
    }
    bytes.truncate(len);
    bytes
}

const WORDS: [&str; 32] = [
    "and",
    "bridge",
    "carries",
    "water",
    "under",
    "seven",
    "arches",
    "of",
    "stone",
    "while",
    "boats",
    "wait",
    "for",
    "evening",
    "light",
    "to",
    "pass",
    "the",
    "harbour",
    "wall",
    "where",
    "nets",
    "dry",
    "gulls",
    "argue",
    "about",
    "yesterday",
    "or",
    "salt",
    "wind",
    "no",
    "hurry",
];

/// Neither a digit of the stamp nor a letter of the filler.
const MARK: u8 = b'~';
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Six digits.
const SEQ_MASK: u64 = (1 << 36) - 1;

/// The value of each digit; 255 for what is none.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut at = 0;
    while at < DIGITS.len() {
        #[expect(clippy::cast_possible_truncation, reason = "there are 64 digits")]
        let value = at as u8;
        values[DIGITS[at] as usize] = value;
        at += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &Body, conn: u32, seq: u64) -> String {
        let mut draft = body.draft();
        String::from_utf8(body.fill(&mut draft, Stamp { conn, seq }).to_vec()).unwrap()
    }

    #[test]
    fn a_stamp_is_found_again_in_whatever_is_around_it() {
        for (conn, seq) in [(0, 0), (1, 63), (Stamp::CONNS - 1, SEQ_MASK), (77, 1 << 20)] {
            let mut bytes = [0; Stamp::LEN];
            let stamp = Stamp { conn, seq };
            stamp.write(&mut bytes);
            assert!(bytes.is_ascii());
            let wrapped = [b"~user~ -> {\"a\":\"", &bytes[..], b"\"}"].concat();
            assert_eq!(Stamp::find(&wrapped), Some(stamp));
        }
        assert_eq!(Stamp::find(b"~too short"), None);
        assert_eq!(Stamp::find(b"Welcome ~~~~~~~~~~~~~"), None);
    }

    #[test]
    fn a_message_has_the_size_that_was_asked_for() {
        for size in [0, 10, 11, 20, 1024] {
            let body = Body::new(Kind::Text, None, size);
            assert_eq!(message(&body, 3, 4).len(), size);
            assert_eq!(body.stamped(), size >= Stamp::LEN);
        }
        let body =
            Body::new(Kind::Text, Some(r#"{"n":{seq},"from":"{conn}","text":"{pad}"}"#), 100);
        for seq in [9, 10, 123_456] {
            let text = message(&body, 12, seq);
            assert_eq!(text.len(), 100, "{text}");
            assert!(text.starts_with(&format!(r#"{{"n":{seq},"from":"12","text":"~"#)), "{text}");
            assert_eq!(Stamp::find(text.as_bytes()), Some(Stamp { conn: 12, seq }));
        }
    }

    #[test]
    fn a_template_too_long_for_the_size_is_sent_whole() {
        let body = Body::new(Kind::Text, Some("a long greeting, {pad}"), 4);
        let text = message(&body, 1, 2);
        assert_eq!(text.len(), "a long greeting, ".len() + Stamp::LEN);
        assert!(body.stamped());
        assert!(!Body::new(Kind::Text, Some("no mark"), 40).stamped());
    }

    #[test]
    fn braces_that_name_nothing_stay() {
        let body = Body::new(Kind::Text, Some("{x}{{seq}}"), 0);
        assert_eq!(message(&body, 1, 2), "{x}{2}");
    }
}
