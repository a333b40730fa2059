//! The opening handshake as lines of text: heads to be written, right or wrong, and heads that were
//! received, laid open strictly. Shares nothing with the handshake that is tested.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::verdict::{Tried, ensure, failed};

/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

pub(crate) fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A head to be written: a start line and lines as they are, without their line ends.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) start: String,
    pub(crate) lines: Vec<String>,
}

impl Lines {
    pub(crate) fn start(mut self, line: &str) -> Self {
        line.clone_into(&mut self.start);
        self
    }

    /// One more line, at the end.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.lines.retain(|line| !is_of(line, name));
        self
    }

    /// With this line (or these, if it has a line end in it) in the place of the one of that name.
    pub(crate) fn instead(self, name: &str, line: &str) -> Self {
        self.without(name).with(line)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        format!("{}\r\n{}\r\n\r\n", self.start, self.lines.join("\r\n")).into_bytes()
    }
}

fn is_of(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(it, _)| it.eq_ignore_ascii_case(name))
}

/// A head that was received.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Heard {
    /// Reads a head without its blank line. Demands what RFC 7230 §3 demands of whoever writes one.
    pub(crate) fn read(bytes: &[u8]) -> Tried<Self> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return failed("the head is not text");
        };
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                return failed(format!("a header line without a colon: {line:?}"));
            };
            ensure(
                !name.is_empty() && name.bytes().all(is_tchar),
                format!("the name of a header is {name:?}"),
            )?;
            ensure(
                !value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7F),
                format!("a control character in the value of {name}"),
            )?;
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(Self { start, fields })
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_it = move |it: &&'a (String, String)| it.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(of_it).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The value of a field that comes exactly once.
    pub(crate) fn one(&self, name: &str) -> Tried<&str> {
        let mut all = self.fields.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
        match (all.next(), all.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => failed(format!("there is no {name}")),
            (Some(_), Some(_)) => failed(format!("{name} comes twice")),
        }
    }

    /// Whether a list has the word, in any case.
    pub(crate) fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|it| it.trim().eq_ignore_ascii_case(word))
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Tried<u16> {
        let mut words = self.start.splitn(3, ' ');
        match (words.next(), words.next().and_then(|it| it.parse().ok())) {
            (Some("HTTP/1.1" | "HTTP/1.0"), Some(status @ 100..=599)) => Ok(status),
            _ => failed(format!("the status line is {:?}", self.start)),
        }
    }

    /// The elements of `Sec-WebSocket-Extensions`.
    pub(crate) fn extensions(&self) -> Tried<Vec<Extension>> {
        let mut found = Vec::new();
        for value in self.all("Sec-WebSocket-Extensions") {
            for element in value.split(',') {
                found.push(Extension::read(element)?);
            }
        }
        Ok(found)
    }
}

/// One extension of a list, offered or agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Extension {
    pub(crate) name: String,
    pub(crate) parameters: Vec<(String, Option<String>)>,
}

impl Extension {
    /// §9.1, as strictly as it is written; a quoted value without its quotes.
    fn read(element: &str) -> Tried<Self> {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let token = |it: &str| !it.is_empty() && it.bytes().all(is_tchar);
        let wrong = || format!("no extension by the grammar of §9.1: {element:?}");
        ensure(token(name), wrong())?;
        let mut parameters = Vec::new();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                None => (part, None),
                Some((name, value)) => {
                    let bare = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
                    (name, Some(bare.unwrap_or(value)))
                }
            };
            ensure(token(name) && value.is_none_or(token), wrong())?;
            parameters.push((name.to_owned(), value.map(str::to_owned)));
        }
        Ok(Self { name: name.to_owned(), parameters })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|it| it.0 == name)
    }

    /// The value of a parameter, if it has one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|it| it.0 == name).and_then(|it| it.1.as_deref())
    }

    /// A number of window bits as RFC 7692 §7.1.2 writes it.
    pub(crate) fn bits(&self, name: &str) -> Option<u8> {
        let value = self.value(name)?;
        let bits: u8 = value.parse().ok().filter(|bits| (8..=15).contains(bits))?;
        (bits.to_string() == value).then_some(bits)
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_section_1_3_is_accepted() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_head_is_laid_open() {
        let head = Heard::read(b"HTTP/1.1 101 Go\r\nConnection: a, Upgrade\r\nX:\t1 ").unwrap();
        assert_eq!(head.status().unwrap(), 101);
        assert!(head.lists("connection", "upgrade"));
        assert_eq!(head.one("x").unwrap(), "1");
        assert!(Heard::read(b"HTTP/1.1 101 Go\r\n folded: 1").is_err());
    }

    #[test]
    fn extensions_have_parameters_with_and_without_values() {
        let line = b"H\r\nSec-WebSocket-Extensions: a; b=9; c, d;e=\"08\"";
        let read = Heard::read(line).unwrap().extensions().unwrap();
        assert_eq!(
            (read[0].bits("b"), read[0].has("c"), read[0].value("c")),
            (Some(9), true, None)
        );
        assert_eq!((read[1].value("e"), read[1].bits("e")), (Some("08"), None));
    }
}
