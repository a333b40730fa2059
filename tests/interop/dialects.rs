//! The shipped server and the libraries that the tutorials' chats are written with, as clients: each row
//! of the dialects' description with each of them.

use crate::node;
use crate::process::Server;

const LIBRARIES: [&str; 2] = ["ws", "nodejs-websocket"];

/// Runs one case of `dialects.cjs` with every library, against one loop and several.
fn case(name: &str) {
    for library in LIBRARIES {
        for shards in ["1", "3"] {
            let server = Server::start(&["--shards", shards]);
            let url = format!("ws://{}", server.addresses[0]);
            let Some(child) = node("dialects.cjs", &[library, &url, name]) else { return };
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said, "ok\n", "{name} with {library} and {shards} loops");
            assert!(output.status.success());
        }
    }
}

#[test]
fn what_is_sent_to_echo_comes_back_as_it_was() {
    case("echo");
}

#[test]
fn ten_million_bytes_pass_and_a_library_that_takes_no_such_frame_may_say_so() {
    case("large");
}

#[test]
fn more_than_the_limit_is_closed_with_1009() {
    case("too-large");
}

#[test]
fn a_broadcast_goes_to_all_others_of_the_room() {
    case("broadcast");
}

#[test]
fn a_peers_fault_costs_that_peer_only() {
    case("faults");
}

#[test]
fn a_close_is_echoed() {
    case("close");
}

#[test]
fn the_first_subprotocol_offered_is_chosen() {
    case("subprotocols");
}

#[test]
fn a_directory_forwards_to_whoever_registered() {
    case("direct");
}

#[test]
fn any_json_is_an_id_and_types_differ() {
    case("direct-ids");
}

#[test]
fn who_registers_twice_is_found_where_they_are_newest() {
    case("direct-twice");
}

#[test]
fn the_named_chat_welcomes_and_names_everybody() {
    case("named");
}

#[test]
fn one_to_one_messages_reach_both() {
    case("im");
}

#[test]
fn a_channel_is_taken_over_and_goes_back() {
    case("im-takeover");
}

#[test]
fn a_crowd_that_talks_at_once_hears_everything_in_order() {
    case("crowd");
}
