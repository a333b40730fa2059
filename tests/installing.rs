//! What an operator installs beside the program: completions, the manual, the unit for systemd; and that the
//! service manager hears how the service stands. Tools that are missing skip their tests with a printed
//! reason; with `SOCKEYE_REQUIRE_TOOLS=1` those fail that are asked for in `.ci/run`.

#![cfg(all(feature = "server", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sockeye::server::Config;

fn sockeye() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sockeye"))
}

fn printed(arguments: &[&str]) -> String {
    let output = sockeye().args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sockeye-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a tool is there; if not, why that is no failure.
fn has(tool: &str, asked_for: bool) -> bool {
    let quiet = Stdio::null;
    let found =
        Command::new(tool).arg("--version").stdout(quiet()).stderr(quiet()).status().is_ok();
    let required = std::env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some_and(|it| it == "1");
    assert!(found || !required || !asked_for, "{tool} is not installed");
    if !found {
        eprintln!("skipped: {tool} is not installed");
    }
    found
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !has("bash", true) {
        return;
    }
    let folder = Folder::new("bash");
    let script = folder.path("sockeye");
    fs::write(&script, printed(&["completions", "bash"])).unwrap();
    // As bash asks when the tab key is pressed at the end of this line.
    let completed = |words: &[&str]| {
        let asking = r#"
            source "$1"; shift
            compopt() { :; } # only bash itself, at the key, lets it be called
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            registered=$(complete -p sockeye); function=${registered##*-F }
            "${function%% *}" sockeye "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[@]}"
        "#;
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", asking, "bash"]).arg(&script).args(words);
        said(&mut bash).trim().to_owned()
    };
    assert_eq!(completed(&["sockeye", "--trust"]), "--trusted-proxy");
    assert_eq!(completed(&["sockeye", "comp"]), "completions");
    assert!(completed(&["sockeye", "completions", ""]).contains("bash elvish fish"));
    assert_eq!(completed(&["sockeye", "--print-config", "--proxy-p"]), "--proxy-protocol");
    // After a flag that wants a file, files.
    let cert = completed(&["sockeye", "--tls-cert", folder.0.to_str().unwrap()]);
    assert_eq!(cert, folder.0.to_str().unwrap());
}

#[test]
fn other_shells_understand_their_scripts() {
    let folder = Folder::new("shells");
    for shell in ["zsh", "fish"] {
        let script = folder.path(shell);
        fs::write(&script, printed(&["completions", shell])).unwrap();
        if has(shell, false) {
            assert_eq!(said(Command::new(shell).arg("-n").arg(&script)), "", "{shell}");
        }
    }
    if has("fish", false) {
        let ask = "source $argv[1]; complete -C 'sockeye --trust'; complete -C 'sockeye comp'";
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", ask]).arg(folder.path("fish"));
        let offered = said(&mut fish);
        let offered: Vec<&str> =
            offered.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(offered, ["--trusted-proxy", "completions"]);
    }
    let refused = sockeye().args(["completions", "csh"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_manual_has_a_page_for_each_command_and_a_word_on_each_setting() {
    let folder = Folder::new("man");
    let pages = folder.path("man1");
    assert_eq!(printed(&["man", pages.to_str().unwrap()]), "");
    let whole = fs::read_to_string(pages.join("sockeye.1")).unwrap();
    assert_eq!(whole, printed(&["man"]));
    for line in printed(&["--print-config"]).lines() {
        let key = line.trim_start_matches("# ").split(' ').next().unwrap();
        if line.contains(" = ") || line.ends_with("is not set") {
            assert!(whole.contains(&format!("--{key}").replace('-', "\\-")), "{key}");
        }
    }
    for command in sockeye::server::command().get_subcommands() {
        let page = format!("sockeye-{}.1", command.get_name());
        assert!(pages.join(&page).is_file(), "{page}");
    }
    // Nothing is referred to that is not there.
    assert!(!whole.contains("sockeye\\-help"));
    if !has("groff", true) {
        return;
    }
    for page in fs::read_dir(&pages).unwrap() {
        let page = page.unwrap().path();
        let shown =
            said(Command::new("groff").args(["-ww", "-man", "-Tutf8", "-P-cbou"]).arg(&page));
        assert!(shown.contains("SYNOPSIS"), "{}", page.display());
        if page.ends_with("sockeye.1") {
            // An example is a line as it was written.
            let examples = shown.lines().filter(|line| line.contains("--tls-key key.pem")).count();
            assert_eq!(examples, 1, "{shown}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_is_told() {
    let output = sockeye().args(["man", "/dev/null/man1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("/dev/null/man1") && told.lines().count() == 1, "{told}");
}

/// A server whose manager listens at `socket`.
struct Managed(Child);

impl Managed {
    fn start(socket: &str) -> Self {
        let child = sockeye()
            .args(["--listen", "127.0.0.1:0", "--log", "off"])
            .env("NOTIFY_SOCKET", socket)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_service_manager_hears_of_the_start_of_reloads_and_of_the_end() {
    let folder = Folder::new("notify");
    let path = folder.path("socket");
    let name = format!("sockeye-notify-{}", std::process::id());
    let nameless = SocketAddr::from_abstract_name(&name).unwrap();
    for (socket, at) in [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&nameless).unwrap(), format!("@{name}")),
    ] {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let heard = || {
            let mut word = [0; 100];
            let len = socket.recv(&mut word).unwrap();
            String::from_utf8(word[..len].to_vec()).unwrap()
        };
        let mut server = Managed::start(&at);
        assert_eq!(heard(), "READY=1");
        server.signal("HUP");
        assert_eq!([heard(), heard()], ["RELOADING=1", "READY=1"]);
        server.signal("TERM");
        assert_eq!(heard(), "STOPPING=1");
        assert_eq!(server.0.wait().unwrap().code(), Some(0));
    }
    // A manager that is gone is nobody's failure.
    let mut server = Managed::start("/nowhere/at/all");
    std::thread::sleep(Duration::from_millis(300));
    server.signal("TERM");
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

fn contrib(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(file)).unwrap()
}

#[test]
fn the_unit_fits_the_server_and_systemd_finds_no_fault_with_it() {
    let unit = contrib("systemd/sockeye.service");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("no {key}")).trim_end_matches('s').parse::<u64>().unwrap()
    };
    let config = Config::default();
    assert!(value("TimeoutStopSec") > config.grace.as_secs());
    assert!(value("LimitNOFILE") > config.max_connections as u64);
    // Its settings are understood, and what the proxies' configurations lead to.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd/sockeye.toml");
    let effect = printed(&["--config", file.to_str().unwrap(), "--print-config"]);
    assert!(effect.contains("unix = [\"/run/sockeye/sockeye.sock\"]"), "{effect}");
    if !has("systemd-analyze", false) {
        return;
    }
    let folder = Folder::new("unit");
    let fitted = |text: &str| text.replace("/usr/local/bin/sockeye", env!("CARGO_BIN_EXE_sockeye"));
    let path = folder.path("sockeye.service");
    fs::write(&path, fitted(&unit)).unwrap();
    let verify = || {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .unwrap();
        // What other units of the machine lack is no fault of this one.
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let own: Vec<_> = told.lines().filter(|line| line.contains("sockeye")).collect();
        assert!(own.is_empty(), "{own:#?}");
    };
    verify();
    let more = folder.path("sockeye.service.d");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("tls.conf"), fitted(&contrib("systemd/sockeye.service.d/tls.conf")))
        .unwrap();
    verify();
}
