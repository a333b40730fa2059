//! `/im`: users open channels, and packets go to the sender and to the receiver's channel. The packet's
//! members are the sender's own text, in the tutorial's order and spelling.

use super::Context;
use super::clock;
use crate::relay::command::{Command, Payload};
use crate::relay::effect::Kind;
use crate::relay::json::{self, Value};
use crate::relay::key::{Key, Space};

/// The tutorial's list of users begins with this one.
pub(super) fn known_from_the_start() -> Key {
    Key::of_text(Space::Im, "test001")
}

pub(super) fn hear<'a>(
    kind: Kind,
    bytes: &[u8],
    context: &Context<'_>,
    scratch: &'a mut Vec<u8>,
) -> Command<'a> {
    let (Kind::Text, Ok(text)) = (kind, str::from_utf8(bytes)) else {
        return Command::Nothing;
    };
    let Some(request) = Request::read(text, context.limits.json_depth) else {
        return Command::Nothing;
    };
    let key = |id| Key::new(Space::Im, id, context.limits.id_bytes);
    let is = |wanted| request.request_type.is_some_and(|value| value.is(wanted));
    if is("get-pass") {
        return match request.user_id.and_then(key) {
            Some(id) => Command::Register { id, answer: Some(CHANNEL_CREATED) },
            None => Command::Nothing,
        };
    }
    if is("get-enter") {
        request.write_packet(context, scratch);
        let payload = Payload { kind: Kind::Text, bytes: scratch };
        return Command::Tell { to: request.to_id.and_then(key), copy: true, payload };
    }
    Command::Nothing
}

const CHANNEL_CREATED: &str = r#"{"code":"1","msg":"Channel Creation Successful"}"#;

/// What both requests may hold, as written.
#[derive(Default)]
struct Request<'a> {
    request_type: Option<Value<'a>>,
    user_id: Option<Value<'a>>,
    to_id: Option<Value<'a>>,
    msg_user_id: Option<Value<'a>>,
    content: Option<Value<'a>>,
    create_time: Option<Value<'a>>,
}

impl<'a> Request<'a> {
    fn read(text: &'a str, depth_max: u8) -> Option<Self> {
        let mut request = Self::default();
        json::members(text, depth_max, |name, value| {
            let member = if name.is("type") {
                &mut request.request_type
            } else if name.is("userId") {
                &mut request.user_id
            } else if name.is("toId") {
                &mut request.to_id
            } else if name.is("msgUserId") {
                &mut request.msg_user_id
            } else if name.is("content") {
                &mut request.content
            } else if name.is("createTime") {
                &mut request.create_time
            } else {
                return;
            };
            // The last of duplicates counts.
            *member = Some(value);
        })?;
        Some(request)
    }

    /// `formId` is the tutorial's spelling; its clients read that. Absent members stay absent.
    fn write_packet(&self, context: &Context<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, value) in [
            ("formId", self.user_id),
            ("toId", self.to_id),
            ("msgUserId", self.msg_user_id),
            ("content", self.content),
            ("createTime", self.create_time),
        ] {
            if let Some(value) = value {
                out.extend([b"\"", name.as_bytes(), b"\":"].concat());
                out.extend_from_slice(value.as_written().as_bytes());
                out.push(b',');
            }
        }
        let time = clock::time_of_day(self.create_time, context.zone);
        out.extend_from_slice(format!(r#""timeStr":"{time}","read":false}}"#).as_bytes());
    }
}
