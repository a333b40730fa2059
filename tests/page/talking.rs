//! People talk: in rooms, alone, over a lost connection, and with hostile text.

use serde_json::json;

use crate::browser::Browser;
use crate::chat::{Bot, Host, escaped, person, room};
use crate::proxy::Proxy;

/// A name, or whatever is written, that would run if it became markup.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>";

#[test]
fn two_people_talk() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("talk");
    let ada = person(&browser, host.address, "ada", &room);
    let bob = person(&browser, host.address, "bob", &room);
    ada.until("document.querySelectorAll('#members li').length === 2");
    assert_eq!(ada.text("#subtitle"), "2 people here");

    ada.value("document.querySelector('#text').focus()");
    ada.write("hello bo");
    bob.until("document.querySelector('#typing').textContent === 'ada is typing …'");
    ada.write("b");
    ada.press("Enter");
    bob.sees("hello bob");
    bob.until("document.querySelector('#typing').textContent === ''");
    bob.say("hello ada :fish:");
    ada.sees("hello ada 🐟");
    ada.all_is_sent();
    bob.all_is_sent();
    assert_eq!(ada.log(), ["hello bob", "hello ada 🐟"]);
    assert_eq!(ada.log(), bob.log());

    bob.is_content();
    bob.close();
    ada.until("document.querySelectorAll('#members li').length === 1");
    ada.is_content();
}

#[test]
fn a_room_shows_who_comes_later_what_was_said() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("history");
    let mut bot = Bot::enter(host.address, "bot", &room);
    for n in 1..=250 {
        bot.say(&room, n, &json!(format!("number {n}")));
    }
    let ada = person(&browser, host.address, "ada", &room);
    ada.sees("number 250");
    // Upwards until the first.
    for _ in 0..20 {
        ada.value("document.querySelector('#scroll').scrollTop = 0");
        std::thread::sleep(std::time::Duration::from_millis(100));
        if ada.log().len() == 250 {
            break;
        }
    }
    ada.sees("number 1");
    let all: Vec<String> = (1..=250).map(|n| format!("number {n}")).collect();
    assert_eq!(ada.log(), all);
    // News do not move what is being read.
    bot.say(&room, 251, &json!("number 251"));
    ada.until("!document.querySelector('#latest').hidden");
    ada.click("#latest");
    ada.sees("number 251");
    // And a flood is no burden: the oldest go.
    for n in 252..=800 {
        bot.say(&room, n, &json!(format!("number {n}")));
    }
    ada.sees("number 800");
    ada.until("document.querySelectorAll('#log .message').length <= 500");
    ada.is_content();
}

#[test]
fn over_a_lost_connection_everything_arrives_once_and_in_order() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let proxy = Proxy::before(host.address);
    let room = room("drop");
    let ada = person(&browser, proxy.address, "ada", &room);
    let bob = person(&browser, host.address, "bob", &room);
    ada.say("before");
    bob.sees("before");

    proxy.cut();
    ada.until("document.querySelector('#state').dataset.state === 'waiting'");
    let mut all = vec!["before".to_owned()];
    for n in 0..20 {
        bob.say(&format!("missed {n}"));
        all.push(format!("missed {n}"));
    }
    bob.all_is_sent();
    for n in 0..20 {
        ada.say(&format!("offline {n}"));
        all.push(format!("offline {n}"));
    }
    ada.until("document.querySelectorAll('#log [data-state=queued]').length === 20");
    assert_eq!(bob.log().len(), 21);

    proxy.mend();
    ada.click("#state-now");
    ada.is_connected();
    ada.all_is_sent();
    ada.sees("missed 19");
    bob.sees("offline 19");
    assert_eq!(ada.log(), all);
    assert_eq!(bob.log(), all);
    assert_eq!(bob.complaints(|_| false), Vec::<String>::new());
    assert_eq!(
        ada.complaints(|text| text.contains("WebSocket connection to")),
        Vec::<String>::new()
    );
}

#[test]
fn a_connection_that_breaks_again_and_again_doubles_nothing() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let proxy = Proxy::before(host.address);
    let room = room("breaks");
    let ada = person(&browser, proxy.address, "ada", &room);
    let bob = person(&browser, host.address, "bob", &room);
    // Cut in the middle of sending: what was sent and not acknowledged goes once more.
    for round in 0..8 {
        for n in 0..10 {
            ada.value(&format!(
                "(() => {{ const f = document.querySelector('#text'); f.value = 'r{round} {n}'; f.form.requestSubmit(); }})()"
            ));
        }
        proxy.cut();
        proxy.mend();
        ada.value("document.querySelector('#state-now').click()");
    }
    ada.is_connected();
    ada.all_is_sent();
    let all: Vec<String> = (0..8).flat_map(|r| (0..10).map(move |n| format!("r{r} {n}"))).collect();
    bob.sees("r7 9");
    ada.sees("r7 9");
    assert_eq!(bob.log(), all);
    assert_eq!(ada.log(), all);
}

