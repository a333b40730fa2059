//! Which of RFC 7692's four parameters hold on a connection (section 7.1). Takes parameters that are
//! already split and unquoted; knows no header grammar and compresses nothing.

use alloc::string::{String, ToString};
use core::fmt::{self, Write as _};

/// The extension's name in `Sec-WebSocket-Extensions`.
pub const EXTENSION: &str = "permessage-deflate";

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The base-2 logarithm of a window, 9 to 15: 512 bytes to 32 KiB.
///
/// RFC 7692 also knows 8, which no zlib can compress to; see [`Deflate::respond`] for what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 9: a window of 512 bytes.
    pub const MIN: Self = Self(9);
    /// 15: a window of 32 KiB, what holds where nothing was negotiated.
    pub const MAX: Self = Self(15);

    /// The window of `1 << bits` bytes; `None` outside 9 to 15.
    ///
    /// ```
    /// # use sockeye::proto::deflate::WindowBits;
    /// assert_eq!(WindowBits::new(15), Some(WindowBits::MAX));
    /// assert_eq!(WindowBits::new(8), None);
    /// ```
    #[inline]
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            9..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The number in the header.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The window's size in bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        1 << self.0
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What both endpoints agreed on (RFC 7692 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// The server compresses each message from an empty window (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client compresses each message from an empty window (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The window that the server compresses with (§7.1.2.1).
    pub server_max_window_bits: WindowBits,
    /// The window that the client compresses with (§7.1.2.2).
    pub client_max_window_bits: WindowBits,
}

/// What one endpoint wants of permessage-deflate: the policy that offers are made and judged by.
///
/// A server that uses the default keeps no compression state for an idle connection:
///
/// ```
/// # use sockeye::proto::deflate::Deflate;
/// let chrome = [("client_max_window_bits", None)];
/// let (params, header) = Deflate::default().respond([chrome]).unwrap();
/// assert!(params.server_no_context_takeover && params.client_no_context_takeover);
/// assert_eq!(
///     header,
///     "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deflate {
    /// Ask (as a client) or promise (as a server) that the server forgets its window after each message.
    ///
    /// Default `true`: a compressor that remembers holds about 390 KiB for each connection, even an idle one.
    pub server_no_context_takeover: bool,
    /// Promise (as a client) or ask (as a server) that the client forgets its window after each message.
    ///
    /// Default `true`: with `false` an idle connection keeps the last `1 << client_max_window_bits`
    /// bytes of what its client sent, or a client its compressor of about 390 KiB.
    pub client_no_context_takeover: bool,
    /// The largest window that the server may compress with.
    ///
    /// Default 15: without takeover the window costs a connection nothing.
    pub server_max_window_bits: WindowBits,
    /// The largest window that the client may compress with. Default 15, for the same reason.
    pub client_max_window_bits: WindowBits,
    /// Messages with fewer bytes than this are sent as they are.
    ///
    /// Default 128: without context a shorter text saves some 25 bytes or less, which does not change the
    /// number of packets.
    pub compress_from: usize,
    /// How hard to search, 0 (store) to 9; more than 9 counts as 9.
    ///
    /// Default 1: 1 KiB of JSON without context becomes 320 bytes in a third of the time that level 6
    /// takes for 250, and the receiver inflates them in half the time. Higher levels pay where a
    /// message is compressed once for many.
    pub level: u8,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            compress_from: 128,
            level: 1,
        }
    }
}

impl Deflate {
    /// Server: accepts the first acceptable of a client's permessage-deflate offers, each given as its
    /// parameters in order. Returns what is now agreed and the element for `Sec-WebSocket-Extensions`
    /// (allocates it).
    ///
    /// `None`: nothing was acceptable, and the connection goes on without compression. An offer with an
    /// unknown, repeated or malformed parameter is passed over (§7.1), never a reason to fail the handshake.
    ///
    /// - `server_max_window_bits=8` is passed over, since the server could not keep the promise.
    /// - `client_max_window_bits=8` is accepted: there the client speaks of itself (§7.1.2.2), and any
    ///   window can read what a smaller one wrote. The answer leaves the parameter out.
    /// - A client that did not offer `client_max_window_bits` cannot be told to keep to a smaller window
    ///   (§7.1.2.2). It is told not to take its context over instead, so that the memory of an idle
    ///   connection stays within what the policy allows.
    /// - A smaller `server_max_window_bits` of the policy's own is used but not announced unless asked
    ///   for: clients exist that fail when they see it unasked.
    ///
    /// ```
    /// # use sockeye::proto::deflate::Deflate;
    /// let offers = [
    ///     vec![("server_max_window_bits", Some("8"))],
    ///     vec![("server_max_window_bits", Some("10"))],
    /// ];
    /// let (params, header) = Deflate::default().respond(offers).unwrap();
    /// assert_eq!(params.server_max_window_bits.bits(), 10);
    /// assert!(header.ends_with("; server_max_window_bits=10"));
    /// ```
    pub fn respond<'a, O>(&self, offers: impl IntoIterator<Item = O>) -> Option<(Params, String)>
    where
        O: IntoIterator<Item = (&'a str, Option<&'a str>)>,
    {
        offers.into_iter().find_map(|offer| {
            let offer = Offer::read(offer).ok()?;
            self.accept(&offer)
        })
    }

