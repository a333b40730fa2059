//! Messages on standard output and nothing else there; what concerns the connection goes to standard error.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Duration;

use super::escape::{Keep, escaped};
use super::face::{Face, Goodbye};
use super::hex;
use super::opening::Greeting;
use super::refusal;
use crate::client::{ClientError, Received};

/// A pipe, a file, or a terminal without a person at the other end.
pub(super) struct Plain {
    out: BufWriter<Stdout>,
    /// What stands behind each message; `None`: the bytes as they are.
    end: Option<u8>,
    /// Standard output is a terminal, which must not be driven by a server.
    guarded: bool,
    verbose: bool,
    quiet: bool,
}

impl Plain {
    pub(super) fn new(end: Option<u8>, verbose: bool, quiet: bool) -> Self {
        let out = io::stdout();
        let guarded = out.is_terminal();
        Self { out: BufWriter::new(out), end, guarded, verbose, quiet }
    }

    fn tell(&self, what: &str) {
        if self.verbose {
            say(what);
        }
    }
}

/// A line on standard error. Nobody may be there to read it.
pub(super) fn say(what: &str) {
    let _ = writeln!(io::stderr(), "sockeye connect: {}", escaped(what, Keep::Lines));
}

impl Face for Plain {
    fn opened(&mut self, greeting: &Greeting) -> io::Result<()> {
        self.tell(&greeting.sentence());
        for (name, value) in &greeting.headers {
            self.tell(&format!("  {name}: {value}"));
        }
        Ok(())
    }

    fn heard(&mut self, received: &Received, round_trip: Option<Duration>) -> io::Result<()> {
        match received {
            Received::Text(text) if self.guarded => {
                self.out.write_all(escaped(text, Keep::Lines).as_bytes())?;
            }
            Received::Text(text) => self.out.write_all(text.as_bytes())?,
            Received::Binary(bytes) if self.end.is_none() && !self.guarded => {
                self.out.write_all(bytes)?;
            }
            Received::Binary(bytes) => {
                let mut digits = String::with_capacity(bytes.len() * 2);
                hex::write(bytes, &mut digits);
                self.out.write_all(digits.as_bytes())?;
            }
            Received::Ping(payload) => {
                self.tell(&format!("ping {}", String::from_utf8_lossy(payload)));
                return Ok(());
            }
            Received::Pong(payload) => {
                let after = round_trip.map_or_else(String::new, |it| format!(" after {it:.1?}"));
                self.tell(&format!("pong {}{after}", String::from_utf8_lossy(payload)));
                return Ok(());
            }
            Received::Close(..) => return Ok(()),
        }
        self.out.write_all(self.end.as_slice())
    }

    fn closed(&mut self, goodbye: &Goodbye) -> io::Result<()> {
        self.out.flush()?;
        if self.verbose || !goodbye.normal {
            say(&goodbye.sentence());
        }
        Ok(())
    }

    fn refused(&mut self, why: &str, error: &ClientError) -> io::Result<()> {
        say(why);
        if let ClientError::Refused(refusal) = error {
            let _ = io::stderr().write_all(refusal::shown(refusal, self.verbose).as_bytes());
        }
        Ok(())
    }

    fn waits(&mut self, wait: Duration, attempt: u32, attempts: u32) -> io::Result<()> {
        if !self.quiet {
            say(&format!("trying again in {wait:.1?} ({attempt} of {attempts})"));
        }
        Ok(())
    }

    fn problem(&mut self, why: &str) -> io::Result<()> {
        say(why);
        Ok(())
    }

    fn answer(&mut self, text: &str) -> io::Result<()> {
        self.tell(text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
