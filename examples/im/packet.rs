//! What travels in the tutorial's chat: requests and the packets made of them. Who gets them is not its affair.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// A request's members, as written.
pub(crate) type Said<'a> = HashMap<String, &'a RawValue>;

/// The packet that a request becomes. `formId` is the tutorial's spelling; absent members stay absent.
pub(crate) fn write(said: &Said<'_>, created: Option<Value>) -> String {
    let mut packet = String::from("{");
    for (name, member) in [
        ("formId", "userId"),
        ("toId", "toId"),
        ("msgUserId", "msgUserId"),
        ("content", "content"),
        ("createTime", "createTime"),
    ] {
        if let Some(written) = said.get(member) {
            packet += &format!("\"{name}\":{written},");
        }
    }
    packet + &format!(r#""timeStr":"{}","read":false}}"#, time_of_day(created))
}

/// `HH:MM` of milliseconds since 1970, or of a date as JavaScript writes it into JSON.
fn time_of_day(written: Option<Value>) -> String {
    let ms = match written {
        Some(Value::String(date)) if date.len() == 24 && date.ends_with('Z') => {
            return date.get(11..16).unwrap_or(UNREADABLE).to_owned();
        }
        Some(Value::Number(ms)) => ms.as_f64().filter(|ms| ms.abs() <= 8.64e15),
        Some(Value::Null | Value::Bool(_)) => Some(0.0),
        _ => None,
    };
    let Some(ms) = ms else { return UNREADABLE.to_owned() };
    let minutes = (ms / 60_000.0).floor().rem_euclid(1440.0);
    format!("{:02}:{:02}", (minutes / 60.0).floor(), minutes % 60.0)
}

const UNREADABLE: &str = "0NaN:0NaN";
