//! One role from beginning to end: the testee and the suite are started in the order that they need,
//! and what the suite reported is read.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, root};
use crate::cases::CaseId;
use crate::certificate::Certificate;
use crate::child::{Running, Said, Stop};
use crate::failure::{Failure, While as _};
use crate::progress::Progress;
use crate::verdicts::{AGENT, Outcomes, outcomes};
use crate::wstest::Wstest;

/// For a testee or the suite to say that it listens. A container may have to be fetched first.
const START_MAX: Duration = Duration::from_secs(300);

/// Silence after which a run is given up: longer than the suite lets any case take (480 s).
const SILENCE_MAX: Duration = Duration::from_secs(500);

/// For the compiler.
const BUILD_MAX: Duration = Duration::from_secs(1800);

/// Which side sockeye takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    pub(crate) const ALL: [Self; 2] = [Self::Server, Self::Client];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// What a run needs to know.
pub(crate) struct Plan<'a> {
    pub(crate) args: &'a Args,
    pub(crate) wstest: &'a Wstest,
    pub(crate) cases: &'a [CaseId],
    /// For reports: absolute, there, and empty.
    pub(crate) folder: PathBuf,
    pub(crate) stop: &'a Stop,
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) outcomes: Outcomes,
    pub(crate) took: Duration,
}

/// Whether the suite is to be listened to any longer.
enum Next {
    Listen,
    End,
}

