//! The bytes: cuts, then a text.

use sockeye::proto::Utf8;

use super::bytes::Bytes;

pub fn utf8(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let cuts = bytes.cuts();
    let text = bytes.rest();
    let expected = core::str::from_utf8(text);

    let mut judge = Utf8::default();
    let fed = cuts.pieces(text).into_iter().try_for_each(|piece| judge.feed(piece));
    match expected {
        Ok(_) => assert!(fed.is_ok() && judge.is_complete()),
        Err(error) if error.error_len().is_none() => assert!(fed.is_ok() && !judge.is_complete()),
        Err(_) => assert!(fed.is_err()),
    }

    // Byte by byte the error comes with the first byte that no continuation can mend.
    let mut judge = Utf8::default();
    for (at, byte) in text.iter().enumerate() {
        let prefix = core::str::from_utf8(&text[..=at]);
        let hopeless = prefix.is_err_and(|error| error.error_len().is_some());
        assert_eq!(judge.feed(&[*byte]).is_err(), hopeless, "byte {at}");
        if hopeless {
            break;
        }
        assert_eq!(judge.is_complete(), prefix.is_ok(), "byte {at}");
    }
}
