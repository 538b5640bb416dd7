//! What a conductor works with, and what it tells.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::hunt::SharedSearch;
use crate::alert::Events;
use crate::bridge::archive::Archive;
use crate::bridge::desk::SlateDesk;
use crate::clock::Clock;
use crate::config::SlateTexts;
use crate::media::ProgramTime;
use crate::program::Program;
use crate::session::SessionState;
use crate::source::{SessionInfo, Source};
use crate::status::{SourceStatus, SpeakerStatus};

/// A source of the list and how long after its edge it goes on the air.
pub(in crate::bridge) struct SourceSlot {
    /// The source; away while an attempt runs.
    source: Option<Box<dyn Source>>,
    /// Its name for people.
    name: String,
    /// Delay between "could be had" and "on the air", in 48 kHz samples.
    pub(in crate::bridge) delay: u64,
    /// Looks for the host's next session.
    search: Option<SharedSearch>,
}

impl SourceSlot {
    /// A slot of `source`.
    pub(in crate::bridge) fn new(source: Box<dyn Source>, delay: u64) -> Self {
        let search = source.successor().map(SharedSearch::new);
        Self { name: crate::text::plain(&source.describe(), 120), source: Some(source), delay, search }
    }

    /// Its name for people.
    pub(in crate::bridge) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the source out for an attempt; none while one runs.
    pub(super) fn take(&mut self) -> Option<Box<dyn Source>> {
        self.source.take()
    }

    /// The attempt is over.
    pub(super) fn put(&mut self, source: Box<dyn Source>) {
        self.source = Some(source);
    }

    /// The session that it will be, where that is known.
    pub(super) fn session_id(&self) -> Option<String> {
        self.source.as_ref()?.session_id()
    }

    /// Looks for the host's next session; none where that cannot be done.
    pub(super) fn search(&self) -> Option<SharedSearch> {
        self.search.clone()
    }

    /// What the status says of it.
    pub(super) fn status(&self, active: bool) -> SourceStatus {
        SourceStatus { name: self.name.clone(), active, pinned: false }
    }
}

/// Another source than those that the show began with.
pub(in crate::bridge) struct Following {
    /// The source.
    pub(in crate::bridge) slot: SourceSlot,
    /// What an operator gives for it.
    pub(in crate::bridge) link: String,
}

/// The operator's word on where the sound comes from.
pub(in crate::bridge) enum Word {
    /// From elsewhere.
    Follow(Following),
    /// From the source of this name and no other; none lets the list take its course.
    Pin(Option<String>),
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
    /// When it is announced for, by the operator's word or else the platform's.
    pub(in crate::bridge) start: Option<Timestamp>,
    /// Whether a source has said what it knows, or failed to.
    pub(in crate::bridge) answered: bool,
    /// Whether any session of the show had sound for the air.
    pub(in crate::bridge) heard: bool,
    /// Until when the host's next space is waited for, by the schedule's clock.
    pub(in crate::bridge) holds_until: Option<Timestamp>,
    /// Every source of the list.
    pub(in crate::bridge) sources: Vec<SourceStatus>,
    /// The source's link, where it is another than those that the show began with.
    pub(in crate::bridge) link: Option<String>,
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
    /// The operator's word on when the first space starts.
    pub(in crate::bridge) start: Option<Timestamp>,
    /// How long the host's next space is waited for; none ends the show with the first.
    pub(in crate::bridge) follow: Option<Duration>,
    /// Whether the show has been on the air for a while, so that people look at it.
    pub(in crate::bridge) on_the_air: Arc<AtomicBool>,
}
