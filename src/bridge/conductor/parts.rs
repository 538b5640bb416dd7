//! What a conductor works with, and what it tells.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::hunt::SharedSearch;
use super::lane::Lane;
use crate::alert::Events;
use crate::bridge::archive::Archive;
use crate::bridge::desk::SlateDesk;
use crate::clock::Clock;
use crate::config::{FailoverConfig, SlateTexts};
use crate::media::{PcmBlock, ProgramTime};
use crate::program::Program;
use crate::session::SessionState;
use crate::source::{ResumePoint, SessionInfo, Source};
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
    /// Whether it is connected while another is heard.
    warm: bool,
    /// Whether quiet and loud speakers are brought together.
    pub(super) levelled: bool,
    /// Whether it is lost if it is not read.
    continuous: bool,
    /// The session that it will be, where that is known beforehand.
    session: Option<String>,
    /// Where what it gives is kept.
    pub(super) archive: Archive,
    /// What it does now.
    pub(super) lane: Box<Lane>,
    /// What was told of it while it stood by.
    pub(super) told: Option<String>,
}

impl SourceSlot {
    /// A slot of `source`.
    pub(in crate::bridge) fn new(source: Box<dyn Source>, delay: u64) -> Self {
        let search = source.successor().map(SharedSearch::new);
        Self {
            name: crate::text::plain(&source.describe(), 120),
            delay,
            search,
            warm: false,
            levelled: false,
            continuous: source.is_continuous(),
            session: source.session_id(),
            archive: Archive::closed(),
            lane: Box::new(Lane::new(Instant::now())),
            told: None,
            source: Some(source),
        }
    }

    /// The same, connected while another is heard if `warm`.
    pub(in crate::bridge) fn standing_by(self, warm: bool) -> Self {
        Self { warm, ..self }
    }

    /// The same, with quiet and loud speakers brought together if `levelled`.
    pub(in crate::bridge) fn levelled(self, levelled: bool) -> Self {
        Self { levelled, ..self }
    }

    /// Whether it is connected while another is heard.
    pub(super) fn is_warm(&self) -> bool {
        self.warm
    }

    /// Whether it is lost if it is not read.
    pub(super) fn is_continuous(&self) -> bool {
        self.continuous
    }

    /// Keeps what it gives in `archive`, or beside it if that is kept for another session.
    pub(super) fn keep_in(&mut self, archive: &Archive, of_it: bool) {
        self.archive = if of_it { archive.clone() } else { archive.beside() };
    }

    /// The session is known: where it goes on after a restart.
    pub(super) fn learn(&mut self, info: &SessionInfo) {
        let known = self.lane.resume.take().filter(|resume| resume.session_id == info.id);
        let mut resume = known.unwrap_or_else(|| ResumePoint { session_id: info.id.clone(), ..ResumePoint::default() });
        resume.playlist_url = info.playlist_url.clone().or(resume.playlist_url.take());
        self.lane.resume = Some(resume);
    }

    /// It has given everything up to `end`.
    pub(super) fn remember(&mut self, sequence: u64, end: i64, pair: Option<(Timestamp, i64)>) {
        let Some(resume) = &mut self.lane.resume else { return };
        if end > resume.media_time || resume.last_sequence == 0 {
            resume.last_sequence = sequence;
            resume.media_time = end;
            resume.program_date_time = pair.or(resume.program_date_time);
        }
    }

    /// It gave audio; if it may take over from another, it is `kept` for a while.
    pub(super) fn hear(&mut self, block: &PcmBlock, kept: bool) {
        let now = Instant::now();
        let end = block.media_time + block.samples.len() as i64;
        self.lane.give(block, now);
        if kept {
            self.lane.reserve.push(block.media_time, &block.samples);
        }
        if self.lane.edge.is_none() {
            self.lane.newest = Some((end, now));
            self.remember(0, end, None);
        }
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
        self.session.clone()
    }

    /// Looks for the host's next session; none where that cannot be done.
    pub(super) fn search(&self) -> Option<SharedSearch> {
        self.search.clone()
    }

    /// What the status says of it.
    pub(super) fn status(&self, active: bool) -> SourceStatus {
        SourceStatus {
            name: self.name.clone(),
            active,
            pinned: false,
            connected: self.lane.running.is_some(),
            healthy: self.lane.path(self.continuous, Instant::now()).is_healthy(),
            aligned: self.lane.place.is_some(),
        }
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
    /// Samples on the air that a path standing by filled in.
    pub(in crate::bridge) filled: u64,
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
    /// How the sources stand in for each other.
    pub(in crate::bridge) failover: FailoverConfig,
    /// What the status shows.
    pub(in crate::bridge) view: watch::Sender<SessionView>,
    /// The operator's word on when the first space starts.
    pub(in crate::bridge) start: Option<Timestamp>,
    /// How long the host's next space is waited for; none ends the show with the first.
    pub(in crate::bridge) follow: Option<Duration>,
    /// Whether the show has been on the air for a while, so that people look at it.
    pub(in crate::bridge) on_the_air: Arc<AtomicBool>,
}
