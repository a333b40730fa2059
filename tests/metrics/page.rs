//! What the page looks like to who reads it, in both formats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::server::{Server, get, page, parsed};

const OPEN: &str = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";

/// The types and helps of the page, by name.
fn described(page: &str, what: &str) -> BTreeMap<String, String> {
    let prefix = format!("# {what} ");
    let mut all = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix(&prefix)) {
        let (name, text) = line.split_once(' ').expect("a name and a text");
        assert_eq!(all.insert(name.to_owned(), text.to_owned()), None, "{name} twice");
    }
    all
}

#[test]
fn every_number_has_help_and_type_and_a_name_as_is_usual() {
    let server = Server::start(&["--shards", "2"]);
    let page = page(server.address, "");
    let (types, helps) = (described(&page, "TYPE"), described(&page, "HELP"));
    assert_eq!(types.keys().collect::<Vec<_>>(), helps.keys().collect::<Vec<_>>());
    let ends = ["_bucket", "_sum", "_count"];
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ends.iter().find_map(|end| {
            name.strip_suffix(end)
                .filter(|name| types.get(*name).is_some_and(|it| it == "histogram"))
        });
        let family = family.unwrap_or(name);
        let kind = types.get(family).unwrap_or_else(|| panic!("{name} has no type"));
        assert_eq!(kind == "counter", family.ends_with("_total"), "{name}");
        assert!(family.starts_with("sockeye_") || family.starts_with("process_"), "{name}");
    }
    for (name, help) in &helps {
        assert!(help.len() > 10 && help.ends_with('.'), "{name}: {help}");
    }
}

#[test]
fn a_histogram_rises_to_its_count() {
    let server = Server::start(&["--shards", "1"]);
    let _ = get(server.address, "/", "");
    let page = page(server.address, "");
    let mut last = 0.0;
    for line in page.lines().filter(|line| line.starts_with("sockeye_loop_turn_seconds_bucket")) {
        let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(value >= last, "{page}");
        last = value;
        assert!(!line.contains("le=\"+Inf\"") || value > 0.0);
    }
    let count = page.lines().find_map(|line| line.strip_prefix("sockeye_loop_turn_seconds_count"));
    assert!(count.unwrap().ends_with(&format!(" {last}")), "{count:?} {last}");
    assert!(page.contains("le=\"0.00025\"") && page.contains("le=\"+Inf\""), "{page}");
}

#[test]
fn who_asks_for_openmetrics_gets_it() {
    let server = Server::start(&["--shards", "1"]);
    for address in [server.address, server.apart] {
        let (head, open) = get(address, "/metrics", OPEN);
        assert!(
            head.contains("Content-Type: application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        assert!(open.ends_with("# EOF\n"));
        let (head, text) = get(address, "/metrics", "Accept: */*\r\n");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        assert!(!text.contains("# EOF"));
        // There, a counter is named without the ending that its samples have.
        let (open_types, types) = (described(&open, "TYPE"), described(&text, "TYPE"));
        assert_eq!(open_types["sockeye_build"], "info");
        assert_eq!(types["sockeye_build_info"], "gauge");
        for (name, kind) in &open_types {
            let same = match kind.as_str() {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.clone(),
            };
            assert!(types.contains_key(&same), "{same}");
        }
        let samples = |page: &str| -> BTreeSet<String> {
            let lines = page.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
        };
        assert_eq!(samples(&open), samples(&text));
    }
}

#[test]
fn labels_have_few_values_whatever_clients_say() {
    let server = Server::start(&["--shards", "1"]);
    let before = parsed(&page(server.address, "")).samples.len();
    for n in 0..50 {
        let _ = get(server.address, &format!("/nothing/{n}?room=r{n}"), "User-Agent: x\r\n");
    }
    assert_eq!(parsed(&page(server.address, "")).samples.len(), before);
    assert!(before < 250, "{before} series of one loop");
}

/// Prometheus's own tool finds no fault with it. Skipped where it is not installed, unless tools are required.
#[test]
fn promtool_finds_no_fault() {
    let check = |page: &str| -> Option<(bool, String)> {
        let mut child = match Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
        {
            Ok(child) => child,
            Err(error) => {
                let required = std::env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some();
                assert!(!required, "promtool: {error}");
                eprintln!("skipped: promtool: {error}");
                return None;
            }
        };
        child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8(said).unwrap()))
    };
    let server = Server::start(&["--shards", "2"]);
    let page = page(server.address, "");
    if let Some((good, said)) = check(&page) {
        assert!(good && said.is_empty(), "{said}");
        let (good, _) = check(&page.replace("_total", "")).unwrap();
        assert!(!good, "the check can fail");
    }
}
