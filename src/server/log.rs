//! What is said of the server's doings, and where: lines on stderr.

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or levels by module as in
    /// `warn,sockeye::server=debug`. Default `info`: starts, ends and trouble, nothing per message.
    pub filter: String,
    /// Default [`LogFormat::Text`].
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people: time, level, message, fields.
    Text,
    /// For programs: an object of JSON a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}
