//! Sockets, timers and mailboxes in one loop per thread. This is the only place that names mio. It moves
//! bytes and tells the time; what the bytes mean is its [`Driver`]'s affair.
//!
//! ```
//! use sockeye::net::{Address, Close, Closed, Ctx, Driver, Limits, Listener, ListenOptions, Peer, Reactor, Token};
//! use std::io::{Read, Write};
//!
//! /// Says everything back, and ends after the first connection.
//! struct Echo;
//!
//! impl Driver for Echo {
//!     type Mail = ();
//!     fn accepted(&mut self, _: &mut Ctx<'_>, _: Token, _listener: usize, _: Peer) {}
//!     fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
//!         ctx.send_owned(token, &mut bytes.to_vec());
//!     }
//!     fn closed(&mut self, ctx: &mut Ctx<'_>, _: Token, why: Closed) {
//!         assert_eq!(why, Closed::Asked);
//!         ctx.stop();
//!     }
//! }
//!
//! let here = Address::Tcp("127.0.0.1:0".parse().unwrap());
//! let listener = Listener::bind(&here, &ListenOptions::default())?;
//! let Address::Tcp(address) = listener.address()? else { unreachable!() };
//! let client = std::thread::spawn(move || {
//!     let mut stream = std::net::TcpStream::connect(address)?;
//!     stream.write_all(b"hello")?;
//!     stream.shutdown(std::net::Shutdown::Write)?;
//!     let mut heard = String::new();
//!     stream.read_to_string(&mut heard)?;
//!     std::io::Result::Ok(heard)
//! });
//! Reactor::new(Echo, vec![listener], Limits::default())?.run()?;
//! assert_eq!(client.join().unwrap()?, "hello");
//! # std::io::Result::Ok(())
//! ```

mod connection;
mod core;
mod counters;
mod ctx;
mod driver;
mod gathering;
mod limits;
mod listener;
mod mailbox;
mod outbox;
mod reactor;
mod slots;
mod stream;
mod timer;
#[cfg_attr(not(feature = "net-tls"), path = "no_tls.rs")]
mod tls;

pub use self::counters::{Count, Counters, Tally};
pub use self::ctx::Ctx;
pub use self::driver::{Close, Closed, Driver, Sent, Timer};
pub use self::limits::Limits;
pub use self::listener::{Address, ListenOptions, Listener};
pub use self::mailbox::{Mail, Undelivered};
pub use self::outbox::{Marks, Outbox, Spare};
pub use self::reactor::Reactor;
pub use self::slots::{Slots, Token};
pub use self::stream::{Peer, Stream};
pub use self::timer::{Handle, Wheel};
#[cfg(feature = "net-tls")]
pub use self::tls::{TlsClientConfig, TlsConfig};
