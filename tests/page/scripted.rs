//! What the page makes of things that a relay says seldom, or should not say at all. The page is the
//! server's, its WebSocket is a stand-in that says what the test wants.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::chat::Host;

/// `relay.heard`: what the page sent since its last connection. `relay.says(event)`, `relay.closes(code)`.
const STAND_IN: &str = r"
  window.relay = { opened: 0, heard: [] };
  window.WebSocket = class {
    static OPEN = 1;
    constructor(url, protocols) {
      Object.assign(this, { url, readyState: 0 });
      relay.opened++;
      relay.heard = [];
      relay.protocols = protocols;
      relay.says = event => this.onmessage({ data: typeof event === 'string' ? event : JSON.stringify(event) });
      relay.closes = (code, reason = '') => { this.readyState = 3; this.onclose({ code, reason }); };
      setTimeout(() => { this.readyState = 1; this.onopen(); });
    }
    send(text) { relay.heard.push(JSON.parse(text)); }
    close() { this.readyState = 3; }
  };
";

/// A page in the room `r` whose log has begun, greeted and connected.
fn greeted<'a>(browser: &'a Browser, host: &Host) -> Page<'a> {
    let page = browser.page_with(&format!("http://{}/?user=ada#r", host.address), STAND_IN);
    greet(&page);
    page.until("relay.heard.some(it => it.op === 'join' && it.room === 'r')");
    says(
        &page,
        &json!({"ev": "joined", "room": "r", "epoch": 1, "offset": 0, "prev": 0, "recovered": true, "members": ["ada"], "online": 1}),
    );
    page
}

fn greet(page: &Page<'_>) {
    page.until("relay.heard.some(it => it.op === 'hello')");
    says(
        page,
        &json!({"ev": "hello", "session": "s", "user": "ada", "limits": {}, "inbox": {"epoch": 1, "offset": 0, "prev": 0, "recovered": true}}),
    );
    page.is_connected();
}

fn says(page: &Page<'_>, event: &Value) {
    page.value(&format!("relay.says({event})"));
}

fn message(offset: u64, prev: u64, body: &str) -> Value {
    json!({"ev": "message", "room": "r", "epoch": 1, "offset": offset, "prev": prev, "from": "bob", "at": 1_700_000_000_000_u64, "body": body})
}

/// Waits for a request that the expression `it` is true of.
fn hears(page: &Page<'_>, it: &str) -> Value {
    page.until(&format!("relay.heard.some(it => {it})"));
    page.value(&format!("relay.heard.find(it => {it})"))
}

#[test]
fn a_hole_is_filled_before_what_comes_after_it() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    says(&page, &message(1, 0, "one"));
    says(&page, &message(4, 3, "four"));
    says(&page, &message(5, 4, "five"));
    let asked = hears(&page, "it.op === 'history' && it.after === 1");
    page.sees("one");
    assert_eq!(page.log(), ["one"]);
    says(
        &page,
        &json!({"ev": "history", "id": asked["id"], "room": "r", "epoch": 1, "messages": [message(2, 1, "two"), message(3, 2, "three")]}),
    );
    page.sees("five");
    // What comes twice is shown once.
    says(&page, &message(3, 2, "three"));
    says(&page, &message(6, 5, "six"));
    page.sees("six");
    assert_eq!(page.log(), ["one", "two", "three", "four", "five", "six"]);
    assert_eq!(page.value("document.querySelectorAll('.line.gap').length"), 0);
    page.is_content();
}

#[test]
fn a_hole_that_cannot_be_filled_is_shown() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    says(&page, &message(1, 0, "one"));
    says(&page, &message(4, 3, "four"));
    let asked = hears(&page, "it.op === 'history' && it.after === 1");
    says(
        &page,
        &json!({"ev": "history", "id": asked["id"], "room": "r", "epoch": 1, "messages": []}),
    );
    page.sees("four");
    let lines = page.value("[...document.querySelectorAll('#log > li:not(:has(time)), #log > .message')].map(li => li.querySelector('.body')?.textContent ?? li.textContent).slice(1)");
    assert_eq!(lines, json!(["one", "Some messages are missing here", "four"]));
    page.is_content();
}

