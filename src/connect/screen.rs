//! What happens, for a person at a terminal.

use std::env;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use super::escape::{Keep, beginning, escaped};
use super::face::{Face, Goodbye};
use super::opening::Greeting;
use super::terminal::Terminal;
use super::{hex, refusal};
use crate::client::{ClientError, Received};

/// 16 KiB of one text: some two hundred lines.
const TEXT_BYTES: usize = 16 << 10;

/// 512 bytes of one binary message: 32 lines of a dump.
const DUMP_BYTES: usize = 512;

/// 64 KiB are drawn at once, however many messages that is.
const PAGE_BYTES: usize = 64 << 10;

/// A person's terminal.
pub(super) struct Screen {
    /// The line that is edited, once there is one.
    line: Option<Rc<Terminal>>,
    colour: bool,
    verbose: bool,
    quiet: bool,
    /// Goes out together: the line below is drawn anew only once.
    page: String,
}

#[derive(Clone, Copy)]
enum Tone {
    Aside,
    Peer,
    Alarm,
}

impl Screen {
    pub(super) fn new(verbose: bool, quiet: bool) -> Self {
        // no-color.org: any value but an empty one.
        let forbidden = env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|it| it == "dumb");
        Self { line: None, colour: !forbidden && !dumb, verbose, quiet, page: String::new() }
    }

    /// From now on there is a line to print above of.
    pub(super) fn beside(&mut self, line: Rc<Terminal>) {
        self.line = Some(line);
    }

    fn print(&mut self, lines: &str) -> io::Result<()> {
        self.page.push_str(lines);
        if self.page.len() > PAGE_BYTES { self.flush() } else { Ok(()) }
    }

    fn aside(&mut self, text: &str) -> io::Result<()> {
        match self.quiet {
            true => Ok(()),
            false => self.print(&format!("{}\n", self.toned(Tone::Aside, text))),
        }
    }

    fn toned(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Aside => 2,
            Tone::Peer => 36,
            Tone::Alarm => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Lines of the peer: the first behind a mark, the others behind another, so that none passes for a new message.
    fn marked(&self, first: &str, text: &str) -> String {
        let mut page = String::with_capacity(text.len() + 16);
        let mut mark = first;
        for line in text.split('\n') {
            page.push_str(&self.toned(Tone::Peer, mark));
            page.push(' ');
            page.push_str(line);
            page.push('\n');
            mark = "|";
        }
        page
    }

    fn text(&self, text: &str) -> String {
        let kept = if self.verbose { text } else { beginning(text, TEXT_BYTES) };
        let mut page = self.marked("<", &escaped(kept, Keep::Lines));
        if kept.len() < text.len() {
            let left = text.len() - kept.len();
            page.push_str(
                &self.toned(Tone::Aside, &format!("| ... {left} bytes more; /save PATH keeps all")),
            );
            page.push('\n');
        }
        page
    }

    fn binary(&self, bytes: &[u8]) -> String {
        let kept = bytes.get(..DUMP_BYTES).filter(|_| !self.verbose).unwrap_or(bytes);
        let mut page = format!("binary, {} bytes\n{}", bytes.len(), hex::dump(kept));
        if kept.len() < bytes.len() {
            page.push_str(&format!(
                "... {} bytes more; /save PATH keeps all\n",
                bytes.len() - kept.len()
            ));
        }
        self.marked("<", page.trim_end_matches('\n'))
    }
}

impl Face for Screen {
    fn opened(&mut self, greeting: &Greeting) -> io::Result<()> {
        self.aside(&greeting.sentence())?;
        if self.line.is_none() {
            self.aside("a line is sent by Enter; /help lists the commands, Ctrl-D ends")?;
        }
        if self.verbose {
            for (name, value) in &greeting.headers {
                self.aside(&format!("  {name}: {}", escaped(value, Keep::Nothing)))?;
            }
        }
        Ok(())
    }

