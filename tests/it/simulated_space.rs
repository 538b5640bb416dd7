//! The simulated space's orders over real sockets: what a rehearsal injects must be what the client gets.

use std::time::Duration;

use serde_json::{Value, json};
use spacebridge::clock::Clock;
use spacebridge::rehearsal::space::control::{ChunkReport, SpaceReport, SpaceStarted};
use spacebridge::rehearsal::space::{SpaceArgs, SpaceServer};
use tokio_util::sync::CancellationToken;

use crate::support::eventually_async;

/// A simulated space and somebody who asks it.
struct Asking {
    started: SpaceStarted,
    client: reqwest::Client,
    _guard: tokio_util::sync::DropGuard,
}

impl Asking {
    async fn start() -> Self {
        let server = SpaceServer::bind(SpaceArgs::default(), Clock::system()).await.expect("a space");
        let started = server.started();
        let token = CancellationToken::new();
        tokio::spawn(server.serve(token.clone().cancelled_owned()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
        Self { started, client, _guard: token.drop_guard() }
    }

    async fn order(&self, order: Value) -> SpaceReport {
        let url = format!("{}/control", self.started.guest_base);
        let answer = self.client.post(url).json(&order).send().await.expect("an answer");
        answer.error_for_status().expect("obeyed").json().await.expect("a report")
    }

    async fn report(&self) -> SpaceReport {
        let url = format!("{}/control/report", self.started.guest_base);
        self.client.get(url).send().await.expect("an answer").json().await.expect("a report")
    }

    async fn get(&self, url: &str) -> reqwest::Result<reqwest::Response> {
        let request = self.client.get(url).bearer_auth("AAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        request.header("cookie", "auth_token=a; ct0=b").header("x-csrf-token", "b").send().await
    }

    async fn api(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.get(&format!("{}/{path}", self.started.api_base)).await
    }

    /// The metadata of a space.
    async fn space(&self, id: &str) -> Value {
        let variables = json!({"id": id}).to_string();
        let path = format!("graphql/QueryId/AudioSpaceById?variables={variables}&features={{}}");
        let body: Value = self.api(&path).await.expect("an answer").json().await.expect("json");
        body["data"]["audioSpace"]["metadata"].clone()
    }

    /// Where the status call says that the stream is.
    async fn stream(&self, id: &str) -> String {
        let key = self.space(id).await["media_key"].as_str().expect("a key").to_owned();
        let answer = self.api(&format!("1.1/live_video_stream/status/{key}")).await.expect("an answer");
        let body: Value = answer.json().await.expect("json");
        body["source"]["noRedirectPlaybackUrl"].as_str().expect("a place").to_owned()
    }

    /// Status and text of the live playlist; none if there is no whole answer.
    async fn playlist(&self, url: &str) -> Option<(u16, String)> {
        let answer = self.get(url).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
}

fn first_number(list: &str) -> u64 {
    let line = list.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    line.expect(list).parse().expect("a number")
}

fn is_live(chunks: &[ChunkReport]) -> bool {
    chunks.iter().any(|chunk| chunk.announced)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_playlist_is_what_the_client_gets() {
    let asking = Asking::start().await;
    let url = asking.started.playlist_url.clone();
    let (status, whole) = asking.playlist(&url).await.expect("a list");
    assert!(status == 200 && whole.ends_with("?type=live\n"), "{whole}");
    let fail = |fault: Value, times: u32| json!({"do": "fail_playlist", "fault": fault, "times": times});
    asking.order(fail(json!({"kind": "status", "status": 429, "retry_after_seconds": 7}), 1)).await;
    let answer = asking.get(&url).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().expect("text")), (429, "7"));
    assert_eq!(asking.playlist(&url).await.expect("healed").0, 200);

    asking.order(fail(json!({"kind": "cut"}), 1)).await;
    let (_, cut) = asking.playlist(&url).await.expect("a whole answer");
    assert!(cut.starts_with("#EXTM3U") && !cut.ends_with('\n') && !cut.ends_with("live"), "{cut}");
    asking.order(fail(json!({"kind": "html"}), 1)).await;
    assert!(asking.playlist(&url).await.expect("a page").1.contains("<html>"));
    for kind in ["truncated", "reset"] {
        asking.order(fail(json!({"kind": kind}), 1)).await;
        assert!(asking.playlist(&url).await.is_none(), "{kind}");
    }
    asking.order(fail(json!({"kind": "hang"}), 1)).await;
    let hanging = tokio::time::timeout(Duration::from_millis(700), asking.playlist(&url)).await;
    assert!(hanging.is_err(), "it answered: {hanging:?}");
    asking.order(fail(json!({"kind": "slow", "millis": 700}), 1)).await;
    let began = std::time::Instant::now();
    assert_eq!(asking.playlist(&url).await.expect("a list").0, 200);
    assert!(began.elapsed() > Duration::from_millis(600), "{:?}", began.elapsed());

    asking.order(fail(json!({"kind": "stale"}), 1)).await;
    // The space is 30 s old: there was no list yet.
    let stale = asking.playlist(&url).await.expect("an answer");
    assert!(stale.0 == 404 || first_number(&stale.1) < first_number(&whole), "{stale:?}");
    asking.order(json!({"do": "endlist", "times": 1})).await;
    assert!(asking.playlist(&url).await.expect("a list").1.ends_with("#EXT-X-ENDLIST\n"));
    asking.order(json!({"do": "refuse_listeners", "status": 403})).await;
    assert_eq!(asking.playlist(&url).await.expect("an answer").0, 403);
    asking.order(json!({"do": "heal"})).await;
    assert!(!asking.playlist(&url).await.expect("a list").1.contains("ENDLIST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn api_faults_tell_when_to_come_back_or_nothing_at_all() {
    let asking = Asking::start().await;
    let path = "fleets/v1/avatar_content?user_ids=1&only_spaces=true";
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
    };
    asking
        .order(json!({"do": "fail_api", "fault": {"kind": "rate_limited", "reset_in_seconds": 60}, "times": 1}))
        .await;
    let answer = asking.api(path).await.expect("an answer");
    let reset: i64 = header(&answer, "x-rate-limit-reset").expect("a time").parse().expect("a number");
    assert_eq!((answer.status().as_u16(), header(&answer, "x-rate-limit-remaining").as_deref()), (429, Some("0")));
    assert!((58..=61).contains(&(reset - jiff::Timestamp::now().as_second())), "{reset}");
    let only = json!({"kind": "rate_limited", "reset_in_seconds": 9, "retry_after_only": true});
    asking.order(json!({"do": "fail_api", "fault": only, "times": 1})).await;
    let answer = asking.api(path).await.expect("an answer");
    assert_eq!((header(&answer, "retry-after").as_deref(), header(&answer, "x-rate-limit-reset")), (Some("9"), None));
    asking.order(json!({"do": "fail_api", "fault": {"kind": "last_call", "reset_in_seconds": 9}, "times": 1})).await;
    let answer = asking.api(path).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), header(&answer, "x-rate-limit-remaining").as_deref()), (200, Some("0")));
    asking.order(json!({"do": "fail_api", "fault": {"kind": "reset"}, "times": 1})).await;
    assert!(asking.api(path).await.is_err());
    asking.order(json!({"do": "fail_api", "fault": {"kind": "hang"}, "times": 1})).await;
    assert!(tokio::time::timeout(Duration::from_millis(500), asking.api(path)).await.is_err());
    assert_eq!(asking.api(path).await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_opens_another_space_and_the_old_one_stays_what_it_was() {
    let asking = Asking::start().await;
    let old = asking.started.space_id.clone();
    let host = asking.space(&old).await["creator_results"]["result"]["rest_id"].as_str().expect("an id").to_owned();
    let live = || async {
        let path = format!("fleets/v1/avatar_content?user_ids={host}&only_spaces=true");
        let body: Value = asking.api(&path).await.expect("an answer").json().await.expect("json");
        assert!(body["refresh_delay_secs"].is_u64());
        let place = format!("/users/{host}/spaces/live_content/audiospace/broadcast_id");
        body.pointer(&place).and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!(live().await.as_deref(), Some(old.as_str()));
    asking.order(json!({"do": "timeout"})).await;
    assert_eq!(live().await, None);
    let waiting = json!({"do": "new_space", "title": "Once more", "not_started": true, "scheduled_in_seconds": 60});
    let report = asking.order(waiting).await;
    assert_eq!(report.space_ids, [old.clone(), report.space_id.clone()]);
    let new = report.space_id;
    let metadata = asking.space(&new).await;
    assert_eq!((metadata["state"].as_str(), metadata["title"].as_str()), (Some("NotStarted"), Some("Once more")));
    assert_eq!((metadata["creator_results"]["result"]["rest_id"].as_str(), live().await), (Some(host.as_str()), None));
    asking.order(json!({"do": "start"})).await;
    assert_eq!(live().await.as_deref(), Some(new.as_str()));
    assert_eq!(asking.space(&old).await["state"], "TimedOut");

    let url = asking.stream(&new).await;
    assert_ne!(url, asking.started.playlist_url);
    let list = || async { asking.playlist(&url).await.filter(|(status, _)| *status == 200) };
    let (_, list) = eventually_async("a list of the new space", Duration::from_secs(10), list).await;
    let report = asking.report().await;
    assert!(first_number(&list) == 0 && is_live(&report.chunks) && !is_live(&report.earlier[0].chunks), "{report:?}");
    let (before, after) = (report.earlier[0].chunks.last().expect("chunks"), &report.chunks[0]);
    assert!(after.ruler_start >= before.ruler_start + before.samples, "the tape goes on: {before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_moves_to_another_edge_and_faults_stay_at_theirs() {
    let asking = Asking::start().await;
    let (id, first) = (asking.started.space_id.clone(), asking.started.playlist_url.clone());
    let other = first.replace(&format!("127.0.0.1:{}", asking.started.port), &asking.started.other_edges[0]);
    assert_eq!(asking.playlist(&other).await.expect("the same path").0, 200);
    asking.order(json!({"do": "fail_playlist", "fault": {"kind": "status", "status": 503}, "edge": 0})).await;
    assert_eq!(asking.playlist(&first).await.expect("an answer").0, 503);
    let (_, list) = asking.playlist(&other).await.expect("a list");
    asking.order(json!({"do": "fail_chunks", "fault": {"kind": "status", "status": 500}, "edge": 0})).await;
    let name = list.lines().find(|line| line.starts_with("chunk_")).expect("a chunk");
    let chunk = |url: &str| format!("{}/{name}", url.rsplit_once('/').expect("a folder").0);
    assert_eq!(asking.get(&chunk(&first)).await.expect("an answer").status(), 500);
    assert_eq!(asking.get(&chunk(&other)).await.expect("an answer").status(), 200);
    asking.order(json!({"do": "heal"})).await;

    asking.order(json!({"do": "move_edge", "old": "dead"})).await;
    assert_eq!(asking.stream(&id).await, other);
    assert_eq!(asking.playlist(&first).await.expect("an answer").0, 404);
    assert_eq!(asking.get(&chunk(&first)).await.expect("an answer").status(), 404);
    asking.order(json!({"do": "move_edge", "old": "frozen"})).await;
    assert_eq!(asking.stream(&id).await, first);
    let frozen = asking.playlist(&other).await.expect("a list");
    let moved = || async { asking.playlist(&first).await.filter(|list| *list != frozen) };
    eventually_async("the living edge moves", Duration::from_secs(10), moved).await;
    assert_eq!(asking.playlist(&other).await.expect("a list"), frozen);
    assert!(asking.report().await.polls_by_edge.iter().all(|polls| *polls > 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_the_sound_changes_on_order_and_silence_is_valid_sound() {
    let asking = Asking::start().await;
    asking.order(json!({"do": "silence", "on": true})).await;
    asking.order(json!({"do": "change_format", "sample_rate": 44100, "channels": 1})).await;
    asking.order(json!({"do": "rewind", "segments": 5})).await;
    let url = &asking.started.playlist_url;
    let last = || async {
        let (_, list) = asking.playlist(url).await.expect("a list");
        let name = list.lines().rfind(|line| line.starts_with("chunk_")).expect("a chunk").to_owned();
        let answer = asking.get(&format!("{}/{name}", url.rsplit_once('/').expect("a folder").0)).await;
        let bytes = answer.expect("an answer").bytes().await.expect("bytes");
        // Behind the opening tag of 73 bytes: AAC-LC of 44 100 Hz with one channel.
        (bytes[73..77] == [0xFF, 0xF1, 0x50, 0x40 | bytes[76] & 0x3F]).then_some((list, bytes))
    };
    let (list, bytes) = eventually_async("a chunk of the new form", Duration::from_secs(15), last).await;
    assert!(list.contains("#EXT-X-DISCONTINUITY\n") && bytes.len() < 20_000, "{} bytes; {list}", bytes.len());
    let chunks = asking.report().await.chunks;
    let loud = chunks.iter().position(|chunk| chunk.silent).expect("silent chunks");
    assert!(chunks[loud..].iter().all(|chunk| chunk.silent));
    let numbers: Vec<u64> = chunks.iter().map(|chunk| chunk.sequence).collect();
    assert!(numbers.windows(2).any(|pair| pair[1] < pair[0]), "{numbers:?}");
    let refused = asking.client.post(format!("{}/control", asking.started.guest_base));
    let refused = refused.json(&json!({"do": "change_format", "sample_rate": 96000, "channels": 2})).send().await;
    assert_eq!(refused.expect("an answer").status(), 400);
}
