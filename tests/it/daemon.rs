//! The daemon with real shows: killed, stopped, and its bridges killed; and bridges of other times.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::routing::get;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use spacebridge::alert::Events;
use spacebridge::bridge::protocol::{BridgeCommand, BridgeService};
use spacebridge::bridge::socket;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::clock::Clock;
use spacebridge::status::ShowStatus;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::support::daemon::House;
use crate::support::media::Tracks;
use crate::support::nginx::Nginx;
use crate::support::show::send;
use crate::support::{eventually, turn};

const TONE: &str = "[[source]]\nkind = \"tone\"\n";

fn is_live(show: &Value) -> bool {
    let outputs = show["status"]["outputs"].as_array();
    show["standing"] == "supervised"
        && show["state"] == "live"
        && outputs.is_some_and(|outputs| outputs.iter().all(|output| output["state"] == "live"))
}

fn pid(show: &Value) -> u32 {
    show["status"]["bridge"]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_interrupts_no_show_and_a_killed_bridge_no_other() {
    let _turn = turn().await;
    let (one, other) = (Nginx::start("live").await, Nginx::start("live").await);
    let house = House::new();
    house.show("one", &format!("{TONE}[[output]]\nname = \"o\"\nurl = \"{}\"\nkey_file = \"one.key\"\n", one.url()));
    house.show("broken", "[[source]]\nkind = \"telepathy\"\n");
    let mut daemon = house.serve(&[]).await;
    let draft = json!({"link": "tone", "name": "other", "closing": "1s", "start": true,
        "outputs": [{"name": "o", "url": other.url(), "key": "a-secret-key"}]});
    let (status, said) = daemon.post("/api/v1/shows", &draft).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    let before = [daemon.until("one", "live", 40, is_live).await, daemon.until("other", "live", 40, is_live).await];

    daemon.stop(Signal::KILL).await;
    let found = Instant::now();
    daemon = house.serve(&[]).await;
    for (name, before) in ["one", "other"].into_iter().zip(&before) {
        let now = daemon.until(name, "found again", 20, is_live).await;
        assert_eq!(pid(&now), pid(before), "{name} was interrupted");
    }
    let took = found.elapsed();
    println!("daemon killed: both shows found again {:.2} s after its start", took.as_secs_f64());
    assert!(took < Duration::from_secs(3), "{took:?}");
    // Nobody was woken for it.
    let adopted = |show: &Value| show["status"]["events"].to_string().contains("bridge.adopted");
    let now = daemon.until("one", "adopted", 5, adopted).await;
    assert!(!now["status"]["events"].to_string().contains("bridge.orphaned"), "{now}");
    assert_eq!(now["status"]["bridge"]["orphaned"], false);

    send(pid(&before[0]), Signal::KILL);
    let killed = Instant::now();
    let back = |show: &Value| is_live(show) && pid(show) != pid(&before[0]);
    let now = daemon.until("one", "carried by another process", 30, back).await;
    println!("bridge killed: its output is live again after {:.2} s", killed.elapsed().as_secs_f64());
    assert_eq!(now["status"]["bridge"]["resumes"], 1);

    // A daemon that is asked to go leaves its shows on the air too.
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0), "{}", daemon.said());
    daemon = house.serve(&[]).await;
    let now = daemon.until("other", "found again", 5, is_live).await;
    assert_eq!(pid(&now), pid(&before[1]));
    assert_eq!(now["status"]["outputs"][0]["connections"], 1);
    other.grows(400_000).await;
    for show in ["one", "other"] {
        daemon.order(&format!("/api/v1/shows/{show}/end")).await;
    }
    for show in ["one", "other"] {
        daemon.until(show, "over", 30, |show| show["standing"] == "off" && show["state"] == "ended").await;
    }
    assert_eq!((one.recordings().len(), other.recordings().len()), (2, 1));
    Tracks::of(&other.recordings()[0]).assert_continuous_from(0);
    // What is over is not begun again.
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0));
    daemon = house.serve(&[]).await;
    for show in ["one", "other"] {
        assert_eq!(daemon.get(&format!("/api/v1/shows/{show}")).await["standing"], "off");
    }
    let broken = daemon.get("/api/v1/shows/broken").await["faults"].to_string();
    assert!(broken.contains("unknown kind of source"), "{broken}");
    let deleted = daemon.ask(Method::DELETE, "/api/v1/shows/other").send().await.expect("an answer");
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert!(house.path("data/recordings").read_dir().expect("recordings").count() == 1, "recordings stay");
}

