//! Verdicts counted by section, for people: in a terminal and in Markdown. Judges nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::cases::SECTIONS;
use crate::verdicts::{Outcomes, Verdict};

/// The counts of one section, or of all.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) cases: usize,
    behavior: BTreeMap<Verdict, usize>,
    close: BTreeMap<Verdict, usize>,
    /// What the suite measured, summed: without the time between two cases.
    pub(crate) time: Duration,
}

impl Row {
    pub(crate) fn behavior(&self, verdict: Verdict) -> usize {
        self.behavior.get(&verdict).copied().unwrap_or_default()
    }

    pub(crate) fn close(&self, verdict: Verdict) -> usize {
        self.close.get(&verdict).copied().unwrap_or_default()
    }
}

/// The section's number, its title and its counts.
pub(crate) type Section = (u16, &'static str, Row);

/// The sections of which there are verdicts, and their sum.
pub(crate) fn by_section(outcomes: &Outcomes) -> (Vec<Section>, Row) {
    let mut sum = Row::default();
    let mut sections = Vec::new();
    for (number, title) in SECTIONS {
        let mut row = Row::default();
        for (_, outcome) in outcomes.iter().filter(|(id, _)| id.section() == number) {
            for row in [&mut row, &mut sum] {
                row.cases += 1;
                *row.behavior.entry(outcome.behavior).or_default() += 1;
                *row.close.entry(outcome.behavior_close).or_default() += 1;
                row.time += Duration::from_millis(outcome.duration);
            }
        }
        if row.cases > 0 {
            sections.push((number, title, row));
        }
    }
    (sections, sum)
}

/// For a terminal.
pub(crate) fn text(role: &str, outcomes: &Outcomes, wall: Duration) -> String {
    let (sections, sum) = by_section(outcomes);
    let mut text = String::new();
    let mut line = |cells: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{cells}");
    };
    line(format_args!(
        "{:38} {:>5} | {:^43} | {:^43} |",
        format!("sockeye as {role}"),
        "",
        "behavior",
        "behaviorClose"
    ));
    let heads = "   OK  NON-STRICT  INFORM.  UNIMPL.  FAILED";
    line(format_args!("{:38} {:>5} | {heads} | {heads} | {:>7}", "", "cases", "time"));
    let total = (String::new(), "all", &sum);
    let rows = sections.iter().map(|(number, title, row)| (number.to_string(), *title, row));
    for (number, title, row) in rows.chain([total]) {
        let half = |count: &dyn Fn(Verdict) -> usize| {
            let shown = |verdict| match count(verdict) {
                0 => "-".to_owned(),
                n => n.to_string(),
            };
            format!(
                "{:>5}  {:>10}  {:>7}  {:>7}  {:>6}",
                shown(Verdict::Ok),
                shown(Verdict::NonStrict),
                shown(Verdict::Informational),
                shown(Verdict::Unimplemented),
                shown(Verdict::Failed)
            )
        };
        line(format_args!(
            "{number:>3} {title:34} {:>5} | {} | {} | {:>6.1}s",
            row.cases,
            half(&|verdict| row.behavior(verdict)),
            half(&|verdict| row.close(verdict)),
            row.time.as_secs_f64()
        ));
    }
    line(format_args!("wall time {}", minutes(wall)));
    text
}

/// For the README: both roles beside each other.
pub(crate) fn markdown(server: &Outcomes, client: &Outcomes) -> String {
    let (server, server_sum) = by_section(server);
    let (client, client_sum) = by_section(client);
    let mut text = String::from(
        "| | section | cases | as server | closed well | as client | closed well |\n\
         |---:|---|---:|---|---:|---|---:|\n",
    );
    let empty = Row::default();
    let row_of = |rows: &[Section], number: u16| {
        rows.iter().find(|row| row.0 == number).map(|row| row.2.clone()).unwrap_or_default()
    };
    for (number, title) in SECTIONS {
        let (server, client) = (row_of(&server, number), row_of(&client, number));
        if server != empty || client != empty {
            let _ = writeln!(text, "| {number} | {title} | {}", halves(&server, &client));
        }
    }
    let _ = writeln!(text, "| | **all** | {}", halves(&server_sum, &client_sum));
    text
}

fn halves(server: &Row, client: &Row) -> String {
    let counts = |row: &Row| {
        let some = Verdict::ALL.into_iter().filter(|&verdict| row.behavior(verdict) > 0);
        let counts: Vec<String> =
            some.map(|verdict| format!("{} {verdict}", row.behavior(verdict))).collect();
        counts.join(", ")
    };
    let close = |row: &Row| row.close(Verdict::Ok);
    format!(
        "{} | {} | {} | {} | {} |",
        server.cases.max(client.cases),
        counts(server),
        close(server),
        counts(client),
        close(client)
    )
}

/// `7 min 31 s`.
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::Outcome;

    fn outcomes(verdicts: &[(&str, Verdict, Verdict)]) -> Outcomes {
        let outcome = |&(id, behavior, behavior_close): &(&str, Verdict, Verdict)| {
            let reportfile = String::new();
            (id.parse().unwrap(), Outcome { behavior, behavior_close, duration: 500, reportfile })
        };
        verdicts.iter().map(outcome).collect()
    }

    #[test]
    fn verdicts_are_counted_by_section_and_in_all() {
        let seen = outcomes(&[
            ("1.1.1", Verdict::Ok, Verdict::Ok),
            ("1.1.2", Verdict::NonStrict, Verdict::Failed),
            ("12.1.1", Verdict::Unimplemented, Verdict::Ok),
        ]);
        let (sections, sum) = by_section(&seen);
        assert_eq!(sections.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 12]);
        let framing = &sections[0].2;
        assert_eq!((framing.cases, framing.behavior(Verdict::NonStrict)), (2, 1));
        assert_eq!(framing.close(Verdict::Failed), 1);
        assert_eq!((sum.cases, sum.behavior(Verdict::Ok), sum.close(Verdict::Ok)), (3, 1, 2));
        assert_eq!(sum.time, Duration::from_millis(1500));
    }

    #[test]
    fn the_readmes_table_names_every_kind_of_verdict() {
        let good = outcomes(&[("2.1", Verdict::Ok, Verdict::Ok)]);
        let bad = outcomes(&[("2.1", Verdict::Failed, Verdict::Failed)]);
        let table = markdown(&good, &bad);
        assert!(table.contains("| 2 | Pings and pongs | 1 | 1 OK | 1 | 1 FAILED | 0 |"), "{table}");
        assert!(table.contains("| | **all** | 1 | 1 OK | 1 | 1 FAILED | 0 |"), "{table}");
    }
}
