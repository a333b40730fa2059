//! What the course of things says to the server, and what becomes of what was typed or read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use super::{CLOSE_WAIT, Course, Over, Stage};
use crate::client::Received;
use crate::connect::command::{self, Ask};
use crate::connect::error::ConnectError;
use crate::connect::pipe::{self, INPUT_BYTES_MAX};
use crate::connect::plan::Source;
use crate::proto::{CloseCode, CloseFrame, SendError};

/// 256 KiB wait to be written before more input is read: enough to keep the line busy.
const AHEAD_BYTES: usize = 256 << 10;

/// 100 messages typed while there is no connection are sent once there is one.
const HELD_MAX: usize = 100;

/// 16 pings of ours under way: a person types no more.
const PINGS_MAX: usize = 16;

impl Course {
    pub(super) fn typed(&mut self, line: &str) -> Result<Over, ConnectError> {
        let ask = match command::parse(line) {
            Ok(ask) => ask,
            Err(problem) => {
                self.show(|face| face.problem(&problem))?;
                return Ok(None);
            }
        };
        match ask {
            Ask::Quit => return self.quit(),
            Ask::Help => self.show(|face| face.answer(command::HELP))?,
            Ask::Save(path) => {
                let said = save(&path, self.last.as_ref());
                match said {
                    Ok(said) => self.show(|face| face.answer(&said))?,
                    Err(problem) => self.show(|face| face.problem(&problem))?,
                }
            }
            Ask::Close(..) if matches!(self.stage, Stage::Opening | Stage::Waiting(_)) => {
                return self.quit();
            }
            ask if self.stage == Stage::Open => {
                if let Err(problem) = self.say(ask) {
                    self.show(|face| face.problem(&problem))?;
                }
            }
            _ if matches!(self.stage, Stage::Closing(_)) => {
                self.show(|face| face.problem("not sent: the connection is closing"))?;
            }
            _ if self.held.len() >= HELD_MAX => {
                let said = format!("not sent: {HELD_MAX} messages wait for the connection");
                self.show(|face| face.problem(&said))?;
            }
            ask => self.held.push_back(ask),
        }
        Ok(None)
    }

    /// Sends what input has brought, and lets the next of it come if there is room.
    pub(super) fn send_pending(&mut self) -> Result<(), ConnectError> {
        let Source::Pipe(pipe) = self.plan.source else {
            return Ok(());
        };
        if self.stage != Stage::Open {
            return Ok(());
        }
        let Some((first, batch)) = self.input.pending.take() else {
            return Ok(());
        };
        for (number, message) in (first..).zip(batch) {
            let said = pipe::ask(pipe, message).and_then(|ask| self.say(ask));
            if let Err(problem) = said {
                return self.give_up(&format!("message {number} of the input: {problem}"));
            }
            if self.stage != Stage::Open {
                return Ok(());
            }
        }
        self.quiet_since = Instant::now();
        let link = self.link.as_ref();
        if link.is_some_and(|it| it.backlog() > AHEAD_BYTES && it.tell_when_drained()) {
            self.input.withheld = true;
        } else {
            self.input.let_next_come();
        }
        Ok(())
    }

    /// Sends. The error is a sentence for whoever asked.
    pub(super) fn say(&mut self, ask: Ask) -> Result<(), String> {
        let Some(link) = &self.link else {
            return Err("not sent: there is no connection".into());
        };
        let sent = match ask {
            Ask::Text(text) => link.send(|tx, out| tx.text(&text, out)),
            Ask::Binary(bytes) => link.send(|tx, out| tx.binary(&bytes, out)),
            Ask::File(path) => {
                let bytes = read_file(&path)?;
                link.send(|tx, out| tx.binary(&bytes, out))
            }
            Ask::Ping(text) => {
                self.pinged += 1;
                let payload = text.unwrap_or_else(|| self.pinged.to_string()).into_bytes();
                let sent = link.send(|tx, out| tx.ping(&payload, out));
                if sent.is_ok() {
                    self.pings.push_back((payload, Instant::now()));
                    if self.pings.len() > PINGS_MAX {
                        self.pings.pop_front();
                    }
                }
                sent
            }
            Ask::Close(code, reason) => {
                let frame = CloseFrame { code, reason: &reason };
                let sent = link.send(|tx, out| tx.close(Some(frame), out));
                if sent.is_ok() {
                    self.ours = true;
                    self.stage = Stage::Closing(Instant::now() + CLOSE_WAIT);
                }
                sent
            }
            Ask::Save(_) | Ask::Help | Ask::Quit => Ok(()),
        };
        sent.map_err(|error| match error {
            SendError::Closed => "not sent: the connection is closing".into(),
            other => format!("not sent: {other}"),
        })
    }

    /// Begins the closing handshake; nothing happens where it has begun.
    pub(super) fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), ConnectError> {
        if self.stage == Stage::Open {
            let said = self.say(Ask::Close(code, reason.to_owned()));
            if said.is_err() {
                // The server was faster, which is news to come; but it is waited for no longer than for an answer.
                self.stage = Stage::Closing(Instant::now() + CLOSE_WAIT);
            }
        }
        Ok(())
    }

    /// What is wrong cannot be mended: says so, closes, and ends with status 1.
    pub(super) fn give_up(&mut self, problem: &str) -> Result<(), ConnectError> {
        self.status = 1;
        self.show(|face| face.problem(problem))?;
        self.close(CloseCode::NORMAL, "")
    }

    pub(super) fn keep_alive(&mut self, now: Instant) -> Result<(), ConnectError> {
        let (Some(every), Some((_, before)), Some(link)) =
            (self.plan.ping_interval, self.keepalive, &self.link)
        else {
            return Ok(());
        };
        let heard = link.bytes_heard();
        if before == Some(heard) {
            self.fault = Some(format!("nothing came for {every:?}, not even a pong"));
            self.keepalive = None;
            link.cut();
            return Ok(());
        }
        // It fails where a close is under way, which has a moment of its own.
        let _ = link.send(|tx, out| tx.ping(b"", out));
        self.keepalive = Some((now + every, Some(heard)));
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let limit = INPUT_BYTES_MAX as u64 + 1;
    File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > INPUT_BYTES_MAX {
        return Err(format!("{} exceeds {INPUT_BYTES_MAX} bytes", path.display()));
    }
    Ok(bytes)
}

/// Writes a message into a new file.
fn save(path: &Path, message: Option<&Received>) -> Result<String, String> {
    let bytes = match message {
        Some(Received::Text(text)) => text.as_bytes(),
        Some(Received::Binary(bytes)) => bytes,
        _ => return Err("no message has come yet".into()),
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{} is there already; choose another name", path.display())
        }
        _ => format!("cannot write {}: {error}", path.display()),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    Ok(format!("{} bytes in {}", bytes.len(), path.display()))
}
