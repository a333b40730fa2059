//! The parts that need no socket: outbox, wheel, slots.

use super::*;

#[test]
fn an_outbox_keeps_the_order_of_owned_and_shared_and_holds_nothing_when_empty() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let mut expected = Vec::new();
    for n in 0..400u32 {
        let bytes = vec![n.to_le_bytes()[0]; (n as usize * 37) % 9000];
        expected.extend_from_slice(&bytes);
        if n % 3 == 0 {
            outbox.push_shared(bytes.into(), &mut spare);
        } else {
            let mut bytes = bytes;
            outbox.push_owned(&mut bytes, &mut spare);
            assert!(bytes.is_empty());
        }
        assert_eq!(outbox.bytes(), expected.len());
    }
    /// Takes a little at a time and refuses every other time.
    struct Narrow(Vec<u8>, usize);
    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[io::IoSlice::new(bytes)])
        }
        fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(ErrorKind::WouldBlock.into());
            }
            if self.1.is_multiple_of(5) {
                return Err(ErrorKind::Interrupted.into());
            }
            assert!(slices.len() <= 64);
            let mut left = 5003;
            for slice in slices {
                let part = &slice[..slice.len().min(left)];
                assert!(!slice.is_empty(), "an empty slice among many");
                self.0.extend_from_slice(part);
                left -= part.len();
            }
            Ok(5003 - left)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut narrow = Narrow(Vec::new(), 0);
    let mut went = 0;
    loop {
        let (all, bytes) = outbox.flush(&mut narrow, &mut spare).unwrap();
        went += bytes;
        assert_eq!(outbox.bytes(), expected.len() - went);
        if all {
            break;
        }
    }
    assert!(narrow.0 == expected);
    assert!(outbox.is_empty());
    assert_eq!((outbox.bytes(), outbox.cost()), (0, 0));
}

#[test]
fn discarding_keeps_the_segment_that_is_half_sent() {
    struct Three(Vec<u8>, bool);
    impl Write for Three {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.1, true) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..3.min(bytes.len())]);
            Ok(3.min(bytes.len()))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_shared(b"first".as_slice().into(), &mut spare);
    outbox.push_shared(vec![0; 1000].into(), &mut spare);
    let mut to = Three(Vec::new(), false);
    assert_eq!(outbox.flush(&mut to, &mut spare).unwrap(), (false, 3));
    outbox.discard_unsent(&mut spare);
    outbox.push_owned(&mut b" last".to_vec(), &mut spare);
    assert_eq!(outbox.bytes(), 7);
    outbox.flush(&mut to.0, &mut spare).unwrap();
    assert_eq!(to.0, b"first last");
    outbox.push_shared(b"never".as_slice().into(), &mut spare);
    outbox.discard_unsent(&mut spare);
    assert!(outbox.is_empty());
}

proptest::proptest! {
    /// Against a sorted list: the same items, in the same order, whatever is set, cancelled and skipped.
    #[test]
    fn the_wheel_fires_what_a_sorted_list_would(
        steps in proptest::collection::vec((0u64..60_000, 0u8..4), 1..200),
    ) {
        let ms = Duration::from_millis;
        let mut wheel = Wheel::new(ms(1));
        let mut naive: Vec<(u64, usize)> = Vec::new();
        let mut handles = Vec::new();
        let mut now = 0;
        for (n, &(value, action)) in steps.iter().enumerate() {
            match action {
                0 | 1 => {
                    // Some of it has passed already.
                    let at = (now + value % 20_000).saturating_sub(500);
                    handles.push((wheel.set(ms(at), n), n));
                    naive.push((at.max(now + 1), n));
                }
                2 if !handles.is_empty() => {
                    let which = usize::try_from(value).unwrap() % handles.len();
                    let (handle, item) = handles.swap_remove(which);
                    let pending = naive.iter().any(|it| it.1 == item);
                    proptest::prop_assert_eq!(wheel.cancel(handle), pending.then_some(item));
                    naive.retain(|it| it.1 != item);
                }
                _ => {
                    if let Some(wait) = wheel.wait(ms(now)) {
                        let first = naive.iter().map(|it| it.0).min().unwrap();
                        proptest::prop_assert!(wait <= ms(first.saturating_sub(now)));
                    }
                    now += value % 9000;
                    naive.sort();
                    let due = naive.iter().take_while(|it| it.0 <= now).count();
                    for (_, item) in naive.drain(..due) {
                        proptest::prop_assert_eq!(wheel.pop(ms(now)), Some(item));
                    }
                    proptest::prop_assert_eq!(wheel.pop(ms(now)), None);
                }
            }
            proptest::prop_assert_eq!(wheel.len(), naive.len());
        }
    }

    #[test]
    fn slots_find_what_is_there_and_nothing_else(steps in proptest::collection::vec((0usize..64, proptest::bool::ANY), 1..300)) {
        let mut slots = Slots::new();
        let mut live: Vec<(Token, usize)> = Vec::new();
        let mut dead = Vec::new();
        for (n, &(which, insert)) in steps.iter().enumerate() {
            if insert || live.is_empty() {
                let next = slots.next_token();
                let token = slots.insert(n).unwrap();
                proptest::prop_assert_eq!(next, Some(token));
                live.push((token, n));
            } else {
                let (token, state) = live.swap_remove(which % live.len());
                proptest::prop_assert_eq!(slots.remove(token), Some(state));
                dead.push(token);
            }
            proptest::prop_assert_eq!(slots.len(), live.len());
            for &(token, state) in &live {
                proptest::prop_assert_eq!(slots.get(token), Some(&state));
            }
            for &token in &dead {
                proptest::prop_assert!(slots.get(token).is_none() && slots.get_mut(token).is_none());
            }
        }
    }
}

#[test]
fn what_is_cancelled_or_set_while_timers_fire_is_as_if_it_had_been_before() {
    let ms = Duration::from_millis;
    let mut wheel = Wheel::new(ms(1));
    let handles: Vec<_> = (0..5).map(|n| wheel.set(ms(10), n)).collect();
    assert_eq!(wheel.pop(ms(20)), Some(0));
    assert_eq!(wheel.cancel(handles[1]), Some(1));
    assert_eq!(wheel.cancel(handles[2]), Some(2));
    // Takes the place of the last that was cancelled; due at once, but not in this bucket.
    wheel.set(ms(0), 5);
    assert_eq!(wheel.pop(ms(20)), Some(3));
    assert_eq!(wheel.cancel(handles[3]), None);
    assert_eq!(wheel.pop(ms(20)), Some(4));
    assert_eq!(wheel.pop(ms(20)), Some(5));
    assert_eq!(wheel.pop(ms(20)), None);
    wheel.set(ms(20), 6);
    assert_eq!(
        wheel.pop(ms(20)),
        None,
        "what is set for now waits a tick, or it could go on for ever"
    );
    assert_eq!(wheel.pop(ms(21)), Some(6));
}

#[test]
fn a_large_buffer_with_little_in_it_stays_with_its_owner() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let mut scratch = Vec::with_capacity(1 << 20);
    scratch.resize(5000, 1);
    outbox.push_owned(&mut scratch, &mut spare);
    assert!(
        scratch.is_empty() && scratch.capacity() >= 1 << 20,
        "a slow peer would pin a megabyte"
    );
    // One that is full changes hands without a copy.
    scratch.resize(1 << 20, 2);
    outbox.push_owned(&mut scratch, &mut spare);
    assert!(scratch.is_empty() && scratch.capacity() < 1 << 20);
    assert_eq!(outbox.bytes(), 5000 + (1 << 20));
}