fn a_status(show: &str) -> ShowStatus {
    serde_json::from_value(an_old_status(show)).expect("the status is the protocol's contract")
}

/// What a bridge of the first version says of itself: nothing of what was added since.
fn an_old_status(show: &str) -> Value {
    json!({
        "protocol": 1, "show": show, "state": "live", "words": "Live", "slate": "Live",
        "bridge": {"pid": std::process::id(), "version": "0.1.0", "started_at": "2026-08-01T20:00:00Z", "resumes": 0,
            "orphaned": true},
        "session": null,
        "program": {"seconds": 1.0, "buffered_ms": 0, "holding": false, "peak_dbfs": -6.0, "rms_dbfs": -20.0,
            "short_term_lufs": -18.0, "late_ms": 0, "skipped_ms": 0},
        "outputs": [],
        "recording": {"folder": null, "seconds": 0.0, "bytes": 0, "segments": 0, "gaps": [], "error": null, "files": []},
        "events": []
    })
}

/// A bridge's socket in this process, with a stream of events.
struct Bridge {
    events: Events,
    commands: mpsc::Receiver<BridgeCommand>,
    token: CancellationToken,
    _status: watch::Sender<Arc<ShowStatus>>,
    _lock: spacebridge::bridge::state_folder::ShowLock,
}

