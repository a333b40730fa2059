//! The way through an HTTP proxy: `CONNECT` (RFC 9110 section 9.3.6). Knows nothing of what is said behind it.

use std::io::{ErrorKind, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::ClientError;
use super::url::{not_opened, userinfo};

/// A proxy, by its URL `http://[user:password@]host[:port]`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    authorization: Option<String>,
}

/// 16 KiB and 64 headers of answer: no proxy that works says more.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const ANSWER_HEADERS_MAX: usize = 64;

impl Proxy {
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |problem: &str| not_opened(text, problem);
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(bad("the scheme of a proxy must be http"));
        }
        let host = url.host_str().ok_or_else(|| bad("the host is missing"))?;
        let user = userinfo(&url).ok_or_else(|| bad("user or password is not UTF-8"))?;
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization: user.map(|user| basic(&user)),
        })
    }

    /// Asks for a tunnel to `authority` (with its port) and reads the answer, to the last byte of its
    /// head and no further.
    pub(super) fn tunnel(
        &self,
        authority: &str,
        stream: &mut (impl Read + Write),
    ) -> Result<(), ClientError> {
        stream.write_all(self.request(authority).as_bytes())?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the blank line belongs to the tunnel.
        let mut byte = [0];
        while !is_whole(&answer)? {
            match stream.read(&mut byte) {
                Ok(0) => return Err(ClientError::Proxy("it closed the connection".into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            answer.extend_from_slice(&byte);
        }
        judge(&answer)
    }

    pub(crate) fn request(&self, authority: &str) -> String {
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(value) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
        }
        request.push_str("\r\n");
        request
    }
}

/// Whether a proxy's answer has its blank line.
pub(crate) fn is_whole(answer: &[u8]) -> Result<bool, ClientError> {
    if answer.len() > ANSWER_BYTES_MAX {
        let what = format!("its answer exceeds {ANSWER_BYTES_MAX} bytes");
        return Err(ClientError::Proxy(what));
    }
    Ok(answer.ends_with(b"\r\n\r\n"))
}

/// Whether a proxy's answer opens the tunnel.
pub(crate) fn judge(answer: &[u8]) -> Result<(), ClientError> {
    let mut headers = [httparse::EMPTY_HEADER; ANSWER_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    response
        .parse(answer)
        .map_err(|error| ClientError::Proxy(format!("its answer is not HTTP: {error}")))?;
    match response.code {
        Some(200..=299) => Ok(()),
        Some(code) => {
            Err(ClientError::Proxy(format!("{code} {}", response.reason.unwrap_or_default())))
        }
        None => Err(ClientError::Proxy("its answer has no status".into())),
    }
}

/// The value of an `Authorization` header for `user:password` (RFC 7617).
pub(crate) fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(user))
}
