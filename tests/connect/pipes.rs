//! Input becomes messages, messages become output, and both have their ends.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::peer::{scripted, upgraded};
use crate::process::{Server, begin, connect, say, signal};
use crate::support::{binary, close, text};

#[test]
fn lines_become_messages_and_messages_lines() {
    let server = Server::start(&[]);
    let run = connect(&[&server.url("/echo")], "one\ntwo\r\n\nlast");
    run.expect(0, "one\ntwo\n\nlast\n");
    assert_eq!(run.said, "");
}

#[test]
fn it_ends_after_so_many_messages_though_the_input_goes_on() {
    let server = Server::start(&[]);
    let mut running = begin(&[&server.url("/echo"), "--exit-after", "2"]);
    running.write("one\ntwo\nthree\n");
    running.end().expect(0, "one\ntwo\n");
}

#[test]
fn messages_of_the_command_line_need_no_input() {
    let server = Server::start(&[]);
    let url = server.url("/echo");
    say(&[&url, "-m", "one", "-m", "two", "--exit-after", "2"]).expect(0, "one\ntwo\n");
    // The answers have come when it was quiet for so long.
    say(&[&url, "-m", "one", "--linger", "300ms"]).expect(0, "one\n");
}

#[test]
fn a_file_is_one_binary_message() {
    let server = Server::start(&[]);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("connect-file.bin");
    fs::write(&path, b"\x00\xffz\n").unwrap();
    let path = path.to_str().unwrap();
    say(&[&server.url("/echo"), "-f", path, "--exit-after", "1"]).expect(0, "00ff7a0a\n");
    let run = say(&[&server.url("/echo"), "-f", "/no/such/file"]);
    run.expect(1, "");
    assert!(run.said.contains("/no/such/file"), "{}", run.said);
}

#[test]
fn hexadecimal_lines_are_binary_messages() {
    let server = Server::start(&[]);
    connect(&[&server.url("/echo"), "--binary"], "01 ab ff\n\n00\n").expect(0, "01abff\n\n00\n");
    let run = connect(&[&server.url("/echo"), "--binary"], "00\nzz\n");
    assert_eq!(run.status, Some(1));
    assert!(run.said.contains("message 2 of the input: 'z'"), "{}", run.said);
}

#[test]
fn zero_bytes_separate_messages_that_have_line_ends() {
    let server = Server::start(&[]);
    connect(&[&server.url("/echo"), "--null"], "a\nb\0c").expect(0, "a\nb\0c\0");
}

#[test]
fn a_whole_input_is_one_message_and_raw_output_is_its_bytes() {
    let server = Server::start(&[]);
    let url = server.url("/echo");
    let both = ["--whole", "--binary", "--raw", "--exit-after", "1"];
    connect(&[&[&*url][..], &both].concat(), "a\nb\n").expect(0, "a\nb\n");
    connect(&[&url, "--whole", "--exit-after", "1"], "a\nb").expect(0, "a\nb\n");
}

#[test]
fn input_that_is_no_text_is_told_by_its_number() {
    let server = Server::start(&[]);
    let run = connect(&[&server.url("/echo")], b"good\n\xff\n");
    assert_eq!(run.status, Some(1));
    assert!(run.said.contains("message 2 of the input: it is not UTF-8"), "{}", run.said);
}

#[test]
fn an_echo_of_more_than_any_buffer_holds_comes_back_whole() {
    let server = Server::start(&[]);
    // 64 MiB, with answers on their way all the time: whoever stops reading while it writes hangs here.
    let line = format!("{}\n", "x".repeat(65_535));
    let input = line.repeat(1024);
    let mut running = begin(&[&server.url("/echo"), "--exit-after", "1024"]);
    running.write(&input);
    let run = running.end();
    assert_eq!(run.status, Some(0), "{}", run.said);
    assert!(run.out == input, "{} bytes of {}", run.out.len(), input.len());
}

#[test]
fn a_server_that_does_not_read_holds_the_input_up_and_its_messages_come_all_the_same() {
    let peer = upgraded(|peer| {
        // The client is in the middle of writing far more than the sockets hold.
        std::thread::sleep(Duration::from_millis(300));
        peer.send(text("are you there?").unmasked().bytes());
        std::thread::sleep(Duration::from_millis(300));
    });
    let mut running = begin(&[&peer.url(), "--stay"]);
    let input = format!("{}\n", "x".repeat(1 << 20)).repeat(64);
    let mut stdin = running.take_input();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        // It breaks when the client ends.
        let _ = stdin.write_all(input.as_bytes());
    });
    assert_eq!(running.line(), "are you there?");
    peer.join();
    let run = running.end();
    assert_eq!(run.status, Some(1));
    assert!(run.said.contains("cut without a goodbye (1006)"), "{}", run.said);
    assert!(run.said.contains("bytes were not sent"), "{}", run.said);
    writer.join().unwrap();
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let server = Server::start(&[]);
    let url = server.url("/echo");
    let script = format!(
        "yes | {} connect '{url}' | head -n 2; echo \"${{PIPESTATUS[1]}}\"",
        env!("CARGO_BIN_EXE_sockeye")
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "y\ny\n0\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn it_stays_after_the_input_when_told_so_and_a_signal_says_goodbye() {
    let peer = upgraded(|peer| {
        // Past the second after which it would leave by itself.
        std::thread::sleep(Duration::from_millis(1500));
        peer.send(text("late").unmasked().bytes());
        let (_, goodbye) = peer.frame();
        peer.send(close(1000, "").unmasked().bytes());
        goodbye
    });
    let mut running = begin(&[&peer.url(), "--stay"]);
    running.end_input();
    assert_eq!(running.line(), "late");
    signal(running.pid(), "INT");
    running.end().expect(0, "late\n");
    assert_eq!(peer.join(), 1000u16.to_be_bytes());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let peer = scripted(|mut peer| {
        peer.upgrade("");
        peer.send(text("hi").unmasked().bytes());
        // The close is not answered.
        peer.frame();
        std::thread::sleep(Duration::from_millis(500));
    });
    let running = begin(&[&peer.url()]);
    assert_eq!(running.line(), "hi");
    let begun = Instant::now();
    signal(running.pid(), "INT");
    std::thread::sleep(Duration::from_millis(100));
    signal(running.pid(), "INT");
    let run = running.end();
    assert_eq!(run.status, Some(130), "{}", run.said);
    assert!(begun.elapsed() < Duration::from_millis(2900), "it waited for the server");
    peer.join();
}

#[test]
fn binary_and_text_of_a_server_are_lines_as_they_come() {
    let peer = upgraded(|peer| {
        peer.send(text("one\x1b[2J").unmasked().bytes());
        peer.send(binary([0, 0xff]).unmasked().bytes());
        peer.send(close(1000, "done").unmasked().bytes());
        peer.frame();
    });
    // Into a pipe text goes as it is: nobody's terminal is there to be driven.
    say(&[&peer.url()]).expect(0, "one\x1b[2J\n00ff\n");
}
