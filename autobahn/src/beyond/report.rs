//! Verdicts for people and, as JSON, for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::book::Case;
use super::verdict::Wrong;

/// One case that was run.
pub(crate) struct Outcome<'a> {
    pub(crate) case: &'a Case,
    pub(crate) verdict: Result<(), Wrong>,
    /// What was tolerated.
    pub(crate) notes: Vec<&'static str>,
    pub(crate) took: Duration,
}

impl Outcome<'_> {
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.verdict, Err(Wrong::Failed(_)))
    }

    fn words(&self) -> (&'static str, &str) {
        match &self.verdict {
            Ok(()) => ("PASS", ""),
            Err(Wrong::Failed(seen)) => ("FAIL", seen),
            Err(Wrong::Undecided(why)) => ("UNDECIDED", why),
        }
    }
}

#[derive(Default)]
struct Row {
    cases: usize,
    passed: usize,
    failed: usize,
    undecided: usize,
    took: Duration,
}

impl Row {
    fn count(&mut self, outcome: &Outcome<'_>) {
        self.cases += 1;
        self.took += outcome.took;
        match outcome.verdict {
            Ok(()) => self.passed += 1,
            Err(Wrong::Failed(_)) => self.failed += 1,
            Err(Wrong::Undecided(_)) => self.undecided += 1,
        }
    }
}

/// The table by section, then everything that did not pass.
pub(crate) fn text(role: &str, outcomes: &[Outcome<'_>]) -> String {
    let mut rows: Vec<(&str, Row)> = Vec::new();
    let mut sum = Row::default();
    for outcome in outcomes {
        let section = outcome.case.section();
        if rows.iter().all(|it| it.0 != section) {
            rows.push((section, Row::default()));
        }
        if let Some((_, row)) = rows.iter_mut().find(|it| it.0 == section) {
            row.count(outcome);
        }
        sum.count(outcome);
    }
    rows.push(("all", sum));
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:16} {:>5} {:>6} {:>6} {:>10} {:>8}",
        format!("as {role}"),
        "cases",
        "PASS",
        "FAIL",
        "UNDECIDED",
        "time"
    );
    for (section, row) in &rows {
        let shown = |count: usize| if count == 0 { "-".to_owned() } else { count.to_string() };
        let _ = writeln!(
            text,
            "{section:16} {:>5} {:>6} {:>6} {:>10} {:>7.1}s",
            row.cases,
            shown(row.passed),
            shown(row.failed),
            shown(row.undecided),
            row.took.as_secs_f64()
        );
    }
    for outcome in outcomes {
        let (verdict, why) = outcome.words();
        if verdict != "PASS" {
            let Case { name, clause, what, .. } = outcome.case;
            let _ = writeln!(text, "{verdict} {name} ({clause}): {what}\n    {why}");
        }
    }
    text
}

/// Everything, for programs.
pub(crate) fn json(role: &str, testee: &str, outcomes: &[Outcome<'_>]) -> Value {
    let cases: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let (verdict, why) = outcome.words();
            json!({
                "case": outcome.case.name,
                "section": outcome.case.section(),
                "clause": outcome.case.clause,
                "what": outcome.case.what,
                "verdict": verdict,
                "why": why,
                "notes": outcome.notes,
                "milliseconds": outcome.took.as_millis().try_into().unwrap_or(u64::MAX),
            })
        })
        .collect();
    json!({ "role": role, "testee": testee, "cases": cases })
}
