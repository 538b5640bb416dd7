//! Read models: what a bridge says of itself over its protocol, to the terminal view and to every client.
//!
//! These types are the protocol's contract. Fields are added, never renamed; texts are safe to print on a terminal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::Event;

/// Version of the protocol on a bridge's socket. Clients speak to this version and the one before it.
pub const PROTOCOL_VERSION: u32 = 1;

/// Everything about one show, as it is now.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShowStatus {
    /// [`PROTOCOL_VERSION`] of the bridge.
    pub protocol: u32,
    /// The show's name: the name of its state folder.
    pub show: String,
    /// The bridge process.
    pub bridge: BridgeStatus,
    /// Where the show stands.
    pub state: ShowState,
    /// What is happening, in one sentence for people.
    pub words: String,
    /// The current or last session, once one was found.
    pub session: Option<SessionStatus>,
    /// Every source of the show, by priority.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
    /// The continuous output timeline.
    pub program: ProgramStatus,
    /// What the slate says of what is happening, as it will be heard.
    pub slate: String,
    /// Another word for every other picture that is on the air; none where nobody can look at it.
    #[serde(default)]
    pub slate_version: Option<String>,
    /// What the operator puts in its place.
    #[serde(default)]
    pub own_slate: Option<OwnSlate>,
    /// Every output, in the order of the configuration.
    pub outputs: Vec<OutputStatus>,
    /// The show's archive.
    pub recording: RecordingStatus,
    /// The last events, oldest first.
    pub events: Vec<Event>,
}

/// The operator's own word on the slate of a show that is on the air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnSlate {
    /// This, in place of what is happening.
    Text(String),
    /// A picture, in place of everything.
    Picture,
}

/// The bridge process.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BridgeStatus {
    /// Process id.
    pub pid: u32,
    /// Program version.
    pub version: String,
    /// When this process started.
    pub started_at: Timestamp,
    /// How often the show was resumed after a crash or a suspension.
    pub resumes: u32,
    /// Whether the process that supervised it is gone: nobody would start it again. The next `run` takes it over.
    #[serde(default)]
    pub orphaned: bool,
}

/// Where a show stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShowState {
    /// Building its stages.
    Starting,
    /// On the air with the slate, no audio yet: the space is not found, not started, or not audible.
    Waiting,
    /// Space audio is on its way to the outputs.
    Live,
    /// The space was live and there is no audio from it now.
    Gap,
    /// The session is over; the closing slate is on the air.
    Ending,
    /// Outputs closed, recording safe, can be resumed.
    Suspended,
    /// Over.
    Ended,
}

/// One space from found to ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionStatus {
    /// The platform's id of the space, or a name made from the source's address.
    pub id: String,
    /// Title, stripped of control characters.
    pub title: Option<String>,
    /// Host's handle or name.
    pub host: Option<String>,
    /// The platform's state in its own word, such as `Running`.
    pub platform_state: Option<String>,
    /// When it is announced for.
    pub scheduled_start: Option<Timestamp>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Who is on stage, and how loud: 0 is silent.
    pub speakers: Vec<SpeakerStatus>,
    /// Program sample at which the session's media time zero would be on the air, as the newest audio is placed; none
    /// before the first audio. It moves by single samples as the source's clock is followed, and jumps with the program.
    pub anchor_samples: Option<i64>,
    /// Segments received.
    pub segments: u64,
}

/// Where the audio may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceStatus {
    /// A short name without secrets, such as `Space 1DXxyRYNejbKM`.
    pub name: String,
    /// Whether it is the one that is heard, or tried.
    pub active: bool,
    /// Whether the operator holds the show to it.
    #[serde(default)]
    pub pinned: bool,
    /// Whether it is connected, heard or standing by.
    #[serde(default)]
    pub connected: bool,
    /// Whether it gives audio as it should.
    #[serde(default)]
    pub healthy: bool,
    /// Whether it is known to the sample where its sound belongs beside the one that is heard.
    #[serde(default)]
    pub aligned: bool,
}

