//! The facts of an archive: what a journal line says, and what the bridge hands to the recording.
//!
//! Plain data. Fields are added, never renamed: `docs/recordings.md` describes them for other tools, and readers
//! ignore fields and types that they do not know. Media times count 48 kHz samples since the session's media zero.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fills::FillFact;
use super::said::{CaptionFact, TalkingFact};
use super::stems::{SpeakerFact, StemEnd, StemStart};

/// What one line of the journal says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Fact {
    /// The archive begins.
    ShowStarted(ShowFact),
    /// Another process goes on with the archive.
    Resumed {
        /// Process id of the new writer.
        pid: u32,
        /// Program and version.
        program: String,
    },
    /// A session was found.
    SessionStarted(SessionFact),
    /// What is known of a session changed.
    SessionChanged(SessionFact),
    /// A session is over for good.
    SessionEnded(SessionFact),
    /// A segment is kept, whole, under its final name.
    Segment(SegmentFact),
    /// Media that could not be had.
    Missing(MissingFact),
    /// An interval without source audio that the show saw, for sources without numbered segments.
    Gap(GapFact),
    /// The show entered a state.
    State {
        /// The state's name, such as `live`.
        state: String,
        /// What the audience was told, in one sentence.
        words: String,
    },
    /// An encoded stream begins in a file of its own.
    CaptureStarted {
        /// The session's id.
        session: String,
        /// Path inside the archive.
        file: String,
        /// Media time of its zero, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_time: Option<i64>,
    },
    /// That stream is over.
    CaptureEnded {
        /// The session's id.
        session: String,
        /// Path inside the archive.
        file: String,
        /// Bytes in the file.
        bytes: u64,
        /// Seconds of arrival from the first byte to the last.
        seconds: f64,
    },
    /// Bytes of an encoded stream were lost before they could be kept.
    CaptureLost {
        /// The session's id.
        session: String,
        /// How many.
        bytes: u64,
        /// Why.
        cause: String,
    },
    /// Somebody came into a session, left it or took another name.
    Speaker(SpeakerFact),
    /// One speaker's packets begin in a file of their own.
    StemStarted(StemStart),
    /// That file is whole.
    StemEnded(StemEnd),
    /// Speakers' packets were lost before they could be kept.
    StemsLost {
        /// The session's id.
        session: String,
        /// How many.
        packets: u64,
        /// Why.
        cause: String,
    },
    /// A finished file for posting.
    Episode(EpisodeFact),
    /// A file that somebody had made for posting.
    Exported(ExportFact),
    /// A place in a session that the operator named.
    Mark(MarkFact),
    /// What the platform says was said.
    Caption(CaptionFact),
    /// Others talk than before.
    Talking(TalkingFact),
    /// Where the repair of a session stands.
    Repair(RepairFact),
    /// What a session lacks is heard in another one of the show.
    Fill(FillFact),
    /// Whether the recording is never to be deleted by itself.
    Keep {
        /// The operator's word.
        keep: bool,
    },
    /// Outputs closed, the show may be resumed.
    Suspended,
    /// The show is over.
    Ended,
    /// Something that a person may want to know.
    Note {
        /// One sentence.
        text: String,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What the show is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShowFact {
    /// The show's name, `[0-9A-Za-z_-]`.
    pub show: String,
    /// Program and version that began the archive.
    pub program: String,
    /// The operator's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The operator's word for the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What is known of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionFact {
    /// The platform's id, or a name made from the source's address.
    pub session: String,
    /// Title; hostile text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Host's handle; hostile text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The platform's state in its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_state: Option<String>,
    /// When it is announced for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_start: Option<Timestamp>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Whether it is over for good; the line's type says it in the journal.
    #[serde(skip)]
    pub ended: bool,
}

/// Where a segment was had from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The live playlist, in its time or late.
    #[default]
    Live,
    /// The platform's list of everything so far, while the session was running.
    Snapshot,
    /// The replay, after the session's end.
    Replay,
}

impl Origin {
    /// Whether it was heard live.
    pub fn is_live(&self) -> bool {
        *self == Self::Live
    }
}