impl Plan<'_> {
    pub(crate) fn run(&self, role: Role) -> Result<Ran, Failure> {
        let begin = Instant::now();
        let ran = match role {
            Role::Server => self.server(),
            Role::Client => self.client(),
        };
        let took = begin.elapsed();
        ran?;
        Ok(Ran { outcomes: outcomes(&self.folder.join("index.json"))?, took })
    }

    fn server(&self) -> Result<(), Failure> {
        let mut arguments: Vec<OsString> = Vec::new();
        let program = if self.args.deflate_takeover || self.args.one_byte_reads {
            arguments.extend(self.testee_flags());
            beside_us("echo-server")?
        } else {
            // Nothing else is set: what people get is what is tried.
            arguments.extend(["--listen", "127.0.0.1:0", "--deflate"].map(OsString::from));
            if let Some(shards) = self.args.shards {
                arguments.extend(["--shards".into(), shards.to_string().into()]);
            }
            if self.args.tls {
                let files = Certificate::make(&self.folder)?;
                arguments.extend(["--tls-cert".into(), files.certificate.into_os_string()]);
                arguments.extend(["--tls-key".into(), files.key.into_os_string()]);
            }
            shipped_server(self.args.testee.as_deref(), self.stop)?
        };
        let mut testee =
            Running::start("the server", Command::new(program).args(arguments), self.stop)?;
        let authority = testee.wait_for(START_MAX, authority_in)?;

        let scheme = if self.args.tls { "wss" } else { "ws" };
        let url = format!("{scheme}://{authority}/echo");
        self.write_spec(&json!({ "servers": [{ "agent": AGENT, "url": url }] }))?;
        let mut command = self.wstest.fuzzing_client(&self.folder);
        let mut suite = Running::start("wstest", &mut command, self.stop)?;
        self.watch(Role::Server, &mut suite, || match testee.ended() {
            None => Ok(Next::Listen),
            Some(_) => Err(testee.failed("ended in the middle of it")),
        })
    }

    fn client(&self) -> Result<(), Failure> {
        let scheme = if self.args.tls { "wss" } else { "ws" };
        let port = self.wstest.port()?;
        let mut spec = json!({ "url": format!("{scheme}://127.0.0.1:{port}") });
        let mut flags = self.testee_flags();
        if self.args.tls {
            let files = Certificate::make(&self.folder)?;
            spec["cert"] = json!(files.certificate);
            spec["key"] = json!(files.key);
            flags.extend(["--ca".into(), files.certificate.into_os_string()]);
        }
        self.write_spec(&spec)?;
        let mut command = self.wstest.fuzzing_server(&self.folder, port);
        let mut suite = Running::start("wstest", &mut command, self.stop)?;
        let port = suite.wait_for(START_MAX, |line| match port {
            0 => line.strip_prefix("listening on 127.0.0.1:")?.parse().ok(),
            // The container's suite is as it is: this is the last line before it listens.
            port => line.starts_with("Cases = ").then_some(port),
        })?;

        let testee = self.args.testee.clone();
        let mut command = Command::new(testee.map_or_else(|| beside_us("echo-client"), Ok)?);
        command.arg(format!("{scheme}://127.0.0.1:{port}")).args(["--agent", AGENT]).args(flags);
        let mut testee = Running::start("the client", &mut command, self.stop)?;
        // Its last visit asks for the reports, and is over when they are written.
        self.watch(Role::Client, &mut suite, || match testee.ended() {
            None => Ok(Next::Listen),
            Some(status) if status.success() => Ok(Next::End),
            Some(_) => Err(testee.failed("ended in the middle of it")),
        })
    }

    /// Listens to the suite until it ends or `glance`, which is called again and again, has had enough.
    fn watch(
        &self,
        role: Role,
        suite: &mut Running,
        mut glance: impl FnMut() -> Result<Next, Failure>,
    ) -> Result<(), Failure> {
        let mut progress = Progress::new(role.name(), self.cases.len());
        let cut_short = |failure: Failure, progress: &Progress| match failure {
            Failure::Because(reason) => {
                Failure::Because(format!("the run was cut short {}: {reason}", progress.place()))
            }
            stopped @ Failure::Stopped(_) => stopped,
        };
        let mut heard_at = Instant::now();
        loop {
            match suite.line(Duration::from_millis(100))? {
                Said::Line(line) => {
                    heard_at = Instant::now();
                    progress.hear(&line);
                }
                Said::Nothing | Said::End => match suite.ended() {
                    Some(status) if status.success() => return Ok(()),
                    Some(_) => return Err(cut_short(suite.failed("failed"), &progress)),
                    None if heard_at.elapsed() > SILENCE_MAX => {
                        let silence = format!("nothing happened for {} s", SILENCE_MAX.as_secs());
                        return Err(cut_short(Failure::Because(silence), &progress));
                    }
                    None => std::thread::sleep(Duration::from_millis(10)),
                },
            }
            match glance().map_err(|failure| cut_short(failure, &progress))? {
                Next::Listen => {}
                Next::End => return Ok(()),
            }
        }
    }

    fn testee_flags(&self) -> Vec<OsString> {
        let mut flags = Vec::new();
        if self.args.deflate_takeover {
            flags.push("--deflate-takeover".into());
        }
        if self.args.one_byte_reads {
            flags.push("--one-byte-reads".into());
        }
        flags
    }

    fn write_spec(&self, more: &serde_json::Value) -> Result<(), Failure> {
        let mut spec = json!({
            "outdir": self.folder,
            "cases": self.cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        });
        if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
            spec.extend(more.clone());
        }
        let text = serde_json::to_string_pretty(&spec).expect("it was made of plain values");
        fs::write(self.folder.join("spec.json"), text).or_fail("write spec.json")
    }
}

/// The program as people build it.
pub(crate) fn shipped_server(testee: Option<&Path>, stop: &Stop) -> Result<PathBuf, Failure> {
    if let Some(testee) = testee {
        return Ok(testee.to_owned());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--release", "--bin", "sockeye"]);
    build.current_dir(root());
    Running::start("the build of sockeye", &mut build, stop)?.succeed(BUILD_MAX)?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(root().join(target).join("release/sockeye"))
}

/// A program of this package: they are built together.
pub(crate) fn beside_us(name: &str) -> Result<PathBuf, Failure> {
    let us = env::current_exe().or_fail("find this program")?;
    Ok(us.parent().unwrap_or(Path::new(".")).join(name))
}

/// The address in a line such as `chat on http://127.0.0.1:8080/`.
pub(crate) fn authority_in(line: &str) -> Option<String> {
    let (_, after) = line.split_once("://")?;
    let authority = after.split(['/', ' ']).next()?;
    authority.starts_with("127.0.0.1:").then(|| authority.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_from_what_the_server_says() {
        let found = |line| authority_in(line);
        assert_eq!(found("chat on http://127.0.0.1:8080/").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(found("chat on https://127.0.0.1:1/ (TLS)").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(found("chat on http://[::1]:8080/"), None);
        assert_eq!(found("hello"), None);
    }
}
