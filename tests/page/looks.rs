//! The page for eyes, hands and screen readers: keyboard only, phone width, light and dark, without
//! storage; and the pictures of it.

use serde_json::json;

use crate::browser::{Browser, Page};
use crate::chat::{Bot, Host, person, room};

#[test]
fn everything_goes_by_keyboard() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let (first, second) = (room("keys"), room("other"));
    let page = browser.page(&format!("http://{}/#{first}", host.address));
    // The first visit asks for a name, with the field ready.
    page.until("document.querySelector('#name').open");
    page.write("keyla");
    page.press("Enter");
    page.is_connected();
    page.until("document.activeElement.id === 'text'");
    assert_eq!(page.text("#me-name"), "keyla");
    page.write("one");
    page.press("Shift+Enter");
    page.write("two");
    page.press("Enter");
    page.sees("one\ntwo");

    // The first stop of the tabulator leads past all the rest.
    page.value("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')");
    page.press("Tab");
    assert_eq!(page.value("document.activeElement.id"), "skip");
    let visible = page.value("document.activeElement.getBoundingClientRect().top >= 0");
    assert_eq!(visible, true);
    page.press("Enter");
    assert_eq!(page.value("document.activeElement.id"), "text");

    // To the field that joins rooms, backwards, and back with Alt and an arrow.
    for _ in 0..60 {
        page.press("Shift+Tab");
        if page.value("document.activeElement.id") == "join-name" {
            break;
        }
    }
    page.write(&second);
    page.press("Enter");
    let title = |room: &str| format!("document.querySelector('#title').textContent === '#{room}'");
    page.until(&title(&second));
    assert_eq!(page.value("location.hash"), format!("#{second}"));
    page.press("Alt+ArrowUp");
    page.until(&title(&first));
    page.press("Alt+ArrowDown");
    page.until(&title(&second));

    // Help opens by keyboard, holds the focus and gives it back.
    page.value("document.querySelector('#help-open').focus()");
    page.press("Enter");
    page.until("document.querySelector('#help').open");
    page.press("Escape");
    page.until("!document.querySelector('#help').open");
    assert_eq!(page.value("document.activeElement.id"), "help-open");
    page.press("Escape");
    assert_eq!(page.value("document.activeElement.id"), "text");
    page.is_content();
}

#[test]
fn everything_has_a_name_for_those_who_do_not_see_it() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("names");
    let mut bot = Bot::enter(host.address, "bot", &room);
    bot.say(&room, 1, &json!("hello"));
    let page = person(&browser, host.address, "ada", &room);
    page.sees("hello");
    let tree = page.call("Accessibility.getFullAXTree", json!({}));
    let mut roles = Vec::new();
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default().to_owned();
        let name = node["name"]["value"].as_str().unwrap_or_default().trim();
        if node["ignored"] == false
            && ["button", "link", "textbox", "dialog", "log"].contains(&role.as_str())
        {
            assert_ne!(name, "", "{node}");
        }
        roles.push(role);
    }
    for role in ["navigation", "main", "complementary", "log", "status", "heading", "textbox"] {
        assert!(roles.iter().any(|it| it == role), "no {role}");
    }
    let log = page.value("getComputedStyle(document.querySelector('#log')).display");
    assert_ne!(log, "none");
}

/// The lowest contrast of a text to what is behind it, with the text: WCAG 2.2, 1.4.3.
const CONTRAST: &str = r"(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
  let worst = [99, ''], texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || e.closest('.unseen')) continue;
    texts++;
    const a = light(rgba(getComputedStyle(e).color)), b = light(behind(e));
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < worst[0]) worst = [contrast, walk.currentNode.data + ' in ' + e.className + ' ' + e.id];
  }
  return [...worst, texts];
})()";

#[test]
fn text_can_be_read_in_light_and_in_dark() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("contrast");
    let page = scene(&browser, &host, &room);
    for scheme in ["light", "dark"] {
        page.prefers("prefers-color-scheme", scheme);
        page.until(&format!("matchMedia('(prefers-color-scheme: {scheme})').matches"));
        for open in ["", "help", "name"] {
            if !open.is_empty() {
                page.click(if open == "help" { "#help-open" } else { "#me" });
                page.until(&format!("document.querySelector('#{open}').open"));
            }
            let worst = page.value(CONTRAST);
            assert!(worst[0].as_f64().unwrap() >= 4.5, "{scheme} {open}: {worst}");
            assert!(worst[2].as_u64().unwrap() > 30, "{scheme}: {worst}");
            if !open.is_empty() {
                page.press("Escape");
                page.until(&format!("!document.querySelector('#{open}').open"));
            }
        }
    }
    page.is_content();
}

