//! What X's answers say: a Space's metadata, GraphQL errors, the stream's location. Pure parsing of hostile JSON.
//!
//! Fields as observed by twspace-crawler, yuseisui/twspaces, fa0311/twitter-openapi and yt-dlp. Every field may be
//! absent or of another type: each is looked up by itself, so that one that changed takes no other with it.

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use crate::secret::Secret;
use crate::source::{SessionInfo, SessionPhase};

/// Longest title and name that are kept, in characters; X allows 70 and 50.
const MAX_TITLE: usize = 280;

/// Most features that an error may name.
const MAX_FEATURES: usize = 100;

/// Most people of a stage that are kept; X allows 13.
const MAX_STAGE: usize = 64;

/// Longest chat token: X's are JSON web tokens of some hundred characters.
const MAX_CHAT_TOKEN: usize = 8192;

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
    /// The host's user id: digits.
    pub host_id: Option<String>,
    /// Announced start.
    pub scheduled_start: Option<Timestamp>,
    /// Start.
    pub started_at: Option<Timestamp>,
    /// End.
    pub ended_at: Option<Timestamp>,
    /// Whether X has, or will have, a replay; none if it does not say.
    pub has_replay: Option<bool>,
    /// Whether it is for a narrower circle than everybody, such as subscribers.
    pub is_narrow: bool,
    /// Who is on stage, the hosts first.
    pub stage: Vec<Person>,
}

/// Somebody on stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id that the media gateway and the chat know them by.
    pub id: String,
    /// What they call themselves, cleaned.
    pub name: String,
    /// Whether they are muted, by themselves or by the host.
    pub muted: bool,
}

impl Metadata {
    /// The same in the words that all sources share.
    pub fn session(&self, id: &str) -> SessionInfo {
        SessionInfo {
            id: id.to_owned(),
            title: self.title.clone(),
            host: self.host.clone(),
            host_id: self.host_id.clone(),
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
            let participants = answer.pointer(&path.replace("metadata", "participants"));
            let host = participants.and_then(|participants| participants.pointer("/admins/0"));
            let stage = participants.map(stage_of).unwrap_or_default();
            return GraphqlAnswer::Space(Box::new(Metadata { stage, ..metadata_of(metadata, host) }));
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
        host_id: user_id(creator, host),
        scheduled_start: time("scheduled_start"),
        started_at: time("started_at"),
        ended_at: time("ended_at"),
        has_replay: metadata.get("is_space_available_for_replay").and_then(Value::as_bool),
        is_narrow: metadata.get("narrow_cast_space_type").and_then(Value::as_u64).is_some_and(|kind| kind > 0),
        stage: Vec::new(),
    }
}

fn stage_of(participants: &Value) -> Vec<Person> {
    let of = |role: &str| participants.get(role).and_then(Value::as_array).into_iter().flatten();
    of("admins").chain(of("speakers")).filter_map(person).take(MAX_STAGE).collect()
}

fn person(value: &Value) -> Option<Person> {
    let is = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or_default();
    let name = ["display_name", "twitter_screen_name"].iter().find_map(|key| cleaned(value.get(*key)));
    Some(Person {
        id: periscope_id(value.get("periscope_user_id")?)?,
        name: name.unwrap_or_default(),
        muted: is("is_muted_by_admin") || is("is_muted_by_guest"),
    })
}

/// An id of the media side, such as `1yKVjRdAPGgEM`.
pub(super) fn periscope_id(value: &Value) -> Option<String> {
    let id = value.as_str()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    ((1..=64).contains(&id.len()) && id.bytes().all(fits)).then(|| id.to_owned())
}

/// The id of the creator, or of the first admin where X does not tell the creator. It becomes a part of a query.
fn user_id(creator: Option<&Value>, host: Option<&Value>) -> Option<String> {
    let of_creator = creator.and_then(|creator| creator.get("rest_id")?.as_str());
    let found = of_creator.or_else(|| host?.pointer("/user_results/rest_id")?.as_str())?;
    let fits = (1..=20).contains(&found.len()) && found.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| found.to_owned())
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

/// The token for the Space's chat in the same answer.
pub fn chat_token(body: &[u8]) -> Option<Secret> {
    token(body, "chatToken")
}

/// The token by which a listener says that they are there, in the same answer.
pub fn lifecycle_token(body: &[u8]) -> Option<Secret> {
    token(body, "lifecycleToken")
}

fn token(body: &[u8], name: &str) -> Option<Secret> {
    let answer = serde_json::from_slice::<Value>(body).ok()?;
    let token = answer.get(name)?.as_str()?;
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    (plain && (1..=MAX_CHAT_TOKEN).contains(&token.len())).then(|| Secret::new(token))
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
mod tests;
