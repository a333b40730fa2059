//! What an id is to the user directory: a JSON value in the one form that all ways to write it share.

use super::json::{self, Text, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose ids they are: `bob` of one dialect is not `bob` of another, because the messages that each
/// would get mean nothing to the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Space {
    Directory = 1,
    Im = 2,
}

/// An id, ready to be compared: by its type first (`1` is not `"1"`), strings after unescaping,
/// numbers by their exact value (`1`, `1.0` and `10e-1` are one; 2^53 and 2^53+1 are two), arrays
/// element by element, objects by their members in any order, the last of duplicates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(Arc<[u8]>);

impl Key {
    /// `None` for ids of more than `bytes_max`, as written or as kept.
    pub(super) fn new(space: Space, id: Value<'_>, bytes_max: usize) -> Option<Self> {
        if id.as_written().len() > bytes_max {
            return None;
        }
        let mut form = vec![space as u8];
        append(id.as_written(), &mut form)?;
        (form.len() - 1 <= bytes_max).then(|| Self(form.into()))
    }

    /// The key of a string.
    pub(super) fn of_text(space: Space, text: &str) -> Self {
        let mut form = vec![space as u8, b'"'];
        form.extend_from_slice(text.as_bytes());
        Self(form.into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Recurses; what it is given is at most an id's length and was read with a depth limit before.
fn append(value: &str, out: &mut Vec<u8>) -> Option<()> {
    match value.as_bytes().first()? {
        first @ (b'n' | b't' | b'f') => out.push(*first),
        b'"' => {
            out.push(b'"');
            let text = value.strip_prefix('"')?.strip_suffix('"')?;
            Text::of(text).unescape(out);
        }
        b'[' => {
            out.push(b'[');
            let mut all = Some(());
            json::elements(value, u8::MAX, |element| {
                all = all.and_then(|()| append_part(element.as_written(), out));
            })?;
            all?;
        }
        b'{' => {
            out.push(b'{');
            let mut members = BTreeMap::new();
            json::members(value, u8::MAX, |name, value| {
                let mut plain = Vec::new();
                name.unescape(&mut plain);
                members.insert(plain, value);
            })?;
            for (name, value) in members {
                append_len(name.len(), out)?;
                out.extend_from_slice(&name);
                append_part(value.as_written(), out)?;
            }
        }
        _ => append_number(value, out)?,
    }
    Some(())
}

/// A part begins with its length, or `[["a"],"b"]` and `[["a","b"]]` would be one.
fn append_part(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut part = Vec::new();
    append(value, &mut part)?;
    append_len(part.len(), out)?;
    out.extend_from_slice(&part);
    Some(())
}

fn append_len(len: usize, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(len).ok()?.to_be_bytes());
    Some(())
}

/// Sign, digits without zeros at their ends, power of ten. `None` for powers that no one means.
fn append_number(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let (negative, value) = match value.strip_prefix('-') {
        Some(value) => (true, value),
        None => (false, value),
    };
    let (mantissa, power) = value.split_once(['e', 'E']).unwrap_or((value, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    out.push(b'#');
    if significant.is_empty() {
        return Some(());
    }
    let power = power.strip_prefix('+').unwrap_or(power).parse::<i32>().ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    out.push(if negative { b'-' } else { b'+' });
    out.extend_from_slice(significant.as_bytes());
    out.extend_from_slice(format!("e{}", i64::from(power) - places + zeros).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        let id = Value::read(text, 100).unwrap_or_else(|| panic!("{text} is not JSON"));
        Key::new(Space::Im, id, 1024).unwrap_or_else(|| panic!("{text} is not an id"))
    }

    #[test]
    fn ways_to_write_one_id_are_one_key() {
        for (left, right) in [
            (r#""Ann""#, r#""\u0041\u006en""#),
            (r#""a/b""#, r#""a\/b""#),
            (r#""😀""#, r#""\ud83d\ude00""#),
            ("1", "1.0"),
            ("1", "10e-1"),
            ("1500", "1.50E+3"),
            ("0", "-0.00e5"),
            ("0.5", "5e-1"),
            ("[1, \"a\"]", "[1.0,\"\\u0061\"]"),
            (r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":3, "\u0061":1 }"#),
        ] {
            assert_eq!(key(left), key(right), "{left} {right}");
        }
    }

    #[test]
    fn ids_of_another_type_or_value_are_other_keys() {
        let all = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "10",
            "1.5",
            "15",
            "9007199254740992",
            "9007199254740993",
            r#""""#,
            r#""1""#,
            r#""null""#,
            r#""[]""#,
            r#""\ud800""#,
            r#""\ud801""#,
            r#""\ufffd""#,
            "[]",
            "[1]",
            "[[1]]",
            r#"["1"]"#,
            r#"[["a"],"b"]"#,
            r#"[["a","b"]]"#,
            "{}",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"["a",1]"#,
            "1e308",
            "1e309",
            "1e-400",
        ];
        for (at, left) in all.iter().enumerate() {
            for right in &all[at + 1..] {
                assert_ne!(key(left), key(right), "{left} {right}");
            }
        }
    }

    #[test]
    fn spaces_are_apart() {
        let id = Value::read("\"a\"", 1).unwrap();
        assert_ne!(Key::new(Space::Im, id, 9), Key::new(Space::Directory, id, 9));
        assert_eq!(Key::new(Space::Im, id, 9), Some(Key::of_text(Space::Im, "a")));
    }

    #[test]
    fn an_id_over_its_bytes_is_none_as_written_and_as_kept() {
        let id = |text| Key::new(Space::Im, Value::read(text, 9).unwrap(), 8);
        assert!(id("\"123456\"").is_some());
        assert!(id("\"1234567\"").is_none());
        assert!(id("[1,1,1]").is_none(), "its kept form is longer");
        assert!(id("1e9999").is_some());
    }

    #[test]
    fn a_power_that_does_not_fit_is_no_id() {
        let huge = Value::read("1e99999999999999999999", 1).unwrap();
        assert_eq!(Key::new(Space::Im, huge, 99), None);
    }
}
