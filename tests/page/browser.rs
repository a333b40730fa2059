//! A headless Chromium, driven over its DevTools WebSocket by the client of this package. It knows no
//! chat: it opens pages, presses keys and looks.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sockeye::client::{Client, ClientError, Connect, Received};

/// How long anything may take before the test gives up: a busy machine starts a browser slowly.
const PATIENCE: Duration = Duration::from_secs(60);

/// A few browsers at once would only wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) struct Browser {
    child: Child,
    profile: PathBuf,
    wire: RefCell<Wire>,
    _turn: MutexGuard<'static, ()>,
}

/// The DevTools conversation: numbered calls, and events that come in between.
struct Wire {
    client: Client,
    calls: u64,
    events: Vec<Value>,
}

impl Browser {
    /// `None` after saying why, where there is no Chromium; a failure if the tools are required.
    pub(crate) fn start() -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let name = format!("sockeye-page-{}", std::process::id());
        let profile = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&profile);
        std::fs::create_dir_all(&profile).unwrap();
        let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
        let Some(child) = names.iter().find_map(|name| spawn(name, &profile)) else {
            let required = std::env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some_and(|it| it == "1");
            assert!(!required, "none of {names:?} can be run");
            eprintln!("skipped: none of {names:?} can be run");
            return None;
        };
        // From here on the child is ended, whatever fails.
        let mut guard = Unborn(Some(child), profile.clone());
        let endpoint = endpoint(&profile);
        let mut client = Connect::new().max_payload(64 << 20).open(&endpoint).unwrap();
        client.set_read_timeout(Some(PATIENCE));
        let child = guard.0.take().expect("the child is taken once");
        let wire = RefCell::new(Wire { client, calls: 0, events: Vec::new() });
        Some(Self { child, profile, wire, _turn: turn })
    }

    /// A page in a browser of its own, as far as cookies, storage and focus go.
    pub(crate) fn page(&self, url: &str) -> Page<'_> {
        self.page_with(url, "")
    }

    /// The same, where `script` runs before any script of the page.
    pub(crate) fn page_with(&self, url: &str, script: &str) -> Page<'_> {
        let context = self.call(None, "Target.createBrowserContext", json!({}));
        let target = self.call(
            None,
            "Target.createTarget",
            json!({"url": "about:blank", "browserContextId": context["browserContextId"], "newWindow": true}),
        );
        let attached = self.call(
            None,
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let target = target["targetId"].as_str().unwrap().to_owned();
        let page = Page { browser: self, session, target, url: url.to_owned() };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        if !script.is_empty() {
            page.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
        }
        page.size(1280, 800, false);
        page.open(url);
        page
    }

    fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let answer = self.try_call(session, method, &params);
        answer.unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    fn try_call(
        &self,
        session: Option<&str>,
        method: &str,
        params: &Value,
    ) -> Result<Value, Value> {
        let mut wire = self.wire.borrow_mut();
        wire.calls += 1;
        let id = wire.calls;
        let mut request = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        wire.client.text(&request.to_string()).unwrap();
        loop {
            let event = wire.receive().expect("the browser answers in time");
            if event["id"] == id {
                return event
                    .get("error")
                    .map_or(Ok(event["result"].clone()), |it| Err(it.clone()));
            }
            wire.events.push(event);
        }
    }
}

