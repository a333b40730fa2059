//! A person at a terminal: types, edits, brings lines back, and sees what comes without losing what is typed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use crate::peer::{scripted, upgraded};
use crate::process::Server;
use crate::pty::{CTRL_C, CTRL_D, ENTER, Tty, UP, folder, ticks};
use crate::support::{binary, close, text};

fn ready(tty: &Tty) {
    tty.until(|lines| lines.last().is_some_and(|it| it == ">"));
}

#[test]
fn what_is_typed_is_sent_and_what_comes_stands_above_the_prompt() {
    let server = Server::start(&[]);
    let mut tty = Tty::connect(&folder("talk"), &[&server.url("/echo")]);
    ready(&tty);
    assert!(tty.lines()[0].starts_with("connected to ws://"), "{:?}", tty.lines());
    tty.press("hello").press(ENTER);
    tty.ends_with(&["> hello", "< hello", ">"]);
    tty.press(CTRL_D);
    assert_eq!(tty.status(), Some(0));
    assert_eq!(tty.lines().last().unwrap(), "closed with 1000, normal closure");
    assert!(tty.is_as_found());
}

#[test]
fn a_line_that_comes_leaves_alone_what_is_being_typed() {
    let peer = upgraded(|peer| {
        assert_eq!(peer.frame().1, b"go");
        // By now half a line stands there.
        thread::sleep(Duration::from_millis(300));
        peer.send(text("in between").unmasked().bytes());
        let (_, typed) = peer.frame();
        peer.send(close(1000, "bye").unmasked().bytes());
        typed
    });
    let mut tty = Tty::connect(&folder("between"), &[&peer.url()]);
    ready(&tty);
    tty.press("go").press(ENTER);
    tty.ends_with(&["> go", ">"]);
    tty.press("half a");
    tty.ends_with(&["> go", "< in between", "> half a"]);
    // And it can be edited still: two to the left, a letter in between.
    tty.press(" line").press("\x1b[D\x1b[Dx").press(ENTER);
    assert_eq!(peer.join(), b"half a lixne");
    assert_eq!(tty.status(), Some(0));
    let lines = tty.lines();
    assert_eq!(lines.last().unwrap(), "the server closed with 1000, normal closure: bye");
    assert!(tty.is_as_found());
}

