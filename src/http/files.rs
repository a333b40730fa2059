//! Files that are served as they are, from memory: a table from path to bytes. There is no directory behind
//! it, so no path leads out of it.

use std::sync::Arc;

use super::head::Head;
use super::response::{Reply, Status};

/// A table of files. Each has a tag made of its bytes, so that a browser that has it is told so.
///
/// ```
/// # use sockeye::http::Files;
/// let mut files = Files::new("default-src 'self'");
/// files.add("/", "text/html; charset=utf-8", b"<!doctype html>");
/// assert!(files.has("/") && !files.has("/../etc/passwd"));
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    policy: String,
    files: Vec<File>,
}

/// What became of a request for a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// There is no such file; nothing was written.
    Unknown,
    /// The response is complete.
    Whole,
    /// The head is written; these bytes, shared with everyone who asks, are to follow.
    Head(Arc<[u8]>),
}

#[derive(Clone, Debug)]
struct File {
    path: String,
    content_type: String,
    tag: String,
    bytes: Arc<[u8]>,
}

impl Files {
    /// An empty table, whose files are sent with this `Content-Security-Policy`.
    pub fn new(policy: &str) -> Self {
        Self { policy: policy.to_owned(), files: Vec::new() }
    }

    /// Puts a file at a path, in place of one that is there. Copies the bytes.
    pub fn add(&mut self, path: &str, content_type: &str, bytes: &[u8]) {
        self.files.retain(|it| it.path != path);
        self.files.push(File {
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            tag: format!("\"{:016x}\"", fnv1a(bytes)),
            bytes: bytes.into(),
        });
    }

    /// Whether there is a file at this path.
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|it| it.path == path)
    }

    /// Answers a request for a file: 200, 304 if the client has it, 405 to anything but `GET` and `HEAD`.
    /// `date` is now, as by [`http_date`](super::http_date); empty for none.
    pub fn answer(&self, head: &Head<'_>, date: &str, out: &mut Vec<u8>) -> Served {
        let Some(file) = self.files.iter().find(|it| it.path == head.path()) else {
            return Served::Unknown;
        };
        let begin = |out, status| {
            let reply = Reply::new(out, head.answer(), status);
            if date.is_empty() { reply } else { reply.field("Date", date) }
        };
        if !matches!(head.method(), "GET" | "HEAD") {
            begin(out, Status::MethodNotAllowed)
                .field("Allow", "GET, HEAD")
                .body("text/plain; charset=utf-8", b"only GET and HEAD\n");
            return Served::Whole;
        }
        let known = head.fields().any(|(name, value)| {
            name.eq_ignore_ascii_case("If-None-Match") && names_tag(value, &file.tag)
        });
        let status = if known { Status::NotModified } else { Status::Ok };
        // No-cache asks browsers to ask again, which the tag makes cheap: a new version is seen at once.
        let reply = begin(out, status)
            .field("ETag", &file.tag)
            .field("Cache-Control", "no-cache")
            .field("Content-Security-Policy", &self.policy)
            .field("X-Content-Type-Options", "nosniff")
            .field("Referrer-Policy", "no-referrer");
        if reply.body_apart(&file.content_type, file.bytes.len()) && !file.bytes.is_empty() {
            Served::Head(Arc::clone(&file.bytes))
        } else {
            Served::Whole
        }
    }
}

/// RFC 9110 §13.1.2: `*`, or a list of tags, compared without regard to weakness.
fn names_tag(value: &[u8], tag: &str) -> bool {
    let value = value.trim_ascii();
    value == b"*"
        || value.split(|&it| it == b',').any(|it| {
            let it = it.trim_ascii();
            it.strip_prefix(b"W/").unwrap_or(it) == tag.as_bytes()
        })
}

/// Tells versions of a file apart; nobody but us chooses the bytes.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
