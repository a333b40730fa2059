//! Sockeye's server and tungstenite's on the same bytes: short conversations made for the purpose,
//! and what the fuzzer found worth keeping.

#![cfg(test)]

#[path = "../../../fuzz/bodies/differential_tungstenite.rs"]
mod differential_tungstenite;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use differential_tungstenite::differential_tungstenite;
use proptest::prelude::*;
use sockeye::proto::{Header, MaskKey, OpCode, apply_mask};

#[test]
fn kept_inputs_mean_the_same_to_both() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for folder in ["corpus", "regressions"] {
        let Ok(entries) = fs::read_dir(fuzz.join(folder).join("differential_tungstenite")) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("the folder can be listed").path();
            let input = fs::read(&path).expect("a kept input can be read");
            if catch_unwind(|| differential_tungstenite(&input)).is_err() {
                panic!("the two disagree on {}: see above", path.display());
            }
        }
    }
}

/// A frame as a client sends it, now and then with a fault.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        4 => Just(OpCode::Text),
        4 => Just(OpCode::Binary),
        6 => Just(OpCode::Continuation),
        2 => Just(OpCode::Ping),
        1 => Just(OpCode::Pong),
        1 => Just(OpCode::Close),
    ];
    let payload = prop_oneof![
        4 => "\\PC{0,20}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..20),
        2 => (0..6000u16, "\\PC{0,8}").prop_map(|(code, reason)| {
            [&code.to_be_bytes()[..], reason.as_bytes()].concat()
        }),
        1 => prop::collection::vec(Just(b'a'), 110..150),
        1 => prop::collection::vec(Just(b'a'), 700..1100),
    ];
    let key = prop_oneof![20 => any::<[u8; 4]>().prop_map(Some), 1 => Just(None)];
    let rsv = prop_oneof![30 => Just(0u8), 1 => 0..8u8];
    (opcode, payload, any::<bool>(), rsv, key).prop_map(|(opcode, mut payload, fin, rsv, key)| {
        let fin = fin || (opcode.is_control() && payload.len() % 8 != 0);
        let mask = key.map(MaskKey);
        let header = Header { fin, rsv, opcode, mask, len: payload.len() as u64 };
        apply_mask(mask.unwrap_or_default(), &mut payload);
        [&header.encode()[..], &payload].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn any_frames_mean_the_same_to_both(
        frames in prop::collection::vec(any_frame(), 0..12),
        cut in 0..20usize,
    ) {
        let bytes = frames.concat();
        differential_tungstenite(&bytes);
        differential_tungstenite(&bytes[..bytes.len().saturating_sub(cut)]);
    }

    #[test]
    fn any_bytes_mean_the_same_to_both(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        differential_tungstenite(&bytes);
    }
}
