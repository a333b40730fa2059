//! RESULTS.md: the table, how everybody stands to the floor, and where sockeye falls short.

use super::cells::{Cell, Rival};
use super::goals::{Goal, goals};
use super::machine::Versions;
use super::stats::{Results, Spread};
use std::fmt::Write;
use std::time::Duration;

/// The circumstances.
pub struct Run {
    pub rounds: u32,
    pub seconds: f64,
    pub took: Duration,
    /// Parts of the time that servers wanted their core and others had it.
    pub disturbed: Option<Spread>,
    pub machine: String,
    pub versions: Versions,
}

pub fn page(run: &Run, results: &Results) -> String {
    let mut page = String::new();
    write(run, results, &mut page).expect("a string takes everything");
    page
}

fn write(run: &Run, results: &Results, page: &mut String) -> std::fmt::Result {
    let mut all = vec![];
    for (name, version) in run.versions.all() {
        all.push(format!("{name} {version}"));
    }
    writeln!(page, "# Sockeye beside its peers\n")?;
    writeln!(
        page,
        "Written by `cargo run --release -- net --rounds {} --seconds {}`; {} min in all.\n{}.\nVersions: {}.\n",
        run.rounds,
        run.seconds,
        run.took.as_secs().div_ceil(60),
        run.machine,
        all.join(", ")
    )?;
    if let Some(Spread { median, most, .. }) = run.disturbed {
        let (median, most) = (100.0 * median, 100.0 * most);
        writeln!(
            page,
            "How quiet it was: servers wanted their core and others had it for {median:.0} % of the time at the median, {most:.0} % at worst.\n"
        )?;
    }
    writeln!(page, "{ABOUT}")?;
    writeln!(page, "![How everybody stands to sockeye](results.svg)\n")?;
    writeln!(page, "## Thousands per CPU second\n")?;
    writeln!(
        page,
        "Medians over the rounds, with the least and the most. The last line is bytes, and less is better.\n"
    )?;
    table(results, page, |cell, rival| {
        let samples = results.samples(cell.id, rival.id)?;
        Some(match samples.spread() {
            None => "failed".to_owned(),
            Some(it) if it.least == it.most => pretty(it.median),
            Some(Spread { least, median, most }) => {
                format!("**{}** {}-{}", pretty(median), pretty(least), pretty(most))
            }
        })
    })?;
    writeln!(page, "\n## Beside the floor\n")?;
    writeln!(
        page,
        "Medians as parts of `floor-mio` for echoes, and of `floor-ws` for broadcasts.\n"
    )?;
    table(results, page, |cell, rival| {
        let floor = results.spread(cell.id, cell.floor()?)?;
        Some(format!("{:.2}", results.spread(cell.id, rival.id)?.median / floor.median))
    })?;
    failures(results, page)?;
    short(&goals(results), page)
}

