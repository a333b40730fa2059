//! What stands behind a target's `?`, taken apart. Decoded text may hold anything, line ends too: it is the
//! caller's to judge.

use std::borrow::Cow;

/// The value of the first `name=` in a query, decoded; empty if there is no `=`. What is not UTF-8 once
/// decoded becomes U+FFFD. Copies only what was encoded.
///
/// ```
/// # use sockeye::http::query_value;
/// let query = "room=a%20b&user=Zo%C3%AB+K&quiet";
/// assert_eq!(query_value(query, "room").as_deref(), Some("a b"));
/// assert_eq!(query_value(query, "user").as_deref(), Some("Zo\u{eb} K"));
/// assert_eq!(query_value(query, "quiet").as_deref(), Some(""));
/// assert_eq!(query_value(query, "oom"), None);
/// ```
pub fn query_value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decoded(key) == name).then(|| form_decoded(value))
    })
}

/// Text with its `%XX` decoded, as in a path. A `%` that begins none stands for itself.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if text.contains('%') { decoded(text, false) } else { Cow::Borrowed(text) }
}

/// As forms do it: a plus is a space, too.
fn form_decoded(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '+']) { decoded(text, true) } else { Cow::Borrowed(text) }
}

fn decoded(text: &str, form: bool) -> Cow<'_, str> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let digit = |at: usize| more.get(at).and_then(|&it| char::from(it).to_digit(16));
        let code = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
            _ => None,
        };
        bytes.push(match (code, first) {
            (Some(code), _) => code,
            (None, b'+') if form => b' ',
            (None, byte) => byte,
        });
        rest = if code.is_some() { more.get(2..).unwrap_or_default() } else { more };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
