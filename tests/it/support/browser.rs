//! Debian's Chromium without a screen, driven by WebDriver: what a person would see, press and type.
//!
//! The protocol is JSON over HTTP, and a page is driven by a handful of its requests: a library for all of it would bring
//! two dozen crates that nothing else here needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::process::Process;
use super::{eventually, eventually_async};

/// Judges whether a page can be used without seeing or pointing.
const AXE: &str = include_str!("../../vendor/axe-core/axe.min.js");

/// A WebDriver element's name in JSON.
/// <https://www.w3.org/TR/webdriver2/#elements>
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What a screen is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Screen {
    pub(crate) const DESK: Self = Self { width: 1280, height: 800, dark: false };
    pub(crate) const PHONE: Self = Self { width: 360, height: 740, dark: true };

    pub(crate) fn dark(self, dark: bool) -> Self {
        Self { dark, ..self }
    }
}

/// A browser with one window. Dropping it ends it; if its test failed, what it showed is kept in the folder `failed` of the
/// build.
#[derive(Debug)]
pub(crate) struct Browser {
    _driver: Process,
    _folder: tempfile::TempDir,
    client: reqwest::Client,
    session: String,
    pid: Pid,
    name: &'static str,
}

impl Browser {
    /// Starts it; `name` tells its failures apart.
    pub(crate) async fn start(name: &'static str, screen: Screen) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let driver = Process::start("chromedriver", &["--port=0"], folder.path());
        let log = folder.path().join("chromedriver.log");
        let port = eventually("chromedriver listens", Duration::from_secs(20), || {
            let said = fs::read_to_string(&log).expect("a log");
            let port = said.split_once("started successfully on port ")?.1.split_once('.')?.0;
            Some(port.parse::<u16>().expect("a port"))
        })
        .await;
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--hide-scrollbars",
                "--autoplay-policy=no-user-gesture-required", "--no-first-run", profile],
        });
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let base = format!("http://127.0.0.1:{port}/session");
        let opened = call(&client, Method::POST, &base, &wanted).await;
        let pid = opened["capabilities"]["goog:processID"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let session = format!("{base}/{}", opened["sessionId"].as_str().expect("a session"));
        let browser = Self { _driver: driver, _folder: folder, client, session, pid: pid.expect("a process"), name };
        browser.look_like(screen).await;
        browser
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        call(&self.client, Method::POST, &format!("{}/{path}", self.session), body).await
    }

    /// Changes the screen under the page.
    pub(crate) async fn look_like(&self, screen: Screen) {
        let Screen { width, height, dark } = screen;
        let theme = if dark { "dark" } else { "light" };
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]});
        for (command, params) in [("setDeviceMetricsOverride", size), ("setEmulatedMedia", media)] {
            self.post("goog/cdp/execute", &json!({"cmd": format!("Emulation.{command}"), "params": params})).await;
        }
    }

    /// Opens an address.
    pub(crate) async fn open(&self, url: &str) {
        self.post("url", &json!({"url": url})).await;
    }

    /// What a function's body returns in the page; it may wait.
    pub(crate) async fn ask(&self, script: &str) -> Value {
        let script = format!("return (async () => {{ {script} }})()");
        self.post("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Waits until an expression of the page is true in its sense of the word; its value.
    pub(crate) async fn until(&self, what: &str, seconds: u64, expression: &str) -> Value {
        let script = format!("return ({expression})");
        let truthy = |value: &Value| ![Value::Null, json!(false), json!(0), json!("")].contains(value);
        let look = || async { Some(self.ask(&script).await).filter(&truthy) };
        eventually_async(what, Duration::from_secs(seconds), look).await
    }

    /// Waits until something that can be seen says `text`.
    pub(crate) async fn says(&self, text: &str, seconds: u64) {
        let wanted = json!(text);
        self.until(&format!("the page says {text:?}"), seconds, &format!("document.body.innerText.includes({wanted})"))
            .await;
    }

    /// Waits for an element that can be seen, by CSS; its WebDriver id.
    async fn find(&self, css: &str) -> String {
        let script = format!(
            "return [...document.querySelectorAll({})].find(e => e.checkVisibility() && !e.disabled)",
            json!(css)
        );
        let look = || async { self.ask(&script).await[ELEMENT].as_str().map(str::to_owned) };
        eventually_async(&format!("{css} can be seen"), Duration::from_secs(20), look).await
    }

    /// Presses the button or link whose name is `text`, as a screen reader would say it.
    pub(crate) async fn press(&self, text: &str) {
        let script = format!(
            "const name = e => e.getAttribute('aria-label') ?? e.textContent.trim();\n\
             const all = [...document.querySelectorAll('button, a, summary, [role=tab]')];\n\
             return all.find(e => name(e) === {} && e.checkVisibility() && !e.disabled)",
            json!(text)
        );
        let look = || async { self.ask(&script).await[ELEMENT].as_str().map(str::to_owned) };
        let element = eventually_async(&format!("there is {text:?} to press"), Duration::from_secs(20), look).await;
        self.post(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Types into a field, in place of what it holds.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/clear"), &json!({})).await;
        self.post(&format!("element/{element}/value"), &json!({"text": text})).await;
    }

    /// Strikes a key, by its WebDriver code, where the focus is.
    pub(crate) async fn keys(&self, key: &str) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]})).await;
    }

    /// A picture of the window.
    pub(crate) async fn screenshot(&self, path: &Path) {
        screenshot(&self.client, &self.session, path).await;
    }

    /// What those who cannot see or point would stumble over: faults that are serious or worse.
    pub(crate) async fn barriers(&self) -> Vec<String> {
        // By the driver, which no policy of the page stops.
        self.post("execute/sync", &json!({"script": AXE, "args": []})).await;
        let found = self
            .ask(
                "const {violations} = await axe.run(document, {resultTypes: ['violations']});\n\
                 return violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>\n\
                 `${v.id}: ${v.help}: ` + v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | '))",
            )
            .await;
        serde_json::from_value(found).expect("a list")
    }

    /// How far the page is wider than the window, in pixels.
    pub(crate) async fn overflow(&self) -> i64 {
        let wide = "const e = document.documentElement; return e.scrollWidth - e.clientWidth";
        self.ask(wide).await.as_i64().expect("a number")
    }

    /// Errors of the page that nobody caught, and what its policy stopped, since it was opened.
    pub(crate) async fn complaints(&self) -> Vec<Value> {
        let log = self.post("se/log", &json!({"type": "browser"})).await;
        let severe = |entry: &&Value| entry["level"] == "SEVERE" && entry["source"] != "network";
        log.as_array().expect("a list").iter().filter(severe).cloned().collect()
    }
}

async fn call(client: &reqwest::Client, method: Method, url: &str, body: &Value) -> Value {
    let request = client.request(method.clone(), url);
    let request = if method == Method::GET { request } else { request.json(body) };
    let mut answer: Value = request.send().await.expect("an answer of chromedriver").json().await.expect("JSON");
    let value = answer["value"].take();
    assert!(value["error"].is_null() || value["stacktrace"].is_null(), "{body:.300}: {}", value["message"]);
    value
}

async fn screenshot(client: &reqwest::Client, session: &str, path: &Path) {
    let picture = call(client, Method::GET, &format!("{session}/screenshot"), &Value::Null).await;
    let png = BASE64_STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, png).expect("a file");
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = pictures().join("failed").join(format!("{}.png", self.name));
            let (client, session) = (reqwest::Client::builder().no_proxy().build(), self.session.clone());
            let kept = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(screenshot(&client.expect("a client"), &session, &path));
            });
            drop(kept.join());
        }
        // Its children notice; the driver would leave it behind.
        kill_process(self.pid, Signal::KILL).ok();
    }
}

/// Where pictures of the page go.
pub(crate) fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots")
}
