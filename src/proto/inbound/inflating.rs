//! Compressed messages on their way in (RFC 7692 section 6.2): from pieces of payload to what they
//! inflate to, never more at once than is asked for.

use super::{Found, Inbound, Input, Partial};
use crate::proto::deflate::Step;
use crate::proto::{Kind, Violation};

/// What is inflated at once where it is handed on or looked at before more is: 16 KiB stay in the
/// first-level cache and are small beside the inflater's own window.
const PART_MAX: usize = 16 << 10;

impl Inbound {
    /// Inflates all of a piece onto the message so far.
    pub(super) fn inflate_all(
        &mut self,
        input: &mut Input<'_>,
        start: usize,
        end: usize,
    ) -> Result<(), Violation> {
        let max = self.config.limits.message_bytes_max;
        let (Some(inflate), Some(partial)) = (self.inflate.as_mut(), self.partial.as_mut()) else {
            return Err(Violation::Deflate);
        };
        let mut compressed = input.bytes.get(start..end).unwrap_or_default();
        input.inflated.0 += compressed.len() as u64;
        loop {
            let Partial { message: Some(message), bytes, text, .. } = &mut **partial else {
                return Err(Violation::Deflate);
            };
            // §8.1: text is judged before more of it is made.
            let is_text = message.kind == Kind::Text;
            let part_max = if is_text { PART_MAX } else { usize::MAX };
            let before = bytes.len();
            let room = room(max, message.produced, part_max);
            let outcome = inflate.step(compressed, message.arrived, bytes, room);
            message.produced += (bytes.len() - before) as u64;
            input.inflated.1 += (bytes.len() - before) as u64;
            if is_text {
                let judged = message.utf8.feed_with(bytes, |whole| text.push_str(whole));
                judged.map_err(|_| Violation::InvalidUtf8)?;
            }
            // Only now, as what was inflated before the fault came before it.
            let (used, step) = outcome.map_err(|_| Violation::Deflate)?;
            compressed = compressed.get(used..).unwrap_or_default();
            let stuck = bytes.len() == before;
            if is_text {
                bytes.clear();
            }
            match step {
                Step::NeedInput | Step::Done => return Ok(()),
                Step::OutputFull if stuck || message.produced >= max => {
                    return Err(Violation::InflatedTooLarge { max });
                }
                Step::OutputFull => {}
            }
        }
    }

    /// Inflates the next part of what is held; `None` when more input is needed for that.
    pub(super) fn inflate_part(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<Found>, Violation> {
        let max = self.config.limits.message_bytes_max;
        let (Some(inflate), Some(partial)) = (self.inflate.as_mut(), self.partial.as_mut()) else {
            return Err(Violation::Deflate);
        };
        let Partial { message: Some(message), bytes, .. } = &mut **partial else {
            return Err(Violation::Deflate);
        };
        let held = input.bytes.get(input.held..input.at).unwrap_or_default();
        let outcome =
            inflate.step(held, message.arrived, bytes, room(max, message.produced, PART_MAX));
        message.produced += bytes.len() as u64;
        input.inflated.1 += bytes.len() as u64;
        message.judge(bytes)?;
        let (used, step) = outcome.map_err(|_| Violation::Deflate)?;
        input.held += used;
        input.inflated.0 += used as u64;
        let kind = message.kind;
        let part = |fin| Found::Data { kind, place: None, fin };
        match step {
            Step::OutputFull if bytes.is_empty() => Err(Violation::InflatedTooLarge { max }),
            Step::OutputFull => Ok(Some(part(false))),
            Step::NeedInput => {
                message.inflating = false;
                Ok((!bytes.is_empty()).then(|| part(false)))
            }
            Step::Done => {
                message.inflating = false;
                partial.finish_if_arrived()?;
                Ok(Some(part(true)))
            }
        }
    }
}

/// Bytes that may be inflated now.
fn room(max: u64, produced: u64, part_max: usize) -> usize {
    usize::try_from(max.saturating_sub(produced)).unwrap_or(usize::MAX).min(part_max)
}
