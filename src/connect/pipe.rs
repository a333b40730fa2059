//! Standard input cut into messages, on a thread of its own that runs one batch ahead and no further.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::Sender;
use std::thread;

use super::command::Ask;
use super::hex;
use super::json;
use super::news::{Gate, News};
use super::plan::{Cut, Kind, Pipe};

/// 64 MiB for one message: four times what servers usually take, and an input without end must not fill the memory.
pub(super) const INPUT_BYTES_MAX: usize = 64 << 20;

/// 256 KiB of messages handed on at once.
const AT_ONCE_BYTES: usize = 256 << 10;

/// Begins to read.
pub(super) fn begin(cut: Cut, gate: Gate, news: Sender<News>) -> io::Result<()> {
    let run = move || {
        let end =
            read(BufReader::with_capacity(AT_ONCE_BYTES, io::stdin()), cut, |first, batch| {
                gate.pass();
                news.send(News::Read(first, batch)).is_ok()
            });
        let _ = news.send(News::InputEnd(end.err()));
    };
    thread::Builder::new().name("input".into()).spawn(run).map(drop)
}

/// Reads to the end, handing on batches of messages with the number of their first, counted from 1.
fn read(
    mut input: BufReader<impl Read>,
    cut: Cut,
    mut hand_on: impl FnMut(u64, Vec<Vec<u8>>) -> bool,
) -> Result<(), String> {
    let broken = |error: io::Error| format!("cannot read the input: {error}");
    let separator = match cut {
        Cut::Lines => b'\n',
        Cut::Null => 0,
        Cut::Whole => {
            let mut whole = Vec::new();
            input.take(INPUT_BYTES_MAX as u64 + 1).read_to_end(&mut whole).map_err(broken)?;
            if whole.len() > INPUT_BYTES_MAX {
                return Err(too_long(1));
            }
            hand_on(1, vec![whole]);
            return Ok(());
        }
    };
    let mut next = 1;
    loop {
        let (first, mut batch, mut bytes) = (next, Vec::new(), 0);
        // What is there already goes together; nobody waits for more.
        while batch.is_empty() || (bytes < AT_ONCE_BYTES && input.buffer().contains(&separator)) {
            let mut message = Vec::new();
            let limit = INPUT_BYTES_MAX as u64 + 2;
            (&mut input).take(limit).read_until(separator, &mut message).map_err(broken)?;
            if message.is_empty() {
                return Ok(());
            }
            if message.pop_if(|last| *last == separator).is_some() && cut == Cut::Lines {
                message.pop_if(|last| *last == b'\r');
            }
            if message.len() > INPUT_BYTES_MAX {
                return Err(too_long(next));
            }
            bytes += message.len();
            batch.push(message);
            next += 1;
        }
        if !hand_on(first, batch) {
            return Ok(());
        }
    }
}

fn too_long(number: u64) -> String {
    format!("message {number} of the input exceeds {INPUT_BYTES_MAX} bytes")
}

/// What a message of the input asks for. The error is a clause that says what is wrong with it.
pub(super) fn ask(pipe: Pipe, message: Vec<u8>) -> Result<Ask, String> {
    match pipe.kind {
        Kind::Text => String::from_utf8(message)
            .map(Ask::Text)
            .map_err(|_| "it is not UTF-8; bytes go as --binary or --json-input".into()),
        Kind::Bytes => Ok(Ask::Binary(message)),
        Kind::Hex => match str::from_utf8(&message) {
            Ok(digits) => hex::parse(digits).map(Ask::Binary),
            Err(_) => Err("it is not hexadecimal digits".into()),
        },
        Kind::Json => json::ask(&message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(bytes: &[u8], cut: Cut) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        read(BufReader::new(bytes), cut, |first, batch| {
            assert_eq!(first, all.len() as u64 + 1);
            all.extend(batch);
            true
        })
        .unwrap();
        all
    }

    #[test]
    fn lines_end_with_a_line_feed_or_the_input() {
        assert_eq!(
            messages(b"one\ntwo\r\n\nlast", Cut::Lines),
            [&b"one"[..], b"two", b"", b"last"]
        );
        assert_eq!(messages(b"", Cut::Lines), [b""; 0]);
        assert_eq!(messages(b"\n", Cut::Lines), [b""]);
    }

    #[test]
    fn zero_bytes_leave_line_ends_alone() {
        assert_eq!(messages(b"a\nb\r\n\0c", Cut::Null), [&b"a\nb\r\n"[..], b"c"]);
    }

    #[test]
    fn the_whole_input_is_one_message_even_if_it_is_empty() {
        assert_eq!(messages(b"a\nb\n", Cut::Whole), [b"a\nb\n"]);
        assert_eq!(messages(b"", Cut::Whole), [b""]);
    }

    #[test]
    fn an_input_without_end_is_given_up() {
        for cut in [Cut::Lines, Cut::Null, Cut::Whole] {
            let said = read(BufReader::new(io::repeat(b'x')), cut, |_, _| true).unwrap_err();
            assert!(said.contains("67108864"), "{said}");
        }
    }
}
