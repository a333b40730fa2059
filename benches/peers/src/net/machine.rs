//! Where a run took place, and with what.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The machine, and the day.
pub fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("a processor without a name", |it| it.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    let virtual_machine = if cpus.contains("hypervisor") { ", a virtual machine" } else { "" };
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let day = date(since.as_secs() / 86_400);
    format!("{model}, {cores} cores{virtual_machine}, Linux {kernel}, {day}")
}

/// The day so many days after 1970-01-01, counted in years that begin in March, so that a leap day is a year's last.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{}-{month:02}-{day:02}", era * 400 + year + next_year)
}

/// npm's ws, with the addon that makes it quicker, in a folder of its own; where that is.
pub fn install_ws(scratch: &Path) -> Result<PathBuf, String> {
    let home = scratch.join("node");
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    if !home.join("node_modules/ws/package.json").exists() {
        let installed = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"])
            .args(["--prefix"])
            .arg(&home)
            .args(["ws", "bufferutil"])
            .output()
            .map_err(|error| format!("cannot start npm: {error}"))?;
        if !installed.status.success() {
            let said = String::from_utf8_lossy(&installed.stderr).into_owned();
            return Err(format!("npm: {}", said.lines().next().unwrap_or("failed")));
        }
    }
    match said("node", "--version") {
        Some(_) => Ok(home),
        None => Err("cannot start node".into()),
    }
}

fn said(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// What was measured, by package.
#[derive(Default)]
pub struct Versions(BTreeMap<String, String>);

impl Versions {
    pub fn read(node_home: &Path) -> Self {
        let mut all = locked(include_str!("../../Cargo.lock"));
        let package = |name: &str| {
            let path = node_home.join("node_modules").join(name).join("package.json");
            let json: serde_json::Value =
                serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
            Some(json["version"].as_str()?.to_owned())
        };
        for name in ["ws", "bufferutil"] {
            all.extend(package(name).map(|version| (name.to_owned(), version)));
        }
        let first_digit = |text: &str| text.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        for (name, program) in [("node", "node"), ("rustc", "rustc")] {
            if let Some(text) = said(program, "--version") {
                let version = text[first_digit(&text)..].split(' ').next().unwrap_or_default();
                all.insert(name.to_owned(), version.to_owned());
            }
        }
        Self(all)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Those that matter.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        NAMED.iter().filter_map(|&name| Some((name, self.get(name)?)))
    }
}

/// The packages whose versions are told.
const NAMED: [&str; 12] = [
    "sockeye",
    "tungstenite",
    "fastwebsockets",
    "tokio-websockets",
    "sockudo-ws",
    "yawc",
    "ws",
    "bufferutil",
    "mio",
    "tokio",
    "node",
    "rustc",
];

/// Names and versions of a Cargo.lock.
fn locked(text: &str) -> BTreeMap<String, String> {
    let mut lines = text.lines();
    let mut all = BTreeMap::new();
    while let Some(line) = lines.next() {
        let quoted = |line: &str, key: &str| {
            Some(line.strip_prefix(key)?.trim_matches([' ', '=', '"']).to_owned())
        };
        if let Some(name) = quoted(line, "name = ")
            && let Some(version) = lines.next().and_then(|line| quoted(line, "version = "))
        {
            all.insert(name, version);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_by_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (790, "1972-03-01"),
            (11_016, "2000-02-29"),
            (20_819, "2027-01-01"),
        ] {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn every_rust_server_has_a_version() {
        let locked = locked(include_str!("../../Cargo.lock"));
        for rival in super::super::cells::RIVALS {
            assert!(rival.package.is_empty() || locked.contains_key(rival.package), "{}", rival.id);
        }
        assert_eq!(locked["sockeye-peers"], "0.0.0");
    }
}
