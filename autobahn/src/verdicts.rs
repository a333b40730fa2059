//! What the suite said of each case, and how that differs from what is expected. A verdict has two
//! halves, and both count: how the testee behaved, and how the connection was closed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::args::home;
use crate::cases::CaseId;
use crate::failure::{Failure, While as _};

/// The testee's name in reports.
pub(crate) const AGENT: &str = "sockeye";

/// One half of a verdict, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum Verdict {
    Ok,
    /// Observed and not judged.
    Informational,
    /// Within the letter of the RFC, though not what it would like.
    NonStrict,
    /// The testee did not take the offer that the case is about.
    Unimplemented,
    /// Also what the suite calls WRONG CODE, UNCLEAN or FAILED BY CLIENT, and whatever it invents.
    Failed,
}

impl Verdict {
    pub(crate) const ALL: [Self; 5] =
        [Self::Ok, Self::NonStrict, Self::Informational, Self::Unimplemented, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Informational => "INFORMATIONAL",
            Self::NonStrict => "NON-STRICT",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<String> for Verdict {
    fn from(name: String) -> Self {
        Self::ALL.into_iter().find(|it| it.name() == name).unwrap_or(Self::Failed)
    }
}

impl From<Verdict> for String {
    fn from(verdict: Verdict) -> Self {
        verdict.name().to_owned()
    }
}

/// What is expected of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) behavior: Verdict,
    pub(crate) behavior_close: Verdict,
}

/// What the suite's `index.json` says of a case.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) behavior: Verdict,
    pub(crate) behavior_close: Verdict,
    /// Milliseconds.
    pub(crate) duration: u64,
    /// The name of the case's own report, in JSON; there is one in HTML beside it.
    pub(crate) reportfile: String,
}

impl Outcome {
    fn verdict(&self) -> Expected {
        Expected { behavior: self.behavior, behavior_close: self.behavior_close }
    }

    /// The report that a person reads.
    pub(crate) fn page(&self) -> String {
        format!("{}.html", self.reportfile.trim_end_matches(".json"))
    }
}

pub(crate) type Outcomes = BTreeMap<CaseId, Outcome>;

/// `expected.json`: all 517 cases, one a line.
pub(crate) fn expected() -> Result<BTreeMap<CaseId, Expected>, Failure> {
    read_json(&home().join("expected.json"))
}

/// The suite's `index.json`.
pub(crate) fn outcomes(index: &Path) -> Result<Outcomes, Failure> {
    let mut agents: BTreeMap<String, Outcomes> = read_json(index)?;
    agents
        .remove(AGENT)
        .ok_or_else(|| Failure::Because(format!("{} says nothing of {AGENT}", index.display())))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = fs::read_to_string(path).or_fail(format!("read {}", path.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Because(format!("cannot understand {}: {error}", path.display())))
}

/// A case that did not come out as expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Difference {
    /// There is no verdict, though it was asked for.
    Missing(CaseId),
    /// Another verdict.
    Other { id: CaseId, expected: Expected, seen: Expected },
}

impl Difference {
    pub(crate) fn id(&self) -> &CaseId {
        match self {
            Self::Missing(id) | Self::Other { id, .. } => id,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(id) => write!(f, "{id}: no verdict"),
            Self::Other { id, expected, seen } => {
                write!(f, "{id}:")?;
                let halves = [
                    ("behavior", expected.behavior, seen.behavior),
                    ("behaviorClose", expected.behavior_close, seen.behavior_close),
                ];
                let mut sep = "";
                for (name, expected, seen) in halves {
                    if seen != expected {
                        let better = if seen < expected { ", which is better" } else { "" };
                        write!(f, "{sep} {name} is {seen}, expected {expected}{better}")?;
                        sep = ";";
                    }
                }
                Ok(())
            }
        }
    }
}

/// How what was seen differs from what was expected of the cases asked for.
pub(crate) fn differences(
    asked: &[CaseId],
    expected: &BTreeMap<CaseId, Expected>,
    seen: &Outcomes,
) -> Vec<Difference> {
    let judge = |id: &CaseId| {
        let expected = *expected.get(id)?;
        let Some(outcome) = seen.get(id) else { return Some(Difference::Missing(id.clone())) };
        let seen = outcome.verdict();
        (seen != expected).then(|| Difference::Other { id: id.clone(), expected, seen })
    };
    asked.iter().filter_map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(behavior: &str, close: &str) -> Outcome {
        let text = format!(
            r#"{{"behavior": "{behavior}", "behaviorClose": "{close}", "duration": 1,
                "remoteCloseCode": 1000, "reportfile": "sockeye_case_1_1_1.json"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn both(verdict: Verdict) -> Expected {
        Expected { behavior: verdict, behavior_close: verdict }
    }

    fn told(id: &str, seen: Option<Outcome>) -> Vec<String> {
        let id: CaseId = id.parse().unwrap();
        let seen = seen.map(|it| (id.clone(), it)).into_iter().collect();
        let differences = differences(&[id], &expected().unwrap(), &seen);
        differences.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn the_expected_verdict_is_no_difference() {
        assert_eq!(told("1.1.1", Some(outcome("OK", "OK"))), [""; 0]);
        assert_eq!(told("7.1.6", Some(outcome("INFORMATIONAL", "INFORMATIONAL"))), [""; 0]);
    }

    #[test]
    fn each_half_of_a_verdict_counts() {
        assert_eq!(
            told("6.4.1", Some(outcome("NON-STRICT", "OK"))),
            ["6.4.1: behavior is NON-STRICT, expected OK"]
        );
        assert_eq!(
            told("2.5", Some(outcome("OK", "UNCLEAN"))),
            ["2.5: behaviorClose is FAILED, expected OK"]
        );
        assert_eq!(
            told("2.5", Some(outcome("UNIMPLEMENTED", "INFORMATIONAL"))),
            [
                "2.5: behavior is UNIMPLEMENTED, expected OK; behaviorClose is INFORMATIONAL, expected OK"
            ]
        );
    }

    #[test]
    fn a_better_verdict_is_named_too() {
        assert_eq!(
            told("7.1.6", Some(outcome("OK", "INFORMATIONAL"))),
            ["7.1.6: behavior is OK, expected INFORMATIONAL, which is better"]
        );
    }

    #[test]
    fn a_case_without_a_verdict_is_a_difference() {
        assert_eq!(told("9.1.1", None), ["9.1.1: no verdict"]);
    }

    #[test]
    fn the_best_report_is_expected() {
        let expected = expected().unwrap();
        assert_eq!(expected.len(), 517);
        let not_ok = expected.iter().filter(|(_, it)| **it != both(Verdict::Ok));
        let not_ok: Vec<String> = not_ok.map(|(id, _)| id.to_string()).collect();
        assert_eq!(not_ok, ["7.1.6", "7.13.1", "7.13.2"]);
        // The suite gives no other verdict there, whatever a testee does.
        for id in not_ok {
            assert_eq!(expected[&id.parse().unwrap()], both(Verdict::Informational));
        }
    }
}
