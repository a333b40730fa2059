//! What there is to show, whoever it is shown to.

use std::io;
use std::time::Duration;

use super::opening::Greeting;
use crate::client::{ClientError, Received};

/// One who is shown what happens. An error means that nobody looks any more.
pub(super) trait Face {
    /// The connection is open.
    fn opened(&mut self, greeting: &Greeting) -> io::Result<()>;

    /// The server said this; a pong that answers a ping of ours with the time that took. Close frames come with
    /// [`closed`](Self::closed) instead.
    fn heard(&mut self, received: &Received, round_trip: Option<Duration>) -> io::Result<()>;

    /// The connection is over.
    fn closed(&mut self, goodbye: &Goodbye) -> io::Result<()>;

    /// It could not be opened; `why` is one sentence.
    fn refused(&mut self, why: &str, error: &ClientError) -> io::Result<()>;

    /// The next attempt comes after this time.
    fn waits(&mut self, wait: Duration, attempt: u32, attempts: u32) -> io::Result<()>;

    /// Something went wrong, in one sentence.
    fn problem(&mut self, why: &str) -> io::Result<()>;

    /// The answer to what a person asked, one or more lines.
    fn answer(&mut self, text: &str) -> io::Result<()>;

    /// Nothing more comes for now.
    fn flush(&mut self) -> io::Result<()>;
}

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Goodbye {
    /// The code as APIs report it: 1005 for none, 1006 for a cut.
    pub(super) code: u16,
    /// The server's words.
    pub(super) reason: String,
    /// We said goodbye first.
    pub(super) ours: bool,
    /// What broke.
    pub(super) fault: Option<String>,
    /// Bytes that were still to be written.
    pub(super) unsent: usize,
    /// Nothing went wrong.
    pub(super) normal: bool,
}

impl Goodbye {
    /// In words, for a person; the server's are escaped.
    pub(super) fn sentence(&self) -> String {
        use super::escape::{Keep, escaped};
        let Self { code, reason, .. } = self;
        let mut said = match code {
            1006 => "the connection was cut without a goodbye (1006)".to_owned(),
            1005 => format!("{} without a code (1005)", self.who()),
            _ => format!("{} with {code}, {}", self.who(), super::goodbye::name(*code)),
        };
        if !reason.is_empty() {
            said.push_str(&format!(": {}", escaped(reason, Keep::Nothing)));
        }
        if let Some(fault) = &self.fault {
            said.push_str(&format!("; {}", escaped(fault, Keep::Nothing)));
        }
        if self.unsent > 0 {
            said.push_str(&format!("; {} bytes were not sent", self.unsent));
        }
        said
    }

    fn who(&self) -> &'static str {
        if self.ours { "closed" } else { "the server closed" }
    }
}
