//! What can be had of the body of a refused upgrade: bounded in bytes and in time, and never a
//! reason to fail, because the refusal is the news.

use std::io::{ErrorKind, Read};
use std::time::Instant;

use super::Refusal;
use super::dial::time_left;
use crate::proto::handshake::{Refused, elements};

/// 64 KiB: an error page for a person.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// 256 bytes for a line that says how long a chunk is: 16 digits, and extensions that nobody sends.
const SIZE_LINE_BYTES_MAX: usize = 256;

/// Reads on until the body ends, has [`BODY_BYTES_MAX`] bytes or is given up. `begun` came with the head.
pub(super) fn collect(
    refused: Refused,
    begun: &[u8],
    stream: &mut impl Read,
    deadline: Option<Instant>,
) -> Refusal {
    let mut body = Body::of(&refused);
    body.take(begun);
    let mut piece = [0; 4096];
    while !body.is_over() && time_left(deadline).is_ok() {
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => body.take(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    body.into_refusal(refused)
}

/// A body as its bytes come.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    framing: Framing,
}

/// Where the reading of a body stands (RFC 9112 §6.3).
#[derive(Clone, PartialEq, Eq, Debug)]
enum Framing {
    /// Nothing more belongs to the body, or nothing more is wanted.
    Over,
    /// Everything belongs to it until the connection ends.
    UntilEnd,
    /// So many bytes are missing.
    Sized(u64),
    /// In the line with the size of a chunk, of which there is this.
    ChunkSize(Vec<u8>),
    /// In a chunk of which so many bytes are missing.
    Chunk(u64),
}

impl Body {
    pub(crate) fn of(refused: &Refused) -> Self {
        let codings = refused
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"))
            .map(|(_, value)| &value[..]);
        let chunked =
            elements(codings).last().is_some_and(|it| it.eq_ignore_ascii_case(b"chunked"));
        let framing = match refused.content_length() {
            // These never have a body, whatever else they say.
            _ if matches!(refused.status, 204 | 304) => Framing::Over,
            _ if chunked => Framing::ChunkSize(Vec::new()),
            Some(0) => Framing::Over,
            Some(len) => Framing::Sized(len),
            None => Framing::UntilEnd,
        };
        Self { bytes: Vec::new(), framing }
    }

    /// Whether nothing more is to be read.
    pub(crate) fn is_over(&self) -> bool {
        self.framing == Framing::Over
    }

    pub(crate) fn into_refusal(self, refused: Refused) -> Refusal {
        let Refused { status, reason, headers, .. } = refused;
        Refusal { status, reason, headers, body: self.bytes }
    }

    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.framing != Framing::Over {
            let used = match &mut self.framing {
                Framing::Over => 0,
                Framing::UntilEnd => {
                    self.bytes.extend_from_slice(bytes);
                    bytes.len()
                }
                Framing::Sized(missing) => {
                    let n = keep(&mut self.bytes, missing, bytes);
                    if *missing == 0 {
                        self.framing = Framing::Over;
                    }
                    n
                }
                Framing::Chunk(missing) => {
                    let n = keep(&mut self.bytes, missing, bytes);
                    if *missing == 0 {
                        self.framing = Framing::ChunkSize(Vec::new());
                    }
                    n
                }
                Framing::ChunkSize(line) => {
                    line.extend(bytes.first());
                    if let Some(next) = after_size_line(line) {
                        self.framing = next;
                    }
                    1
                }
            };
            bytes = bytes.get(used..).unwrap_or_default();
            if self.bytes.len() >= BODY_BYTES_MAX {
                self.bytes.truncate(BODY_BYTES_MAX);
                self.framing = Framing::Over;
            }
        }
    }
}

/// Keeps what belongs to a piece of declared length, and says how much that was.
fn keep(body: &mut Vec<u8>, missing: &mut u64, bytes: &[u8]) -> usize {
    let n = usize::try_from(*missing).unwrap_or(usize::MAX).min(bytes.len());
    body.extend_from_slice(&bytes[..n]);
    *missing -= n as u64;
    n
}

/// RFC 9112 §7.1, as far as it matters here; `None` in the middle of the line. Trailers are not waited for.
fn after_size_line(line: &mut Vec<u8>) -> Option<Framing> {
    if line.len() > SIZE_LINE_BYTES_MAX {
        return Some(Framing::Over);
    }
    if line == b"\r\n" {
        // The end of the chunk before.
        line.clear();
        return None;
    }
    let line = line.strip_suffix(b"\r\n")?;
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(digits).ok().and_then(|it| u64::from_str_radix(it, 16).ok());
    match size {
        None | Some(0) => Some(Framing::Over),
        Some(size) => Some(Framing::Chunk(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(headers: &[(&str, &str)], bytes: &[u8]) -> Vec<u8> {
        let refused = |headers: &[(&str, &str)]| Refused {
            status: 503,
            reason: String::new(),
            headers: headers.iter().map(|&(n, v)| (n.into(), v.as_bytes().to_vec())).collect(),
            head_len: 0,
        };
        let whole = collect(refused(headers), bytes, &mut std::io::empty(), None).body;
        // However it is cut.
        for at in 0..=bytes.len().min(100) {
            let (begun, mut rest) = bytes.split_at(at);
            assert_eq!(
                collect(refused(headers), begun, &mut rest, None).body,
                whole,
                "cut at {at}"
            );
        }
        whole
    }

    const CHUNKED: (&str, &str) = ("Transfer-Encoding", "gzip, Chunked");

    #[test]
    fn a_declared_length_ends_the_body() {
        assert_eq!(body_of(&[("Content-Length", "4")], b"shut, and more"), b"shut");
        assert_eq!(body_of(&[("Content-Length", "0")], b"more"), b"");
        assert_eq!(body_of(&[("Content-Length", "99")], b"cut"), b"cut");
    }

    #[test]
    fn without_a_length_everything_belongs_to_the_body_up_to_the_limit() {
        assert_eq!(body_of(&[], b"all of it"), b"all of it");
        assert_eq!(body_of(&[], &vec![b'x'; BODY_BYTES_MAX + 1]).len(), BODY_BYTES_MAX);
    }

    #[test]
    fn chunks_are_put_together() {
        let bytes = b"5\r\nHello\r\n1;note=\"x\"\r\n,\r\n00C\r\n 0\r\n\r\nworld.\r\n0\r\nTrailer: 1\r\n\r\nmore";
        assert_eq!(body_of(&[CHUNKED], bytes), b"Hello, 0\r\n\r\nworld.");
    }

    #[test]
    fn chunks_that_are_none_end_the_body() {
        assert_eq!(body_of(&[CHUNKED], b"2\r\nok\r\nzz\r\nxx"), b"ok");
        assert_eq!(body_of(&[CHUNKED], b"fffffffffffffffff\r\nxx"), b"");
        assert_eq!(body_of(&[CHUNKED], &[b'0'; 1000]), b"");
        assert_eq!(body_of(&[CHUNKED], b"ffffffffffffffff\r\nxx"), b"xx");
    }

    #[test]
    fn a_redirect_to_the_cache_has_no_body() {
        let headers = vec![("Content-Length".into(), b"9".to_vec())];
        let refused = Refused { status: 304, reason: String::new(), headers, head_len: 0 };
        // Not even one read: the server may keep the connection open.
        assert_eq!(collect(refused, b"", &mut Unreadable, None).body, b"");
    }

    struct Unreadable;

    impl Read for Unreadable {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("nothing is to be read");
        }
    }
}
