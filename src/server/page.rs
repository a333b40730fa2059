//! What a browser gets that asks for no WebSocket: the page, and whether the server is well.

use crate::proto::handshake::Request;

const PAGE: &str = include_str!("page.html");

/// Scripts and styles are the page's own and nothing is fetched from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Appends the answer to `out`, if there is something under this path.
pub(super) fn answer(request: &Request<'_>, draining: bool, out: &mut Vec<u8>) -> bool {
    let head_only = request.method() == "HEAD";
    if !head_only && request.method() != "GET" {
        return false;
    }
    let plain = "text/plain; charset=utf-8";
    let (status, kind, body) = match (request.path(), draining) {
        ("/", _) => ("200 OK", "text/html; charset=utf-8", PAGE),
        ("/healthz", _) | ("/readyz", false) => ("200 OK", plain, "ok\n"),
        ("/readyz", true) => ("503 Service Unavailable", plain, "going down\n"),
        _ => return false,
    };
    let len = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
        Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n\
        Cache-Control: no-cache\r\nConnection: close\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    if !head_only {
        out.extend_from_slice(body.as_bytes());
    }
    true
}
