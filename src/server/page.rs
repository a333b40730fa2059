//! What a browser gets that asks for no WebSocket: the page, and whether the server is well.

use crate::http::{Answer, Reply, Status};
use crate::proto::handshake::Request;

const PAGE: &str = include_str!("page.html");

/// Scripts and styles are the page's own and nothing is fetched from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Appends the answer to `out`, if there is something under this path. The connection ends after it.
pub(super) fn answer(request: &Request<'_>, draining: bool, out: &mut Vec<u8>) -> bool {
    let answer = match request.method() {
        "GET" => Answer::to_nothing(),
        "HEAD" => Answer::to_nothing().to_head(),
        _ => return false,
    };
    let plain = "text/plain; charset=utf-8";
    let (status, kind, body) = match (request.path(), draining) {
        ("/", _) => (Status::Ok, "text/html; charset=utf-8", PAGE),
        ("/healthz", _) | ("/readyz", false) => (Status::Ok, plain, "ok\n"),
        ("/readyz", true) => (Status::Unavailable, plain, "going down\n"),
        _ => return false,
    };
    Reply::new(out, answer, status)
        .field("Content-Security-Policy", POLICY)
        .field("X-Content-Type-Options", "nosniff")
        .field("Cache-Control", "no-cache")
        .body(kind, body.as_bytes());
    true
}
