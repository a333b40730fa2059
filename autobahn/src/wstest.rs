//! Where the suite comes from, and how it is called. Knows no testee and no verdict.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::args::home;
use crate::child::{Running, Stop, succeeds};
use crate::failure::{Failure, While as _};

/// The suite as its makers ship it, where there is no Python 2.7.
const IMAGE: &str = "crossbario/autobahn-testsuite:0.8.2";

/// The last that makes environments of Python 2.7.
const VIRTUALENV: &str = "virtualenv==20.15.1";

/// For one step of an installation, downloads and a little C included.
const STEP_MAX: Duration = Duration::from_secs(600);

/// A suite that can be called.
#[derive(Debug)]
pub(crate) enum Wstest {
    /// The Python whose packages hold it.
    Python(PathBuf),
    Docker,
}

/// Finds the suite, or makes it.
pub(crate) fn find(stop: &Stop) -> Result<Wstest, Failure> {
    if let Some(wanted) = env::var_os("WSTEST") {
        let path = Path::new(&wanted);
        let found = if path.is_file() { Some(path.to_owned()) } else { on_path(&wanted) };
        return found.as_deref().and_then(python_of).map(Wstest::Python).ok_or_else(|| {
            Failure::Because(format!(
                "$WSTEST is {:?}, which is no wstest of the Autobahn suite; unset it or name one",
                wanted.display()
            ))
        });
    }
    let own = home().join(".venv/bin/wstest");
    let there = [on_path("wstest"), Some(own.clone())].into_iter().flatten();
    if let Some(python) = there.filter(|it| it.is_file()).find_map(|it| python_of(&it)) {
        return Ok(Wstest::Python(python));
    }
    if let Some(python) = python27() {
        install(&python, stop)?;
        return python_of(&own).map(Wstest::Python).ok_or_else(|| {
            Failure::Because(format!(
                "the suite was installed with {} and does not run; remove autobahn/.venv and try again",
                python.display()
            ))
        });
    }
    if succeeds(Command::new("docker").arg("info")) {
        return Ok(Wstest::Docker);
    }
    Err(Failure::because(
        "the Autobahn suite needs Python 2.7: install it (`pyenv install 2.7.18` does) or start docker, and run this again",
    ))
}

impl Wstest {
    /// A line that says which it is.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Python(python) => {
                let slow = if succeeds(Command::new(python).args(["-c", "import wsaccel"])) {
                    ""
                } else {
                    "; without wsaccel it is four times as slow in sections 1 to 10"
                };
                format!("wstest under {}{slow}", python.display())
            }
            Self::Docker => format!("wstest in {IMAGE}"),
        }
    }

    /// The suite as a client that goes through a server's cases. `folder` holds `spec.json`.
    pub(crate) fn fuzzing_client(&self, folder: &Path) -> Command {
        match self {
            Self::Python(python) => Self::python(python, "fuzzingclient", folder),
            // The server is on the host's loopback.
            Self::Docker => Self::docker(&["--network", "host"], "fuzzingclient", folder),
        }
    }

    /// The suite as a server, on the port that `spec.json` in `folder` names.
    pub(crate) fn fuzzing_server(&self, folder: &Path, port: u16) -> Command {
        match self {
            Self::Python(python) => Self::python(python, "fuzzingserver", folder),
            // Listens on every interface, of the container.
            Self::Docker => {
                let publish = format!("127.0.0.1:{port}:{port}");
                Self::docker(&["--publish", &publish], "fuzzingserver", folder)
            }
        }
    }

    /// The port to name in `spec.json`: 0, if whoever listens says which it became.
    pub(crate) fn port(&self) -> Result<u16, Failure> {
        match self {
            Self::Python(_) => Ok(0),
            Self::Docker => {
                let address = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
                Ok(address.or_fail("find a free port")?.port())
            }
        }
    }

    fn python(python: &Path, mode: &str, folder: &Path) -> Command {
        let mut command = Command::new(python);
        // Unbuffered: the lines are the progress.
        command.arg("-u").arg(home().join("loopback.py")).args(arguments(mode, folder));
        command
    }

    fn docker(network: &[&str], mode: &str, folder: &Path) -> Command {
        let mut command = Command::new("docker");
        // Under the same path inside, so that the names in `spec.json` are true there too.
        let mount = format!("{0}:{0}", folder.display());
        command.args(["run", "--rm", "--init", "--env", "PYTHONUNBUFFERED=1", "--volume", &mount]);
        if let Ok(meta) = fs::metadata(folder) {
            use std::os::unix::fs::MetadataExt as _;
            command.args(["--user", &format!("{}:{}", meta.uid(), meta.gid())]);
        }
        command.args(network).args([IMAGE, "wstest"]).args(arguments(mode, folder));
        command
    }
}

