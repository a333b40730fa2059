//! tungstenite on mio: its codec wants a blocking or a non-blocking stream, and this is the quicker of the two for many
//! connections. What is read together is answered by one flush.

use super::Task;
use super::pool::{self, Pool};
use mio::net::TcpStream;
use tungstenite::handshake::server::NoCallback;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::{Error, Message, ServerHandshake, WebSocket};

enum Guest {
    New(TcpStream),
    Opening(Box<MidHandshake<ServerHandshake<TcpStream, NoCallback>>>),
    Open(Box<WebSocket<TcpStream>>),
    Gone,
}

pub fn serve(task: Task) -> std::io::Result<()> {
    pool::serve(Guest::New, move |pool, at, _| {
        pool.get(at).is_some_and(Guest::open) && talk(pool, at, task).is_ok()
    })
}

impl Guest {
    /// One step further in the handshake; false if it failed.
    fn open(&mut self) -> bool {
        if let Self::Open(_) = self {
            return true;
        }
        let result = match std::mem::replace(self, Self::Gone) {
            Self::New(stream) => tungstenite::accept(stream),
            Self::Opening(middle) => (*middle).handshake(),
            Self::Open(_) | Self::Gone => return false,
        };
        *self = match result {
            Ok(socket) => Self::Open(Box::new(socket)),
            Err(HandshakeError::Interrupted(middle)) => Self::Opening(Box::new(middle)),
            Err(HandshakeError::Failure(_)) => return false,
        };
        true
    }

    fn socket(&mut self) -> Option<&mut WebSocket<TcpStream>> {
        if let Self::Open(socket) = self { Some(socket) } else { None }
    }
}

fn talk(pool: &mut Pool<Guest>, at: usize, task: Task) -> Result<(), Error> {
    let mut said = false;
    while let Some(socket) = pool.get(at).and_then(Guest::socket) {
        let message = match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => message,
            Ok(_) => continue,
            Err(error) if blocked(&error) => break,
            Err(error) => return Err(error),
        };
        said = true;
        if !task.broadcast {
            pass(socket.write(message))?;
            continue;
        }
        for other in pool.others(at).filter_map(Guest::socket) {
            pass(other.write(message.clone()))?;
        }
    }
    if said && task.broadcast {
        for other in pool.others(at).filter_map(Guest::socket) {
            pass(other.flush())?;
        }
    }
    match pool.get(at).and_then(Guest::socket) {
        Some(socket) => pass(socket.flush()),
        None => Ok(()),
    }
}

fn blocked(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// What the kernel does not take now it takes later.
fn pass(result: Result<(), Error>) -> Result<(), Error> {
    result.or_else(|error| if blocked(&error) { Ok(()) } else { Err(error) })
}
