//! What the package says of itself and what comes with it: held by asking cargo and git, and by reading
//! the manifest. Where one of them cannot be asked the test says so and passes, unless
//! `SOCKEYE_REQUIRE_TOOLS` is set, as it is in continuous integration.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The command's output, or the reason why there is none.
fn output(command: &mut Command) -> Result<String, String> {
    let done = command.current_dir(root()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if !done.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Asks cargo without the network, and with it only if that does not do.
fn cargo(arguments: &[&str]) -> Result<String, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ask = |more: &[&str]| output(Command::new(&cargo).args(arguments).args(more));
    ask(&["--offline"]).or_else(|_| ask(&[]))
}

/// The answer, or `None` after saying why the test is skipped.
fn or_skip<T>(answer: Result<T, String>) -> Option<T> {
    let required = env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some();
    answer
        .inspect_err(|reason| {
            assert!(!required, "{reason}");
            eprintln!("skipped: {reason}");
        })
        .ok()
}

fn manifest() -> String {
    fs::read_to_string(root().join("Cargo.toml")).expect("a package has a manifest")
}

/// The files that git keeps, if this is a repository of ours and not a package unpacked in another's.
fn committed() -> Result<Vec<PathBuf>, String> {
    if !root().join(".git").exists() {
        return Err("no git repository here".into());
    }
    let names = output(Command::new("git").args(["ls-files", "-z"]))?;
    let paths = names.split_terminator('\0').map(|name| root().join(name));
    // A file may be deleted and not yet committed so.
    Ok(paths.filter(|path| path.is_file()).collect())
}

/// The packages that cargo compiles for these features, ourselves included.
fn tree(features: &[&str]) -> Option<Vec<String>> {
    let arguments = ["tree", "--no-default-features", "-e", "normal", "--prefix", "none"];
    let answer = or_skip(cargo(&[&arguments, features].concat()))?;
    let mut names: Vec<String> =
        answer.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Some(names)
}

#[test]
fn the_codec_alone_pulls_one_crate() {
    if let Some(names) = tree(&[]) {
        assert_eq!(names, ["simdutf8", "sockeye"]);
    }
}

#[test]
fn no_feature_below_tls_pulls_a_tls_library() {
    for features in ["handshake", "deflate", "client", "client,deflate", "tokio", "tokio,client"] {
        if let Some(names) = tree(&["--features", features]) {
            let found = names.iter().find(|name| name.starts_with("rustls") || *name == "ring");
            assert_eq!(found, None, "{features}");
        }
    }
}

#[test]
fn the_async_adapter_pulls_no_url_parser_and_no_tls() {
    if let Some(names) = tree(&["--features", "tokio"]) {
        for other in ["url", "idna", "rustls", "tokio-rustls", "hyper", "futures-util"] {
            assert!(!names.iter().any(|name| name == other), "{other}");
        }
    }
    if let Some(names) = tree(&["--features", "client,deflate,tls,server"]) {
        assert!(!names.iter().any(|name| name == "tokio"), "only its own feature pulls tokio");
    }
}

#[test]
fn only_the_program_pulls_what_reads_settings_and_writes_logs() {
    if let Some(names) = tree(&["--features", "client,deflate,net,http,relay"]) {
        for program in ["clap", "serde", "toml", "tracing", "tracing-subscriber", "signal-hook"] {
            assert!(!names.iter().any(|name| name == program), "{program}");
        }
    }
}

#[test]
fn a_server_of_ones_own_pulls_loop_and_codec_and_no_tls_unless_asked() {
    if let Some(names) = tree(&["--features", "serve,deflate"]) {
        let others =
            ["clap", "serde", "serde_json", "toml", "tracing", "signal-hook", "rustls", "url"];
        let found = names.iter().find(|name| others.contains(&&***name));
        assert_eq!(found, None);
        assert!(names.iter().any(|name| name == "mio"));
    }
}

#[test]
fn only_the_load_tool_pulls_what_it_counts_and_draws_with() {
    for features in ["client,deflate,tls", "net,http,relay", "server"] {
        if let Some(names) = tree(&["--features", features]) {
            let own = ["hdrhistogram", "indicatif", "console", "rlimit"];
            let found = names.iter().find(|name| own.contains(&&***name));
            assert_eq!(found, None, "{features}");
        }
    }
}

#[test]
fn only_the_client_at_the_terminal_pulls_what_edits_a_line() {
    for features in ["client,deflate,tls", "server", "bench"] {
        if let Some(names) = tree(&["--features", features]) {
            let found = names.iter().find(|name| ["rustyline", "nix"].contains(&&***name));
            assert_eq!(found, None, "{features}");
        }
    }
}

#[test]
fn every_feature_is_described() {
    let text = manifest();
    let section = text.split("[features]\n").nth(1).expect("the manifest has features");
    let section = section.split("\n[").next().unwrap_or_default();
    let mut before = "";
    let mut seen = 0;
    for line in section.lines() {
        let name = line.split(" =").next().unwrap_or_default();
        let is_feature = name.len() < line.len() && !line.starts_with([' ', '#', ']']);
        if is_feature && name != "default" {
            assert!(before.starts_with("## "), "no `##` line above the feature {name}");
            seen += 1;
        }
        before = line;
    }
    assert!(seen >= 5, "{seen} features found");
}

#[test]
fn the_package_ships_what_users_need_and_nothing_of_the_workshop() {
    let Some(answer) = or_skip(cargo(&["package", "--list", "--allow-dirty"])) else {
        return;
    };
    let files: Vec<&str> = answer.lines().collect();
    for needed in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md", "src/lib.rs"] {
        assert!(files.contains(&needed), "{needed} is not shipped");
    }
    for workshop in [".ci/", "fuzz/corpus/", "benches/peers/", "tests/no_std/", "target/"] {
        let found = files.iter().find(|file| file.starts_with(workshop));
        assert_eq!(found, None);
    }
}

/// The words are put together here, so that this file does not find itself.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!(".cargo/reg", "istry/"),
];

const REGISTRIES: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
];

/// Where `word` stands in `bytes`, as a line number.
fn line_of(bytes: &[u8], word: &str) -> Option<usize> {
    let at = bytes.windows(word.len()).position(|window| window == word.as_bytes())?;
    Some(1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count())
}

#[test]
fn no_committed_file_names_a_machine_or_a_registry() {
    let Some(paths) = or_skip(committed()) else {
        return;
    };
    assert!(paths.len() > 20, "{} files", paths.len());
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        // Lock files name the registry, as their tools write them; the next test looks at that.
        let is_lock = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".lock") || name.ends_with("-lock.json")
        });
        let registries = if is_lock { &[][..] } else { &REGISTRIES[..] };
        for word in MACHINE_PATHS.iter().chain(registries) {
            let found = line_of(&bytes, word);
            assert_eq!(found, None, "{} names {word} in this line", path.display());
        }
    }
}

#[test]
fn every_locked_crate_comes_from_the_public_registry() {
    let Some(paths) = or_skip(committed()) else {
        return;
    };
    let public = concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"");
    for path in paths.iter().filter(|path| path.ends_with("Cargo.lock")) {
        let text = fs::read_to_string(path).unwrap();
        let other = text.lines().find(|line| line.starts_with("source = ") && *line != public);
        assert_eq!(other, None, "{}", path.display());
    }
}
