//! Where settings come from: a flag wins over the environment, the environment over the file, the file
//! over the default, each setting by itself. And back: the settings in effect as such a file.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Args as _, Command, FromArgMatches as _};
use serde::Deserialize;
use toml::Table;

use super::Settings;
use crate::server::config::Config;

/// A file of settings is a few kilobytes; this keeps a device or a log from being read to its end.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a setting was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Default,
    File(PathBuf),
    Environment,
    Flag,
}

impl Source {
    /// The setting as whoever made it knows it.
    pub(crate) fn name(&self, key: &str) -> String {
        match self {
            Self::Default => key.to_owned(),
            Self::File(path) => format!("{}: {key}", path.display()),
            Self::Environment => variable(key),
            Self::Flag => format!("--{key}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            // In a comment: a name may hold anything.
            Self::File(path) => write!(f, "file {:?}", path.display().to_string()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// All settings that were made, and who made each.
#[derive(Debug)]
pub(crate) struct Effective {
    pub(crate) settings: Settings,
    sources: BTreeMap<String, Source>,
}

impl Effective {
    pub(crate) fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }
}

/// Lays each layer over those before it.
pub(crate) fn merge(layers: impl IntoIterator<Item = (Source, Settings)>) -> Effective {
    let mut made = Table::new();
    let mut sources = BTreeMap::new();
    for (source, settings) in layers {
        for (key, value) in table(&settings) {
            sources.insert(key.clone(), source.clone());
            made.insert(key, value);
        }
    }
    let settings = Settings::deserialize(made).expect("what was written from settings reads back");
    Effective { settings, sources }
}

/// The settings that were made, by key.
pub(crate) fn table(settings: &Settings) -> Table {
    Table::try_from(settings).expect("settings are strings, numbers, booleans and lists of them")
}

/// The variable of a setting: `max-payload` is `SOCKEYE_MAX_PAYLOAD`.
pub(crate) fn variable(key: &str) -> String {
    format!("SOCKEYE_{}", key.replace('-', "_").to_ascii_uppercase())
}

/// Settings from variables. Lists are separated by commas. An empty variable is none. `Err` is one
/// sentence.
pub(crate) fn from_environment(variables: &HashMap<String, OsString>) -> Result<Settings, String> {
    let command = Settings::augment_args(Command::new("sockeye"));
    let mut made = Table::new();
    for argument in command.get_arguments() {
        let key = argument.get_id().as_str().replace('_', "-");
        let variable = variable(&key);
        let Some(text) = variables.get(&variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        let text =
            text.to_str().ok_or_else(|| format!("{variable} is not UTF-8; write it anew"))?;
        let parts: Vec<&str> = match argument.get_action() {
            ArgAction::Append => text.split(',').map(str::trim).collect(),
            _ => vec![text],
        };
        let flags = parts.iter().map(|part| format!("--{key}={part}"));
        let line = std::iter::once("sockeye".to_owned()).chain(flags);
        let settings = command
            .clone()
            .try_get_matches_from(line)
            .and_then(|matches| Settings::from_arg_matches(&matches))
            .map_err(|error| format!("{variable}: {}", reason(&error)))?;
        made.extend(table(&settings));
    }
    Ok(Settings::deserialize(made).expect("what was written from settings reads back"))
}

/// Variables that look like settings misspelt, each with a sentence. Others may belong to somebody else.
pub(crate) fn misspelt_variables(variables: &HashMap<String, OsString>) -> Vec<String> {
    let misspelt = |name: &String| {
        let key = name.strip_prefix("SOCKEYE_")?.replace('_', "-").to_ascii_lowercase();
        let meant = variable(&nearest(&key)?);
        Some(format!("{name} is no setting; did you mean {meant}?"))
    };
    let mut told: Vec<String> = variables.keys().filter_map(misspelt).collect();
    told.sort();
    told
}

/// Why a file gives no settings.
#[derive(Debug)]
pub(crate) enum FileError {
    /// It cannot be read.
    Unread(io::Error),
    /// It says something that cannot be.
    Wrong {
        /// Counted from 1.
        line: usize,
        /// One sentence.
        why: String,
    },
}

/// Settings from a TOML file.
pub(crate) fn from_file(path: &Path) -> Result<Settings, FileError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(FileError::Unread)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it has more than {FILE_BYTES_MAX} bytes; no settings are so long");
        return Err(FileError::Wrong { line: 1, why });
    }
    let line_of = |at: usize| 1 + bytes.iter().take(at).filter(|&&byte| byte == b'\n').count();
    let text = str::from_utf8(&bytes).map_err(|error| FileError::Wrong {
        line: line_of(error.valid_up_to()),
        why: "it is not UTF-8; save it as UTF-8".to_owned(),
    })?;
    toml::from_str(text).map_err(|error| FileError::Wrong {
        line: line_of(error.span().map_or(0, |span| span.start)),
        why: in_one_sentence(error.message()),
    })
}

/// Serde names all keys there are; the nearest is what helps.
fn in_one_sentence(message: &str) -> String {
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown {
        Some(key) => {
            let remedy = match nearest(key) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`sockeye --print-config` shows those there are".to_owned(),
            };
            format!("unknown key `{key}`; {remedy}")
        }
        None => message.replace('\n', ", "),
    }
}

/// The key that is most like this one, if one is.
fn nearest(key: &str) -> Option<String> {
    let command = Settings::augment_args(Command::new("sockeye"));
    let error = command.try_get_matches_from(["sockeye".to_owned(), format!("--{key}=x")]).err()?;
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(flag) => {
            let key = flag.trim_start_matches('-').split(['=', ' ']).next()?;
            (key != "help").then(|| key.to_owned())
        }
        _ => None,
    }
}

/// What a value's own reader said, without the flag that clap knows it under.
fn reason(error: &clap::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// A file that says what is in effect, and for each setting who made it.
pub(crate) fn written(config: &Config, effective: &Effective) -> String {
    let command = Settings::augment_args(Command::new("sockeye"));
    let values = table(&Settings::of(config));
    let mut text = String::from(
        "# What is in effect. Behind each setting stands where it comes from: a flag wins over the\n\
         # environment, that over the file, that over the default.\n",
    );
    let mut section = None;
    for argument in command.get_arguments() {
        if section != argument.get_help_heading() {
            section = argument.get_help_heading();
            let _ = writeln!(text, "\n# {}", section.unwrap_or_default());
        }
        let key = argument.get_id().as_str().replace('_', "-");
        let _ = match values.get(&key) {
            Some(value) => writeln!(text, "{key} = {value}  # {}", effective.source(&key)),
            None => writeln!(text, "# {key} is not set"),
        };
    }
    text
}
