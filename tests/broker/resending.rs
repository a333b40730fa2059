//! A message that is sent again is one message.

use super::*;
use sockeye::broker::{Bounded, Refusal};

#[test]
fn a_resend_is_answered_with_its_place_and_told_to_nobody() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("tea");
    let message = publish(&["tea", "@ann"], "a", Some(("ann/1", 5)));
    let first = places(ask(&mut ann, message.clone()));
    say(&mut ann, "tea", "b");
    poll(&mut bob);
    // Through another node: a client comes back wherever it is let in.
    let again = ask(&mut bob, message);
    assert_eq!(again, Outcome::Published { places: first, duplicate: true });
    assert!(poll(&mut bob).is_empty());
    assert_eq!(cluster.usage().entries, 3);
}

#[test]
fn a_number_below_the_last_that_is_not_remembered_is_refused_by_name() {
    let cluster = cluster(Limits { remembered: 2, ..Limits::default() });
    let mut ann = silent(&cluster);
    for seq in [1, 3, 5] {
        places(ask(&mut ann, publish(&["tea"], "a", Some(("ann", seq)))));
    }
    for seq in [0, 1, 2, 4] {
        let outcome = ask(&mut ann, publish(&["tea"], "late", Some(("ann", seq))));
        assert_eq!(outcome, Outcome::Refused(Refusal::OutOfOrder { seq, last: 5 }));
    }
    assert_eq!(places(ask(&mut ann, publish(&["tea"], "b", Some(("ann", 6)))))[0].offset, 4);
    assert_eq!(places(ask(&mut ann, publish(&["tea"], "c", Some(("bob", 1)))))[0].offset, 5);
}

#[test]
fn a_place_is_remembered_for_an_hour_even_if_the_log_is_gone() {
    let cluster = cluster(Limits { channels: 1, ..Limits::default() });
    let mut ann = silent(&cluster);
    let message = publish(&["tea"], "a", Some(("ann", 1)));
    let first = places(ask(&mut ann, message.clone()));
    say(&mut ann, "coffee", "b");
    assert!(!ann.keeps("tea"));
    let again = ask_at(&mut ann, message.clone(), NOW + 3_600_000);
    assert_eq!(again, Outcome::Published { places: first, duplicate: true });
    assert!(!ann.keeps("tea"));
}

#[test]
fn too_many_active_producers_are_refused_and_those_without_numbers_are_not() {
    let cluster = cluster(Limits { producers: 1, ..Limits::default() });
    let mut ann = silent(&cluster);
    places(ask(&mut ann, publish(&["tea"], "a", Some(("ann", 1)))));
    let refused = ask(&mut ann, publish(&["coffee"], "a", Some(("bob", 1))));
    assert_eq!(refused, Outcome::Refused(Refusal::Full { what: Bounded::Producers, max: 1 }));
    assert!(!ann.keeps("coffee"));
    say(&mut ann, "coffee", "a");
    let later = NOW + 3_600_001;
    places(ask_at(&mut ann, publish(&["coffee"], "a", Some(("bob", 1))), later));
    assert_eq!(cluster.usage().producers, 1);
}
