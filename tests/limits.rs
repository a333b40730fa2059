//! `docs/LIMITS.md` is complete and true: every limit of the sources is listed with the default that the code has,
//! and the tests that it names exist. Whoever adds a limit adds a row.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use sockeye::{broker, http, net, proto, relay, server};

/// Structs of limits whose name does not say so.
const ALSO_LIMITS: [&str; 4] = ["Marks", "Rates", "ListenOptions", "History"];

/// Constants that are named like limits and measure or spell something.
const NO_LIMITS: [&str; 8] = [
    "PLACE_BYTES",
    "CONNECTION_BYTES",
    "SERVER_MAX_WINDOW_BITS",
    "CLIENT_MAX_WINDOW_BITS",
    // What JavaScript's numbers hold, and what a byte does.
    "WHOLE_MAX",
    "DEPTH_MAX",
    // How a table is laid out.
    "RUN_MAX",
    "JOIN_MAX",
];

/// The defaults, as the code has them, by the name that the rows begin with.
fn defaults() -> BTreeMap<&'static str, String> {
    fn shown(value: &dyn Debug) -> String {
        format!("{value:#?}")
    }
    BTreeMap::from([
        ("proto::Limits", shown(&proto::Limits::default())),
        ("proto::HeadLimits", shown(&proto::handshake::HeadLimits::default())),
        ("net::Limits", shown(&net::Limits::default())),
        ("net::Marks", shown(&net::Marks::default())),
        ("net::ListenOptions", shown(&net::ListenOptions::default())),
        ("http::Limits", shown(&http::Limits::default())),
        ("relay::Limits", shown(&relay::Limits::default())),
        ("relay::ChatLimits", shown(&relay::ChatLimits::default())),
        ("relay::Rates", shown(&relay::Rates::default())),
        ("broker::Limits", shown(&broker::Limits::default())),
        ("server::Config", shown(&server::Config::default())),
        ("server::History", shown(&server::History::default())),
    ])
}

/// One row of the document.
struct Row {
    name: String,
    default: String,
    tests: Vec<(String, String)>,
    /// It stands under a heading that asks for a test.
    is_limit: bool,
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The rows of all tables. Their columns: name, set by, default, why, at the limit, held by.
fn rows() -> Vec<Row> {
    let document = fs::read_to_string(root().join("docs/LIMITS.md")).unwrap();
    let mut rows = Vec::new();
    let mut is_limit = true;
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            is_limit = !heading.starts_with("Sizes");
        }
        let Some(inner) = line.strip_prefix("| `").and_then(|it| it.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = inner.split(" | ").map(str::trim).collect();
        let [name, _, default, why, outcome, tests] = cells[..] else {
            panic!("6 columns, not {}: {line}", cells.len());
        };
        assert!(!why.is_empty() && !outcome.is_empty(), "a reason and an outcome: {line}");
        let tests = tests.split('`').filter_map(|it| it.split_once("::"));
        rows.push(Row {
            name: name.trim_end_matches('`').to_owned(),
            default: default.to_owned(),
            tests: tests.map(|(file, test)| (file.to_owned(), test.to_owned())).collect(),
            is_limit,
        });
    }
    assert!(rows.len() > 100, "only {} rows were understood", rows.len());
    rows
}

/// The sources below a directory, each with the island it is of.
fn sources() -> Vec<(String, String)> {
    fn walk(below: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    let below = root().join("src");
    let mut paths = Vec::new();
    walk(&below, &mut paths);
    paths.sort();
    let island = |path: &Path| {
        let first = path.strip_prefix(&below).unwrap().iter().next().unwrap();
        first.to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    paths.iter().map(|path| (island(path), fs::read_to_string(path).unwrap())).collect()
}

/// The public fields of a struct, with their types.
fn fields<'a>(source: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let Some((_, rest)) = source.split_once(&format!("pub struct {name} {{\n")) else {
        return Vec::new();
    };
    let (body, _) = rest.split_once("\n}").unwrap();
    let field = |line: &'a str| line.strip_prefix("    pub ")?.strip_suffix(',')?.split_once(": ");
    body.lines().filter_map(field).collect()
}

fn is_number(kind: &str) -> bool {
    let kind = kind.trim_start_matches("Option<").trim_end_matches('>');
    matches!(kind, "u8" | "u16" | "u32" | "u64" | "usize" | "Duration")
        || kind.starts_with("NonZero")
}

