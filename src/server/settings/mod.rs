//! Every setting once: its name, its kind, its help. The flags, the environment, the file, the printed
//! configuration and the README's table all come from [`Settings`]; what the server makes of them is
//! in `apply`.

mod apply;
mod layers;
#[cfg(test)]
mod readme;
mod values;

use clap::ValueHint;
use serde::{Deserialize, Serialize};

use super::client_address::{ForwardedHeader, TrustedProxy};
pub(super) use layers::{
    FileError, Source, from_environment, from_file, merge, misspelt_variables, table, variable,
    written,
};
use values::{Address, Count, Crowd, Filter, Format, Origin, Place, Size, Subprotocol, Time};

/// The settings that somebody made; `None` is for those that nobody did.
///
/// A field's name in kebab-case is its flag and its key in the file, in capitals its variable. What
/// stands in the help as default is read off [`Config::default`](super::Config), not written here.
#[derive(clap::Args, Serialize, Deserialize, Clone, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    /// Listen on this IP address and port; may be repeated
    ///
    /// 0.0.0.0 and [::] are all addresses of the machine, of IPv4 and of IPv6: give both to be reached
    /// over both. Port 0 lets the system choose. With --unix the default is not to listen on any.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Listening")]
    listen: Option<Vec<Address>>,

    /// Listen on this Unix socket, for a proxy on this machine; may be repeated
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = "Listening")]
    unix: Option<Vec<String>>,

    /// Threads that serve connections, each with its own part of them (1 to 64)
    ///
    /// The default is the number of CPUs that the process may use.
    #[arg(long, value_name = "N", help_heading = "Listening")]
    shards: Option<Count>,

    /// Speak TLS (https, wss) with this certificate and what leads to its root, in PEM
    ///
    /// Goes with --tls-key. Unix sockets stay plain. SIGHUP reads both files again.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "TLS")]
    tls_cert: Option<String>,

    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "TLS")]
    tls_key: Option<String>,

    /// Let only pages of this origin connect; may be repeated
    ///
    /// An origin is what browsers send: scheme, host and, unless it is the scheme's own, port; null is
    /// a page opened from a file. Programs that are no browsers send none and are let in. Without this
    /// everybody's pages may connect.
    #[arg(long, value_name = "URL", help_heading = "Who may connect")]
    origin: Option<Vec<Origin>>,

    /// Connections at once; more wait until one ends
    ///
    /// Each needs a file descriptor: see `ulimit -n`.
    #[arg(long, value_name = "N", help_heading = "Who may connect")]
    max_connections: Option<Count>,

    /// Connections at once from one IP address, loopback like any other; 0 is no limit
    ///
    /// There is none by default, as all clients behind a proxy that is not trusted, or of one office, share
    /// an address.
    #[arg(long, value_name = "N", help_heading = "Who may connect")]
    max_per_ip: Option<Count>,

    /// Believe this proxy (an address, a network such as 10.0.0.0/8, or unix) whom it passes on; may be repeated
    ///
    /// The client's address is then taken from the header that --forwarded-header names: the last one that
    /// is no trusted proxy. It is what --max-per-ip counts, from the upgrade on, and what the log shows. `unix`
    /// is whoever opens our Unix sockets. Name the proxy's own address and no more: whoever is believed
    /// can be anybody.
    #[arg(long, value_name = "ADDR|NET/BITS|unix", help_heading = "Behind a proxy")]
    trusted_proxy: Option<Vec<TrustedProxy>>,

    /// The header in which trusted proxies name the client: x-forwarded-for, or forwarded (RFC 7239)
    ///
    /// Only this one is read: a header that the proxy does not write itself it passes on as the client
    /// made it up.
    #[arg(long, value_name = "NAME", help_heading = "Behind a proxy")]
    forwarded_header: Option<ForwardedHeader>,

    /// Expect the PROXY protocol (version 1 or 2) at the start of every connection, before TLS
    ///
    /// Only from proxies that --trusted-proxy names; everybody else is turned away.
    #[arg(
        long,
        value_name = "BOOL",
        help_heading = "Behind a proxy",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = values::switch
    )]
    proxy_protocol: Option<bool>,

    /// Largest message, fragments summed and inflated
    ///
    /// A larger one ends its connection with close code 1009.
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    max_payload: Option<Size>,

    /// Compress messages (permessage-deflate) for clients that can
    #[arg(
        long,
        value_name = "BOOL",
        help_heading = "Limits",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = values::switch
    )]
    deflate: Option<bool>,

    /// Messages a second that one connection may send; 0 is no limit
    ///
    /// Ten seconds' worth may come at once. Holds for all dialects but `chat`, which has limits of its
    /// own and tells its clients when they are over.
    #[arg(long, value_name = "N", help_heading = "Limits")]
    rate_messages: Option<Count>,

    /// Bytes a second that one connection may send in messages; 0 is no limit
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    rate_bytes: Option<Size>,

    /// Time for a client from connecting to its complete request, TLS included
    #[arg(long, value_name = "TIME", help_heading = "Time limits")]
    handshake_timeout: Option<Time>,

    /// Ping a client after so much silence
    #[arg(long, value_name = "TIME", help_heading = "Time limits")]
    ping_interval: Option<Time>,

    /// Give a client up after so much more silence
    #[arg(long, value_name = "TIME", help_heading = "Time limits")]
    idle_timeout: Option<Time>,

    /// Give a client up that takes nothing for so long while something waits for it
    #[arg(long, value_name = "TIME", help_heading = "Time limits")]
    stall_timeout: Option<Time>,

    /// Time for a client to answer a close
    #[arg(long, value_name = "TIME", help_heading = "Time limits")]
    close_timeout: Option<Time>,

    /// Time for everybody to leave after SIGTERM or SIGINT; a second signal ends at once
    #[arg(long, value_name = "TIME", help_heading = "Time limits")]
    grace: Option<Time>,

    /// Move a dialect to another path, or turn it off; may be repeated
    ///
    /// Dialects are echo, broadcast, direct, ws, im and chat; those not named stay where they are.
    /// `other` stands for all paths that are nobody's, `/` too: other=chat sends them to the chat,
    /// other=off refuses them.
    #[arg(long, value_name = "DIALECT=PATH", help_heading = "Chat")]
    path: Option<Vec<Place>>,

    /// Agree to this subprotocol; may be repeated
    ///
    /// Of a client's offer the first that is allowed is chosen; if none is, the connection opens
    /// without. When no subprotocol is given, the first of the offer is chosen whatever it is.
    #[arg(long, value_name = "NAME", help_heading = "Chat")]
    subprotocol: Option<Vec<Subprotocol>>,

    /// Messages that a room remembers
    #[arg(long, value_name = "N", help_heading = "Chat")]
    history_messages: Option<Count>,

    /// Bytes that a room remembers
    #[arg(long, value_name = "SIZE", help_heading = "Chat")]
    history_bytes: Option<Size>,

    /// Bytes that all rooms remember together
    #[arg(long, value_name = "SIZE", help_heading = "Chat")]
    history_memory: Option<Size>,

    /// Whom /metrics answers where the chat is: local, all or off
    ///
    /// `local` is requests from this machine that show no sign of a proxy: one that adds a header such as
    /// X-Forwarded-For, comes by a Unix socket or asks for a site by name is refused like any unknown path.
    #[arg(long, value_name = "local|all|off", help_heading = "Metrics")]
    metrics: Option<Crowd>,

    /// Serve /metrics, and nothing else, on this IP address and port, too
    ///
    /// Without TLS, to everybody who reaches it, by a thread of its own, so that it answers when the loops
    /// are full. For a collector on another machine.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Metrics")]
    metrics_listen: Option<Address>,

    /// What to log on stderr: off, error, warn, info, debug or trace, also by module
    ///
    /// By module: `warn,sockeye::server=debug`. No level logs what people say.
    #[arg(long, value_name = "LEVEL", help_heading = "Logs")]
    log: Option<Filter>,

    /// Log lines for people, or JSON for programs
    #[arg(long, value_name = "text|json", help_heading = "Logs")]
    log_format: Option<Format>,
}
