//! Why there are no verdicts to compare. One sentence with its remedy.

use std::fmt;
use std::io;

/// What stopped a run.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Somebody pressed Ctrl-C. Carries the signal.
    Stopped(i32),
    /// Everything else, as a sentence.
    Because(String),
}

impl Failure {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }

    /// The exit status: what shells make of a signal, or 1.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Stopped(signal) => u8::try_from(128 + signal).unwrap_or(1),
            Self::Because(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(_) => write!(f, "stopped; everything that was started has ended"),
            Self::Because(reason) => f.write_str(reason),
        }
    }
}

/// Adds to an error of the system what was being done.
pub(crate) trait While<T> {
    fn or_fail(self, doing: impl fmt::Display) -> Result<T, Failure>;
}

impl<T> While<T> for io::Result<T> {
    fn or_fail(self, doing: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::Because(format!("cannot {doing}: {error}")))
    }
}
