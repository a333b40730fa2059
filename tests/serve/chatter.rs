//! Somebody who speaks the chat dialect: requests out, events in.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use sockeye::client::{Client, ClientError, Connect, Received};

/// The native chat's subprotocol.
pub(crate) const CHAT: &str = "chat.sockeye.v1";

pub(crate) struct Chatter {
    client: Client,
    /// Events that came before the one that was waited for.
    kept: VecDeque<Value>,
}

impl Chatter {
    /// A connection that has said nothing yet. `target` begins with the path.
    pub(crate) fn open(address: SocketAddr, target: &str) -> Self {
        let options = Connect::new().subprotocol(CHAT).max_payload(64 << 20);
        Self::of(options.open(&format!("ws://{address}{target}")).unwrap())
    }

    pub(crate) fn of(mut client: Client) -> Self {
        client.set_read_timeout(Some(Duration::from_secs(20)));
        Self { client, kept: VecDeque::new() }
    }

    /// Somebody in a room; `hello` and `joined` are heard.
    pub(crate) fn enter(address: SocketAddr, user: &str, room: &str) -> Self {
        let mut chatter = Self::open(address, &format!("/chat?user={user}&room={room}"));
        assert_eq!(chatter.until("hello")["user"], user);
        chatter.until("joined");
        chatter
    }

    pub(crate) fn ask(&mut self, request: &Value) {
        self.client.text(&request.to_string()).unwrap();
    }

    /// Whether it could be sent.
    pub(crate) fn try_ask(&mut self, request: &Value) -> bool {
        self.client.text(&request.to_string()).is_ok()
    }

    pub(crate) fn say(&mut self, room: &str, body: &Value) {
        self.ask(&json!({"op": "say", "room": room, "body": body}));
    }

    /// The next event, whatever it is.
    pub(crate) fn next(&mut self) -> Value {
        if let Some(event) = self.kept.pop_front() {
            return event;
        }
        match self.receive() {
            Some(event) => event,
            None => panic!("the server hung up"),
        }
    }

    /// The next event of this kind; those before it stay to be heard.
    pub(crate) fn until(&mut self, ev: &str) -> Value {
        if let Some(at) = self.kept.iter().position(|event| event["ev"] == ev) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let event = self.receive();
            let event = event.unwrap_or_else(|| panic!("no {ev} but {:?}", self.kept));
            if event["ev"] == ev {
                return event;
            }
            self.kept.push_back(event);
        }
    }

    /// All that was said up to now.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        self.ask(&json!({"op": "ping", "t": "rest"}));
        self.until("pong");
        self.kept.drain(..).collect()
    }

    /// The next event that is a message, `None` if the connection is over.
    fn receive(&mut self) -> Option<Value> {
        loop {
            match self.client.receive() {
                Ok(Some(Received::Text(text))) => {
                    return Some(serde_json::from_str(&text).unwrap());
                }
                Ok(Some(Received::Ping(_) | Received::Pong(_))) => {}
                Ok(Some(Received::Close(..)) | None) => return None,
                Ok(Some(other)) => panic!("{other:?}"),
                Err(ClientError::TimedOut) => {
                    panic!("nothing came in time, but {:?} before", self.kept)
                }
                Err(_) => return None,
            }
        }
    }

    /// The same of somebody whose ping may be over the rate, too.
    pub(crate) fn rest_though_limited(&mut self) -> Vec<Value> {
        loop {
            self.ask(&json!({"op": "ping", "t": "rest", "id": "rest"}));
            loop {
                let event = self.receive().expect("the connection lives");
                match (event["ev"].as_str(), event["id"].as_str()) {
                    (Some("pong"), _) => return self.kept.drain(..).collect(),
                    (Some("error"), Some("rest")) => break,
                    _ => self.kept.push_back(event),
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How the server ended it; what was said before is kept.
    pub(crate) fn close(&mut self) -> (Option<u16>, String) {
        loop {
            match self.client.receive().unwrap() {
                Some(Received::Text(text)) => {
                    self.kept.push_back(serde_json::from_str(&text).unwrap());
                }
                Some(Received::Close(code, reason)) => {
                    return (code.map(|code| code.as_u16()), reason);
                }
                Some(_) => {}
                None => panic!("no close frame"),
            }
        }
    }

    /// Says goodbye.
    pub(crate) fn leave(mut self) {
        self.client.close(None).unwrap();
    }

    /// Cuts the line without a word.
    pub(crate) fn cut(&self) {
        self.client.stream().tcp().shutdown(Shutdown::Both).unwrap();
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }
}
