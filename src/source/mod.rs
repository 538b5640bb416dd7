//! Sources: where a bridge gets the audio from.
//!
//! A source is fallible. [`Source::run`] is one attempt: it reports what it finds over a channel and returns when the
//! space is over or something broke. Whether and when to try again is the session's decision, never the source's.
//! A source knows nothing of the program, the recording or the outputs.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::alert::Level;
use crate::media::PcmBlock;
pub use heard::{Caption, Speaker, StemPacket};
pub use past::Past;

mod heard;
mod id;

pub mod hls;
pub mod janus;
pub mod past;
pub mod tone;
pub mod uri;
pub mod webrtc;
pub mod whep;
pub mod x_space;

/// What a source tells about itself and its session, in order.
#[derive(Debug, Clone)]
pub enum SourceEvent {
    /// The session was found, or what is known of it changed.
    Session(SessionInfo),
    /// A segment as received, before any decode. Sent before the audio that it holds.
    Segment(Box<Segment>),
    /// A segment that was announced and could not be had, or numbers that were never announced.
    Missing(MissingSpan),
    /// The end of the newest audio that can be had now, as the playlist tells it; sent whenever that moves, before the
    /// segments themselves. A source that cannot tell sends none: then every piece of audio is its own edge.
    Edge {
        /// Media time of the end, in 48 kHz samples.
        end: i64,
        /// Length of the newest piece, in 48 kHz samples.
        piece: u64,
    },
    /// A segment that was told as missing and could be had after all: kept at its place, never aired.
    Late(Box<Segment>),
    /// A piece of an encoded stream that has no segments, as a Matroska byte stream for the recording.
    Capture(Bytes),
    /// Decoded audio, placed on the session's media timeline.
    Audio(PcmBlock),
    /// Media that could not be decoded; the raw bytes are in the segment all the same.
    DecodeErrors {
        /// Access units lost.
        count: u64,
    },
    /// No new audio for a while though the space is said to be running.
    Stalled {
        /// In words, such as `the playlist has not changed for 12 s`.
        reason: String,
    },
    /// Something that people should know: told once per change, never per attempt.
    Notice(Notice),
    /// Who is in the room, whenever that changes.
    Speakers(Vec<Speaker>),
    /// One packet of one speaker, as received: for the recording, never for the air.
    Stem(StemPacket),
    /// What the platform, or somebody in its name, says was said: for the recording, never for the air.
    Caption(Caption),
}

/// What a source tells people, in the words of the event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// Its name for programs, such as `source.frozen`.
    pub code: &'static str,
    /// One sentence: what happened, and what the bridge does about it. No secret in it.
    pub message: String,
    /// What the operator can do, if anything.
    pub remedy: Option<&'static str>,
}

impl Notice {
    /// Something went as it should.
    pub fn info(code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Info, code, message: message.into(), remedy: None }
    }

    /// Something is wrong and dealt with.
    pub fn warning(code: &'static str, message: impl Into<String>, remedy: Option<&'static str>) -> Self {
        Self { level: Level::Warning, code, message: message.into(), remedy }
    }

    /// Something is wrong that needs the operator.
    pub fn error(code: &'static str, message: impl Into<String>, remedy: Option<&'static str>) -> Self {
        Self { level: Level::Error, code, message: message.into(), remedy }
    }
}

/// What is known of a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionInfo {
    /// The platform's id of the space, or a name made from the address. Only `[0-9A-Za-z_-]`: it names folders.
    pub id: String,
    /// Title; hostile text.
    pub title: Option<String>,
    /// Host's handle; hostile text.
    pub host: Option<String>,
    /// The platform's own id of the host: what the host's next session is found by.
    pub host_id: Option<String>,
    /// The platform's state in its own word.
    pub platform_state: Option<String>,
    /// Whether audio is to be expected now.
    pub phase: SessionPhase,
    /// When it is announced for.
    pub scheduled_start: Option<Timestamp>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The media playlist's address, once it is known: what [`ResumePoint::playlist_url`] is made of.
    pub playlist_url: Option<String>,
}

/// Where a session stands, in the words that all sources share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionPhase {
    /// Announced or created, no audio to be expected yet.
    #[default]
    Waiting,
    /// Running.
    Live,
    /// Over for good.
    Ended,
}

/// One piece of a recording as received.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The source's sequence number.
    pub sequence: u64,
    /// The name in the playlist, without its query; hostile text.
    pub name: String,
    /// Every byte as received: junk, ID3 tags and ADTS frames.
    pub bytes: Bytes,
    /// Start on the session's media timeline, in 48 kHz samples.
    pub media_time: i64,
    /// Duration in 48 kHz samples, from the frames inside (or the playlist where nothing could be parsed).
    pub duration: u64,
    /// The playlist's PROGRAM-DATE-TIME.
    pub program_date_time: Option<Timestamp>,
    /// Whether the playlist marked a discontinuity before it.
    pub discontinuity: bool,
    /// When it could first be fetched, as far as the source knows: wall time of the playlist that listed it.
    pub listed_at: Timestamp,
    /// What its ID3 tags say, in order.
    pub facts: Vec<SegmentFact>,
}

/// What an ID3 tag inside a segment says.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SegmentFact {
    /// Who is on stage.
    Participants {
        /// Offset inside the segment, in 48 kHz samples.
        offset: u64,
        /// Handles; hostile text.
        names: Vec<String>,
    },
    /// How loud each is: first the host, then the participants in order. 0 is silent, above about 8 is talking.
    AudioLevels {
        /// Offset inside the segment, in 48 kHz samples.
        offset: u64,
        /// One level each.
        levels: Vec<u32>,
    },
    /// The broadcaster's NTP time of this place.
    NtpTime {
        /// Offset inside the segment, in 48 kHz samples.
        offset: u64,
        /// Seconds since 1900.
        seconds: f64,
    },
}

