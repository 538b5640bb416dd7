//! The conductor of a show's sessions: hears their sources, and tells the recording, the program and the slate.
//!
//! It owns the decision which source is tried when, which session follows which, and where media time lies on the
//! program. It touches no pipeline,
//! no file and no socket: those are behind its handles.

mod air;
mod attempt;
mod hunt;
mod next;
mod parts;
mod telling;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::speakers::Speakers;

use crate::alert::Level;
use crate::media::{ProgramTime, SAMPLE_RATE};
use crate::program::Edge;
use crate::session::{Attempts, Next, Session, SessionState, Standing};
use crate::source::{MissingSpan, Notice, ResumePoint, Segment, SessionInfo, SessionPhase, SourceEvent, SourceFault};
use crate::status::SourceStatus;
use air::Air;
use hunt::Hunt;
use next::Leave;
pub(super) use parts::{Following, Handles, Outcome, SessionView, SourceSlot, Word};
use telling::Told;

/// How often the session looks at the program's time.
const TICK: Duration = Duration::from_millis(100);

/// The conductor.
pub(super) struct Conductor {
    handles: Handles,
    /// The operator's word on the source.
    orders: mpsc::Receiver<Word>,
    sources: Vec<SourceSlot>,
    session: Session,
    attempts: Attempts,
    air: Air,
    resume: Option<ResumePoint>,
    speakers: Speakers,
    view: SessionView,
    last_error: Option<String>,
    /// Frames that could not be decoded and were not told yet, and when some were told last.
    undecodable: (u64, Option<Instant>),
    /// When the source gave something last, or began.
    given_at: Instant,
    hunt: Option<Hunt>,
    told: Told,
    /// Sessions that came before this one.
    number: u32,
    /// Whether this one is the host's next space, found by itself.
    followed: bool,
}

/// How one session came to its end.
enum Over {
    /// By itself.
    Ended,
    /// Nothing could be had and nothing ever was.
    Failed(String),
    /// It was left.
    Left(Leave),
}

/// Pause between two words about the same trouble.
const TELL_AGAIN: Duration = Duration::from_secs(10);

impl Conductor {
    /// A conductor of `sources`, which goes on at `resume` after an earlier process. `link` is theirs if they are not
    /// those of the configuration; others are taken from `orders`.
    pub(super) fn new(
        handles: Handles,
        sources: Vec<SourceSlot>,
        link: Option<String>,
        resume: Option<ResumePoint>,
        orders: mpsc::Receiver<Word>,
    ) -> Self {
        let given_at = handles.clock.now();
        let attempts = Attempts::new(sources.len());
        Self {
            handles,
            orders,
            sources,
            session: Session::default(),
            attempts,
            air: Air::default(),
            resume,
            speakers: Speakers::default(),
            view: SessionView { link, ..SessionView::default() },
            last_error: None,
            undecodable: (0, None),
            given_at,
            hunt: None,
            told: Told::default(),
            number: 0,
            followed: false,
        }
    }

    /// Carries one session after the other, to the end of the last.
    pub(super) async fn run(mut self, token: CancellationToken) -> Outcome {
        self.show(SessionState::Connecting, self.now());
        loop {
            let left = match self.session(&token).await {
                Over::Failed(message) => return Outcome::Failed(message),
                Over::Left(left) => left,
                Over::Ended => match self.between(&token).await {
                    Ok(()) => return self.end(),
                    Err(left) => left,
                },
            };
            match left {
                Leave::Cancelled => return Outcome::Cancelled,
                Leave::Pinned => {}
                Leave::Replaced(other) => self.go_on_with(other, true),
                Leave::Next(next) => self.go_on_with(next, false),
            }
        }
    }

    /// Carries one session to its end.
    async fn session(&mut self, token: &CancellationToken) -> Over {
        loop {
            let result = match self.attempt(token).await {
                Ok(result) => result,
                Err(left) => return Over::Left(*left),
            };
            self.view.answered = true;
            let standing = self.standing();
            match self.attempts.on_result(&result, standing) {
                Next::Try { index, pause } => {
                    if let Err(error) = result {
                        // A host's next space that was over before it could be joined: there may be one more.
                        if self.followed && self.view.info.id.is_empty() && error.class == SourceFault::Gone {
                            return Over::Ended;
                        }
                        self.tell_retry(error, index, pause);
                    }
                    if let Some(left) = self.pause(pause, token).await {
                        return Over::Left(left);
                    }
                }
                Next::Ended => return Over::Ended,
                Next::Failed(message) => return Over::Failed(message),
            }
        }
    }

    fn standing(&self) -> Standing {
        let looked_at = self.handles.on_the_air.load(Ordering::Relaxed);
        Standing {
            known: !self.view.info.id.is_empty(),
            on_the_air: looked_at || self.handles.follow.is_some() || self.number > 0,
        }
    }

    fn on_event(&mut self, event: SourceEvent) {
        if matches!(event, SourceEvent::Segment(_) | SourceEvent::Audio(_)) {
            self.given_at = self.handles.clock.now();
        }
        match event {
            SourceEvent::Session(info) => self.on_info(info),
            SourceEvent::Edge { end, piece } => {
                self.air.tells_edge();
                self.on_edge(Edge { end, piece, in_hand: false });
            }
            SourceEvent::Segment(segment) => self.on_segment(&segment),
            SourceEvent::Missing(span) => self.on_missing(&span),
            SourceEvent::Capture(bytes) => self.handles.archive.capture(bytes),
            // Dozens a second, each with nothing to tell: the next tick shows what they changed.
            SourceEvent::Audio(block) => return self.on_audio(&block),
            SourceEvent::DecodeErrors { count } => self.on_undecodable(count),
            SourceEvent::Late(segment) => self.on_late(&segment),
            // Nothing of the bridge shows speakers or keeps stems.
            SourceEvent::Speakers(_) | SourceEvent::Stem(_) => return,
            SourceEvent::Notice(notice) => self.on_notice(notice),
            SourceEvent::Stalled { reason } => self.handles.events.warning("source.stalled", "source", reason, None),
        }
        self.publish();
    }

