//! What many are told: encoded once, and while the same ones are told one thing after the other, queued for
//! each of them once.

use std::sync::Arc;

use super::metrics::Ending;
use super::shard::Shard;
use super::talk::too_slow;
use super::turn::Said;
use crate::net::{Ctx, Sent};
use crate::proto::{Message, Outbound, Prepared, SendError};
use crate::relay::ConnId;

/// Whom several messages are for, and what has gathered of them.
#[derive(Default, Debug)]
pub(super) struct Crowd {
    to: Vec<ConnId>,
    /// In order; never compressed if they are several.
    messages: Vec<Prepared>,
    /// Bytes of all of them as they go out.
    bytes: usize,
    said: Said,
}

impl Crowd {
    /// Whether this may go out behind what is there.
    fn takes(&self, to: &[ConnId], message: Message<'_>) -> bool {
        self.bytes + message.as_bytes().len() <= TOGETHER_MAX && self.to == to
    }

    /// What to queue for one of them.
    fn bytes_for(&self, all: &Arc<[u8]>, tx: &Outbound) -> Result<Arc<[u8]>, SendError> {
        match &*self.messages {
            [only] => tx.shared(only).map(Arc::clone),
            [first, ..] => tx.shared(first).map(|_| Arc::clone(all)),
            [] => Err(SendError::Closed),
        }
    }

    /// All of them, one behind the other; nothing, if they are not several.
    fn together(&self) -> Arc<[u8]> {
        let mut all = Vec::new();
        if self.messages.len() > 1 {
            all.reserve_exact(self.bytes);
            self.messages.iter().for_each(|message| all.extend_from_slice(message.plain()));
        }
        all.into()
    }
}

impl Shard {
    /// Tells them this, soon: with what else they are told, and at the latest when [`tell_crowd`](Self::tell_crowd)
    /// is called, as it must be before anything else is said to any of them.
    pub(super) fn tell_many(&mut self, ctx: &mut Ctx<'_>, to: Vec<ConnId>, message: Message<'_>) {
        self.meter.fan_out.observe(to.len() as u64);
        if !self.crowd.takes(&to, message) {
            self.tell_crowd(ctx);
            self.crowd.to = to;
        }
        let prepared = self.prepare(message);
        self.crowd.bytes += prepared.plain().len();
        self.crowd.messages.push(prepared);
        self.crowd.said.message(message);
        if self.may_deflate() {
            // Which of them may share what another's compressor made is for each message to say.
            self.tell_crowd(ctx);
        }
    }

    /// Queues what has gathered for many.
    pub(super) fn tell_crowd(&mut self, ctx: &mut Ctx<'_>) {
        if self.crowd.messages.is_empty() {
            return;
        }
        let crowd = std::mem::take(&mut self.crowd);
        let all = crowd.together();
        for &to in &crowd.to {
            // Who is being heard is not in its place, and was told.
            let Some((token, talk)) = self.sessions.talk(to) else { continue };
            let (_, tx) = talk.connection.split_mut();
            match crowd.bytes_for(&all, tx).map(|bytes| ctx.send_shared(token, bytes)) {
                Ok(Sent::Full) => {
                    too_slow(ctx, token, talk.dialect, &self.meter, tx, &mut Vec::new());
                    talk.ends(Ending::Slow);
                }
                Ok(Sent::Queued | Sent::High) => {
                    self.meter.said(talk.dialect, &crowd.said);
                    self.lives.said(token, &crowd.said);
                }
                // It closes, or is gone.
                Ok(Sent::Gone) | Err(_) => {}
            }
        }
    }

    /// Encodes a message for many, and compresses it once if that is on.
    fn prepare(&self, message: Message<'_>) -> Prepared {
        let prepared = Prepared::new(message);
        match &self.common.codec.deflate {
            Some(policy) if message.as_bytes().len() >= policy.compress_from => {
                let prepared = prepared.with_deflate(policy.server_max_window_bits, policy.level);
                if let Some(packed) = prepared.compressed_len() {
                    self.meter.deflated[0].add(message.as_bytes().len() as u64);
                    self.meter.deflated[1].add(packed as u64);
                }
                prepared
            }
            _ => prepared,
        }
    }
}

/// Messages for the same many are queued together up to 16 KiB, more than which is not copied lightly.
const TOGETHER_MAX: usize = 16 << 10;
