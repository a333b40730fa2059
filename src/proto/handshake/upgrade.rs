//! A request judged by RFC 6455 section 4.2, and the 101 that accepts it. Chooses nothing for the
//! embedder: which subprotocol and which extensions is in the [`Answer`].

use alloc::string::String;
use alloc::vec::Vec;

use super::error::{ComposeError, RequestError, parse_length};
use super::extensions::{Extension, parse_extensions};
use super::field;
use super::key::{accept_key, is_valid_key};
use super::request::{
    ACCEPT, CONNECTION, EXTENSIONS, HOST, KEY, ORIGIN, PROTOCOL, Request, UPGRADE, VERSION,
    VERSION_NAME,
};
use super::tokens::{has_element, token};
#[cfg(feature = "deflate")]
use crate::proto::deflate::{Deflate, EXTENSION, Params};

/// A request that may become a WebSocket.
#[derive(Clone, Debug)]
pub struct Upgrade<'r> {
    key: &'r str,
    subprotocols: Vec<&'r str>,
    extensions: Vec<Extension<'r>>,
}

/// What a server puts into its 101.
#[derive(Clone, Copy, Default, Debug)]
pub struct Answer<'a> {
    /// One of those offered, or none. Browsers that offered some fail the connection when none comes back.
    pub subprotocol: Option<&'a str>,
    /// The value of `Sec-WebSocket-Extensions`: extensions that were offered, with agreed parameters.
    pub extensions: Option<&'a str>,
    /// More headers, such as `Set-Cookie` or `Server`; none that the handshake writes itself.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'b> Request<'b> {
    /// Judges the request by RFC 6455 §4.2.1. What is wrong comes as an error that knows its status, and
    /// the first in this order: method (405), HTTP version (505), target, `Host`, `Upgrade` (426 where
    /// there is none, 400 where it names something else), `Connection`, version (426), key, `Origin`,
    /// body (413), subprotocols, extensions (400 each).
    ///
    /// Allocates the lists of what is offered.
    pub fn upgrade(&self) -> Result<Upgrade<'b>, RequestError> {
        if self.method() != "GET" {
            return Err(RequestError::Method);
        }
        if self.minor_version() < 1 {
            return Err(RequestError::HttpVersion(self.minor_version()));
        }
        check_target(self.target())?;
        let host = self.once(HOST)?.ok_or(RequestError::Missing(HOST))?;
        if !field::is_authority(host) {
            return Err(RequestError::Host);
        }
        if self.header(UPGRADE).next().is_none() {
            return Err(RequestError::NoUpgrade);
        }
        if !self.wants_websocket() {
            return Err(RequestError::OtherUpgrade);
        }
        if !has_element(self.header(CONNECTION), "upgrade") {
            return Err(RequestError::Connection);
        }
        if self.once(VERSION_NAME)? != Some(VERSION.as_bytes()) {
            return Err(RequestError::Version);
        }
        let key = self.once(KEY)?.ok_or(RequestError::Missing(KEY))?;
        let key = core::str::from_utf8(key)
            .ok()
            .filter(|key| is_valid_key(key))
            .ok_or(RequestError::Key(key.len()))?;
        // Two origins, or one that cannot be read, must not pass an allow list as no origin does.
        if let Some(origin) = self.once(ORIGIN)? {
            core::str::from_utf8(origin).map_err(|_| RequestError::Origin)?;
        }
        self.check_body()?;
        Ok(Upgrade {
            key,
            subprotocols: self.offered_subprotocols()?,
            extensions: self.extensions().map_err(RequestError::Extensions)?,
        })
    }

    fn once(&self, name: &'static str) -> Result<Option<&'b [u8]>, RequestError> {
        self.fields().one(name).map_err(RequestError::Duplicate)
    }

    /// What follows the head is frames. Where somebody in between takes it for a body, the two of us
    /// would read different messages.
    fn check_body(&self) -> Result<(), RequestError> {
        if self.header("Transfer-Encoding").next().is_some() {
            return Err(RequestError::Body);
        }
        match self.once("Content-Length")?.map(parse_length) {
            None | Some(Some(0)) => Ok(()),
            Some(Some(_)) => Err(RequestError::Body),
            Some(None) => Err(RequestError::ContentLength),
        }
    }

    /// §4.1: one or more tokens, all different.
    fn offered_subprotocols(&self) -> Result<Vec<&'b str>, RequestError> {
        let offered = self
            .subprotocols()
            .map(|name| token(name).ok_or(RequestError::Subprotocol))
            .collect::<Result<Vec<_>, _>>()?;
        if offered.is_empty() && self.header(PROTOCOL).next().is_some() {
            return Err(RequestError::Subprotocol);
        }
        // Sorted, because a head has room for thousands and comparing each with each would be work
        // that a peer orders for free.
        let mut sorted = offered.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(RequestError::DuplicateSubprotocol);
        }
        Ok(offered)
    }
}

