//! What `autobahn/run beyond` does, in order.

use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::book::{Book, Case};
use super::report::{self, Outcome};
use super::testee::{Door, Place};
use super::trial::{Testee, Trial};
use super::{cases, link::Us};
use crate::args::{Side, home};
use crate::cases::glob;
use crate::child::{Running, Stop};
use crate::failure::{Failure, While as _};
use crate::role::{authority_in, beside_us, shipped_server};

/// For the shipped server to say that it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// What the Autobahn suite does not see: cases of our own against any echo server or echo client, on a
/// codec of their own. No Python is needed.
///
/// As a server the testee is the shipped program, `sockeye --deflate`, path /echo, or whatever listens
/// at --against and echoes. As a client it is the public client in a small program that echoes until the
/// connection is over, or the program of --with, which is started once for each connection.
///
/// A case passes, fails, or is undecided where its rule does not apply to the testee. Exit status: 0 if
/// none failed, 1 if one did or nothing could be run; 130 after Ctrl-C.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  autobahn/run beyond                                    both roles of sockeye\n  \
    autobahn/run beyond server --cases 'mask.*,close.*'    two sections\n  \
    autobahn/run beyond server --against ws://127.0.0.1:9000/\n  \
    autobahn/run beyond client --with 'node echo.js {url}'"
)]
pub(crate) struct Beyond {
    /// Which role the testee has.
    #[arg(value_enum, default_value_t = Side::All)]
    side: Side,
    /// Try this echo server.
    #[arg(long, value_name = "URL")]
    against: Option<String>,
    /// Try this echo client: a command, `{url}` in it for where to go.
    #[arg(long, value_name = "COMMAND")]
    with: Option<String>,
    /// Only these, `*` stands for any text; several with commas.
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    cases: Vec<String>,
    /// Sweeps leave nothing out: all 65,536 close codes, each offset. Half a minute for a server; for a
    /// client, which is started for each code, a quarter of an hour.
    #[arg(long)]
    full: bool,
    /// Let sockeye keep its compression windows between messages. The shipped server has no switch for
    /// that, so its place takes a small echo server on the public codec (src/bin/echo_server.rs).
    #[arg(long, conflicts_with_all = ["against", "with", "testee"])]
    deflate_takeover: bool,
    /// Run nothing: print the cases, with what they do.
    #[arg(long)]
    list: bool,
    /// Try this `sockeye` instead of building one.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "against")]
    testee: Option<PathBuf>,
    /// Where the reports go.
    #[arg(long, value_name = "DIR", default_value_os_t = home().join("out/beyond"))]
    out: PathBuf,
}

/// Whether nothing failed.
pub(crate) fn run(args: &Beyond) -> Result<bool, Failure> {
    let book = cases::book();
    for pattern in &args.cases {
        if !book.0.iter().any(|case| fits(pattern, case)) {
            return Err(Failure::Because(format!(
                "no case fits {pattern:?}; `autobahn/run beyond --list` names them"
            )));
        }
    }
    if args.list {
        list(&book, args);
        return Ok(true);
    }
    let stop = Stop::listen()?;
    fs::create_dir_all(&args.out).or_fail(format!("make the folder {}", args.out.display()))?;
    let mut all_well = true;
    for role in roles(args) {
        all_well &= match role {
            Us::Client => as_server(args, &book, &stop)?,
            Us::Server => as_client(args, &book, &stop)?,
        };
    }
    Ok(all_well)
}

/// Our sides: the other ones of the testee's. A testee that is named for one role is for that one.
fn roles(args: &Beyond) -> Vec<Us> {
    match (args.side, &args.against, &args.with) {
        (Side::Server, ..) | (Side::All, Some(_), None) => vec![Us::Client],
        (Side::Client, ..) | (Side::All, None, Some(_)) => vec![Us::Server],
        (Side::All, ..) => vec![Us::Client, Us::Server],
    }
}