/// A line for each cell, a column for each server.
fn table(
    results: &Results,
    page: &mut String,
    entry: impl Fn(&Cell, &Rival) -> Option<String>,
) -> std::fmt::Result {
    let rivals: Vec<_> = results.rivals().collect();
    let names: Vec<_> = rivals.iter().map(|it| it.id).collect();
    writeln!(page, "| | {} |", names.join(" | "))?;
    writeln!(page, "|---|{}", "---:|".repeat(rivals.len()))?;
    for cell in results.cells() {
        let entries: Vec<_> = rivals.iter().map(|rival| entry(cell, rival)).collect();
        if entries.iter().all(Option::is_none) {
            continue;
        }
        write!(page, "| {} |", cell.title)?;
        for entry in entries {
            write!(page, " {} |", entry.unwrap_or_default())?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn failures(results: &Results, page: &mut String) -> std::fmt::Result {
    let mut lines = vec![];
    for cell in results.cells() {
        for rival in results.rivals() {
            let Some(samples) = results.samples(cell.id, rival.id) else { continue };
            if let Some(why) = samples.failures.first() {
                let (failed, all) =
                    (samples.failures.len(), samples.failures.len() + samples.values.len());
                lines.push(format!(
                    "- {}, {}: {failed} of {all} rounds: {why}",
                    cell.title, rival.id
                ));
            }
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## Rounds without a figure\n\n{}", lines.join("\n"))
}

fn short(goals: &[Goal], page: &mut String) -> std::fmt::Result {
    writeln!(page, "\n## What falls short\n")?;
    let reached = goals.iter().filter(|it| it.reached()).count();
    writeln!(page, "Of {} demands on sockeye {reached} are met.\n", goals.len())?;
    if reached == goals.len() {
        return Ok(());
    }
    writeln!(page, "| cell | demand | reached | |")?;
    writeln!(page, "|---|---|---:|---|")?;
    for goal in goals.iter().filter(|it| !it.reached()) {
        let figure = if goal.limit > 100.0 {
            format!("{:.0}, limit {:.0}", goal.figure, goal.limit)
        } else {
            format!("{:.3}", goal.figure)
        };
        let note = if goal.clear { "" } else { "the rounds overlap" };
        writeln!(page, "| {} | {} | {figure} | {note} |", goal.cell, goal.demand)?;
    }
    Ok(())
}

/// Three digits are all that a run is good for.
fn pretty(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        ..1000.0 => format!("{value:.0}"),
        _ => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

const ABOUT: &str = "\
Each server is one thread, a process of its own on one core; the load is `sockeye bench`, for all the same, on another. The
figure is what came back by the server's own CPU time, user and system, because the load takes its part of the machine.
Whoever loses, doubles or swaps a message has no figure. Everybody runs once a round, one after the other, in an order that
turns. Compare columns of one run; figures of different runs or machines are not comparable.

- `floor-mio`: a bare TCP echo on mio of as many bytes as the frames have, without a handshake (`sockeye bench --raw`).
- `floor-ws`: unmasks in place, writes the reply's header and sends, without any check; messages are not put together. In a
  broadcast it makes one write for each message and receiver; `floor-ws-batch` one for each read and receiver.
- `sockeye`: the shipped binary, `sockeye --shards 1 --log off`, paths `/echo` and `/broadcast`, with `--deflate` where that is asked.
- The others are their own recommended echo. With 16 in flight those that can answer together what came together
  (tungstenite on mio, tokio-websockets, yawc; sockudo-ws does by itself); fastwebsockets and ws cannot. ws has its addon bufferutil.
- Echoes have 100 connections and binary messages. Compressed ones are JSON text with words in it; all at level 6 or what they take by default.
";

#[cfg(test)]
mod tests {
    use super::super::cells::{CELLS, RIVALS};
    use super::*;

    fn run() -> Run {
        Run {
            rounds: 3,
            seconds: 1.5,
            took: Duration::from_secs(61),
            disturbed: Some(Spread { least: 0.0, median: 0.01, most: 0.25 }),
            machine: "a machine".into(),
            versions: Versions::default(),
        }
    }

    #[test]
    fn the_page_has_medians_ratios_failures_and_what_falls_short() {
        let mut results = Results::default();
        let rival = |id: &str| RIVALS.iter().find(|it| it.id == id).expect("a rival");
        let cell = &CELLS[1];
        for value in [4000.0, 5000.0, 4500.0] {
            results.add(cell, rival("floor-mio"), Ok(value));
        }
        results.add(cell, rival("sockeye"), Ok(4000.0));
        results.add(cell, rival("yawc"), Err("9 messages lost".into()));
        let page = page(&run(), &results);
        for part in [
            "`cargo run --release -- net --rounds 3 --seconds 1.5`; 2 min in all.\na machine.\n",
            "for 1 % of the time at the median, 25 % at worst.",
            "| | floor-mio | sockeye | yawc |\n|---|---:|---:|---:|\n",
            "| echo 20 B, 16 in flight | **4,500** 4,000-5,000 | 4,000 | failed |",
            "| echo 20 B, 16 in flight | 1.00 | 0.89 |  |",
            "- echo 20 B, 16 in flight, yawc: 1 of 1 rounds: 9 messages lost",
            "Of 1 demands on sockeye 0 are met.",
            "| echo 20 B, 16 in flight | of floor-mio: 0.9 or more | 0.889 | the rounds overlap |",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }

    #[test]
    fn numbers_have_three_digits_and_groups() {
        let all = [0.5, 9.99, 45.67, 170.2, 999.4, 4217.0, 137_500.4].map(pretty);
        assert_eq!(all, ["0.50", "9.99", "45.7", "170", "999", "4,217", "137,500"]);
    }
}
