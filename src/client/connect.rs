//! The way to an open connection: address, proxy, TLS, opening handshake, within one deadline.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::proxy::{Proxy, basic};
use super::url::Target;
use super::{Client, ClientError, READ_BYTES, Refusal, Stream};
use crate::proto::handshake::{
    ClientRequest, HeadLimits, Refused, Response, ResponseError, ResponseReader,
};
use crate::proto::{Config, Connection};

/// What of a refusal's body is kept: an error page for a person.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Options for opening a connection. A description: opens as many connections as asked.
///
/// ```no_run
/// use std::time::Duration;
/// use sockeye::client::Connect;
///
/// let client = Connect::new()
///     .subprotocol("chat.sockeye.v1")
///     .header("Authorization", "Bearer secret")
///     .connect_timeout(Duration::from_secs(3))
///     .max_payload(1 << 20)
///     .open("ws://127.0.0.1:8080/chat?room=lobby")?;
/// # Ok::<(), sockeye::client::ClientError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Connect {
    config: Config,
    head_limits: HeadLimits,
    origin: Option<String>,
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    close_timeout: Duration,
    proxy: Option<String>,
    #[cfg(feature = "tls")]
    tls: super::tls::Trust,
}

impl Default for Connect {
    fn default() -> Self {
        Self::new()
    }
}

impl Connect {
    /// The defaults: no subprotocol, no extra header, no proxy, no compression, 10 s to open and 5 s to close.
    pub fn new() -> Self {
        Self {
            config: Config::default(),
            head_limits: HeadLimits::default(),
            origin: None,
            subprotocols: Vec::new(),
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            proxy: None,
            #[cfg(feature = "tls")]
            tls: super::tls::Trust::Platform,
        }
    }

    /// What the server may send, and how messages are compressed.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The largest message in bytes, see [`Config::max_payload`].
    #[must_use]
    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.config = self.config.max_payload(bytes);
        self
    }

    /// Offers permessage-deflate (RFC 7692) under this policy.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn per_message_deflate(mut self, policy: crate::proto::deflate::Deflate) -> Self {
        self.config = self.config.per_message_deflate(policy);
        self
    }

    /// Offers one more subprotocol, the most wanted first.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Says where the request comes from, as browsers do.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Adds a header to the request. User and password of the URL become `Authorization` by themselves.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long everything from the first packet to the open WebSocket may take. Default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long [`Client::close`] waits for the server. Default 5 s.
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Goes through an HTTP proxy, `http://[user:password@]host[:port]`, with `CONNECT`.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Trusts the certificates in this PEM file for `wss://`, instead of the platform's.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.tls = super::tls::Trust::File(path.into());
        self
    }

    /// Uses this TLS configuration for `wss://` as it is.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = super::tls::Trust::Config(config);
        self
    }

    /// Opens a `ws://` or `wss://` URL.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; [`ClientError::TimedOut`] when [`connect_timeout`](Self::connect_timeout) has passed.
    pub fn open(&self, url: &str) -> Result<Client<Stream>, ClientError> {
        let deadline = Instant::now() + self.connect_timeout;
        let target = Target::parse(url)?;
        let tcp = match &self.proxy {
            None => dial(&target.host, target.port, deadline)?,
            Some(proxy) => {
                let proxy = Proxy::parse(proxy)?;
                let mut stream = Stream::plain(dial(&proxy.host, proxy.port, deadline)?);
                stream.set_deadline(Some(deadline));
                let host = match target.host.contains(':') {
                    true => format!("[{}]:{}", target.host, target.port),
                    false => format!("{}:{}", target.host, target.port),
                };
                proxy.tunnel(&host, &mut stream)?;
                stream.into_tcp().expect("a plain stream is TCP")
            }
        };
        // Messages are written whole: to hold them back for more would only make them late.
        tcp.set_nodelay(true)?;
        let mut stream = self.encrypt(&target, tcp)?;
        stream.set_deadline(Some(deadline));
        let mut client = self.handshake(&target, stream)?;
        client.stream.set_deadline(None);
        client.stream.set_write_timeout(None)?;
        Ok(client)
    }

    /// Opens a WebSocket over a stream that is connected already: a Unix socket, a pipe, a tunnel.
    /// The URL gives host and path only, time-outs are the stream's own, and TLS is not added.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub fn over<S: Read + Write>(&self, stream: S, url: &str) -> Result<Client<S>, ClientError> {
        self.handshake(&Target::parse(url)?, stream)
    }

    #[cfg(feature = "tls")]
    fn encrypt(&self, target: &Target, tcp: TcpStream) -> Result<Stream, ClientError> {
        match target.tls {
            false => Ok(Stream::plain(tcp)),
            true => Ok(Stream::tls(tcp, self.tls.begin(&target.host)?)),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn encrypt(&self, target: &Target, tcp: TcpStream) -> Result<Stream, ClientError> {
        match target.tls {
            false => Ok(Stream::plain(tcp)),
            true => Err(ClientError::Tls("this build has no TLS, enable the feature `tls`".into())),
        }
    }

    fn handshake<S: Read + Write>(
        &self,
        target: &Target,
        mut stream: S,
    ) -> Result<Client<S>, ClientError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| ClientError::Io(error.into()))?;
        let subprotocols: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        let offer = self.extension_offer();
        let authorization = target.userinfo.as_deref().map(basic);
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        if let Some(value) = &authorization
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            headers.push(("Authorization", value));
        }
        let request = ClientRequest {
            origin: self.origin.as_deref(),
            subprotocols: &subprotocols,
            extensions: offer.as_deref(),
            headers: &headers,
            ..ClientRequest::new(&target.authority, &target.resource, nonce)
        };
        let mut out = Vec::new();
        request.write(&mut out)?;
        stream.write_all(&out)?;
        stream.flush()?;
        out.clear();

        let mut reader = ResponseReader::new(&request, self.head_limits);
        let mut head = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let n = stream.read(&mut piece)?;
            if n == 0 {
                let what = "the server closed the connection before it answered";
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, what).into());
            }
            head.extend_from_slice(&piece[..n]);
            match reader.read(&head) {
                Ok(None) => {}
                Ok(Some(response)) => {
                    let connection = self.connection(&response)?;
                    let after = &head[response.head_len()..];
                    let mut scratch = vec![0; READ_BYTES.max(after.len())];
                    scratch[..after.len()].copy_from_slice(after);
                    return Ok(Client {
                        stream,
                        connection,
                        out,
                        written: 0,
                        unread: 0..after.len(),
                        scratch,
                        subprotocol: response.subprotocol().map(str::to_owned),
                        headers: response
                            .headers()
                            .map(|(name, value)| (name.to_owned(), value.to_owned()))
                            .collect(),
                        close_timeout: self.close_timeout,
                        ended: None,
                    });
                }
                Err(ResponseError::Refused(refused)) => {
                    let begun = head.split_off(refused.head_len);
                    return Err(ClientError::Refused(Box::new(refusal(refused, begun, stream))));
                }
                Err(error) => return Err(ClientError::Handshake(error)),
            }
        }
    }

    #[cfg(not(feature = "deflate"))]
    fn extension_offer(&self) -> Option<String> {
        None
    }

    #[cfg(feature = "deflate")]
    fn extension_offer(&self) -> Option<String> {
        self.config.deflate.as_ref().map(crate::proto::deflate::Deflate::offer)
    }

    fn connection(&self, _response: &Response<'_>) -> Result<Connection, ClientError> {
        #[cfg_attr(not(feature = "deflate"), allow(unused_mut))]
        let mut connection = Connection::client(self.config.clone(), |bytes: &mut [u8]| {
            // §10.3: without strong randomness nothing may be sent at all.
            getrandom::fill(bytes).expect("the system's randomness does not run dry after start");
        });
        #[cfg(feature = "deflate")]
        if let (Some(policy), [answer, more @ ..]) = (&self.config.deflate, _response.extensions())
        {
            if let [twice, ..] = more {
                let name = twice.name.to_owned();
                return Err(ClientError::Handshake(ResponseError::UnofferedExtension(name)));
            }
            let params = answer.params.iter().map(|param| (param.name, param.value.as_deref()));
            connection.enable_deflate(&policy.agree(params)?, policy);
        }
        Ok(connection)
    }
}

