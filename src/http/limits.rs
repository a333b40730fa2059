//! What a request may make us hold. Every number has its reason here and nowhere else.

/// Bounds on a request. What is declared is judged before a byte of it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of the head, blank line included; more is 431. Default 16 KiB: the usual limit of HTTP servers,
    /// room for cookies and tokens. The caller keeps that much of a head that is still arriving.
    pub head_bytes_max: usize,
    /// Bytes of the request line; more is 414. Default 8,000, which RFC 9112 §3 recommends to support.
    pub line_bytes_max: usize,
    /// Header fields; more is 431. Default 100: browsers send about 15, proxies add a few.
    pub fields_max: usize,
    /// Bytes of a body, declared or summed over its chunks; more is 413. Default 1 MiB: a relay takes
    /// messages this way, not files.
    pub body_bytes_max: u64,
    /// Bytes of all chunk extensions of a body, and of its trailer, which mean nothing here; more is
    /// 400. Default 4 KiB.
    pub chunk_extra_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            line_bytes_max: 8000,
            fields_max: 100,
            body_bytes_max: 1 << 20,
            chunk_extra_bytes_max: 4 << 10,
        }
    }
}
