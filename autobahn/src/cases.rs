//! Which cases there are and which are asked for. A case is known by its number, `6.4.1`; what it does
//! is the suite's affair.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The number of a case. Sorts as people count: 2.9 before 2.10.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CaseId(Vec<u16>);

impl CaseId {
    /// `6` of `6.4.1`.
    pub(crate) fn section(&self) -> u16 {
        self.0.first().copied().unwrap_or_default()
    }

    /// `6.4` of `6.4.1`; the section again where a section has no groups, as 2.
    pub(crate) fn group(&self) -> String {
        let len = if self.0.len() > 2 { 2 } else { 1 };
        Self(self.0.iter().take(len).copied().collect()).to_string()
    }

    /// The last part of the number.
    fn last(&self) -> u16 {
        self.0.last().copied().unwrap_or_default()
    }
}

impl FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<u16>, _> = text.split('.').map(str::parse).collect();
        match parts {
            Ok(parts) if (2..=3).contains(&parts.len()) => Ok(Self(parts)),
            _ => Err(format!("{text:?} is not the number of a case")),
        }
    }
}

impl TryFrom<String> for CaseId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<CaseId> for String {
    fn from(id: CaseId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if nth == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// The suite's sections, as it numbers them.
pub(crate) const SECTIONS: [(u16, &str); 11] = [
    (1, "Framing"),
    (2, "Pings and pongs"),
    (3, "Reserved bits"),
    (4, "Reserved opcodes"),
    (5, "Fragmentation"),
    (6, "UTF-8"),
    (7, "Closing handshake"),
    (9, "Limits and throughput"),
    (10, "Fragments by the suite"),
    (12, "Compression, different data"),
    (13, "Compression, different parameters"),
];

/// The messages of sections 12 and 13 grow from case to case of a group, 16 octets to 128 KiB, whole in
/// the first ten and in fragments in the others. These are the smallest, 16 KiB whole, and 32 KiB in
/// fragments of 256 octets: a minute a role, where the largest would take four.
const SAMPLE: [u16; 3] = [1, 7, 13];

/// The cases among `all` that are asked for, in order.
///
/// # Errors
///
/// A pattern that fits no case.
pub(crate) fn chosen<'a>(
    all: impl Iterator<Item = &'a CaseId> + Clone,
    patterns: &[String],
    sample: bool,
) -> Result<Vec<CaseId>, Failure> {
    for pattern in patterns {
        if !all.clone().any(|id| fits(pattern, id)) {
            return Err(Failure::Because(format!(
                "no case fits {pattern:?}; 6.4.1 is a case, 6.4 a group, 6.* or 6 a section"
            )));
        }
    }
    let wanted = |id: &&CaseId| {
        (patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, id)))
            && (!sample || id.section() < 12 || SAMPLE.contains(&id.last()))
    };
    let mut ids: Vec<CaseId> = all.filter(wanted).cloned().collect();
    ids.sort();
    Ok(ids)
}

/// A number fits itself and everything below it; `*` stands for any text.
fn fits(pattern: &str, id: &CaseId) -> bool {
    let number = id.to_string();
    let below = |pattern: &str| {
        number.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    below(pattern.trim()) || glob(pattern.trim().as_bytes(), number.as_bytes())
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(first, others)| first == byte && glob(rest, others))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::expected;

    fn chosen_as_text(patterns: &[&str], sample: bool) -> Vec<String> {
        let expected = expected().unwrap();
        let patterns: Vec<String> = patterns.iter().map(|&it| it.to_owned()).collect();
        let ids = chosen(expected.keys(), &patterns, sample).unwrap();
        ids.iter().map(CaseId::to_string).collect()
    }

    #[test]
    fn without_patterns_all_517_cases_are_chosen() {
        assert_eq!(chosen_as_text(&[], false).len(), 517);
    }

    #[test]
    fn a_number_stands_for_itself_and_what_is_below_it() {
        assert_eq!(chosen_as_text(&["6.4"], false), ["6.4.1", "6.4.2", "6.4.3", "6.4.4"]);
        assert_eq!(chosen_as_text(&["2.1"], false), ["2.1"]);
        assert_eq!(chosen_as_text(&["1"], false).len(), 16);
        assert_eq!(chosen_as_text(&["6.*"], false).len(), 145);
        assert_eq!(chosen_as_text(&["13.*.18", "7.1"], false).len(), 7 + 6);
    }

    #[test]
    fn cases_are_in_the_order_that_people_count_in() {
        let ids = chosen_as_text(&["2"], false);
        assert_eq!(ids.first().unwrap(), "2.1");
        assert_eq!(ids.last().unwrap(), "2.11");
    }

    #[test]
    fn a_sample_leaves_out_compressed_cases_only() {
        assert_eq!(chosen_as_text(&[], true).len(), 301 + 12 * SAMPLE.len());
        assert_eq!(chosen_as_text(&["13.7"], true), ["13.7.1", "13.7.7", "13.7.13"]);
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_a_mistake() {
        let expected = expected().unwrap();
        let error = chosen(expected.keys(), &["8.*".to_owned()], false).unwrap_err();
        assert!(error.to_string().contains("\"8.*\""), "{error}");
    }

    #[test]
    fn every_case_is_of_a_section_with_a_title() {
        for id in expected().unwrap().keys() {
            assert!(SECTIONS.iter().any(|(section, _)| *section == id.section()), "{id}");
        }
    }
}
