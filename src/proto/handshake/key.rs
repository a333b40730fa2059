//! `Sec-WebSocket-Key` and what a server makes of it (RFC 6455 sections 4.1 and 4.2.2). Draws no
//! randomness: the nonce is an argument.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

// §1.3: a constant that no endpoint without WebSocket in mind would append to a header's value.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` that answers `key` (RFC 6455 §4.2.2): base64 of SHA-1 of the
/// key's characters, as they came, and a constant. Does not judge the key: [`is_valid_key`] does.
///
/// ```
/// # use sockeye::proto::handshake::accept_key;
/// // RFC 6455 §1.3
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> AcceptKey {
    let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    AcceptKey(encode(&digest))
}

/// Whether `key` is base64 of exactly 16 bytes (RFC 6455 §4.2.1): 22 characters of the alphabet and `==`.
///
/// The four bits that the last character has to spare may be set: RFC 4648 §3.5 leaves that to the
/// reader, sloppy clients do it, and the key is only ever hashed.
pub fn is_valid_key(key: &str) -> bool {
    key.strip_suffix("==").is_some_and(|body| {
        body.len() == 22
            && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}

/// The 28 characters of a `Sec-WebSocket-Accept`, on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The characters.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// The 24 characters of a `Sec-WebSocket-Key`, on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientKey([u8; 24]);

impl ClientKey {
    /// The key that carries `nonce`, which is drawn anew for every connection (RFC 6455 §4.1).
    ///
    /// ```
    /// # use sockeye::proto::handshake::ClientKey;
    /// assert_eq!(ClientKey::new(*b"the sample nonce").as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
    /// ```
    pub fn new(nonce: [u8; 16]) -> Self {
        Self(encode(&nonce))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    STANDARD
        .encode_slice(bytes, &mut out)
        .expect("16 bytes are 24 characters of base64, 20 are 28");
    out
}

fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("base64 is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_gets_the_accept_of_the_rfc() {
        let key = ClientKey::new(*b"the sample nonce");
        assert_eq!(key.as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_key(key.as_str()).as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_base64_of_exactly_16_bytes() {
        for len in 0..64 {
            let key = STANDARD.encode(vec![0xA5; len]);
            assert_eq!(is_valid_key(&key), len == 16, "{len} bytes");
        }
        for bad in [
            "",
            "==",
            "short",
            "dGhlIHNhbXBsZSBub25jZQ",   // no padding
            "dGhlIHNhbXBsZSBub25jZQ=",  // half of it
            "dGhlIHNhbXBsZSBub25jZ===", // too much of it
            "dGhlIHNhbXBsZSBub25jZQ==\u{e9}",
            "dGhlIHNhbXBsZSBub25jZ-==", // the other alphabet, its one half
            "dGhlIHNhbXBsZSBub25jZ_==", // and its other
            "dGhlIHNhbXBs SBub25jZQ==",
        ] {
            assert!(!is_valid_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn spare_bits_of_a_keys_last_character_are_nobodys_affair() {
        assert!(is_valid_key("dGhlIHNhbXBsZSBub25jZR=="));
    }
}