/// Somebody on stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpeakerStatus {
    /// Handle or display name.
    pub name: String,
    /// The platform's audio level; above about 8 is talking.
    pub level: u32,
    /// Whether the microphone is closed; none where nobody says so.
    #[serde(default)]
    pub muted: Option<bool>,
}

/// The continuous output timeline.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProgramStatus {
    /// Seconds since the program started.
    pub seconds: f64,
    /// Source audio that lies ahead of what is on the air, in ms.
    pub buffered_ms: u64,
    /// Whether hold audio is on the air because there is no source.
    pub holding: bool,
    /// Peak of the last 85 ms, in dBFS; -120 is silence.
    pub peak_dbfs: f32,
    /// Root mean square of the last 85 ms, in dBFS.
    pub rms_dbfs: f32,
    /// EBU R128 short-term loudness (3 s), in LUFS.
    pub short_term_lufs: f32,
    /// Source audio that came too late for the air, in ms. It is in the recording.
    pub late_ms: u64,
    /// Source audio that was skipped on the air to return to the target delay, in ms. It is in the recording.
    pub skipped_ms: u64,
    /// How much later than it could be the program goes out, in ms.
    #[serde(default)]
    pub public_delay_ms: u64,
    /// What was cut out of the program so far, in ms. It is in the recording.
    #[serde(default)]
    pub cut_ms: u64,
}

/// Where an output stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputState {
    /// Stopped by the operator, or not started.
    Stopped,
    /// A connection is being made; no media has left yet.
    Connecting,
    /// Media leaves.
    Live,
    /// Waiting before the next attempt.
    Backoff,
}

/// One destination.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OutputStatus {
    /// The configuration's name.
    pub name: String,
    /// Server address without the key.
    pub server: String,
    /// Where it stands.
    pub state: OutputState,
    /// Seconds in this state.
    pub state_seconds: u64,
    /// Since when media leaves without a break; none while it does not.
    #[serde(default)]
    pub live_since: Option<Timestamp>,
    /// Publishing sessions that reached `live`.
    pub connections: u32,
    /// Attempts that failed, and live sessions that broke.
    pub failures: u32,
    /// Bytes sent over all sessions.
    pub bytes_out: u64,
    /// Rate over the last seconds, in kbit/s.
    pub kbps: u32,
    /// Media frames not sent because the connection was too slow.
    pub dropped_frames: u64,
    /// The last fault, redacted, with what to do.
    pub last_error: Option<String>,
    /// Seconds until the next attempt, while in backoff.
    pub retry_in_seconds: Option<u64>,
    /// Code of the fault that keeps it off the air, such as `output.rejected`; none while live or stopped, but
    /// `output.key_lost` for one that cannot be started.
    #[serde(default)]
    pub fault: Option<String>,
    /// How many broadcasts it may begin.
    #[serde(default)]
    pub budget: BudgetStatus,
    /// Pipelines that did not come down and were left behind.
    #[serde(default)]
    pub abandoned: u32,
}

/// How many broadcasts an output may begin in an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BudgetStatus {
    /// In any hour; 0 sets no limit.
    pub limit: u32,
    /// Begun in the last hour.
    pub used: u32,
    /// Seconds until the budget allows the next attempt, while it is what holds the output back.
    pub next_in_seconds: Option<u64>,
}

/// The show's archive.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordingStatus {
    /// The archive's folder; none if recording is off.
    pub folder: Option<String>,
    /// Seconds of source audio kept.
    pub seconds: f64,
    /// Bytes kept.
    pub bytes: u64,
    /// Segments kept.
    pub segments: u64,
    /// Known gaps, oldest first.
    pub gaps: Vec<Gap>,
    /// Why nothing is being kept now, with what to do.
    pub error: Option<String>,
    /// Finished files for posting, once the session is over.
    pub files: Vec<String>,
}

/// An interval of a session without source audio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Gap {
    /// The session's id.
    pub session: String,
    /// Start, in seconds of the session's media time.
    pub start_seconds: f64,
    /// End, in seconds of the session's media time.
    pub end_seconds: f64,
    /// Why, such as `segment answered 404`.
    pub cause: String,
}