/// Names of the limits in the sources: numbers in structs of limits and in the server's configuration.
fn fields_in_the_sources() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (island, source) in sources() {
        let structs = source.lines().filter_map(|line| {
            line.strip_prefix("pub struct ")?.split([' ', '<', '(', ';']).next()
        });
        for name in structs {
            let holds = name.ends_with("Limits")
                || ALSO_LIMITS.contains(&name)
                || (island == "server" && name == "Config");
            if holds {
                let numbers = fields(&source, name).into_iter().filter(|(_, kind)| is_number(kind));
                found.extend(numbers.map(|(field, _)| format!("{island}::{name}::{field}")));
            }
        }
    }
    found
}

/// Constants that bound something, with their values as written.
fn constants_in_the_sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (island, source) in sources() {
        let (code, _) = source.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&source, ""));
        for line in code.lines() {
            let Some((name, rest)) =
                line.split_once("const ").and_then(|(_, rest)| rest.split_once(": "))
            else {
                continue;
            };
            let bounds = name.ends_with("_MAX") || name.ends_with("_BYTES");
            let Some((kind, value)) = rest.strip_suffix(';').and_then(|it| it.split_once(" = "))
            else {
                continue;
            };
            if bounds && is_number(kind) && !NO_LIMITS.contains(&name) {
                found.insert(format!("{island}::{name}"), value.to_owned());
            }
        }
    }
    found
}

/// A default as the document writes it, as the code's debug output does: `16 KiB` is 16384.
fn plain(default: &str) -> String {
    let default = default.replace(',', "");
    let times = |number: &str, unit: u64| (number.parse::<u64>().unwrap() * unit).to_string();
    match default.split_once(' ') {
        Some((number, "KiB")) => times(number, 1 << 10),
        Some((number, "MiB")) => times(number, 1 << 20),
        Some((number, unit @ ("s" | "ms"))) => format!("{number}{unit}"),
        _ if default == "none" => "None".to_owned(),
        _ if default == "the CPUs" => {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            cpus.min(server::SHARDS_MAX).to_string()
        }
        _ => default,
    }
}

/// The value of a constant, as the document would have it.
fn evaluated(value: &str) -> Option<String> {
    let number = |it: &str| it.trim().replace('_', "").parse::<u64>().ok();
    if let Some((left, right)) = value.split_once(" << ") {
        return Some((number(left)? << number(right)?).to_string());
    }
    if let Some((left, right)) = value.split_once(" * ") {
        return Some((number(left)? * number(right)?).to_string());
    }
    Some(number(value)?.to_string())
}

#[test]
fn every_limit_of_the_sources_is_listed_and_nothing_else_is() {
    let listed: BTreeSet<String> = rows().into_iter().map(|row| row.name).collect();
    let mut known = fields_in_the_sources();
    assert!(known.contains("net::Limits::stall") && known.contains("server::Config::grace"));
    known.extend(constants_in_the_sources().into_keys());
    let missing: Vec<_> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/LIMITS.md lacks a row for {missing:#?}");
    let stale: Vec<_> = listed.difference(&known).collect();
    assert!(stale.is_empty(), "docs/LIMITS.md lists what the sources do not have: {stale:#?}");
}

#[test]
fn no_limit_is_listed_twice() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        assert!(seen.insert(row.name.clone()), "{} is listed twice", row.name);
    }
}

#[test]
fn every_limit_has_a_test_and_it_exists() {
    for row in rows() {
        assert!(!row.is_limit || !row.tests.is_empty(), "no test holds {}", row.name);
        for (file, test) in &row.tests {
            let source = fs::read_to_string(root().join(file));
            let source = source.unwrap_or_else(|error| panic!("{}: {file}: {error}", row.name));
            let named = source.contains(&format!("fn {test}("));
            assert!(named, "{}: {file} has no test {test}", row.name);
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_code() {
    let (defaults, constants) = (defaults(), constants_in_the_sources());
    let mut judged = 0;
    for row in rows() {
        let wanted = plain(&row.default);
        let actual = match row.name.rsplit_once("::").unwrap() {
            _ if constants.contains_key(&row.name) => evaluated(&constants[&row.name]),
            (holder, field) => defaults.get(holder).map(|shown| {
                let line = shown.lines().find_map(|line| {
                    line.strip_prefix("    ")?.strip_prefix(field)?.strip_prefix(": ")
                });
                let value = line.unwrap_or_else(|| panic!("{holder} shows no {field}: {shown}"));
                value.trim_end_matches(',').to_owned()
            }),
        };
        // No limit at all is the largest number.
        let actual = actual.map(|it| if it == u64::MAX.to_string() { "None".into() } else { it });
        if let Some(actual) = actual {
            assert_eq!(wanted, actual, "the default of {}", row.name);
            judged += 1;
        }
    }
    assert!(judged > 90, "only {judged} defaults were compared");
}
