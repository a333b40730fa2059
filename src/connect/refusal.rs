//! What a server says that refuses, for a person to read.

use super::escape::{Keep, beginning, escaped};
use crate::client::Refusal;

/// 4 KiB: a page of text; more are the layout of an error page.
const SHOWN_BYTES: usize = 4 << 10;

/// The body, if it has one, each line set off by two spaces; with `whole` the headers, and all of the body that was read.
pub(super) fn shown(refusal: &Refusal, whole: bool) -> String {
    let mut page = String::new();
    if whole {
        for (name, value) in &refusal.headers {
            let value = String::from_utf8_lossy(value);
            page.push_str(&format!("  {name}: {}\n", escaped(&value, Keep::Nothing)));
        }
        if !refusal.headers.is_empty() && !refusal.body.is_empty() {
            page.push('\n');
        }
    }
    let body = String::from_utf8_lossy(&refusal.body);
    let text = body.trim();
    let kept = if whole { text } else { beginning(text, SHOWN_BYTES) };
    for line in kept.lines() {
        page.push_str(&format!("  {}\n", escaped(line, Keep::Nothing)));
    }
    if kept.len() < text.len() {
        page.push_str(&format!(
            "  ... {} bytes more; --verbose shows them\n",
            text.len() - kept.len()
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &[u8]) -> Refusal {
        Refusal {
            status: 403,
            reason: "Forbidden".into(),
            headers: vec![("X".into(), b"y\x1bz".to_vec())],
            body: body.to_vec(),
        }
    }

    #[test]
    fn a_body_is_shown_line_by_line_and_harmless() {
        assert_eq!(shown(&refusal(b"no\r\n\x1b[2Jentry\n"), false), "  no\n  \\x1b[2Jentry\n");
        assert_eq!(shown(&refusal(b""), false), "");
    }

    #[test]
    fn a_long_body_is_cut_unless_all_is_wanted() {
        let long = refusal(&[b'x'; 5000]);
        let cut = shown(&long, false);
        assert!(cut.len() < 4200 && cut.ends_with("... 904 bytes more; --verbose shows them\n"));
        let whole = shown(&long, true);
        assert!(whole.len() > 5000 && whole.starts_with("  X: y\\x1bz\n\n"), "{whole}");
    }
}
