//! In the place of `tls` where the feature is off: a session that nobody can have.

use std::io::{self, IoSlice};

use super::stream::Socket;

#[derive(Debug)]
pub(super) enum Tls {}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) plain: Vec<u8>,
    /// Bytes that sockets have taken since it was last asked.
    pub(super) wire: u64,
}

impl Tls {
    pub(super) fn read(&mut self, _: &mut Socket, _: usize, _: &mut Scratch) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn write(
        &mut self,
        _: &mut Socket,
        _: &[IoSlice<'_>],
        _: &mut Scratch,
    ) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn flush(&mut self, _: &mut Socket, _: &mut Scratch) -> io::Result<(bool, usize)> {
        match *self {}
    }

    pub(super) fn say_goodbye(&mut self, _: &mut Scratch) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn unsent(&self) -> usize {
        match *self {}
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(super) fn has_failed(&self) -> bool {
        match *self {}
    }

    pub(super) fn fault(&self) -> Option<String> {
        match *self {}
    }

    pub(super) fn has_ended(&self) -> bool {
        match *self {}
    }
}
