//! Checked configuration: inert data that the bridge is built from.
//!
//! These types hold no secret: a secret is named by a [`SecretRef`], found by the parent process and handed to the
//! bridge beside the configuration. `read` turns a file into a [`ShowConfig`] or into every error in it at once.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::clock::Pace;
use crate::media::VideoFormat;

mod address;
mod alert;
mod check;
mod daemon;
mod defaults;
mod failover;
mod file;
mod known;
mod link;
mod live;
mod problem;
mod read;
mod section;
mod sources;

pub mod key_store;
pub mod secrets;
pub mod units;

#[cfg(test)]
mod tests;

pub use address::looks_like_key;
pub(crate) use address::plain_name;
pub use alert::{AlertAction, AlertConfig, DaemonAlert, WrittenUrl};
pub use daemon::{DaemonConfig, LISTEN, LimitsConfig};
pub use defaults::CLOSING;
pub use failover::{FailoverConfig, FailoverMode, Standby};
pub use file::{load, load_daemon};
pub use known::{CUSTOM, Known, PresetDefaults, SpaceLinkReader};
pub use link::{RunOptions, from_link, source_of};
pub use live::live_output;
pub use problem::Problem;
pub use read::{read, read_daemon};
pub use secrets::Secrets;
pub use sources::{Seat, SourceConfig, SourceKind};

/// Everything a bridge needs to carry one show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShowConfig {
    /// What the show is.
    pub show: ShowSettings,
    /// Sources by priority; at least one.
    pub sources: Vec<SourceConfig>,
    /// How they stand in for each other.
    #[serde(default)]
    pub failover: FailoverConfig,
    /// The continuous output timeline.
    pub program: ProgramConfig,
    /// The picture.
    pub slate: SlateConfig,
    /// Where to publish; may be empty: then the show is only recorded.
    pub outputs: Vec<OutputConfig>,
    /// The archive.
    pub recording: RecordingConfig,
    /// How to reach the platform's API.
    pub x: XApiConfig,
    /// Who is told of what happens, any number.
    #[serde(default)]
    pub alerts: Vec<AlertConfig>,
    /// The schedule of a rehearsal; no file can set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// What the show is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShowSettings {
    /// Names the state folder; `[0-9A-Za-z_-]`, 1 to 64 characters.
    pub name: String,
    /// Title on the slate and in the files; the session's own title where none is given.
    pub title: Option<String>,
    /// Host on the slate and in the files; the session's own host where none is given.
    pub host: Option<String>,
    /// IANA time zone of every time on the slate.
    pub timezone: String,
    /// How long the closing slate stays on the air after the session ended.
    pub closing: Duration,
    /// Gives up when the space has not started for this long; none waits for ever.
    pub give_up_after: Option<Duration>,
    /// How long before the announced start the outputs open; none opens them with the show.
    #[serde(default)]
    pub on_air_before: Option<Duration>,
    /// The announced start, where the operator knows better than the platform.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// How long after the end of a space the show waits for the host's next one; none ends the show.
    #[serde(default)]
    pub follow_host: Option<Duration>,
    /// How much later than it could be the program goes out, at most 60 s: the operator's time to cut.
    #[serde(default)]
    pub public_delay: Duration,
    /// On what ground the conversation is mirrored, in the operator's words.
    #[serde(default)]
    pub consent: Option<String>,
}

/// The continuous output timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramConfig {
    /// Amplification before the limiter, in dB.
    pub gain_db: f64,
    /// True-peak ceiling, in dBTP; none leaves peaks alone.
    pub limit_dbtp: Option<f64>,
    /// Played while there is no source; silence where there is none.
    pub hold_audio: Option<PathBuf>,
    /// Sample rate of the encoded audio: 48 000 or 44 100.
    pub sample_rate: u32,
    /// AAC bitrate, in kbit/s.
    pub audio_kbps: u32,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlateConfig {
    /// The operator's own SVG template.
    pub template: Option<PathBuf>,
    /// A still image instead of a template.
    pub image: Option<PathBuf>,
    /// Artwork that the template shows.
    pub artwork: Option<PathBuf>,
    /// Size and rate.
    pub format: VideoFormat,
    /// Constant video bitrate by filler, in kbit/s; 0 for none.
    pub video_kbps: u32,
    /// Whether the slate shows a clock.
    pub clock: bool,
    /// Whether the slate names who is speaking.
    #[serde(default)]
    pub show_speakers: bool,
    /// Makes frame 0 of the loop bright: a rehearsal compares picture and sound by it.
    pub flash: bool,
    /// Whether the slate says on what ground the conversation is mirrored.
    #[serde(default)]
    pub show_consent: bool,
    /// What the slate says.
    pub texts: SlateTexts,
}

