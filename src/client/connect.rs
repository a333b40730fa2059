//! The options for a connection, and the way to one: address, proxy, TLS, opening handshake, within
//! one deadline.

use std::fmt;
use std::io::{Read, Write};
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dial::{authority, dial};
use super::proxy::Proxy;
use super::stream::Ending;
use super::timed::Timed;
use super::url::{Target, without_userinfo};
use super::{Client, ClientError, Stream, opening};
use crate::proto::Config;
use crate::proto::handshake::HeadLimits;

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
#[derive(Clone)]
pub struct Connect {
    pub(crate) config: Config,
    pub(crate) head_limits: HeadLimits,
    pub(crate) origin: Option<String>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) connect_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) proxy: Option<String>,
    #[cfg(feature = "tls")]
    pub(crate) tls: super::tls::Trust,
}

impl fmt::Debug for Connect {
    /// Without what could be a secret: the values of headers, and who logs in at the proxy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Connect")
            .field("config", &self.config)
            .field("origin", &self.origin)
            .field("subprotocols", &self.subprotocols)
            .field("headers", &headers)
            .field("connect_timeout", &self.connect_timeout)
            .field("close_timeout", &self.close_timeout)
            .field("proxy", &self.proxy.as_deref().map(without_userinfo))
            .finish_non_exhaustive()
    }
}

impl Default for Connect {
    fn default() -> Self {
        Self::new()
    }
}

impl Connect {
    /// The defaults: nothing offered and nothing added, no proxy, 10 s to open and 5 s to close.
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

    /// How much of a response head is read before the server is given up.
    #[must_use]
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// How long everything from looking up the host to the open WebSocket may take, the body of a
    /// refusal included. Default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the end of a connection may take: [`Client::close`], or what is left to do once the
    /// server closed or broke the protocol. Default 5 s.
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
        let deadline = Instant::now().checked_add(self.connect_timeout);
        let target = Target::parse(url)?;
        // What cannot work is said before anybody is troubled with a connection.
        let proxy = self.proxy.as_deref().map(Proxy::parse).transpose()?;
        let secure = self.security(&target)?;
        let tcp = match &proxy {
            None => dial(&target.host, target.port, deadline)?,
            Some(proxy) => dial(&proxy.host, proxy.port, deadline)?,
        };
        // Messages are written whole: to hold them back for more would only make them late.
        tcp.set_nodelay(true)?;
        let mut tcp = Timed::new(tcp);
        tcp.deadline = deadline;
        if let Some(proxy) = &proxy {
            proxy.tunnel(&authority(&target.host, target.port), &mut tcp)?;
        }
        let mut client = opening::open(self, &target, secure(tcp), Ending::TCP, deadline)?;
        client.stream.set_deadline(None);
        Ok(client)
    }

    /// Opens a WebSocket over a stream that is connected already: a Unix socket, a pipe, a tunnel.
    /// The URL gives host and path only, and TLS is not added. Time-outs are the stream's own: those
    /// of these options are looked at between two reads, so they end no single read that waits.
    ///
    /// ```no_run
    /// # #[cfg(unix)] {
    /// use std::os::unix::net::UnixStream;
    /// use sockeye::client::Connect;
    ///
    /// let stream = UnixStream::connect("/run/chat.sock")?;
    /// let client = Connect::new().over(stream, "ws://localhost/chat")?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub fn over<S: Read + Write>(&self, stream: S, url: &str) -> Result<Client<S>, ClientError> {
        let deadline = Instant::now().checked_add(self.connect_timeout);
        opening::open(self, &Target::parse(url)?, stream, Ending::BY_DROP, deadline)
    }

    /// What makes a connected socket as secure as the URL wants it.
    #[cfg(feature = "tls")]
    fn security(
        &self,
        target: &Target,
    ) -> Result<impl FnOnce(Timed) -> Stream + use<>, ClientError> {
        let session = target.tls.then(|| self.tls.begin(&target.host)).transpose()?;
        Ok(|tcp| match session {
            None => Stream::plain(tcp),
            Some(session) => Stream::tls(tcp, session),
        })
    }

    #[cfg(not(feature = "tls"))]
    fn security(
        &self,
        target: &Target,
    ) -> Result<impl FnOnce(Timed) -> Stream + use<>, ClientError> {
        match target.tls {
            false => Ok(Stream::plain),
            true => Err(ClientError::Tls("this build has no TLS, enable the feature `tls`".into())),
        }
    }
}
