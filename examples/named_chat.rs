//! The named chat of a tutorial: a welcome with one's address and port as the name, then `name -> message` to
//! everybody, the speaker included. `cargo run --example named_chat -- 8080`

use std::net::{IpAddr, SocketAddr};

use sockeye::serve::{Handler, Message, Opening, Options, Server, Socket};

/// Names are addresses: there is nothing to remember.
#[derive(Default)]
pub struct NamedChat;

impl Handler for NamedChat {
    fn on_open(&mut self, socket: &mut Socket<'_>, opening: &Opening<'_>) {
        socket.send(Message::Text(&format!("Welcome {}", name(opening.remote()))));
    }

    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        let said = String::from_utf8_lossy(message.as_bytes());
        let line = format!("{} -> {said}", name(socket.remote()));
        socket.clients().broadcast(Message::Text(&line));
    }
}

/// As the tutorial's server shows it, which listens on IPv6 for both.
fn name(remote: SocketAddr) -> String {
    let ip = match remote.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    format!("{ip}{}", remote.port())
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8080);
    Server::bind(Options { port, ..Options::default() }, NamedChat)?.run()
}
