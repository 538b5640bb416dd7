//! The dashboard in a real browser: what a person sees, presses and is told, with real shows behind it.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::state_folder::StateFolder;

use crate::dashboard_sources::choose;
use crate::live::{middle, program_zero};
use crate::support::browser::{Browser, Screen, pictures};
use crate::support::daemon::{Daemon, House};
use crate::support::nginx::Nginx;
use crate::support::show::{Space, write_secret};
use crate::support::{turn, turn_alone};

/// Gives the token as a person would.
pub(crate) async fn sign_in(browser: &Browser, daemon: &Daemon, token: &str) {
    browser.open(&daemon.url).await;
    browser.fill("input[type=password]", token).await;
    browser.press("Sign in").await;
    browser.until("signed in", 10, "document.querySelector('nav')").await;
}

/// Opens a page by its address after `#`.
pub(crate) async fn turn_to(browser: &Browser, page: &str, heading: &str) {
    browser.ask(&format!("location.hash = '{page}'")).await;
    let found = format!("document.querySelector('h1')?.textContent.includes('{heading}')");
    browser.until(&format!("the page {page}"), 10, &found).await;
}

/// Nobody stumbles, in any theme, and nothing is wider than a phone.
async fn look_around(browser: &Browser, page: &str) {
    for screen in [Screen::DESK, Screen::DESK.dark(true), Screen::PHONE, Screen::PHONE.dark(false)] {
        browser.look_like(screen).await;
        let theme = if screen.dark { "dark" } else { "light" };
        browser.screenshot(&pictures().join(format!("{page}-{theme}-{}.png", screen.width))).await;
        assert_eq!(browser.overflow().await, 0, "{page} is wider than {} pixels", screen.width);
        if screen.width == Screen::DESK.width || page == "show" {
            assert_eq!(browser.barriers().await, Vec::<String>::new(), "{page}, {theme}");
        }
    }
    browser.look_like(Screen::DESK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_is_made_steered_and_ended_in_the_browser() {
    let _turn = turn().await;
    let ingest = Nginx::start("live").await;
    let house = House::new();
    let mut daemon = house.serve(&[]).await;
    let browser = Browser::start("dashboard", Screen::DESK).await;
    browser.open(&daemon.url).await;
    browser.says("Sign in", 10).await;
    look_around(&browser, "sign-in").await;
    browser.fill("input[type=password]", "wrong").await;
    browser.press("Sign in").await;
    browser.says("wrong", 10).await;
    sign_in(&browser, &daemon, &daemon.operate).await;
    by_keyboard(&browser).await;

    browser.press("New show").await;
    browser.fill("[name=link]", "tone").await;
    browser.press("More").await;
    browser.fill("[name=name]", "night").await;
    browser.fill("[name=title]", "<img src=x onerror=alert(1)> & more").await;
    for way in ["whep", "speaker", "janus", "link"] {
        choose(&browser, way).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "the form, {way}");
    }
    look_around(&browser, "create").await;
    browser.press("Create the show").await;
    browser.until("its page", 20, "location.hash === '#/shows/night'").await;
    browser.until("it is live", 40, "document.querySelector('h1 .state')?.textContent === 'Live'").await;
    browser.says("<img src=x onerror=alert(1)> & more", 5).await;

    // An output that a real server takes.
    browser.press("Add an output").await;
    let custom = "(document.querySelector('dialog option[value=custom]') ?? {}).selected = true";
    browser.until("the platforms are there", 10, "document.querySelector('dialog option')").await;
    browser.ask(custom).await;
    browser.fill("dialog [name=name]", "mirror").await;
    browser.fill("dialog [name=url]", &ingest.url()).await;
    browser.fill("dialog [name=key]", "a-hidden-key").await;
    assert_eq!(browser.barriers().await, Vec::<String>::new(), "the dialog");
    browser.press("Put it on the air").await;
    let on_the_air = "document.querySelector('[data-output=mirror] .state')?.textContent === 'On the air'";
    browser.until("the output is on the air", 30, on_the_air).await;
    ingest.grows(100_000).await;
    browser.press("Restart mirror").await;
    browser
        .until("it publishes again", 30, &format!("document.body.innerText.includes('1 reconnect ·') && {on_the_air}"))
        .await;

    steer(&browser, &daemon).await;
    begins_by_itself(&browser).await;
    look_around(&browser, "show").await;
    turn_to(&browser, "#/", "Shows").await;
    browser.says("mirror: on the air", 10).await;
    look_around(&browser, "shows").await;
    turn_to(&browser, "#/shows/night", "more").await;
    look_only(&browser, &daemon).await;
    lose_and_find(&browser, &house, &mut daemon).await;

    browser.press("End").await;
    browser.says("This cannot be undone.", 5).await;
    browser.press("End the show").await;
    browser.until("it is ending", 20, "document.querySelector('h1 .state')?.textContent === 'Ending'").await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new(), "the page's own errors");
    assert!(!daemon.said().contains("a-hidden-key"));
}