/// A segment as it is handed to the recording.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSegment {
    /// The session's id.
    pub session: String,
    /// The source's sequence number.
    pub sequence: u64,
    /// Its name in the playlist; hostile text.
    pub name: String,
    /// Every byte as received.
    pub bytes: Bytes,
    /// Start, in media time.
    pub media_time: i64,
    /// Duration, in 48 kHz samples.
    pub duration: u64,
    /// The playlist's PROGRAM-DATE-TIME.
    pub program_date_time: Option<Timestamp>,
    /// When the playlist that first listed it was read.
    pub listed_at: Timestamp,
    /// Whether the playlist marked a discontinuity before it.
    pub discontinuity: bool,
    /// Where it was had from.
    pub origin: Origin,
    /// What its ID3 tags say, as JSON objects with a `kind` each.
    pub facts: Vec<serde_json::Value>,
}

/// A segment that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentFact {
    /// The session's id.
    pub session: String,
    /// The source's sequence number.
    pub sequence: u64,
    /// Its name in the playlist; hostile text.
    pub name: String,
    /// Path inside the archive.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Start, in media time.
    pub media_time: i64,
    /// Duration, in 48 kHz samples.
    pub duration: u64,
    /// The playlist's PROGRAM-DATE-TIME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_date_time: Option<Timestamp>,
    /// When the playlist that first listed it was read.
    pub listed_at: Timestamp,
    /// Whether the playlist marked a discontinuity before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discontinuity: bool,
    /// Whether it came after later ones: it had been given up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Where it was had from.
    #[serde(default, skip_serializing_if = "Origin::is_live")]
    pub origin: Origin,
    /// What its ID3 tags say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<serde_json::Value>,
}

impl SegmentFact {
    /// Media time just after it.
    pub fn end(&self) -> i64 {
        end(self.media_time, self.duration)
    }
}

/// Media that could not be had.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MissingFact {
    /// The session's id.
    pub session: String,
    /// First missing sequence number.
    pub first_sequence: u64,
    /// Last missing sequence number.
    pub last_sequence: u64,
    /// Names in the playlist, where they were seen; hostile text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Start, in media time.
    pub media_time: i64,
    /// Duration, in 48 kHz samples.
    pub duration: u64,
    /// Why, such as `segment answered 404`.
    pub cause: String,
}

impl MissingFact {
    /// Media time just after it.
    pub fn end(&self) -> i64 {
        end(self.media_time, self.duration)
    }
}

/// An interval of a session without source audio.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapFact {
    /// The session's id.
    pub session: String,
    /// Start, in media time.
    pub start: i64,
    /// End, in media time.
    pub end: i64,
    /// Why.
    pub cause: String,
}

/// A finished file for posting.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeFact {
    /// The session's id.
    pub session: String,
    /// Path inside the archive.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Media time of the file's first sample; 0 for a captured stream.
    pub media_time: i64,
    /// Length of its audio, in seconds.
    pub seconds: f64,
    /// How much of that is silence in place of missing audio, in seconds.
    pub filled_seconds: f64,
}

/// A file that somebody had made for posting.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExportFact {
    /// The session's id.
    pub session: String,
    /// Path inside the archive, or an absolute one.
    pub file: String,
    /// Its format, such as `mp3`.
    pub format: String,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Length of its audio, in seconds.
    pub seconds: f64,
}

/// A place in a session that the operator named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkFact {
    /// The session's id.
    pub session: String,
    /// The place, in media time.
    pub media_time: i64,
    /// The operator's words.
    pub title: String,
}

/// Where the repair of a session stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RepairFact {
    /// The session's id.
    pub session: String,
    /// What is to be done yet.
    pub state: RepairState,
    /// Until when it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Looks at the platform's list so far.
    #[serde(default)]
    pub looks: u32,
    /// What was tried last and what came of it, in one sentence; no address in it.
    #[serde(default)]
    pub tried: String,
}

/// What is to be done yet of a repair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairState {
    /// It is being tried.
    #[default]
    Pending,
    /// Nothing is missing.
    Whole,
    /// The deadline passed, or nothing more can be hoped for: what is missing stays so.
    GivenUp,
}

fn end(start: i64, duration: u64) -> i64 {
    start.saturating_add(i64::try_from(duration).unwrap_or(i64::MAX))
}
