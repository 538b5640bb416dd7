//! What an operator does over the daemon to a show that is on the air, and what they hear and see of it.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use spacebridge::alert::Events;
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::protocol::{BridgeCommand, BridgeService};
use spacebridge::bridge::socket;
use spacebridge::bridge::state_folder::{ShowLock, StateFolder};
use spacebridge::clock::Clock;
use spacebridge::media::{AudioFrame, ProgramTime, Still};
use spacebridge::program::{Level, LevelAt};
use spacebridge::status::ShowStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::live::{listening_delays, middle, program_zero};
use crate::protocol::{a_status, unheard};
use crate::support::daemon::{Daemon, House};
use crate::support::nginx::Nginx;
use crate::support::show::send;
use crate::support::{eventually, eventually_async, turn, turn_alone};
use crate::uri::ruler_file;

const TONE: &str = "[[source]]\nkind = \"tone\"\n";

/// A bridge's socket in this process, whose sound is numbered frames: eight of 400 bytes every 20 ms.
struct Bridge {
    frames: broadcast::Sender<AudioFrame>,
    levels: broadcast::Sender<LevelAt>,
    slate: watch::Sender<Option<Still>>,
    token: CancellationToken,
    _playing: AbortOnDropHandle<()>,
    _status: watch::Sender<Arc<ShowStatus>>,
    _commands: mpsc::Receiver<BridgeCommand>,
    _lock: ShowLock,
}