#[test]
fn after_a_drop_the_page_resumes_where_it_was_and_says_what_is_gone() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    assert_eq!(page.value("relay.protocols"), json!(["chat.sockeye.v1"]));
    says(&page, &message(1, 0, "one"));
    let producer = hears(&page, "it.op === 'hello'")["producer"].clone();
    page.value("relay.closes(4008)");
    page.until("relay.opened === 2");
    let hello = hears(&page, "it.op === 'hello'");
    let at = json!({"epoch": 1, "offset": 1});
    assert_eq!(hello["resume"], json!({"@ada": {"epoch": 1, "offset": 0}, "r": at}));
    assert_eq!(hello["producer"], producer);
    greet(&page);
    says(
        &page,
        &json!({"ev": "joined", "room": "r", "epoch": 2, "offset": 1, "prev": 0, "recovered": false, "online": 1}),
    );
    let mut anew = message(1, 0, "anew");
    anew["epoch"] = 2.into();
    says(&page, &anew);
    page.sees("anew");
    assert_eq!(page.log(), ["one", "anew"]);
    assert_eq!(page.text(".line.gap"), "Some messages are missing here");
    page.is_content();
}

#[test]
fn a_replay_that_ends_early_is_continued() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    says(&page, &message(1, 0, "one"));
    page.value("relay.closes(1006)");
    page.until("relay.opened === 2");
    greet(&page);
    says(
        &page,
        &json!({"ev": "joined", "room": "r", "epoch": 1, "offset": 4, "prev": 1, "recovered": true, "more": true, "online": 1}),
    );
    says(&page, &message(2, 1, "two"));
    let ping = hears(&page, "it.op === 'ping'");
    says(&page, &json!({"ev": "pong", "id": ping["id"]}));
    let asked = hears(&page, "it.op === 'history' && it.after === 2");
    says(&page, &message(5, 4, "five"));
    says(
        &page,
        &json!({"ev": "history", "id": asked["id"], "room": "r", "epoch": 1, "messages": [message(3, 2, "three"), message(4, 3, "four")]}),
    );
    page.sees("five");
    assert_eq!(page.log(), ["one", "two", "three", "four", "five"]);
    page.is_content();
}

#[test]
fn a_message_is_marked_until_it_has_its_place_and_stands_there_once() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    page.say("mine");
    let said = hears(&page, "it.op === 'say'");
    page.until("document.querySelector('#log [data-state=sent]')");
    // The acknowledgement comes first, and the message of another before mine.
    says(&page, &json!({"ev": "ack", "seq": said["seq"], "room": "r", "epoch": 1, "offset": 2}));
    page.until("document.querySelector('#log [data-state=acked]')");
    says(&page, &message(1, 0, "theirs"));
    let mut mine = message(2, 1, "mine");
    mine["from"] = "ada".into();
    says(&page, &mine);
    page.all_is_sent();
    assert_eq!(page.log(), ["theirs", "mine"]);
    // The other order: first the message, then the acknowledgement.
    page.say("again");
    let said = hears(&page, "it.body === 'again'");
    let mut again = message(3, 2, "again");
    again["from"] = "ada".into();
    says(&page, &again);
    says(&page, &json!({"ev": "ack", "seq": said["seq"], "room": "r", "epoch": 1, "offset": 3}));
    page.all_is_sent();
    page.sees("again");
    assert_eq!(page.log(), ["theirs", "mine", "again"]);
    page.is_content();
}

