//! The opening handshake over a stream that is connected: the request out, the answer in. What both
//! must look like is known to [`handshake`](crate::proto::handshake); here they are written and read.

use std::io::{Error, ErrorKind, Read, Write};
use std::time::Instant;

use super::connect::Connect;
use super::dial::time_left;
use super::proxy::basic;
use super::stream::Ending;
use super::url::Target;
use super::{Client, ClientError, body};
use crate::proto::Connection;
use crate::proto::handshake::{ClientRequest, Response, ResponseError, ResponseReader};

pub(super) fn open<S: Read + Write>(
    options: &Connect,
    target: &Target,
    mut stream: S,
    ending: Ending<S>,
    deadline: Option<Instant>,
) -> Result<Client<S>, ClientError> {
    let wish = Wish::new(options, target)?;
    let subprotocols = wish.subprotocols();
    let headers = wish.headers();
    let request = wish.request(&subprotocols, &headers);
    let mut out = Vec::new();
    request.write(&mut out)?;
    stream.write_all(&out)?;
    stream.flush()?;

    let mut reader = ResponseReader::new(&request, options.head_limits);
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // The stream knows the deadline too if it is ours; another may know none.
        time_left(deadline)?;
        let n = match stream.read(&mut piece) {
            Ok(0) => {
                let what = "the server closed the connection before it answered";
                return Err(Error::new(ErrorKind::UnexpectedEof, what).into());
            }
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        head.extend_from_slice(&piece[..n]);
        match reader.read(&head) {
            Ok(None) => {}
            Ok(Some(response)) => {
                let connection = connection(options, &response)?;
                let after = head.get(response.head_len()..).unwrap_or_default();
                let mut client = Client::new(stream, connection, ending, after);
                client.close_timeout = options.close_timeout;
                client.subprotocol = response.subprotocol().map(str::to_owned);
                client.headers = response
                    .headers()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                return Ok(client);
            }
            Err(ResponseError::Refused(refused)) => {
                let begun = head.split_off(refused.head_len.min(head.len()));
                let refusal = body::collect(refused, &begun, &mut stream, deadline);
                return Err(ClientError::Refused(Box::new(refusal)));
            }
            Err(error) => return Err(ClientError::Handshake(error)),
        }
    }
}

/// What a client asks for, in one place. The lists that the request borrows are made of it first.
pub(crate) struct Wish<'o> {
    options: &'o Connect,
    target: &'o Target,
    nonce: [u8; 16],
    extensions: Option<String>,
    authorization: Option<String>,
}

impl<'o> Wish<'o> {
    pub(crate) fn new(options: &'o Connect, target: &'o Target) -> Result<Self, ClientError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| ClientError::Io(error.into()))?;
        let extensions = offer(options);
        let authorization = target.userinfo.as_deref().map(basic);
        Ok(Self { options, target, nonce, extensions, authorization })
    }

    pub(crate) fn subprotocols(&self) -> Vec<&str> {
        self.options.subprotocols.iter().map(String::as_str).collect()
    }

    pub(crate) fn headers(&self) -> Vec<(&str, &str)> {
        let given = self.options.headers.iter().map(|(name, value)| (&**name, &**value));
        let mut headers: Vec<(&str, &str)> = given.collect();
        if let Some(value) = &self.authorization
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            headers.push(("Authorization", value));
        }
        headers
    }

    pub(crate) fn request<'a>(
        &'a self,
        subprotocols: &'a [&'a str],
        headers: &'a [(&'a str, &'a str)],
    ) -> ClientRequest<'a> {
        ClientRequest {
            origin: self.options.origin.as_deref(),
            subprotocols,
            extensions: self.extensions.as_deref(),
            headers,
            ..ClientRequest::new(&self.target.authority, &self.target.resource, self.nonce)
        }
    }
}

#[cfg(not(feature = "deflate"))]
fn offer(_: &Connect) -> Option<String> {
    None
}

#[cfg(feature = "deflate")]
fn offer(options: &Connect) -> Option<String> {
    options.config.deflate.as_ref().map(crate::proto::deflate::Deflate::offer)
}

#[cfg_attr(not(feature = "deflate"), allow(unused))]
pub(crate) fn connection(
    options: &Connect,
    response: &Response<'_>,
) -> Result<Connection, ClientError> {
    let mut connection = Connection::client(options.config.clone(), |bytes: &mut [u8]| {
        // §10.3: without strong randomness nothing may be sent at all, so there is nothing to fall
        // back to. The nonce was drawn from the same source a moment ago.
        getrandom::fill(bytes)
            .expect("the system's randomness does not run dry once it has worked");
    });
    #[cfg(feature = "deflate")]
    if let Some(policy) = &options.config.deflate
        && let Some(agreed) = response.deflate(policy)?
    {
        connection.enable_deflate(&agreed, policy);
    }
    Ok(connection)
}