/// Media that is known to be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct MissingSpan {
    /// First missing sequence number.
    pub first_sequence: u64,
    /// Last missing sequence number.
    pub last_sequence: u64,
    /// Names in the playlist, where they were seen.
    pub names: Vec<String>,
    /// Start on the session's media timeline, in 48 kHz samples.
    pub media_time: i64,
    /// Duration in 48 kHz samples.
    pub duration: u64,
    /// Why, such as `segment answered 404`.
    pub cause: String,
}

/// Why an attempt ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEnd {
    /// The session is over for good.
    SessionEnded,
    /// The token was cancelled.
    Cancelled,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What happened and what to do, for people. No secret in it.
    pub message: String,
    /// What to do about it.
    pub class: SourceFault,
}

/// How to answer a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFault {
    /// Try again after a pause.
    Transient,
    /// Refused for now; try again no sooner than this.
    RateLimited(Duration),
    /// Only the operator can mend it: wrong address, expired cookies, a missing plugin.
    Operator,
    /// Gone for good: the space ended, was cancelled, or never existed.
    Gone,
}

impl SourceError {
    /// A fault that may pass by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), class: SourceFault::Transient }
    }

    /// A fault that only the operator can mend.
    pub fn operator(message: impl Into<String>) -> Self {
        Self { message: message.into(), class: SourceFault::Operator }
    }

    /// Something that is gone for good.
    pub fn gone(message: impl Into<String>) -> Self {
        Self { message: message.into(), class: SourceFault::Gone }
    }

    /// Whether trying again without the operator cannot help.
    pub fn is_permanent(&self) -> bool {
        matches!(self.class, SourceFault::Operator | SourceFault::Gone)
    }
}

/// Where an attempt goes on after an earlier one of the same session (a restart, a lost connection).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResumePoint {
    /// The session's id; a resume point of another session is ignored.
    pub session_id: String,
    /// The last sequence number that was received or given up.
    pub last_sequence: u64,
    /// Media time just after it, in 48 kHz samples.
    pub media_time: i64,
    /// Its PROGRAM-DATE-TIME, and the media time of that moment.
    pub program_date_time: Option<(Timestamp, i64)>,
    /// The media playlist's address when it was last known, so that audio goes on whatever the API says.
    pub playlist_url: Option<String>,
    /// Segments that were given up and whose names are known: a source may still be able to get them.
    pub missing: Vec<MissingSpan>,
}

/// What an attempt is given.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// Where to report. Bounded: a source waits when nobody reads.
    pub events: mpsc::Sender<SourceEvent>,
    /// Ends the attempt.
    pub token: CancellationToken,
    /// Wall and monotonic time.
    pub clock: crate::clock::Clock,
    /// Where to go on, if this is not the first attempt.
    pub resume: Option<ResumePoint>,
    /// When the attempt began: the media time of a stream to go on from is that of this moment.
    pub began: std::time::Instant,
    /// Whether sound may come a second later than it could, where that makes it safer.
    pub unhurried: bool,
    /// Whether quiet and loud speakers are brought together, where each comes apart.
    pub level_speakers: bool,
}

impl SourceContext {
    /// An attempt that begins now, and goes on from nowhere.
    pub fn new(events: mpsc::Sender<SourceEvent>, token: CancellationToken, clock: crate::clock::Clock) -> Self {
        let began = std::time::Instant::now();
        Self { events, token, clock, resume: None, began, unhurried: false, level_speakers: false }
    }

    /// Reports `event`; waits until there is room for it.
    ///
    /// # Errors
    /// When nobody listens to the source any more.
    pub async fn send(&self, event: SourceEvent) -> Result<(), SourceError> {
        let nobody = |_| SourceError::transient("nobody listens to the source any more");
        self.events.send(event).await.map_err(nobody)
    }
}

/// The future of one attempt.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Result<SourceEnd, SourceError>> + Send + 'a>>;

/// The future of one look for a host's next session.
pub type Look<'a> = Pin<Box<dyn Future<Output = Result<Option<Successor>, SourceError>> + Send + 'a>>;

/// The next session of a host, found.
pub struct Successor {
    /// Hears it.
    pub source: Box<dyn Source>,
    /// What an operator would give for it: a restarted show goes on with it.
    pub link: String,
}

/// Looks for the next session of a host.
pub trait Search: Send {
    /// Whether the host of the session `known` has another one live now.
    fn look<'a>(&'a mut self, known: &'a SessionInfo) -> Look<'a>;

    /// Shortest pause between two looks that the platform is to be asked for.
    fn pause(&self) -> Duration;
}

/// One way to get audio.
pub trait Source: Send {
    /// A short name for logs and the terminal, without secrets.
    fn describe(&self) -> String;

    /// How long after a piece of audio could first be had it goes on the air, unless the configuration says otherwise.
    fn default_delay(&self) -> Duration;

    /// Whether pieces arrive in bursts and wait to be fetched (HLS), or as a stream that is lost if not read.
    fn is_continuous(&self) -> bool;

    /// The session that this will be, where that is known beforehand: what an archive holds of it is gone on with.
    fn session_id(&self) -> Option<String> {
        None
    }

    /// Looks for the session that the host opens after this one; none where the platform knows no such thing.
    fn successor(&self) -> Option<Box<dyn Search>> {
        None
    }

    /// What the platform still holds of the session, for what was missed; none where it holds nothing.
    fn past(&self) -> Option<Box<dyn Past>> {
        None
    }

    /// One attempt.
    fn run(&mut self, context: SourceContext) -> Attempt<'_>;
}