#[test]
fn a_phone_has_one_column_and_a_drawer() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("phone");
    let page = person(&browser, host.address, "ada", &room);
    page.say(&"a very long word ".repeat(20));
    page.say(&"x".repeat(400));
    for width in [320, 390] {
        page.size(width, 700, true);
        page.until(&format!("innerWidth === {width}"));
        page.until("getComputedStyle(document.querySelector('#side')).visibility === 'hidden'");
        page.value("document.querySelector('#people-close').click()");
        assert_eq!(page.value("document.documentElement.scrollWidth"), width);
        assert_eq!(
            page.value("document.querySelector('main').getBoundingClientRect().width"),
            width
        );
        let inside = page.value(
            "[...document.querySelectorAll('main *')].every(e => e.getBoundingClientRect().right <= innerWidth + 1)",
        );
        assert_eq!(inside, true, "something sticks out at {width}");
        let scroll = "document.querySelector('#scroll')";
        let hidden = page.value(&format!("{scroll}.scrollWidth - {scroll}.clientWidth"));
        assert_eq!(hidden, 0, "messages are wider than {width}");
        page.click("#side-open");
        page.until("document.activeElement.id === 'side-close'");
        page.until("document.querySelector('#side').getBoundingClientRect().left === 0");
        page.press("Escape");
        page.until("getComputedStyle(document.querySelector('#side')).visibility === 'hidden'");
        assert_eq!(page.value("document.activeElement.id"), "side-open");
    }
    page.is_content();
}

#[test]
fn it_works_where_nothing_may_be_stored() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = room("nostore");
    let refuse =
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })";
    let page = browser.page_with(&format!("http://{}/?user=ada#{room}", host.address), refuse);
    page.is_connected();
    page.say("kept nowhere");
    page.all_is_sent();
    page.sees("kept nowhere");
    page.is_content();
}

/// A room in which people talked, and one who looks at it.
fn scene<'a>(browser: &'a Browser, host: &Host, room: &str) -> Page<'a> {
    let mut ines = Bot::enter(host.address, "Ines", room);
    let mut omar = Bot::enter(host.address, "Omar", room);
    let irina = Bot::enter(host.address, "Ирина", room);
    ines.say(room, 1, &json!("Morning! The new sensors are in the river."));
    ines.say(room, 2, &json!("First reading at https://example.org/river/7 (more at noon)"));
    omar.say(room, 1, &json!({"station": 7, "celsius": 11.4, "fish": 212}));
    omar.say(room, 2, &json!("212 fish before breakfast ☺ that is a record"));
    ines.say(room, 3, &json!("שלום לכולם, נהדר!"));
    omar.say(room, 3, &json!({"base64": "AAECAwQFBgc="}));
    let page = person(browser, host.address, "Ada", room);
    page.say("And the camera? I would like to see them jump.");
    page.all_is_sent();
    ines.say(room, 4, &json!("Tomorrow, if it stays dry.\nBring boots."));
    page.sees("Tomorrow, if it stays dry.\nBring boots.");
    let mut direct = Bot::enter(host.address, "Omar", room);
    direct.send(&json!({"op": "tell", "to": "Ada", "seq": 1, "body": "Lunch at one?"}));
    direct.until("ack");
    page.until("document.querySelector('#directs .badge:not([hidden])')");
    // They stay for as long as the page is looked at.
    std::mem::forget((ines, omar, irina, direct));
    page
}

#[test]
#[ignore = "writes the pictures of the documentation anew: cargo test --test page -- --ignored"]
fn pictures_for_the_documentation() {
    let Some(browser) = Browser::start() else { return };
    let host = Host::start();
    let room = "river";
    let page = scene(&browser, &host, room);
    let save = |page: &Page<'_>, name: &str| {
        std::thread::sleep(std::time::Duration::from_millis(400));
        let picture = page.picture();
        assert!(picture.len() <= 150_000, "{name}: {} bytes", picture.len());
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/screenshots/");
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(format!("{directory}{name}.png"), picture).unwrap();
    };
    page.size(1100, 740, false);
    page.prefers("prefers-color-scheme", "light");
    save(&page, "chat-light");
    page.prefers("prefers-color-scheme", "dark");
    save(&page, "chat-dark");
    page.prefers("prefers-color-scheme", "light");
    page.size(390, 780, true);
    save(&page, "phone");
}
