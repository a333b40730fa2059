//! Who is told what, in which order, and when a node is woken.

use super::*;
use sockeye::broker::{Bounded, Refusal, Usage};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn entries_go_to_those_who_follow_and_to_the_publisher_only_if_it_does() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob, mut eve] = [(); 3].map(|()| silent(&cluster));
    bob.follow("tea");
    bob.follow("tea");
    eve.follow("coffee");
    for node in [&mut ann, &mut bob, &mut eve] {
        poll(node);
    }
    ann.submit(1, publish(&["tea"], "a", None), NOW);
    bob.submit(2, publish(&["tea"], "b", None), NOW);
    assert_eq!(words(&poll(&mut ann)), ["done 1"]);
    assert_eq!(words(&poll(&mut bob)), ["tea 1 a", "tea 2 b", "done 2"]);
    assert_eq!(words(&poll(&mut eve)), [""; 0]);
    bob.unfollow("tea");
    bob.unfollow("tea");
    ann.submit(3, publish(&["tea"], "c", None), NOW);
    assert_eq!(words(&poll(&mut bob)), [""; 0]);
}

#[test]
fn an_entry_tells_all_that_was_given_and_shares_its_bytes() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("@bob");
    poll(&mut bob);
    let content = Content {
        from: "ann".into(),
        to: Some("bob".into()),
        kind: 200,
        body: [0, 255].into(),
        origin: u64::MAX,
    };
    let channels = vec!["@bob".into(), "@ann".into()];
    ann.submit(1, Request::Publish { channels, content: content.clone(), once: None }, 12345);
    let events = poll(&mut bob);
    let [Event::Entry(entry)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&*entry.channel, entry.prev, entry.at_ms), ("@bob", 0, 12345));
    assert_eq!(entry.content, content);
    assert!(Arc::ptr_eq(&entry.content.body, &content.body), "the bytes were copied");
}

#[test]
fn a_message_to_two_channels_has_both_places_and_one_answer_behind_both() {
    let cluster = cluster(Limits::default());
    let mut ann = silent(&cluster);
    ann.follow("@bob");
    ann.follow("@ann");
    say(&mut ann, "@ann", "before");
    ann.submit(1, publish(&["@bob", "@ann"], "hi", None), NOW);
    let events = poll(&mut ann);
    assert_eq!(words(&events), ["@bob 1 hi", "@ann 2 hi", "done 1"]);
    let Some(Event::Done { outcome, .. }) = events.last().cloned() else { panic!() };
    assert_eq!(places(outcome).iter().map(|at| at.offset).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_same_channel_twice_is_one_entry() {
    let cluster = cluster(Limits::default());
    let mut ann = silent(&cluster);
    let both = places(ask(&mut ann, publish(&["@ann", "@ann"], "note to myself", None)));
    assert_eq!(both[0], both[1]);
    assert_eq!((both[0].offset, cluster.usage().entries), (1, 1));
}

#[test]
fn a_message_goes_to_one_channel_or_two() {
    let cluster = cluster(Limits::default());
    let mut ann = silent(&cluster);
    for channels in [&[][..], &["a", "b", "c"]] {
        let refusal = Refusal::Channels { count: channels.len() };
        assert_eq!(ask(&mut ann, publish(channels, "", None)), Outcome::Refused(refusal));
    }
    assert_eq!(cluster.usage().logs, 0);
}

#[test]
fn passings_and_entries_of_one_node_arrive_in_its_order() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("tea");
    poll(&mut bob);
    ann.submit(1, publish(&["tea"], "a", None), NOW);
    ann.pass(passing(Some("tea"), "types")).unwrap();
    ann.submit(2, publish(&["tea"], "b", None), NOW);
    ann.pass(passing(None, "to all")).unwrap();
    let expected = ["tea 1 a", "passed 1 types", "tea 2 b", "passed 1 to all"];
    assert_eq!(words(&poll(&mut bob)), expected);
}

#[test]
fn a_passing_reaches_the_others_that_follow_and_never_its_sender() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob, mut eve] = [(); 3].map(|()| silent(&cluster));
    ann.follow("tea");
    bob.follow("tea");
    for node in [&mut ann, &mut bob, &mut eve] {
        poll(node);
    }
    ann.pass(passing(Some("tea"), "one")).unwrap();
    ann.pass(passing(Some("nowhere"), "two")).unwrap();
    ann.pass(passing(None, "three")).unwrap();
    assert_eq!(words(&poll(&mut ann)), [""; 0]);
    assert_eq!(words(&poll(&mut bob)), ["passed 1 one", "passed 1 three"]);
    assert_eq!(words(&poll(&mut eve)), ["passed 1 three"]);
    assert!(!ann.keeps("tea"), "what is passed is not kept");
}

