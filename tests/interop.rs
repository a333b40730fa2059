//! Against peers that others wrote: npm's `ws`, as server and as client, with and without compression;
//! and the tutorials' chats with `ws` and `nodejs-websocket` as clients.
//!
//! Needs node and `npm install --prefix tests`. Where they are missing the tests pass and say so;
//! with `SOCKEYE_REQUIRE_TOOLS=1` they fail.

#![cfg(all(feature = "client", feature = "deflate"))]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use sockeye::client::{Client, Connect, Received};
use sockeye::proto::deflate::Deflate;
use sockeye::proto::{CloseCode, CloseFrame, Ended};

#[allow(dead_code, unreachable_pub)]
#[path = "../examples/echo_std.rs"]
mod echo_std;

#[cfg(feature = "server")]
#[path = "interop/dialects.rs"]
mod dialects;
#[cfg(feature = "server")]
#[allow(dead_code, reason = "shared with the tests of the program, which use all of it")]
#[path = "serve/process.rs"]
mod process;

/// Node with one of our scripts, or nothing if it cannot be had.
fn node(script: &str, arguments: &[&str]) -> Option<Child> {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let installed = |name: &&str| tests.join("node_modules").join(name).is_dir();
    let missing = if !["ws", "nodejs-websocket"].iter().all(installed) {
        "`ws` and `nodejs-websocket` are not installed, run `npm install --prefix tests`".to_owned()
    } else {
        let spawned = Command::new("node")
            .arg(tests.join("interop").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match spawned {
            Ok(child) => return Some(child),
            Err(error) => format!("node cannot be run: {error}"),
        }
    };
    let required = std::env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some_and(|it| it == "1");
    assert!(!required, "{missing}");
    eprintln!("skipped: {missing}");
    None
}

struct WsServer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl WsServer {
    fn start(deflate: &str) -> Option<Self> {
        let mut child = node("server.cjs", &[deflate])?;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("a server says its port").unwrap().parse().unwrap();
        Some(Self { child, lines, port })
    }

    fn open(&self, options: &Connect, resource: &str) -> Client {
        let mut client = options.open(&format!("ws://127.0.0.1:{}{resource}", self.port)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5)));
        client
    }

    /// How the last connection ended, as ws sees it.
    fn says(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for WsServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

const LENGTHS: [usize; 8] = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 5 << 20];

fn echoes(client: &mut Client) {
    for len in LENGTHS {
        let text: String = ('a'..='z').cycle().take(len).collect();
        client.text(&text).unwrap();
        assert!(client.receive().unwrap() == Some(Received::Text(text)), "text of {len}");
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        client.binary(&bytes).unwrap();
        assert!(client.receive().unwrap() == Some(Received::Binary(bytes)), "binary of {len}");
    }
}

#[test]
fn our_client_talks_plainly_with_a_ws_server() {
    let Some(mut server) = WsServer::start("off") else { return };
    for options in [Connect::new(), Connect::new().per_message_deflate(Deflate::default())] {
        let mut client = server.open(&options, "/");
        assert_eq!(client.header("sec-websocket-extensions"), None);
        echoes(&mut client);
        let frame = CloseFrame { code: CloseCode::GOING_AWAY, reason: "enough" };
        let ended = client.close(Some(frame)).unwrap();
        assert_eq!(ended, Ended::Clean(Some(CloseCode::GOING_AWAY)));
        assert_eq!(server.says(), "1001 enough -");
    }
}

#[test]
fn our_client_talks_compressed_with_a_ws_server_with_and_without_context() {
    let Some(mut server) = WsServer::start("on") else { return };
    for bits in 0..4_u8 {
        let policy = Deflate {
            server_no_context_takeover: bits & 1 != 0,
            client_no_context_takeover: bits & 2 != 0,
            compress_from: 0,
            ..Deflate::default()
        };
        let mut client = server.open(&Connect::new().per_message_deflate(policy), "/");
        let agreed = client.header("sec-websocket-extensions").unwrap();
        assert_eq!(agreed.contains("server_no_context_takeover"), bits & 1 != 0, "{agreed}");
        echoes(&mut client);
        assert_eq!(client.close(None).unwrap(), Ended::Clean(None));
        assert_eq!(server.says(), "1005  permessage-deflate");
    }
}

#[test]
fn a_ws_server_closes_and_pings() {
    let Some(mut server) = WsServer::start("off") else { return };
    let mut client = server.open(&Connect::new(), "/?close=4001&reason=bye");
    let code = CloseCode::new(4001);
    assert_eq!(client.receive().unwrap(), Some(Received::Close(code, "bye".into())));
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(client.ended(), Some(Ended::Clean(code)));
    assert_eq!(server.says(), "4001 bye -");

    let mut client = server.open(&Connect::new(), "/?ping");
    assert_eq!(client.receive().unwrap(), Some(Received::Ping(b"from ws".to_vec())));
    assert_eq!(client.receive().unwrap(), Some(Received::Text("pong from ws".into())));
    client.close(None).unwrap();
    assert_eq!(server.says(), "1005  -");
}

#[test]
fn a_ws_client_talks_with_our_echo_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || echo_std::serve(&listener));
    for deflate in ["off", "on"] {
        let Some(child) = node("client.cjs", &[&url, deflate]) else { return };
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "deflate {deflate}");
        assert!(output.status.success());
    }
}
