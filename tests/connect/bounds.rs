//! What a server, a pipe and a person can make it keep.

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::peer::upgraded;
use crate::process::{begin, command};
use crate::pty::{ENTER, Tty, folder};
use crate::support::{ping, text};

/// More than it needs, and much less than what is thrown at it.
const MEMORY_MAX: usize = 100 << 20;

/// Resident memory of a process in bytes.
fn memory(pid: u32) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Writes this over and over until the other side takes no more; how many bytes that was, of at most 512 MiB.
fn flood(stream: &mut std::net::TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut total = 0;
    while total < 512 << 20 {
        match stream.write(bytes) {
            Ok(n) => total += n,
            Err(_) => break,
        }
    }
    total
}

#[test]
fn output_that_nobody_reads_holds_the_server_up() {
    let (told, pid) = std::sync::mpsc::channel();
    let peer = upgraded(move |peer| {
        let message = text("x".repeat(60_000)).unmasked().bytes();
        // Whole messages only, or the rest of one would be none.
        let sent = flood(&mut peer.stream, &message.repeat(16));
        let pid: u32 = pid.recv().unwrap();
        (sent, memory(pid))
    });
    let mut child = command(&[&peer.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    told.send(child.id()).unwrap();
    let (sent, memory) = peer.join();
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    assert!(memory < MEMORY_MAX, "{memory} bytes are kept");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn pings_of_a_server_that_does_not_read_cost_bounded_memory() {
    let (told, pid) = std::sync::mpsc::channel();
    let peer = upgraded(move |peer| {
        let sent = flood(&mut peer.stream, &ping([b'p'; 125]).unmasked().bytes().repeat(500));
        let pid: u32 = pid.recv().unwrap();
        (sent, memory(pid))
    });
    let running = begin(&[&peer.url()]);
    told.send(running.pid()).unwrap();
    let (sent, memory) = peer.join();
    assert!(sent > 64 << 20, "only {sent} bytes of pings were taken");
    assert!(memory < MEMORY_MAX, "{memory} bytes are kept");
    running.end();
}

#[test]
fn input_for_a_server_that_does_not_read_is_not_read_either() {
    let peer = upgraded(|_| thread::sleep(Duration::from_millis(1500)));
    let mut running = begin(&[&peer.url(), "--stay"]);
    let pid = running.pid();
    let mut stdin = running.take_input();
    let line = format!("{}\n", "x".repeat(1 << 20));
    let writer = thread::spawn(move || {
        // It breaks when the client ends.
        (0..512).take_while(|_| stdin.write_all(line.as_bytes()).is_ok()).count()
    });
    thread::sleep(Duration::from_millis(1000));
    let memory = memory(pid);
    assert!(memory < MEMORY_MAX, "{memory} bytes are kept");
    peer.join();
    running.end();
    let lines = writer.join().unwrap();
    assert!(lines < 64, "{lines} lines of 1 MiB were read");
}

#[test]
fn a_hundred_lines_wait_for_the_connection_and_no_more() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let tty = Tty::connect(&folder("hundred"), &[&url, "--reconnect", "--no-history"]);
    let mut peer = crate::peer::Peer::new(listener.accept().unwrap().0);
    peer.upgrade("");
    tty.until(|lines| lines.last().is_some_and(|it| it == ">"));
    drop(peer);
    // The next attempts find nobody, so that none comes through while the lines are typed.
    drop(listener);
    tty.until(|lines| lines.iter().any(|it| it.starts_with("trying again in")));
    for line in 1..=101 {
        tty.press(&format!("{line}")).press(ENTER);
    }
    tty.until(|lines| {
        lines.iter().any(|it| it == "not sent: 100 messages wait for the connection")
    });
}
