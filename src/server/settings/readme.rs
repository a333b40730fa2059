//! The README's table of settings: written from the definition, and held to it.
//! `SOCKEYE_BLESS=1 cargo test --lib readme` writes it anew.

use std::fmt::Write;
use std::fs;

use clap::{Args, Command};

use super::{Settings, table, variable};
use crate::server::Config;
use crate::server::args::shown;

const BEGIN: &str = "<!-- config -->\n";
const END: &str = "<!-- /config -->";

#[test]
fn the_readme_has_every_setting() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README marks its table");
    let (stands, after) = rest.split_once(END).expect("the README marks the end of its table");
    let written = written();
    if std::env::var_os("SOCKEYE_BLESS").is_some() {
        fs::write(path, format!("{before}{BEGIN}{written}{END}{after}")).unwrap();
    } else {
        assert_eq!(stands, written, "SOCKEYE_BLESS=1 cargo test --lib readme");
    }
}

#[test]
fn the_readmes_file_is_one() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```toml\n").skip(1);
    let text =
        blocks.filter_map(|block| block.split("```").next()).find(|it| it.contains("listen"));
    let settings: Settings = toml::from_str(text.unwrap()).unwrap();
    assert!(settings.apply().is_ok());
}

fn written() -> String {
    let command = Settings::augment_args(Command::new("sockeye"));
    // As on a machine with one CPU, wherever this runs.
    let defaults = table(&Settings::of(&Config { shards: 1, ..Config::default() }));
    let mut text =
        "\n| flag | variable | key in the file | default | |\n|---|---|---|---|---|\n".to_owned();
    let mut section = None;
    for argument in command.get_arguments() {
        if section != argument.get_help_heading() {
            section = argument.get_help_heading();
            writeln!(text, "| **{}** | | | | |", section.unwrap()).unwrap();
        }
        let key = argument.get_id().as_str().replace('_', "-");
        let value = argument.get_value_names().unwrap()[0].replace('|', "\\|");
        let flag = if ["deflate", "proxy-protocol"].contains(&&*key) {
            format!("--{key}")
        } else {
            format!("--{key} {value}")
        };
        let default = match defaults.get(&key).and_then(shown) {
            _ if key == "shards" => "the CPUs".to_owned(),
            Some(default) => format!("`{}`", default.replace(", ", "`, `")),
            None => String::new(),
        };
        let help = argument.get_help().unwrap().to_string().replace('|', "\\|");
        let variable = variable(&key);
        writeln!(text, "| `{flag}` | `{variable}` | `{key}` | {default} | {help} |").unwrap();
    }
    text.push('\n');
    text
}
