//! The log on stderr, and that a server lives whatever becomes of it.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::program::{Running, sockeye};

fn quiet() -> Command {
    let mut command = sockeye();
    command.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
    command
}

#[test]
fn the_log_says_where_to_go() {
    let server = Running::start(&mut quiet());
    let url = format!("http://{}/", server.address);
    let (status, said) = server.stop();
    assert_eq!(status, Some(0));
    let first = said.lines().next().unwrap();
    let words: Vec<&str> = first.split_whitespace().collect();
    assert!(words[0].ends_with('Z') && words[0].starts_with("20"), "{first}");
    assert_eq!(words[1..], ["INFO", "chat", "on", &*url], "{first}");
}

#[test]
fn a_log_in_json_is_an_object_a_line() {
    let server = Running::start(quiet().args(["--log-format", "json"]));
    let url = format!("http://{}/", server.address);
    let (_, said) = server.stop();
    assert!(!said.is_empty());
    for line in said.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
    }
    let first: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(first["message"], format!("chat on {url}"));
}

#[test]
fn a_level_above_keeps_the_log_silent() {
    for level in ["warn", "off", "info,sockeye=error"] {
        let server = Running::start(quiet().args(["--log", level]));
        assert_eq!(server.get("/healthz"), "HTTP/1.1 200 OK");
        assert_eq!(server.stop(), (Some(0), String::new()), "{level}");
    }
}

#[test]
fn a_log_that_goes_to_no_terminal_has_no_colour() {
    let server = Running::start(&mut quiet());
    assert!(!server.stop().1.contains('\u{1b}'));
}

#[test]
fn a_variable_that_looks_like_a_setting_is_warned_of() {
    let server = Running::start(quiet().env("SOCKEYE_MAX_PAYLAOD", "1").env("SOCKEYE_XYZZY", "1"));
    let (_, said) = server.stop();
    let warning = said.lines().find(|line| line.contains("WARN")).expect("a warning");
    assert!(warning.contains("SOCKEYE_MAX_PAYLAOD") && warning.contains("SOCKEYE_MAX_PAYLOAD?"));
    assert!(!said.contains("XYZZY"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_server_without_stderr_serves() {
    let binary = env!("CARGO_BIN_EXE_sockeye");
    let line = format!("exec '{binary}' --listen 127.0.0.1:0 --log trace 2>&-");
    let server = Running::start(Command::new("sh").args(["-c", &line]));
    assert_eq!(server.get("/"), "HTTP/1.1 200 OK");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_server_whose_stderr_is_full_serves() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full");
        return;
    };
    let server = Running::start(quiet().args(["--log", "trace"]).stderr(full));
    assert_eq!(server.get("/"), "HTTP/1.1 200 OK");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_server_whose_stderr_nobody_reads_any_more_serves() {
    let mut server = Running::start(quiet().args(["--log", "trace"]));
    drop(server.child.stderr.take());
    assert_eq!(server.get("/"), "HTTP/1.1 200 OK");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_server_whose_stdout_is_full_serves() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full");
        return;
    };
    let mut child = quiet().stdout(full).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    let address = line.rsplit("http://").next().unwrap().trim().trim_end_matches('/').to_owned();
    let server = Running { child, address };
    assert_eq!(server.get("/"), "HTTP/1.1 200 OK");
    assert_eq!(server.stop().0, Some(0));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("panicked"), "{rest}");
}

#[test]
fn a_mistake_is_told_by_the_status_where_stderr_is_full() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full");
        return;
    };
    let status = sockeye().args(["--shards", "0"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}
