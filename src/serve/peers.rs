//! Who is connected and how far each has come. Names stay unique: a place is used again, an id is not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::handle::{Gauge, Parcel};
use super::options::Options;
use super::reach::Reach;
use crate::net::Token;
use crate::proto::handshake::RequestReader;
use crate::proto::{Connection, Keepalive};

/// The name of one connection, for as long as it lives and never after.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub(super) Token);

/// One connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: ClientId,
    pub(super) stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It has yet to ask.
    Visiting(Box<Visit>),
    /// A WebSocket.
    Talking(Box<Talk>),
    /// It is being heard; what is known of it is with whoever hears it.
    Heard,
    /// Refused or over: what still comes is not looked at.
    Over,
}

/// What has come of a request.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) reader: RequestReader,
    pub(super) bytes: Vec<u8>,
    pub(super) remote: SocketAddr,
}

impl Visit {
    pub(super) fn new(options: &Options, remote: SocketAddr) -> Self {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        Self { reader: RequestReader::new(options.head), bytes: Vec::new(), remote }
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) connection: Connection,
    pub(super) keepalive: Keepalive,
    pub(super) line: Line,
}

/// What is known of an open WebSocket beside the codec's state.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) remote: SocketAddr,
    /// What other threads have under way to it.
    pub(super) gauge: Arc<Gauge>,
    /// What came from them while it was choked.
    pub(super) held: VecDeque<Parcel>,
    /// More than the high mark waits, or did and more than the low one still does.
    pub(super) choked: bool,
    /// A close frame was sent.
    pub(super) closing: bool,
    /// The handler knows that it is gone.
    pub(super) over: bool,
}

/// All of them, by the index of their token.
#[derive(Debug, Default)]
pub(super) struct Peers {
    places: Vec<Option<Peer>>,
    /// For encoding, empty between calls.
    scratch: Vec<u8>,
}

impl Peers {
    pub(super) fn begin(&mut self, token: Token, stage: Stage) {
        let index = token.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Peer { id: ClientId(token), stage });
        }
    }

    pub(super) fn end(&mut self, id: ClientId) -> Option<Stage> {
        self.of(id)?;
        let place = self.places.get_mut(id.0.index())?;
        place.take().map(|peer| peer.stage)
    }

    pub(super) fn of(&mut self, id: ClientId) -> Option<&mut Stage> {
        let peer = self.places.get_mut(id.0.index())?.as_mut()?;
        (peer.id == id).then_some(&mut peer.stage)
    }

    pub(super) fn get(&self, id: ClientId) -> Option<&Stage> {
        let peer = self.places.get(id.0.index())?.as_ref()?;
        (peer.id == id).then_some(&peer.stage)
    }

    /// Takes the stage out, so that all else can be used beside it.
    pub(super) fn take(&mut self, id: ClientId) -> Option<Stage> {
        let stage = self.of(id)?;
        Some(std::mem::replace(stage, Stage::Heard))
    }

    pub(super) fn put(&mut self, id: ClientId, stage: Stage) {
        if let Some(place) = self.of(id) {
            *place = stage;
        }
    }

    pub(super) fn line(&self, id: ClientId) -> Option<&Line> {
        match self.get(id)? {
            Stage::Talking(talk) => Some(&talk.line),
            _ => None,
        }
    }

    pub(super) fn reach(&mut self, id: ClientId) -> Option<Reach<'_>> {
        let peer = self.places.get_mut(id.0.index())?.as_mut().filter(|peer| peer.id == id)?;
        let Stage::Talking(talk) = &mut peer.stage else { return None };
        let (_, tx) = talk.connection.split_mut();
        Some(Reach { token: id.0, tx, line: &mut talk.line, out: &mut self.scratch })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.places.iter().flatten()
    }

    /// The first at this place or after it.
    pub(super) fn from(&self, index: usize) -> Option<&Peer> {
        self.places.get(index..)?.iter().flatten().next()
    }
}
