//! Opens TCP connections, one after the other, at the pace that was asked for. What is said over them is the
//! workers' affair. `connect` blocks, so this has threads of its own.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::args::Mode;
use super::error::BenchError;
use super::plan::Until;
use super::shared::{Post, Shared};
use crate::net::Mail;

/// The addresses of a host, as the system orders them.
pub(super) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, BenchError> {
    let failed = |source| BenchError::Resolve { host: host.to_owned(), source };
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    if found.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
    }
    Ok(found)
}

/// What the dialling threads share.
#[derive(Debug)]
pub(super) struct Dialler {
    /// The next connection's number.
    next: AtomicU64,
    /// The address that answered.
    address: OnceLock<SocketAddr>,
    permits: Permits,
}

impl Dialler {
    /// Lets one connection through, so that the first may fail alone.
    pub(super) fn new() -> Self {
        Self { next: AtomicU64::new(0), address: OnceLock::new(), permits: Permits::new(1) }
    }

    /// How many threads dial: `connect` to this machine hardly blocks, to others it takes a round trip.
    pub(super) fn threads(addresses: &[SocketAddr]) -> usize {
        if addresses.iter().all(|it| it.ip().is_loopback()) { 1 } else { REMOTE_THREADS }
    }

    /// The address in use, once there is one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    /// Allows so many more at once.
    pub(super) fn allow(&self, more: u32) {
        self.permits.put(more);
    }

    /// A connection is open, or failed, or in a handshake run is closed: another may come.
    pub(super) fn done(&self) {
        self.permits.put(1);
    }

    /// No more connections.
    pub(super) fn stop(&self) {
        self.permits.close();
    }

    /// Dials until there are enough or somebody says stop.
    pub(super) fn run(&self, shared: &Shared, mails: &[Mail<Post>]) {
        let plan = &shared.plan;
        let total = match (plan.mode, plan.until) {
            // The first is a trial.
            (Mode::Handshake, Until::Count(count)) => count.saturating_add(1),
            (Mode::Handshake, Until::Time(_)) => u64::MAX,
            _ => plan.connections.into(),
        };
        loop {
            let ticket = self.next.fetch_add(1, Ordering::Relaxed);
            if ticket >= total || !self.permits.take() {
                return;
            }
            if let Some(ramp) = plan.ramp {
                let due =
                    Duration::from_nanos(ticket.saturating_mul(1_000_000_000) / u64::from(ramp));
                std::thread::sleep(due.saturating_sub(shared.clock.elapsed()));
            }
            let conn = u32::try_from(ticket % u64::from(u32::MAX)).unwrap_or(0);
            let began = shared.clock.now();
            match self.dial(shared, ticket) {
                Ok(stream) => {
                    let mail = mails.get(conn as usize % mails.len().max(1));
                    let post = Post::Dialled { stream, conn, began };
                    if mail.is_none_or(|mail| mail.post(post).is_err()) {
                        // The thread has ended, so the run has.
                        return;
                    }
                }
                Err((address, source)) => {
                    if ticket == 0 {
                        shared.fail(BenchError::Connect { address, source });
                        return;
                    }
                    shared.dial_failed(&source);
                    self.done();
                }
            }
        }
    }

    fn dial(&self, shared: &Shared, ticket: u64) -> Result<TcpStream, (SocketAddr, io::Error)> {
        let plan = &shared.plan;
        let source = usize::try_from(ticket)
            .ok()
            .and_then(|at| at.checked_rem(plan.sources.len()))
            .and_then(|at| plan.sources.get(at));
        let addresses = match self.address.get() {
            Some(address) => std::slice::from_ref(address),
            None => &plan.addresses,
        };
        let mut last = None;
        for &address in addresses {
            match connect(address, source.copied(), plan.timeout) {
                Ok(stream) => {
                    let _ = self.address.set(address);
                    return Ok(stream);
                }
                Err(error) => last = Some((address, error)),
            }
        }
        Err(last.expect("resolve leaves no list of addresses empty"))
    }
}

fn connect(to: SocketAddr, from: Option<IpAddr>, timeout: Duration) -> io::Result<TcpStream> {
    let Some(from) = from else {
        return TcpStream::connect_timeout(&to, timeout.max(Duration::from_millis(1)));
    };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&to.into(), timeout)?;
    Ok(socket.into())
}

/// How many may be under way.
#[derive(Debug)]
struct Permits {
    /// `None` once nobody may any more.
    free: Mutex<Option<u32>>,
    changed: Condvar,
}

impl Permits {
    fn new(free: u32) -> Self {
        Self { free: Mutex::new(Some(free)), changed: Condvar::new() }
    }

    /// Waits for one; false when there will be none.
    fn take(&self) -> bool {
        let mut free = self.lock();
        loop {
            match &mut *free {
                None => return false,
                Some(0) => free = self.changed.wait(free).unwrap_or_else(PoisonError::into_inner),
                Some(some) => {
                    *some -= 1;
                    return true;
                }
            }
        }
    }

    fn put(&self, more: u32) {
        if let Some(free) = &mut *self.lock() {
            *free = free.saturating_add(more);
        }
        if more == 1 { self.changed.notify_one() } else { self.changed.notify_all() }
    }

    fn close(&self) {
        *self.lock() = None;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 16: at 50 ms to the server still 320 connections a second.
const REMOTE_THREADS: usize = 16;
