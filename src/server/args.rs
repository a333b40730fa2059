//! The command line. Its help is the first thing that an operator reads.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::builder::StyledStr;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::config::Config;
use super::installing;
use super::settings::{
    FileError, Settings, Source, from_environment, from_file, merge, misspelt_variables, table,
    variable, written,
};

const AFTER_HELP: &str = "\
Examples:
  sockeye                                       chat on this machine, http://127.0.0.1:8080/
  sockeye --listen 0.0.0.0:8080 --listen '[::]:8080'
                                                ... for all who reach it
  sockeye --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem --origin https://example.com
                                                ... with TLS, for one site's pages
  sockeye --unix /run/sockeye.sock              ... behind a proxy
  sockeye --path ws=/named --path echo=off --path other=off
                                                ... under paths of your own, and no others
  sockeye --print-config > sockeye.toml         all settings, to begin a file with
  sockeye --config sockeye.toml --log debug     a file, and one setting over it

Sizes are bytes or have a unit (65536, 64KiB, 16MiB); times are seconds or have one (5, 500ms, 2m).

Every setting is also a variable (--max-payload is SOCKEYE_MAX_PAYLOAD, lists are separated by commas) \
and a key of the TOML file that --config names (max-payload = \"64KiB\", lists in brackets). A flag \
wins over the variable, that over the file, that over the default, each setting by itself; a list given \
anew replaces the whole list.

Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot serve, 2 if it was told what cannot be.";

const COMPLETIONS_HELP: &str = "\
  bash   sockeye completions bash > /usr/share/bash-completion/completions/sockeye
  zsh    sockeye completions zsh > /usr/local/share/zsh/site-functions/_sockeye
  fish   sockeye completions fish > ~/.config/fish/completions/sockeye.fish";

const MAN_HELP: &str = "\
  sockeye man | man -l -                       read the page of the program
  sockeye man /usr/local/share/man/man1        install all, for `man sockeye-bench`";

/// A chat relay that speaks WebSocket
///
/// Serves a chat page at `/`, and for programs by path: /chat (history, presence, acks), /broadcast (to all others of the room), /ws (with names), /direct (user directory), /im
/// (one-to-one) and /echo. ?room= and ?user= say where and who. /healthz and /readyz tell how it is.
#[derive(Parser, Debug)]
#[command(
    name = "sockeye",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 110,
    after_long_help = AFTER_HELP,
    after_help = "More, with examples: sockeye --help"
)]
struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Serve chat: what happens without a command, too
    #[command(after_long_help = AFTER_HELP, after_help = "More, with examples: sockeye serve --help")]
    Serve(Box<Serve>),
    /// Put load on a WebSocket server and measure it
    #[cfg(feature = "bench")]
    Bench(Box<crate::bench::Args>),
    /// Talk to a WebSocket server, at the terminal or in a pipe
    #[cfg(feature = "connect")]
    Connect(Box<crate::connect::Args>),
    /// Print a script by which a shell completes this program's flags and values
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands
    #[command(after_help = MAN_HELP)]
    Man {
        /// Write a page for each command here, as man finds them below /usr/local/share/man/man1
        dir: Option<PathBuf>,
    },
}

#[derive(clap::Args, Debug)]
struct Serve {
    #[command(flatten)]
    settings: Settings,

    /// Read settings from this TOML file
    ///
    /// SOCKEYE_CONFIG names one, too. A key that it does not know is an error.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,

    /// Print the settings in effect, and where each comes from, as a file for --config; then exit
    #[arg(long, help_heading = "Configuration")]
    print_config: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Serve.
    Serve {
        /// As flags, environment and file have it.
        config: Box<Config>,
        /// What is odd and no error, each a sentence for the log.
        notes: Vec<String>,
    },
    /// Measure a server.
    #[cfg(feature = "bench")]
    Bench(Box<crate::bench::Args>),
    /// Talk to a server.
    #[cfg(feature = "connect")]
    Connect(Box<crate::connect::Args>),
    /// Write the manual's pages into this folder.
    Manual(PathBuf),
    /// Print this.
    Print(String),
}

