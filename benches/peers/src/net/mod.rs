//! The servers under load. For every cell and round each server runs alone, fresh, on one core and the load on another,
//! one after the other in an order that turns from round to round: the machine's speed drifts, and so hits all alike.

mod cells;
mod goals;
mod machine;
mod plot;
mod process;
mod quiet;
mod report;
mod stats;
mod verdict;

use cells::{CELLS, Cell, Program, RIVALS, Rival};
use clap::Parser;
use core_affinity::CoreId;
use machine::Versions;
use process::Server;
use quiet::Patience;
use serde_json::{Value, json};
use stats::{Results, Samples};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Compare sockeye's servers with its peers' under the same load. Writes RESULTS.md, results.json and results.svg.
#[derive(Parser, Debug)]
#[command(name = "net", bin_name = "cargo run --release -- net")]
struct Args {
    /// Times that everything is measured. Default 5, and 1 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Time that one server is measured in one cell and round. Default 1.5, and 0.5 with --quick.
    #[arg(long, value_parser = seconds)]
    seconds: Option<f64>,
    /// Only these, by their ids in results.json, or by how those begin: echo-20,idle.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// Only these servers: sockeye,ws,floor-mio.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Where the results go. Default: this package.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The binary to measure, and to load with. Default: built from this repository, in release.
    #[arg(long)]
    sockeye: Option<PathBuf>,
    /// Seconds to wait, over the whole run, for others to leave the two cores alone. Default 300, and 30 with --quick.
    #[arg(long)]
    patience: Option<u32>,
    /// One short round: shows that all works, and roughly how everybody stands.
    #[arg(long)]
    quick: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.3..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.3 to 60".into()),
    }
}

pub fn run() -> ExitCode {
    match compare(Args::parse_from(std::env::args().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: Args) -> Result<(), String> {
    if !cfg!(feature = "servers") {
        return Err("without the feature `servers` there is nobody to compare with".into());
    }
    if !cfg!(target_os = "linux") {
        return Err("what a server costs is read from /proc, which only Linux has".into());
    }
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 5 });
    let seconds = args.seconds.unwrap_or(if args.quick { 0.5 } else { 1.5 });
    let cells = chosen(&CELLS, &args.cells, |it, wanted| it.id.starts_with(wanted))?;
    let mut rivals = chosen(&RIVALS, &args.peers, |it, wanted| it.id == wanted)?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = here.join("target/net");
    std::fs::create_dir_all(&scratch).map_err(|it| format!("{}: {it}", scratch.display()))?;
    let mut cores = core_affinity::get_core_ids().unwrap_or_default().into_iter();
    let (Some(server_core), Some(load_core)) = (cores.next(), cores.next()) else {
        return Err("a server and its load need a core each, and there is only one".into());
    };
    // Those that are started inherit it.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0);
    if files < 10_200 {
        eprintln!("only {files} files may be open: `ulimit -n 10200` for idle connections");
    }
    let sockeye = match args.sockeye {
        Some(path) => path,
        None => build(&here.join("../.."))?,
    };
    let node_home = match machine::install_ws(&scratch) {
        Ok(home) => home,
        Err(why) => {
            eprintln!("ws is left out: {why}");
            rivals.retain(|it| it.program != Program::Node);
            PathBuf::new()
        }
    };
    let ours = std::env::current_exe().map_err(|error| error.to_string())?;
    let bench = Bench { sockeye, ours, node_home, scratch, server_core, load_core };

    let begin = Instant::now();
    let patience = args.patience.unwrap_or(if args.quick { 30 } else { 300 });
    let patience = Duration::from_secs(patience.into());
    let mut patience = Patience::new(patience, [server_core.id, load_core.id]);
    let mut results = Results::default();
    let mut disturbed = Samples::default();
    let mut raw: Vec<Value> = vec![];
    for round in 0..rounds as usize {
        for (nth, cell) in cells.iter().enumerate() {
            let mut order: Vec<_> = rivals.iter().filter(|it| it.takes_part(cell)).collect();
            let first = (round + nth) % order.len().max(1);
            order.rotate_left(first);
            for rival in order {
                patience.wait();
                let mut report = bench.measure(cell, rival, seconds);
                if report.as_ref().is_ok_and(|it| verdict::is_starved(cell, it)) {
                    report = bench.measure(cell, rival, 4.0 * seconds);
                }
                let waited = report.iter().filter_map(|it| it.pointer("/server/wait_share"));
                if !cell.is_memory() {
                    disturbed.values.extend(waited.filter_map(Value::as_f64));
                }
                let outcome = match &report {
                    Ok(report) => verdict::figure(cell, report),
                    Err(why) => Err(why.clone()),
                };
                eprintln!(
                    "{:>4} s  round {}  {:<14} {:<17} {}",
                    begin.elapsed().as_secs(),
                    round + 1,
                    cell.id,
                    rival.id,
                    match &outcome {
                        Ok(figure) => format!("{figure:.1}"),
                        Err(why) => why.clone(),
                    }
                );
                raw.push(line(round, cell, rival, &outcome, report.as_ref().ok()));
                results.add(cell, rival, outcome);
            }
        }
    }

    let run = report::Run {
        rounds,
        seconds,
        took: begin.elapsed(),
        disturbed: disturbed.spread(),
        machine: machine::describe(),
        versions: Versions::read(&bench.node_home),
    };
    let out = args.out.unwrap_or_else(|| here.to_owned());
    let page = report::page(&run, &results);
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    write("RESULTS.md", &page)?;
    write("results.svg", &plot::draw(&results)?)?;
    write("results.json", &document(&run, &raw))?;
    println!("{page}");
    Ok(())
}

