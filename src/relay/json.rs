//! JSON (RFC 8259) found, not built: where the members of an object stand in the text, as written.
//!
//! A relay forwards what it was given, so that it needs slices, never trees: nothing is allocated,
//! numbers are not rounded, lone surrogates survive. Reading does not recurse; its depth is limited.

/// Calls `member` with the name and the value of each member of an object, as they come, duplicates
/// included. `None`: the text is not an object, not JSON or nested too deeply; what was called until
/// then is void.
pub(super) fn members<'a>(
    text: &'a str,
    depth_max: u8,
    member: impl FnMut(Text<'a>, Value<'a>),
) -> Option<()> {
    let mut reader = Reader { text, at: 0, depth_max: usize::from(depth_max) };
    reader.space();
    reader.members(member)?;
    reader.end()
}

/// The same for the elements of an array.
pub(super) fn elements<'a>(
    text: &'a str,
    depth_max: u8,
    mut element: impl FnMut(Value<'a>),
) -> Option<()> {
    let mut reader = Reader { text, at: 0, depth_max: usize::from(depth_max) };
    reader.space();
    reader.deeper()?;
    reader.expect(b'[')?;
    reader.space();
    if !reader.eat(b']') {
        loop {
            element(reader.value()?);
            reader.space();
            match reader.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
    }
    reader.end()
}

/// 2^53 - 1: above it JavaScript does not tell whole numbers apart.
pub(super) const WHOLE_MAX: u64 = (1 << 53) - 1;

/// A value as written, without the space around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// A text that is one value.
    pub(super) fn read(text: &'a str, depth_max: u8) -> Option<Self> {
        let mut reader = Reader { text, at: 0, depth_max: usize::from(depth_max) };
        let value = reader.value()?;
        reader.end()?;
        Some(value)
    }

    /// What is known to be one value, without space around it.
    pub(super) fn of(written: &'a str) -> Self {
        Self(written)
    }

    pub(super) fn as_written(self) -> &'a str {
        self.0
    }

    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// A whole number that a double holds exactly, written without fraction and exponent.
    pub(super) fn whole(self) -> Option<u64> {
        if !self.0.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0.parse().ok().filter(|&number| number <= WHOLE_MAX)
    }

    /// A string; `None` for every other type, and for one with half a character (a lone surrogate).
    pub(super) fn string(self) -> Option<String> {
        self.text()?.string()
    }

    /// The inside of a string; `None` for every other type.
    pub(super) fn text(self) -> Option<Text<'a>> {
        self.0.strip_prefix('"')?.strip_suffix('"').map(Text)
    }

    /// Whether it is this string, however it is escaped.
    pub(super) fn is(self, wanted: &str) -> bool {
        self.text().is_some_and(|text| text.is(wanted))
    }
}

/// What stands between the quotes of a string, still escaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// What stood between the quotes of a string that was read before.
    pub(super) fn of(inside: &'a str) -> Self {
        Self(inside)
    }

    /// Whether it is this string, however it is escaped.
    pub(super) fn is(self, wanted: &str) -> bool {
        if !self.0.contains('\\') {
            return self.0 == wanted;
        }
        // Six bytes are the longest way to write one.
        if self.0.len() > 6 * wanted.len() {
            return false;
        }
        let mut plain = Vec::new();
        self.unescape(&mut plain);
        plain == wanted.as_bytes()
    }

    /// The string itself; `None` for one with half a character (a lone surrogate).
    pub(super) fn string(self) -> Option<String> {
        let mut plain = Vec::new();
        self.unescape(&mut plain);
        String::from_utf8(plain).ok()
    }

    /// Appends the string itself, in UTF-8; a lone surrogate as the three bytes that UTF-8 would give
    /// it, so that different strings stay different.
    pub(super) fn unescape(self, out: &mut Vec<u8>) {
        let mut rest = self.0;
        while let Some((plain, escaped)) = rest.split_once('\\') {
            out.extend_from_slice(plain.as_bytes());
            let mut characters = escaped.chars();
            let simple = match characters.next() {
                Some('b') => 0x08,
                Some('f') => 0x0c,
                Some('n') => b'\n',
                Some('r') => b'\r',
                Some('t') => b'\t',
                Some('u') => {
                    rest = unescape_unit(characters.as_str(), out);
                    continue;
                }
                Some('/') => b'/',
                Some('"') => b'"',
                _ => b'\\',
            };
            out.push(simple);
            rest = characters.as_str();
        }
        out.extend_from_slice(rest.as_bytes());
    }
}

