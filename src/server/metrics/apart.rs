//! The numbers on an address of their own: for a collector on another machine, without showing them to everybody
//! whom the chat is for. A thread of its own serves it, so that it answers when loops are full or stuck.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::Format;
use crate::http::{self, Event, Framing, Head, Reply, Requests, Status};
use crate::server::common::Common;

/// The thread, which ends when this goes.
#[derive(Debug)]
pub(in crate::server) struct Apart {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Apart {
    /// Begins to serve.
    pub(in crate::server) fn start(
        listener: TcpListener,
        common: &Arc<Common>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let (common, over) = (Arc::clone(common), Arc::clone(&ended));
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                match stream.and_then(|stream| serve(stream, &common)) {
                    Ok(()) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a request for metrics came to nothing");
                        // Without a descriptor the next would fail at once, too.
                        thread::sleep(PAUSE);
                    }
                }
            }
        })?;
        Ok(Self { address, ended, thread: Some(thread) })
    }

    /// Where it listens.
    pub(in crate::server) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(match own {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        // Wakes it. If that cannot be, it ends with the process.
        if TcpStream::connect_timeout(&own, PAUSE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// One request, one answer. Collectors that keep their connections connect anew; that costs them nothing.
fn serve(mut stream: TcpStream, common: &Common) -> io::Result<()> {
    let deadline = Instant::now() + SCRAPE_TIME_MAX;
    stream.set_write_timeout(Some(SCRAPE_TIME_MAX))?;
    let mut requests = Requests::new(http::Limits::default());
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    loop {
        match requests.next(&bytes) {
            Err(fault) => {
                http::refuse(&mut out, fault);
                break;
            }
            Ok(step) => match step.event {
                Event::Head(head) => {
                    answer(&head, common, &mut out);
                    break;
                }
                _ => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    stream.set_read_timeout(Some(left))?;
                    let count = stream.read(&mut buffer)?;
                    if count == 0 {
                        return Ok(());
                    }
                    bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
            },
        }
    }
    stream.write_all(&out)?;
    stream.shutdown(std::net::Shutdown::Write)
}

fn answer(head: &Head<'_>, common: &Common, out: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let reply = |out, status| {
        Reply::new(out, head.answer().closing(), status)
            .field("Date", &http::http_date(now))
            .field("Cache-Control", "no-store")
    };
    let plain = "text/plain; charset=utf-8";
    match (head.path(), head.method()) {
        _ if head.framing() != Framing::None => {
            reply(out, Status::BadRequest).body(plain, b"a request for metrics has no body\n");
        }
        ("/metrics", "GET" | "HEAD") => {
            let format = Format::of(head.field("accept"));
            let page = common.metrics.page(format);
            reply(out, Status::Ok).body(format.content_type(), page.as_bytes());
        }
        ("/metrics", _) => reply(out, Status::MethodNotAllowed)
            .field("Allow", "GET, HEAD")
            .body(plain, b"only GET and HEAD\n"),
        _ => reply(out, Status::NotFound).body(plain, b"there is only /metrics here\n"),
    }
}

/// For a request to come and its answer to be taken, of one who asks at a time. 5 s: collectors wait 10.
const SCRAPE_TIME_MAX: Duration = Duration::from_secs(5);
/// After a failure, and for the last knock.
const PAUSE: Duration = Duration::from_millis(100);
