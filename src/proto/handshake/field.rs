//! Header fields on their way out: judged, then appended as `Name: value` with exactly one space,
//! because some readers insist on it.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::ComposeError;
use super::tokens::{token, trim};

/// A name is a token, and a value has no control characters but tabs: nobody's text ends a line early.
pub(super) fn check(name: &str, value: &str) -> Result<(), ComposeError> {
    if token(name.as_bytes()).is_none() {
        return Err(ComposeError::HeaderName(String::from(name)));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(ComposeError::HeaderValue(String::from(name)));
    }
    Ok(())
}

/// [`check`]s headers that an embedder adds to a handshake, which must not speak for the handshake.
pub(super) fn check_extra(headers: &[(&str, &str)]) -> Result<(), ComposeError> {
    for (name, value) in headers {
        check(name, value)?;
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("sec-websocket-")
            || matches!(
                &lower[..],
                "host" | "connection" | "upgrade" | "content-length" | "transfer-encoding"
            )
        {
            return Err(ComposeError::Reserved(String::from(*name)));
        }
    }
    Ok(())
}

/// Appends one line. The caller has [`check`]ed it.
pub(super) fn push(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(trim(value.as_bytes()));
    out.extend_from_slice(b"\r\n");
}

/// Whether `host` looks like a `Host` (RFC 7230 §5.4): a name or an address, and perhaps a port. It is
/// never empty here, because `ws:` URIs always have a host, and never a list.
pub(super) fn is_authority(host: &[u8]) -> bool {
    !host.is_empty()
        && host.iter().all(|&byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.'
                        | b'_'
                        | b'~'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b';'
                        | b'='
                        | b'%'
                        | b':'
                        | b'['
                        | b']'
                )
        })
}