/// Reads the four digits after `\u`, and a second escape if both are halves of one character.
fn unescape_unit<'a>(after: &'a str, out: &mut Vec<u8>) -> &'a str {
    let Some((unit, rest)) = unit(after) else {
        return "";
    };
    if (0xd800..0xdc00).contains(&unit)
        && let Some((low, rest)) = rest.strip_prefix("\\u").and_then(self::unit)
        && (0xdc00..0xe000).contains(&low)
    {
        push_code_point(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), out);
        return rest;
    }
    push_code_point(unit, out);
    rest
}

fn unit(digits: &str) -> Option<(u32, &str)> {
    let (digits, rest) = digits.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

fn push_code_point(code: u32, out: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        None => {
            let [.., high, low] = code.to_be_bytes();
            let six = |bits: u8| 0x80 | (bits & 0x3f);
            out.extend([0xe0 | (high >> 4), six((high << 2) | (low >> 6)), six(low)]);
        }
    }
}

/// A place in a text. Every method leaves it behind what it has read; after a `None` it is of no use.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many more arrays and objects may be opened from here.
    depth_max: usize,
}

impl<'a> Reader<'a> {
    fn members(&mut self, mut member: impl FnMut(Text<'a>, Value<'a>)) -> Option<()> {
        self.deeper()?;
        self.expect(b'{')?;
        self.space();
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            let name = self.name()?;
            member(name, self.value()?);
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn deeper(&mut self) -> Option<()> {
        self.depth_max = self.depth_max.checked_sub(1)?;
        Some(())
    }

    fn value(&mut self) -> Option<Value<'a>> {
        self.space();
        let start = self.at;
        self.pass_value()?;
        self.text.get(start..self.at).map(Value)
    }

