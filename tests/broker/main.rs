//! The memory broker from outside: what nodes ask, and what each is told, in order.

#![cfg(feature = "broker")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod delivery;
mod keeping;
mod model;
mod resending;
mod threads;
mod tight;

use sockeye::broker::{
    Broker, Cluster, Content, Cursor, Entry, Event, Limits, Memory, NodeId, Once, Outcome, Passing,
    Replay, Request,
};
use std::sync::Arc;

/// The start of a cluster in these tests, and the time of most requests.
const NOW: u64 = 1_700_000_000_000;

fn cluster(limits: Limits) -> Cluster {
    Cluster::new(limits, NOW)
}

fn silent(cluster: &Cluster) -> Memory {
    cluster.join(|| {})
}

fn content(body: &str) -> Content {
    Content { from: "ann".into(), to: None, kind: 1, body: body.as_bytes().into(), origin: 9 }
}

fn publish(channels: &[&str], body: &str, once: Option<(&str, u64)>) -> Request {
    Request::Publish {
        channels: channels.iter().map(|&channel| channel.into()).collect(),
        content: content(body),
        once: once.map(|(producer, seq)| Once { producer: producer.into(), seq }),
    }
}

fn open(channel: &str, replay: Replay) -> Request {
    Request::Open { channel: channel.into(), keep: true, replay, limit: usize::MAX }
}

/// Without a log for its own sake.
fn look(channel: &str, replay: Replay) -> Request {
    Request::Open { channel: channel.into(), keep: false, replay, limit: usize::MAX }
}

fn read(channel: &str) -> Request {
    Request::Read { channel: channel.into(), before: None, after: None, limit: usize::MAX }
}

fn passing(channel: Option<&str>, body: &str) -> Passing {
    Passing { channel: channel.map(Arc::from), content: content(body) }
}

fn poll(node: &mut Memory) -> Vec<Event> {
    let mut events = Vec::new();
    node.poll(&mut events);
    events
}

/// Asks at a time, and gives the answer; everything else that waited is skipped.
fn ask_at(node: &mut Memory, request: Request, at_ms: u64) -> Outcome {
    const TICKET: u64 = 0xa5;
    node.submit(TICKET, request, at_ms);
    // Other threads' doings may stand behind it.
    let answer = poll(node).into_iter().rev().find_map(|event| match event {
        Event::Done { ticket: TICKET, outcome } => Some(outcome),
        _ => None,
    });
    answer.unwrap()
}

fn ask(node: &mut Memory, request: Request) -> Outcome {
    ask_at(node, request, NOW)
}

/// The places of something new.
fn places(outcome: Outcome) -> Vec<Cursor> {
    match outcome {
        Outcome::Published { places, duplicate: false } => places,
        other => panic!("{other:?}"),
    }
}

/// Publishes to one channel and gives the place.
fn say(node: &mut Memory, channel: &str, body: &str) -> Cursor {
    places(ask(node, publish(&[channel], body, None)))[0]
}

fn bodies(entries: &[Arc<Entry>]) -> Vec<String> {
    entries.iter().map(|entry| text(&entry.content)).collect()
}

fn text(content: &Content) -> String {
    String::from_utf8(content.body.to_vec()).unwrap()
}

/// Events in a word each.
fn words(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Done { ticket, .. } => format!("done {ticket}"),
            Event::Entry(entry) => {
                format!("{} {} {}", entry.channel, entry.at.offset, text(&entry.content))
            }
            Event::Passed { from: NodeId(node), passing } => {
                format!("passed {node} {}", text(&passing.content))
            }
            Event::NodeUp(NodeId(node)) => format!("up {node}"),
            Event::NodeDown(NodeId(node)) => format!("down {node}"),
        })
        .collect()
}
