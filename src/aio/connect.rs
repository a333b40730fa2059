//! The way to a server: address, proxy, TLS, opening handshake. Takes the options of the blocking
//! client, and knows nothing of them that it does not know.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Config, ConnectError, MaybeTlsStream, WebSocketStream};
use crate::client::Connect;
use crate::client::body::Body;
use crate::client::dial::authority;
use crate::client::opening::{Wish, connection};
use crate::client::proxy::{self, Proxy};
use crate::client::url::Target;
use crate::proto::Connection;
use crate::proto::handshake::{Refused, ResponseError, ResponseReader};

/// What the server said when it opened the WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The subprotocol that it chose.
    pub subprotocol: Option<String>,
    /// Names and values of the headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Response {
    /// The value of the first header of that name, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// Opens a `ws://` or (with feature `tokio-tls`) `wss://` URL.
///
/// ```no_run
/// use futures_util::{SinkExt, StreamExt};
///
/// # async fn talk() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut ws, _) = sockeye::aio::connect_async("ws://127.0.0.1:8080/echo").await?;
/// ws.send("hello".into()).await?;
/// println!("{:?}", ws.next().await);
/// ws.finish(None).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Everything that can go wrong on the way; a refused upgrade with status, headers and body.
///
/// # Panics
///
/// Outside a tokio runtime with IO and time.
pub async fn connect_async(
    url: &str,
) -> Result<(WebSocketStream<MaybeTlsStream>, Response), ConnectError> {
    connect_async_with(url, &Connect::new()).await
}

/// [`connect_async`] with the options of the blocking client: subprotocols, headers, origin, limits,
/// compression, proxy, trust and the time that all of it may take. Their
/// [`close_timeout`](Connect::close_timeout) has no meaning here.
///
/// ```no_run
/// use sockeye::client::Connect;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let options = Connect::new().subprotocol("chat").header("Authorization", "Bearer secret");
/// let (ws, response) = sockeye::aio::connect_async_with("wss://example.com/", &options).await?;
/// println!("{:?}", response.subprotocol);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`connect_async`].
///
/// # Panics
///
/// As [`connect_async`].
pub async fn connect_async_with(
    url: &str,
    options: &Connect,
) -> Result<(WebSocketStream<MaybeTlsStream>, Response), ConnectError> {
    let target = Target::parse(url)?;
    let opened = tokio::time::timeout(options.connect_timeout, async {
        // What cannot work is said before anybody is troubled with a connection.
        let proxy = options.proxy.as_deref().map(Proxy::parse).transpose()?;
        let secure = security(options, &target)?;
        let (host, port) = match &proxy {
            None => (&target.host, target.port),
            Some(proxy) => (&proxy.host, proxy.port),
        };
        let mut tcp = TcpStream::connect((&**host, port))
            .await
            .map_err(|source| ConnectError::Connect { address: authority(host, port), source })?;
        // Messages are written whole: to hold them back for more would only make them late.
        tcp.set_nodelay(true)?;
        if let Some(proxy) = &proxy {
            tunnel(proxy, &target, &mut tcp).await?;
        }
        let stream = match secure {
            None => MaybeTlsStream::Plain(tcp),
            #[cfg(feature = "tokio-tls")]
            Some((config, name)) => {
                let connector = tokio_rustls::TlsConnector::from(config);
                MaybeTlsStream::Tls(Box::new(connector.connect(name, tcp).await?))
            }
        };
        open(&target, stream, options).await
    });
    opened.await.map_err(|_| ConnectError::TimedOut)?
}

/// Opens a WebSocket over a stream that is connected already: a Unix socket, a tunnel, TLS of your
/// own. The URL gives host and path only.
///
/// ```no_run
/// # #[cfg(unix)] async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = tokio::net::UnixStream::connect("/run/chat.sock").await?;
/// let (ws, _) = sockeye::aio::client_async("ws://localhost/chat", socket).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`connect_async`], but for what concerns the way to the server.
pub async fn client_async<S>(
    url: &str,
    stream: S,
) -> Result<(WebSocketStream<S>, Response), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    client_async_with(url, stream, &Connect::new()).await
}