#[test]
fn what_would_be_markup_stays_text() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = format!("<b onclick=alert(1)>{}", room("x"));
    let eve = person(&browser, host.address, HOSTILE, &room);
    let bob = person(&browser, host.address, "bob", &room);
    eve.say(HOSTILE);
    bob.sees(HOSTILE);
    eve.say("javascript:alert(1) data:text/html,x https://example.org/?a=<script> (see http://example.org/b).");
    bob.until("document.querySelectorAll('#log .body a').length === 2");
    let links = bob.value(
        "[...document.querySelectorAll('#log .body a')].map(a => [a.href, a.rel, a.target])",
    );
    let rel = "noopener noreferrer nofollow";
    assert_eq!(
        links,
        json!([
            ["https://example.org/?a=", rel, "_blank"],
            ["http://example.org/b", rel, "_blank"]
        ])
    );
    assert_eq!(bob.text("#title"), format!("#{room}"));
    assert_eq!(bob.text("#log .author bdi"), HOSTILE);
    eve.click("#members li:last-child button");
    eve.say("only for you");
    bob.until("document.querySelector('#directs bdi')");
    assert_eq!(bob.text("#directs bdi"), HOSTILE);
    for page in [&eve, &bob] {
        assert_eq!(page.value("typeof window.hacked"), "undefined");
        assert_eq!(
            page.value("document.querySelectorAll('#log img, #log script, main b').length"),
            0
        );
        page.is_content();
    }
}

#[test]
fn a_direct_message_reaches_one_person_and_waits_for_them() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("direct");
    let (ada, bob) = (self::room("ada"), self::room("bob"));
    let page_a = person(&browser, host.address, &ada, &room);
    let page_b = person(&browser, host.address, &bob, &room);
    let page_c = person(&browser, host.address, "cleo", &room);
    page_a.click(&format!("#members [data-name={bob:?}] button"));
    page_a.until(&format!("document.querySelector('#title').textContent === {bob:?}"));
    page_a.say("a secret");
    page_a.all_is_sent();
    // An unread mark at Bob's, in the list and in the title.
    page_b.until("document.querySelector('#directs .badge:not([hidden])')");
    assert_eq!(page_b.text("#directs bdi"), ada);
    page_b.until("document.title.startsWith('(1) ')");
    page_b.click("#directs a");
    page_b.sees("a secret");
    page_b.until("!document.title.startsWith('(')");
    page_b.say("is safe");
    page_a.sees("is safe");
    assert_eq!(page_a.log(), ["a secret", "is safe"]);
    assert_eq!(page_c.value("document.querySelectorAll('#directs li').length"), 0);
    // To somebody who is away.
    page_b.is_content();
    page_b.close();
    page_a.say("for later");
    page_a.all_is_sent();
    let back = browser.page(&format!(
        "http://{}/?user={}#{}",
        host.address,
        escaped(&bob),
        escaped(&room)
    ));
    back.until("document.querySelector('#directs .badge:not([hidden])')");
    back.click("#directs a");
    back.sees("for later");
    assert_eq!(back.log(), ["a secret", "is safe", "for later"]);
    page_a.is_content();
    back.is_content();
}

#[test]
fn unread_marks_count_and_go() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let (first, second) = (room("first"), room("second"));
    let ada = person(&browser, host.address, "ada", &first);
    ada.goes_to(&second);
    let bob = person(&browser, host.address, "bob", &first);
    for n in 0..3 {
        bob.say(&format!("unread {n}"));
    }
    ada.until("document.title.startsWith('(3) ')");
    let badge = ada.value("document.querySelector('#rooms [data-unread] .badge').textContent");
    assert_eq!(badge, "3 unread");
    ada.press("Alt+ArrowUp");
    ada.sees("unread 2");
    ada.until("document.querySelector('.line.new')");
    let after = ada.value(
        "document.querySelector('.line.new').nextSibling.querySelector('.body').textContent",
    );
    assert_eq!(after, "unread 0");
    ada.until("!document.querySelector('#rooms [data-unread]') && !document.title.startsWith('(')");
    // What was read stays read when the page is opened anew.
    bob.say("read at once");
    ada.sees("read at once");
    ada.goes_to(&second);
    ada.call("Page.reload", json!({}));
    ada.until("document.querySelectorAll('#rooms li').length >= 2");
    ada.is_connected();
    ada.press("Alt+ArrowUp");
    ada.sees("read at once");
    assert_eq!(ada.value("document.querySelectorAll('#rooms [data-unread]').length"), 0);
    ada.is_content();
}

#[test]
fn bodies_of_other_kinds_are_shown_as_what_they_are() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("bodies");
    let mut bot = Bot::enter(host.address, "bot", &room);
    bot.say(&room, 1, &json!({"temperature": 21.5, "<b>": [1, null]}));
    bot.say(&room, 2, &json!({"base64": "AAEC/w=="}));
    bot.say(&room, 3, &json!("two\nlines"));
    bot.say(&room, 4, &json!(null));
    let ada = person(&browser, host.address, "ada", &room);
    ada.sees("two\nlines");
    ada.sees("null");
    assert_eq!(
        ada.text("#log pre.body"),
        "{\n  \"temperature\": 21.5,\n  \"<b>\": [\n    1,\n    null\n  ]\n}"
    );
    assert_eq!(ada.text("#log .chip"), "⬇ 4 bytes");
    ada.click("#log .chip");
    ada.is_content();
}
