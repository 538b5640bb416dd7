//! What X's answers say: a Space's metadata, GraphQL errors, the stream's location. Pure parsing of hostile JSON.
//!
//! Fields as observed by twspace-crawler, yuseisui/twspaces, fa0311/twitter-openapi and yt-dlp. Every field may be
//! absent or of another type: each is looked up by itself, so that one that changed takes no other with it.

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use crate::source::{SessionInfo, SessionPhase};

/// Longest title and name that are kept, in characters; X allows 70 and 50.
const MAX_TITLE: usize = 280;

/// Most features that an error may name.
const MAX_FEATURES: usize = 100;

/// A Space's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceState {
    /// Announced.
    NotStarted,
    /// Created, not yet audible.
    PrePublished,
    /// Live.
    Running,
    /// The host ended it.
    Ended,
    /// The host vanished.
    TimedOut,
    /// Announced and withdrawn.
    Canceled,
    /// A word that is new.
    Unknown,
}

impl SpaceState {
    /// Reads a state however it is written: `NotStarted`, `NOT_STARTED`, ...
    pub fn parse(word: &str) -> Self {
        let plain: String = word.chars().filter(|c| c.is_ascii_alphabetic()).collect::<String>().to_ascii_lowercase();
        match plain.as_str() {
            "notstarted" | "scheduled" => Self::NotStarted,
            "prepublished" => Self::PrePublished,
            "running" | "live" => Self::Running,
            "ended" => Self::Ended,
            "timedout" => Self::TimedOut,
            "canceled" | "cancelled" => Self::Canceled,
            _ => Self::Unknown,
        }
    }

    /// Whether nothing comes any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::TimedOut | Self::Canceled)
    }

    fn phase(self) -> SessionPhase {
        match self {
            Self::NotStarted | Self::PrePublished => SessionPhase::Waiting,
            // A word that is new must not keep anybody waiting: the stream decides.
            Self::Running | Self::Unknown => SessionPhase::Live,
            Self::Ended | Self::TimedOut | Self::Canceled => SessionPhase::Ended,
        }
    }
}

/// What is known of a Space.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Where it stands.
    pub state: SpaceState,
    /// The same in X's own word, cleaned.
    pub state_word: String,
    /// Names its stream.
    pub media_key: Option<String>,
    /// Title, cleaned; none if the host gave none.
    pub title: Option<String>,
    /// The host's handle, cleaned.
    pub host: Option<String>,
    /// Announced start.
    pub scheduled_start: Option<Timestamp>,
    /// Start.
    pub started_at: Option<Timestamp>,
    /// End.
    pub ended_at: Option<Timestamp>,
}

impl Metadata {
    /// The same in the words that all sources share.
    pub fn session(&self, id: &str) -> SessionInfo {
        SessionInfo {
            id: id.to_owned(),
            title: self.title.clone(),
            host: self.host.clone(),
            platform_state: Some(self.state_word.clone()),
            phase: self.state.phase(),
            scheduled_start: self.scheduled_start,
            started_at: self.started_at,
            ended_at: self.ended_at,
            playlist_url: None,
        }
    }
}

/// What a GraphQL answer amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphqlAnswer {
    /// The Space.
    Space(Box<Metadata>),
    /// No Space and no error: it does not exist, is private, or X could not find it just now.
    Empty,
    /// X demands features that were not sent (error 336).
    MissingFeatures(Vec<String>),
    /// X cannot read the id (error 214).
    InvalidId,
    /// Other errors, in X's words, cleaned.
    Errors(String),
    /// Not JSON, such as an error page.
    Unreadable,
}

/// Reads the answer of `AudioSpaceById` or `AudiospaceByRestId`.
pub fn graphql(body: &[u8]) -> GraphqlAnswer {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return GraphqlAnswer::Unreadable };
    let space = ["/data/audioSpace/metadata", "/data/audio_space_by_rest_id/metadata"];
    // Data counts even beside errors: "Dependency: Unspecified" comes with perfect data (yt-dlp issue 15963).
    for (path, metadata) in space.iter().filter_map(|path| Some((path, answer.pointer(path)?))) {
        if metadata.get("state").is_some_and(Value::is_string) {
            let participants = path.replace("metadata", "participants/admins/0");
            return GraphqlAnswer::Space(Box::new(metadata_of(metadata, answer.pointer(&participants))));
        }
    }
    graphql_errors(&answer)
}

fn graphql_errors(answer: &Value) -> GraphqlAnswer {
    let errors = errors(answer);
    if let Some((_, message)) = errors.iter().find(|(code, _)| *code == 336) {
        let features = missing_features(message);
        if !features.is_empty() {
            return GraphqlAnswer::MissingFeatures(features);
        }
    }
    if errors.iter().any(|(code, _)| *code == 214) {
        return GraphqlAnswer::InvalidId;
    }
    let words: Vec<String> = errors
        .iter()
        .filter(|(_, message)| !message.contains("Dependency: Unspecified"))
        .take(3)
        .map(|(code, message)| format!("{} (code {code})", crate::text::plain(message, 160)))
        .collect();
    if words.is_empty() { GraphqlAnswer::Empty } else { GraphqlAnswer::Errors(words.join("; ")) }
}