impl Bridge {
    fn start(house: &House, show: &str) -> Self {
        let folder = StateFolder::open_in(&house.state(), show).expect("a folder");
        let lock = folder.lock().expect("it is free");
        let (status, reader) = watch::channel(Arc::new(a_status(show)));
        let (sender, commands) = mpsc::channel(8);
        let (slate, picture) = watch::channel(Some(Still::new(b"one".to_vec())));
        let mut heard = unheard();
        heard.slate = picture;
        let (frames, levels) = (heard.audio.frames.clone(), heard.levels.clone());
        let events = Events::new(Clock::system());
        let service = BridgeService { status: reader, events, commands: sender, heard };
        let token = CancellationToken::new();
        let ending = token.clone();
        tokio::spawn(async move { socket::serve(&folder, service, ending).await.expect("it serves") });
        let playing = AbortOnDropHandle::new(tokio::spawn(play(frames.clone(), levels.clone())));
        Self { frames, levels, slate, token, _playing: playing, _status: status, _commands: commands, _lock: lock }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

async fn play(frames: broadcast::Sender<AudioFrame>, levels: broadcast::Sender<LevelAt>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for number in 0_u64.. {
        if number % 8 == 0 {
            ticks.tick().await;
            let until = ProgramTime::from_samples(number * 1024);
            drop(levels.send(LevelAt { until, level: Level::default() }));
        }
        let mut data = number.to_be_bytes().to_vec();
        data.resize(400, 0);
        drop(frames.send(AudioFrame { at: ProgramTime::from_samples(number * 1024), data: data.into() }));
    }
}

/// The numbers of the frames that a listener hears, until there are `enough`.
async fn listen(daemon: &Daemon, path: &str, token: &str, enough: usize) -> Vec<u64> {
    let mut answer = daemon.bare(Method::GET, path).bearer_auth(token).send().await.expect("a stream");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "audio/aac");
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    while numbers.len() < enough {
        bytes.extend_from_slice(&answer.chunk().await.expect("sound").expect("the stream goes on"));
        while bytes.len() >= 407 {
            let frame: Vec<u8> = bytes.drain(..407).collect();
            assert_eq!(frame[..2], [0xFF, 0xF1], "a listener gets whole frames");
            numbers.push(u64::from_be_bytes(frame[7..15].try_into().expect("eight bytes")));
        }
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_share_one_connection_and_one_that_stops_reading_is_cut_off_unnoticed() {
    let house = House::new();
    let bridge = Bridge::start(&house, "night");
    house.show("night", TONE);
    let daemon = house.serve(&[]).await;
    let path = "/api/v1/shows/night/audio";

    // One that reads nothing.
    let mut stuck = TcpStream::connect(daemon.url.trim_start_matches("http://")).await.expect("a connection");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        daemon.view
    );
    stuck.write_all(request.as_bytes()).await.expect("sent");
    let peek = async {
        let (one, two) =
            tokio::join!(listen(&daemon, path, &daemon.view, 1200), listen(&daemon, path, &daemon.operate, 1200));
        (one, two)
    };
    let count = async {
        tokio::time::sleep(Duration::from_millis(1000)).await;
        bridge.frames.receiver_count()
    };
    let ((one, two), readers) = tokio::join!(peek, count);
    assert_eq!(readers, 1, "the bridge serves one listener, whoever listens");
    for numbers in [one, two] {
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a listener missed something");
    }
    // What was on its way it still gets, and then the end: nothing that is long over.
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stuck.read_to_end(&mut rest)).await;
    read.expect("it is cut off").expect("in order");
    println!("a listener that stopped was cut off with {} kB on the way", rest.len() / 1000);
    eventually("nobody listens", Duration::from_secs(5), || (bridge.frames.receiver_count() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_look_sees_meter_and_slate_and_presses_nothing() {
    let house = House::new();
    let bridge = Bridge::start(&house, "night");
    house.show("night", TONE);
    let daemon = house.serve(&[]).await;
    let view =
        |method, path: &str| daemon.bare(method, &format!("/api/v1/shows/night/{path}")).bearer_auth(&daemon.view);

    let mut meters = Vec::new();
    for path in ["levels", "levels", "../../levels"] {
        let answer = view(Method::GET, path).send().await.expect("a stream");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        meters.push(answer);
    }
    for meter in &mut meters {
        let mut text = String::new();
        while text.matches("event: level\n").count() < 5 {
            text.push_str(&String::from_utf8_lossy(&meter.chunk().await.expect("levels").expect("it goes on")));
        }
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        let level: Value = serde_json::from_str(data).expect("JSON");
        assert!(level["show"] == "night" && level["peak_dbfs"].is_number() && level["seconds"].is_number(), "{level}");
    }
    assert_eq!(bridge.levels.receiver_count(), 1);

    let slate = |known: &str| view(Method::GET, "slate").header("if-none-match", known).send();
    let first = slate("").await.expect("a picture");
    let tag = first.headers()["etag"].to_str().expect("text").to_owned();
    assert_eq!((first.status(), first.headers()["content-type"].as_bytes()), (StatusCode::OK, &b"image/png"[..]));
    assert_eq!(first.bytes().await.expect("bytes").as_ref(), b"one");
    assert_eq!(slate(&tag).await.expect("an answer").status(), StatusCode::NOT_MODIFIED);
    bridge.slate.send_replace(Some(Still::new(b"two".to_vec())));
    let next = slate(&tag).await.expect("a picture");
    assert_eq!((next.status(), next.bytes().await.expect("bytes").as_ref()), (StatusCode::OK, &b"two"[..]));

    for (method, path) in [
        (Method::PUT, "slate"),
        (Method::DELETE, "slate"),
        (Method::PUT, "delay"),
        (Method::POST, "cut"),
        (Method::POST, "marks"),
        (Method::POST, "outputs"),
        (Method::DELETE, "outputs/a"),
        (Method::POST, "source/pin"),
    ] {
        let refused = view(method.clone(), path).json(&json!({})).send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
    let presets: Vec<Value> =
        view(Method::GET, "../../presets").send().await.expect("presets").json().await.expect("a list");
    let youtube = presets.iter().find(|preset| preset["name"] == "youtube").expect("YouTube");
    assert_eq!((&youtube["label"], &youtube["requires_url"]), (&json!("YouTube"), &json!(false)));
}

async fn order(daemon: &Daemon, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = daemon.ask(method, &format!("/api/v1/shows/night/{path}")).json(&body);
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

fn output<'a>(show: &'a Value, name: &str) -> &'a Value {
    let outputs = show["status"]["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    outputs.iter().find(|output| output["name"] == name).unwrap_or(&Value::Null)
}

async fn picture(daemon: &Daemon) -> (String, bytes::Bytes) {
    let answer = daemon.ask(Method::GET, "/api/v1/shows/night/slate").send().await.expect("a picture");
    assert_eq!(answer.status(), StatusCode::OK);
    let tag = answer.headers()["etag"].to_str().expect("text").trim_matches('"').to_owned();
    (tag, answer.bytes().await.expect("bytes"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_added_over_the_door_outlives_its_bridge_and_its_key_is_told_to_nobody() {
    let _turn = turn().await;
    let (first, added) = (Nginx::start("live").await, Nginx::start("live").await);
    let house = House::new();
    let daemon = house.serve(&[]).await;
    let draft = json!({"link": "tone", "name": "night", "closing": "0s", "start": true,
        "outputs": [{"name": "a", "url": first.url(), "key": "key-of-a"}]});
    let (status, said) = daemon.post("/api/v1/shows", &draft).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    daemon.until("night", "live", 40, |show| output(show, "a")["state"] == "live").await;
    let before = picture(&daemon).await;
    assert_eq!(before.1[..8], *b"\x89PNG\r\n\x1a\n");

    let (status, said) = order(&daemon, Method::PUT, "slate", json!({"text": "Back in a minute"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    let output_b = json!({"name": "b", "url": added.url(), "key": "hush-hush"});
    let (status, said) = order(&daemon, Method::POST, "outputs", output_b).await;
    assert_eq!((status, &said["outputs"]), (StatusCode::ACCEPTED, &json!(["b"])), "{said}");
    let (status, said) = order(&daemon, Method::PUT, "delay", json!({"seconds": 3})).await;
    assert_eq!((status, &said["seconds"]), (StatusCode::ACCEPTED, &json!(3.0)), "{said}");
    let (status, said) = order(&daemon, Method::POST, "cut", json!({"seconds": 1})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    let (status, said) = order(&daemon, Method::POST, "source/pin", json!({"source": "tone"})).await;
    assert_eq!((status, &said["code"]), (StatusCode::CONFLICT, &json!("refused")), "{said}");
    let (status, said) = order(&daemon, Method::PUT, "delay", json!({"seconds": 61})).await;
    assert_eq!((status, &said["code"]), (StatusCode::BAD_REQUEST, &json!("bad-request")), "{said}");
    added.grows(200_000).await;
    let now = daemon.until("night", "steered", 5, |show| output(show, "b")["live_since"].is_string()).await;
    assert_eq!(now["status"]["program"]["public_delay_ms"], 3000);
    assert_eq!(now["status"]["program"]["cut_ms"], 1000);

    // Something has to be heard first.
    let mark = || async {
        let (status, said) = order(&daemon, Method::POST, "marks", json!({"title": "Climate"})).await;
        (status == StatusCode::CREATED).then_some(said)
    };
    let marked = eventually_async("a mark is made", Duration::from_secs(10), mark).await;
    assert_eq!(marked["title"], "Climate");

    let pid = |show: &Value| show["status"]["bridge"]["pid"].as_u64();
    let old = pid(&now);
    send(u32::try_from(old.expect("a pid")).expect("a pid"), Signal::KILL);
    let killed = Instant::now();
    let back = |show: &Value| pid(show) != old && output(show, "b")["state"] == "live";
    let now = daemon.until("night", "b is back", 30, back).await;
    println!("bridge killed: the output that was added is live again after {:.2} s", killed.elapsed().as_secs_f64());
    let told = daemon.ask(Method::GET, "/api/v1/events?all=true").send().await.expect("events");
    assert_eq!(told.status(), StatusCode::OK);
    for place in [now.to_string(), daemon.said()] {
        assert!(!place.contains("hush-hush") && !place.contains("key-of-a"), "{place}");
    }
    assert!(daemon.said().contains("daemon.key_restored"), "{}", daemon.said());

    // The picture of before the crash says something else.
    let changed = || async { Some(picture(&daemon).await).filter(|(tag, png)| *tag != before.0 && *png != before.1) };
    let (tag, _) = eventually_async("the slate shows the text", Duration::from_secs(30), changed).await;
    daemon.until("night", "the status says so", 5, |show| show["status"]["slate_version"] == tag.as_str()).await;

    let key = house.state().join("serve/live-keys/night/b");
    assert!(key.exists());
    let (status, said) = order(&daemon, Method::DELETE, "outputs/b", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    daemon.until("night", "b is gone", 5, |show| output(show, "b").is_null()).await;
    assert!(!key.exists(), "the key of an output that is gone is gone");
    assert_eq!(order(&daemon, Method::DELETE, "outputs/b", json!({})).await.0, StatusCode::NOT_FOUND);
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "over", 30, |show| show["standing"] == "off").await;
    assert!(!key.parent().expect("a folder").exists());
    assert_eq!(order(&daemon, Method::POST, "cut", json!({})).await.1["code"], "off-the-air");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_source_is_heard_at_once_and_still_after_its_bridge_was_killed() {
    let _turn = turn().await;
    let house = House::new();
    let file = ruler_file(&house.path(""), "ruler.flac", 60, &[]);
    let list = format!("{TONE}[[source]]\nkind = \"uri\"\nuri = \"file://{}\"\n", file.display());
    house.show("night", &list);
    let daemon = house.serve(&[]).await;
    let heard = |show: &Value, index: usize, pinned: bool| {
        let source = &show["status"]["sources"][index];
        source["active"] == true
            && source["pinned"] == pinned
            && show["state"] == "live"
            && show["status"]["program"]["holding"] == false
    };
    let first = daemon.until("night", "the first source is heard", 30, |show| heard(show, 0, false)).await;
    let name = |index: usize| first["status"]["sources"][index]["name"].clone();
    let (status, said) = order(&daemon, Method::POST, "source/pin", json!({"source": "another"})).await;
    assert_eq!((status, &said["code"]), (StatusCode::CONFLICT, &json!("refused")), "{said}");
    let (status, said) = order(&daemon, Method::POST, "source/pin", json!({"source": name(1)})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    let now = daemon.until("night", "the second source is heard", 20, |show| heard(show, 1, true)).await;
    assert_eq!(now["status"]["bridge"]["pid"], first["status"]["bridge"]["pid"]);

    let pid = now["status"]["bridge"]["pid"].as_u64().expect("a pid");
    send(u32::try_from(pid).expect("a pid"), Signal::KILL);
    let again = |show: &Value| show["status"]["bridge"]["pid"] != pid && heard(show, 1, true);
    daemon.until("night", "it is held to after a restart", 30, again).await;
    let (status, said) = order(&daemon, Method::POST, "source/pin", json!({"source": null})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    daemon.until("night", "it is let go", 10, |show| heard(show, 1, false)).await;
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "over", 30, |show| show["standing"] == "off").await;
}

fn now_ms() -> f64 {
    Timestamp::now().as_millisecond() as f64
}

/// What a path gives for five seconds: the bytes, and when how many had come.
async fn hear(daemon: &Daemon, path: &str) -> (Vec<u8>, Vec<(usize, f64)>) {
    let mut answer = daemon.ask(Method::GET, &format!("/api/v1/shows/night/{path}")).send().await.expect("a stream");
    let (mut bytes, mut times) = (Vec::new(), Vec::new());
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        bytes.extend_from_slice(&answer.chunk().await.expect("a chunk").expect("it goes on"));
        times.push((bytes.len(), now_ms()));
    }
    (bytes, times)
}

/// How long 400 answers took, in ms: the one that 99 of 100 are faster than.
async fn slow_answer(daemon: &Daemon, path: &str, known: &str) -> f64 {
    let mut took = Vec::new();
    for _ in 0..400 {
        let request = daemon.ask(Method::GET, path).header("if-none-match", known);
        let began = Instant::now();
        request.send().await.expect("an answer").bytes().await.expect("all of it");
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn through_the_daemon_ears_are_two_seconds_behind_at_most_and_a_meter_200_ms() {
    let _turn = turn_alone().await;
    let nginx = Nginx::start("live").await;
    let house = House::new();
    house.show(
        "night",
        &format!("{TONE}[[output]]\nname = \"o\"\nurl = \"{}\"\nkey_file = \"night.key\"\n", nginx.url()),
    );
    let daemon = house.serve(&[]).await;
    daemon.until("night", "live", 40, |show| output(show, "o")["state"] == "live").await;
    let bridge = BridgeClient::new(StateFolder::at(&house.state(), "night").expect("a name"));
    let zero = program_zero(&bridge).await;
    let crowd: Vec<_> = (0..20).map(|_| hear(&daemon, "audio")).collect();
    let ((bytes, times), (levels, came), crowd) =
        tokio::join!(hear(&daemon, "audio"), hear(&daemon, "levels"), futures_util::future::join_all(crowd));
    assert!(crowd.iter().all(|(heard, _)| heard.len() * 10 > bytes.len() * 9), "a listener missed something");
    let delays = listening_delays(&bridge, zero, &bytes, &times).await;
    println!("through the daemon, beside 20 others, a listener hears {delays:.0?} ms behind");
    assert!(delays.len() >= 3 && delays.iter().all(|delay| *delay < 2000.0), "{delays:?}");
    let text = String::from_utf8(levels).expect("text");
    let late: Vec<f64> = text
        .match_indices("\n\n")
        .filter_map(|(end, _)| {
            let level: Value = serde_json::from_str(text[..end].rsplit_once("data: ")?.1).ok()?;
            let (_, at) = came.iter().find(|(count, _)| *count >= end + 2)?;
            Some(at - zero - level["seconds"].as_f64()? * 1000.0)
        })
        .collect();
    println!("{} levels in 5 s, {:.0} ms after their sound", late.len(), middle(late.clone()));
    assert!(late.len() >= 50 && middle(late.clone()).abs() < 200.0, "{late:?}");
    let tag = format!("\"{}\"", picture(&daemon).await.0);
    let show = "/api/v1/shows/night";
    let times = [
        ("status", slow_answer(&daemon, show, "").await),
        ("slate that is known", slow_answer(&daemon, &format!("{show}/slate"), &tag).await),
        ("slate", slow_answer(&daemon, &format!("{show}/slate"), "").await),
    ];
    println!("99 of 100 answers, in ms: {times:.1?}");
    daemon.order(&format!("{show}/end")).await;
    daemon.until("night", "over", 30, |show| show["standing"] == "off").await;
}