#[test]
fn a_refused_message_says_why_and_can_be_sent_again() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    page.say("no");
    let said = hears(&page, "it.op === 'say'");
    says(
        &page,
        &json!({"ev": "error", "code": "forbidden", "message": "Only members may speak.", "seq": said["seq"]}),
    );
    page.until("document.querySelector('#log .refused')");
    assert!(page.text("#log .refused").starts_with("Not sent: Only members may speak."));
    page.click("#log .refused button");
    // Under a number of its own: the old one is too low once others have followed.
    hears(&page, "it.op === 'say' && it.seq === 2 && it.body === 'no'");
    page.say("more");
    hears(&page, "it.seq === 3");
    // Too fast: later and again by itself, behind what was sent meanwhile.
    says(
        &page,
        &json!({"ev": "error", "code": "rate_limited", "message": "Wait.", "seq": 2, "retry": 50}),
    );
    hears(&page, "it.op === 'say' && it.seq === 4 && it.body === 'no'");
    // Unsure whether it was stored: again under the same number.
    says(
        &page,
        &json!({"ev": "error", "code": "unavailable", "message": "Wait.", "seq": 4, "retry": 50}),
    );
    page.until("relay.heard.filter(it => it.seq === 4).length === 2");
    page.is_content();
}

#[test]
fn a_relay_that_asks_not_to_come_back_is_left_alone() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    page.value("relay.closes(4503, 'banned for an hour')");
    page.until("document.querySelector('#state').dataset.state === 'stopped'");
    assert!(page.text("#state").contains("banned for an hour"));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(page.value("relay.opened"), 1);
    page.click("#state-now");
    page.until("relay.opened === 2");
    page.is_content();
}

#[test]
fn a_relay_that_goes_down_says_when_to_come_back() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    says(&page, &json!({"ev": "drain", "reconnect_in_ms": 60_000}));
    page.value("relay.closes(1001)");
    page.until("document.querySelector('#state').dataset.state === 'waiting'");
    page.until("/again in (5\\d|60) s/.test(document.querySelector('#state').textContent)");
    page.is_content();
}

#[test]
fn what_the_page_does_not_know_it_ignores() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    let odd = [
        json!(null),
        json!([1, 2]),
        json!("text"),
        json!({}),
        json!({"ev": "of a later relay", "x": {"y": 1}}),
        json!({"ev": "message"}),
        json!({"ev": "message", "room": "nowhere", "epoch": 1, "offset": 1}),
        json!({"ev": "message", "room": "r", "epoch": 1, "offset": "1"}),
        json!({"ev": "direct", "epoch": 1}),
        json!({"ev": "ack"}),
        json!({"ev": "ack", "seq": 99, "epoch": null}),
        json!({"ev": "presence"}),
        json!({"ev": "presence", "room": "r", "user": {"a": 1}, "change": "dances", "online": "many"}),
        json!({"ev": "signal"}),
        json!({"ev": "signal", "room": "r", "from": 7, "body": {"typing": "perhaps"}}),
        json!({"ev": "signal", "room": "r", "from": "bob", "body": null}),
        json!({"ev": "read"}),
        json!({"ev": "left"}),
        json!({"ev": "history"}),
        json!({"ev": "hello"}),
        json!({"ev": "joined"}),
        json!({"ev": "pong", "extra": true}),
    ];
    for event in &odd {
        says(&page, event);
    }
    page.value("relay.says('not JSON')");
    let mut strange = message(1, 0, "");
    strange["from"] = json!({"id": [1]});
    strange["at"] = json!("yesterday");
    strange["body"] = json!(false);
    strange["more"] = json!("of a later relay");
    says(&page, &strange);
    page.sees("false");
    assert_eq!(page.text("#log .author bdi"), "{\"id\":[1]}");
    page.is_content();
}

#[test]
fn a_new_name_waits_until_what_was_written_under_the_old_one_is_sent() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let page = greeted(&browser, &host);
    page.say("from ada");
    let said = hears(&page, "it.op === 'say'");
    page.click("#me");
    page.until("document.querySelector('#name').open");
    page.write("grace");
    page.press("Enter");
    page.until("!document.querySelector('#name').open");
    assert_eq!(page.value("relay.opened"), 1);
    let producer = hears(&page, "it.op === 'hello'")["producer"].clone();
    says(&page, &json!({"ev": "ack", "seq": said["seq"], "room": "r", "epoch": 1, "offset": 1}));
    page.until("relay.opened === 2");
    let hello = hears(&page, "it.op === 'hello'");
    assert_eq!(hello["user"], "grace");
    assert_ne!(hello["producer"], producer, "another person numbers anew");
    assert_eq!(page.text("#me-name"), "grace");
    page.is_content();
}
