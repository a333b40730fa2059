//! The PROXY protocol, versions 1 and 2, as its receiver: the few bytes with which a TCP proxy says whose
//! connection it passes on, before anything else, TLS too. Reads them in whatever cut they come; whom to
//! believe and what to do is the shard's affair.
//!
//! Written here and not taken from a crate: what there is wants the whole header in one piece (`ppp` calls a
//! text header that is cut before its last port malformed), while the parts of it that matter here are few.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Announced {
    /// The connection is this client's.
    Client(SocketAddr),
    /// The proxy's own, as for a health check.
    Own,
    /// Somebody's who has no internet address, or the proxy does not tell.
    Unknown,
}

/// What comes first is no such header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It begins otherwise.
    Absent,
    /// A text header that says what cannot be, or never ends.
    Text,
    /// A binary header of another version, or of a command or family that does not exist.
    Binary(u8),
    /// A binary header too short for the addresses that it announces, or too long.
    Length { declared: usize, allowed: usize },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("it does not begin with a PROXY header"),
            Self::Text => f.write_str("its PROXY header is malformed"),
            Self::Binary(byte) => {
                write!(f, "its PROXY header has {byte:#04x} where that means nothing")
            }
            Self::Length { declared, allowed } => {
                write!(f, "its PROXY header declares {declared} bytes, {allowed} are allowed")
            }
        }
    }
}

/// Reads a header from the first bytes of a connection: what it says and how long it is. `None`: more bytes
/// are needed; never when there are [`HEADER_BYTES_MAX`].
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Fault> {
    if begins(bytes, SIGNATURE) {
        return binary(bytes);
    }
    if begins(bytes, TEXT) { text(bytes) } else { Err(Fault::Absent) }
}

/// Whether these can be, or are, the first bytes of what begins so.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(one, other)| one == other)
}

/// Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 56324 443`, and CR LF.
fn text(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Fault> {
    let within = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return if within.len() < TEXT_BYTES_MAX { Ok(None) } else { Err(Fault::Text) };
    };
    let line = within.get(TEXT.len()..end).and_then(|line| std::str::from_utf8(line).ok());
    let announced = line.and_then(announced_by).ok_or(Fault::Text)?;
    Ok(Some((announced, end + 2)))
}

fn announced_by(line: &str) -> Option<Announced> {
    // What follows UNKNOWN is to be ignored.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(Announced::Unknown);
    }
    let mut words = line.split(' ');
    let family = words.next()?;
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, _) = (address()?, address()?);
    let mut port =
        || words.next().filter(|it| it.bytes().all(|it| it.is_ascii_digit()))?.parse().ok();
    let (source_port, _): (u16, u16) = (port()?, port()?);
    words.next().is_none().then(|| Announced::Client((source, source_port).into()))
}

/// Version 2: the signature, version and command, family and transport, length; then addresses, and
/// extensions that are skipped.
fn binary(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Fault> {
    let Some((&[version_and_command, family, high, low], rest)) =
        bytes.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk::<4>)
    else {
        return Ok(None);
    };
    let is_own = match version_and_command {
        0x20 => true,
        0x21 => false,
        other => return Err(Fault::Binary(other)),
    };
    let declared = usize::from(u16::from_be_bytes([high, low]));
    let allowed = HEADER_BYTES_MAX - SIGNATURE.len() - 4;
    if declared > allowed {
        return Err(Fault::Length { declared, allowed });
    }
    let Some(block) = rest.get(..declared) else {
        return Ok(None);
    };
    let used = SIGNATURE.len() + 4 + declared;
    if is_own {
        // Whatever else it says is to be ignored.
        return Ok(Some((Announced::Own, used)));
    }
    let too_short = |allowed| Fault::Length { declared, allowed };
    let announced = match family {
        // TCP over IPv4: source, destination, their ports.
        0x11 => {
            let &[a, b, c, d, _, _, _, _, high, low, _, _] =
                block.first_chunk::<12>().ok_or(too_short(12))?;
            let port = u16::from_be_bytes([high, low]);
            Announced::Client((Ipv4Addr::new(a, b, c, d), port).into())
        }
        0x21 => {
            let whole = block.first_chunk::<36>().ok_or(too_short(36))?;
            let (&source, ports) = whole.split_first_chunk::<16>().ok_or(too_short(36))?;
            let port = ports.get(16..18).and_then(|it| it.first_chunk::<2>());
            let port = u16::from_be_bytes(*port.ok_or(too_short(36))?);
            Announced::Client((Ipv6Addr::from(source), port).into())
        }
        // Unspecified, datagrams and Unix sockets: nothing that has an address here.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Announced::Unknown,
        other => return Err(Fault::Binary(other)),
    };
    Ok(Some((announced, used)))
}

