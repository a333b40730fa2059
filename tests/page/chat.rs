//! What people do on the page, in their words.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use sockeye::client::{Client, Connect, Received};

use crate::browser::{Browser, Page};
use crate::process::Server;

/// A server, or one that runs already: `SOCKEYE_PAGE=127.0.0.1:8080` helps to work on the page.
pub(crate) struct Host {
    _server: Option<Server>,
    pub(crate) address: SocketAddr,
}

impl Host {
    pub(crate) fn start() -> Self {
        if let Ok(address) = std::env::var("SOCKEYE_PAGE") {
            return Self { _server: None, address: address.parse().unwrap() };
        }
        let server = Server::start(&[]);
        let address = server.addresses[0];
        Self { _server: Some(server), address }
    }
}

/// A room that no other test uses.
pub(crate) fn room(name: &str) -> String {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).unwrap();
    format!("{name}-{:08x}", u32::from_ne_bytes(bytes))
}

/// A person with the page open in a room, connected.
pub(crate) fn person<'a>(
    browser: &'a Browser,
    address: SocketAddr,
    name: &str,
    room: &str,
) -> Page<'a> {
    let page = browser.page(&format!("http://{address}/?user={}#{}", escaped(name), escaped(room)));
    page.is_connected();
    page.until("document.querySelector('#members li')");
    page
}

pub(crate) fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Page<'_> {
    pub(crate) fn is_connected(&self) {
        self.until("document.querySelector('#state').dataset.state === 'open'");
    }

    /// Writes into the message field and sends.
    pub(crate) fn say(&self, text: &str) {
        self.value("document.querySelector('#text').focus()");
        self.write(text);
        self.press("Enter");
    }

    /// Waits until a message with exactly this text stands in the log.
    pub(crate) fn sees(&self, text: &str) {
        let text = json!(text);
        self.until(&format!(
            "[...document.querySelectorAll('#log .body')].some(body => body.textContent === {text})"
        ));
    }

    /// All messages that stand in the log, from the top.
    pub(crate) fn log(&self) -> Vec<String> {
        let all = self
            .value("[...document.querySelectorAll('#log .body')].map(body => body.textContent)");
        all.as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Waits until nothing of mine is on its way.
    pub(crate) fn all_is_sent(&self) {
        self.until("!document.querySelector('#log [data-state]')");
    }

    pub(crate) fn goes_to(&self, room: &str) {
        self.value("document.querySelector('#join-name').focus()");
        self.write(room);
        self.press("Enter");
        let title = json!(format!("#{room}"));
        self.until(&format!("document.querySelector('#title').textContent === {title}"));
        self.until("document.querySelector('#members li')");
    }

    pub(crate) fn is_content(&self) {
        assert_eq!(self.complaints(|_| false), Vec::<String>::new());
    }
}

/// Somebody who talks to the server without the page.
pub(crate) struct Bot(Client);

impl Bot {
    pub(crate) fn enter(address: SocketAddr, name: &str, room: &str) -> Self {
        let url = format!("ws://{address}/chat");
        let client = Connect::new().subprotocol("chat.sockeye.v1").open(&url).unwrap();
        let mut bot = Self(client);
        bot.send(&json!({"op": "hello", "user": name, "producer": self::room(name)}));
        bot.send(&json!({"op": "join", "room": room}));
        bot.until("joined");
        bot
    }

    pub(crate) fn send(&mut self, request: &Value) {
        self.0.text(&request.to_string()).unwrap();
    }

    /// Says it, and waits until it has its place.
    pub(crate) fn say(&mut self, room: &str, seq: u64, body: &Value) {
        loop {
            self.send(&json!({"op": "say", "room": room, "seq": seq, "body": body}));
            let event = self.next(|event| event["ev"] == "ack" || event["ev"] == "error");
            if event["ev"] == "ack" {
                return;
            }
            assert_eq!(event["code"], "rate_limited", "{event}");
            let pause = event["retry"].as_u64().unwrap_or(100);
            std::thread::sleep(Duration::from_millis(pause));
        }
    }

    pub(crate) fn until(&mut self, ev: &str) {
        let event = self.next(|event| event["ev"] == ev || event["ev"] == "error");
        assert_eq!(event["ev"], ev, "{event}");
    }

    fn next(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.0.set_read_timeout(Some(Duration::from_secs(60)));
        loop {
            let Some(Received::Text(text)) = self.0.receive().unwrap() else { continue };
            let event = serde_json::from_str(&text).unwrap();
            if is_wanted(&event) {
                return event;
            }
        }
    }
}
