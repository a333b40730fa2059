//! How a server listens and what it bounds. Plain data, by the names that users of ws know where there is one.

use std::time::Duration;

use crate::net;
#[cfg(feature = "net-tls")]
use crate::net::TlsConfig;
#[cfg(feature = "deflate")]
use crate::proto::deflate::Deflate;
use crate::proto::handshake::HeadLimits;

/// The options of a [`Server`](super::Server). Take the defaults and change what differs:
///
/// ```
/// use sockeye::serve::Options;
/// let options = Options { port: 9001, path: Some("/chat".into()), ..Options::default() };
/// assert_eq!(options.max_payload, 16 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The name or address to listen on, every address that the name has. `None` is everything that the
    /// machine has, which is ws's default; here it is `localhost`, so that nobody is open to the world
    /// without having said so.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// let open_to_the_world = Options { host: None, ..Options::default() };
    /// let one_address = Options { host: Some("192.0.2.1".into()), ..Options::default() };
    /// ```
    pub host: Option<String>,
    /// The port. Default 8080; 0 lets the system choose, and [`Server::addresses`](super::Server::addresses) tells.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// let options = Options { port: 0, ..Options::default() };
    /// ```
    pub port: u16,
    /// Connections the system holds until they are accepted. Default 1024; Linux caps it by
    /// `net.core.somaxconn`.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// let options = Options { backlog: 64, ..Options::default() };
    /// ```
    pub backlog: u32,
    /// The only path that is served; others are refused with 400. Default: any.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// let options = Options { path: Some("/ws".into()), ..Options::default() };
    /// ```
    pub path: Option<String>,
    /// Listens nowhere: connections come by [`Handle::adopt`](super::Handle::adopt) alone. Default `false`.
    ///
    /// ```
    /// # use sockeye::serve::{Handler, Message, Options, Server, Socket};
    /// # struct Quiet;
    /// # impl Handler for Quiet { fn on_message(&mut self, _: &mut Socket<'_>, _: Message<'_>) {} }
    /// let server = Server::bind(Options { no_server: true, ..Options::default() }, Quiet)?;
    /// assert!(server.addresses().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub no_server: bool,
    /// Whether the server knows its clients as a whole. Default `true`. Without it
    /// [`Clients::ids`](super::Clients::ids) is empty and a broadcast reaches nobody; ids still work.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// let options = Options { client_tracking: false, ..Options::default() };
    /// ```
    pub client_tracking: bool,
    /// How permessage-deflate is agreed on and used. Default `None`: not at all, as in ws.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// use sockeye::proto::deflate::Deflate;
    /// let options = Options { per_message_deflate: Some(Deflate::default()), ..Options::default() };
    /// ```
    #[cfg(feature = "deflate")]
    pub per_message_deflate: Option<Deflate>,
    /// Bytes of the largest message, fragments summed and inflated; more is refused with 1009. Default 16 MiB
    /// ([why](crate::proto::Limits::message_bytes_max)).
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// let options = Options { max_payload: 64 << 10, ..Options::default() };
    /// ```
    pub max_payload: u64,
    /// Speaks TLS (`wss`) on what it accepts. Default `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sockeye::serve::Options;
    /// fn secured(tls: sockeye::net::TlsConfig) -> Options {
    ///     Options { tls: Some(Arc::new(tls)), port: 8443, ..Options::default() }
    /// }
    /// ```
    #[cfg(feature = "net-tls")]
    pub tls: Option<std::sync::Arc<TlsConfig>>,
    /// Calls [`Handler::on_tick`](super::Handler::on_tick) each time that so long has passed. Default: never.
    ///
    /// ```
    /// # use sockeye::serve::Options;
    /// use std::time::Duration;
    /// let options = Options { tick: Some(Duration::from_secs(1)), ..Options::default() };
    /// ```
    pub tick: Option<Duration>,
    /// Time from connecting to the complete request, TLS included. Default 5 s: the slowest phone takes less,
    /// and who only holds a place takes it no longer.
    pub handshake_timeout: Duration,
    /// A client is pinged after so much silence. Default 25 s: routers forget a connection after 30 or more.
    pub ping_interval: Duration,
    /// And given up after so much more. Default 30 s: a phone that changes cells is back by then.
    pub idle_timeout: Duration,
    /// Time for a client to answer a close. Default 5 s.
    pub close_timeout: Duration,
    /// Bounds of a request's head.
    pub head: HeadLimits,
    /// Bounds of the event loop: connections, what may wait for a peer (`marks`) and how long, mail of other
    /// threads.
    ///
    /// ```
    /// # use sockeye::{net, serve::Options};
    /// let net = net::Limits { connections_max: 10_000, ..net::Limits::default() };
    /// let options = Options { net, ..Options::default() };
    /// ```
    pub net: net::Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: Some("localhost".to_owned()),
            port: 8080,
            backlog: 1024,
            path: None,
            no_server: false,
            client_tracking: true,
            #[cfg(feature = "deflate")]
            per_message_deflate: None,
            max_payload: crate::proto::Limits::DEFAULT.message_bytes_max,
            #[cfg(feature = "net-tls")]
            tls: None,
            tick: None,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            idle_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            head: HeadLimits::default(),
            net: net::Limits::default(),
        }
    }
}
