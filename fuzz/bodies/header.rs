//! The bytes: a frame header and what follows it.

use sockeye::proto::Header;

pub fn header(data: &[u8]) {
    let whole = Header::parse(data);
    if let Ok(Some((header, used))) = whole {
        assert!(used <= data.len() && used <= Header::MAX_LEN);
        assert_eq!(&*header.encode(), &data[..used], "encoding gives back what was parsed");
    }
    // A shorter prefix asks for more, or has the same result already.
    for cut in 0..data.len().min(Header::MAX_LEN + 1) {
        let prefix = Header::parse(&data[..cut]);
        assert!(prefix == Ok(None) || prefix == whole, "{prefix:?} of {cut} bytes, then {whole:?}");
    }
}
