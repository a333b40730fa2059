//! Connections to the testee in the role it has, opened well; what a case does with them, or to the
//! opening itself, is the case's affair.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::http::{Heard, Lines, accept_key, base64, from_base64};
use super::link::{Agreed, Link, Us};
use super::testee::{Door, Place};
use super::verdict::{Tried, ensure, failed, undecided};
use super::wire::Noise;

pub(crate) const DEFLATE: &str = "permessage-deflate";

/// Who is tried.
pub(crate) enum Testee {
    Server {
        place: Place,
        /// The same server where compression is off, if there is one.
        plain: Option<Place>,
    },
    Client(Door),
}

/// One case's view of the testee.
pub(crate) struct Trial<'a> {
    pub(crate) testee: &'a Testee,
    /// Whether sweeps leave nothing out.
    pub(crate) full: bool,
    pub(crate) notes: RefCell<BTreeSet<&'static str>>,
    seed: Cell<u64>,
}

/// How permessage-deflate is to be agreed on, as far as this side has a say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) our_takeover: bool,
    pub(crate) their_takeover: bool,
    pub(crate) our_bits: Option<u8>,
    pub(crate) their_bits: Option<u8>,
}

impl Want {
    /// Everything as wide as it may be.
    pub(crate) const WIDE: Self =
        Self { our_takeover: true, their_takeover: true, our_bits: None, their_bits: None };
    /// No message knows those before it.
    pub(crate) const FRESH: Self =
        Self { our_takeover: false, their_takeover: false, our_bits: None, their_bits: None };
}

impl<'a> Trial<'a> {
    pub(crate) fn new(testee: &'a Testee, full: bool) -> Self {
        Self { testee, full, notes: RefCell::default(), seed: Cell::new(1) }
    }

    pub(crate) fn note(&self, note: &'static str) {
        self.notes.borrow_mut().insert(note);
    }

    /// Tells what was tolerated on a connection.
    pub(crate) fn done(&self, link: &Link) {
        self.notes.borrow_mut().extend(&link.notes);
    }

    pub(crate) fn noise(&self) -> Noise {
        self.seed.set(self.seed.get() + 1);
        Noise::new(self.seed.get())
    }

    pub(crate) fn us(&self) -> Us {
        match self.testee {
            Testee::Server { .. } => Us::Client,
            Testee::Client(_) => Us::Server,
        }
    }

    pub(crate) fn place(&self) -> Tried<&Place> {
        match self.testee {
            Testee::Server { place, .. } => Ok(place),
            Testee::Client(_) => failed("this case is for servers"),
        }
    }

    /// An open connection without extensions.
    pub(crate) fn open(&self) -> Tried<Link> {
        match self.testee {
            Testee::Server { place, .. } => self.open_at(place, None),
            Testee::Client(_) => {
                let (mut link, request) = self.receive()?;
                let response = welcome(&request)?;
                link.send(response.bytes());
                Ok(link)
            }
        }
    }

    /// An open connection on which permessage-deflate was agreed on, as near to what is wanted as the
    /// testee allows.
    pub(crate) fn deflated(&self, want: Want) -> Tried<Link> {
        let link = match self.testee {
            Testee::Server { place, .. } => self.open_at(place, Some(&offer(want)))?,
            Testee::Client(_) => self.answer_deflated(want)?,
        };
        let agreed = link.need_deflate()?;
        let short = |wanted: Option<u8>, got: u8| wanted.is_some_and(|wanted| got > wanted);
        if short(want.our_bits, agreed.our_bits) || short(want.their_bits, agreed.their_bits) {
            return undecided("the testee did not agree to a window of this size");
        }
        if !want.their_takeover && agreed.their_takeover {
            return undecided("the testee did not agree to go without its window");
        }
        Ok(link)
    }

    // --- servers ---

    pub(crate) fn dial(&self) -> Tried<Link> {
        Link::new(self.place()?.dial()?, Us::Client, None)
    }

    /// A good request, and the key in it.
    pub(crate) fn request(&self) -> Tried<(Lines, String)> {
        let key = base64(&self.noise().bytes(16));
        Ok((request(self.place()?, &key), key))
    }

    pub(crate) fn open_at(&self, place: &Place, offer: Option<&str>) -> Tried<Link> {
        let key = base64(&self.noise().bytes(16));
        let mut lines = request(place, &key);
        if let Some(offer) = offer {
            lines = lines.with(&format!("Sec-WebSocket-Extensions: {offer}"));
        }
        let mut link = Link::new(place.dial()?, Us::Client, None)?;
        link.send(lines.bytes());
        let response = response(&mut link)?;
        check_101(&response, &key)?;
        let extensions = response.extensions()?;
        match (extensions.as_slice(), offer) {
            ([], _) => {}
            ([answer], Some(offer)) if answer.name == DEFLATE => {
                let promised = offer.contains("client_no_context_takeover");
                link.agreed = Some(Agreed {
                    our_takeover: !promised && !answer.has("client_no_context_takeover"),
                    their_takeover: !answer.has("server_no_context_takeover"),
                    our_bits: answer.bits("client_max_window_bits").unwrap_or(15),
                    their_bits: answer.bits("server_max_window_bits").unwrap_or(15),
                });
            }
            _ => return failed(format!("the answer to {offer:?} is {extensions:?}")),
        }
        Ok(link)
    }

    // --- clients ---

