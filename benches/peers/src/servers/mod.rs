//! The servers, one process each: `serve NAME` runs one until it is ended. Each is the peer's own recommended echo, on
//! one thread. What they have in common is how they listen and say where.

mod fastwebsockets;
mod floor;
mod pool;
mod sockudo;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::io::{self, Write};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// What a server is to do.
#[derive(Clone, Copy, Default)]
pub struct Task {
    /// What one says goes to all the others, instead of back.
    pub broadcast: bool,
    /// Several messages that came together are answered together, where the library lets one do so.
    pub batch: bool,
    /// Agree on permessage-deflate.
    pub deflate: bool,
}

/// Runs the server of that name, `flags` being `--broadcast`, `--batch` and `--deflate`.
pub fn run(mut words: impl Iterator<Item = String>) -> io::Result<()> {
    let name = words.next().unwrap_or_default();
    let mut task = Task::default();
    for flag in words {
        match &*flag {
            "--broadcast" => task.broadcast = true,
            "--batch" => task.batch = true,
            "--deflate" => task.deflate = true,
            _ => return Err(io::Error::other(format!("no flag {flag:?}"))),
        }
    }
    // As many connections as the system allows.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match &*name {
        "floor-mio" => floor::bytes(),
        "floor-ws" => floor::frames(task),
        "tungstenite" => tungstenite::serve(task),
        "fastwebsockets" => accept(fastwebsockets::serve),
        "tokio-websockets" => tokio_websockets::serve(task),
        "sockudo-ws" => accept(move |stream| sockudo::serve(stream, task)),
        "yawc" => accept(move |stream| yawc::serve(stream, task)),
        _ => Err(io::Error::other(format!("no server {name:?}"))),
    }
}

/// For the program that started this one.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "http://{address}/")?;
    out.flush()
}

/// A tokio runtime of one thread, and a task for each connection.
fn accept<F>(serve: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(tokio::task::unconstrained(serve(stream)));
        }
    })
}
