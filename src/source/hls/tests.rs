//! Over real sockets on loopback: a server whose playlist and segments the test decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::tracker::Tracker;
use super::*;
use crate::clock::Clock;
use crate::net::{HttpClient, HttpSettings};

/// What the server answers.
#[derive(Debug, Default)]
struct Script {
    first: u64,
    count: u64,
    gone: bool,
    ended: bool,
    target: u64,
    /// Segments that answer this status so many times.
    faults: HashMap<u64, (u16, u32)>,
    looks: u32,
    fetches: u32,
}

type Shared = Arc<Mutex<Script>>;

async fn playlist(State(script): State<Shared>) -> Response {
    let mut script = script.lock().expect("a lock");
    script.looks += 1;
    if script.gone {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut text =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n", script.target, script.first);
    for n in script.first..script.first + script.count {
        text.push_str(&format!("#EXTINF:1.0,\nseg/{n}?type=live\n"));
    }
    if script.ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text.into_response()
}

async fn segment(State(script): State<Shared>, Path(n): Path<u64>) -> Response {
    let mut script = script.lock().expect("a lock");
    script.fetches += 1;
    match script.faults.get_mut(&n) {
        Some((status, times)) if *times > 0 => {
            *times -= 1;
            StatusCode::from_u16(*status).expect("a status").into_response()
        }
        _ => n.to_string().into_response(),
    }
}

async fn serve(script: Script) -> (Shared, HlsReader) {
    let script = Arc::new(Mutex::new(Script { target: 1, ..script }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/live.m3u8?type=live", listener.local_addr().expect("bound"));
    let router = Router::new().route("/live.m3u8", get(playlist)).route("/seg/{n}", get(segment));
    let router = router.with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = HttpSettings { allow_private_addresses: true, ..HttpSettings::default() };
    let client = HttpClient::new(settings).expect("a client");
    let url = Url::parse(&url).expect("a url");
    (script, HlsReader::new(client, Clock::system(), url, Vec::new(), Tracker::new(None)))
}

/// Events in short until `count` of them that are no listing.
async fn collect(reader: &mut HlsReader, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(20), reader.next()).await.expect("an event in time");
        match next {
            HlsEvent::Listed(_) | HlsEvent::Late(_) | HlsEvent::Moved(_) => {}
            HlsEvent::Segment(fetched) => {
                assert_eq!(fetched.bytes, fetched.entry.sequence.to_string());
                seen.push(fetched.entry.sequence.to_string());
            }
            HlsEvent::Missing(hole) => {
                seen.push(format!("{}-{} {}", hole.first_sequence, hole.last_sequence, hole.cause));
            }
            HlsEvent::Trouble(trouble) => seen.push(trouble.to_string()),
            HlsEvent::Ended => seen.push("ended".to_owned()),
        }
    }
    seen
}

#[tokio::test]
async fn joining_delivers_the_whole_window_and_then_what_is_new() {
    let (script, mut reader) = serve(Script { first: 5, count: 3, ..Script::default() }).await;
    assert_eq!(collect(&mut reader, 3).await, ["5", "6", "7"]);
    script.lock().expect("a lock").count = 4;
    assert_eq!(collect(&mut reader, 1).await, ["8"]);
    script.lock().expect("a lock").first = 12;
    let seen = collect(&mut reader, 5).await;
    assert_eq!(seen, ["9-11 the playlist moved on before it could be read", "12", "13", "14", "15"]);
}

#[tokio::test]
async fn a_failing_segment_is_tried_again_and_only_then_given_up() {
    let faults = HashMap::from([(1, (503, 2)), (2, (404, 99))]);
    let (script, mut reader) = serve(Script { first: 0, count: 4, faults, ..Script::default() }).await;
    assert_eq!(collect(&mut reader, 4).await, ["0", "1", "2-2 the segment answered 404", "3"]);
    assert!(script.lock().expect("a lock").fetches >= 4 + 2 + 3);
}

#[tokio::test]
async fn a_playlist_that_is_gone_or_frozen_is_told_and_reading_goes_on() {
    let (script, mut reader) = serve(Script { gone: true, ..Script::default() }).await;
    assert_eq!(collect(&mut reader, 2).await, ["the playlist answers 404"; 2]);
    {
        let mut script = script.lock().expect("a lock");
        (script.gone, script.count) = (false, 1);
    }
    assert_eq!(collect(&mut reader, 1).await, ["0"]);
    assert_eq!(collect(&mut reader, 1).await, ["the playlist has not changed for 3 s"]);
    script.lock().expect("a lock").count = 2;
    assert_eq!(collect(&mut reader, 1).await, ["1"]);
}

#[tokio::test]
async fn an_ended_playlist_is_delivered_whole_before_its_end_is_told() {
    let (_, mut reader) = serve(Script { count: 20, ended: true, ..Script::default() }).await;
    let seen = collect(&mut reader, 21).await;
    assert_eq!(seen[..2], ["0", "1"]);
    assert_eq!(seen[19..], ["19", "ended"]);
    assert!(reader.is_drained());
}

#[tokio::test]
async fn the_playlist_is_not_looked_at_more_often_than_allowed() {
    let (script, mut reader) = serve(Script { count: 1, ..Script::default() }).await;
    let start = Instant::now();
    drop(tokio::time::timeout(Duration::from_millis(2200), async { collect(&mut reader, 99).await }).await);
    let looks = script.lock().expect("a lock").looks;
    // Half a target duration of 1 s apart.
    assert!((2..=5).contains(&looks), "{looks} looks in {:?}", start.elapsed());
}

#[tokio::test]
async fn segments_at_a_file_or_a_strangers_loopback_are_missing_and_the_others_are_not() {
    let text = "#EXTM3U\n#EXTINF:1.0,\nseg/0\n#EXTINF:1.0,\nfile:///etc/passwd\n#EXTINF:1.0,\n\
        http://127.0.0.1:1/x\n#EXTINF:1.0,\nhttp://[/y\n#EXTINF:1.0,\nseg/4\n";
    let router = Router::new()
        .route("/live.m3u8", get(move || async move { text }))
        .route("/seg/{n}", get(|Path(n): Path<String>| async move { n }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/live.m3u8", listener.local_addr().expect("bound"));
    let url = Url::parse(&url).expect("a url");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = HttpSettings { operator_urls: vec![url.clone()], ..HttpSettings::default() };
    let client = HttpClient::new(settings).expect("a client");
    let mut reader = HlsReader::new(client, Clock::system(), url, Vec::new(), Tracker::new(None));
    let seen = collect(&mut reader, 5).await;
    assert_eq!((seen[0].as_str(), seen[4].as_str()), ("0", "4"));
    for (event, words) in seen[1..4].iter().zip(["scheme `file`", "private network", "without a host"]) {
        assert!(event.contains(words), "{event}");
    }
}

#[tokio::test]
async fn a_playlist_at_a_strangers_loopback_is_refused_in_words() {
    let client = HttpClient::new(HttpSettings::default()).expect("a client");
    for (url, words) in [("http://127.0.0.1:9/x.m3u8", "private network"), ("file:///etc/passwd", "scheme `file`")] {
        let url = Url::parse(url).expect("a url");
        let mut reader = HlsReader::new(client.clone(), Clock::system(), url, Vec::new(), Tracker::new(None));
        let HlsEvent::Trouble(Trouble::Refused(said)) = reader.next().await else { panic!("not refused") };
        assert!(said.contains(words), "{said}");
    }
}
