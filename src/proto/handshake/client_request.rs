//! The client's side of RFC 6455 section 4.1, first half: the request that asks for a WebSocket.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::ComposeError;
use super::extensions::parse_extensions;
use super::field;
use super::key::ClientKey;
use super::request::{
    CONNECTION, EXTENSIONS, HOST, KEY, ORIGIN, PROTOCOL, UPGRADE, VERSION, VERSION_NAME,
};
use super::tokens::token;

/// What a client asks for. Kept until the answer has come, which is judged by it.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// The server's name or address, with its port unless it is the scheme's: `example.com:8080`.
    pub host: &'a str,
    /// Path and query, percent-encoded: `/chat?room=1`.
    pub target: &'a str,
    /// Drawn at random for every connection (§4.1), from the same strong source as mask keys.
    pub nonce: [u8; 16],
    /// Only browsers must send it.
    pub origin: Option<&'a str>,
    /// Offered, most wanted first; tokens, all different.
    pub subprotocols: &'a [&'a str],
    /// The value of `Sec-WebSocket-Extensions`: what is offered, most wanted first.
    pub extensions: Option<&'a str>,
    /// More headers, such as `Authorization` or `Cookie`; none that the handshake writes itself.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> ClientRequest<'a> {
    /// A request that offers nothing and adds nothing; the other fields are there to be set.
    ///
    /// ```
    /// # use sockeye::proto::handshake::ClientRequest;
    /// let request = ClientRequest {
    ///     subprotocols: &["chat"],
    ///     ..ClientRequest::new("example.com", "/chat", *b"the sample nonce")
    /// };
    /// let mut out = Vec::new();
    /// request.write(&mut out)?;
    /// assert!(out.starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
    /// # Ok::<(), sockeye::proto::handshake::ComposeError>(())
    /// ```
    pub const fn new(host: &'a str, target: &'a str, nonce: [u8; 16]) -> Self {
        Self {
            host,
            target,
            nonce,
            origin: None,
            subprotocols: &[],
            extensions: None,
            headers: &[],
        }
    }

    /// The key that the request carries.
    pub fn key(&self) -> ClientKey {
        ClientKey::new(self.nonce)
    }

    /// Appends the request. Nothing is written where a field could not stand in a request, or would end
    /// its line early.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), ComposeError> {
        self.check()?;
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        field::push(out, HOST, self.host);
        field::push(out, UPGRADE, "websocket");
        field::push(out, CONNECTION, "Upgrade");
        field::push(out, KEY, self.key().as_str());
        if let Some(origin) = self.origin {
            field::push(out, ORIGIN, origin);
        }
        if !self.subprotocols.is_empty() {
            field::push(out, PROTOCOL, &self.subprotocols.join(", "));
        }
        field::push(out, VERSION_NAME, VERSION);
        if let Some(value) = self.extensions {
            field::push(out, EXTENSIONS, value);
        }
        for (name, value) in self.headers {
            field::push(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn check(&self) -> Result<(), ComposeError> {
        if !field::is_authority(self.host.as_bytes()) {
            return Err(ComposeError::Host(String::from(self.host)));
        }
        // §3: a fragment is not sent; its # is escaped where it belongs to the path.
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !self.target.starts_with('/') || !self.target.bytes().all(plain) {
            return Err(ComposeError::Target(String::from(self.target)));
        }
        if let Some(origin) = self.origin {
            field::check(ORIGIN, origin)?;
        }
        for (at, &name) in self.subprotocols.iter().enumerate() {
            if token(name.as_bytes()).is_none() {
                return Err(ComposeError::Subprotocol(String::from(name)));
            }
            if self.subprotocols.iter().take(at).any(|&it| it == name) {
                return Err(ComposeError::DuplicateSubprotocol(String::from(name)));
            }
        }
        if let Some(value) = self.extensions {
            parse_extensions([value.as_bytes()]).map_err(ComposeError::Extensions)?;
        }
        field::check_extra(self.headers)?;
        let origin_twice = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(ORIGIN);
        match self.headers.iter().find(origin_twice) {
            Some((name, _)) if self.origin.is_some() => {
                Err(ComposeError::Reserved(String::from(*name)))
            }
            _ => Ok(()),
        }
    }
}
