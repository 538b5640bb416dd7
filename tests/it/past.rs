//! What X still holds of a Space, asked for at the simulated one: while it runs, after the end, and when things are wrong.

use std::time::Duration;

use serde_json::json;
use spacebridge::clock::Clock;
use spacebridge::config::XApiConfig;
use spacebridge::rehearsal::space::SpaceArgs;
use spacebridge::secret::Secret;
use spacebridge::source::past::{PastEntry, PastList, PastQuery};
use spacebridge::source::x_space::XSpaceSource;
use spacebridge::source::x_space::auth::Auth;
use spacebridge::source::{Past, SessionPhase, Source, SourceError, SourceFault};

use crate::support::eventually_async;
use crate::x_space::Stage;

fn past_of(stage: &Stage, config: &XApiConfig) -> Box<dyn Past> {
    let auth = Auth::LoggedIn { auth_token: Secret::new("a".repeat(40)), ct0: Secret::new("b".repeat(160)) };
    let source = XSpaceSource::new(&stage.started.space_url, config, auth, &Clock::system()).expect("a source");
    source.past().expect("a Space has a past")
}

/// Asks by the id alone, as for a Space that was never heard.
fn unheard(stage: &Stage) -> PastQuery {
    PastQuery { session: stage.started.space_id.clone(), playlist_url: None }
}

/// Asks for a Space that was heard.
fn heard(stage: &Stage) -> PastQuery {
    PastQuery { playlist_url: Some(stage.started.playlist_url.clone()), ..unheard(stage) }
}

fn quick(stage: &Stage) -> XApiConfig {
    XApiConfig { lookup_interval: Duration::from_millis(50), ..stage.config() }
}

fn numbers(list: &PastList) -> Vec<u64> {
    list.entries.iter().map(|entry| entry.sequence.expect("a number in the name")).collect()
}

fn class<T>(result: Result<T, SourceError>) -> SourceFault {
    result.err().expect("a refusal").class
}

