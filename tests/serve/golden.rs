//! Replays the recorded sessions against the binary.

use crate::process::Server;
use crate::replay::{replay, sessions};

fn replay_all(folder: &str, base: &str) {
    for session in sessions(folder) {
        // However many loops there are, nobody sees a difference.
        for shards in ["1", "3"] {
            replay(&session, base, &Server::start(&["--shards", shards]).addresses);
        }
    }
}

#[test]
fn the_broadcast_of_tutorials_000_and_001() {
    replay_all("broadcast", "/broadcast");
}

#[test]
fn the_user_directory_of_tutorials_000_and_001() {
    replay_all("directory", "/direct");
}

#[test]
fn the_named_chat_of_tutorial_002() {
    replay_all("named", "/ws");
}

#[test]
fn the_one_to_one_chat_of_tutorial_003() {
    replay_all("im", "/im");
}

#[test]
fn the_echo() {
    replay_all("echo", "/echo");
}
