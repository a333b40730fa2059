//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1). Says what is written there; what
//! an extension's parameters mean is the extension's affair.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::tokens::{is_tchar, token};

/// One extension of a list, as offered by a client or chosen by a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// A token, such as `permessage-deflate`.
    pub name: &'a str,
    /// In the order written. The grammar lets names repeat; an extension may not.
    pub params: Vec<Param<'a>>,
}

impl Extension<'_> {
    /// Names and values of its parameters, in order.
    #[cfg(feature = "deflate")]
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.params.iter().map(|param| (param.name, param.value.as_deref()))
    }
}

/// One parameter of an [`Extension`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// A token.
    pub name: &'a str,
    /// A token, out of its quotes if it had any; owned only where it had a backslash in it.
    pub value: Option<Cow<'a, str>>,
}

/// The lines of a `Sec-WebSocket-Extensions` header are not a list of extensions. `line` counts header
/// lines from 0, `at` bytes of that line's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GrammarError {
    /// Lines, and no extension on any of them.
    Empty,
    /// A name or a value that is not a token, quoted or not.
    NotToken {
        /// The header line, from 0.
        line: usize,
        /// The byte of its value where a token should be.
        at: usize,
    },
    /// A quoted string without its end.
    Unclosed {
        /// The header line, from 0.
        line: usize,
        /// The byte of its value where the quote opens.
        at: usize,
    },
    /// Something other than `;` or `,` after a name or a value.
    NotSeparator {
        /// The header line, from 0.
        line: usize,
        /// The byte of its value where a separator should be.
        at: usize,
    },
}

/// Reads the lines of a `Sec-WebSocket-Extensions` header, in order, as one list (RFC 6455 §9.1).
/// No lines are no extensions. Allocates the lists that it returns.
///
/// White space may stand between tokens and separators, because §9.1 keeps RFC 2616's implied rule;
/// empty elements are passed over.
///
/// ```
/// # use sockeye::proto::handshake::parse_extensions;
/// let line = br#"permessage-deflate; client_max_window_bits; server_max_window_bits="10", x-mux"#;
/// let list = parse_extensions([&line[..]])?;
/// assert_eq!((list[0].name, list[1].name), ("permessage-deflate", "x-mux"));
/// assert_eq!(list[0].params[0].value, None);
/// assert_eq!(list[0].params[1].value.as_deref(), Some("10"));
/// # Ok::<(), sockeye::proto::handshake::GrammarError>(())
/// ```
pub fn parse_extensions<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Extension<'a>>, GrammarError> {
    let mut list = Vec::new();
    let mut any_line = false;
    for (line, bytes) in lines.into_iter().enumerate() {
        any_line = true;
        let mut cursor = Cursor { bytes, at: 0, line };
        while cursor.skip_to_element() {
            list.push(cursor.extension()?);
        }
    }
    // §9.1: extension-list = 1#extension.
    if any_line && list.is_empty() {
        return Err(GrammarError::Empty);
    }
    Ok(list)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    /// Passes white space and commas; false at the line's end.
    fn skip_to_element(&mut self) -> bool {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
        self.at < self.bytes.len()
    }

    /// extension = token *( ";" param ), up to the comma or the end that follows.
    fn extension(&mut self) -> Result<Extension<'a>, GrammarError> {
        let name = self.token()?;
        let mut params = Vec::new();
        while self.separator()? == Some(b';') {
            params.push(self.param()?);
        }
        Ok(Extension { name, params })
    }

    /// param = token [ "=" ( token | quoted-string ) ]
    fn param(&mut self) -> Result<Param<'a>, GrammarError> {
        self.skip_space();
        let name = self.token()?;
        self.skip_space();
        if self.peek() != Some(b'=') {
            return Ok(Param { name, value: None });
        }
        self.at += 1;
        self.skip_space();
        let value = match self.peek() {
            Some(b'"') => self.quoted()?,
            _ => Cow::Borrowed(self.token()?),
        };
        Ok(Param { name, value: Some(value) })
    }

    /// The `;` or `,` that comes next, passed; `None` at the line's end.
    fn separator(&mut self) -> Result<Option<u8>, GrammarError> {
        self.skip_space();
        match self.peek() {
            None => Ok(None),
            Some(byte @ (b';' | b',')) => {
                self.at += 1;
                Ok(Some(byte))
            }
            Some(_) => Err(GrammarError::NotSeparator { line: self.line, at: self.at }),
        }
    }

    fn token(&mut self) -> Result<&'a str, GrammarError> {
        let at = self.at;
        let taken = self.skip(is_tchar);
        token(taken).ok_or(GrammarError::NotToken { line: self.line, at })
    }

    /// §9.1: what a quoted string says, its backslashes taken away, is itself a token.
    fn quoted(&mut self) -> Result<Cow<'a, str>, GrammarError> {
        let (line, at) = (self.line, self.at);
        let unclosed = GrammarError::Unclosed { line, at };
        let not_token = GrammarError::NotToken { line, at };
        self.at += 1;
        let plain = self.skip(|byte| !matches!(byte, b'"' | b'\\'));
        if self.peek() == Some(b'"') {
            self.at += 1;
            return token(plain).map(Cow::Borrowed).ok_or(not_token);
        }
        let mut value = plain.to_vec();
        loop {
            let byte = self.next().ok_or(unclosed)?;
            match byte {
                b'"' => break,
                b'\\' => value.push(self.next().ok_or(unclosed)?),
                _ => value.push(byte),
            }
        }
        token(&value).map(|value| Cow::Owned(value.into())).ok_or(not_token)
    }

    fn skip_space(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Passes the bytes that `wanted` likes, and returns them.
    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

impl core::fmt::Display for GrammarError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (what, line, at) = match *self {
            Self::Empty => return f.write_str("extension list without an extension"),
            Self::NotToken { line, at } => ("no token", line, at),
            Self::Unclosed { line, at } => ("unclosed quote", line, at),
            Self::NotSeparator { line, at } => ("neither ; nor ,", line, at),
        };
        write!(f, "{what} at byte {at} of extension header line {line}")
    }
}