impl<'r> Upgrade<'r> {
    /// The client's key. Nobody's name: two clients may send the same.
    pub fn key(&self) -> &'r str {
        self.key
    }

    /// The subprotocols that the client offers, most wanted first; all different.
    pub fn subprotocols(&self) -> &[&'r str] {
        &self.subprotocols
    }

    /// The subprotocol that the client wants most: the choice of a server without a rule.
    pub fn first_subprotocol(&self) -> Option<&'r str> {
        self.subprotocols.first().copied()
    }

    /// The extensions that the client offers, most wanted first.
    pub fn extensions(&self) -> &[Extension<'r>] {
        &self.extensions
    }

    /// What this policy accepts of the client's offers of permessage-deflate (RFC 7692 §7): the
    /// parameters for [`Connection::enable_deflate`](crate::proto::Connection::enable_deflate), and the
    /// value for [`Answer::extensions`] (allocates it). `None`: the connection goes on without.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self, policy: &Deflate) -> Option<(Params, String)> {
        let offers = self.extensions.iter().filter(|offer| offer.name == EXTENSION);
        policy.respond(offers.map(Extension::pairs))
    }

    /// Appends the 101 that opens the WebSocket (RFC 6455 §4.2.2); frames follow it.
    ///
    /// An answer that the client would have to refuse, or that would say more than it should by line
    /// ends in a header, is the caller's mistake: nothing is written then.
    pub fn accept(&self, answer: &Answer<'_>, out: &mut Vec<u8>) -> Result<(), ComposeError> {
        self.check(answer)?;
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        field::push(out, UPGRADE, "websocket");
        field::push(out, CONNECTION, "Upgrade");
        field::push(out, ACCEPT, accept_key(self.key).as_str());
        if let Some(name) = answer.subprotocol {
            field::push(out, PROTOCOL, name);
        }
        if let Some(value) = answer.extensions {
            field::push(out, EXTENSIONS, value);
        }
        for (name, value) in answer.headers {
            field::push(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn check(&self, answer: &Answer<'_>) -> Result<(), ComposeError> {
        if let Some(name) = answer.subprotocol
            && !self.subprotocols.contains(&name)
        {
            return Err(ComposeError::UnofferedSubprotocol(String::from(name)));
        }
        if let Some(value) = answer.extensions {
            let chosen = parse_extensions([value.as_bytes()]).map_err(ComposeError::Extensions)?;
            for extension in &chosen {
                if !self.extensions.iter().any(|it| it.name == extension.name) {
                    let name = String::from(extension.name);
                    return Err(ComposeError::UnofferedExtension(name));
                }
            }
        }
        field::check_extra(answer.headers)
    }
}

/// §4.2.1: a path, or an absolute `http` or `https` URI; §3: without a fragment. `ws` and `wss` pass too,
/// which clients behind a proxy send.
fn check_target(target: &str) -> Result<(), RequestError> {
    let absolute = target.split_once("://").is_some_and(|(scheme, rest)| {
        ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && !rest.is_empty()
    });
    if (target.starts_with('/') || absolute) && !target.contains('#') {
        Ok(())
    } else {
        Err(RequestError::Target)
    }
}
