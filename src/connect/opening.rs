//! One attempt to open the connection that the plan describes.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::escape::{Keep, escaped};
use super::link::Parts;
use super::plan::Plan;
use super::socket::Socket;
use crate::client::{Client, ClientError, Connect};

/// An open connection, and what can be said of it.
pub(super) struct Opened {
    /// What a link is made of.
    pub(super) parts: Parts,
    /// What the server agreed to.
    pub(super) greeting: Greeting,
}

/// What the server agreed to.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    /// Where, without password.
    pub(super) url: String,
    /// The subprotocol that the server chose.
    pub(super) subprotocol: Option<String>,
    /// The extensions that it chose, as it wrote them.
    pub(super) extensions: Option<String>,
    /// The version of TLS.
    pub(super) tls: Option<String>,
    /// Names and values of the response's headers.
    pub(super) headers: Vec<(String, String)>,
}

/// Opens. Waits for as long as the plan allows.
pub(super) fn open(plan: &Plan) -> Result<Opened, ClientError> {
    match &plan.unix {
        Some(path) => {
            let failed =
                |source| ClientError::Connect { address: path.display().to_string(), source };
            let stream = UnixStream::connect(path).map_err(failed)?;
            time_out(&stream, Some(plan.timeout))?;
            let client = plan.connect.over(stream, &plan.url)?;
            let greeting = greeting(plan, &client, None);
            let parts = client.into_parts();
            time_out(&parts.stream, None)?;
            Ok(Opened {
                greeting,
                parts: Parts {
                    socket: Socket::Unix(parts.stream),
                    tls: None,
                    connection: parts.connection,
                    unread: parts.unread,
                    unsent: parts.unsent,
                },
            })
        }
        None => over_tcp(plan, &plan.connect),
    }
}

fn over_tcp(plan: &Plan, connect: &Connect) -> Result<Opened, ClientError> {
    let client = connect.open(&plan.url)?;
    let version = |tls: &rustls::ClientConnection| {
        Some(format!("{:?}", tls.protocol_version()?).replace("TLSv1_", "TLS 1."))
    };
    let tls = client.stream().tls_session().and_then(version);
    let greeting = greeting(plan, &client, tls);
    let parts = client.into_parts();
    let (tcp, tls) = parts.stream.take_apart()?;
    let (socket, connection) = (Socket::Tcp(tcp), parts.connection);
    let (unread, unsent) = (parts.unread, parts.unsent);
    Ok(Opened { greeting, parts: Parts { socket, tls, connection, unread, unsent } })
}

fn time_out(stream: &UnixStream, after: Option<Duration>) -> Result<(), ClientError> {
    stream.set_read_timeout(after)?;
    Ok(stream.set_write_timeout(after)?)
}

fn greeting<S: std::io::Read + std::io::Write>(
    plan: &Plan,
    client: &Client<S>,
    tls: Option<String>,
) -> Greeting {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Greeting {
        url: plan.shown_url.clone(),
        subprotocol: client.subprotocol().map(str::to_owned),
        extensions: client.header("sec-websocket-extensions").map(str::to_owned),
        tls,
        headers: client.headers().iter().map(|(name, value)| (name.clone(), text(value))).collect(),
    }
}

impl Greeting {
    /// `connected to ws://..., subprotocol chat, permessage-deflate`.
    pub(super) fn sentence(&self) -> String {
        let mut said = format!("connected to {}", self.url);
        if let Some(version) = &self.tls {
            said.push_str(&format!(", {version}"));
        }
        if let Some(name) = &self.subprotocol {
            said.push_str(&format!(", subprotocol {name}"));
        }
        if let Some(extensions) = &self.extensions {
            let name = |one: &str| one.split(';').next().unwrap_or_default().trim().to_owned();
            let names: Vec<String> = extensions.split(',').map(name).collect();
            said.push_str(&format!(", {}", names.join(", ")));
        }
        escaped(&said, Keep::Nothing).into_owned()
    }
}
