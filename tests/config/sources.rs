//! Which of flag, variable, file and default wins, and that what is printed reads back.

use crate::program::{Running, Scratch, line, printed, sockeye};

/// For every setting two values that are not its default, as a flag takes them and as a file has them.
const EVERY: [[&str; 5]; 30] = [
    ["listen", "127.0.0.1:1", "[::]:2", r#"["127.0.0.1:1"]"#, r#"["[::]:2"]"#],
    ["unix", "/tmp/a", "/tmp/b", r#"["/tmp/a"]"#, r#"["/tmp/b"]"#],
    ["shards", "3", "64", "3", "64"],
    ["tls-cert", "a.pem", "b.pem", r#""a.pem""#, r#""b.pem""#],
    ["tls-key", "a.key", "b.key", r#""a.key""#, r#""b.key""#],
    ["origin", "https://a", "null", r#"["https://a"]"#, r#"["null"]"#],
    ["max-connections", "1", "2", "1", "2"],
    ["max-per-ip", "1", "2", "1", "2"],
    ["trusted-proxy", "unix", "10.0.0.0/8", r#"["unix"]"#, r#"["10.0.0.0/8"]"#],
    ["forwarded-header", "forwarded", "x-forwarded-for", r#""forwarded""#, r#""x-forwarded-for""#],
    ["proxy-protocol", "true", "on", "true", "true"],
    ["max-payload", "1000", "64KiB", "1000", r#""64KiB""#],
    ["deflate", "true", "on", "true", "true"],
    ["rate-messages", "1", "2", "1", "2"],
    ["rate-bytes", "1KiB", "2KiB", r#""1KiB""#, r#""2KiB""#],
    ["handshake-timeout", "1", "2m", r#""1s""#, r#""2m""#],
    ["ping-interval", "1", "2m", r#""1s""#, r#""2m""#],
    ["idle-timeout", "1", "2m", r#""1s""#, r#""2m""#],
    ["stall-timeout", "1", "2m", r#""1s""#, r#""2m""#],
    ["close-timeout", "1", "2m", r#""1s""#, r#""2m""#],
    ["grace", "0", "500ms", r#""0s""#, r#""500ms""#],
    ["path", "echo=off", "other=off", "echo=off", "other=off"],
    ["subprotocol", "a", "b", r#"["a"]"#, r#"["b"]"#],
    ["history-messages", "0", "2", "0", "2"],
    ["history-bytes", "0", "2KiB", "0", r#""2KiB""#],
    ["history-memory", "0", "2GiB", "0", r#""2GiB""#],
    ["metrics", "all", "off", r#""all""#, r#""off""#],
    ["metrics-listen", "127.0.0.1:1", "[::]:2", r#""127.0.0.1:1""#, r#""[::]:2""#],
    ["log", "off", "warn,sockeye=debug", r#""off""#, r#""warn,sockeye=debug""#],
    ["log-format", "json", "json", r#""json""#, r#""json""#],
];

fn variable(key: &str) -> String {
    format!("SOCKEYE_{}", key.replace('-', "_").to_uppercase())
}

/// A path changes one entry of its line, all others are their line.
fn says(printed: &str, key: &str, value: &str, source: &str) {
    let line = line(printed, key);
    let (stands, comment) = line.rsplit_once("  # ").unwrap();
    if key == "path" {
        assert!(stands.contains(&format!("{value:?}")), "{line}");
    } else {
        assert_eq!(stands, value, "{key}");
    }
    assert_eq!(comment, source, "{key}");
}

#[test]
fn every_setting_there_is_is_tried_here() {
    let printed = printed(&[], &[]);
    let keys = printed.lines().filter_map(|line| match line.split_once(" = ") {
        Some((key, _)) => Some(key),
        None => line.strip_prefix("# ")?.strip_suffix(" is not set"),
    });
    assert_eq!(keys.collect::<Vec<_>>(), EVERY.map(|[key, ..]| key));
}

#[test]
fn a_variable_sets_every_setting_and_a_flag_wins_over_it() {
    let variables: Vec<(String, &str)> =
        EVERY.iter().map(|[key, value, ..]| (variable(key), *value)).collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let by_variable = printed(&[], &variables);
    for [key, _, _, value, _] in EVERY {
        says(&by_variable, key, value, "environment");
    }
    let flags = EVERY.map(|[key, _, other, ..]| format!("--{key}={other}"));
    let by_flag = printed(&flags.each_ref().map(String::as_str), &variables);
    for [key, _, _, _, value] in EVERY {
        says(&by_flag, key, value, "flag");
    }
}

#[test]
fn a_file_sets_every_setting_and_a_variable_wins_over_it() {
    let listed = |key: &str, value: &str| match key {
        "path" => format!("[{value:?}]"),
        _ => value.to_owned(),
    };
    let text: String = EVERY
        .iter()
        .map(|[key, _, _, value, _]| format!("{key} = {}\n", listed(key, value)))
        .collect();
    let file = Scratch::file(text);
    let by_file = printed(&["--config", file.path()], &[]);
    for [key, _, _, value, _] in EVERY {
        says(&by_file, key, value, &format!("file {:?}", file.path()));
    }
    let variables: Vec<(String, &str)> =
        EVERY.iter().map(|[key, _, other, ..]| (variable(key), *other)).collect();
    let mut variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    variables.push(("SOCKEYE_CONFIG", file.path()));
    let by_variable = printed(&[], &variables);
    for [key, _, _, _, value] in EVERY {
        says(&by_variable, key, value, "environment");
    }
}

#[test]
fn each_setting_is_won_by_itself() {
    let file = Scratch::file("grace = 1\nmax-payload = '1KiB'\nshards = 4\n");
    let variables = [("SOCKEYE_MAX_PAYLOAD", "2KiB"), ("SOCKEYE_SHARDS", "5")];
    let printed = printed(&["--config", file.path(), "--shards", "6"], &variables);
    says(&printed, "grace", "\"1s\"", &format!("file {:?}", file.path()));
    says(&printed, "max-payload", "\"2KiB\"", "environment");
    says(&printed, "shards", "6", "flag");
    says(&printed, "idle-timeout", "\"30s\"", "default");
}

#[test]
fn a_list_given_anew_replaces_the_whole_list() {
    let file = Scratch::file("origin = ['https://a', 'https://b']\npath = ['ws=off', 'im=/m']\n");
    let arguments = ["--config", file.path(), "--origin", "https://c", "--path", "ws=/n"];
    let printed = printed(&arguments, &[]);
    says(&printed, "origin", r#"["https://c"]"#, "flag");
    for place in ["ws=/n", "im=/im"] {
        says(&printed, "path", place, "flag");
    }
}

#[test]
fn a_variable_holds_a_list_with_commas() {
    let variables = [("SOCKEYE_LISTEN", "127.0.0.1:1, [::1]:1"), ("SOCKEYE_SUBPROTOCOL", "a,b")];
    let printed = printed(&[], &variables);
    says(&printed, "listen", r#"["127.0.0.1:1", "[::1]:1"]"#, "environment");
    says(&printed, "subprotocol", r#"["a", "b"]"#, "environment");
}

#[test]
fn an_empty_variable_is_not_set() {
    let variables: Vec<(String, &str)> = EVERY
        .iter()
        .map(|[key, ..]| (variable(key), ""))
        .chain([(variable("config"), "")])
        .collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(printed(&[], &variables), printed(&[], &[]));
}

#[test]
fn a_flag_names_another_file_than_the_variable() {
    let (one, other) = (Scratch::file("shards = 1"), Scratch::file("shards = 2"));
    let printed = printed(&["--config", one.path()], &[("SOCKEYE_CONFIG", other.path())]);
    says(&printed, "shards", "1", &format!("file {:?}", one.path()));
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let everything: Vec<String> =
        EVERY.iter().map(|[key, _, other, ..]| format!("--{key}={other}")).collect();
    let everything: Vec<&str> = everything.iter().map(String::as_str).collect();
    let one_rate = ["--rate-messages", "7", "--unix", "/tmp/a b", "--listen", "[::1]:0"];
    let only_unix = ["--unix", "/tmp/\"quoted\" # and so on"];
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.rsplit_once("  # ").map_or(line, |it| it.0).to_owned())
            .collect()
    };
    for arguments in [&[][..], &everything, &one_rate, &only_unix] {
        let once = printed(arguments, &[]);
        let file = Scratch::file(&once);
        let twice = printed(&["--config", file.path()], &[]);
        assert_eq!(values(&twice), values(&once));
    }
}

#[test]
fn a_file_with_any_name_is_named_on_one_line() {
    let directory = Scratch::name();
    std::fs::create_dir(&directory.0).unwrap();
    let path = directory.0.join("a\nshards = 9\n\u{1b}[2J.toml");
    std::fs::write(&path, "grace = 1").unwrap();
    let once = printed(&["--config", path.to_str().unwrap()], &[]);
    std::fs::remove_dir_all(&directory.0).unwrap();
    assert!(!once.contains('\u{1b}') && !once.contains("\nshards = 9"), "{once}");
}

#[test]
fn to_serve_is_what_happens_without_a_command() {
    assert_eq!(printed(&["serve"], &[]), printed(&[], &[]));
    assert_eq!(printed(&["serve", "--shards", "5"], &[]), printed(&["--shards", "5"], &[]));
}

#[test]
fn the_environment_and_a_file_reach_the_server() {
    let file = Scratch::file("listen = ['127.0.0.1:0']");
    let server = Running::start(sockeye().env("SOCKEYE_CONFIG", file.path()));
    assert_eq!(server.get("/healthz"), "HTTP/1.1 200 OK");
    assert_eq!(server.stop().0, Some(0));
}
