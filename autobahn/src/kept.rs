//! The verdicts that the repository keeps, in `results/`, and the README's table, which is made of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::{home, root};
use crate::failure::{Failure, While as _};
use crate::role::Role;
use crate::table::{by_section, markdown};
use crate::verdicts::{Outcomes, Verdict, outcomes};

const BEGIN: &str = "<!-- autobahn -->\n";
const END: &str = "<!-- /autobahn -->";

fn kept_file(role: Role) -> PathBuf {
    home().join("results").join(role.name()).join("index.json")
}

/// Keeps the suite's raw verdicts of one role.
pub(crate) fn keep(role: Role, index: &Path) -> Result<(), Failure> {
    let file = kept_file(role);
    fs::create_dir_all(file.parent().unwrap_or(home())).or_fail("make autobahn/results")?;
    fs::copy(index, &file).or_fail(format!("write {}", file.display()))?;
    Ok(())
}

/// Whether there are kept verdicts of this role.
pub(crate) fn is_kept(role: Role) -> bool {
    kept_file(role).is_file()
}

/// Renews the README's table; says whether that changed anything.
pub(crate) fn renew_readme() -> Result<bool, Failure> {
    let file = root().join("README.md");
    let old = fs::read_to_string(&file).or_fail("read README.md")?;
    let new = with_table(&old, &kept_table()?)?;
    if new == old {
        return Ok(false);
    }
    fs::write(&file, new).or_fail("write README.md")?;
    Ok(true)
}

/// What stands between the README's marks.
fn kept_table() -> Result<String, Failure> {
    let kept = |role| outcomes(&kept_file(role));
    let (server, client) = (kept(Role::Server)?, kept(Role::Client)?);
    Ok(format!("\n{}\n\n{}\n", sentence(&server, &client), markdown(&server, &client)))
}

fn sentence(server: &Outcomes, client: &Outcomes) -> String {
    let counts = |count: &dyn Fn(Verdict) -> usize| {
        let some = Verdict::ALL.into_iter().filter(|&verdict| count(verdict) > 0);
        let counts: Vec<String> =
            some.map(|verdict| format!("{} {verdict}", count(verdict))).collect();
        counts.join(" and ")
    };
    let told = |outcomes: &Outcomes| {
        let (_, sum) = by_section(outcomes);
        let behavior = counts(&|verdict| sum.behavior(verdict));
        let close = counts(&|verdict| sum.close(verdict));
        format!("of {} cases {behavior}, the closing {close}", sum.cases)
    };
    format!("As server: {}. As client: {}.", told(server), told(client))
}

/// The text with what stands between the marks replaced.
fn with_table(text: &str, table: &str) -> Result<String, Failure> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| {
        Failure::Because(format!("README.md has no {} ... {END}", BEGIN.trim_end()))
    })?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::{differences, expected};

    #[test]
    fn the_readmes_table_is_what_the_kept_verdicts_say() {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let renewed = with_table(&readme, &kept_table().unwrap()).unwrap();
        assert!(readme == renewed, "renew it with `autobahn/run --readme`");
    }

    #[test]
    fn the_kept_verdicts_are_the_expected_ones_of_all_cases() {
        let expected = expected().unwrap();
        let all: Vec<_> = expected.keys().cloned().collect();
        for role in Role::ALL {
            let kept = outcomes(&kept_file(role)).unwrap();
            assert_eq!(differences(&all, &expected, &kept), [], "as {}", role.name());
            assert_eq!(kept.len(), 517);
        }
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let old = format!("a\n{BEGIN}old{END}\nb");
        assert_eq!(with_table(&old, "new").unwrap(), format!("a\n{BEGIN}new{END}\nb"));
        assert!(with_table("no marks", "new").is_err());
    }
}
