//! What a page of one's own gets from the browser's WebSocket with this server behind it: kinds of data,
//! closes, refusals, what is still to be sent; from another origin and from a file.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::process::Server;
use crate::proxy::Proxy;

/// For scripts: `open(url)`, `next(socket, kind)` and `closing(socket)` as promises.
const HELPERS: &str = r"
  const open = (url, setup = () => {}) => new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.errors = 0;
    socket.onerror = () => socket.errors++;
    setup(socket);
    socket.onopen = () => resolve(socket);
    socket.onclose = event => reject(new Error(`closed with ${event.code}`));
  });
  const next = socket => new Promise(resolve => { socket.onmessage = event => resolve(event.data); });
  const closing = socket => new Promise(resolve => {
    socket.onclose = ({ code, reason, wasClean }) =>
      resolve({ code, reason, wasClean, errors: socket.errors, state: socket.readyState });
  });
";

/// The value of an asynchronous function's body.
fn run(page: &Page<'_>, body: &str) -> Value {
    page.value(&format!("(async () => {{ {HELPERS} {body} }})()"))
}

fn home<'a>(browser: &'a Browser, server: &Server) -> Page<'a> {
    browser.page(&format!("http://{}/healthz", server.addresses[0]))
}

#[test]
fn text_is_a_string_and_binary_what_the_page_wants_it_to_be() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&[]);
    let page = home(&browser, &server);
    let seen = run(
        &page,
        &format!(
            r"
            const seen = [];
            const socket = await open('ws://{}/echo');
            seen.push(socket.binaryType, socket.protocol, socket.extensions, socket.readyState);
            const echo = data => {{ const data_ = next(socket); socket.send(data); return data_; }};
            const text = await echo('grüße 🐟');
            seen.push(typeof text, text);
            const blob = await echo(new Uint8Array([0, 254, 255]));
            seen.push(blob.constructor.name, [...new Uint8Array(await blob.arrayBuffer())]);
            socket.binaryType = 'arraybuffer';
            const buffer = await echo(new Blob(['from a blob']));
            seen.push(buffer.constructor.name, new TextDecoder().decode(buffer));
            const empty = await echo(new ArrayBuffer(0));
            seen.push(empty.constructor.name, empty.byteLength, await echo(''));
            return seen;
            ",
            server.addresses[0]
        ),
    );
    assert_eq!(
        seen,
        json!([
            "blob",
            "",
            "",
            1,
            "string",
            "grüße 🐟",
            "Blob",
            [0, 254, 255],
            "ArrayBuffer",
            "from a blob",
            "ArrayBuffer",
            0,
            ""
        ])
    );
}

#[test]
fn what_is_buffered_goes_down_to_nothing_after_ten_million_bytes() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&[]);
    let page = home(&browser, &server);
    let seen = run(
        &page,
        &format!(
            r"
            const socket = await open('ws://{}/echo', it => {{ it.binaryType = 'arraybuffer'; }});
            const back = next(socket);
            const data = new Uint8Array(10000000).fill(7);
            socket.send(data.buffer);
            const at_once = socket.bufferedAmount;
            while (socket.bufferedAmount > 0) await new Promise(resolve => setTimeout(resolve, 5));
            const echo = new Uint8Array(await back);
            return [at_once, socket.bufferedAmount, echo.length, echo.every(byte => byte === 7)];
            ",
            server.addresses[0]
        ),
    );
    assert_eq!(seen, json!([10_000_000, 0, 10_000_000, true]));
}