    /// Client: the element to offer in `Sec-WebSocket-Extensions` (allocates it).
    ///
    /// ```
    /// # use sockeye::proto::deflate::Deflate;
    /// assert_eq!(
    ///     Deflate::default().offer(),
    ///     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    /// );
    /// ```
    pub fn offer(&self) -> String {
        let mut header = String::from(EXTENSION);
        flag(&mut header, SERVER_NO_CONTEXT_TAKEOVER, self.server_no_context_takeover);
        flag(&mut header, CLIENT_NO_CONTEXT_TAKEOVER, self.client_no_context_takeover);
        if self.server_max_window_bits < WindowBits::MAX {
            bits(&mut header, SERVER_MAX_WINDOW_BITS, self.server_max_window_bits);
        }
        // §7.1.2.2: without a value it only says that the server may choose the client's window.
        if self.client_max_window_bits < WindowBits::MAX {
            bits(&mut header, CLIENT_MAX_WINDOW_BITS, self.client_max_window_bits);
        } else {
            flag(&mut header, CLIENT_MAX_WINDOW_BITS, true);
        }
        header
    }

    /// Client: judges the parameters of the server's permessage-deflate answer to [`offer`](Self::offer).
    ///
    /// # Errors
    ///
    /// What §7.1 tells a client to fail the connection for: a parameter that is unknown, repeated,
    /// malformed, missing though it was asked for, or wider than it was asked for. Also a
    /// `client_max_window_bits=8`, which is legal and cannot be kept.
    ///
    /// ```
    /// # use sockeye::proto::deflate::Deflate;
    /// let answer = [("server_no_context_takeover", None), ("client_max_window_bits", Some("12"))];
    /// let params = Deflate::default().agree(answer).unwrap();
    /// assert_eq!(params.client_max_window_bits.bits(), 12);
    ///
    /// let error = Deflate::default().agree([]).unwrap_err();
    /// assert_eq!(error.to_string(), "server_no_context_takeover was asked for and is not confirmed");
    /// ```
    pub fn agree<'a>(
        &self,
        response: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Params, NegotiationError> {
        let answer = Offer::read(response)?;

        // §7.1.1.1: a server that accepts the offer confirms what was asked of it.
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(NegotiationError::Unconfirmed(SERVER_NO_CONTEXT_TAKEOVER));
        }
        // §7.1.2.1: with the same value or a smaller one; unasked, the server may limit itself.
        let server = match answer.server_max_window_bits {
            None if self.server_max_window_bits < WindowBits::MAX => {
                return Err(NegotiationError::Unconfirmed(SERVER_MAX_WINDOW_BITS));
            }
            None => WindowBits::MAX,
            Some(answered) => {
                within(SERVER_MAX_WINDOW_BITS, self.server_max_window_bits, answered)?
            }
        };
        // §7.1.2.2: here the value is a command.
        let client = match answer.client_max_window_bits {
            None => self.client_max_window_bits,
            Some(None) => return Err(NegotiationError::malformed(CLIENT_MAX_WINDOW_BITS, None)),
            Some(Some(8)) => return Err(NegotiationError::WindowTooSmall),
            Some(Some(answered)) => {
                within(CLIENT_MAX_WINDOW_BITS, self.client_max_window_bits, answered)?
            }
        };
        Ok(Params {
            server_no_context_takeover: answer.server_no_context_takeover,
            // §7.1.1.2: unasked, the server may demand it; unanswered, the client's own word holds.
            client_no_context_takeover: self.client_no_context_takeover
                || answer.client_no_context_takeover,
            server_max_window_bits: server,
            client_max_window_bits: client,
        })
    }

    /// Server: one well-formed offer; `None` if a promise it wants cannot be kept.
    fn accept(&self, offer: &Offer) -> Option<(Params, String)> {
        let server = match offer.server_max_window_bits {
            None => self.server_max_window_bits,
            Some(asked) => WindowBits::new(asked)?.min(self.server_max_window_bits),
        };
        let mut client_no_context_takeover =
            self.client_no_context_takeover || offer.client_no_context_takeover;
        let client = match offer.client_max_window_bits {
            None => {
                client_no_context_takeover |= self.client_max_window_bits < WindowBits::MAX;
                WindowBits::MAX
            }
            Some(None) => self.client_max_window_bits,
            Some(Some(hint)) => readable(hint).min(self.client_max_window_bits),
        };
        let params = Params {
            server_no_context_takeover: self.server_no_context_takeover
                || offer.server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits: server,
            client_max_window_bits: client,
        };

        let mut header = String::from(EXTENSION);
        flag(&mut header, SERVER_NO_CONTEXT_TAKEOVER, params.server_no_context_takeover);
        flag(&mut header, CLIENT_NO_CONTEXT_TAKEOVER, params.client_no_context_takeover);
        if offer.server_max_window_bits.is_some() {
            bits(&mut header, SERVER_MAX_WINDOW_BITS, server);
        }
        // §7.1.2.2: the answer's value is at most the offer's, so a hint of 8 is left unanswered.
        match offer.client_max_window_bits {
            None | Some(Some(8)) => {}
            Some(_) if client == WindowBits::MAX => {}
            Some(_) => bits(&mut header, CLIENT_MAX_WINDOW_BITS, client),
        }
        Some((params, header))
    }
}

