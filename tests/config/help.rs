//! The help: what an operator reads first.

use crate::program::{output, sockeye};

fn said(arguments: &[&str]) -> String {
    let output = output(sockeye().args(arguments));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
    String::from_utf8(output.stdout).unwrap()
}

const SECTIONS: [&str; 8] = [
    "Listening:",
    "TLS:",
    "Who may connect:",
    "Limits:",
    "Time limits:",
    "Chat:",
    "Logs:",
    "Configuration:",
];

#[test]
fn help_is_in_sections_with_defaults_units_and_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["help", "serve"]] {
        let help = said(arguments);
        let places: Vec<usize> = SECTIONS
            .iter()
            .map(|section| help.find(&format!("\n{section}\n")).expect("every section"))
            .collect();
        assert!(places.is_sorted(), "{places:?}");
        for part in [
            "[default: 127.0.0.1:8080, [::1]:8080]",
            "[default: 16MiB]",
            "[default: 25s]",
            "Examples:\n  sockeye ",
            "SOCKEYE_MAX_PAYLOAD",
            "Exit status:",
        ] {
            assert!(help.contains(part), "{part} is not in {help}");
        }
    }
}

#[test]
fn short_help_has_a_line_or_two_for_each_flag() {
    let help = said(&["-h"]);
    assert!(SECTIONS.iter().all(|section| help.contains(section)));
    assert!(help.lines().count() < 100, "{} lines", help.lines().count());
    assert!(help.contains("sockeye --help"));
}

#[test]
fn the_version_is_told() {
    assert_eq!(said(&["--version"]), format!("sockeye {}\n", env!("CARGO_PKG_VERSION")));
}