const TEXT: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What the specification has for version 1, its CR LF among them.
const TEXT_BYTES_MAX: usize = 107;
/// Of version 2. 4 KiB: addresses are 36 bytes, what clouds and TLS add to them some hundred; it is held until
/// it is whole.
const HEADER_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        bytes.extend(block);
        bytes
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn six() -> Vec<u8> {
        let source: Ipv6Addr = "2001:db8::7".parse().unwrap();
        [&source.octets()[..], &[1; 16], &[0xdc, 0x04, 0x01, 0xbb]].concat()
    }

    fn good() -> Vec<(Vec<u8>, Announced)> {
        let four = Announced::Client("192.0.2.7:56324".parse().unwrap());
        let with_six = Announced::Client("[2001:db8::7]:56324".parse().unwrap());
        let text = |line: &str| format!("PROXY {line}\r\n").into_bytes();
        // An extension of a kind that nobody knows, and one that says that it is longer than it is.
        let extended = [&FOUR[..], &[0xea, 0, 3, 1, 2, 3, 0xff, 0xff, 0xff]].concat();
        vec![
            (text("TCP4 192.0.2.7 198.51.100.1 56324 443"), four),
            (text("TCP6 2001:db8::7 2001:db8::1 56324 443"), with_six),
            (text("UNKNOWN"), Announced::Unknown),
            (text("UNKNOWN ffff::1 ffff::2 1 2"), Announced::Unknown),
            (text(&format!("UNKNOWN {}", "x".repeat(TEXT_BYTES_MAX - 16))), Announced::Unknown),
            (v2(0x21, 0x11, &FOUR), four),
            (v2(0x21, 0x11, &extended), four),
            (v2(0x21, 0x21, &six()), with_six),
            (v2(0x21, 0x21, &[six(), vec![0x04, 0, 1, 0]].concat()), with_six),
            (v2(0x20, 0x00, &[]), Announced::Own),
            (v2(0x20, 0x11, &FOUR), Announced::Own),
            (v2(0x21, 0x00, &[]), Announced::Unknown),
            (v2(0x21, 0x31, &[1; 216]), Announced::Unknown),
            (v2(0x21, 0x12, &FOUR), Announced::Unknown),
            (v2(0x21, 0x11, &[FOUR.to_vec(), vec![0; HEADER_BYTES_MAX - 28]].concat()), four),
        ]
    }

    #[test]
    fn a_header_is_read_in_any_cut_and_what_follows_is_left() {
        for (header, announced) in good() {
            for cut in 0..header.len() {
                assert_eq!(read(&header[..cut]), Ok(None), "{cut} bytes of {header:?}");
            }
            let len = header.len();
            assert_eq!(read(&header), Ok(Some((announced, len))));
            let mut more = header;
            more.extend(b"GET / HTTP/1.1\r\n\r\n");
            assert_eq!(read(&more), Ok(Some((announced, len))));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        for bytes in [&b"GET / HTTP/1.1"[..], b"P0", b"PROXY\t", b"\r\n\r\nG", b"\x16\x03\x01"] {
            assert_eq!(read(bytes), Err(Fault::Absent), "{bytes:?}");
        }
    }

    #[test]
    fn a_text_header_that_says_what_cannot_be_is_refused() {
        let lines = [
            "",
            "TCP4",
            "TCP5 1.1.1.1 1.1.1.1 1 1",
            "tcp4 1.1.1.1 1.1.1.1 1 1",
            "TCP4 1.1.1.1 1.1.1.1 1",
            "TCP4 1.1.1.1 1.1.1.1 1 1 1",
            "TCP4  1.1.1.1 1.1.1.1 1 1",
            "TCP4 ::1 ::1 1 1",
            "TCP6 1.1.1.1 1.1.1.1 1 1",
            "TCP4 1.1.1.1 1.1.1.1 65536 1",
            "TCP4 1.1.1.1 1.1.1.1 -1 1",
            "TCP4 1.1.1.1 1.1.1.1 +1 1",
            "TCP4 1.1.1.1 1.1.1.1 1 ",
            "TCP4 1.1.1.1 x 1 1",
            "UNKNOWNS",
            "TCP4 1.1.1.1 1.1.1.1 1 1\n",
        ];
        for line in lines {
            assert_eq!(read(format!("PROXY {line}\r\n").as_bytes()), Err(Fault::Text), "{line:?}");
        }
        assert_eq!(read(b"PROXY TCP4 \xff\r\n"), Err(Fault::Text));
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(TEXT_BYTES_MAX));
        assert_eq!(read(&endless.as_bytes()[..TEXT_BYTES_MAX - 1]), Ok(None));
        assert_eq!(read(&endless.as_bytes()[..TEXT_BYTES_MAX]), Err(Fault::Text));
        // Its end comes one byte too late.
        let late = format!("PROXY UNKNOWN {}\r\n", "x".repeat(TEXT_BYTES_MAX - 15));
        assert_eq!(read(late.as_bytes()), Err(Fault::Text));
    }

    #[test]
    fn a_binary_header_is_refused_before_more_of_it_is_held() {
        for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x31, 0x11), (0x00, 0x11)] {
            assert_eq!(read(&v2(command, family, &FOUR)), Err(Fault::Binary(command)));
        }
        for family in [0x10, 0x13, 0x20, 0x41, 0xff] {
            assert_eq!(read(&v2(0x21, family, &FOUR)), Err(Fault::Binary(family)));
        }
        assert_eq!(
            read(&v2(0x21, 0x11, &FOUR[..11])),
            Err(Fault::Length { declared: 11, allowed: 12 })
        );
        assert_eq!(
            read(&v2(0x21, 0x21, &six()[..35])),
            Err(Fault::Length { declared: 35, allowed: 36 })
        );
        // Sixteen bytes are enough to see that it is too long.
        let mut long = SIGNATURE.to_vec();
        long.extend([0x21, 0x11, 0xff, 0xff]);
        let allowed = HEADER_BYTES_MAX - 16;
        assert_eq!(read(&long), Err(Fault::Length { declared: 65_535, allowed }));
    }

    fn near_a_header() -> impl Strategy<Value = Vec<u8>> {
        let noise = proptest::collection::vec(any::<u8>(), 0..300);
        let start = prop_oneof![
            Just(Vec::new()),
            Just(TEXT.to_vec()),
            Just(b"PROXY TCP4 1.2.3.4 ".to_vec()),
            Just(SIGNATURE.to_vec()),
            Just([SIGNATURE, &[0x21, 0x11, 0, 20]].concat()),
            Just([SIGNATURE, &[0x21, 0x21, 0, 99]].concat()),
        ];
        (start, noise).prop_map(|(start, noise)| [start, noise].concat())
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_the_same_in_any_cut(bytes in near_a_header()) {
            let whole = read(&bytes);
            for cut in 0..bytes.len() {
                match read(&bytes[..cut]) {
                    Ok(None) => {}
                    judged => prop_assert_eq!(judged, whole),
                }
            }
            if let Ok(Some((_, used))) = whole {
                prop_assert!(used <= bytes.len() && used <= HEADER_BYTES_MAX);
            }
        }

        #[test]
        fn more_bytes_are_never_asked_for_without_end(byte in any::<u8>(), family in any::<u8>()) {
            let mut bytes = SIGNATURE.to_vec();
            bytes.extend([0x21, family, byte, byte]);
            bytes.resize(HEADER_BYTES_MAX, 0);
            prop_assert_ne!(read(&bytes), Ok(None));
        }
    }
}
