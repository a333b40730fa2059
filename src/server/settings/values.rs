//! Kinds of values, by the text that people write them as. What is wrong with a value is told in one
//! sentence with its remedy, the same for flags, variables and files.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::server::client_address::{ForwardedHeader, TrustedProxy};
use crate::server::log::{Filters, LogFormat};
use crate::server::metrics::Audience;
use crate::server::paths::Door;

/// A day: whoever waits longer does not wait for a client.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// `127.0.0.1:8080`, `[::1]:8080`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Address(pub(crate) SocketAddr);

/// Bytes: `65536`, `64KiB`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Size(pub(crate) u64);

/// Seconds, or with a unit: `5`, `500ms`, `2m`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Time(pub(crate) Duration);

/// `https://example.com`, as browsers send it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Origin(pub(crate) String);

/// A token of HTTP.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Subprotocol(pub(crate) String);

/// `ws=/named`, `echo=off`, `other=chat`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Place {
    /// A door and its path, if it is open.
    Door(Door, Option<String>),
    /// Where nobody's paths lead, if anywhere.
    Others(Option<Door>),
}

/// `info`, `warn,sockeye::server=debug`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Filter(pub(crate) String);

/// `text`, `json`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Format(pub(crate) LogFormat);

/// `local`, `all`, `off`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Crowd(pub(crate) Audience);

/// How many.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Count(pub(crate) u32);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("{text:?} is no IP address and port; write 127.0.0.1:8080 or [::1]:8080")
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text);
        let unit = match unit {
            "" => Some(1),
            _ => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|it| it.1),
        };
        let bytes = number.and_then(|number| number.checked_mul(unit?));
        // The largest integer of a TOML file.
        match bytes.filter(|&bytes| i64::try_from(bytes).is_ok()) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("{text:?} is no size; write 65536, 64KiB, 16MiB or 1GiB")),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: u64| self.0 != 0 && self.0.is_multiple_of(unit);
        match SIZES.iter().find(|&&(_, unit)| unit > 1 && fits(unit)) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => self.0.fmt(f),
        }
    }
}

const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text);
        let unit = match unit {
            "" => Some(1000),
            _ => TIMES.iter().find(|(name, _)| *name == unit).map(|it| it.1),
        };
        let Some(ms) = number.and_then(|number| number.checked_mul(unit?)) else {
            return Err(format!("{text:?} is no time; write 5 or 5s, 500ms, 2m or 1h"));
        };
        let time = Duration::from_millis(ms);
        if time > TIME_MAX {
            return Err(format!("{text:?} is more than a day; write 24h or less"));
        }
        Ok(Self(time))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fits = |unit: u64| ms != 0 && ms.is_multiple_of(unit.into());
        let (name, unit) = match TIMES.iter().find(|&&(_, unit)| fits(unit)) {
            // Seconds below two minutes, as people say.
            Some(&(name, unit)) if ms >= 120_000 || unit <= 1000 => (name, unit),
            _ => ("s", 1000),
        };
        write!(f, "{}{name}", ms / u128::from(unit))
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "null" {
            return Ok(Self(text.to_owned()));
        }
        let no_origin = || {
            let remedy = "write its scheme and host such as https://example.com, or null";
            let all = if text == "*" { "; to let everybody in, give none" } else { "" };
            format!("{text:?} is no origin; {remedy}{all}")
        };
        let url = Url::parse(text).map_err(|_| no_origin())?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare || !url.has_host() {
            return Err(no_origin());
        }
        let origin = url.origin();
        // Browser extensions have schemes of their own, which `origin` calls opaque.
        let written = if origin.is_tuple() {
            origin.ascii_serialization()
        } else {
            text.trim_end_matches('/').to_owned()
        };
        Ok(Self(written))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Subprotocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // RFC 9110 §5.6.2: what a token is made of.
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_token) {
            return Err(format!(
                "{text:?} is no subprotocol; write a name of letters, digits, dots and dashes"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, at) = text.split_once('=').ok_or_else(|| {
            format!("{text:?} moves nothing; write DIALECT=PATH such as ws=/named")
        })?;
        let names = || Door::ALL.map(Door::name).join(", ");
        if name == "other" {
            let door = (at != "off").then(|| Door::named(at).ok_or(()));
            return door.transpose().map(Self::Others).map_err(|()| {
                format!("{at:?} is no dialect; write other=off or other= and one of {}", names())
            });
        }
        let door = Door::named(name)
            .ok_or_else(|| format!("{name:?} is no dialect; those are {} and other", names()))?;
        if at == "off" {
            return Ok(Self::Door(door, None));
        }
        // What browsers send as it is: no query, no escapes, nothing that they would escape.
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        if !at.starts_with('/') || at.contains("//") || !at.bytes().all(plain) {
            return Err(format!("{at:?} is no path; write {name}=/and-a-name, or {name}=off"));
        }
        Ok(Self::Door(door, Some(at.to_owned())))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Door(door, path) => write!(f, "{door}={}", path.as_deref().unwrap_or("off")),
            Self::Others(door) => write!(f, "other={}", door.map_or("off", Door::name)),
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Filters::new(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self(LogFormat::Text)),
            "json" => Ok(Self(LogFormat::Json)),
            _ => Err(format!("{text:?} is no format; write text or json")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

impl FromStr for Crowd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self(Audience::Local)),
            "all" => Ok(Self(Audience::All)),
            "off" => Ok(Self(Audience::Nobody)),
            _ => Err(format!("{text:?} is nobody; write local, all or off")),
        }
    }
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Audience::Local => "local",
            Audience::All => "all",
            Audience::Nobody => "off",
        })
    }
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is no number; write digits, at most {}", u32::MAX))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A switch of the command line or the environment; a file has booleans.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(format!("{text:?} is neither; write true or false")),
    }
}

fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number.parse().ok(), unit.trim_start())
}

/// In a file these are strings, or a bare number where a number says it all.
macro_rules! written_as_text {
    ($($kind:ty: $expected:literal),* $(,)?) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text = self.to_string();
                match text.parse::<i64>() {
                    Ok(number) => serializer.serialize_i64(number),
                    Err(_) => serializer.serialize_str(&text),
                }
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Text { expected: $expected, kind: PhantomData })
            }
        }
    )*};
}

written_as_text! {
    TrustedProxy: "an address, a network or unix as a string",
    ForwardedHeader: "a header's name as a string",
    Address: "an address and port as a string",
    Size: "a size as a number or a string",
    Time: "a time as a number or a string",
    Origin: "an origin as a string",
    Subprotocol: "a subprotocol as a string",
    Place: "a dialect and its path as a string",
    Filter: "a level as a string",
    Format: "text or json as a string",
    Crowd: "local, all or off as a string",
    Count: "a number",
}

struct Text<T> {
    expected: &'static str,
    kind: PhantomData<T>,
}

impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit_and_written_with_the_largest_that_fits() {
        let cases = [
            ("65536", 65_536, "64KiB"),
            ("64KiB", 65_536, "64KiB"),
            ("64 kib", 65_536, "64KiB"),
            ("16MiB", 16 << 20, "16MiB"),
            ("2GiB", 2 << 30, "2GiB"),
            ("1000B", 1000, "1000"),
            ("0", 0, "0"),
        ];
        for (text, bytes, written) in cases {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string()), (bytes, written.to_owned()), "{text}");
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for bad in
            ["", "KiB", "-1", "64KB", "1.5MiB", "1e6", "18446744073709551616", "9000000000GiB"]
        {
            let said = bad.parse::<Size>().unwrap_err();
            assert!(said.contains(&format!("{bad:?}")) && said.contains("64KiB"), "{said}");
        }
        assert!("9223372036854775807".parse::<Size>().is_ok());
        assert!("9223372036854775808".parse::<Size>().is_err());
    }

    #[test]
    fn times_are_seconds_unless_they_say_otherwise() {
        let cases = [
            ("5", 5000, "5s"),
            ("5s", 5000, "5s"),
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "90s"),
            ("1m", 60_000, "60s"),
            ("2m", 120_000, "2m"),
            ("121s", 121_000, "121s"),
            ("24h", 86_400_000, "24h"),
            ("0", 0, "0s"),
        ];
        for (text, ms, written) in cases {
            let time: Time = text.parse().unwrap();
            assert_eq!((time.0.as_millis(), time.to_string()), (ms, written.to_owned()), "{text}");
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        for bad in ["", "s", "-1", "5 minutes", "1.5s", "5M", "18446744073709551615m"] {
            assert!(bad.parse::<Time>().unwrap_err().contains("500ms"), "{bad}");
        }
        assert!("86401".parse::<Time>().unwrap_err().contains("a day"));
    }

    #[test]
    fn an_origin_becomes_what_browsers_send() {
        let cases = [
            ("https://example.com", "https://example.com"),
            ("https://Example.com/", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("null", "null"),
        ];
        for (text, origin) in cases {
            assert_eq!(text.parse(), Ok(Origin(origin.to_owned())));
        }
        let bad = [
            "",
            "example.com",
            "*",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://a#b",
            "localhost:8080",
            "https://a:b@c",
        ];
        for bad in bad {
            assert!(bad.parse::<Origin>().unwrap_err().contains("https://example.com"), "{bad}");
        }
        assert!("*".parse::<Origin>().unwrap_err().contains("give none"));
    }

    #[test]
    fn a_place_is_a_door_and_its_path() {
        let path = |path: &str| Some(path.to_owned());
        let cases = [
            ("ws=/named", Place::Door(Door::Ws, path("/named"))),
            ("chat=/", Place::Door(Door::Chat, path("/"))),
            ("im=/a/b=c", Place::Door(Door::Im, path("/a/b=c"))),
            ("echo=off", Place::Door(Door::Echo, None)),
            ("other=off", Place::Others(None)),
            ("other=chat", Place::Others(Some(Door::Chat))),
        ];
        for (text, place) in cases {
            assert_eq!(text.parse(), Ok(place.clone()));
            assert_eq!(place.to_string(), text);
        }
        let bad = [
            "",
            "ws",
            "=/a",
            "Ws=/a",
            "named=/a",
            "ws=named",
            "ws=",
            "ws=/a?b",
            "ws=/a b",
            "ws=/a%20b",
            "ws=/ä",
            "ws=//a",
            "other=/a",
            "other=",
            "ws=/a#b",
        ];
        for bad in bad {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subprotocol_is_a_token() {
        for good in ["chat", "v1.chat", "graphql-transport-ws"] {
            assert!(good.parse::<Subprotocol>().is_ok());
        }
        for bad in ["", "a b", "a,b", "\"a\"", "ä", "a\r\nb"] {
            assert!(bad.parse::<Subprotocol>().is_err(), "{bad:?}");
        }
    }
}
