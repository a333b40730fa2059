//! What proxies write into `X-Forwarded-For` and `Forwarded` (RFC 7239), read from the nearest hop on. Judges
//! the text only; whom to believe is `client_address`'s affair.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::client_address::ForwardedHeader;

/// What one proxy says of whom it serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hop {
    Address {
        ip: IpAddr,
        port: Option<u16>,
    },
    /// It does not tell, or nobody can read what it tells: `unknown`, `_hidden`, junk.
    Hidden,
}

/// All hops of a request, the nearest first. Several fields of the name are one list (RFC 9110 §5.3).
pub(super) fn hops<'h>(
    fields: impl Iterator<Item = (&'h str, &'h [u8])>,
    header: ForwardedHeader,
) -> Vec<Hop> {
    let name = header.to_string();
    let mut hops = Vec::new();
    for (_, value) in fields.filter(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        match header {
            ForwardedHeader::XForwardedFor => plain_list(value, &mut hops),
            ForwardedHeader::Forwarded => list_of_pairs(value, &mut hops),
        }
    }
    hops.reverse();
    hops
}

/// `203.0.113.1, 192.0.2.7`.
fn plain_list(value: &[u8], hops: &mut Vec<Hop>) {
    hops.extend(value.split(|&it| it == b',').map(|element| node(element.trim_ascii())));
}

/// `for=192.0.2.7;proto=https, for="[2001:db8::1]:4711"`. If any of it is malformed all of it is: with a
/// quote that it never closes a client could swallow what the proxy writes behind it.
fn list_of_pairs(value: &[u8], hops: &mut Vec<Hop>) {
    let begun = hops.len();
    let mut rest = value;
    loop {
        match element(rest) {
            Some((hop, behind)) => {
                hops.push(hop);
                match behind {
                    Some(behind) => rest = behind,
                    None => return,
                }
            }
            None => {
                hops.truncate(begun);
                return hops.push(Hop::Hidden);
            }
        }
    }
}

/// One element (RFC 7239 §4), and what is behind its comma. `None`: malformed.
fn element(value: &[u8]) -> Option<(Hop, Option<&[u8]>)> {
    let mut hop = None;
    let mut rest = value.trim_ascii_start();
    loop {
        let name_len = rest.iter().take_while(|&&it| is_token(it)).count();
        let (name, behind) = rest.split_at_checked(name_len)?;
        // Between commas, or semicolons, there may be nothing.
        if !name.is_empty() {
            let (text, behind) = text_of(behind.strip_prefix(b"=")?)?;
            if name.eq_ignore_ascii_case(b"for") {
                // §4: a parameter comes once in an element.
                if hop.replace(node(&text)).is_some() {
                    return None;
                }
            }
            rest = behind;
        } else {
            rest = behind;
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => return Some((hop.unwrap_or(Hop::Hidden), None)),
            Some((b',', behind)) => return Some((hop.unwrap_or(Hop::Hidden), Some(behind))),
            Some((b';', behind)) => rest = behind.trim_ascii_start(),
            Some(_) => return None,
        }
    }
}