    fn heard(&mut self, received: &Received, round_trip: Option<Duration>) -> io::Result<()> {
        let shown =
            |payload: &[u8]| escaped(&String::from_utf8_lossy(payload), Keep::Nothing).into_owned();
        match received {
            Received::Text(text) => {
                let page = self.text(text);
                self.print(&page)
            }
            Received::Binary(bytes) => {
                let page = self.binary(bytes);
                self.print(&page)
            }
            Received::Ping(payload) if self.verbose => {
                self.aside(format!("ping {}", shown(payload)).trim_end())
            }
            Received::Pong(payload) => match round_trip {
                Some(it) => self.print(&format!(
                    "{}\n",
                    self.toned(Tone::Aside, &format!("pong after {it:.1?}"))
                )),
                None if self.verbose => self.aside(format!("pong {}", shown(payload)).trim_end()),
                None => Ok(()),
            },
            Received::Ping(_) | Received::Close(..) => Ok(()),
        }
    }

    fn closed(&mut self, goodbye: &Goodbye) -> io::Result<()> {
        self.flush()?;
        if goodbye.normal {
            self.aside(&goodbye.sentence())?;
        } else {
            self.problem(&goodbye.sentence())?;
        }
        if let Some(line) = &self.line {
            line.print_surely(std::mem::take(&mut self.page));
        }
        Ok(())
    }

    fn refused(&mut self, why: &str, error: &ClientError) -> io::Result<()> {
        self.problem(why)?;
        match error {
            ClientError::Refused(refusal) => self.print(&refusal::shown(refusal, self.verbose)),
            _ => Ok(()),
        }
    }

    fn waits(&mut self, wait: Duration, attempt: u32, attempts: u32) -> io::Result<()> {
        self.aside(&format!("trying again in {wait:.1?} ({attempt} of {attempts})"))
    }

    fn problem(&mut self, why: &str) -> io::Result<()> {
        self.print(&format!("{}\n", self.toned(Tone::Alarm, &escaped(why, Keep::Nothing))))
    }

    fn answer(&mut self, text: &str) -> io::Result<()> {
        self.print(&format!("{}\n", text.trim_end()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let page = std::mem::take(&mut self.page);
        match &self.line {
            _ if page.is_empty() => Ok(()),
            Some(line) => {
                line.print(page);
                Ok(())
            }
            None => {
                let mut out = io::stdout();
                out.write_all(page.as_bytes())?;
                out.flush()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(verbose: bool) -> Screen {
        Screen { line: None, colour: false, verbose, quiet: false, page: String::new() }
    }

    #[test]
    fn a_line_of_a_peer_cannot_pass_for_a_message_of_its_own() {
        assert_eq!(screen(false).text("one\n< two\x1b[A"), "< one\n| < two\\x1b[A\n");
    }

    #[test]
    fn a_long_text_is_cut_unless_all_is_wanted() {
        let text = "x".repeat(20_000);
        assert!(
            screen(false).text(&text).ends_with("x\n| ... 3616 bytes more; /save PATH keeps all\n")
        );
        assert_eq!(screen(true).text(&text).len(), 20_003);
    }

    #[test]
    fn a_binary_message_is_a_dump_with_its_length() {
        let page = screen(false).binary(&[0; 600]);
        assert!(page.starts_with("< binary, 600 bytes\n| 00000000  00 00"), "{page}");
        assert!(page.ends_with("| ... 88 bytes more; /save PATH keeps all\n"), "{page}");
        assert_eq!(page.lines().count(), 1 + 32 + 1);
        assert_eq!(screen(false).binary(&[]), "< binary, 0 bytes\n");
    }

    #[test]
    fn colour_is_of_the_mark_and_never_of_the_text() {
        let screen = Screen { colour: true, ..screen(false) };
        assert_eq!(screen.text("hi"), "\x1b[36m<\x1b[0m hi\n");
    }
}