impl Bridge {
    fn start(house: &House, show: &str) -> Self {
        let folder = StateFolder::open_in(&house.state(), show).expect("a folder");
        let lock = folder.lock().expect("it is free");
        let events = Events::new(Clock::system());
        let (status, reader) = watch::channel(Arc::new(a_status(show)));
        let (sender, commands) = mpsc::channel(8);
        let token = CancellationToken::new();
        let service = BridgeService {
            status: reader,
            events: events.clone(),
            commands: sender,
            heard: crate::protocol::unheard(),
        };
        let ending = token.clone();
        tokio::spawn(async move { socket::serve(&folder, service, ending).await.expect("it serves") });
        Self { events, commands, token, _status: status, _lock: lock }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// Reads server-sent events until `enough`; ids and messages of those named `event`.
async fn read_events(
    daemon: &crate::support::daemon::Daemon,
    path: &str,
    last: Option<&str>,
    mut enough: impl FnMut(&[(String, Value)]) -> bool,
) -> Vec<(String, Value)> {
    let mut request = daemon.ask(Method::GET, path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let mut answer = request.send().await.expect("a stream");
    assert_eq!(answer.status(), StatusCode::OK);
    let (mut text, mut read) = (String::new(), Vec::new());
    while !enough(&read) {
        let chunk = answer.chunk().await.expect("a chunk").expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = text.find("\n\n") {
            let message: String = text.drain(..end + 2).collect();
            let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if field("event: ").as_deref() == Some("event") {
                let data = serde_json::from_str(&field("data: ").expect("data")).expect("JSON");
                read.push((field("id: ").expect("an id"), data));
            }
        }
    }
    read
}

fn is_done(read: &[(String, Value)]) -> bool {
    read.last().is_some_and(|(_, event)| event["code"] == "test.last")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_comes_and_goes_misses_no_event_of_any_show() {
    let house = House::new();
    let (mut one, other) = (Bridge::start(&house, "one"), Bridge::start(&house, "other"));
    house.show("one", TONE);
    house.show("other", TONE);
    let mut daemon = house.serve(&[]).await;
    let adopted = tokio::time::timeout(Duration::from_secs(10), one.commands.recv()).await.expect("an order");
    let Some(BridgeCommand::Adopt { pid, reply }) = adopted else { panic!("{adopted:?}") };
    assert_eq!(pid, daemon.pid());
    reply.send(Ok(())).expect("the daemon waits");
    let (first, second) = (one.events.clone(), other.events.clone());
    let telling = tokio::spawn(async move {
        for number in 0..200 {
            first.info("test.one", "show", format!("Event {number}."));
            second.info("test.other", "show", format!("Event {number}."));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Both are read by then.
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.info("test.last", "show", "The last one.");
    });
    let mut read: Vec<(String, Value)> = Vec::new();
    let (mut last, mut visits) = (None::<String>, 0);
    while !is_done(&read) {
        let more =
            read_events(&daemon, "/api/v1/events?all=true", last.as_deref(), |read| read.len() >= 37 || is_done(read))
                .await;
        last = more.last().map(|(id, _)| id.clone());
        read.extend(more);
        visits += 1;
    }
    telling.await.expect("told");
    assert!(visits > 8, "{visits}");
    for show in ["one", "other"] {
        let code = format!("test.{show}");
        let told: Vec<_> = read.iter().filter(|(_, event)| event["show"] == show && event["code"] == code).collect();
        let messages: Vec<_> = told.iter().map(|(_, event)| event["message"].as_str().expect("text")).collect();
        let expected: Vec<_> = (0..200).map(|number| format!("Event {number}.")).collect();
        assert_eq!(messages, expected, "{show}");
    }
    // A daemon that starts anew remembers nothing, and its bridges do: nothing is missed over its restart.
    daemon.stop(Signal::KILL).await;
    one.events.info("test.later", "show", "While nobody listened.");
    daemon = house.serve(&[]).await;
    let has = |read: &[(String, Value)]| read.iter().any(|(_, event)| event["message"] == "While nobody listened.");
    let again = read_events(&daemon, "/api/v1/shows/one/events", last.as_deref(), has).await;
    assert!(again.iter().all(|(_, event)| event["show"] == "one"));
    assert!(again.iter().filter(|(_, event)| event["code"] == "test.one").count() == 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_does_not_know_what_was_added_since_is_found_and_steered() {
    let house = House::new();
    house.show("old", TONE);
    let folder = StateFolder::open_in(&house.state(), "old").expect("a folder");
    let lock = folder.lock().expect("it is free");
    let (ended, mut is_ended) = mpsc::channel::<()>(1);
    let status = an_old_status("old");
    let over = CancellationToken::new();
    let (stream, ending) = (format!("event: status\ndata: {status}\n\n"), over.clone());
    let events = async move || {
        let lines = futures_util::stream::unfold((stream, ending), |(stream, ending)| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if ending.is_cancelled() { None } else { Some((Ok::<_, std::io::Error>(stream.clone()), (stream, ending))) }
        });
        axum::body::Body::from_stream(lines)
    };
    let end = async move || {
        ended.send(()).await.expect("the test waits");
        Json(json!({"accepted": "end"}))
    };
    let version = async |mut answer: axum::response::Response| {
        answer.headers_mut().insert("spacebridge-protocol", 1.into());
        answer
    };
    let router = Router::new()
        .route("/v1/status", get(async move || Json(status)))
        .route("/v1/events", get(events))
        .route("/v1/end", axum::routing::post(end))
        .layer(axum::middleware::map_response(version));
    let listener = tokio::net::UnixListener::bind(folder.socket().path()).expect("a socket");
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    let daemon = house.serve(&[]).await;
    let now =
        daemon.until("old", "found", 5, |show| show["standing"] == "supervised" && show["on_the_air"] == true).await;
    assert_eq!(now["state"], "live");
    daemon.order("/api/v1/shows/old/end").await;
    is_ended.recv().await.expect("the order arrives");
    // It ends in order: its record says so.
    let mut record: Value = json!({"show": "old", "alive_at": "2026-08-01T20:00:00Z", "fingerprint": ""});
    record["ended_at"] = json!("2026-08-01T21:00:00Z");
    fs::write(folder.path().join("show.json"), record.to_string()).expect("a record");
    over.cancel();
    serving.abort();
    drop(serving.await);
    fs::remove_file(folder.socket().path()).expect("a socket");
    drop(lock);
    daemon.until("old", "off", 10, |show| show["standing"] == "off").await;
    let log = house.state().join("shows/old/bridge.log");
    assert!(!log.exists(), "no bridge was started in its place");
    eventually("it said so", Duration::from_secs(5), || daemon.said().contains("was not told").then_some(())).await;
}