fn as_server(args: &Beyond, book: &Book, stop: &Stop) -> Result<bool, Failure> {
    if let Some(url) = &args.against {
        let testee = Testee::Server { place: Place::of(url)?, plain: None };
        return go_through(args, book, stop, &testee, url);
    }
    if args.deflate_takeover {
        let mut command = Command::new(beside_us("echo-server")?);
        let mut running = Running::start("the server", command.arg("--deflate-takeover"), stop)?;
        let authority = running.wait_for(START_MAX, authority_in)?;
        let place = Place::of(&format!("ws://{authority}/"))?;
        let testee = Testee::Server { place, plain: None };
        return go_through(args, book, stop, &testee, "an echo server on sockeye's codec");
    }
    let program = shipped_server(args.testee.as_deref(), stop)?;
    let start = |flags: &[&str]| -> Result<(Running, Place), Failure> {
        let mut command = Command::new(&program);
        command.args(["--listen", "127.0.0.1:0"]).args(flags);
        let mut running = Running::start("the server", &mut command, stop)?;
        let authority = running.wait_for(START_MAX, authority_in)?;
        Ok((running, Place::of(&format!("ws://{authority}/echo"))?))
    };
    let (mut server, place) = start(&["--deflate"])?;
    let (_plain_server, plain) = start(&[])?;
    let testee = Testee::Server { place, plain: Some(plain) };
    let well = go_through(args, book, stop, &testee, "sockeye --deflate")?;
    if server.ended().is_some() {
        return Err(server.failed("ended in the middle of it"));
    }
    Ok(well)
}

fn as_client(args: &Beyond, book: &Book, stop: &Stop) -> Result<bool, Failure> {
    let command = match &args.with {
        Some(command) => command.clone(),
        None => {
            let takeover = if args.deflate_takeover { "--deflate-takeover " } else { "" };
            format!("{} --once {takeover}{{url}}", beside_us("echo-client")?.display())
        }
    };
    let name = if args.with.is_some() { &command } else { "sockeye::client" };
    let testee = Testee::Client(Door::open(&command)?);
    go_through(args, book, stop, &testee, name)
}

fn go_through(
    args: &Beyond,
    book: &Book,
    stop: &Stop,
    testee: &Testee,
    name: &str,
) -> Result<bool, Failure> {
    let us = Trial::new(testee, args.full).us();
    let role = if us == Us::Client { "server" } else { "client" };
    let chosen: Vec<&Case> =
        book.0.iter().filter(|case| case.is_for(us) && is_chosen(args, case)).collect();
    eprintln!("{} cases, {name} as {role}", chosen.len());
    let mut outcomes = Vec::new();
    for (at, case) in chosen.iter().enumerate() {
        stop.check()?;
        progress(at, chosen.len(), &case.name);
        let (trial, begin) = (Trial::new(testee, args.full), Instant::now());
        let verdict = (case.run)(&trial);
        let notes: BTreeSet<&'static str> = trial.notes.take();
        let notes = notes.into_iter().collect();
        outcomes.push(Outcome { case, verdict, notes, took: begin.elapsed() });
    }
    progress(chosen.len(), chosen.len(), "");
    print!("\n{}", report::text(role, &outcomes));
    let file = args.out.join(format!("{role}.json"));
    write(&file, &report::json(role, name, &outcomes))?;
    println!("report: {}", file.display());
    Ok(!outcomes.iter().any(Outcome::is_failed))
}

fn is_chosen(args: &Beyond, case: &Case) -> bool {
    args.cases.is_empty() || args.cases.iter().any(|pattern| fits(pattern, case))
}

fn fits(pattern: &str, case: &Case) -> bool {
    let pattern = pattern.trim();
    pattern == case.section() || glob(pattern.as_bytes(), case.name.as_bytes())
}

fn list(book: &Book, args: &Beyond) {
    for case in book.0.iter().filter(|case| is_chosen(args, case)) {
        let role = match (case.is_for(Us::Client), case.is_for(Us::Server)) {
            (true, true) => "both",
            (true, false) => "server",
            _ => "client",
        };
        println!("{} [{role}, {}]\n    {}", case.name, case.clause, case.what);
    }
}

/// One line that changes, where somebody looks.
fn progress(at: usize, of: usize, name: &str) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K{at}/{of} {name}");
        let _ = err.flush();
    }
}

fn write(file: &Path, report: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(report).expect("it was made of plain values");
    fs::write(file, text).or_fail(format!("write {}", file.display()))
}