    /// A visit of the client, its request read and looked at no further.
    pub(crate) fn receive(&self) -> Tried<(Link, Heard)> {
        let Testee::Client(door) = self.testee else {
            return failed("this case is for clients");
        };
        let (stream, visitor) = door.visit("/case?of=these")?;
        let mut link = Link::new(stream, Us::Server, Some(visitor))?;
        match link.head()? {
            Some(head) => Ok((link, Heard::read(&head)?)),
            None => failed("the client hung up before it asked for anything"),
        }
    }

    pub(crate) fn authority(&self) -> String {
        match self.testee {
            Testee::Server { place, .. } => place.authority.clone(),
            Testee::Client(door) => door.authority(),
        }
    }

    fn answer_deflated(&self, want: Want) -> Tried<Link> {
        let (mut link, request) = self.receive()?;
        let offers = request.extensions()?;
        let Some(offer) = offers.iter().find(|it| it.name == DEFLATE) else {
            return undecided("the client did not offer permessage-deflate");
        };
        let mut answer = DEFLATE.to_owned();
        let our_takeover = want.our_takeover && !offer.has("server_no_context_takeover");
        if !our_takeover {
            answer.push_str("; server_no_context_takeover");
        }
        if !want.their_takeover {
            answer.push_str("; client_no_context_takeover");
        }
        let our_bits = match (want.our_bits, offer.bits("server_max_window_bits")) {
            (None, None) => None,
            (wanted, most) => Some(wanted.unwrap_or(15).min(most.unwrap_or(15))),
        };
        if let Some(bits) = our_bits {
            answer.push_str(&format!("; server_max_window_bits={bits}"));
        }
        let mut their_bits = offer.bits("client_max_window_bits").unwrap_or(15);
        if let Some(wanted) = want.their_bits {
            if !offer.has("client_max_window_bits") {
                return undecided("the client does not let its window be chosen");
            }
            their_bits = wanted.min(their_bits);
            answer.push_str(&format!("; client_max_window_bits={their_bits}"));
        }
        let response = welcome(&request)?.with(&format!("Sec-WebSocket-Extensions: {answer}"));
        link.send(response.bytes());
        link.agreed = Some(Agreed {
            our_takeover,
            their_takeover: want.their_takeover,
            our_bits: our_bits.unwrap_or(15),
            their_bits,
        });
        Ok(link)
    }
}

/// What a client of ours offers to get what it wants.
fn offer(want: Want) -> String {
    let mut offer = DEFLATE.to_owned();
    if !want.their_takeover {
        offer.push_str("; server_no_context_takeover");
    }
    if !want.our_takeover {
        offer.push_str("; client_no_context_takeover");
    }
    if let Some(bits) = want.their_bits {
        offer.push_str(&format!("; server_max_window_bits={bits}"));
    }
    if let Some(bits) = want.our_bits {
        offer.push_str(&format!("; client_max_window_bits={bits}"));
    }
    offer
}

/// A good request for this place.
pub(crate) fn request(place: &Place, key: &str) -> Lines {
    let Place { authority, path, .. } = place;
    Lines {
        start: format!("GET {path} HTTP/1.1"),
        lines: vec![
            format!("Host: {authority}"),
            "Upgrade: websocket".to_owned(),
            "Connection: Upgrade".to_owned(),
            format!("Sec-WebSocket-Key: {key}"),
            "Sec-WebSocket-Version: 13".to_owned(),
        ],
    }
}

/// A good answer to this request.
pub(crate) fn welcome(request: &Heard) -> Tried<Lines> {
    let key = request.one("Sec-WebSocket-Key")?;
    Ok(Lines {
        start: "HTTP/1.1 101 Switching Protocols".to_owned(),
        lines: vec![
            "Upgrade: websocket".to_owned(),
            "Connection: Upgrade".to_owned(),
            format!("Sec-WebSocket-Accept: {}", accept_key(key)),
        ],
    })
}

/// The server's answer.
pub(crate) fn response(link: &mut Link) -> Tried<Heard> {
    match link.head()? {
        Some(head) => Heard::read(&head),
        None => failed("TCP ended without an answer to the request"),
    }
}

/// §4.2.2: what a 101 has to be, except for what is offered.
pub(crate) fn check_101(response: &Heard, key: &str) -> Tried {
    let status = response.status()?;
    ensure(status == 101, format!("a good request was answered with {:?}", response.start))?;
    ensure(response.start.starts_with("HTTP/1.1 "), format!("the answer is {:?}", response.start))?;
    let upgrade = response.one("Upgrade")?;
    ensure(upgrade.eq_ignore_ascii_case("websocket"), format!("Upgrade is {upgrade:?}"))?;
    ensure(response.lists("Connection", "upgrade"), "Connection does not say Upgrade")?;
    let (accept, wanted) = (response.one("Sec-WebSocket-Accept")?, accept_key(key));
    ensure(accept == wanted, format!("Sec-WebSocket-Accept is {accept:?}, not {wanted:?}"))
}

/// The octets of a client's key, if it is one.
pub(crate) fn nonce(request: &Heard) -> Tried<Vec<u8>> {
    let key = request.one("Sec-WebSocket-Key")?;
    match from_base64(key) {
        Some(nonce) if nonce.len() == 16 => Ok(nonce),
        _ => failed(format!("the key {key:?} is not 16 octets in base64 (§4.1)")),
    }
}
