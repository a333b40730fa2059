//! A server before and while it runs: where it listens, and the thread it runs on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;

use super::handle::{Handle, Shared};
use super::handler::Handler;
use super::house::House;
use super::options::Options;
use crate::net::{Address, ListenOptions, Listener, Reactor};

/// A WebSocket server. It listens from the moment it is made and serves while it [runs](Self::run).
pub struct Server<H: Handler> {
    reactor: Reactor<House<H>>,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

impl<H: Handler> Server<H> {
    /// Listens as the options say.
    ///
    /// # Errors
    /// The system's, naming the address: the name is not known, the port is taken or not allowed.
    pub fn bind(options: Options, handler: H) -> io::Result<Self> {
        let listeners = if options.no_server { Vec::new() } else { listen(&options)? };
        Self::around(listeners, options, handler)
    }

    /// Serves who comes to a listener of one's own: ws's `server`. `host`, `port` and `backlog` are its affair.
    ///
    /// ```no_run
    /// # use sockeye::serve::{Handler, Message, Options, Server, Socket};
    /// # struct Quiet;
    /// # impl Handler for Quiet { fn on_message(&mut self, _: &mut Socket<'_>, _: Message<'_>) {} }
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// Server::on(listener, Options::default(), Quiet)?.run()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// The system's.
    pub fn on(listener: TcpListener, options: Options, handler: H) -> io::Result<Self> {
        Self::around(vec![listener.try_into()?], options, handler)
    }

    /// Where it listens, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// For other threads.
    pub fn handle(&self) -> Handle {
        Handle { mail: self.reactor.mail(), shared: Arc::clone(&self.shared) }
    }

    /// Serves on this thread until [`Handle::stop`].
    ///
    /// # Errors
    /// The system's, when waiting for events fails.
    pub fn run(mut self) -> io::Result<()> {
        let (house, mut ctx) = self.reactor.parts();
        house.begin(&mut ctx);
        self.reactor.run()
    }

    fn around(listeners: Vec<Listener>, options: Options, handler: H) -> io::Result<Self> {
        let mut addresses = Vec::new();
        for listener in &listeners {
            if let Address::Tcp(address) = listener.address()? {
                addresses.push(address);
            }
        }
        let limits = options.net;
        let shared = Arc::new(Shared::new(options));
        let house = House::new(handler, Arc::clone(&shared));
        let reactor = Reactor::new(house, listeners, limits)?;
        Ok(Self { reactor, addresses, shared })
    }
}

impl<H: Handler> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// A listener for each address of the host, all with the same port.
fn listen(options: &Options) -> io::Result<Vec<Listener>> {
    let addresses = resolve(options)?;
    let how = ListenOptions { backlog: options.backlog, ..ListenOptions::default() };
    let mut listeners: Vec<Listener> = Vec::new();
    let mut port = options.port;
    for (index, ip) in addresses.iter().enumerate() {
        let address = Address::Tcp(SocketAddr::new(*ip, port));
        match Listener::bind(&address, &how) {
            Ok(listener) => {
                if let Address::Tcp(address) = listener.address()? {
                    port = address.port();
                }
                listeners.push(listener);
            }
            // The name has an address that this machine has not, such as ::1 where IPv6 is off.
            Err(error) if missing(&error) && index + 1 < addresses.len() => {}
            Err(error) if missing(&error) && !listeners.is_empty() => {}
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{address}: {error}")));
            }
        }
    }
    Ok(listeners)
}

fn resolve(options: &Options) -> io::Result<Vec<IpAddr>> {
    let Some(host) = options.host.as_deref() else {
        return Ok(vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]);
    };
    if host.eq_ignore_ascii_case("localhost") {
        // RFC 6761 §6.3: always these, whatever a table of names leaves out; browsers try ::1 first.
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{host}: {error}"));
    let mut addresses: Vec<IpAddr> =
        (host, options.port).to_socket_addrs().map_err(named)?.map(|it| it.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT, where IPv6 is not even compiled in, is `Uncategorized` and cannot be named.
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Linux's number; elsewhere it names another error that no bind gives.
const EAFNOSUPPORT: i32 = 97;
