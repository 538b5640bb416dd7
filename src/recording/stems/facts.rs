//! What the journal says of speakers and their files. Plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What became of a speaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeakerChange {
    /// They came.
    #[default]
    Joined,
    /// They left, or the connection to the room was lost.
    Left,
    /// They took another name.
    Renamed,
}

/// Somebody came into a session, left it or took another name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakerFact {
    /// The session's id.
    pub session: String,
    /// The platform's id of the speaker.
    pub speaker: String,
    /// What became of them.
    pub change: SpeakerChange,
    /// What they call themselves; hostile text.
    pub name: String,
    /// When, in media time.
    pub media_time: i64,
}

/// One speaker's packets begin in a file of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StemStart {
    /// The session's id.
    pub session: String,
    /// The platform's id of the speaker.
    pub speaker: String,
    /// Path inside the archive.
    pub file: String,
    /// Media time of the first packet's first sample.
    pub media_time: i64,
}

/// One speaker's file is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StemEnd {
    /// The session's id.
    pub session: String,
    /// Path inside the archive.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Packets inside.
    pub packets: u64,
    /// Media time behind the last packet.
    pub end: i64,
}

/// A speaker's file as the journal tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StemArchive {
    /// How it began.
    pub start: StemStart,
    /// When that was.
    pub started_at: Option<Timestamp>,
    /// How it ended; none while it is written, and after a crash.
    pub end: Option<StemEnd>,
}
