//! What `autobahn/run` does, in order.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::{Args, Side};
use crate::cases::{CaseId, chosen};
use crate::child::Stop;
use crate::failure::{Failure, While as _};
use crate::kept;
use crate::page::{Chapter, page};
use crate::role::{Plan, Role};
use crate::table;
use crate::verdicts::{Difference, Outcomes, differences, expected};
use crate::wstest;

/// What one role came to.
struct Done {
    role: Role,
    outcomes: Outcomes,
    differences: Vec<Difference>,
    took: Duration,
}

/// Whether every verdict is the expected one.
pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    if args.readme {
        let changed = kept::renew_readme()?;
        eprintln!("README.md {}", if changed { "was renewed" } else { "is up to date" });
        return Ok(true);
    }
    let roles = roles(args)?;
    let expected = expected()?;
    let cases = chosen(expected.keys(), &args.cases, args.sample)?;
    let stop = Stop::listen()?;
    let wstest = wstest::find(&stop)?;
    let out = out_folder(args)?;
    eprintln!(
        "{} cases, variant {}, {}; reports go to {}",
        cases.len(),
        args.variant(),
        wstest.describe(),
        out.display()
    );
    let mut done = Vec::new();
    let mut failure = None;
    for role in roles {
        let folder = out.join(role.name());
        clear(&folder)?;
        let plan = Plan { args, wstest: &wstest, cases: &cases, folder, stop: &stop };
        match plan.run(role) {
            Ok(ran) => {
                let differences = differences(&cases, &expected, &ran.outcomes);
                println!("\n{}", table::text(role.name(), &ran.outcomes, ran.took));
                tell(role, &differences, cases.len(), &plan.folder);
                done.push(Done { role, outcomes: ran.outcomes, differences, took: ran.took });
            }
            Err(stopped @ Failure::Stopped(_)) => return Err(stopped),
            // The other role may do better, and is worth knowing.
            Err(Failure::Because(reason)) => {
                eprintln!("as {}: {reason}", role.name());
                failure = Some(Failure::Because(format!("no verdicts as {}", role.name())));
            }
        }
    }
    if !done.is_empty() {
        write_page(args, &out, &cases, &done)?;
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    if args.keep {
        for it in &done {
            kept::keep(it.role, &out.join(it.role.name()).join("index.json"))?;
        }
        // The first time one role may be kept before the other is.
        if Role::ALL.into_iter().all(kept::is_kept) {
            kept::renew_readme()?;
        }
    }
    Ok(done.iter().all(|it| it.differences.is_empty()))
}

fn roles(args: &Args) -> Result<Vec<Role>, Failure> {
    let roles = match args.side {
        Side::Server => vec![Role::Server],
        Side::Client => vec![Role::Client],
        Side::All => Role::ALL.to_vec(),
    };
    if args.testee.is_some() && roles.len() > 1 {
        return Err(Failure::because("--testee is one program: say which role it is for"));
    }
    if args.shards.is_some() && roles != [Role::Server] {
        return Err(Failure::because(
            "a client has no shards; say `autobahn/run server --shards N`",
        ));
    }
    Ok(roles)
}

/// The variant's folder, there and absolute.
fn out_folder(args: &Args) -> Result<PathBuf, Failure> {
    let out = args.out.join(args.variant());
    let doing = || format!("make the folder {}", out.display());
    fs::create_dir_all(&out).or_fail(doing())?;
    fs::canonicalize(&out).or_fail(doing())
}

/// Makes room for the reports of one role. Removes nothing that is not an older report.
fn clear(folder: &Path) -> Result<(), Failure> {
    if folder.join("spec.json").is_file() {
        fs::remove_dir_all(folder)
            .or_fail(format!("remove the reports in {}", folder.display()))?;
    }
    fs::create_dir_all(folder).or_fail(format!("make the folder {}", folder.display()))?;
    let mut entries = fs::read_dir(folder).or_fail(format!("read {}", folder.display()))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Failure::Because(format!(
            "{} holds something that is no report; choose another folder with --out",
            folder.display()
        ))),
    }
}

fn tell(role: Role, differences: &[Difference], asked: usize, folder: &Path) {
    if differences.is_empty() {
        println!("as {}: all {asked} verdicts are the expected ones", role.name());
        return;
    }
    println!("as {}: {} of {asked} verdicts differ:", role.name(), differences.len());
    for difference in differences {
        println!("  {difference}");
        if let Some(reason) = suite_says(folder, difference.id()) {
            println!("      {reason}");
        }
    }
}

/// The suite's own sentence about a case.
fn suite_says(folder: &Path, id: &CaseId) -> Option<String> {
    let name = format!("sockeye_case_{}.json", id.to_string().replace('.', "_"));
    let report = fs::read_to_string(folder.join(name)).ok()?;
    let report: serde_json::Value = serde_json::from_str(&report).ok()?;
    let said = |key: &str| report.get(key).and_then(|it| it.as_str()).unwrap_or_default();
    let sentence = format!("{} {}", said("result"), said("resultClose"));
    // Some quote megabytes.
    Some(sentence.chars().take(300).collect())
}

fn write_page(args: &Args, out: &Path, cases: &[CaseId], done: &[Done]) -> Result<(), Failure> {
    let chapters: Vec<Chapter<'_>> = done
        .iter()
        .map(|it| Chapter {
            role: it.role.name(),
            testee: testee(args, it.role).to_owned(),
            outcomes: &it.outcomes,
            differences: &it.differences,
            asked: cases.len(),
            took: it.took,
        })
        .collect();
    let file = out.join("index.html");
    fs::write(&file, page(&args.variant(), &chapters))
        .or_fail(format!("write {}", file.display()))?;
    println!("reports: {}", file.display());
    Ok(())
}

fn testee(args: &Args, role: Role) -> &'static str {
    match (role, args.one_byte_reads || args.deflate_takeover) {
        (Role::Server, false) => "The shipped server, with permessage-deflate on",
        (Role::Server, true) => "An echo server on the public codec",
        (Role::Client, _) => "The public client",
    }
}