/// [`client_async`] with options. Those for the way to the server have no meaning here, and neither
/// have the times.
///
/// # Errors
///
/// As [`client_async`].
pub async fn client_async_with<S>(
    url: &str,
    stream: S,
    options: &Connect,
) -> Result<(WebSocketStream<S>, Response), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    open(&Target::parse(url)?, stream, options).await
}

/// What a TLS session begins from, if the URL wants one.
#[cfg(feature = "tokio-tls")]
type Terms = (std::sync::Arc<rustls::ClientConfig>, rustls::pki_types::ServerName<'static>);

#[cfg(feature = "tokio-tls")]
fn security(options: &Connect, target: &Target) -> Result<Option<Terms>, ConnectError> {
    target.tls.then(|| options.tls.terms(&target.host)).transpose()
}

#[cfg(not(feature = "tokio-tls"))]
fn security(
    _: &Connect,
    target: &Target,
) -> Result<Option<std::convert::Infallible>, ConnectError> {
    if target.tls {
        let what = "this build has no TLS for async clients, enable the feature `tokio-tls`";
        return Err(ConnectError::Tls(what.into()));
    }
    Ok(None)
}

async fn tunnel(proxy: &Proxy, target: &Target, tcp: &mut TcpStream) -> Result<(), ConnectError> {
    let request = proxy.request(&authority(&target.host, target.port));
    tcp.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the blank line belongs to the tunnel.
    while !proxy::is_whole(&answer)? {
        let mut byte = [0];
        if tcp.read(&mut byte).await? == 0 {
            return Err(ConnectError::Proxy("it closed the connection".into()));
        }
        answer.extend_from_slice(&byte);
    }
    proxy::judge(&answer)
}

async fn open<S>(
    target: &Target,
    mut stream: S,
    options: &Connect,
) -> Result<(WebSocketStream<S>, Response), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let wish = Wish::new(options, target)?;
    let subprotocols = wish.subprotocols();
    let headers = wish.headers();
    let request = wish.request(&subprotocols, &headers);
    let mut out = Vec::new();
    request.write(&mut out)?;
    stream.write_all(&out).await?;
    stream.flush().await?;

    let mut reader = ResponseReader::new(&request, options.head_limits);
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            let what = "the server closed the connection before it answered";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what).into());
        }
        match read(&mut reader, &head, options) {
            Ok(None) => {}
            Ok(Some((connection, response, head_len))) => {
                head.drain(..head_len);
                let config = Config::default();
                let ws = WebSocketStream::from_connection(stream, connection, &config, head);
                return Ok((ws, response));
            }
            Err(ConnectOr::Refused(refused)) => {
                let begun = head.split_off(refused.head_len.min(head.len()));
                let mut body = Body::of(&refused);
                body.take(&begun);
                let mut piece = [0; 4096];
                // The refusal is the news: a body that breaks off is no reason to say less.
                while !body.is_over() {
                    match stream.read(&mut piece).await {
                        Ok(n) if n > 0 => body.take(&piece[..n]),
                        _ => break,
                    }
                }
                return Err(ConnectError::Refused(Box::new(body.into_refusal(refused))));
            }
            Err(ConnectOr::Error(error)) => return Err(error),
        }
    }
}

enum ConnectOr {
    Refused(Refused),
    Error(ConnectError),
}

/// Judges the answer once it is whole.
fn read(
    reader: &mut ResponseReader<'_>,
    head: &[u8],
    options: &Connect,
) -> Result<Option<(Connection, Response, usize)>, ConnectOr> {
    let answer = match reader.read(head) {
        Ok(None) => return Ok(None),
        Ok(Some(answer)) => answer,
        Err(ResponseError::Refused(refused)) => return Err(ConnectOr::Refused(refused)),
        Err(error) => return Err(ConnectOr::Error(ConnectError::Handshake(error))),
    };
    let connection = connection(options, &answer).map_err(ConnectOr::Error)?;
    let headers = answer.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let response = Response {
        subprotocol: answer.subprotocol().map(str::to_owned),
        headers: headers.collect(),
    };
    Ok(Some((connection, response, answer.head_len())))
}
