//! What comes with the program where it is installed: completions for shells and the manual's pages. Both are
//! made from the command line's definition when asked for, so that they cannot be older than the program.

use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use super::args::command;

/// A shell's script.
pub(super) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    text(script)
}

/// The program's own page.
pub(super) fn page() -> String {
    rendered(whole())
}

/// Writes the pages of the program and all its commands into a folder, which is made if it is not there:
/// `sockeye.1`, `sockeye-serve.1` and so on.
///
/// # Errors
///
/// The system's.
pub fn write_manual(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let command = whole();
    for page in command.get_subcommands().chain([&command]) {
        let name = page.get_display_name().unwrap_or(NAME);
        std::fs::write(folder.join(format!("{name}.1")), rendered(page.clone()))?;
    }
    Ok(())
}

/// With all that clap adds to it by itself, but for `help`, which has no page.
fn whole() -> Command {
    let mut command = command().disable_help_subcommand(true);
    command.build();
    command
}

fn rendered(command: Command) -> String {
    let mut page = Vec::new();
    // Into memory nothing fails.
    let _ = clap_mangen::Man::new(command).render(&mut page);
    as_written(&text(page))
}

/// Indented lines, as examples are, stay lines; man would fill them up like prose.
fn as_written(page: &str) -> String {
    let mut written = String::new();
    let mut indented = false;
    for line in page.lines() {
        if line.starts_with(' ') != indented {
            indented = !indented;
            written.push_str(if indented { ".nf\n" } else { ".fi\n" });
        }
        written.push_str(line);
        written.push('\n');
    }
    written
}

/// What was written from strings.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

const NAME: &str = "sockeye";