impl Wire {
    /// `None` if nothing came within the time that the client waits.
    fn receive(&mut self) -> Option<Value> {
        loop {
            match self.client.receive() {
                Ok(Some(Received::Text(text))) => return serde_json::from_str(&text).ok(),
                Ok(Some(_)) => {}
                Err(ClientError::TimedOut) => return None,
                Ok(None) => panic!("the browser ended"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.wire.borrow_mut().client.text(r#"{"id":0,"method":"Browser.close"}"#);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None))
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        end(&mut self.child, &self.profile);
    }
}

/// A browser whose endpoint is not known yet.
struct Unborn(Option<Child>, PathBuf);

impl Drop for Unborn {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child, &self.1);
        }
    }
}

fn end(child: &mut Child, profile: &PathBuf) {
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(profile);
}

fn spawn(name: &str, profile: &std::path::Path) -> Option<Child> {
    Command::new(name)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--hide-scrollbars"])
        .args(["--disable-background-timer-throttling", "--disable-renderer-backgrounding"])
        .args(["--disable-backgrounding-occluded-windows", "--lang=en-US"])
        .arg("--remote-debugging-port=0")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("about:blank")
        .env("LANGUAGE", "en_US")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

/// The browser writes down where it listens.
fn endpoint(profile: &std::path::Path) -> String {
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        if let Some((port, path)) = text.split_once('\n')
            && path.starts_with('/')
        {
            return format!("ws://127.0.0.1:{port}{}", path.trim_end());
        }
        assert!(begin.elapsed() < PATIENCE, "the browser does not say where it listens");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One tab. Selectors are CSS; scripts are expressions.
pub(crate) struct Page<'a> {
    browser: &'a Browser,
    session: String,
    target: String,
    url: String,
}

impl Page<'_> {
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    pub(crate) fn open(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.protocol !== 'about:'");
    }

    /// Closes the tab, as people do.
    pub(crate) fn close(self) {
        self.browser.call(None, "Target.closeTarget", json!({"targetId": self.target}));
    }

    /// The value of an expression; promises are awaited.
    pub(crate) fn value(&self, script: &str) -> Value {
        let params = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params);
        assert_eq!(answer.get("exceptionDetails"), None, "{script}");
        answer["result"]["value"].clone()
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?})?.innerText ?? ''"));
        text.as_str().unwrap_or_default().trim().to_owned()
    }

    /// Waits until the expression is true.
    pub(crate) fn until(&self, script: &str) {
        let begin = Instant::now();
        loop {
            // While a page is being replaced there is nobody to ask.
            let params = json!({"expression": format!("Boolean({script})"), "returnByValue": true});
            let answer = self.browser.try_call(Some(&self.session), "Runtime.evaluate", &params);
            if answer.is_ok_and(|answer| answer["result"]["value"] == true) {
                return;
            }
            if begin.elapsed() > PATIENCE {
                let shown = self.value("document.body.innerText");
                panic!(
                    "not so in time: {script}\nthe page shows:\n{}",
                    shown.as_str().unwrap_or("")
                );
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// A real click in the middle of the element, on whatever lies on top there.
    pub(crate) fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})?.getClientRects().length"));
        let place = self.value(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'nearest'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Text as an input method gives it: into what has the focus.
    pub(crate) fn write(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// A key by its DOM name, with `Alt+`, `Shift+` before it where needed.
    pub(crate) fn press(&self, name: &str) {
        let key = name.rsplit('+').next().unwrap_or_default();
        let alt = i32::from(name.contains("Alt+"));
        let shift = 8 * i32::from(name.contains("Shift+"));
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            "ArrowUp" => (38, ""),
            "ArrowDown" => (40, ""),
            _ => panic!("no key {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": alt | shift});
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    pub(crate) fn size(&self, width: u32, height: u32, mobile: bool) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// A media feature as a person's system sets it: `prefers-color-scheme`, `dark`.
    pub(crate) fn prefers(&self, feature: &str, value: &str) {
        let features = json!([{"name": feature, "value": value}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// A PNG of what is visible.
    pub(crate) fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(data).unwrap()
    }

    /// What the browser complained of: errors, warnings, violations of the policy, requests that leave
    /// the page's own host. `is_forgiven` names those that belong to the test.
    pub(crate) fn complaints(&self, is_forgiven: impl Fn(&str) -> bool) -> Vec<String> {
        self.value("0"); // All events up to now are here after an answer.
        let wire = self.browser.wire.borrow();
        let host = self.url.split('/').nth(2).unwrap_or_default();
        let own = |url: &str| {
            url.split('/').nth(2) == Some(host)
                || url.starts_with("data:")
                || url.starts_with("blob:")
        };
        let mine = wire.events.iter().filter(|event| event["sessionId"] == self.session.as_str());
        let complaints = mine.filter_map(|event| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => Some(params["args"].to_string()),
                "Log.entryAdded" => {
                    Some(format!("{} {}", params["entry"]["text"], params["entry"]["url"]))
                }
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str()?;
                    (!own(url)).then(|| format!("request to {url}"))
                }
                "Network.webSocketCreated" => {
                    let url = params["url"].as_str()?;
                    (!own(url)).then(|| format!("socket to {url}"))
                }
                _ => None,
            }
        });
        complaints.filter(|text| !is_forgiven(text)).collect()
    }
}
