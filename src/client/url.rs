//! From a URL to what the connection needs of it.

use url::{Host, Url};

use super::ClientError;

/// Where to connect and what to ask for there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the `Host` header says it: without the scheme's own port (RFC 6455 §4.1).
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) resource: String,
    /// User and password, as `Authorization: Basic` wants them.
    pub(crate) userinfo: Option<String>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |problem: &str| not_opened(text, problem);
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        let tls = match url.scheme() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(bad("the scheme must be ws or wss")),
        };
        // §3: a fragment has no meaning here and must not be there.
        if url.fragment().is_some() {
            return Err(bad("a WebSocket URL has no fragment, write # as %23"));
        }
        let host = url.host().ok_or_else(|| bad("the host is missing"))?;
        let port = url.port();
        let authority = port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        Ok(Self {
            tls,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            authority,
            resource: format!("{}{query}", url.path()),
            userinfo: userinfo(&url).ok_or_else(|| bad("user or password is not UTF-8"))?,
            host: match host {
                Host::Domain(name) => name.to_owned(),
                Host::Ipv4(address) => address.to_string(),
                Host::Ipv6(address) => address.to_string(),
            },
        })
    }
}

/// The URL that a person means who leaves the scheme out. The error is one sentence with its remedy.
#[cfg(any(feature = "bench", feature = "connect"))]
pub(crate) fn in_full(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (place, path) = text.split_at(end);
    let port = place.strip_prefix(':').unwrap_or(place);
    // A URL takes a lone number for an address.
    if port.is_empty() || port.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!(
            "{text:?} names no host; for this machine write localhost:{}{path}",
            if port.is_empty() { "8080" } else { port }
        ));
    }
    Ok(format!("ws://{text}"))
}

/// The error for a URL that cannot be opened.
pub(super) fn not_opened(url: &str, problem: &str) -> ClientError {
    ClientError::Url { url: without_userinfo(url), problem: problem.into() }
}

/// A URL for a log, where no password belongs. Works on any text, as what is logged may be no URL.
pub(crate) fn without_userinfo(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    match authority.rfind('@') {
        Some(at) => format!("{scheme}***{}{resource}", &authority[at..]),
        None => url.to_owned(),
    }
}

/// `user:password` of a URL, unescaped. The outer `None`: escapes that are not UTF-8.
pub(super) fn userinfo(url: &Url) -> Option<Option<String>> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return Some(None);
    }
    let unescape = |text: &str| {
        percent_encoding::percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
    };
    Some(Some(format!("{}:{}", unescape(url.username())?, unescape(password)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let target = Target::parse("ws://localhost:8080/chat?room=a%20b").unwrap();
        assert_eq!((target.tls, &*target.host, target.port), (false, "localhost", 8080));
        assert_eq!((&*target.authority, &*target.resource), ("localhost:8080", "/chat?room=a%20b"));
    }

    #[test]
    fn the_schemes_own_port_is_used_and_not_said() {
        let plain = Target::parse("ws://example.com").unwrap();
        assert_eq!((plain.port, &*plain.authority, &*plain.resource), (80, "example.com", "/"));
        let tls = Target::parse("wss://example.com:443?x").unwrap();
        assert_eq!(
            (tls.tls, tls.port, &*tls.authority, &*tls.resource),
            (true, 443, "example.com", "/?x")
        );
    }

    #[test]
    fn an_ipv6_address_has_brackets_in_the_header_only() {
        let target = Target::parse("ws://[::1]:9000/").unwrap();
        assert_eq!((&*target.host, &*target.authority), ("::1", "[::1]:9000"));
    }

    #[test]
    fn user_and_password_are_unescaped() {
        let target = Target::parse("ws://me:p%40ss@example.com/").unwrap();
        assert_eq!(target.userinfo.as_deref(), Some("me:p@ss"));
        assert_eq!(target.authority, "example.com");
    }

    #[test]
    fn no_password_gets_into_a_log() {
        for (url, logged) in [
            ("ws://me:secret@host/a@b", "ws://***@host/a@b"),
            ("ftp://me:s@cret@host", "ftp://***@host"),
            ("ws://host/?to=me@there", "ws://host/?to=me@there"),
            ("me:secret@host", "***@host"),
        ] {
            assert_eq!(without_userinfo(url), logged);
        }
        let error = Target::parse("ftp://me:secret@host/").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn what_cannot_be_opened_is_refused_with_its_reason() {
        for (url, problem) in [
            ("ftp://example.com/", "scheme"),
            ("ws://example.com/#there", "fragment"),
            ("ws://", "host"),
            ("example.com", "relative URL"),
            ("ws://example.com:99999/", "port"),
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(url), "{error}");
        }
    }
}