/// A time is set for the show, told in words, and taken away again.
async fn begins_by_itself(browser: &Browser) {
    browser.press("Set a time").await;
    browser.until("the question", 5, "document.querySelector('dialog [name=at]')").await;
    browser.ask("document.querySelector('dialog [name=at]').value = '2035-01-02T20:00'").await;
    assert_eq!(browser.barriers().await, Vec::<String>::new(), "the dialog of a time");
    browser.press("Set").await;
    browser.says("on the air from", 10).await;
    browser.press("Take the time away").await;
    browser.says("No time is set.", 10).await;
}

/// The first key leads past the head to the content, and on from there: nothing needs a pointer.
async fn by_keyboard(browser: &Browser) {
    browser.ask("document.querySelector('.skip').focus()").await;
    let mut met = Vec::new();
    for _ in 0..6 {
        browser.keys("\u{e004}").await;
        met.push(browser.ask("return document.activeElement.textContent.trim()").await);
    }
    assert!(met.contains(&json!("New show")) && met.contains(&json!("Sign out")), "{met:?}");
    browser.ask("document.querySelector('.skip').focus()").await;
    browser.keys("\u{e007}").await;
    browser.keys("\u{e004}").await;
    assert_eq!(browser.ask("return document.activeElement.textContent").await, "New show");
}

/// Who may only look presses nothing.
async fn look_only(browser: &Browser, daemon: &Daemon) {
    for (token, role) in [(&daemon.view, "may look"), (&daemon.operate, "may do everything")] {
        browser.press("Sign out").await;
        browser.fill("input[type=password]", token).await;
        browser.press("Sign in").await;
        browser.says(role, 10).await;
        browser.until("the outputs", 10, "document.querySelector('[data-output=mirror]')").await;
        let pressable = "return [...document.querySelectorAll('main button')]\
                         .filter(b => b.checkVisibility() && !b.disabled).map(b => b.textContent)";
        let pressable = browser.ask(pressable).await;
        assert_eq!(pressable == json!(["Listen in"]), role == "may look", "{role}: {pressable}");
    }
}

/// Slate, delay, cut, mark: each shows on the page.
async fn steer(browser: &Browser, daemon: &Daemon) {
    browser.until("the slate is seen", 20, "document.querySelector('img.slate')?.naturalWidth === 1280").await;
    browser.until("the meter moves", 10, "document.querySelector('[role=meter]').dataset.seconds").await;
    browser.fill("[name=mark]", "A place").await;
    browser.press("Mark").await;
    browser.says("Marked: A place", 10).await;
    browser.fill("[name=delay]", "5").await;
    browser.press("Set the delay").await;
    browser.says("said in the last 5 s", 30).await;
    browser.press("Cut").await;
    browser.until("the cut is told", 20, "/cut/i.test(document.getElementById('toast').textContent)").await;
    browser.fill("[name=slate]", "Back at nine").await;
    browser.press("Show").await;
    browser.until("the slate says so", 30, "document.querySelector('img.slate').alt.includes('Back at nine')").await;
    let status = daemon.get("/api/v1/shows/night").await;
    assert!(status["status"]["program"]["cut_ms"].as_u64().is_some_and(|ms| ms > 0), "{status}");
}