#[test]
fn arrow_up_brings_lines_back_also_from_the_day_before() {
    let server = Server::start(&[]);
    let state = folder("history");
    let url = server.url("/echo");
    let mut tty = Tty::connect(&state, &[&url]);
    ready(&tty);
    for line in ["first", "second", " secret"] {
        tty.press(line).press(ENTER);
        tty.ends_with(&[&format!("< {line}"), ">"]);
    }
    tty.press(UP);
    tty.ends_with(&["> second"]);
    tty.press(UP).press(ENTER);
    tty.ends_with(&["> first", "< first", ">"]);
    tty.press(CTRL_C);
    assert_eq!(tty.status(), Some(0));

    let file = format!("{state}/sockeye/connect_history");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(format!("{state}/sockeye")).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(!fs::read_to_string(&file).unwrap().contains("secret"));
    let tty = Tty::connect(&state, &[&url]);
    ready(&tty);
    tty.press(UP);
    tty.ends_with(&["> first"]);
    let before = fs::read(&file).unwrap();
    let tty = Tty::connect(&state, &[&url, "--no-history"]);
    ready(&tty);
    tty.press(UP).press("kept nowhere").press(ENTER);
    tty.ends_with(&["> kept nowhere", "< kept nowhere", ">"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn commands_do_what_help_says() {
    let server = Server::start(&[]);
    let state = folder("commands");
    let mut tty = Tty::connect(&state, &[&server.url("/echo")]);
    ready(&tty);
    tty.press("/binary 68 69 00").press(ENTER);
    tty.ends_with(&[
        "< binary, 3 bytes",
        "| 00000000  68 69 00                                          hi.",
        ">",
    ]);
    let saved = format!("{state}/saved");
    tty.press(&format!("/save {saved}")).press(ENTER);
    tty.until(|lines| lines.iter().any(|it| it.starts_with("3 bytes in ")));
    assert_eq!(fs::read(&saved).unwrap(), b"hi\0");
    tty.press(&format!("/save {saved}")).press(ENTER);
    tty.until(|lines| lines.join("").contains("is there already"));
    tty.press(&format!("/file {saved}")).press(ENTER);
    tty.until(|lines| lines.iter().filter(|it| *it == "< binary, 3 bytes").count() == 2);
    tty.press("//file").press(ENTER);
    tty.ends_with(&["> //file", "< /file", ">"]);
    tty.press("/ping").press(ENTER);
    tty.until(|lines| lines.iter().any(|it| it.starts_with("pong after ")));
    tty.press("/nonsense").press(ENTER);
    tty.until(|lines| lines.iter().any(|it| it.starts_with("/nonsense is no command; /help")));
    tty.press("/he\t").press(ENTER);
    tty.until(|lines| {
        let aligned = |it: &String| it.starts_with("  TEXT ") || it.starts_with("  /close [CODE ");
        lines.iter().filter(|it| aligned(it)).count() == 2
    });
    tty.press("/close 4001 so long").press(ENTER);
    assert_eq!(tty.status(), Some(0));
    assert_eq!(tty.lines().last().unwrap(), "closed with 4001, the application's own: so long");
}

#[test]
fn a_hostile_server_cannot_drive_the_terminal() {
    let peer = upgraded(|peer| {
        peer.send(
            text("\x1b]0;owned\x07\x1b[2J\r> fake\n< fake\u{9b}31m\u{202e}").unmasked().bytes(),
        );
        peer.send(binary(*b"\x1b[2J").unmasked().bytes());
        peer.frame();
        peer.send(close(1000, "\x1b[31mred").unmasked().bytes());
    });
    let mut tty = Tty::connect(&folder("hostile"), &[&peer.url()]);
    tty.until(|lines| lines.join("\n").contains("1b 5b 32 4a"));
    let lines = tty.lines();
    assert!(lines.contains(&"< \\x1b]0;owned\\x07\\x1b[2J\\r> fake".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"| < fake\\u{9b}31m\\u{202e}".to_owned()), "{lines:#?}");
    tty.press("end").press(ENTER);
    assert_eq!(tty.status(), Some(0));
    let raw = String::from_utf8(tty.raw()).unwrap();
    for forbidden in ["\x1b]0", "\x1b[2J", "\x07", "\u{9b}", "\u{202e}", "\x1b[31mred"] {
        assert!(!raw.contains(forbidden), "{forbidden:?} reached the terminal");
    }
    assert!(raw.contains("\\x1b[31mred"), "{raw:?}");
}

#[test]
fn a_terminal_is_guarded_even_where_nobody_types() {
    let peer = upgraded(|peer| {
        peer.frame();
        peer.send(text("a\x1b[2Jb\nc").unmasked().bytes());
        peer.frame();
        peer.send(close(1000, "").unmasked().bytes());
    });
    let mut tty = Tty::connect(&folder("guarded"), &[&peer.url(), "-m", "x", "--exit-after", "1"]);
    assert_eq!(tty.status(), Some(0));
    assert_eq!(tty.lines(), ["a\\x1b[2Jb", "c"]);
    assert!(!tty.raw().contains(&0x1b));
}

#[test]
fn lines_typed_ahead_are_not_lost() {
    let server = Server::start(&[]);
    let tty = Tty::connect(&folder("ahead"), &[&server.url("/echo")]);
    ready(&tty);
    let keys: String = (0..50).map(|line| format!("line {line}\r")).collect();
    tty.press(&keys);
    tty.until(|lines| lines.contains(&"< line 49".to_owned()));
    let raw = String::from_utf8(tty.raw()).unwrap();
    for line in 0..50 {
        assert!(
            raw.contains(&format!("\x1b[36m<\x1b[0m line {line}\r\n")),
            "line {line} did not come back"
        );
    }
}

#[test]
fn colours_are_left_out_when_nobody_wants_them() {
    let peer = || {
        upgraded(|peer| {
            peer.send(text("hi").unmasked().bytes());
            peer.frame();
        })
    };
    for (variables, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let peer = peer();
        let state = folder(&format!("colour-{coloured}"));
        let mut tty = Tty::with(&state, &[&peer.url()], variables);
        tty.until(|lines| lines.contains(&"< hi".to_owned()));
        let raw = String::from_utf8(tty.raw()).unwrap();
        assert_eq!(raw.contains("\x1b[36m"), coloured, "{raw:?}");
        tty.press("end").press(ENTER);
        assert_eq!(tty.status(), Some(1));
        // And the line that was edited is gone either way.
        assert_eq!(tty.lines().last().unwrap(), "the connection was cut without a goodbye (1006)");
    }
}

#[test]
fn a_server_that_closes_while_something_is_typed_leaves_the_terminal_as_it_was() {
    let peer = upgraded(|peer| {
        thread::sleep(Duration::from_millis(300));
        peer.send(text("last words").unmasked().bytes());
        peer.send(close(1011, "out of order").unmasked().bytes());
        peer.frame();
    });
    let mut tty = Tty::connect(&folder("gone"), &[&peer.url()]);
    ready(&tty);
    tty.press("unfinished");
    assert_eq!(tty.status(), Some(1));
    assert!(tty.is_as_found());
    let lines = tty.lines();
    let last = ["< last words", "the server closed with 1011, internal error: out of order"];
    assert!(lines.ends_with(&last.map(str::to_owned)), "{lines:#?}");
}

#[test]
fn what_is_typed_while_there_is_no_connection_is_sent_after() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let accept = |listener: &std::net::TcpListener| {
        let mut peer = crate::peer::Peer::new(listener.accept().unwrap().0);
        peer.upgrade("");
        peer
    };
    let tty = Tty::connect(&folder("held"), &[&url, "--reconnect"]);
    let first = accept(&listener);
    ready(&tty);
    drop(first);
    tty.until(|lines| lines.iter().any(|it| it.starts_with("trying again in")));
    tty.press("meanwhile").press(ENTER);
    tty.ends_with(&["> meanwhile", ">"]);
    let mut second = accept(&listener);
    assert_eq!(second.frame().1, b"meanwhile");
    second.send(text("welcome back").unmasked().bytes());
    tty.ends_with(&["< welcome back", ">"]);
}

#[test]
fn a_refusal_is_shown_without_a_prompt() {
    let peer = scripted(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\nnot \x1b[2Jyou");
    });
    let mut tty = Tty::connect(&folder("refused"), &[&peer.url()]);
    assert_eq!(tty.status(), Some(1));
    let lines = tty.lines();
    assert!(lines[0].starts_with("the server answered 403 Forbidden"), "{lines:#?}");
    assert_eq!(lines.last().unwrap(), "  not \\x1b[2Jyou");
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let peer = scripted(|mut peer| {
        let request = peer.upgrade("");
        peer.send(close(1000, "").unmasked().bytes());
        request
    });
    let mut tty = Tty::connect(&folder("password"), &[&peer.url(), "--user", "me"]);
    tty.ends_with(&["Password of me:"]);
    tty.press("p@ss").press(ENTER);
    assert_eq!(tty.status(), Some(0));
    assert!(!String::from_utf8_lossy(&tty.raw()).contains("p@ss"));
    assert!(tty.is_as_found());
    assert_eq!(crate::peer::header(&peer.join(), "Authorization"), Some("Basic bWU6cEBzcw=="));
}

#[test]
fn pings_are_answered_while_the_user_thinks_and_thinking_costs_nothing() {
    let peer = upgraded(|peer| {
        for _ in 0..20 {
            peer.send(crate::support::ping("still there?").unmasked().bytes());
            assert_eq!(peer.frame().1, b"still there?");
        }
        thread::sleep(Duration::from_secs(2));
    });
    let tty = Tty::connect(&folder("thinks"), &[&peer.url()]);
    ready(&tty);
    thread::sleep(Duration::from_millis(500));
    let before = ticks(tty.pid());
    thread::sleep(Duration::from_secs(1));
    let spent = ticks(tty.pid()) - before;
    assert!(spent <= 5, "{spent} ticks of 10 ms in a second in which nothing happened");
    peer.join();
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_gets_plain_lines() {
    let server = Server::start(&[]);
    let mut tty = Tty::with(&folder("dumb"), &[&server.url("/echo")], &[("TERM", "dumb")]);
    tty.until(|lines| lines.first().is_some_and(|it| it.starts_with("connected")));
    tty.press("hello").press(ENTER);
    // No prompt, behind which what comes would stand.
    tty.ends_with(&["hello", "< hello"]);
    tty.press(CTRL_D);
    assert_eq!(tty.status(), Some(0));
    assert!(!tty.raw().contains(&0x1b), "{:?}", String::from_utf8_lossy(&tty.raw()));

    let peer = upgraded(|peer| {
        peer.frame();
        peer.send(close(1000, "").unmasked().bytes());
    });
    let mut tty = Tty::with(&folder("dumb"), &[&peer.url()], &[("TERM", "dumb")]);
    tty.until(|lines| lines.len() == 2);
    tty.press("bye").press(ENTER);
    assert_eq!(tty.status(), Some(0));
    assert!(!tty.raw().contains(&0x1b), "{:?}", String::from_utf8_lossy(&tty.raw()));
}

#[test]
fn ctrl_d_leaves_no_prompt_behind_and_last_words_are_shown() {
    let peer = upgraded(|peer| {
        assert_eq!(peer.frame().1, 1000u16.to_be_bytes());
        peer.send(text("last words").unmasked().bytes());
        peer.send(close(1000, "").unmasked().bytes());
    });
    let mut tty = Tty::connect(&folder("leave"), &[&peer.url()]);
    ready(&tty);
    tty.press(CTRL_D);
    assert_eq!(tty.status(), Some(0));
    assert_eq!(tty.lines()[2..], ["< last words", "closed with 1000, normal closure"]);
    assert_eq!(tty.column(), 0, "a shell's prompt comes next");
    assert!(tty.is_as_found());
    peer.join();
}

#[test]
fn no_message_is_lost_in_the_instant_of_ctrl_d() {
    for round in 0..10 {
        let peer = upgraded(|peer| {
            let mut sent = 0;
            while peer.hears_nothing_for(Duration::from_millis(1)) {
                sent += 1;
                peer.send(text(sent.to_string()).unmasked().bytes());
            }
            peer.send(close(1000, "").unmasked().bytes());
            sent
        });
        let mut tty = Tty::connect(&folder("instant"), &[&peer.url(), "--no-history"]);
        tty.until(|lines| lines.iter().any(|it| it == "< 20"));
        tty.press(CTRL_D);
        assert_eq!(tty.status(), Some(0));
        let (sent, lines) = (peer.join(), tty.lines());
        let last: Vec<String> = (sent - 9..=sent).map(|it| format!("< {it}")).collect();
        let (goodbye, before) = lines.split_last().unwrap();
        assert!(before.ends_with(&last), "round {round}, {sent} sent: {lines:#?}");
        assert_eq!(goodbye, "closed with 1000, normal closure");
        assert_eq!(tty.column(), 0, "round {round}");
    }
}

#[test]
fn ctrl_c_ends_a_flood() {
    let peer = upgraded(|peer| {
        let batch = binary([0; 14]).unmasked().bytes().repeat(4096);
        while peer.stream.write_all(&batch).is_ok() {}
    });
    let mut tty = Tty::connect(&folder("flood"), &[&peer.url()]);
    tty.until(|lines| lines.iter().any(|it| it == "< binary, 14 bytes"));
    thread::sleep(Duration::from_millis(500));
    tty.press(CTRL_C);
    tty.until(|lines| lines.iter().any(|it| it.ends_with("bytes more came and are not shown")));
    // It answers no close.
    assert_eq!(tty.status(), Some(1));
    assert!(tty.is_as_found());
    peer.join();
}

#[test]
fn a_second_ctrl_c_waits_for_nobody() {
    let (tell, told) = std::sync::mpsc::channel();
    let peer = upgraded(move |peer| {
        peer.frame();
        tell.send(()).unwrap();
        while peer.hears_nothing_for(Duration::from_millis(100)) {}
    });
    let mut tty = Tty::connect(&folder("second"), &[&peer.url()]);
    ready(&tty);
    tty.press(CTRL_C);
    told.recv().unwrap();
    tty.press(CTRL_C);
    assert_eq!(tty.status(), Some(130));
    assert!(tty.is_as_found());
    peer.join();
}

#[test]
fn ctrl_c_instead_of_a_password_leaves_the_terminal_as_it_was() {
    let mut tty = Tty::connect(&folder("no-password"), &["ws://127.0.0.1:1/", "--user", "me"]);
    tty.until(|lines| lines.first().is_some_and(|it| it.starts_with("Password of me:")));
    while tty.is_as_found() {
        thread::sleep(Duration::from_millis(5));
    }
    tty.press(CTRL_C);
    assert_eq!(tty.status(), Some(130));
    assert!(tty.is_as_found());
}
