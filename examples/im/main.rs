//! One-to-one chat: `get-pass` opens a user's channel, `get-enter` sends a packet to it and to the speaker.
//! `cargo run --example im -- 8080`
use serde_json::{Value, from_str};
use sockeye::serve::{ClientId, Clients, End, Handler, Message, Options, Server, Socket};
mod packet;

/// The open channels, the newest last: it gets the packets, and when it closes the one before does.
#[derive(Default)]
pub struct Im(Vec<(Value, ClientId)>);

impl Handler for Im {
    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        let Message::Text(text) = message else { return };
        let Ok(said) = from_str::<packet::Said<'_>>(text) else { return };
        let value = |name| said.get(name).and_then(|it| from_str::<Value>(it.get()).ok());
        let kind = value("type").unwrap_or_default();
        if let Some(user) = value("userId").filter(|_| kind == "get-pass") {
            if user != "test001" && self.0.iter().all(|(known, _)| *known != user) {
                socket.send(Message::Text(r#"{"code":"1","msg":"Channel Creation Successful"}"#));
            }
            self.0.push((user, socket.id()));
        } else if kind == "get-enter" {
            let packet = packet::write(&said, value("createTime"));
            socket.send(Message::Text(&packet));
            if let Some((_, id)) = self.0.iter().rfind(|it| Some(&it.0) == value("toId").as_ref()) {
                socket.clients().send(*id, Message::Text(&packet));
            }
        }
    }

    fn on_close(&mut self, _: &mut Clients<'_>, gone: ClientId, _: &End<'_>) {
        self.0.retain(|(_, id)| *id != gone);
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8080);
    Server::bind(Options { port, ..Options::default() }, Im::default())?.run()
}
