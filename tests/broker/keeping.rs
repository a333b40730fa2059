//! What is kept, for how long, and what is said of that which is not.

use super::*;
use sockeye::broker::{Bounded, Refusal};

const DAY: u64 = 24 * 3_600_000;

fn opened(node: &mut Memory, channel: &str, replay: Replay, at_ms: u64) -> (Cursor, usize, bool) {
    match ask_at(node, open(channel, replay), at_ms) {
        Outcome::Opened { head, entries, recovered } => (head, entries.len(), recovered),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_channel_has_a_log_from_the_first_opening_or_message_on() {
    let cluster = cluster(Limits::default());
    let mut ann = silent(&cluster);
    ann.follow("tea");
    assert!(!ann.keeps("tea"));
    let page = ask(&mut ann, read("tea"));
    let Outcome::Page { head: before, entries, more: false } = page else { panic!("{page:?}") };
    assert_eq!((entries.len(), ann.keeps("tea")), (0, false), "to ask makes none");
    let (head, _, recovered) = opened(&mut ann, "tea", Replay::Last(3), NOW);
    assert_eq!((head.offset, recovered, ann.keeps("tea")), (0, true, true));
    assert_eq!(head, before);
    let first = say(&mut ann, "tea", "a");
    assert_eq!(first, Cursor { epoch: head.epoch, offset: 1 });
    let page = ask(&mut ann, read("tea"));
    let Outcome::Page { head, entries, more: false } = page else { panic!("{page:?}") };
    assert_eq!((head, bodies(&entries)), (first, vec!["a".to_owned()]));
    say(&mut ann, "coffee", "b");
    assert!(ann.keeps("coffee"));
}

#[test]
fn who_waits_for_the_first_message_of_a_channel_costs_nothing_and_misses_nothing() {
    let cluster = cluster(Limits { channels: 2, ..Limits::default() });
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    ann.follow_family("@");
    let mut heads = Vec::new();
    for user in 0..100 {
        let inbox = format!("@user {user}");
        ann.follow(&inbox);
        let Outcome::Opened { head, entries, recovered: true } =
            ask(&mut ann, look(&inbox, Replay::None))
        else {
            panic!("nobody was refused")
        };
        assert!(entries.is_empty() && !ann.keeps(&inbox));
        heads.push(head);
    }
    let usage = cluster.usage();
    assert_eq!((usage.logs, usage.follows), (0, 0));
    let first = say(&mut bob, "@user 7", "a");
    assert_eq!(first, Cursor { offset: 1, ..heads[7] });
    assert_eq!(words(&poll(&mut ann)), ["@user 7 1 a"]);
    let outcome = ask(&mut ann, look("@user 7", Replay::After(heads[7])));
    let Outcome::Opened { head, entries, recovered: true } = outcome else { panic!("{outcome:?}") };
    assert_eq!((head, bodies(&entries)), (first, vec!["a".to_owned()]));
    // A log that is there is held by who follows its name, also within the family.
    ann.follow("@user 7");
    for user in 10..13 {
        say(&mut bob, &format!("@user {user}"), "b");
    }
    assert!(ann.keeps("@user 7") && cluster.usage().logs == 2);
}

#[test]
fn a_channel_whose_log_was_dropped_does_not_seem_to_begin() {
    let cluster = cluster(Limits { channels: 1, ..Limits::default() });
    let mut ann = silent(&cluster);
    let old = say(&mut ann, "@bob", "a");
    let start = Cursor { offset: 0, ..old };
    say(&mut ann, "tea", "b");
    assert!(!ann.keeps("@bob"));
    assert_eq!(ask(&mut ann, read("@bob")), Outcome::Refused(Refusal::NoLog));
    for cursor in [start, old] {
        let outcome = ask(&mut ann, look("@bob", Replay::After(cursor)));
        let Outcome::Opened { head, recovered: false, .. } = outcome else { panic!("{outcome:?}") };
        assert!(head.epoch > old.epoch && head.offset == 0);
        assert!(ann.keeps("@bob"), "else the next answer could not be told from this one");
    }
}

#[test]
fn a_log_in_which_nothing_ever_stood_begins_again_as_it_was() {
    let cluster = cluster(Limits { channels: 1, ..Limits::default() });
    let mut ann = silent(&cluster);
    let (head, ..) = opened(&mut ann, "tea", Replay::None, NOW);
    say(&mut ann, "coffee", "a");
    assert!(!ann.keeps("tea"));
    assert_eq!(opened(&mut ann, "tea", Replay::After(head), NOW), (head, 0, true));
}

#[test]
fn when_too_many_dropped_logs_are_to_be_remembered_all_beginnings_are_new() {
    let cluster = cluster(Limits { channels: 3, ..Limits::default() });
    let mut ann = silent(&cluster);
    let mut beginning = || match ask(&mut ann, look("@idle", Replay::None)) {
        Outcome::Opened { head, .. } => head,
        other => panic!("{other:?}"),
    };
    let before = beginning();
    let mut bob = silent(&cluster);
    for room in 0..6 {
        say(&mut bob, &format!("room {room}"), "a");
    }
    assert_eq!(beginning(), before, "three are remembered");
    say(&mut bob, "room 6", "a");
    assert!(beginning().epoch > before.epoch);
    for room in 0..7 {
        let at = say(&mut bob, &format!("room {room}"), "b");
        assert!(at.epoch > before.epoch || at.offset > 1, "{room}: {at:?}");
    }
}

#[test]
fn no_channel_has_an_epoch_twice_and_javascript_reads_each_exactly() {
    for generation in [0, 1, NOW, u64::MAX] {
        for channels in [1, 2] {
            let cluster = Cluster::new(Limits { channels, ..Limits::default() }, generation);
            let mut ann = silent(&cluster);
            let mut seen = std::collections::BTreeSet::new();
            for channel in ["tea", "coffee", "milk", "tea", "coffee", "milk", "tea"] {
                let at = say(&mut ann, channel, "a");
                assert!(at.epoch > 0 && at.epoch < 1 << 53, "{at:?}");
                assert!(seen.insert((channel, at.epoch)), "{channel} {at:?}");
                assert_eq!(at.offset, 1);
            }
        }
    }
}

#[test]
fn a_restart_a_millisecond_later_does_not_repeat_an_epoch_of_a_thousand_logs() {
    let limits = Limits { channels: 1, ..Limits::default() };
    let mut before = silent(&Cluster::new(limits, NOW));
    let last = (0..1000).map(|n| say(&mut before, &format!("room {n}"), "a").epoch).max();
    let mut after = silent(&Cluster::new(limits, NOW + 1));
    assert!(Some(say(&mut after, "room 0", "a").epoch) > last);
}

#[test]
fn a_cursor_from_before_the_log_was_dropped_recovers_nothing() {
    let cluster = cluster(Limits { channels: 1, ..Limits::default() });
    let mut ann = silent(&cluster);
    let old = say(&mut ann, "tea", "a");
    say(&mut ann, "coffee", "b");
    say(&mut ann, "tea", "c");
    let (head, entries, recovered) = opened(&mut ann, "tea", Replay::After(old), NOW);
    assert_eq!((head.offset, entries, recovered), (1, 1, false));
    assert_eq!(opened(&mut ann, "tea", Replay::After(head), NOW), (head, 0, true));
}

#[test]
fn a_log_that_nobody_uses_for_a_day_is_dropped_unless_it_is_followed() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("followed");
    for channel in ["followed", "idle", "read", "left"] {
        say(&mut ann, channel, "a");
    }
    ask_at(&mut ann, read("read"), NOW + 1);
    bob.follow("left");
    ask_at(&mut ann, read("nothing"), NOW + 2);
    bob.unfollow("left");
    let mut kept_at = |at_ms| {
        ask_at(&mut ann, read("nothing"), at_ms);
        ["followed", "idle", "read", "left"].map(|channel| ann.keeps(channel))
    };
    assert_eq!(kept_at(NOW + DAY), [true; 4]);
    assert_eq!(kept_at(NOW + DAY + 1), [true, false, true, true]);
    assert_eq!(kept_at(NOW), [true, false, true, true]);
    assert_eq!(kept_at(NOW + DAY + 2), [true, false, false, true], "leaving is a use");
    assert_eq!(kept_at(NOW + DAY + 3), [true, false, false, false]);
    assert_eq!(kept_at(NOW + 9 * DAY), [true, false, false, false]);
    drop(bob);
    assert_eq!(kept_at(NOW + 10 * DAY), [true, false, false, false]);
    assert_eq!(kept_at(NOW + 10 * DAY + 1), [false; 4]);
    let usage = cluster.usage();
    assert_eq!((usage.logs, usage.entries, usage.bytes), (0, 0, 0));
}

#[test]
fn one_log_too_many_takes_the_place_of_the_least_used_that_nobody_follows() {
    let limits = Limits { channels: 3, ..Limits::default() };
    let cluster = cluster(limits);
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("a");
    for channel in ["a", "b", "c"] {
        say(&mut ann, channel, "");
    }
    opened(&mut ann, "b", Replay::None, NOW);
    say(&mut ann, "d", "");
    assert_eq!(["a", "b", "c", "d"].map(|channel| ann.keeps(channel)), [true, true, false, true]);
    bob.follow("b");
    bob.follow("d");
    let full = Outcome::Refused(Refusal::Full { what: Bounded::Logs, max: 3 });
    assert_eq!(ask(&mut ann, open("e", Replay::None)), full);
    assert_eq!(ask(&mut ann, publish(&["e"], "", None)), full);
    assert_eq!(say(&mut ann, "a", "").offset, 2, "those that are there go on");
    bob.unfollow("b");
    assert_eq!(ask(&mut ann, publish(&["b", "e"], "", None)), full, "b can't make room for itself");
    assert_eq!(say(&mut ann, "b", "").offset, 2);
    assert_eq!(say(&mut ann, "e", "").offset, 1);
    assert_eq!(cluster.usage().logs, 3);
}

#[test]
fn bytes_of_all_logs_are_taken_from_the_least_used_first() {
    let limits = Limits { bytes: 10_000, ..Limits::default() };
    let cluster = cluster(limits);
    let mut ann = silent(&cluster);
    let body = "x".repeat(1000);
    let heads: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|channel| {
            say(&mut ann, channel, &body);
            say(&mut ann, channel, &body)
        })
        .collect();
    let mut present = |channel| opened(&mut ann, channel, Replay::Last(9), NOW).1;
    assert_eq!([present("b"), present("c"), present("a")], [2, 2, 2]);
    for _ in 0..5 {
        say(&mut ann, "d", &body);
        assert!(cluster.usage().bytes <= limits.bytes);
    }
    let mut present = |channel| opened(&mut ann, channel, Replay::Last(9), NOW).1;
    let left = [present("a"), present("b"), present("c"), present("d")];
    assert!(left[0] == 2 && left[1] == 0 && left[2] < 2 && left[3] == 5, "{left:?}");
    assert_eq!(opened(&mut ann, "b", Replay::After(heads[1]), NOW), (heads[1], 0, true));
}

#[test]
fn an_entry_larger_than_a_log_is_delivered_and_not_kept() {
    let cluster = cluster(Limits { bytes_per_channel: 1000, ..Limits::default() });
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("tea");
    let first = say(&mut ann, "tea", "a");
    let large = say(&mut ann, "tea", &"x".repeat(1000));
    say(&mut ann, "tea", "b");
    assert_eq!(poll(&mut bob).iter().filter(|event| matches!(event, Event::Entry(_))).count(), 3);
    assert_eq!(opened(&mut ann, "tea", Replay::After(first), NOW).1, 1);
    assert!(!opened(&mut ann, "tea", Replay::After(first), NOW).2);
    assert!(opened(&mut ann, "tea", Replay::After(large), NOW).2);
}
