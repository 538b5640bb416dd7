//! Samples of X's answers, whole and spoiled.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const RUNNING: &str = include_str!("../../../../tests/fixtures/x/audio_space_running.json");
const ENDED: &str = include_str!("../../../../tests/fixtures/x/audio_space_ended.json");
const STATUS: &str = include_str!("../../../../tests/fixtures/x/stream_status.json");

fn space(text: &str) -> Metadata {
    match graphql(text.as_bytes()) {
        GraphqlAnswer::Space(metadata) => *metadata,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_running_space_is_read() {
    let metadata = space(RUNNING);
    assert_eq!(metadata.state, SpaceState::Running);
    assert_eq!(metadata.title.as_deref(), Some("Friday night with <everyone>"));
    assert_eq!(
        (metadata.host.as_deref(), metadata.media_key.as_deref()),
        (Some("thehost"), Some("28_1234567890123456789"))
    );
    assert_eq!(metadata.scheduled_start, Timestamp::from_millisecond(1_760_104_800_000).ok());
    assert_eq!(metadata.host_id.as_deref(), Some("1"));
    let hostile = space(&RUNNING.replace(r#""rest_id":"1""#, r#""rest_id":"1&user_ids=2""#));
    assert_eq!(hostile.host_id, None);
    let session = metadata.session("1DXxyRYNejbKM");
    assert_eq!((session.phase, session.ended_at), (SessionPhase::Live, None));
}

#[test]
fn data_beside_a_spurious_error_counts_and_an_end_may_be_a_string() {
    let metadata = space(ENDED);
    assert_eq!(
        (metadata.state, metadata.title.clone(), metadata.host.as_deref()),
        (SpaceState::Ended, None, Some("thehost"))
    );
    assert_eq!(metadata.ended_at, Timestamp::from_millisecond(1_760_112_257_680).ok());
    let number = space(&ENDED.replace("\"1760112257680\"", "1760112257680"));
    assert_eq!(number, metadata);
    let other = space(&ENDED.replace("audioSpace", "audio_space_by_rest_id"));
    assert_eq!(other, metadata);
}

#[test]
fn fields_of_another_type_take_no_other_with_them() {
    let odd = json!({"data": {"audioSpace": {"metadata": {
        "state": "RUNNING", "title": 7, "media_key": "../../etc", "started_at": "x", "scheduled_start": -5,
        "ended_at": {}, "creator_results": {"result": {"core": {"screen_name": ""}, "legacy": null}}},
        "participants": {"admins": [{"twitter_screen_name": "host\u{202e}"}]}}}});
    let metadata = space(&odd.to_string());
    assert_eq!((metadata.state, metadata.title, metadata.media_key), (SpaceState::Running, None, None));
    assert_eq!((metadata.host.as_deref(), metadata.started_at, metadata.scheduled_start), (Some("host"), None, None));
}

#[test]
fn states_are_read_in_every_spelling() {
    for (word, state) in [
        ("NotStarted", SpaceState::NotStarted),
        ("NOT_STARTED", SpaceState::NotStarted),
        ("PrePublished", SpaceState::PrePublished),
        ("RUNNING", SpaceState::Running),
        ("ended", SpaceState::Ended),
        ("TIMED_OUT", SpaceState::TimedOut),
        ("TimedOut", SpaceState::TimedOut),
        ("Canceled", SpaceState::Canceled),
        ("Paused", SpaceState::Unknown),
    ] {
        assert_eq!(SpaceState::parse(word), state, "{word}");
    }
    assert_eq!(SpaceState::PrePublished.phase(), SessionPhase::Waiting);
}

#[test]
fn errors_are_told_apart() {
    let error = |code: i64, message: &str| json!({"errors": [{"code": code, "message": message}]}).to_string();
    let two = "The following features cannot be null: spaces_new_thing, other_enabled";
    for (body, expected) in [
        (error(336, two), GraphqlAnswer::MissingFeatures(vec!["spaces_new_thing".into(), "other_enabled".into()])),
        (error(214, "BadRequest: invalid broadcast_ids"), GraphqlAnswer::InvalidId),
        (error(0, "Dependency: Unspecified"), GraphqlAnswer::Empty),
        (error(131, "Internal\u{1b}[2J error"), GraphqlAnswer::Errors("Internal [2J error (code 131)".into())),
        (json!({"data": {"audioSpace": {}}}).to_string(), GraphqlAnswer::Empty),
        (json!({"data": {"audioSpace": null}}).to_string(), GraphqlAnswer::Empty),
        ("[]".into(), GraphqlAnswer::Empty),
        ("<!DOCTYPE html>".into(), GraphqlAnswer::Unreadable),
        (String::new(), GraphqlAnswer::Unreadable),
    ] {
        assert_eq!(graphql(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn a_stream_is_found_in_every_shape_of_the_answer() {
    let plain = Url::parse("https://h.pscp.tv/x/audio-space/dynamic_playlist.m3u8?type=live").expect("a url");
    let source = |source: Value| stream(json!({"source": source}).to_string().as_bytes());
    assert!(matches!(stream(STATUS.as_bytes()), StreamAnswer::Playlist(url) if url.query() == Some("type=live")));
    assert_eq!(source(json!({"location": plain})), StreamAnswer::Playlist(plain.clone()));
    assert_eq!(source(json!({"location": plain, "noRedirectPlaybackUrl": ""})), StreamAnswer::Playlist(plain.clone()));
    let mut wrapped = Url::parse("https://x.com/i/live_video_stream/authorized_status/1/LIVE_PUBLIC/2").expect("a url");
    wrapped.query_pairs_mut().append_pair("url", plain.as_str());
    assert_eq!(source(json!({"location": wrapped})), StreamAnswer::Playlist(plain));
    let blocked = "https://h/live_video_stream/geoblocked/audio-space/1.m3u8";
    assert_eq!(source(json!({"location": blocked})), StreamAnswer::Geoblocked);
    assert_eq!(source(json!({"location": "https://h/master_dynamic_highlatency.m3u8"})), StreamAnswer::Video);
    for nothing in [json!({}), json!(null), json!({"location": 5}), json!({"location": "no url"})] {
        assert_eq!(source(nothing), StreamAnswer::Nothing);
    }
    assert_eq!(stream(b"<html>"), StreamAnswer::Unreadable);
}

proptest! {
    #[test]
    fn fuzz_graphql_json(at in 0..RUNNING.len(), byte in any::<u8>(), cut in 0..RUNNING.len()) {
        let mut bytes = RUNNING.as_bytes().to_vec();
        bytes[at] = byte;
        drop(graphql(&bytes));
        drop(graphql(&bytes[..cut]));
        drop(errors_of(&bytes));
    }

    #[test]
    fn fuzz_graphql_values(state in ".{0,20}", title in any::<String>(), time in any::<i64>(), text in any::<String>()) {
        let body = json!({"data": {"audioSpace": {"metadata": {
            "state": state, "title": title, "started_at": time, "ended_at": text, "media_key": text}}}});
        let GraphqlAnswer::Space(metadata) = graphql(body.to_string().as_bytes()) else { panic!("{body}") };
        prop_assert!(metadata.title.is_none_or(|title| !title.chars().any(char::is_control)));
    }

    #[test]
    fn fuzz_missing_features(message in "(The following features cannot be null:)?\\PC{0,200}") {
        for name in missing_features(&message) {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        }
    }

    #[test]
    fn fuzz_stream_status(at in 0..STATUS.len(), byte in any::<u8>(), location in any::<String>()) {
        let mut bytes = STATUS.as_bytes().to_vec();
        bytes[at] = byte;
        drop(stream(&bytes));
        drop(stream(json!({"source": {"location": location}}).to_string().as_bytes()));
    }
}
