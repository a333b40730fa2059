//! A loop on mio and its connections, for servers without a runtime. Edge-triggered, and each connection is registered
//! once for both directions: the fewest system calls that epoll allows.

use super::announce;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io;

/// Connections, by number.
pub struct Pool<C> {
    all: Vec<Option<C>>,
    free: Vec<usize>,
}

impl<C> Pool<C> {
    pub fn get(&mut self, at: usize) -> Option<&mut C> {
        self.all.get_mut(at)?.as_mut()
    }

    /// All but one.
    pub fn others(&mut self, but: usize) -> impl Iterator<Item = &mut C> {
        let all = self.all.iter_mut().enumerate();
        all.filter(move |(at, _)| *at != but).filter_map(|(_, it)| it.as_mut())
    }
}

/// Turns until the process is ended. `ready` is told who can be read or written, and returns whether to keep them.
pub fn serve<C>(
    begin: impl Fn(TcpStream) -> C,
    mut ready: impl FnMut(&mut Pool<C>, usize, &Event) -> bool,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?)?;
    let mut pool = Pool { all: vec![], free: vec![] };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() != LISTENER {
                let at = event.token().0;
                if pool.get(at).is_some() && !ready(&mut pool, at, event) {
                    pool.all[at] = None;
                    pool.free.push(at);
                }
                continue;
            }
            while let Some((mut stream, _)) = unblocked(listener.accept())? {
                stream.set_nodelay(true)?;
                let at = pool.free.pop().unwrap_or_else(|| {
                    pool.all.push(None);
                    pool.all.len() - 1
                });
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(at), both)?;
                pool.all[at] = Some(begin(stream));
            }
        }
    }
}

/// `None` if it would block.
pub fn unblocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

const LISTENER: Token = Token(usize::MAX - 1);