#[test]
fn whoever_joins_shows_the_replay_and_then_what_follows_in_its_queue() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    poll(&mut bob);
    say(&mut ann, "tea", "a");
    bob.follow("tea");
    say(&mut ann, "tea", "b");
    bob.submit(1, open("tea", Replay::Last(9)), NOW);
    say(&mut ann, "tea", "c");
    let events = poll(&mut bob);
    assert_eq!(words(&events), ["tea 2 b", "done 1", "tea 3 c"]);
    let Event::Done { outcome: Outcome::Opened { head, entries, .. }, .. } = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!((head.offset, bodies(entries)), (2, vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn nodes_are_told_of_each_other_and_a_gone_one_leaves_nothing() {
    let cluster = cluster(Limits::default());
    let mut ann = silent(&cluster);
    let mut bob = silent(&cluster);
    assert_eq!(words(&poll(&mut ann)), ["up 2"]);
    assert_eq!(words(&poll(&mut bob)), ["up 1"]);
    bob.follow("tea");
    bob.follow("coffee");
    ann.submit(1, publish(&["tea"], "waits for bob", None), NOW);
    bob.pass(passing(None, "bye")).unwrap();
    drop(bob);
    assert_eq!(words(&poll(&mut ann)), ["done 1", "passed 2 bye", "down 2"]);
    let usage = cluster.usage();
    assert_eq!((usage.nodes, usage.follows, usage.waiting), (1, 0, 0));
    let again = silent(&cluster);
    assert_eq!(again.node(), NodeId(3), "numbers are not used again");
    drop((ann, again));
    let kept = Usage { logs: 1, entries: 1, bytes: usage.bytes, ..Usage::default() };
    assert_eq!(cluster.usage(), kept);
}

#[test]
fn logs_last_as_long_as_a_node_does() {
    let mut ann = silent(&cluster(Limits::default()));
    say(&mut ann, "tea", "a");
    let mut bob = silent(&ann.cluster());
    drop(ann);
    assert!(bob.keeps("tea"));
    assert_eq!(say(&mut bob, "tea", "b").offset, 2);
}

#[test]
fn a_node_is_woken_once_by_others_until_it_polls_and_never_by_itself() {
    let cluster = cluster(Limits::default());
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let times = || woken.load(Ordering::SeqCst);
    let mut bob = cluster.join(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    bob.follow("tea");
    bob.submit(1, publish(&["tea"], "own", None), NOW);
    assert_eq!(times(), 0);
    let mut ann = silent(&cluster);
    assert_eq!(times(), 1, "a node came, though something of its own waits");
    for _ in 0..3 {
        say(&mut ann, "tea", "a");
        ann.pass(passing(None, "b")).unwrap();
    }
    assert_eq!(times(), 1);
    poll(&mut bob);
    say(&mut ann, "coffee", "not for bob");
    assert_eq!(times(), 1);
    ann.pass(passing(Some("tea"), "c")).unwrap();
    assert_eq!(times(), 2);
    poll(&mut bob);
    drop(ann);
    assert_eq!(times(), 3);
}

#[test]
fn a_wake_may_call_the_broker() {
    let cluster = cluster(Limits::default());
    let seen = Arc::new(AtomicUsize::new(0));
    let (also, inside) = (Arc::clone(&seen), cluster.clone());
    let mut bob = cluster.join(move || also.store(inside.usage().waiting, Ordering::SeqCst));
    bob.follow("tea");
    let mut ann = silent(&cluster);
    poll(&mut bob);
    poll(&mut ann);
    ann.submit(1, publish(&["tea"], "a", None), NOW);
    assert_eq!(seen.load(Ordering::SeqCst), 2, "the entry and the answer");
}

#[test]
fn what_waits_for_a_stuck_node_is_bounded_and_the_sender_is_told() {
    let limits = Limits { queue_bytes: 10_000, ..Limits::default() };
    let full = Refusal::Full { what: Bounded::QueueBytes, max: limits.queue_bytes };
    let cluster = cluster(limits);
    let [mut ann, mut bob, mut eve] = [(); 3].map(|()| silent(&cluster));
    bob.follow("tea");
    eve.follow("tea");
    let body = "x".repeat(1000);
    assert_eq!(ann.backlog(), 0);
    let mut taken = 0;
    while ask(&mut ann, publish(&["tea"], &body, None)) != Outcome::Refused(full) {
        taken += 1;
        assert!((taken * 1000..=limits.queue_bytes).contains(&ann.backlog()));
        poll(&mut eve);
    }
    assert!((5..10).contains(&taken), "{taken}");
    assert_eq!(ann.pass(passing(None, &body)), Err(full));
    assert_eq!(ann.pass(passing(Some("tea"), &body)), Err(full));
    assert!(poll(&mut eve).is_empty(), "nobody gets what somebody can't");
    assert_eq!(bob.backlog(), 0, "bob himself is the slow one");
    assert_eq!(ask(&mut ann, open("tea", Replay::None)), {
        let head = Cursor { epoch: (NOW << 10) + 1, offset: taken as u64 };
        Outcome::Opened { head, entries: vec![], recovered: true }
    });
    assert_eq!(
        say(&mut ann, "coffee", &body).offset,
        1,
        "who follows nothing of it does not count"
    );
    poll(&mut bob);
    assert_eq!(say(&mut ann, "tea", &body).offset, taken as u64 + 1);
}

#[test]
fn an_audience_is_the_others_that_follow_and_the_slowest_of_them_counts() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob, mut eve] = [(); 3].map(|()| silent(&cluster));
    ann.follow("tea");
    assert_eq!(ann.audience("tea"), None, "she alone is none");
    bob.follow("tea");
    eve.follow("coffee");
    assert_eq!(ann.audience("tea"), Some(0));
    ann.pass(passing(Some("coffee"), "x")).unwrap();
    assert_eq!(ann.audience("tea"), Some(0), "who does not follow does not count");
    ann.pass(passing(Some("tea"), "x")).unwrap();
    let one = ann.audience("tea").unwrap();
    assert!(one > 0);
    eve.follow("tea");
    ann.pass(passing(Some("tea"), "x")).unwrap();
    poll(&mut bob);
    assert_eq!(ann.audience("tea"), Some(2 * one), "eve's");
    drop((bob, eve));
    assert_eq!(ann.audience("tea"), None);
}

#[test]
fn a_refused_message_uses_up_neither_a_place_nor_its_number() {
    let limits = Limits { queue_bytes: 2000, ..Limits::default() };
    let cluster = cluster(limits);
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("@bob");
    let body = "x".repeat(1500);
    assert_eq!(say(&mut ann, "@bob", &body).offset, 1);
    let again = publish(&["@ann", "@bob"], &body, Some(("ann", 1)));
    assert!(matches!(ask(&mut ann, again.clone()), Outcome::Refused(Refusal::Full { .. })));
    assert!(!ann.keeps("@ann"), "all channels or none");
    poll(&mut bob);
    let both = places(ask(&mut ann, again));
    assert_eq!(both.iter().map(|at| at.offset).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_message_larger_than_the_bound_passes_into_an_empty_queue() {
    let cluster = cluster(Limits { queue_bytes: 1000, ..Limits::default() });
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("tea");
    assert_eq!(say(&mut ann, "tea", &"x".repeat(5000)).offset, 1);
    let second = ask(&mut ann, publish(&["tea"], "", None));
    assert!(matches!(second, Outcome::Refused(Refusal::Full { .. })));
}

#[test]
fn who_follows_both_channels_of_a_message_needs_room_for_both() {
    let cluster = cluster(Limits { queue_bytes: 5000, ..Limits::default() });
    let [mut ann, mut bob] = [(); 2].map(|()| silent(&cluster));
    bob.follow("@ann");
    bob.follow("@bob");
    let body = "x".repeat(1800);
    assert_eq!(say(&mut ann, "@bob", &body).offset, 1);
    let both = ask(&mut ann, publish(&["@bob", "@ann"], &body, None));
    assert!(matches!(both, Outcome::Refused(Refusal::Full { .. })));
    assert_eq!(say(&mut ann, "@bob", &body).offset, 2);
}

#[test]
fn what_is_polled_is_appended() {
    let cluster = cluster(Limits::default());
    let mut ann = silent(&cluster);
    let mut events = vec![Event::NodeUp(NodeId(77))];
    ann.submit(1, read("tea"), NOW);
    ann.poll(&mut events);
    ann.poll(&mut events);
    assert_eq!(words(&events), ["up 77", "done 1"]);
}

#[test]
fn who_follows_a_family_is_told_of_all_its_channels_once() {
    let cluster = cluster(Limits::default());
    let [mut ann, mut bob, mut eve] = [(); 3].map(|()| silent(&cluster));
    for family in ["@", "@", "@b"] {
        bob.follow_family(family);
    }
    eve.follow_family("@");
    bob.follow("@bob");
    say(&mut ann, "@bob", "a");
    bob.follow("@bob");
    say(&mut ann, "tea", "b");
    say(&mut ann, "@cid", "c");
    places(ask(&mut ann, publish(&["@bob", "@eve"], "d", None)));
    ann.pass(passing(Some("@bob"), "e")).unwrap();
    ann.pass(passing(Some("tea"), "f")).unwrap();
    bob.unfollow("@bob");
    say(&mut ann, "@bob", "g");
    let heard = ["@bob 1 a", "@cid 1 c", "@bob 2 d", "@eve 1 d", "passed 1 e", "@bob 3 g"];
    for node in [&mut bob, &mut eve] {
        let told = words(&poll(node));
        let told: Vec<_> = told.iter().filter(|it| !it.starts_with("up")).collect();
        assert_eq!(told, heard.each_ref());
    }
    drop(bob);
    assert_eq!(cluster.usage().follows, 0);
    say(&mut ann, "@bob", "h");
}