/// What the slate says in each state. `{time}` and `{zone}` stand for the announced start, `{left}` for the time until
/// then and `{late}` for the time since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlateTexts {
    /// Nothing is known yet.
    pub connecting: String,
    /// A start is announced; `{time}`, `{zone}`.
    pub scheduled: String,
    /// The announced start is less than an hour away; `{time}`, `{zone}`, `{left}`.
    #[serde(default = "defaults::countdown")]
    pub countdown: String,
    /// The announced start is over, and the space has not opened; `{time}`, `{zone}`, `{late}`.
    #[serde(default = "defaults::late")]
    pub late: String,
    /// No start is announced, and the space has not opened.
    pub waiting: String,
    /// Space audio is on the air.
    pub live: String,
    /// The space was live and there is no audio from it.
    pub gap: String,
    /// A space is over, and the host's next one is waited for.
    #[serde(default = "defaults::next")]
    pub next: String,
    /// Over.
    pub ended: String,
    /// Something is cut out of the program.
    #[serde(default = "defaults::moment")]
    pub moment: String,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputConfig {
    /// Unique in the show; `[0-9A-Za-z_-]`.
    pub name: String,
    /// Name of a preset in the presets file, such as `youtube`; `custom` for none.
    pub preset: String,
    /// The server's address without the key, from the preset or the operator: `rtmp` or `rtmps`.
    pub url: Url,
    /// The stream key.
    pub key: Option<SecretRef>,
    /// Outputs with the same group carry identical bytes and one timestamp zero: a platform's primary and backup.
    pub group: Option<String>,
    /// Whether it starts with the show.
    pub enabled: bool,
    /// How many broadcasts it may begin.
    #[serde(default)]
    pub budget: BudgetConfig,
}

/// How many publishing sessions an output may begin: on a platform each can become another video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetConfig {
    /// New publishing sessions in any hour; 0 sets no limit.
    pub per_hour: u32,
    /// What happens when that many have begun.
    pub when_spent: WhenSpent,
}

/// What an output does when its budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenSpent {
    /// It tries every 5 minutes.
    #[default]
    Slow,
    /// It waits until the oldest session is an hour old, or for the operator.
    Hold,
}

/// The archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Parent folder of the archives.
    pub folder: PathBuf,
    /// Stops keeping when less than this is free, in bytes, so that the machine lives on.
    pub min_free_bytes: u64,
    /// How long after the end of a session what is missing is looked for in its replay; none asks for nothing that is past.
    #[serde(default)]
    pub repair_for: Option<Duration>,
    /// Which old recordings are deleted by themselves.
    #[serde(default)]
    pub retention: RetentionConfig,
}

/// Which old recordings are deleted by themselves: none where nothing is set. One that was never exported, whose repair
/// is pending, or that the operator keeps, is never deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionConfig {
    /// Older than this, since their show ended.
    pub max_age: Option<Duration>,
    /// The oldest of those that together hold more than so many bytes.
    pub max_bytes: Option<u64>,
    /// The oldest of more than so many.
    pub max_count: Option<u32>,
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "from", content = "name", rename_all = "snake_case")]
pub enum SecretRef {
    /// An environment variable of the parent process.
    Env(String),
    /// A file of mode 0600 whose first line it is.
    File(PathBuf),
    /// A systemd credential of this name, under `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// Asked for on the terminal; the name is only for the question.
    Prompt(String),
}

/// How to reach the platform's API. X's API is undocumented and changes without notice, so everything is settable.
/// Defaults and their sources: see `config/spacebridge.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct XApiConfig {
    /// `https://x.com/i/api`: GraphQL and status calls of a logged-in listener.
    pub api_base: Url,
    /// `https://api.x.com`: guest activation.
    pub guest_base: Url,
    /// `https://proxsee.pscp.tv`: where the read-only chat is asked for.
    pub chat_base: Url,
    /// `https://proxsee.pscp.tv`: where the seat `speaker` signs in and says that it is there.
    #[serde(default = "defaults::login_base")]
    pub login_base: Url,
    /// `https://guest.pscp.tv`: where a speaker's seat is asked for.
    #[serde(default = "defaults::stage_base")]
    pub stage_base: Url,
    /// Hosts (and their subdomains) that a speaker's gateway may be on: they get the seat's own token, https only.
    #[serde(default = "defaults::gateway_hosts")]
    pub gateway_hosts: Vec<String>,
    /// Whether silence is sent from a speaker's seat, for gateways that let nobody sit who sends nothing.
    #[serde(default)]
    pub seat_silence: bool,
    /// Whether the chat is read along, as one more sign of a space's end.
    pub chat: bool,
    /// The public bearer token of the web page. Not a secret of anybody, yet never logged.
    pub bearer: String,
    /// Query id of `AudioSpaceById`.
    pub audio_space_by_id: String,
    /// Query id of the fallback `AudiospaceByRestId`.
    pub audiospace_by_rest_id: String,
    /// Query id of `UserByScreenName`, which only a watch on an account asks.
    #[serde(default = "defaults::user_by_screen_name")]
    pub user_by_screen_name: String,
    /// Query id of `AuthenticatePeriscope`, which only the seat `speaker` asks.
    #[serde(default = "defaults::authenticate_periscope")]
    pub authenticate_periscope: String,
    /// Features that are sent as true.
    pub features_true: Vec<String>,
    /// Features that are sent as false.
    pub features_false: Vec<String>,
    /// `User-Agent` of every call.
    pub user_agent: String,
    /// `Referer` and `Origin` at the CDN.
    pub referer: Url,
    /// Hosts (and their subdomains) that may get the operator's cookies, https only.
    pub cookie_hosts: Vec<String>,
    /// Whether addresses that playlists and the API name may be loopback or private. A rehearsal sets it.
    pub allow_private_addresses: bool,
    /// Other edges of the CDN, `host` or `host:port`, where the same path is tried when the playlist's own fails.
    pub edges: Vec<String>,
    /// Pause between two look-ups of a space that has not started.
    pub lookup_interval: Duration,
}
