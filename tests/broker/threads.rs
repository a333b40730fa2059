//! Several threads at once: each has a node, sleeps until it is woken, and misses nothing.

use super::*;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const MESSAGES: u64 = 3000;

/// A node that can sleep.
struct Sleeper {
    node: Memory,
    woken: Receiver<()>,
}

impl Sleeper {
    fn new(cluster: &Cluster) -> Self {
        let (wake, woken) = channel();
        // A node that is just gone may be woken once more: nobody hears it.
        let node = cluster.join(move || wake.send(()).unwrap_or_default());
        Self { node, woken }
    }

    /// What waits, or what comes. A wake that was lost fails the test.
    fn wait(&mut self) -> Vec<Event> {
        loop {
            let events = poll(&mut self.node);
            if !events.is_empty() {
                return events;
            }
            self.woken.recv_timeout(Duration::from_secs(30)).expect("a wake was lost");
        }
    }
}

#[test]
fn two_threads_that_sleep_until_woken_hear_all_of_each_other_in_order() {
    let cluster = cluster(Limits::default());
    let nodes = [(); 2].map(|()| {
        let mut sleeper = Sleeper::new(&cluster);
        sleeper.node.follow("tea");
        sleeper
    });
    let ends = nodes.map(|mut sleeper| {
        thread::spawn(move || {
            let mut heard: Vec<(u64, u64, String)> = Vec::new();
            let mut passed = 0;
            let me = sleeper.node.node();
            let mut take = |events: Vec<Event>| {
                for event in events {
                    match event {
                        Event::Entry(entry) => {
                            heard.push((entry.at.offset, entry.prev, text(&entry.content)));
                        }
                        Event::Passed { passing, .. } => {
                            assert_eq!(text(&passing.content), format!("{passed}"));
                            passed += 1;
                        }
                        _ => {}
                    }
                }
                (heard.len() as u64, passed)
            };
            for number in 0..MESSAGES {
                let body = format!("{} {number}", me.0);
                sleeper.node.submit(number, publish(&["tea"], &body, None), NOW);
                sleeper.node.pass(passing(Some("tea"), &format!("{number}"))).unwrap();
                if number % 7 == 0 {
                    take(poll(&mut sleeper.node));
                }
            }
            while take(Vec::new()) != (2 * MESSAGES, MESSAGES) {
                take(sleeper.wait());
            }
            heard
        })
    });
    let [ann, bob] = ends.map(|end| end.join().unwrap());
    assert_eq!(ann, bob, "all see one order");
    for (index, (offset, prev, _)) in (0u64..).zip(&ann) {
        assert_eq!((*offset, *prev), (index + 1, index));
    }
    for node in ["1", "2"] {
        let own = ann.iter().filter_map(|(.., body)| body.strip_prefix(node)?.strip_prefix(' '));
        assert!(own.eq((0..MESSAGES).map(|number| number.to_string())), "the order of node {node}");
    }
}

#[test]
fn who_joins_and_leaves_while_others_talk_has_no_gap_and_nothing_twice() {
    let cluster = cluster(Limits::default());
    let ready = Arc::new(Barrier::new(3));
    let talking = {
        let (mut node, ready) = (silent(&cluster), Arc::clone(&ready));
        thread::spawn(move || {
            ready.wait();
            for _ in 0..MESSAGES {
                say(&mut node, "tea", "a");
            }
        })
    };
    let joining = [(); 2].map(|()| {
        let (cluster, ready) = (cluster.clone(), Arc::clone(&ready));
        thread::spawn(move || {
            ready.wait();
            let mut sleeper = Sleeper::new(&cluster);
            let mut last: Option<Cursor> = None;
            loop {
                let joined = last.map_or(0, |at| at.offset);
                sleeper.node.follow("tea");
                sleeper.node.submit(
                    joined,
                    open("tea", last.map_or(Replay::None, Replay::After)),
                    NOW,
                );
                let mut here = false;
                while !here || last.is_some_and(|at| at.offset < MESSAGES.min(joined + 3)) {
                    for event in sleeper.wait() {
                        match event {
                            Event::Done { ticket, outcome } => {
                                let Outcome::Opened { head, entries, recovered } = outcome else {
                                    panic!("{outcome:?}")
                                };
                                assert!(ticket == joined && !here);
                                // Slower than a log is long: then it is said.
                                let mut at = if recovered { last } else { None };
                                for entry in entries {
                                    assert!(at.is_none_or(|at| at.offset == entry.prev));
                                    at = Some(entry.at);
                                }
                                assert!(at.is_none_or(|at| at == head));
                                last = Some(head);
                                here = true;
                            }
                            Event::Entry(entry) if here => {
                                assert_eq!(last.map(|at| at.offset), Some(entry.prev));
                                last = Some(entry.at);
                            }
                            _ => {}
                        }
                    }
                }
                if last.is_some_and(|at| at.offset == MESSAGES) {
                    return;
                }
                // What waits from before is not looked at, as by a hub whose room is empty.
                sleeper.node.unfollow("tea");
                poll(&mut sleeper.node);
            }
        })
    });
    talking.join().unwrap();
    for joiner in joining {
        joiner.join().unwrap();
    }
    let usage = cluster.usage();
    assert_eq!((usage.nodes, usage.follows, usage.waiting, usage.logs), (0, 0, 0, 1));
}
