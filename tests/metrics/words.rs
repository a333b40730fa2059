//! What is written about the numbers is true of them: the page of documentation, the dashboard, the alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, page};

fn file(path: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Type, and values by label, of each metric.
type Metrics = BTreeMap<String, (String, BTreeMap<String, BTreeSet<String>>)>;

fn metrics() -> Metrics {
    let page = page(Server::start(&["--shards", "1"]).apart, "");
    let mut all = Metrics::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            all.insert(name.to_owned(), (kind.to_owned(), BTreeMap::new()));
        } else if let Some((name, rest)) = line.split_once('{') {
            let family = family(name, &all);
            let labels = &mut all.get_mut(&family).unwrap().1;
            for pair in rest.split_once('}').unwrap().0.split(',') {
                let (label, value) = pair.split_once('=').unwrap();
                if label != "le" {
                    let value = value.trim_matches('"').to_owned();
                    labels.entry(label.to_owned()).or_default().insert(value);
                }
            }
        }
    }
    assert!(all.len() > 40, "only {} metrics were understood", all.len());
    all
}

/// The metric that a series belongs to.
fn family(series: &str, all: &Metrics) -> String {
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
        let name = series.strip_suffix(end)?;
        all.get(name).filter(|it| it.0 == "histogram").map(|_| name)
    });
    of_histogram.unwrap_or(series).to_owned()
}

/// The names of series in an expression.
fn series_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let ours = |word: &&str| word.starts_with("sockeye_") || word.starts_with("process_");
    words.filter(ours).map(str::to_owned).collect()
}

/// Cells in backquotes.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_metric_is_documented_with_its_type_and_labels() {
    let document = file("docs/METRICS.md");
    let metrics = metrics();
    let mut listed = BTreeMap::new();
    for line in
        document.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() > 2)
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning, _] = cells[..] else { panic!("5 columns: {line}") };
        assert!(!meaning.is_empty(), "{line}");
        let name = name.trim_matches('`').to_owned();
        assert_eq!(listed.insert(name, (kind.to_owned(), quoted(labels))), None, "twice: {line}");
    }
    let there: BTreeMap<_, _> = metrics
        .iter()
        .map(|(name, (kind, labels))| {
            (name.clone(), (kind.clone(), labels.keys().cloned().collect::<BTreeSet<_>>()))
        })
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_value_of_a_label_is_documented() {
    let document = file("docs/METRICS.md");
    let metrics = metrics();
    let reasons = |metric: &str| -> BTreeSet<String> {
        let head = format!("| `reason` of `{metric}` | |\n|---|---|\n");
        let (_, rest) = document.split_once(&head).unwrap_or_else(|| panic!("no {head}"));
        rest.lines()
            .map_while(|line| line.strip_prefix("| `")?.split('`').next())
            .map(str::to_owned)
            .collect()
    };
    for metric in ["sockeye_connections_ended_total", "sockeye_handshake_failures_total"] {
        assert_eq!(reasons(metric), metrics[metric].1["reason"], "{metric}");
    }
    let values = |label: &str| -> BTreeSet<String> {
        let (_, rest) = document.split_once(&format!("`{label}`: ")).unwrap();
        quoted(rest.split(". ").next().unwrap().split(".\n").next().unwrap())
    };
    for (metric, label) in [
        ("sockeye_websockets", "dialect"),
        ("sockeye_messages_sent_total", "kind"),
        ("sockeye_deflate_ratio", "direction"),
        ("sockeye_handshakes_total", "outcome"),
        ("sockeye_close_frames_sent_total", "code"),
    ] {
        assert_eq!(values(label), metrics[metric].1[label], "{label}");
    }
}

#[test]
fn the_dashboard_shows_every_metric_and_none_that_is_not_there() {
    let dashboard: Value = serde_json::from_str(&file("contrib/grafana/sockeye.json")).unwrap();
    let metrics = metrics();
    let mut shown = BTreeSet::new();
    let mut add = |expression: &str| {
        for series in series_in(expression) {
            let family = family(&series, &metrics);
            assert!(metrics.contains_key(&family), "there is no {series}: {expression}");
            shown.insert(family);
        }
    };
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id stands once: {panel}");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(x < 24 && places.insert((x, y)), "panels overlap: {}", panel["title"]);
            }
        }
        if panel["type"] != "row" {
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{panel}");
            targets.iter().for_each(|target| add(target["expr"].as_str().unwrap()));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        add(annotation["expr"].as_str().unwrap_or_default());
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        add(variable["definition"].as_str().unwrap_or_default());
    }
    let missing: Vec<_> = metrics.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

#[test]
fn alerts_ask_for_metrics_and_labels_that_are_there() {
    let (rules, metrics) = (file("contrib/prometheus/sockeye.rules.yml"), metrics());
    let used = series_in(&rules);
    assert!(used.len() > 8, "{used:?}");
    for series in used {
        assert!(metrics.contains_key(&family(&series, &metrics)), "there is no {series}");
    }
    for reason in ["reset", "silent", "stalled"] {
        assert!(rules.contains(reason));
        assert!(metrics["sockeye_connections_ended_total"].1["reason"].contains(reason));
    }
}

/// Skipped where Prometheus's tool is not installed, unless tools are required.
#[test]
fn promtool_takes_the_rules_and_the_configuration() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("contrib/prometheus");
    for (what, file) in [("rules", "sockeye.rules.yml"), ("config", "prometheus.yml")] {
        match Command::new("promtool").args(["check", what, file]).current_dir(&folder).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                let why = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{said}{why}");
            }
            Err(error) => {
                let required = std::env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some();
                assert!(!required, "promtool: {error}");
                eprintln!("skipped: promtool: {error}");
            }
        }
    }
}
