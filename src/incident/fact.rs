//! The lines of an incident file: what they say, and how one is written.
//!
//! States are words here and no enums: a reader knows the states of later versions as words too.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::{Event, Level};
use crate::text::plain;

/// Version of the lines that this program writes. Fields and types are added, never renamed.
pub const FORMAT_VERSION: u32 = 1;

/// Longest text of a line, in characters.
const MAX_TEXT: usize = 500;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`FORMAT_VERSION`].
    pub v: u32,
    /// Wall time.
    pub at: Timestamp,
    /// Seconds since the bridge process began to write, by a clock that never steps.
    pub t: f64,
    /// What it says.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Fact {
    /// A bridge process begins, or goes on with, the show.
    Begin(Begin),
    /// Something was told.
    Event(EventFact),
    /// The show entered a state.
    State {
        /// The state, such as `live`.
        state: String,
        /// The state before; none for the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// What is happening, in one sentence.
        #[serde(default)]
        words: String,
    },
    /// An output entered a state.
    Output {
        /// Its name.
        output: String,
        /// The state, such as `backoff`.
        state: String,
        /// The state before; none for the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Why it left a state in which it worked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A session was found, or says something else of itself than before.
    Session(SessionFact),
    /// The slate says something else.
    Slate {
        /// What it says.
        text: String,
    },
    /// An interval of a session without source audio is known.
    Gap(GapFact),
    /// The recording stopped, or is written again.
    Recording {
        /// Why nothing is kept; none when it is kept again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The figures so far, since this process began.
    Figures(Figures),
    /// Lines that could not be kept.
    LeftOut {
        /// How many.
        lines: u64,
        /// Why.
        why: String,
    },
    /// The process is done with the show.
    End {
        /// The show's last state.
        state: String,
    },
    /// Written by a later version.
    #[serde(other)]
    Unknown,
}

/// A process and its show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The show's name.
    pub show: String,
    /// Process id.
    #[serde(default)]
    pub pid: u32,
    /// Program version.
    #[serde(default)]
    pub version: String,
    /// How often the show was resumed.
    #[serde(default)]
    pub resumes: u32,
    /// IANA time zone of the show's slate: that of its report too.
    #[serde(default)]
    pub timezone: String,
}

/// An [`Event`] without its place in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFact {
    /// How much it matters.
    pub level: Level,
    /// A stable name for programs.
    pub code: String,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub message: String,
    /// When this trouble began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What the bridge does about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// What the operator can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How many equal reports it stands for.
    #[serde(default = "one")]
    pub count: u64,
}

fn one() -> u64 {
    1
}

/// What a session says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFact {
    /// The platform's id.
    pub id: String,
    /// Title.
    #[serde(default)]
    pub title: Option<String>,
    /// Host.
    #[serde(default)]
    pub host: Option<String>,
    /// The platform's state in its own word.
    #[serde(default)]
    pub platform_state: Option<String>,
    /// When it is announced for.
    #[serde(default)]
    pub scheduled_start: Option<Timestamp>,
    /// When it started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
}

/// An interval without source audio, in seconds of the session's media time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapFact {
    /// The session's id.
    pub session: String,
    /// Start.
    pub start_seconds: f64,
    /// End.
    pub end_seconds: f64,
    /// Why.
    pub cause: String,
}

/// How the show did, since its process began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Every output.
    #[serde(default)]
    pub outputs: Vec<OutputFigures>,
    /// Seconds of source audio in the archive, over all processes.
    #[serde(default)]
    pub recorded_seconds: f64,
    /// Bytes in the archive, over all processes.
    #[serde(default)]
    pub recorded_bytes: u64,
    /// Known gaps, over all processes.
    #[serde(default)]
    pub gaps: u64,
    /// Source audio that came too late for the air, in ms.
    #[serde(default)]
    pub late_ms: u64,
    /// Source audio that was skipped on the air, in ms.
    #[serde(default)]
    pub skipped_ms: u64,
}

/// How an output did, since its process began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputFigures {
    /// Its name.
    pub output: String,
    /// Publishing sessions that were live.
    #[serde(default)]
    pub connections: u64,
    /// Attempts that failed, and live sessions that broke.
    #[serde(default)]
    pub failures: u64,
    /// Seconds live.
    #[serde(default)]
    pub live_seconds: f64,
    /// Bytes sent.
    #[serde(default)]
    pub bytes_out: u64,
    /// Media frames not sent because the connection was too slow.
    #[serde(default)]
    pub dropped_frames: u64,
}

impl From<&Event> for EventFact {
    fn from(event: &Event) -> Self {
        let Event { level, code, subject, message, since, doing, remedy, count, .. } = event.clone();
        let text = |text: Option<String>| text.as_deref().map(clean);
        Self { level, code, subject, message: clean(&message), since, doing: text(doing), remedy: text(remedy), count }
    }
}

/// A stranger's text as it is kept: safe to print, of a bounded length.
pub(super) fn clean(text: &str) -> String {
    plain(text, MAX_TEXT)
}

impl Fact {
    /// Whether it is kept while other lines are given up: what the report cannot be drawn without.
    pub(super) fn is_vital(&self) -> bool {
        match self {
            Self::Event(event) => event.level == Level::Error,
            Self::Figures(_) | Self::Slate { .. } | Self::Session(_) | Self::Unknown => false,
            _ => true,
        }
    }
}

impl Line {
    /// The line as it is written, with its end of line; none if it cannot be JSON, which no fact of ours is.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).ok()?;
        bytes.push(b'\n');
        Some(bytes)
    }
}
