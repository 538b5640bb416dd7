//! What a conductor works with, and what it tells.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::alert::Events;
use crate::bridge::archive::Archive;
use crate::bridge::desk::SlateDesk;
use crate::clock::Clock;
use crate::config::SlateTexts;
use crate::media::ProgramTime;
use crate::program::Program;
use crate::session::SessionState;
use crate::source::{SessionInfo, Source};
use crate::status::SpeakerStatus;

/// A source of the list and how long after its edge it goes on the air.
pub(in crate::bridge) struct SourceSlot {
    /// The source; away while an attempt runs.
    pub(in crate::bridge) source: Option<Box<dyn Source>>,
    /// Delay between "could be had" and "on the air", in 48 kHz samples.
    pub(in crate::bridge) delay: u64,
}

/// What the status shows of the session.
#[derive(Debug, Clone, Default)]
pub(in crate::bridge) struct SessionView {
    /// Where it stands; none before the first attempt.
    pub(in crate::bridge) state: Option<SessionState>,
    /// What is known of it.
    pub(in crate::bridge) info: SessionInfo,
    /// Who is on stage.
    pub(in crate::bridge) speakers: Vec<SpeakerStatus>,
    /// Program sample of media time zero.
    pub(in crate::bridge) anchor: Option<i64>,
    /// Segments received.
    pub(in crate::bridge) segments: u64,
    /// Samples that came too late for the air.
    pub(in crate::bridge) late: u64,
    /// Samples that were skipped on the air.
    pub(in crate::bridge) skipped: u64,
    /// What the slate says.
    pub(in crate::bridge) slate: String,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bridge) enum Outcome {
    /// Over; what was placed is heard to its end at this program time.
    Ended(ProgramTime),
    /// The token was cancelled.
    Cancelled,
    /// Nothing could be had and nothing ever was.
    Failed(String),
}

/// What a conductor works with.
pub(in crate::bridge) struct Handles {
    /// Wall and monotonic time.
    pub(in crate::bridge) clock: Clock,
    /// Where to report.
    pub(in crate::bridge) events: Events,
    /// The program.
    pub(in crate::bridge) program: Arc<Program>,
    /// The recording.
    pub(in crate::bridge) archive: Archive,
    /// The slate.
    pub(in crate::bridge) desk: SlateDesk,
    /// What the slate says.
    pub(in crate::bridge) texts: SlateTexts,
    /// Zone of every time on the slate.
    pub(in crate::bridge) zone: TimeZone,
    /// What the status shows.
    pub(in crate::bridge) view: watch::Sender<SessionView>,
}
