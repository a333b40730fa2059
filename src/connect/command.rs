//! A line of a person at the terminal: a message, or a command.

use std::path::PathBuf;

use super::hex;
use crate::proto::CloseCode;

/// What a line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    /// Send text.
    Text(String),
    /// Send bytes.
    Binary(Vec<u8>),
    /// Send a file as one binary message.
    File(PathBuf),
    /// Send a ping; without text one is thought up.
    Ping(Option<String>),
    /// Close with this code and reason.
    Close(CloseCode, String),
    /// Keep the last message in a file.
    Save(PathBuf),
    /// Show the commands.
    Help,
    /// Close and end.
    Quit,
}

pub(super) const HELP: &str = "  TEXT                    send it as a text message
  //TEXT                  send /TEXT: the first slash is taken off
  /binary HEX             send bytes: /binary 01 ab ff
  /file PATH              send a file as one binary message
  /ping [TEXT]            send a ping and say how long the pong took
  /close [CODE [REASON]]  close; without a code with 1000
  /save PATH              keep the last message in a new file
  /quit                   close with 1000 and end, as Ctrl-C and Ctrl-D do
  /help                   this
";

/// Reads a line. The error is a sentence for whoever typed it.
pub(super) fn parse(line: &str) -> Result<Ask, String> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Ask::Text(line.to_owned()));
    };
    if command.starts_with('/') {
        return Ok(Ask::Text(command.to_owned()));
    }
    let (verb, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let path = |what: &str| match rest {
        "" => Err(format!("/{verb} needs {what}")),
        _ => Ok(PathBuf::from(rest)),
    };
    match verb {
        "binary" if rest.is_empty() => Err("/binary needs bytes: /binary 01 ab ff".into()),
        "binary" => hex::parse(rest).map(Ask::Binary),
        "file" => path("the file to send").map(Ask::File),
        "ping" => Ok(Ask::Ping((!rest.is_empty()).then(|| rest.to_owned()))),
        "close" => close(rest),
        "save" => path("the file to write").map(Ask::Save),
        "help" | "?" => Ok(Ask::Help),
        "quit" | "exit" | "q" => Ok(Ask::Quit),
        _ => Err(format!(
            "/{verb} is no command; /help lists them, and //{command} sends /{command} as text"
        )),
    }
}

fn close(rest: &str) -> Result<Ask, String> {
    let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if code.is_empty() {
        return Ok(Ask::Close(CloseCode::NORMAL, String::new()));
    }
    let code = code.parse().ok().and_then(CloseCode::new).ok_or_else(|| {
        format!(
            "{code} is no close code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999"
        )
    })?;
    Ok(Ask::Close(code, reason.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_begin_with_a_slash_is_a_message() {
        for text in ["hello", "", " /ping", "a/b"] {
            assert_eq!(parse(text), Ok(Ask::Text(text.into())));
        }
    }

    #[test]
    fn a_second_slash_sends_a_line_that_begins_with_one() {
        assert_eq!(parse("//ping"), Ok(Ask::Text("/ping".into())));
        assert_eq!(parse("///"), Ok(Ask::Text("//".into())));
    }

    #[test]
    fn commands_take_their_rest() {
        assert_eq!(parse("/binary 01 ff"), Ok(Ask::Binary(vec![1, 255])));
        assert_eq!(parse("/file  a b.png "), Ok(Ask::File("a b.png".into())));
        assert_eq!(parse("/ping"), Ok(Ask::Ping(None)));
        assert_eq!(parse("/ping are you there"), Ok(Ask::Ping(Some("are you there".into()))));
        assert_eq!(parse("/close"), Ok(Ask::Close(CloseCode::NORMAL, String::new())));
        let code = CloseCode::new(4001).unwrap();
        assert_eq!(parse("/close 4001 so long"), Ok(Ask::Close(code, "so long".into())));
    }

    #[test]
    fn what_cannot_be_done_is_said_with_the_remedy() {
        for (line, remedy) in [
            ("/pong", "//pong"),
            ("/close 1006", "1000 to 1003"),
            ("/close now", "1000 to 1003"),
            ("/binary xyz", "hexadecimal"),
            ("/binary", "01 ab ff"),
            ("/file", "the file"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(remedy), "{line}: {said}");
        }
    }

    #[test]
    fn help_names_every_command() {
        for verb in ["binary", "file", "ping", "close", "save", "quit", "help"] {
            assert!(HELP.contains(&format!("/{verb}")), "{verb}");
        }
    }
}
