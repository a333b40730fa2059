//! The other side: scripted peers, and a small real server.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sockeye::client::{Client, ClientError, Connect};
use sockeye::proto::handshake::{Answer, HeadLimits, RequestReader, accept_key};
use sockeye::proto::{Config, Connection, Event, Header, Input, Transport, apply_mask};

/// How long a side waits before it takes the test for hung.
const PATIENCE: Duration = Duration::from_secs(3);

/// A peer on a port of its own, which does to one connection what its script says.
pub struct Scripted<T> {
    pub address: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T> Scripted<T> {
    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// What the script returned; panics if it panicked.
    pub fn join(self) -> T {
        match self.thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Runs `script` on the first connection.
pub fn scripted<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> Scripted<T> {
    scripted_at("127.0.0.1:0", script).unwrap()
}

pub fn scripted_at<T: Send + 'static>(
    address: &str,
    script: impl FnOnce(Peer) -> T + Send + 'static,
) -> std::io::Result<Scripted<T>> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let thread = thread::spawn(move || script(Peer::new(listener.accept().unwrap().0)));
    Ok(Scripted { address, thread })
}

/// A peer that accepts the upgrade before its script goes on.
pub fn upgraded<T: Send + 'static>(
    script: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> Scripted<T> {
    scripted(|mut peer| {
        peer.upgrade("");
        script(&mut peer)
    })
}

/// The socket of a script.
pub struct Peer {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Reads the request's head.
    pub fn request(&mut self) -> String {
        loop {
            if let Some(at) = self.unread.windows(4).position(|it| it == b"\r\n\r\n") {
                let rest = self.unread.split_off(at + 4);
                let head = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8(head).unwrap();
            }
            assert!(self.more(), "the client hung up before its request was whole");
        }
    }

    /// Reads the request and accepts it; `extra` are lines of more headers.
    pub fn upgrade(&mut self, extra: &str) -> String {
        let request = self.request();
        self.send(switching(&request, extra));
        request
    }

    /// The next frame, unmasked.
    pub fn frame(&mut self) -> (Header, Vec<u8>) {
        loop {
            if let Some((header, used)) = Header::parse(&self.unread).unwrap() {
                let end = used + usize::try_from(header.len).unwrap();
                if self.unread.len() >= end {
                    let mut payload: Vec<u8> = self.unread.drain(..end).skip(used).collect();
                    apply_mask(header.mask.expect("a client masks"), &mut payload);
                    return (header, payload);
                }
            }
            assert!(self.more(), "the client hung up in the middle of a frame");
        }
    }

    /// Whether the client has ended its side; panics on anything else it says.
    pub fn is_at_end(&mut self) -> bool {
        assert_eq!(self.unread, b"");
        !self.more()
    }

    /// Whether the client says nothing for this long, not even that it hangs up.
    pub fn hears_nothing_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let silent = match self.stream.read(&mut [0]) {
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            Ok(_) => false,
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }

    fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let n = self.stream.read(&mut piece).expect("the client says something in time");
        self.unread.extend_from_slice(&piece[..n]);
        n > 0
    }
}

/// The 101 that answers `request`.
pub fn switching(request: &str, extra: &str) -> String {
    let key = header(request, "Sec-WebSocket-Key").expect("a request has a key");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{extra}\r\n",
        accept_key(key).as_str()
    )
}

/// Accepts an upgrade over a stream that is no socket of a [`Peer`].
pub fn upgrade_over(stream: &mut (impl Read + Write)) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    let request = String::from_utf8(request).unwrap();
    stream.write_all(switching(&request, "").as_bytes()).unwrap();
}

/// The value of the one header of that name; panics if there are more.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut values = head.lines().filter_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = values.next();
    assert_eq!(values.next(), None, "more than one {name}");
    value
}

/// Bytes after the opening handshake, as they travelled.
#[derive(Clone, Copy, Default, Debug)]
pub struct Traffic {
    pub read: usize,
    pub written: usize,
}

/// Echoes on one connection until it ends, over whatever carries it. Chooses the last subprotocol
/// offered.
pub fn echo(mut stream: impl Read + Write, config: &Config) -> std::io::Result<Traffic> {
    let mut reader = RequestReader::new(HeadLimits::default());
    let (mut head, mut out) = (Vec::new(), Vec::new());
    let mut scratch = vec![0; 64 * 1024];
    let mut connection = Connection::server(config.clone());
    let mut n = loop {
        let n = stream.read(&mut scratch)?;
        assert!(n > 0, "the client hung up before its request was whole");
        head.extend_from_slice(&scratch[..n]);
        let Some(request) = reader.read(&head).unwrap() else { continue };
        let upgrade = request.upgrade().unwrap();
        let extensions = extension(&upgrade, config, &mut connection);
        let answer = Answer {
            subprotocol: upgrade.subprotocols().last().copied(),
            extensions: extensions.as_deref(),
            ..Answer::default()
        };
        upgrade.accept(&answer, &mut out).unwrap();
        let after = &head[request.head_len()..];
        scratch[..after.len()].copy_from_slice(after);
        break after.len();
    };
    stream.write_all(&out)?;
    out.clear();
    let mut traffic = Traffic::default();
    loop {
        let (rx, tx) = connection.split_mut();
        let mut input = Input::new(&mut scratch[..n]);
        while let Ok(Some(event)) = rx.next(&mut input, tx, &mut out) {
            // A message may still come after our close frame.
            let _ = match event {
                Event::Text(text) => tx.text(text, &mut out),
                Event::Binary(bytes) => tx.binary(bytes, &mut out),
                _ => Ok(()),
            };
        }
        stream.write_all(&out)?;
        stream.flush()?;
        traffic.written += out.len();
        out.clear();
        if connection.transport() == Transport::FlushThenClose {
            return Ok(traffic);
        }
        n = stream.read(&mut scratch)?;
        traffic.read += n;
        if n == 0 {
            connection.receive_eof();
        }
    }
}

#[cfg(feature = "deflate")]
fn extension(
    upgrade: &sockeye::proto::handshake::Upgrade<'_>,
    config: &Config,
    connection: &mut Connection,
) -> Option<String> {
    let policy = config.deflate.as_ref()?;
    let offers = upgrade
        .extensions()
        .iter()
        .filter(|it| it.name == sockeye::proto::deflate::EXTENSION)
        .map(|it| it.params.iter().map(|param| (param.name, param.value.as_deref())));
    let (params, header) = policy.respond(offers)?;
    connection.enable_deflate(&params, policy);
    Some(header)
}

#[cfg(not(feature = "deflate"))]
fn extension(
    _: &sockeye::proto::handshake::Upgrade<'_>,
    _: &Config,
    _: &mut Connection,
) -> Option<String> {
    None
}

/// A real server for one connection.
pub fn echo_server(config: Config) -> Scripted<Traffic> {
    scripted(move |peer| echo(peer.stream, &config).unwrap())
}

/// Options that give up quickly, so that a hang is a failure and not a wait.
pub fn connect() -> Connect {
    Connect::new().connect_timeout(PATIENCE).close_timeout(PATIENCE)
}

/// A client of that server, which does not wait for ever.
pub fn open<T>(server: &Scripted<T>) -> Client {
    open_with(server, &connect())
}

pub fn open_with<T>(server: &Scripted<T>, options: &Connect) -> Client {
    let mut client = options.open(&server.url()).unwrap();
    client.set_read_timeout(Some(PATIENCE));
    client
}

/// Why that server was not opened.
pub fn fails<T>(server: &Scripted<T>, options: &Connect) -> ClientError {
    options.open(&server.url()).map(drop).unwrap_err()
}
