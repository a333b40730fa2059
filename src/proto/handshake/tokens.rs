//! Tokens and comma-separated lists of HTTP header fields (RFC 7230 sections 3.2.6 and 7). Knows no
//! quoted strings: of the handshake's fields only `Sec-WebSocket-Extensions` has them.

/// Whether `byte` may stand in a token (RFC 7230 §3.2.6).
#[inline]
pub const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// `bytes` as text, if they are a token: one or more of [`is_tchar`].
///
/// ```
/// # use sockeye::proto::handshake::token;
/// assert_eq!(token(b"chat.v2"), Some("chat.v2"));
/// assert_eq!(token(b"chat v2"), None);
/// assert_eq!(token(b""), None);
/// ```
pub fn token(bytes: &[u8]) -> Option<&str> {
    if bytes.is_empty() || !bytes.iter().copied().all(is_tchar) {
        return None;
    }
    core::str::from_utf8(bytes).ok()
}

/// The elements of a comma-separated list that may be spread over several header lines (RFC 7230
/// §3.2.2), without the white space round them. Empty elements are passed over, as §7 asks.
///
/// ```
/// # use sockeye::proto::handshake::elements;
/// let lines: [&[u8]; 2] = [b"keep-alive, Upgrade", b" ,close"];
/// assert!(elements(lines).eq([&b"keep-alive"[..], b"Upgrade", b"close"]));
/// ```
pub fn elements<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines
        .into_iter()
        .flat_map(|line| line.split(|&byte| byte == b','))
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Whether the list has `wanted` among its elements, whatever the case of its letters.
pub fn has_element<'a>(lines: impl IntoIterator<Item = &'a [u8]>, wanted: &str) -> bool {
    elements(lines).any(|element| element.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// `bytes` without spaces and tabs at either end.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    while let [before @ .., b' ' | b'\t'] = rest {
        rest = before;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_of_what_is_visible_and_separates_nothing() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_tchar(byte), expected, "{byte:#x}");
            assert_eq!(token(&[b'a', byte]).is_some(), expected, "{byte:#x}");
        }
        assert_eq!(token(b""), None);
    }

    #[test]
    fn an_element_is_found_in_any_case_among_others_and_on_any_line() {
        let found: [&[&[u8]]; 7] = [
            &[b"upgrade"],
            &[b"UPGRADE"],
            &[b"keep-alive, Upgrade"],
            &[b"keep-alive,Upgrade"],
            &[b" \t Upgrade \t ,close"],
            &[b",,Upgrade,,"],
            &[b"keep-alive", b"close, upgrade"],
        ];
        for lines in found {
            assert!(has_element(lines.iter().copied(), "upgrade"), "{lines:?}");
        }
        let missing: [&[&[u8]]; 6] = [
            &[],
            &[b""],
            &[b"keep-alive"],
            &[b"upgrades"],
            &[b"up grade"],
            &[b"upgrade;q=1", b"\"upgrade\""],
        ];
        for lines in missing {
            assert!(!has_element(lines.iter().copied(), "upgrade"), "{lines:?}");
        }
    }

    #[test]
    fn empty_elements_are_passed_over() {
        let lines: [&[u8]; 3] = [b", a ,, b\t,", b"", b" , "];
        assert!(elements(lines).eq([&b"a"[..], b"b"]));
    }
}