    fn on_info(&mut self, info: SessionInfo) {
        if self.view.info == info {
            return;
        }
        if self.view.info.id != info.id {
            self.air.forget();
            let title = info.title.as_deref().map_or_else(|| info.id.clone(), |title| crate::text::plain(title, 120));
            self.handles.events.info("session.found", "session", format!("Found: {title}"));
        }
        self.handles.archive.session(&info);
        let fresh = self.number > 0 && self.view.info.id.is_empty();
        self.handles.desk.describe(info.title.as_deref(), info.host.as_deref(), fresh);
        self.attempts.on_progress();
        let transition = match info.phase {
            SessionPhase::Ended => None,
            phase => self.session.on_phase(phase, self.now()),
        };
        let known = self.resume.take().filter(|resume| resume.session_id == info.id);
        let mut resume = known.unwrap_or_else(|| ResumePoint { session_id: info.id.clone(), ..ResumePoint::default() });
        resume.playlist_url = info.playlist_url.clone().or(resume.playlist_url.take());
        self.resume = Some(resume);
        self.view.info = info;
        self.view.answered = true;
        match transition {
            Some(transition) => self.enter(transition),
            // The announced start may have changed.
            None => self.show(self.session.state(), self.now()),
        }
    }

    fn on_segment(&mut self, segment: &Segment) {
        self.attempts.on_progress();
        self.last_error = None;
        self.view.segments += 1;
        self.speakers.on_facts(&segment.facts);
        self.view.speakers = self.speakers.now();
        let end = segment.media_time + segment.duration as i64;
        self.remember(segment.sequence, end, segment.program_date_time.map(|at| (at, segment.media_time)));
        self.handles.archive.segment(segment);
    }

    fn on_missing(&mut self, span: &MissingSpan) {
        self.remember(span.last_sequence, span.media_time + span.duration as i64, None);
        let Some(span) = self.handles.archive.missing(span) else { return };
        let seconds = span.duration as f64 / f64::from(SAMPLE_RATE);
        let message = format!("{seconds:.1} s of the space are missing: {}", crate::text::plain(&span.cause, 200));
        self.handles.events.warning("source.missing", "recording", message, None);
    }

    /// Never on the air: its turn is over.
    fn on_late(&mut self, segment: &Segment) {
        self.view.segments += 1;
        self.handles.archive.segment(segment);
        let seconds = segment.duration as f64 / f64::from(SAMPLE_RATE);
        let message = format!("{seconds:.1} s of the space that were missing are in the recording after all");
        self.handles.events.info("source.late", "recording", message);
    }

    fn on_notice(&mut self, notice: Notice) {
        let Notice { level, code, message, remedy } = notice;
        match level {
            Level::Info => self.handles.events.info(code, "source", message),
            Level::Warning => self.handles.events.warning(code, "source", message, remedy),
            Level::Error => self.handles.events.error(code, "source", message, remedy),
        }
    }

    fn remember(&mut self, sequence: u64, end: i64, pair: Option<(jiff::Timestamp, i64)>) {
        let resume = self.resume.get_or_insert_with(ResumePoint::default);
        if resume.session_id != self.view.info.id {
            *resume = ResumePoint { session_id: self.view.info.id.clone(), ..ResumePoint::default() };
        }
        if end > resume.media_time || resume.last_sequence == 0 {
            resume.last_sequence = sequence;
            resume.media_time = end;
            resume.program_date_time = pair.or(resume.program_date_time);
        }
    }

    /// Broken audio comes in heaps: told at most once in ten seconds, with the number.
    fn on_undecodable(&mut self, count: u64) {
        self.undecodable.0 += count;
        let recently = self.undecodable.1.is_some_and(|told| told.elapsed() < TELL_AGAIN);
        if recently {
            return;
        }
        let count = std::mem::take(&mut self.undecodable.0);
        self.undecodable.1 = Some(Instant::now());
        let message = format!("{count} audio frames could not be decoded; they are in the recording as received");
        self.handles.events.warning("source.undecodable", "source", message, None);
    }

    fn on_tick(&mut self) {
        self.tell_standstill();
        if let Some(transition) = self.session.on_tick(self.now()) {
            self.enter(transition);
        }
        self.count_down();
        self.publish();
    }

    fn end(mut self) -> Outcome {
        let transition = self.session.on_end(self.now());
        let at = transition.map_or(self.now(), |transition| transition.at);
        if let Some(transition) = transition {
            self.enter(transition);
        }
        self.handles.archive.session_ended();
        Outcome::Ended(at)
    }

    fn now(&self) -> ProgramTime {
        self.handles.program.now()
    }

    fn publish(&mut self) {
        self.view.state = Some(self.session.state());
        self.view.heard |= self.view.anchor.is_some();
        let (active, pinned) = (self.attempts.index(), self.attempts.pinned());
        let status = |(index, slot): (usize, &SourceSlot)| SourceStatus {
            pinned: pinned == Some(index),
            ..slot.status(index == active)
        };
        self.view.sources = self.sources.iter().enumerate().map(status).collect();
        self.handles.view.send_replace(self.view.clone());
    }
}