/// A token, or a quoted string without its quotes (RFC 9110 §5.6.4); and what is behind it.
fn text_of(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = value.strip_prefix(b"\"") else {
        let len = value.iter().take_while(|&&it| is_token(it)).count();
        let (token, rest) = value.split_at_checked(len)?;
        return (!token.is_empty()).then(|| (token.to_vec(), rest));
    };
    let mut text = Vec::new();
    loop {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        match byte {
            b'"' => return Some((text, rest)),
            b'\\' => {
                let (&escaped, behind) = rest.split_first()?;
                text.push(escaped);
                rest = behind;
            }
            byte => text.push(byte),
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An address with or without a port; IPv6 with or without brackets, which it needs for a port. RFC 7239 §6
/// has `unknown` and names that begin with `_` beside them.
fn node(text: &[u8]) -> Hop {
    let Ok(text) = std::str::from_utf8(text) else {
        return Hop::Hidden;
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Hop::Address { ip, port: None };
    }
    if let Ok(address) = text.parse::<SocketAddr>()
        && !has_scope(address)
    {
        return Hop::Address { ip: address.ip(), port: Some(address.port()) };
    }
    // §6.3: a port may be obfuscated, too; the address before it is as good.
    let (node, port) = match text.rsplit_once(':') {
        Some((node, port)) if port.starts_with('_') => (node, Some(port)),
        _ => (text, None),
    };
    let bare = node.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let ip = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None if port.is_some() => node.parse().ok().filter(IpAddr::is_ipv4),
        None => None,
    };
    ip.map_or(Hop::Hidden, |ip| Hop::Address { ip, port: None })
}

/// `[fe80::1%3]:80` says something about the proxy's own interfaces.
fn has_scope(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(it) if it.scope_id() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: ForwardedHeader, value: &[u8]) -> Vec<Hop> {
        let name = match header {
            ForwardedHeader::XForwardedFor => "X-Forwarded-For",
            ForwardedHeader::Forwarded => "Forwarded",
        };
        hops([("Host", &b"x"[..]), (name, value)].into_iter(), header)
    }

    fn at(ip: &str, port: impl Into<Option<u16>>) -> Hop {
        Hop::Address { ip: ip.parse().unwrap(), port: port.into() }
    }

    #[test]
    fn an_address_is_read_in_all_the_forms_that_proxies_write() {
        for (text, hop) in [
            ("192.0.2.7", at("192.0.2.7", None)),
            ("192.0.2.7:4711", at("192.0.2.7", 4711)),
            ("2001:db8::7", at("2001:db8::7", None)),
            ("[2001:db8::7]", at("2001:db8::7", None)),
            ("[2001:db8::7]:4711", at("2001:db8::7", 4711)),
            ("192.0.2.7:_hidden", at("192.0.2.7", None)),
            ("[2001:db8::7]:_p", at("2001:db8::7", None)),
        ] {
            assert_eq!(read(ForwardedHeader::XForwardedFor, text.as_bytes()), [hop], "{text}");
            let quoted = format!("for=\"{text}\"");
            assert_eq!(read(ForwardedHeader::Forwarded, quoted.as_bytes()), [hop], "{quoted}");
        }
    }

    #[test]
    fn what_is_no_address_is_hidden_and_nothing_worse() {
        let bad = [
            "",
            "unknown",
            "_hidden",
            "_hidden:_port",
            "localhost",
            "192.0.2",
            "192.0.2.7:",
            "192.0.2.7:99999",
            "192.0.2.7:-1",
            "192.0.2.007",
            "[192.0.2.7]",
            "[2001:db8::7",
            "2001:db8::7]",
            "[]",
            "[]:80",
            ":80",
            "2001:db8::7:_p",
            "fe80::1%eth0",
            "[fe80::1%3]:80",
            "\"192.0.2.7\"",
            "0x7f.1",
            "127.1",
            "192.0.2.7 x",
        ];
        for bad in bad {
            let hops = read(ForwardedHeader::XForwardedFor, bad.as_bytes());
            assert_eq!(hops, [Hop::Hidden], "{bad:?}");
        }
        assert_eq!(read(ForwardedHeader::XForwardedFor, b"\xff\x00"), [Hop::Hidden]);
    }

    #[test]
    fn the_nearest_hop_is_the_last_of_the_last_field() {
        let fields = [
            ("x-forwarded-for", &b"192.0.2.1, 192.0.2.2"[..]),
            ("forwarded", b"for=203.0.113.1"),
            ("X-Forwarded-For", b"192.0.2.3"),
        ];
        let read = hops(fields.into_iter(), ForwardedHeader::XForwardedFor);
        assert_eq!(read, ["192.0.2.3", "192.0.2.2", "192.0.2.1"].map(|ip| at(ip, None)));
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_and_other_parameters() {
        let value = b"for=192.0.2.1;proto=https;by=203.0.113.43 ,  proto=http; For=\"[2001:db8:cafe::17]:4711\", \
            FOR=unknown,by=_x, for=\"192.0.2\\.9\";ext=\"a, for=203.0.113.9; \\\"\"";
        let read = read(ForwardedHeader::Forwarded, value);
        let wanted = [
            at("192.0.2.9", None),
            Hop::Hidden,
            Hop::Hidden,
            at("2001:db8:cafe::17", 4711),
            at("192.0.2.1", None),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn whoever_breaks_the_grammar_is_not_read_at_all() {
        let bad = [
            // What the client wrote, then what a proxy appends.
            "for=\", for=192.0.2.7",
            "for=\"203.0.113.1, for=\"[2001:db8::7]:80\"",
            "for=\"203.0.113.1\\, for=\"[2001:db8::7]:80\"",
            "for=\"x\\\", for=192.0.2.7",
            "for, for=192.0.2.7",
            "for=, for=192.0.2.7",
            "for=203.0.113.1 x, for=192.0.2.7",
            "for=203.0.113.1;for=203.0.113.2, for=192.0.2.7",
            "for=[2001:db8::7], for=192.0.2.7",
            "=, for=192.0.2.7",
        ];
        for bad in bad {
            assert_eq!(read(ForwardedHeader::Forwarded, bad.as_bytes()), [Hop::Hidden], "{bad}");
        }
        // A proxy that writes a field of its own is heard all the same.
        let fields = [("Forwarded", &b"for=\""[..]), ("Forwarded", b"for=192.0.2.7")];
        let read = hops(fields.into_iter(), ForwardedHeader::Forwarded);
        assert_eq!(read, [at("192.0.2.7", None), Hop::Hidden]);
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_client_hide_what_the_proxy_says_behind_a_comma(
            before in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut value = before;
            value.extend_from_slice(b", 192.0.2.7");
            prop_assert_eq!(read(ForwardedHeader::XForwardedFor, &value)[0], at("192.0.2.7", None));
        }

        #[test]
        fn no_bytes_of_a_client_pass_for_the_proxys_own(
            before in "[for=\",; \\\\0-9a-z.:\\[\\]]{0,60}",
            quoted in any::<bool>(),
        ) {
            let said = if quoted { "for=\"[2001:db8::7]:80\"" } else { "for=192.0.2.7" };
            let hop = if quoted { at("2001:db8::7", 80) } else { at("192.0.2.7", None) };
            let read = read(ForwardedHeader::Forwarded, format!("{before}, {said}").as_bytes());
            prop_assert!(read[0] == hop || read == [Hop::Hidden], "{:?}", read);
        }
    }
}
