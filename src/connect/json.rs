//! Events as JSON, one object a line, and messages that are given as JSON.

use std::io::{self, BufWriter, Stdout, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::command::Ask;
use super::face::{Face, Goodbye};
use super::goodbye;
use super::opening::Greeting;
use super::plain::say;
use crate::client::{ClientError, Received};
use crate::proto::CloseCode;

/// Whoever reads JSON from standard output.
pub(super) struct Json {
    out: BufWriter<Stdout>,
}

impl Json {
    pub(super) fn new() -> Self {
        Self { out: BufWriter::new(io::stdout()) }
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        self.out.write_all(line(event).as_bytes())?;
        self.out.write_all(b"\n")
    }
}

impl Face for Json {
    fn opened(&mut self, greeting: &Greeting) -> io::Result<()> {
        self.event(&json!({
            "event": "open",
            "url": greeting.url,
            "status": 101,
            "subprotocol": greeting.subprotocol,
            "extensions": greeting.extensions,
            "tls": greeting.tls,
            "headers": headers(greeting.headers.iter().map(|(name, value)| (&**name, value.clone()))),
        }))
    }

    fn heard(&mut self, received: &Received, round_trip: Option<Duration>) -> io::Result<()> {
        let event = match received {
            Received::Text(text) => json!({"event": "message", "text": text}),
            Received::Binary(bytes) => {
                json!({"event": "message", "binary": STANDARD.encode(bytes)})
            }
            Received::Ping(payload) => {
                json!({"event": "ping", "payload": STANDARD.encode(payload)})
            }
            Received::Pong(payload) => {
                let ms = round_trip.map(|it| it.as_secs_f64() * 1000.0);
                json!({"event": "pong", "payload": STANDARD.encode(payload), "round_trip_ms": ms})
            }
            Received::Close(..) => return Ok(()),
        };
        self.event(&event)
    }

    fn closed(&mut self, goodbye: &Goodbye) -> io::Result<()> {
        self.event(&json!({
            "event": "close",
            "code": goodbye.code,
            "name": goodbye::name(goodbye.code),
            "reason": goodbye.reason,
            "by": if goodbye.ours { "client" } else { "server" },
            "clean": goodbye.code != 1006,
            "error": goodbye.fault,
            "unsent_bytes": goodbye.unsent,
        }))
    }

    fn refused(&mut self, why: &str, error: &ClientError) -> io::Result<()> {
        say(why);
        let event = match error {
            ClientError::Refused(refusal) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                json!({
                    "event": "refused",
                    "status": refusal.status,
                    "reason": refusal.reason,
                    "headers": headers(refusal.headers.iter().map(|(name, value)| (&**name, text(value)))),
                    "body": text(&refusal.body),
                    "error": why,
                })
            }
            _ => json!({"event": "refused", "status": null, "error": why}),
        };
        self.event(&event)
    }

    fn waits(&mut self, wait: Duration, attempt: u32, attempts: u32) -> io::Result<()> {
        let ms = wait.as_secs_f64() * 1000.0;
        self.event(&json!({"event": "reconnect", "in_ms": ms, "attempt": attempt, "of": attempts}))
    }

    fn problem(&mut self, why: &str) -> io::Result<()> {
        say(why);
        Ok(())
    }

    fn answer(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Headers by their names in small letters; what stands more than once is joined, as RFC 9110 section 5.3 lets it be.
fn headers<'n>(all: impl Iterator<Item = (&'n str, String)>) -> Value {
    let mut map = Map::new();
    for (name, value) in all {
        match map.entry(name.to_ascii_lowercase()).or_insert(Value::Null) {
            Value::String(before) => {
                before.push_str(", ");
                before.push_str(&value);
            }
            new => *new = Value::String(value),
        }
    }
    Value::Object(map)
}

