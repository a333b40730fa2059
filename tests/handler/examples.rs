//! The tutorials' servers of `examples/`, each replaying the sessions of its dialect.

use sockeye::serve::{Handler, Options};

use crate::probe::Running;
use crate::replay::{replay, sessions};

#[path = "../../examples/broadcast.rs"]
mod broadcast;
#[path = "../../examples/directory.rs"]
mod directory;
#[path = "../../examples/im/main.rs"]
mod im;
#[path = "../../examples/named_chat.rs"]
mod named_chat;

fn replays<H: Handler + Default + Send + 'static>(dialect: &str) {
    let mut replayed = 0;
    for session in sessions(dialect) {
        let server = Running::with(Options::default(), H::default());
        replay(&session, "/", &server.addresses);
        replayed += 1;
    }
    println!("{replayed} sessions of {dialect}");
}

#[test]
fn broadcast_passes_the_sessions_of_tutorials_000_and_001() {
    replays::<broadcast::Chat>("broadcast");
}

#[test]
fn directory_passes_the_sessions_of_the_user_directory() {
    replays::<directory::Directory>("directory");
}

#[test]
fn named_chat_passes_the_sessions_of_tutorial_002() {
    replays::<named_chat::NamedChat>("named");
}

#[test]
fn im_passes_the_sessions_of_tutorial_003() {
    replays::<im::Im>("im");
}

#[test]
fn each_is_under_40_lines() {
    for name in ["broadcast.rs", "directory.rs", "named_chat.rs", "im/main.rs"] {
        let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines < 40, "{name} has {lines}");
    }
}
