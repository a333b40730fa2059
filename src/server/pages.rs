//! The files that a browser gets: the chat page, embedded in the program.

use crate::http::Files;

/// Scripts and styles are the page's own and nothing is fetched from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self' ws: wss:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The table of all files.
pub(super) fn files() -> Files {
    let mut files = Files::new(POLICY);
    let script = "text/javascript; charset=utf-8";
    files.add("/", "text/html; charset=utf-8", include_bytes!("page/index.html"));
    files.add("/chat.css", "text/css; charset=utf-8", include_bytes!("page/chat.css"));
    files.add("/chat.js", script, include_bytes!("page/chat.js"));
    files.add("/talk.js", script, include_bytes!("page/talk.js"));
    files.add("/text.js", script, include_bytes!("page/text.js"));
    files.add("/wire.js", script, include_bytes!("page/wire.js"));
    files.add("/icon.svg", "image/svg+xml", include_bytes!("page/icon.svg"));
    files
}