/// Why a client refuses the server's answer. The connection is to be failed (§7.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NegotiationError {
    /// A parameter that RFC 7692 does not know.
    Unknown(String),
    /// A parameter that came twice, or an answer that did.
    Repeated(&'static str),
    /// A value where none belongs, none where one belongs, or one that is not 8 to 15 in plain digits.
    Malformed {
        /// The parameter.
        name: &'static str,
        /// What was in the value's place.
        value: Option<String>,
    },
    /// A promise that was asked for and is missing in the answer.
    Unconfirmed(&'static str),
    /// A larger window than the one that was offered.
    WindowTooLarge {
        /// The parameter.
        name: &'static str,
        /// The bits of the offer.
        offered: u8,
        /// The bits of the answer.
        answered: u8,
    },
    /// The server wants the client to compress with a window of 256 bytes.
    WindowTooSmall,
}

impl NegotiationError {
    fn malformed(name: &'static str, value: Option<&str>) -> Self {
        Self::Malformed { name, value: value.map(ToString::to_string) }
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "parameter {name:?} is not one of {EXTENSION}"),
            Self::Repeated(name) => write!(f, "parameter {name} comes twice"),
            Self::Malformed { name, value: None } => write!(f, "parameter {name} lacks its value"),
            Self::Malformed { name, value: Some(value) } => {
                write!(f, "parameter {name} cannot have the value {value:?}")
            }
            Self::Unconfirmed(name) => write!(f, "{name} was asked for and is not confirmed"),
            Self::WindowTooLarge { name, offered, answered } => {
                write!(f, "{name} of {answered} exceeds the {offered} offered")
            }
            Self::WindowTooSmall => {
                write!(
                    f,
                    "{CLIENT_MAX_WINDOW_BITS} of 8 is below the 9 that can be compressed with"
                )
            }
        }
    }
}

impl core::error::Error for NegotiationError {}

/// The parameters of one offer or answer, each at most once and in its form.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    /// 8 to 15.
    server_max_window_bits: Option<u8>,
    /// Present; with or without a value of 8 to 15. An answer without one is malformed.
    client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    fn read<'a>(
        params: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, NegotiationError> {
        let mut offer = Self::default();
        for (name, value) in params {
            match name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    set(SERVER_NO_CONTEXT_TAKEOVER, &mut offer.server_no_context_takeover, value)?;
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    set(CLIENT_NO_CONTEXT_TAKEOVER, &mut offer.client_no_context_takeover, value)?;
                }
                SERVER_MAX_WINDOW_BITS => {
                    let value = number(SERVER_MAX_WINDOW_BITS, value)?;
                    if offer.server_max_window_bits.replace(value).is_some() {
                        return Err(NegotiationError::Repeated(SERVER_MAX_WINDOW_BITS));
                    }
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let value = match value {
                        None => None,
                        Some(_) => Some(number(CLIENT_MAX_WINDOW_BITS, value)?),
                    };
                    if offer.client_max_window_bits.replace(value).is_some() {
                        return Err(NegotiationError::Repeated(CLIENT_MAX_WINDOW_BITS));
                    }
                }
                _ => return Err(NegotiationError::Unknown(name.to_string())),
            }
        }
        Ok(offer)
    }
}

/// §7.1.1: the two takeover parameters have no value.
fn set(name: &'static str, flag: &mut bool, value: Option<&str>) -> Result<(), NegotiationError> {
    if value.is_some() {
        return Err(NegotiationError::malformed(name, value));
    }
    if core::mem::replace(flag, true) {
        return Err(NegotiationError::Repeated(name));
    }
    Ok(())
}

/// §7.1.2: a decimal integer without leading zeroes, 8 to 15.
fn number(name: &'static str, value: Option<&str>) -> Result<u8, NegotiationError> {
    Ok(match value {
        Some("8") => 8,
        Some("9") => 9,
        Some("10") => 10,
        Some("11") => 11,
        Some("12") => 12,
        Some("13") => 13,
        Some("14") => 14,
        Some("15") => 15,
        _ => return Err(NegotiationError::malformed(name, value)),
    })
}

/// The smallest window of ours that reads what a window of `bits`, 8 to 15, wrote.
fn readable(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap_or(WindowBits::MIN)
}

fn within(
    name: &'static str,
    offered: WindowBits,
    answered: u8,
) -> Result<WindowBits, NegotiationError> {
    if answered > offered.bits() {
        return Err(NegotiationError::WindowTooLarge { name, offered: offered.bits(), answered });
    }
    Ok(readable(answered))
}

fn flag(header: &mut String, name: &str, present: bool) {
    if present {
        header.push_str("; ");
        header.push_str(name);
    }
}

fn bits(header: &mut String, name: &str, bits: WindowBits) {
    write!(header, "; {name}={bits}").expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests;