#[test]
fn a_close_has_its_code_and_reason_and_is_clean() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&[]);
    let proxy = Proxy::before(server.addresses[0]);
    let page = home(&browser, &server);
    let clean = |code: u16, reason: &str| json!({"code": code, "reason": reason, "wasClean": true, "errors": 0, "state": 3});
    let url = format!("ws://{}/chat?room=tea", server.addresses[0]);
    for (arguments, seen) in [
        ("4321, 'enough 🐟'", clean(4321, "enough 🐟")),
        ("1000", clean(1000, "")),
        ("", clean(1005, "")),
    ] {
        let body = format!(
            "const socket = await open('{url}'); const end = closing(socket); socket.close({arguments}); return await end;"
        );
        assert_eq!(run(&page, &body), seen, "close({arguments})");
    }
    // The line is cut.
    page.value(&format!(
        "(async () => {{ {HELPERS} const socket = await open('ws://{}/echo'); window.cut = closing(socket); }})()",
        proxy.address
    ));
    proxy.cut();
    let cut = page.value("window.cut");
    assert_eq!((&cut["code"], &cut["wasClean"]), (&json!(1006), &json!(false)), "{cut}");
    // The server goes down.
    page.value(&format!(
        "(async () => {{ {HELPERS} const socket = await open('{url}'); window.down = closing(socket); }})()"
    ));
    server.signal("TERM");
    let down = page.value("window.down");
    assert_eq!((&down["code"], &down["wasClean"]), (&json!(1001), &json!(true)), "{down}");
}

#[test]
fn a_refusal_is_an_error_and_1006() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&["--origin", "https://example.com", "--path", "other=off"]);
    let page = home(&browser, &server);
    let open = Server::start(&["--path", "other=off"]);
    for url in [
        format!("ws://{}/chat", server.addresses[0]),
        format!("ws://{}/nowhere", open.addresses[0]),
        format!("ws://{}/chat?room=@inbox", open.addresses[0]),
    ] {
        let body = format!(
            "const socket = new WebSocket('{url}'); socket.errors = 0; socket.onerror = () => socket.errors++; \
             return await closing(socket);"
        );
        assert_eq!(
            run(&page, &body),
            json!({"code": 1006, "reason": "", "wasClean": false, "errors": 1, "state": 3}),
            "{url}"
        );
    }
}

/// A chat as beginners write it: no framework, no error handling, `localhost`.
fn own_page(port: u16) -> String {
    format!(
        r#"<!doctype html><meta charset="utf-8"><textarea id="log"></textarea><input id="text"><button onclick="socket.send(document.getElementById('text').value)">send</button>
<script>
  var socket = new WebSocket("ws://localhost:{port}/ws");
  var log = document.getElementById('log');
  socket.onmessage = function (event) {{ log.value += '\n' + event.data; }};
  socket.onopen = function () {{ log.value = 'open'; }};
  socket.onclose = function () {{ log.value = 'closed'; }};
</script>"#
    )
}

/// Serves one page to everybody, on a port that is another origin.
fn elsewhere(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
    });
    address
}

struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn pages_of_another_origin_and_from_a_file_chat_with_each_other() {
    let Some(browser) = Browser::start() else { return };
    // `localhost` is either address, on one port.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (four, six) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    let server = Server::listening(&["--listen", &four, "--listen", &six], 1);
    let file = File(
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("own-{}.html", std::process::id())),
    );
    std::fs::write(&file.0, own_page(port)).unwrap();
    let other = browser.page(&format!("http://{}/", elsewhere(own_page(port))));
    let local = browser.page(&format!("file://{}", file.0.display()));
    for page in [&other, &local] {
        page.until("document.getElementById('log').value.startsWith('open\\nWelcome ')");
    }
    for (from, to, text) in
        [(&other, &local, "from another origin"), (&local, &other, "<b>from a file</b>")]
    {
        from.value(&format!("document.getElementById('text').value = {}", json!(text)));
        from.click("button");
        for page in [from, to] {
            page.until(&format!(
                "document.getElementById('log').value.endsWith({})",
                json!(format!(" -> {text}"))
            ));
        }
    }
    server.signal("TERM");
    for page in [&other, &local] {
        page.until("document.getElementById('log').value === 'closed'");
    }
}