/// Tries the addresses of a host in the order in which the system gives them.
fn dial(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, ClientError> {
    let address = || format!("{host}:{port}");
    let failed = |source| ClientError::Connect { address: address(), source };
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    for candidate in (host, port).to_socket_addrs().map_err(failed)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClientError::TimedOut);
        }
        match TcpStream::connect_timeout(&candidate, left) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    match last.kind() {
        std::io::ErrorKind::TimedOut => Err(ClientError::TimedOut),
        _ => Err(ClientError::Connect { address: address(), source: last }),
    }
}

/// Reads what can be had of a refusal's body. The refusal is the news: an error here only shortens it.
fn refusal(refused: Refused, begun: Vec<u8>, stream: impl Read) -> Refusal {
    let mut body = begun;
    let wanted = match refused.content_length() {
        Some(len) => usize::try_from(len).unwrap_or(usize::MAX).min(BODY_BYTES_MAX),
        None => BODY_BYTES_MAX,
    };
    let chunked = refused
        .header("transfer-encoding")
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked"));
    let mut stream = stream.take((wanted.saturating_sub(body.len())) as u64);
    let mut piece = [0; 4096];
    while body.len() < wanted && !(chunked && body.ends_with(b"0\r\n\r\n")) {
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => body.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    body.truncate(wanted);
    if chunked {
        body = dechunk(&body);
    }
    Refusal { status: refused.status, reason: refused.reason, headers: refused.headers, body }
}

/// The data of a chunked body (RFC 9112 §7.1), as far as it is there.
fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((at, len))) = httparse::parse_chunk_size(bytes) {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
        if len == 0 {
            break;
        }
        body.extend_from_slice(&rest[..len]);
        bytes = rest.get(len + 2..).unwrap_or_default();
    }
    body
}
