//! The chat of two tutorials: what one says, the others hear, text as text and binary as binary.
//!
//! `cargo run --example broadcast -- 8080`

use sockeye::serve::{Handler, Message, Options, Server, Socket};

/// Nothing to remember: the server knows its clients.
#[derive(Default)]
pub struct Chat;

impl Handler for Chat {
    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        socket.broadcast(message);
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8080);
    Server::bind(Options { port, ..Options::default() }, Chat)?.run()
}