    /// A loop where one would recurse: what is open is a stack of bits.
    fn pass_value(&mut self) -> Option<()> {
        let mut open = Open::default();
        loop {
            self.space();
            match self.peek()? {
                b'{' => {
                    open.push(true, self.depth_max)?;
                    self.at += 1;
                    self.space();
                    if self.peek()? != b'}' {
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    open.push(false, self.depth_max)?;
                    self.at += 1;
                    self.space();
                    if self.peek()? != b']' {
                        continue;
                    }
                }
                b'"' => _ = self.string()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            }
            // A value, or nothing in a container, has ended; what may follow depends on where it stands.
            loop {
                let Some(in_object) = open.last() else {
                    return Some(());
                };
                self.space();
                match (self.next()?, in_object) {
                    (b',', true) => {
                        self.name()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => open.pop(),
                    _ => return None,
                }
            }
        }
    }

    /// The name of a member and the colon behind it.
    fn name(&mut self) -> Option<Text<'a>> {
        self.space();
        let name = self.string()?;
        self.space();
        self.expect(b':')?;
        Some(name)
    }

    fn string(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20)?;
            match self.next()? {
                b'"' => return self.text.get(start..self.at - 1).map(Text),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Option<()> {
        self.space();
        self.peek().is_none().then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        self.eat(wanted).then_some(())
    }
}

/// The containers that are open: one bit for each says whether it is an object. 255 fit, and a limit
/// is a `u8`.
#[derive(Default)]
struct Open {
    objects: [u64; 4],
    len: usize,
}

impl Open {
    fn push(&mut self, object: bool, depth_max: usize) -> Option<()> {
        if self.len >= depth_max {
            return None;
        }
        let word = self.objects.get_mut(self.len / 64)?;
        let bit = 1 << (self.len % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.len += 1;
        Some(())
    }

    fn last(&self) -> Option<bool> {
        let last = self.len.checked_sub(1)?;
        Some(self.objects.get(last / 64)? & (1 << (last % 64)) != 0)
    }

    fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_json(text: &str) -> bool {
        Value::read(text, 127).is_some()
    }

    /// Another reader of JSON, as the judge.
    fn is_json_to_serde(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_text_of_json_s_own_characters_is_judged_as_another_reader_does(
            text in "[\\[\\]{},:\"\\\\ \n0-2.eE+\\-truefalsn/bxé\u{0}]{0,12}"
        ) {
            prop_assert_eq!(is_json(&text), is_json_to_serde(&text));
        }

        #[test]
        fn one_character_changed_in_a_valid_text_is_judged_as_another_reader_does(
            at in 0usize..1000, by in "[\\[\\]{},:\"\\\\ 0-9.eE+\\-tu\u{1}]{0,2}"
        ) {
            let valid = r#" {"a\u00e9\ud83d\ude00":[1,-0.5e+3,{},[],[{"b":null}],true,false,"\"\\\/\b\f\n\r\t"] , "":{"c":0}}"#;
            prop_assert!(is_json(valid));
            let mut characters: Vec<char> = valid.chars().collect();
            let at = at % characters.len();
            characters.splice(at..=at, by.chars());
            let text: String = characters.into_iter().collect();
            prop_assert_eq!(is_json(&text), is_json_to_serde(&text), "{}", text);
        }

        #[test]
        fn a_string_is_unescaped_as_another_reader_does(text in "([a-zé😀/]|\\\\[bfnrt/\"\\\\]|\\\\u[0-9a-cA-C][0-9a-fA-F]{3}|\\\\ud83d\\\\ude0[0-9]){0,8}") {
            let quoted = format!("\"{text}\"");
            let expected: String = serde_json::from_str(&quoted).unwrap();
            let mut found = Vec::new();
            Value::read(&quoted, 1).unwrap().text().unwrap().unescape(&mut found);
            prop_assert_eq!(&found, expected.as_bytes());
            prop_assert!(Value::read(&quoted, 1).unwrap().is(&expected));
        }
    }

    #[test]
    fn depth_counts_the_outermost_and_empty_containers() {
        for text in ["[[[]]]", r#"{"a":{"b":{}}}"#, r#"[{"a":[]}]"#, "[1,[[2],[]]]"] {
            assert!(Value::read(text, 3).is_some(), "{text}");
            assert!(Value::read(text, 2).is_none(), "{text}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Value::read(&nested(255), 255).is_some());
        assert!(Value::read(&nested(256), 255).is_none());
        let object = |depth| format!(r#"{{"a":{}}}"#, nested(depth));
        assert!(members(&object(2), 3, |_, _| ()).is_some());
        assert!(members(&object(3), 3, |_, _| ()).is_none());
        assert!(elements("[[[]]]", 3, |_| ()).is_some());
        assert!(elements("[[[]]]", 2, |_| ()).is_none());
        assert!(members("{}", 0, |_, _| ()).is_none());
    }

    #[test]
    fn lone_surrogates_stay_apart_and_pairs_become_one_character() {
        let plain = |text: &str| {
            let mut out = Vec::new();
            Value::read(text, 1).unwrap().text().unwrap().unescape(&mut out);
            out
        };
        assert_eq!(plain(r#""\ud83d\ude00""#), "😀".as_bytes());
        assert_eq!(plain(r#""\ud800""#), [0xed, 0xa0, 0x80]);
        assert_eq!(plain(r#""\udfff""#), [0xed, 0xbf, 0xbf]);
        assert_eq!(plain(r#""\ude00\ud83d""#), [0xed, 0xb8, 0x80, 0xed, 0xa0, 0xbd]);
        assert_eq!(plain(r#""\ud83d\u0041""#), [0xed, 0xa0, 0xbd, b'A']);
    }

    #[test]
    fn members_are_lent_as_written_and_duplicates_come_in_order() {
        let mut found = Vec::new();
        let text = " { \"a\" : 1.0e2 ,\"b\":[1, 2 ,{}], \"a\":\"\\u00e9\" }\n";
        members(text, 9, |name, value| found.push((name.0, value.as_written()))).unwrap();
        assert_eq!(found, [("a", "1.0e2"), ("b", "[1, 2 ,{}]"), ("a", "\"\\u00e9\"")]);
    }
}