fn arguments(mode: &str, folder: &Path) -> [String; 6] {
    let spec = folder.join("spec.json").display().to_string();
    // Without a web server, whose port would be the same for everybody.
    ["-m", mode, "-s", &spec, "-u", "0"].map(str::to_owned)
}

/// The Python of a `wstest`, if that has the suite: what its first line names, or what lies beside it.
fn python_of(wstest: &Path) -> Option<PathBuf> {
    let script = fs::read(wstest).ok()?;
    let first = script.split(|&byte| byte == b'\n').next()?;
    let first = std::str::from_utf8(first).ok()?;
    let named = first.strip_prefix("#!").map(|it| it.trim().trim_start_matches("/usr/bin/env "));
    let beside = wstest.parent()?;
    [named.map(PathBuf::from), Some(beside.join("python2.7")), Some(beside.join("python"))]
        .into_iter()
        .flatten()
        .find(|python| {
            succeeds(Command::new(python).args(["-c", "import autobahntestsuite.wstest"]))
        })
}

fn on_path(name: impl AsRef<Path>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name.as_ref())).find(|it| it.is_file())
}

/// A Python 2.7 that works: on the PATH, or one of pyenv's.
fn python27() -> Option<PathBuf> {
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| env::home_dir().map(|home| home.join(".pyenv")))?;
    let versions = fs::read_dir(pyenv.join("versions")).into_iter().flatten().flatten();
    let of_pyenv = versions
        .filter(|it| it.file_name().to_string_lossy().starts_with("2.7"))
        .map(|it| it.path().join("bin/python2.7"));
    on_path("python2.7").into_iter().chain(of_pyenv).find(|python| {
        let check = "import sys, ssl, zlib; sys.exit(sys.version_info[:2] != (2, 7))";
        succeeds(Command::new(python).args(["-c", check]))
    })
}

/// Makes `autobahn/.venv` with the suite in it.
fn install(python: &Path, stop: &Stop) -> Result<(), Failure> {
    let venv = home().join(".venv");
    let tool = venv.join("tool");
    let step = |what: &str, command: &mut Command| {
        eprintln!("{what} ...");
        Running::start(what, command, stop)?.succeed(STEP_MAX)
    };
    fs::create_dir_all(&venv).or_fail(format!("make {}", venv.display()))?;
    let pip = ["-m", "pip", "--disable-pip-version-check"];
    let mut make = Command::new(python);
    if !succeeds(Command::new(python).args(["-m", "virtualenv", "--version"])) {
        // In a place of its own: nobody asked us to change the machine's Python.
        if succeeds(Command::new(python).args(pip).arg("--version")) {
            let mut command = Command::new(python);
            command.args(pip).args(["install", "--quiet", "--target"]).arg(&tool).arg(VIRTUALENV);
            step("fetching virtualenv", &mut command)?;
            make.env("PYTHONPATH", &tool);
        } else {
            step(
                "making a place for virtualenv",
                Command::new("python3").args(["-m", "venv"]).arg(&tool),
            )?;
            let mut command = Command::new(tool.join("bin/python"));
            command.args(pip).args(["install", "--quiet", VIRTUALENV]);
            step("fetching virtualenv", &mut command)?;
            make = Command::new(tool.join("bin/python"));
        }
    }
    make.args(["-m", "virtualenv", "--quiet", "--python"]).arg(python).arg(&venv);
    step("making a virtualenv of Python 2.7 in autobahn/.venv", &mut make)?;
    let mut command = Command::new(venv.join("bin/python"));
    command.args(pip).args(["install", "--quiet", "--requirement"]);
    step("installing the Autobahn suite", command.arg(home().join("requirements.txt")))
}