impl Task {
    /// Reads a command line, the program's name first, and the environment.
    ///
    /// ```
    /// # use sockeye::server::Task;
    /// let Task::Serve { config, .. } = Task::read(["sockeye", "--max-connections", "7"], [])? else {
    ///     unreachable!("to serve is the default");
    /// };
    /// assert_eq!(config.max_connections, 7);
    /// # Ok::<(), sockeye::server::UsageError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`UsageError`]; `--help` and `--version` are among them, as with clap.
    pub fn read<T: Into<OsString> + Clone>(
        line: impl IntoIterator<Item = T>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, UsageError> {
        let matches = command().try_get_matches_from(line).map_err(UsageError::Flags)?;
        let args = Args::from_arg_matches(&matches).map_err(UsageError::Flags)?;
        let serve = match args.verb {
            Some(Verb::Serve(serve)) => *serve,
            #[cfg(feature = "bench")]
            Some(Verb::Bench(args)) => return Ok(Self::Bench(args)),
            #[cfg(feature = "connect")]
            Some(Verb::Connect(args)) => return Ok(Self::Connect(args)),
            Some(Verb::Completions { shell }) => {
                return Ok(Self::Print(installing::completions(shell)));
            }
            Some(Verb::Man { dir: None }) => return Ok(Self::Print(installing::page())),
            Some(Verb::Man { dir: Some(dir) }) => return Ok(Self::Manual(dir)),
            None => args.serve,
        };
        let ours = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        let variables: HashMap<String, OsString> = variables.into_iter().filter_map(ours).collect();

        let mut layers = Vec::new();
        let named = variables.get(&variable("config")).filter(|path| !path.is_empty());
        if let Some(path) = serve.config.or_else(|| named.map(PathBuf::from)) {
            let settings = from_file(&path).map_err(|error| UsageError::of_file(&path, error))?;
            layers.push((Source::File(path), settings));
        }
        let environment = from_environment(&variables).map_err(UsageError::Setting)?;
        layers.push((Source::Environment, environment));
        layers.push((Source::Flag, serve.settings));

        let effective = merge(layers);
        let config = effective.settings.clone().apply().map_err(|fault| {
            let source = effective.source(fault.key);
            UsageError::Setting(format!("{}: {}", source.name(fault.key), fault.why))
        })?;
        Ok(if serve.print_config {
            Self::Print(written(&config, &effective))
        } else {
            Self::Serve { config: Box::new(config), notes: misspelt_variables(&variables) }
        })
    }
}

/// Why the program cannot do what it was told. One sentence with its remedy, or clap's few lines.
#[derive(Debug)]
#[non_exhaustive]
pub enum UsageError {
    /// The flags are wrong; or they ask for help or the version, which is no error at all.
    Flags(clap::Error),
    /// A setting is wrong, wherever it was made.
    Setting(String),
    /// The file of settings cannot be read.
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl UsageError {
    fn of_file(path: &Path, error: FileError) -> Self {
        match error {
            FileError::Unread(source) => Self::File { path: path.to_owned(), source },
            FileError::Wrong { line, why } => {
                Self::Setting(format!("{}, line {line}: {why}", path.display()))
            }
        }
    }

    /// What the process ends with: 0 for help, 1 for a file that cannot be read, else 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Flags(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Setting(_) => 2,
            Self::File { .. } => 1,
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(error) => error.fmt(f),
            Self::Setting(why) => f.write_str(why),
            Self::File { path, source } => {
                let path = path.display();
                write!(f, "cannot read {path}: {source}; give --config a file that can be read")
            }
        }
    }
}

impl std::error::Error for UsageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Flags(error) => Some(error),
            Self::Setting(_) => None,
            Self::File { source, .. } => Some(source),
        }
    }
}

/// The command line as clap knows it, for whoever writes completions or a manual page from it. The
/// defaults in its help are those of [`Config`].
pub fn command() -> clap::Command {
    let defaults = table(&Settings::of(&Config::default()));
    let with_default = |argument: clap::Arg| {
        let key = argument.get_id().as_str().replace('_', "-");
        let Some(default) = defaults.get(&key).and_then(shown) else {
            return argument;
        };
        let after = |text: Option<&StyledStr>, gap: &str| {
            format!(
                "{}{gap}[default: {default}]",
                text.map(ToString::to_string).unwrap_or_default()
            )
        };
        let short = after(argument.get_help(), " ");
        let long = after(argument.get_long_help().or(argument.get_help()), "\n");
        argument.help(short).long_help(long)
    };
    Args::command()
        .mut_args(with_default)
        .mut_subcommand("serve", |serve| serve.mut_args(with_default))
}

/// A default as help shows it; an empty list is better told in words.
pub(super) fn shown(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Array(values) if values.is_empty() => None,
        toml::Value::Array(values) => {
            Some(values.iter().filter_map(shown).collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        command().debug_assert();
    }
}
