//! Bytes as hexadecimal digits: read, written, and laid out for a person.

use std::fmt::Write as _;

/// Reads pairs of digits; spaces may stand between bytes, and `0x` at the front.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut high = None;
    for c in digits.chars() {
        let digit = match c.to_digit(16).and_then(|it| u8::try_from(it).ok()) {
            Some(digit) => digit,
            None if high.is_none() && c.is_whitespace() => continue,
            None => return Err(format!("{c:?} is no hexadecimal digit; write bytes as 01 ab ff")),
        };
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err("a byte has two hexadecimal digits, and the last has one".into()),
    }
}

/// Appends two digits for each byte.
pub(super) fn write(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        let _ = write!(to, "{byte:02x}");
    }
}

/// Sixteen bytes a line: offset, digits, and what of it is ASCII.
pub(super) fn dump(bytes: &[u8]) -> String {
    let mut page = String::new();
    for (line, row) in bytes.chunks(16).enumerate() {
        let _ = write!(page, "{:08x} ", line * 16);
        for at in 0..16 {
            let gap = if at == 8 { "  " } else { " " };
            let _ = match row.get(at) {
                Some(byte) => write!(page, "{gap}{byte:02x}"),
                None => write!(page, "{gap}  "),
            };
        }
        page.push_str("  ");
        page.extend(row.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        }));
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_and_without_spaces() {
        for text in ["01abFF", "01 ab ff", " 0x01abff ", "01\tab  ff"] {
            assert_eq!(parse(text), Ok(vec![1, 0xab, 0xff]), "{text}");
        }
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn what_is_no_byte_is_told() {
        assert!(parse("0g").unwrap_err().contains("'g'"));
        assert!(parse("012").unwrap_err().contains("two"));
        assert!(parse("1 2").unwrap_err().contains("' '"));
    }

    #[test]
    fn a_dump_has_offset_digits_and_text() {
        let page = dump(b"0123456789abcdef\x00\xffz");
        assert_eq!(
            page,
            "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n\
             00000010  00 ff 7a                                          ..z\n"
        );
    }
}