impl core::error::Error for GrammarError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Result<String, GrammarError> {
        let list = parse_extensions(lines.iter().map(|line| line.as_bytes()))?;
        let mut out = String::new();
        for extension in &list {
            out += &format!("[{}", extension.name);
            for param in &extension.params {
                out += &match &param.value {
                    None => format!(" {}", param.name),
                    Some(value) => format!(" {}={value}", param.name),
                };
            }
            out.push(']');
        }
        Ok(out)
    }

    #[test]
    fn the_lists_of_the_rfc_are_read() {
        assert_eq!(read(&["foo"]), Ok("[foo]".into()));
        assert_eq!(read(&["foo; bar; baz=2"]), Ok("[foo bar baz=2]".into()));
        assert_eq!(
            read(&["deflate-stream", "mux; max-channels=4; flow-control, x"]),
            Ok("[deflate-stream][mux max-channels=4 flow-control][x]".into())
        );
        assert_eq!(
            read(&["permessage-deflate; client_max_window_bits, permessage-deflate"]),
            Ok("[permessage-deflate client_max_window_bits][permessage-deflate]".into())
        );
    }

    #[test]
    fn white_space_and_empty_elements_are_passed_over() {
        assert_eq!(read(&[" ,, a\t;\tb = c ;d=\t\"e\" ,", "", ",f"]), Ok("[a b=c d=e][f]".into()));
    }

    #[test]
    fn a_quoted_value_is_unescaped_and_must_be_a_token_then() {
        assert_eq!(read(&[r#"a; b="10""#]), Ok("[a b=10]".into()));
        assert_eq!(read(&[r#"a; b="1\0"; c"#]), Ok("[a b=10 c]".into()));
        assert_eq!(read(&[r#"a; b="\1\0""#]), Ok("[a b=10]".into()));
        for bad in [
            r#"a; b="""#,
            r#"a; b="1 0""#,
            r#"a; b="1,0""#,
            r#"a; b="1\"0""#,
            r#"a; b="1\\0""#,
            "a; b=\"1\u{e9}\"",
        ] {
            assert_eq!(read(&[bad]), Err(GrammarError::NotToken { line: 0, at: 5 }), "{bad}");
        }
    }

    #[test]
    fn a_quote_that_does_not_end_is_refused() {
        for bad in [r#"a; b=""#, r#"a; b="1"#, r#"a; b="1\"#, r#"a; b="1\""#] {
            let error = GrammarError::Unclosed { line: 0, at: 5 };
            assert_eq!(read(&[bad]), Err(error), "{bad}");
        }
        // A quote does not reach into the next line.
        assert!(read(&[r#"a; b="1"#, r#"2""#]).is_err());
    }

    #[test]
    fn where_a_token_is_missing_the_byte_is_named() {
        for (bad, at) in [
            (";", 0),
            ("a;", 2),
            ("a; ", 3),
            ("a;,b", 2),
            ("a;;b", 2),
            ("a; b=", 5),
            ("a; b=;c", 5),
            ("a; =c", 3),
            ("=b", 0),
            ("\"a\"", 0),
            ("a, (b)", 3),
        ] {
            assert_eq!(read(&[bad]), Err(GrammarError::NotToken { line: 0, at }), "{bad}");
        }
        assert_eq!(read(&["a", "b;"]), Err(GrammarError::NotToken { line: 1, at: 2 }));
    }

    #[test]
    fn where_a_separator_is_missing_the_byte_is_named() {
        for (bad, at) in [
            ("a b", 2),
            ("a=b", 1),
            ("a; b c", 5),
            ("a; b=c d", 7),
            ("a; b=\"c\"d", 8),
            ("a; b=c=d", 6),
            ("a/1", 1),
        ] {
            assert_eq!(read(&[bad]), Err(GrammarError::NotSeparator { line: 0, at }), "{bad}");
        }
    }

    #[test]
    fn lines_without_an_extension_are_refused_and_no_lines_are_no_extensions() {
        assert_eq!(read(&[""]), Err(GrammarError::Empty));
        assert_eq!(read(&[" , ,", ""]), Err(GrammarError::Empty));
        assert_eq!(read(&[]), Ok(String::new()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line in any::<Vec<u8>>(), other in "[a;=,\" \\\\]{0,24}") {
            let _ = parse_extensions([&line[..], other.as_bytes()]);
        }

        #[test]
        fn what_is_read_can_be_written_and_read_again(line in "[ab;=,\" \\\\]{0,16}") {
            if let Ok(list) = parse_extensions([line.as_bytes()]) {
                let mut again = Vec::new();
                for extension in &list {
                    let mut one = String::from(extension.name);
                    for param in &extension.params {
                        one += ";";
                        one += param.name;
                        if let Some(value) = &param.value {
                            one += "=";
                            one += value;
                        }
                    }
                    again.push(one);
                }
                let again = again.join(",");
                prop_assert_eq!(parse_extensions([again.as_bytes()]), Ok(list));
            }
        }
    }
}