/// Codes and messages of an answer's errors; also those of refusals with other statuses than 200.
pub fn errors_of(body: &[u8]) -> Vec<(i64, String)> {
    serde_json::from_slice::<Value>(body).map(|answer| errors(&answer)).unwrap_or_default()
}

fn errors(answer: &Value) -> Vec<(i64, String)> {
    let list = answer.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let code =
        |error: &Value| error.get("code").or(error.pointer("/extensions/code")).and_then(Value::as_i64).unwrap_or(0);
    let message = |error: &Value| error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    list.iter().take(20).map(|error| (code(error), message(error))).collect()
}

/// The names in `The following features cannot be null: a, b`.
fn missing_features(message: &str) -> Vec<String> {
    let list = message.rsplit(':').next().unwrap_or_default();
    let is_name = |name: &&str| {
        (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    list.split([',', ' ', '"']).filter(is_name).take(MAX_FEATURES).map(str::to_owned).collect()
}

fn metadata_of(metadata: &Value, host: Option<&Value>) -> Metadata {
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    let word = text("state").unwrap_or_default();
    let time = |name: &str| metadata.get(name).and_then(milliseconds);
    // `name` and `screen_name` moved from `legacy` to `core` in late 2025; protected hosts have neither.
    let creator = metadata.pointer("/creator_results/result");
    let creator_name = |field: &str| {
        ["/core/", "/legacy/"].iter().find_map(|place| cleaned(creator?.pointer(&format!("{place}{field}"))))
    };
    let host_name = |field: &str| cleaned(host.and_then(|host| host.get(field)));
    Metadata {
        state: SpaceState::parse(word),
        state_word: crate::text::plain(word, 40),
        media_key: text("media_key").filter(|key| is_media_key(key)).map(str::to_owned),
        title: cleaned(metadata.get("title")),
        host: creator_name("screen_name")
            .or_else(|| host_name("twitter_screen_name"))
            .or_else(|| creator_name("name"))
            .or_else(|| host_name("display_name")),
        scheduled_start: time("scheduled_start"),
        started_at: time("started_at"),
        ended_at: time("ended_at"),
    }
}

fn cleaned(value: Option<&Value>) -> Option<String> {
    let text = crate::text::plain(value?.as_str()?, MAX_TITLE);
    (!text.is_empty()).then_some(text)
}

/// A time in milliseconds, as a number or (`ended_at`) as a string.
fn milliseconds(value: &Value) -> Option<Timestamp> {
    let ms = value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|ms| *ms > 0)?;
    Timestamp::from_millisecond(ms).ok()
}

/// It becomes a part of a path.
fn is_media_key(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Where the stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamAnswer {
    /// The live playlist.
    Playlist(Url),
    /// Not for this machine's country.
    Geoblocked,
    /// A video, not a Space's sound.
    Video,
    /// The answer names no stream.
    Nothing,
    /// Not JSON, such as an error page.
    Unreadable,
}

/// Reads the answer of `live_video_stream/status`.
pub fn stream(body: &[u8]) -> StreamAnswer {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return StreamAnswer::Unreadable };
    // The first does not redirect; the second may be wrapped (yt-dlp; fireattack).
    let places = ["/source/noRedirectPlaybackUrl", "/source/location"];
    let url = places.iter().find_map(|place| answer.pointer(place)?.as_str().filter(|url| !url.is_empty()));
    let Some(url) = url.and_then(|url| Url::parse(url).ok()) else { return StreamAnswer::Nothing };
    let url = unwrapped(url);
    if url.path().contains("/geoblocked/") {
        return StreamAnswer::Geoblocked;
    }
    if !url.path().contains("audio-space") {
        return StreamAnswer::Video;
    }
    StreamAnswer::Playlist(url)
}

/// `.../authorized_status/...?url=<the real one>` holds the real one in its query.
fn unwrapped(url: Url) -> Url {
    if !url.path().contains("/live_video_stream/") {
        return url;
    }
    let inner = url.query_pairs().find(|(name, _)| name == "url").and_then(|(_, value)| Url::parse(&value).ok());
    inner.unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const RUNNING: &str = include_str!("../../../tests/fixtures/x/audio_space_running.json");
    const ENDED: &str = include_str!("../../../tests/fixtures/x/audio_space_ended.json");
    const STATUS: &str = include_str!("../../../tests/fixtures/x/stream_status.json");

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
        assert_eq!(
            (metadata.host.as_deref(), metadata.started_at, metadata.scheduled_start),
            (Some("host"), None, None)
        );
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
        assert_eq!(
            source(json!({"location": plain, "noRedirectPlaybackUrl": ""})),
            StreamAnswer::Playlist(plain.clone())
        );
        let mut wrapped =
            Url::parse("https://x.com/i/live_video_stream/authorized_status/1/LIVE_PUBLIC/2").expect("a url");
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
}
