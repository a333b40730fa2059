//! Starts the loops, watches over them and the signals, and ends when they have.

use std::any::Any;
use std::io;
use std::net::TcpListener;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::ServeError;
use super::bridge::{Bridge, now_ms};
use super::common::Common;
use super::config::{Config, Listen, SHARDS_MAX};
use super::metrics::{Apart, Sources};
use super::notify;
use super::shard::{Post, Shard};
use super::tls::Reloadable;
use crate::broker::Cluster;
use crate::net::{Address, ListenOptions, Listener, Mail, Reactor};

/// Serves until SIGTERM or SIGINT, then says goodbye with 1001 to everybody and returns when all are
/// gone or [`Config::grace`] has passed. A second signal ends the process at once. SIGHUP reads the
/// certificate again.
///
/// `listening` is told each address once it can be connected to. A service manager that set `NOTIFY_SOCKET`
/// (systemd's `Type=notify`) is told so, too, and of reloads and the end.
///
/// # Errors
///
/// See [`ServeError`].
pub fn serve(config: Config, mut listening: impl FnMut(&Address)) -> Result<(), ServeError> {
    let tls = match &config.tls {
        Some(files) => Some(Reloadable::load(&files.cert, &files.key).map_err(ServeError::Tls)?),
        None => None,
    };
    let listeners = bind(&config.listen)?;
    let common = Arc::new(Common::new(config, tls));
    let reactors = reactors(&common, &listeners).map_err(ServeError::System)?;
    let mails: Vec<Mail<Post>> = reactors.iter().map(Reactor::mail).collect();
    let _apart = apart(&common)?;
    let (watcher, signals) = watch_signals(&common, &mails).map_err(ServeError::System)?;
    // Now that there is a server that can be ended.
    for listener in listeners {
        listening(&listener.address().map_err(ServeError::System)?);
    }
    notify::say(notify::READY);
    let outcome = run(reactors, &mails);
    signals.close();
    let _ = watcher.join();
    outcome
}

fn bind(wanted: &[Listen]) -> Result<Vec<Listener>, ServeError> {
    let mut listeners = Vec::new();
    for Listen { address, may_lack } in wanted {
        match Listener::bind(address, &ListenOptions::default()) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 is no reason not to serve, if nobody asked for it.
            Err(error) if *may_lack && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(source) => return Err(ServeError::Listen { address: address.clone(), source }),
        }
    }
    Ok(listeners)
}

/// Serves the numbers on an address of their own, if there is one.
fn apart(common: &Arc<Common>) -> Result<Option<Apart>, ServeError> {
    let Some(address) = common.config.metrics_listen else {
        return Ok(None);
    };
    let listener =
        TcpListener::bind(address).map_err(|source| ServeError::Metrics { address, source })?;
    let apart = Apart::start(listener, common).map_err(ServeError::System)?;
    tracing::info!("metrics on http://{}/metrics", apart.address());
    Ok(Some(apart))
}

/// One loop for each shard. All watch the same listening sockets: whichever has time takes who comes.
fn reactors(common: &Arc<Common>, listeners: &[Listener]) -> io::Result<Vec<Reactor<Shard>>> {
    let config = &common.config;
    // Channels made anew must not look like those of an earlier run to clients that come back.
    let cluster =
        Cluster::new(config.history.limits(config.codec.limits.message_bytes_max), now_ms());
    let shards = config.shards.clamp(1, SHARDS_MAX);
    let mut reactors = Vec::new();
    for number in 0..shards {
        let doors = listeners.iter().map(Listener::try_clone).collect::<io::Result<_>>()?;
        let limits = config.net_limits(number, shards);
        let number = u8::try_from(number).expect("there are at most 64");
        let bridge = Bridge::new(&cluster, shards == 1);
        let shard = Shard::new(number, Arc::clone(common), bridge, name()?);
        reactors.push(Reactor::new(shard, doors, limits)?);
    }
    let loops = reactors.iter().map(Reactor::counters).collect();
    common.metrics.attach(Sources { loops, cluster });
    Ok(reactors)
}

/// What nobody else is named, nor was.
fn name() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes) >> 16)
}

/// Runs each loop on a thread of its own until all have ended. If one fails the others say goodbye.
fn run(reactors: Vec<Reactor<Shard>>, mails: &[Mail<Post>]) -> Result<(), ServeError> {
    let (ended, ends) = mpsc::channel();
    for (number, mut reactor) in reactors.into_iter().enumerate() {
        reactor.parts().0.attach(mails.to_vec());
        let ended = ended.clone();
        let body = move || {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| reactor.run()));
            // Its sockets close before its end is told.
            drop(reactor);
            let _ = ended.send(outcome.unwrap_or_else(|panic| Err(said(&*panic))));
        };
        let name = format!("shard-{number}");
        thread::Builder::new().name(name).spawn(body).map_err(ServeError::System)?;
    }
    drop(ended);
    let mut outcome = Ok(());
    for end in ends {
        if let Err(error) = end {
            tracing::error!(%error, "a loop has failed; the server ends");
            outcome = outcome.and(Err(ServeError::System(error)));
            drain(mails);
        }
    }
    outcome
}

/// What a thread said when it panicked.
fn said(panic: &(dyn Any + Send)) -> io::Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    io::Error::other(format!("a thread panicked: {}", text.unwrap_or("without a word")))
}

fn drain(mails: &[Mail<Post>]) {
    for mail in mails {
        // A loop that is gone needs no word. One whose box is full is told as soon as there is room.
        let mut post = mail.post(Post::Drain);
        while let Err(crate::net::Undelivered::Full(again)) = post {
            thread::sleep(std::time::Duration::from_millis(5));
            post = mail.post(again);
        }
    }
}

fn watch_signals(
    common: &Arc<Common>,
    mails: &[Mail<Post>],
) -> io::Result<(JoinHandle<()>, Handle)> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    let (common, mails) = (Arc::clone(common), mails.to_vec());
    let watcher = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut draining = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                notify::say(notify::RELOADING);
                reload(&common);
                notify::say(notify::READY);
            } else if std::mem::replace(&mut draining, true) {
                // What a process reports that a signal ended.
                std::process::exit(128 + signal);
            } else {
                notify::say(notify::STOPPING);
                tracing::info!("saying goodbye to everybody; a second signal ends at once");
                drain(&mails);
            }
        }
    })?;
    Ok((watcher, handle))
}

fn reload(common: &Common) {
    let Some(tls) = &common.tls else {
        tracing::info!("there is no certificate to read again");
        return;
    };
    match tls.reload() {
        Ok(()) => tracing::info!("the certificate was read again; new connections get it"),
        Err(error) => tracing::error!(%error, "the old certificate stays in use"),
    }
}