/// The daemon is killed: the page says so at once, and goes on by itself when it is back.
async fn lose_and_find(browser: &Browser, house: &House, daemon: &mut Daemon) {
    let address = daemon.url.trim_start_matches("http://").to_owned();
    daemon.stop(Signal::KILL).await;
    let lost = Instant::now();
    browser
        .until("the loss is told", 10, "document.getElementById('lost').textContent.includes('does not answer')")
        .await;
    let told = lost.elapsed();
    println!("daemon killed: the page says so after {:.2} s", told.as_secs_f64());
    assert!(told < Duration::from_secs(3), "{told:?}");
    browser.screenshot(&pictures().join("lost.png")).await;
    *daemon = house.serve(&["--listen", &address]).await;
    let back = Instant::now();
    browser.until("it goes on", 10, "document.getElementById('lost').textContent === ''").await;
    browser
        .until(
            "it can be pressed",
            10,
            "[...document.querySelectorAll('button')].some(b => b.textContent === 'End' && !b.disabled)",
        )
        .await;
    println!("daemon back: the page goes on after {:.2} s", back.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_light_runs_only_its_own_files_and_is_asked_for_once() {
    let house = House::new();
    let daemon = house.serve(&[]).await;
    let (mut waiting, mut seen, mut bytes) = (vec!["/".to_owned()], Vec::new(), 0);
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        let answer = daemon.bare(Method::GET, &path).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let (tag, policy) = (answer.headers()["etag"].clone(), answer.headers()["content-security-policy"].clone());
        assert!(policy.to_str().expect("text").starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        let known = daemon.bare(Method::GET, &path).header("if-none-match", tag).send().await.expect("an answer");
        assert_eq!(known.status(), 304, "{path}");
        let text = answer.text().await.expect("text");
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick=", "style=\""]
        {
            assert!(!text.contains(word), "{path} has {word}");
        }
        let folder = path.rsplit_once('/').expect("a path").0;
        let named =
            text.split(['"', '\'']).filter(|word| [".js", ".css", ".svg"].iter().any(|end| word.ends_with(end)));
        for name in named {
            let base = url::Url::parse(&format!("http://x{folder}/")).expect("an address");
            waiting.push(base.join(name).expect("an address").path().to_owned());
        }
        bytes += text.len();
        seen.push(path);
    }
    println!("the page: {} files, {:.1} kB", seen.len(), bytes as f64 / 1000.0);
    assert!(seen.len() > 10 && bytes < 300_000, "{bytes} bytes in {seen:?}");
    assert!(seen.iter().any(|path| path == "/web/timeline.js"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_recording_is_seen_exported_heard_and_deleted_in_the_browser() {
    let _turn = turn().await;
    let house = House::new();
    let space = Space::running_for(60).await;
    log_in(&house);
    house.show("night", &space.config());
    let daemon = house.serve(&[]).await;
    let kept = |show: &Value| show["status"]["recording"]["seconds"].as_f64().is_some_and(|seconds| seconds > 8.0);
    daemon.until("night", "recording", 60, kept).await;
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "over", 60, |show| show["standing"] == "off" && show["state"] == "ended").await;
    let browser = Browser::start("recordings", Screen::DESK).await;
    sign_in(&browser, &daemon, &daemon.operate).await;
    browser.press("Recordings").await;
    browser.says("1 recording", 10).await;
    look_around(&browser, "recordings").await;
    browser.press("Rehearsal: the ruler, live").await;
    browser.until("the recording is seen", 10, "document.querySelector('h1 .state')?.textContent === 'Finished'").await;
    let waves = "(c => c && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v))(document.querySelector('canvas'))";
    browser.until("the waveform is drawn", 10, waves).await;
    browser.press("Export").await;
    assert_eq!(browser.barriers().await, Vec::<String>::new(), "the dialog");
    browser.press("Make the files").await;
    browser.until("the export is done", 60, "/export: done/.test(document.querySelector('.job')?.textContent)").await;
    let length = "document.querySelector('audio[controls]')?.duration > 5";
    browser.until("it can be played", 20, length).await;
    browser.ask("const a = document.querySelector('audio[controls]'); a.currentTime = 4; await a.play()").await;
    browser
        .until(
            "it plays from where it was sought to",
            10,
            "document.querySelector('audio[controls]').currentTime > 4.3",
        )
        .await;
    let fetched = "const link = document.querySelector('a[download$=m4a]'); const got = await fetch(link.href);\n\
                   return [got.status, (await got.blob()).size > 20000]";
    assert_eq!(browser.ask(fetched).await, json!([200, true]));
    look_around(&browser, "recording").await;
    browser.press("Keep").await;
    browser
        .until(
            "it is kept",
            10,
            "[...document.querySelectorAll('button')].some(b => b.textContent === 'Keep no longer')",
        )
        .await;
    browser.press("Keep no longer").await;
    browser.press("Delete").await;
    browser.says("This cannot be undone.", 5).await;
    browser.press("Delete it").await;
    browser.says("There is no recording yet.", 10).await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new(), "the page's own errors");
}

/// What the page tells of what it draws and plays, as it does so.
const GAUGES: &str = "window.drawn = []; window.behind = [];\n\
    const meter = document.querySelector('[role=meter]'), audio = document.querySelector('.player audio');\n\
    new MutationObserver(() => drawn.push([Date.now(), Number(meter.dataset.seconds)]))\n\
        .observe(meter, {attributeFilter: ['data-seconds']});\n\
    setInterval(() => audio.buffered.length && behind.push([audio.currentTime,\n\
        audio.buffered.end(audio.buffered.length - 1) - audio.currentTime]), 100)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn in_the_browser_the_meter_keeps_within_200_ms_and_ears_within_two_seconds() {
    let _turn = turn_alone().await;
    let house = House::new();
    house.show("night", "[[source]]\nkind = \"tone\"\n");
    let daemon = house.serve(&[]).await;
    daemon.until("night", "live", 40, |show| show["state"] == "live").await;
    let zero = program_zero(&BridgeClient::new(StateFolder::at(&house.state(), "night").expect("a name"))).await;
    let browser = Browser::start("dashboard-delays", Screen::DESK).await;
    sign_in(&browser, &daemon, &daemon.view).await;
    turn_to(&browser, "#/shows/night", "Test tone").await;
    browser.press("Listen in").await;
    browser.ask(GAUGES).await;
    let played = browser.until("it plays", 30, "behind.length && behind.at(-1)[0] > 12 && {drawn, behind}").await;
    let pairs = |name: &str| -> Vec<(f64, f64)> { serde_json::from_value(played[name].clone()).expect("pairs") };
    let late: Vec<f64> = pairs("drawn").iter().map(|(at, seconds)| at - zero - seconds * 1000.0).collect();
    let rate = late.len() as f64 * 1000.0 / (pairs("drawn").last().expect("one").0 - pairs("drawn")[0].0);
    println!("in the browser: {rate:.1} levels a second, drawn {:.0} ms after their sound", middle(late.clone()));
    assert!(middle(late.clone()).abs() < 200.0 && rate > 10.0, "{late:?}");
    let behind: Vec<f64> = pairs("behind").iter().skip(20).map(|(_, behind)| *behind).collect();
    let most = behind.iter().copied().fold(0.0, f64::max);
    println!("the player is {:.2} s behind what it has, {most:.2} s at most", middle(behind));
    assert!(most < 2.0, "{most}");
}

/// Writes the login that a show on the simulated space asks for.
pub(crate) fn log_in(house: &House) {
    for (name, secret) in [("auth_token", "0123456789abcdef0123456789abcdef01234567"), ("ct0", "0123456789abcdef")] {
        write_secret(&house.path("shows").join(name), secret);
    }
}

/// Pictures for the README: a space with two platforms, as an operator sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make screenshots"]
async fn screenshots_of_a_night() {
    let _turn = turn().await;
    let ingests = (Nginx::start("live").await, Nginx::start("live").await);
    let space = Space::running_for(300).await;
    let house = House::new();
    log_in(&house);
    let output = |name: &str, ingest: &Nginx| {
        format!("[[output]]\nname = \"{name}\"\nurl = \"{}\"\nkey_file = \"night.key\"\n", ingest.url())
    };
    let outputs = output("youtube", &ingests.0) + &output("rumble", &ingests.1);
    house.show("night", &(space.config() + &outputs));
    let daemon = house.serve(&[]).await;
    let all_live = |show: &Value| show["state"] == "live" && show["outputs_live"] == 2;
    daemon.until("night", "live", 60, all_live).await;
    let browser = Browser::start("screenshots", Screen::DESK).await;
    sign_in(&browser, &daemon, &daemon.operate).await;
    turn_to(&browser, "#/shows/night", "").await;
    browser.until("the slate is seen", 20, "document.querySelector('img.slate')?.naturalWidth === 1280").await;
    for title in ["Welcome", "Questions"] {
        browser.fill("[name=mark]", title).await;
        browser.press("Mark").await;
        browser.says(&format!("Marked: {title}"), 10).await;
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    browser.press("Restart rumble").await;
    browser.until("it is on the air again", 30, "document.body.innerText.includes('1 reconnect ·')").await;
    browser.until("the orders are told", 30, "document.getElementById('toast').textContent === ''").await;
    browser.ask("scrollTo(0, 0)").await;
    look_around(&browser, "night").await;
}
