//! What somebody who waits sees: the case that runs, out of how many; a line a group where nobody
//! watches a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cases::CaseId;

/// The cases of one run, as they begin.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: usize,
    begun: usize,
    last: Option<CaseId>,
}

impl Progress {
    pub(crate) fn new(role: &str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix} {bar:40} {pos}/{len}  {msg}  {elapsed_precise}",
            )
            .expect("the template is a constant");
            let bar = ProgressBar::new(total as u64).with_style(style);
            bar.set_prefix(role.to_owned());
            bar
        });
        Self { bar, total, begun: 0, last: None }
    }

    /// A line of the suite's. Most say that a case begins.
    pub(crate) fn hear(&mut self, line: &str) {
        let Some(id) = begins(line) else { return };
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.begun as u64);
                bar.set_message(id.to_string());
            }
            None if self.last.as_ref().map(CaseId::group) != Some(id.group()) => {
                eprintln!("  {:>3}/{}  {}", self.begun, self.total, id.group());
            }
            None => {}
        }
        self.begun += 1;
        self.last = Some(id);
    }

    /// Where it stands, for a sentence.
    pub(crate) fn place(&self) -> String {
        match &self.last {
            Some(id) => format!("at {id}, case {} of {}", self.begun, self.total),
            None => "before the first case".to_owned(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The case that this line of the suite's begins.
fn begins(line: &str) -> Option<CaseId> {
    line.strip_prefix("Running test case ID ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_that_runs_is_known_from_the_suites_lines() {
        let mut progress = Progress { bar: None, total: 9, begun: 0, last: None };
        assert_eq!(progress.place(), "before the first case");
        progress.hear("Cases = ['1.1.1']");
        progress.hear("Running test case ID 1.1.1 for agent sockeye from peer tcp4:127.0.0.1:9");
        progress.hear("Running test case ID 2.10 for agent sockeye from peer tcp4:127.0.0.1:9");
        assert_eq!(progress.place(), "at 2.10, case 2 of 9");
    }
}