/// An event as it is written: no character in it that a terminal would obey, which JSON spells out in another way.
fn line(event: &Value) -> String {
    let text = event.to_string();
    let plain = |c: char| (' '..='~').contains(&c) || c > '\u{206f}' || c.is_alphabetic();
    if text.chars().all(plain) {
        return text;
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if super::escape::is_obeyed(c) {
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}

/// Reads `{"text": ..}`, `{"binary": ..}`, `{"ping": ..}` or `{"close": .., "reason": ..}`.
pub(super) fn ask(bytes: &[u8]) -> Result<Ask, String> {
    const SHAPES: &str = "an object with text, binary, ping or close";
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Object(object) = value else {
        return Err(format!("not {SHAPES}"));
    };
    let allowed = |key: &String| matches!(&**key, "text" | "binary" | "ping" | "close" | "reason");
    if let Some(other) = object.keys().find(|key| !allowed(key)) {
        return Err(format!("{other:?} is not known; a message is {SHAPES}"));
    }
    let string = |value: &Value| value.as_str().map(str::to_owned);
    let found = ["text", "binary", "ping", "close"].map(|key| object.get(key));
    match found {
        [Some(text), None, None, None] => {
            string(text).map(Ask::Text).ok_or_else(|| "text must be a string".into())
        }
        [None, Some(binary), None, None] => {
            let bytes = binary.as_str().and_then(|it| STANDARD.decode(it).ok());
            bytes.map(Ask::Binary).ok_or_else(|| "binary must be a string in base64".into())
        }
        [None, None, Some(ping), None] => match ping {
            Value::Null => Ok(Ask::Ping(None)),
            ping => string(ping)
                .map(|it| Ask::Ping(Some(it)))
                .ok_or_else(|| "ping must be a string or null".into()),
        },
        [None, None, None, Some(close)] => {
            let code = match close {
                Value::Null => Some(CloseCode::NORMAL),
                code => code.as_u64().and_then(|it| CloseCode::new(u16::try_from(it).ok()?)),
            };
            let code = code.ok_or("close must be null or a code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999")?;
            let reason = object.get("reason").map_or(Some(String::new()), string);
            Ok(Ask::Close(code, reason.ok_or("reason must be a string")?))
        }
        _ => Err(format!("not {SHAPES}, one of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_by_their_kind() {
        assert_eq!(ask(br#"{"text": "hi"}"#), Ok(Ask::Text("hi".into())));
        assert_eq!(ask(br#"{"binary": "aGk="}"#), Ok(Ask::Binary(b"hi".to_vec())));
        assert_eq!(ask(br#"{"ping": "x"}"#), Ok(Ask::Ping(Some("x".into()))));
        assert_eq!(ask(br#"{"ping": null}"#), Ok(Ask::Ping(None)));
        let code = CloseCode::new(4000).unwrap();
        assert_eq!(
            ask(br#"{"close": 4000, "reason": "done"}"#),
            Ok(Ask::Close(code, "done".into()))
        );
        assert_eq!(ask(br#"{"close": null}"#), Ok(Ask::Close(CloseCode::NORMAL, String::new())));
    }

    #[test]
    fn what_is_no_message_is_told() {
        for (bad, why) in [
            ("hi", "not JSON"),
            ("[]", "an object"),
            ("{}", "one of them"),
            (r#"{"text": 1}"#, "string"),
            (r#"{"binary": "!"}"#, "base64"),
            (r#"{"close": 1006}"#, "1000 to 1003"),
            (r#"{"text": "a", "ping": "b"}"#, "one of them"),
            (r#"{"txet": "a"}"#, "txet"),
        ] {
            let said = ask(bad.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn a_line_of_json_drives_no_terminal_and_says_the_same() {
        let event = json!({"text": "\x1b[2J\u{9b}1m\u{7f}\u{202e}é日"});
        let written = line(&event);
        assert!(!written.chars().any(super::super::escape::is_obeyed), "{written}");
        assert!(written.contains('é') && written.contains('日'));
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), event);
    }

    #[test]
    fn a_header_that_stands_twice_is_joined() {
        let all = [("Vary", "a"), ("X", "1"), ("vary", "b")];
        let value = headers(all.into_iter().map(|(name, value)| (name, value.to_owned())));
        assert_eq!(value, json!({"vary": "a, b", "x": "1"}));
    }
}