async fn fetch_all(past: &dyn Past, entries: &[PastEntry]) {
    for entry in entries {
        let segment = past.fetch(entry).await.expect(&entry.name);
        assert!(segment.whole && !segment.facts.is_empty(), "{}", entry.name);
        assert_eq!(segment.duration, entry.duration, "{}: the list was rounded to the very frames", entry.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_so_far_is_had_while_the_space_runs_and_an_absent_list_is_no_end() {
    let args =
        SpaceArgs { first_sequence: 1704, snapshot_lag_seconds: 10, needs_referer: true, ..SpaceArgs::default() };
    let stage = Stage::open(args).await;
    let past = past_of(&stage, &quick(&stage));
    for query in [unheard(&stage), heard(&stage)] {
        let list = past.list(&query).await.expect("a list");
        let info = list.info.as_ref().expect("what X says");
        assert_eq!((info.phase, list.is_replay, list.ended), (SessionPhase::Live, false, false));
        assert!(info.title.is_some() && info.playlist_url.is_some());
        // 30 s and what passed since, late by 10 s.
        assert!(numbers(&list).starts_with(&[1704, 1705, 1706, 1707, 1708]) && list.entries.len() < 20, "{list:?}");
        fetch_all(past.as_ref(), &list.entries[..2]).await;
    }
    let report = stage.report().await;
    assert!(report.chunks.iter().take(2).all(|chunk| (chunk.served, chunk.from_past) == (2, 2)), "{:?}", report.chunks);
    assert_eq!(report.requests.get("replay"), None);
    for kind in ["master", "snapshot", "chunk"] {
        assert!(report.requests.contains_key(kind) && !report.cookies_in.contains(kind), "{kind}");
    }

    stage.order(json!({"do": "past", "transcoded": false, "lag_seconds": 0}).to_string()).await;
    let beside = past.list(&heard(&stage)).await.expect("the list in the chunks' own folder");
    assert!(beside.entries.len() >= 9 && stage.report().await.requests["replay"] == 1, "{beside:?}");
    stage.order(json!({"do": "past", "while_live": false}).to_string()).await;
    assert_eq!(class(past.list(&heard(&stage)).await), SourceFault::Transient);
    stage.order(json!({"do": "refuse_listeners", "status": 429}).to_string()).await;
    assert!(matches!(class(past.list(&heard(&stage)).await), SourceFault::RateLimited(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_comes_late_and_lists_all_that_it_has() {
    let stage = Stage::open(SpaceArgs { running_for_seconds: 10_800, ..SpaceArgs::default() }).await;
    let past = past_of(&stage, &quick(&stage));
    stage.order(json!({"do": "past", "made_after_seconds": 1, "lacks": [5]}).to_string()).await;
    stage.order(json!({"do": "end", "replay": true}).to_string()).await;
    assert_eq!(class(past.list(&unheard(&stage)).await), SourceFault::Transient);
    let list =
        eventually_async("a replay", Duration::from_secs(10), || async { past.list(&unheard(&stage)).await.ok() })
            .await;
    assert!(list.is_replay && list.ended && list.entries.len() > 3590, "{} entries", list.entries.len());
    assert_eq!(numbers(&list)[..7], [0, 1, 2, 3, 4, 6, 7]);
    fetch_all(past.as_ref(), &[list.entries[0].clone(), list.entries[1800].clone()]).await;
    fetch_all(past.as_ref(), &list.entries[3580..3582]).await;

    // X does not answer any more: what was heard is known by its address.
    stage.order(json!({"do": "fail_api", "fault": {"kind": "status", "status": 503}}).to_string()).await;
    assert_eq!(class(past.list(&unheard(&stage)).await), SourceFault::Transient);
    let without = past.list(&heard(&stage)).await.expect("a list");
    assert_eq!((without.info, without.is_replay, without.entries.len()), (None, true, list.entries.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_was_not_recorded_is_had_by_the_address_that_was_heard() {
    let stage = Stage::open(SpaceArgs::default()).await;
    let past = past_of(&stage, &quick(&stage));
    stage.order(json!({"do": "end", "replay": false}).to_string()).await;
    let unheard = past.list(&unheard(&stage)).await;
    let list = past.list(&heard(&stage)).await.expect("a list by the captured address");
    assert!(list.is_replay && list.ended && list.entries.len() >= 9);
    stage.order(json!({"do": "past", "after_end": false}).to_string()).await;
    // Nobody heard it and X promises nothing; where it was heard, X may still make a list: it ended just now.
    assert_eq!(class(unheard), SourceFault::Gone);
    assert_eq!(class(past.list(&heard(&stage)).await), SourceFault::Transient);
    stage.order(json!({"do": "new_space"}).to_string()).await;
    stage.order(json!({"do": "cancel"}).to_string()).await;
    let cancelled = PastQuery { session: stage.report().await.space_id, playlist_url: None };
    assert_eq!(class(past.list(&cancelled).await), SourceFault::Gone);
    let never = PastQuery { session: "1DXxyRYNejbKM".to_owned(), playlist_url: None };
    assert_eq!(class(past.list(&never).await), SourceFault::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_tried_at_every_edge_and_given_as_it_is_when_it_stays_damaged() {
    let stage = Stage::open(SpaceArgs::default()).await;
    let config = XApiConfig { edges: stage.started.other_edges.clone(), ..quick(&stage) };
    let past = past_of(&stage, &config);
    let entries = past.list(&heard(&stage)).await.expect("a list").entries;
    let fail = |sequences: &[u64], fault: &str, rest: &str| {
        format!("{{\"do\":\"fail_chunks\",\"sequences\":{sequences:?},\"fault\":{fault}{rest}}}")
    };
    stage.order(json!({"do": "delete_chunks", "sequences": [0]}).to_string()).await;
    stage.order(fail(&[1], r#"{"kind":"status","status":404}"#, r#","edge":0"#)).await;
    stage.order(fail(&[2], r#"{"kind":"cut"}"#, "")).await;
    stage.order(fail(&[3], r#"{"kind":"truncated"}"#, r#","times":1"#)).await;
    stage.order(fail(&[4], r#"{"kind":"status","status":503}"#, "")).await;
    stage.order(fail(&[5], r#"{"kind":"junk"}"#, "")).await;
    let fetch = |n: usize| past.fetch(&entries[n]);
    let (gone, moved, damaged, broken, refused, junk) =
        tokio::join!(fetch(0), fetch(1), fetch(2), fetch(3), fetch(4), fetch(5));
    assert_eq!(class(gone), SourceFault::Gone);
    assert!(moved.expect("had at the other edge").whole);
    let damaged = damaged.expect("bytes");
    assert!(!damaged.whole && damaged.duration > 0 && damaged.duration < entries[2].duration);
    assert!(broken.expect("had at the second try").whole);
    assert_eq!(class(refused), SourceFault::Transient);
    let junk = junk.expect("audio behind junk");
    assert_eq!((junk.whole, junk.duration), (true, entries[5].duration));
}
