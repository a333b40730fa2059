//! The server's opening handshake over a stream that was accepted.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{AcceptError, Config, WebSocketStream};
use crate::proto::Connection;
use crate::proto::handshake::{
    Answer, ComposeError, HeadLimits, Refusal, Request, RequestError, RequestReader,
};

/// What a server answers beyond what it must. Begin with the default: nothing.
///
/// ```
/// use sockeye::aio::Reply;
///
/// let reply = Reply::default().subprotocol("chat").header("Server", "sockeye");
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The subprotocol: one of those offered.
    pub subprotocol: Option<String>,
    /// More headers; none that the handshake writes itself.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    /// Chooses a subprotocol, which must be one of those offered.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Reads the request and opens the WebSocket, whatever path it asks for; chooses no subprotocol and
/// no compression.
///
/// ```no_run
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// let (tcp, _) = listener.accept().await?;
/// let ws = sockeye::aio::accept_async(tcp).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// See [`AcceptError`]. A client that was refused has been told why.
pub async fn accept_async<S>(stream: S) -> Result<WebSocketStream<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    accept_async_with_config(stream, Config::default()).await
}

/// [`accept_async`] with limits, and with compression if the configuration says so.
///
/// # Errors
///
/// As [`accept_async`].
pub async fn accept_async_with_config<S>(
    stream: S,
    config: impl Into<Config>,
) -> Result<WebSocketStream<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    accept_hdr_async_with_config(stream, |_: &Request<'_>, reply| Ok(reply), config).await
}

/// [`accept_async`] with a look at the request, which is a valid one: to read its path and headers, to
/// refuse it, to choose a subprotocol, to add headers.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use sockeye::aio::{AcceptError, Reply, accept_hdr_async};
/// use sockeye::proto::handshake::{Refusal, Request};
/// # use tokio::io::AsyncWriteExt as _;
///
/// # let (mut client, stream) = tokio::io::duplex(4096);
/// # client.write_all(b"GET /admin HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
/// #     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").await.unwrap();
/// let opened = accept_hdr_async(stream, |request: &Request<'_>, reply: Reply| match request.path() {
///     "/chat" if request.subprotocols().any(|it| it == b"chat") => Ok(reply.subprotocol("chat")),
///     "/chat" => Ok(reply),
///     _ => Err(Refusal::new(404, "there is nothing here")),
/// });
/// assert!(matches!(opened.await, Err(AcceptError::Refused(refusal)) if refusal.status() == 404));
/// # });
/// ```
///
/// # Errors
///
/// As [`accept_async`].
pub async fn accept_hdr_async<S, C>(
    stream: S,
    callback: C,
) -> Result<WebSocketStream<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: FnOnce(&Request<'_>, Reply) -> Result<Reply, Refusal>,
{
    accept_hdr_async_with_config(stream, callback, Config::default()).await
}

/// [`accept_hdr_async`] with limits, and with compression if the configuration says so.
///
/// # Errors
///
/// As [`accept_async`].
pub async fn accept_hdr_async_with_config<S, C>(
    mut stream: S,
    callback: C,
    config: impl Into<Config>,
) -> Result<WebSocketStream<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: FnOnce(&Request<'_>, Reply) -> Result<Reply, Refusal>,
{
    let config = config.into();
    let mut reader = RequestReader::new(HeadLimits::default());
    let mut callback = Some(callback);
    let mut head = Vec::new();
    let mut out = Vec::new();
    let (outcome, head_len) = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(AcceptError::NoRequest);
        }
        // The request borrows from `head`, so that all of it happens between two awaits.
        match read(&mut reader, &head, &mut callback, &config, &mut out) {
            Ok(None) => {}
            Ok(Some((connection, head_len))) => break (Ok(connection), head_len),
            Err(error) => break (Err(error), 0),
        }
    };
    stream.write_all(&out).await?;
    stream.flush().await?;
    match outcome {
        Ok(connection) => {
            head.drain(..head_len);
            Ok(WebSocketStream::from_connection(stream, connection, &config, head))
        }
        Err(error) => {
            // The client has its answer; whether it takes the end of the connection well or badly does
            // not change it.
            let _ = stream.shutdown().await;
            Err(error)
        }
    }
}

/// Judges the request once it is whole. The answer, a refusal too, is in `out`.
fn read<C>(
    reader: &mut RequestReader,
    head: &[u8],
    callback: &mut Option<C>,
    config: &Config,
    out: &mut Vec<u8>,
) -> Result<Option<(Connection, usize)>, AcceptError>
where
    C: FnOnce(&Request<'_>, Reply) -> Result<Reply, Refusal>,
{
    let refuse = |refusal: Refusal, out: &mut Vec<u8>| {
        refusal.write(out);
        AcceptError::Refused(refusal)
    };
    let refuse_request = |error: RequestError, out: &mut Vec<u8>| refuse(error.into(), out);
    let request = match reader.read(head) {
        Ok(None) => return Ok(None),
        Ok(Some(request)) => request,
        Err(error) => return Err(refuse_request(error, out)),
    };
    let upgrade = request.upgrade().map_err(|error| refuse_request(error, out))?;
    let callback = callback.take().ok_or_else(|| io::Error::other("a second request"))?;
    let reply = callback(&request, Reply::default()).map_err(|refusal| refuse(refusal, out))?;
    let headers: Vec<(&str, &str)> =
        reply.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    #[cfg_attr(not(feature = "deflate"), allow(unused_mut))]
    let mut connection = Connection::server(config.proto.clone());
    #[cfg_attr(not(feature = "deflate"), allow(unused_mut))]
    let mut answer =
        Answer { subprotocol: reply.subprotocol.as_deref(), extensions: None, headers: &headers };
    #[cfg(feature = "deflate")]
    let agreed = config.proto.deflate.as_ref().and_then(|policy| {
        let (params, value) = upgrade.deflate(policy)?;
        connection.enable_deflate(&params, policy);
        Some(value)
    });
    #[cfg(feature = "deflate")]
    {
        answer.extensions = agreed.as_deref();
    }
    upgrade.accept(&answer, out).map_err(|error: ComposeError| {
        Refusal::new(500, "the server's answer cannot be sent").write(out);
        AcceptError::Compose(error)
    })?;
    Ok(Some((connection, request.head_len())))
}