/// Those whose name was given, or all; a name of none is told.
fn chosen<T: Copy>(
    all: &[T],
    wanted: &[String],
    is: impl Fn(&T, &str) -> bool,
) -> Result<Vec<T>, String> {
    if let Some(none) = wanted.iter().find(|wanted| !all.iter().any(|it| is(it, wanted))) {
        return Err(format!("{none:?} is none of those that there are"));
    }
    let is_wanted = |it: &&T| wanted.is_empty() || wanted.iter().any(|wanted| is(it, wanted));
    Ok(all.iter().filter(is_wanted).copied().collect())
}

/// The shipped binary of the repository there.
fn build(root: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let target = root.join("target");
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--bin", "sockeye", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join("release/sockeye")),
        Ok(status) => Err(format!("sockeye does not build: {status}")),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}

/// What all measurements have in common.
struct Bench {
    sockeye: PathBuf,
    ours: PathBuf,
    node_home: PathBuf,
    scratch: PathBuf,
    server_core: CoreId,
    load_core: CoreId,
}

impl Bench {
    /// One server in one cell: the load tool's report.
    fn measure(&self, cell: &Cell, rival: &Rival, seconds: f64) -> Result<Value, String> {
        let (arguments, target) = rival.arguments(cell);
        let mut command = match rival.program {
            Program::Sockeye => Command::new(&self.sockeye),
            Program::Ours => {
                let mut command = Command::new(&self.ours);
                command.arg("serve");
                command
            }
            Program::Node => {
                let mut command = Command::new("node");
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/servers/ws.cjs");
                command.arg(script).arg(&self.node_home);
                command
            }
        };
        command.args(arguments);
        let log = self.scratch.join(format!("{}.log", rival.id));
        let server = Server::start(command, self.server_core, &log)?;
        let mut load = Command::new(&self.sockeye);
        load.args(["bench", &format!("ws://{}{target}", server.address)])
            .args(["--json", "--quiet", "--timeout", "5s", "--pid", &server.pid().to_string()])
            .args(cell.load(rival, seconds));
        // Opening, warming up, draining and closing are bounded by the tool.
        process::load(load, self.load_core, Duration::from_secs_f64(40.0 + 2.0 * seconds))
    }
}

/// One measurement for results.json.
fn line(
    round: usize,
    cell: &Cell,
    rival: &Rival,
    outcome: &Result<f64, String>,
    report: Option<&Value>,
) -> Value {
    let of = |pointer: &str| report.and_then(|it| it.pointer(pointer)).cloned();
    json!({
        "round": round + 1,
        "cell": cell.id,
        "server": rival.id,
        "figure": outcome.as_ref().ok(),
        "failure": outcome.as_ref().err(),
        "window_seconds": of("/window/seconds"),
        "received": of("/window/received"),
        "handshakes": of("/window/handshakes"),
        "server_cpu_seconds": of("/server/cpu_seconds"),
        "server_cpu_share": of("/server/cpu_share"),
        "server_wait_share": of("/server/wait_share"),
        "load_busiest_thread": of("/generator/busiest_thread"),
        "latency_us_p50": of("/latency_us/p50"),
        "latency_us_p99": of("/latency_us/p99"),
    })
}

fn document(run: &report::Run, raw: &[Value]) -> String {
    let versions: serde_json::Map<String, Value> =
        run.versions.all().map(|(name, version)| (name.into(), version.into())).collect();
    let head = [
        (
            "unit",
            json!("thousands per CPU second of the server; idle: bytes of RSS per connection"),
        ),
        ("machine", json!(run.machine)),
        ("rounds", json!(run.rounds)),
        ("seconds", json!(run.seconds)),
        ("versions", Value::Object(versions)),
    ];
    let head: Vec<_> = head.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    // A line for each measurement: what changed between two runs is seen.
    let raw: Vec<_> = raw.iter().map(Value::to_string).collect();
    format!("{{\n{},\n\"measurements\": [\n{}\n]\n}}\n", head.join(",\n"), raw.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_unknown_ones_are_told() {
        let cells = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|&it| it.to_owned()).collect();
            chosen(&CELLS, &wanted, |it, wanted| it.id.starts_with(wanted)).map(|it| it.len())
        };
        assert_eq!(cells(&[]), Ok(CELLS.len()));
        assert_eq!(cells(&["echo-20", "idle"]), Ok(3));
        assert_eq!(cells(&["idol"]), Err("\"idol\" is none of those that there are".into()));
    }
    #[test]
    fn the_raw_results_are_json() {
        let run = report::Run {
            rounds: 1,
            seconds: 0.5,
            took: Duration::ZERO,
            disturbed: None,
            machine: "a \"machine\"".into(),
            versions: Versions::default(),
        };
        let lines = [json!({"round": 1}), json!({"round": 2})];
        for count in 0..=2 {
            let text = document(&run, &lines[..count]);
            let read: Value = serde_json::from_str(&text).expect("it is JSON");
            assert_eq!(read["machine"], "a \"machine\"");
            assert_eq!(read["measurements"], json!(lines[..count]));
        }
    }
}
