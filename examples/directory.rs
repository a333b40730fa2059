//! The user directory of two tutorials: `{"type":"online","from":ID}` says who one is, every other object goes to
//! the one in `to`, as it came. `cargo run --example directory -- 8080`

use serde_json::Value;
use sockeye::serve::{ClientId, Clients, End, Handler, Message, Options, Server, Socket};

/// Who is online, the newest last: it gets the messages, and when it leaves the one before does.
#[derive(Default)]
pub struct Directory(Vec<(Value, ClientId)>);

impl Handler for Directory {
    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        let Ok(Value::Object(said)) = serde_json::from_slice(message.as_bytes()) else { return };
        if said.get("type").is_some_and(|it| it == "online") {
            if let Some(user) = said.get("from") {
                self.0.retain(|(known, id)| known != user || *id != socket.id());
                self.0.push((user.clone(), socket.id()));
            }
        } else if let Some(to) = said.get("to")
            && let Some((_, id)) = self.0.iter().rfind(|(user, _)| user == to)
        {
            socket.clients().send(*id, message);
        }
    }

    fn on_close(&mut self, _: &mut Clients<'_>, gone: ClientId, _: &End<'_>) {
        self.0.retain(|(_, id)| *id != gone);
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8080);
    Server::bind(Options { port, ..Options::default() }, Directory::default())?.run()
}
