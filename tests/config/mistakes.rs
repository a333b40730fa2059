//! What operators get wrong: each is one sentence on stderr and a status that says whose fault it is.

use std::process::Command;

use crate::program::{Scratch, output, sockeye};

/// The status and what was said; nothing may be on stdout.
fn told(command: &mut Command) -> (Option<i32>, String) {
    let output = output(command);
    assert_eq!(output.stdout, b"");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// One sentence, status and all of these words.
fn is_told(command: &mut Command, status: i32, words: &[&str]) {
    let (code, said) = told(command);
    assert_eq!(code, Some(status), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("sockeye: "), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

#[test]
fn a_flag_that_cannot_be_ends_with_status_2_and_names_itself() {
    for arguments in [
        &["--nonsense"][..],
        &["--listen", "nowhere"],
        &["--listen", "localhost:8080"],
        &["--listen", ":8080"],
        &["--max-payload", "64KB"],
        &["--max-payload=-1"],
        &["--grace", "soon"],
        &["--idle-timeout", "25h"],
        &["--shards", "many"],
        &["--origin", "example.com"],
        &["--subprotocol", "a b"],
        &["--path", "named=/a"],
        &["--path", "ws=named"],
        &["--log", "inof"],
        &["--log", "sockeye=loud"],
        &["--log-format", "xml"],
        &["--metrics", "some"],
        &["--metrics-listen", "9464"],
        &["--deflate=perhaps"],
        &["--grace"],
        &["--shards", "1", "--shards", "2"],
    ] {
        let (code, said) = told(sockeye().args(arguments));
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        let flag = arguments[0].split('=').next().unwrap();
        assert!(said.starts_with("error: ") && said.contains(flag), "{arguments:?}: {said}");
    }
    for arguments in [&["swim"][..], &["--shards", "1", "serve"]] {
        assert_eq!(told(sockeye().args(arguments)).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_misspelt_flag_is_told_the_right_one() {
    let (_, said) = told(sockeye().args(["--max-paylaod", "1"]));
    assert!(said.contains("'--max-payload'"), "{said}");
}

#[test]
fn settings_that_contradict_each_other_are_told_with_the_remedy() {
    let cases = [
        (&["--tls-cert", "a"][..], &["--tls-cert: ", "tls-key", "both or neither"][..]),
        (&["--tls-key", "a"], &["--tls-key: ", "tls-cert", "both or neither"]),
        (&["--shards", "0"], &["--shards: 0", "1 to 64"]),
        (&["--shards", "65"], &["--shards: 65", "1 to 64"]),
        (&["--max-payload", "0"], &["--max-payload: 0", "1 byte or more"]),
        (&["--max-connections", "0"], &["--max-connections: 0", "1 or more"]),
        (&["--ping-interval", "0"], &["--ping-interval: 0", "1s or more"]),
        (&["--path", "ws=/a", "--path", "im=/a"], &["--path: /a", "ws", "im", "move"]),
        (&["--path", "ws=/echo"], &["--path: /echo", "ws", "echo"]),
        (&["--path", "ws=/a", "--path", "ws=/b"], &["--path: ws", "two paths"]),
        (&["--listen", "[::1]:9", "--listen", "[::1]:9"], &["--listen: [::1]:9", "twice"]),
        (&["--unix", "/a", "--unix", "/a"], &["--unix: ", "/a", "twice"]),
    ];
    for (arguments, words) in cases {
        is_told(sockeye().args(arguments), 2, words);
        is_told(sockeye().arg("serve").args(arguments), 2, words);
    }
}

#[test]
fn a_contradiction_is_told_by_where_it_was_made() {
    is_told(sockeye().env("SOCKEYE_SHARDS", "0"), 2, &["SOCKEYE_SHARDS: 0"]);
    let file = Scratch::file("\nshards = 0");
    is_told(sockeye().args(["--config", file.path()]), 2, &[file.path(), "shards: 0"]);
    let file = Scratch::file("tls-cert = 'a'");
    is_told(sockeye().env("SOCKEYE_CONFIG", file.path()), 2, &[file.path(), "tls-key"]);
}

#[test]
fn a_variable_that_cannot_be_is_told_by_its_name() {
    for (name, value, word) in [
        ("SOCKEYE_MAX_PAYLOAD", "64KB", "64KiB"),
        ("SOCKEYE_LISTEN", "127.0.0.1:1,nowhere", "\"nowhere\""),
        ("SOCKEYE_LISTEN", "127.0.0.1:1,", "\"\""),
        ("SOCKEYE_DEFLATE", "perhaps", "true or false"),
        ("SOCKEYE_LOG_FORMAT", "xml", "text or json"),
        ("SOCKEYE_SHARDS", "two", "no number"),
        ("SOCKEYE_GRACE", "-1", "500ms"),
    ] {
        is_told(sockeye().env(name, value), 2, &[&format!("{name}: "), word]);
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_told_so() {
    use std::os::unix::ffi::OsStrExt;
    let value = std::ffi::OsStr::from_bytes(b"\xff");
    is_told(sockeye().env("SOCKEYE_LOG", value), 2, &["SOCKEYE_LOG", "UTF-8"]);
}

#[test]
fn a_file_that_says_what_cannot_be_is_told_by_its_line() {
    for (text, line, words) in [
        (
            "shards = 1\n\nmax_payload = 1\n",
            3,
            &["`max_payload`", "did you mean `max-payload`?"][..],
        ),
        ("max-paylaod = 1", 1, &["did you mean `max-payload`?"]),
        ("# a\nxyzzy = 1", 2, &["`xyzzy`", "--print-config"]),
        ("config = 'other.toml'", 1, &["`config`", "--print-config"]),
        ("[server]\nshards = 1", 1, &["`server`"]),
        ("grace = 1\nmax-payload = '64KB'", 2, &["\"64KB\"", "64KiB"]),
        ("grace = 1\nlisten = ['[::1]:1',\n  'nowhere']", 3, &["\"nowhere\""]),
        ("listen = '[::1]:1'", 1, &["sequence"]),
        ("shards = -1", 1, &["\"-1\""]),
        ("shards = 4294967296", 1, &["\"4294967296\""]),
        ("deflate = 'yes'", 1, &["boolean"]),
        ("grace = 1\ngrace = 2", 2, &["duplicate"]),
        ("grace = 1\nshards", 2, &[]),
        ("shards = 1 2", 1, &[]),
    ] {
        let file = Scratch::file(text);
        let place = format!("{}, line {line}: ", file.path());
        is_told(sockeye().args(["--config", file.path()]), 2, &[&[&*place], words].concat());
    }
}

#[test]
fn a_file_that_is_no_text_is_told_so() {
    let file = Scratch::file(b"grace = 1\n\xff");
    is_told(sockeye().args(["--config", file.path()]), 2, &["line 2", "UTF-8"]);
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    if std::path::Path::new("/dev/zero").exists() {
        is_told(sockeye().args(["--config", "/dev/zero"]), 2, &["1048576 bytes"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_with_status_1() {
    let missing = Scratch::name();
    is_told(sockeye().args(["--config", missing.path()]), 1, &[missing.path(), "--config"]);
    is_told(sockeye().env("SOCKEYE_CONFIG", missing.path()), 1, &[missing.path()]);
    let directory = std::env::temp_dir();
    is_told(sockeye().arg("--config").arg(&directory), 1, &["cannot read"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_ends_with_status_1() {
    use std::os::unix::fs::PermissionsExt;
    let file = Scratch::file("shards = 1");
    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&file.0).is_ok() {
        eprintln!("skipped: this user may read every file");
        return;
    }
    is_told(sockeye().args(["--config", file.path()]), 1, &[file.path(), "ermission"]);
}

#[test]
fn print_config_judges_too() {
    is_told(sockeye().args(["--print-config", "--shards", "0"]), 2, &["--shards: 0"]);
}

#[test]
fn nowhere_to_listen_is_told() {
    let file = Scratch::file("listen = []");
    is_told(sockeye().args(["--config", file.path()]), 2, &["listen: ", "nowhere"]);
}
