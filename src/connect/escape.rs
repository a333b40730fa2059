//! What a peer says, made harmless for a terminal: it can show text there and do nothing else.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How much of a text is left as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    /// Lines and tabs stay: a text of several lines.
    Lines,
    /// Nothing that leaves the line or moves within it.
    Nothing,
}

/// The text with every character escaped that a terminal would obey instead of show. Copies only if there is one.
pub(super) fn escaped(text: &str, keep: Keep) -> Cow<'_, str> {
    let passes = |c: char| match c {
        '\n' | '\t' => keep == Keep::Lines,
        _ => !is_obeyed(c),
    };
    if text.chars().all(passes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if passes(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\0'..='\u{7f}' => {
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            _ => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(shown)
}

/// Control characters (C0, DEL, C1), and those that turn the direction of what stands around them, with which a text
/// can look like another (UAX #9), and the separators that some terminals take for line ends.
pub(super) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The longest beginning of the text that has at most so many bytes.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_language_is_left_alone() {
        for text in ["", "hello", "naïve 日本語 🐟", "שלום"] {
            assert!(matches!(escaped(text, Keep::Nothing), Cow::Borrowed(it) if it == text));
        }
        assert_eq!(escaped("a\n\tb", Keep::Lines), "a\n\tb");
    }

    #[test]
    fn what_drives_a_terminal_is_spelt_out() {
        assert_eq!(escaped("\x1b]0;owned\x07", Keep::Lines), "\\x1b]0;owned\\x07");
        assert_eq!(escaped("a\r\nb\t", Keep::Nothing), "a\\r\\nb\\t");
        assert_eq!(escaped("over\rwrite", Keep::Lines), "over\\rwrite");
        assert_eq!(escaped("\u{9b}2J\u{7f}", Keep::Lines), "\\u{9b}2J\\x7f");
        assert_eq!(escaped("\u{202e}txt", Keep::Lines), "\\u{202e}txt");
    }

    #[test]
    fn no_character_that_a_terminal_obeys_gets_through() {
        for c in '\0'..='\u{ffff}' {
            let shown = escaped(c.encode_utf8(&mut [0; 4]), Keep::Nothing).into_owned();
            assert!(!shown.chars().any(is_obeyed), "{c:?}");
        }
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
        assert_eq!(beginning("aé", 100), "aé");
    }
}
