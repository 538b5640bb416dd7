//! The conductor of a show's sessions: hears their sources, and tells the recording, the program and the slate.
//!
//! It owns the decision which source is tried when, which session follows which, and where media time lies on the
//! program. It touches no pipeline,
//! no file and no socket: those are behind its handles.

mod air;
mod attempt;
mod hunt;
mod lane;
mod next;
mod parts;
mod standby;
mod take_over;
mod telling;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::speaking::Speaking;

use crate::alert::Level;
use crate::media::{ProgramTime, SAMPLE_RATE};
use crate::program::Edge;
use crate::session::{Attempts, Failover, Next, Session, SessionState, Standing};
use crate::source::{
    MissingSpan, Notice, ResumePoint, Segment, SessionInfo, SessionPhase, SourceEnd, SourceError, SourceEvent,
    SourceFault, Speaker,
};
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
    /// The source whose media time lies on the program.
    heard: usize,
    failover: Failover,
    /// When the conductor began: what the failover counts from.
    began: Instant,
    /// When the program was put later last, and from which program sample on paths that stand by fill in.
    slackened: Option<Instant>,
    fill_from: i64,
    speaking: Speaking,
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
    Left(Box<Leave>),
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
        let failover = Failover::new(handles.failover.back_after);
        let sources = with_archives(sources, &handles.archive, resume);
        Self {
            handles,
            orders,
            sources,
            session: Session::default(),
            attempts,
            air: Air::default(),
            heard: 0,
            failover,
            began: given_at,
            slackened: None,
            fill_from: i64::MIN,
            speaking: Speaking::default(),
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
            let over = self.session(&token).await;
            let stays = |left: &Leave| matches!(left, Leave::Pinned | Leave::Failover(_));
            if !matches!(&over, Over::Left(left) if stays(left)) {
                self.stop_all().await;
            }
            let left = match over {
                Over::Failed(message) => return Outcome::Failed(message),
                Over::Left(left) => *left,
                Over::Ended => match self.between(&token).await {
                    Ok(()) => return self.end(),
                    Err(left) => left,
                },
            };
            match left {
                Leave::Cancelled => return Outcome::Cancelled,
                Leave::Pinned | Leave::Failover(_) => {}
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
                Err(left) => return Over::Left(left),
            };
            self.view.answered = true;
            let result = match self.fail_over(result) {
                Some(result) => result,
                None => continue,
            };
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
                    // What stands by is heard at once, and only from where it takes over.
                    if index != self.heard && self.sources[index].lane.running.is_some() {
                        continue;
                    }
                    if let Some(left) = self.pause(pause, token).await {
                        return Over::Left(Box::new(left));
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
                self.sources[self.attempts.index()].lane.tell_edge(end, piece);
                self.air.tells_edge();
                self.on_edge(Edge { end, piece, in_hand: false });
            }
            SourceEvent::Segment(segment) => self.on_segment(&segment),
            SourceEvent::Missing(span) => self.on_missing(&span),
            SourceEvent::Capture(bytes) => self.archive().capture(bytes),
            // Dozens a second, each with nothing to tell: the next tick shows what they changed.
            SourceEvent::Audio(block) => return self.on_audio(&block),
            SourceEvent::DecodeErrors { count } => self.on_undecodable(count),
            SourceEvent::Late(segment) => self.on_late(&segment),
            SourceEvent::Speakers(speakers) => self.on_speakers(&speakers),
            SourceEvent::Stem(packet) => return self.archive().stem(packet),
            SourceEvent::Caption(caption) => return self.archive().caption(caption),
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
        self.archive().session(&info);
        let fresh = self.number > 0 && self.view.info.id.is_empty();
        self.handles.desk.describe(info.title.as_deref(), info.host.as_deref(), fresh);
        self.attempts.on_progress();
        let transition = match info.phase {
            SessionPhase::Ended => None,
            phase => self.session.on_phase(phase, self.now()),
        };
        let slot = &mut self.sources[self.attempts.index()];
        slot.learn(&info);
        slot.lane.info = Some(info.clone());
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
        let speakers = &mut self.sources[self.attempts.index()].lane.speakers;
        speakers.on_facts(&segment.facts);
        self.view.speakers = speakers.now();
        let end = segment.media_time + segment.duration as i64;
        self.remember(segment.sequence, end, segment.program_date_time.map(|at| (at, segment.media_time)));
        self.archive().segment(segment);
    }

    fn on_speakers(&mut self, speakers: &[Speaker]) {
        let slot = &mut self.sources[self.attempts.index()];
        slot.archive.speakers(speakers);
        slot.lane.speakers.on_room(speakers);
        self.view.speakers = slot.lane.speakers.now();
    }

    fn on_missing(&mut self, span: &MissingSpan) {
        self.remember(span.last_sequence, span.media_time + span.duration as i64, None);
        let Some(span) = self.archive().missing(span) else { return };
        let seconds = span.duration as f64 / f64::from(SAMPLE_RATE);
        let message = format!("{seconds:.1} s of the space are missing: {}", crate::text::plain(&span.cause, 200));
        self.handles.events.warning("source.missing", "recording", message, None);
    }

    /// Never on the air: its turn is over.
    fn on_late(&mut self, segment: &Segment) {
        self.view.segments += 1;
        self.archive().segment(segment);
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
        self.sources[self.attempts.index()].remember(sequence, end, pair);
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
        self.name_speakers();
        self.publish();
    }

    fn end(mut self) -> Outcome {
        let transition = self.session.on_end(self.now());
        let at = transition.map_or(self.now(), |transition| transition.at);
        if let Some(transition) = transition {
            self.enter(transition);
        }
        self.end_sessions();
        Outcome::Ended(at)
    }

    /// What the source on the air gives is kept here.
    fn archive(&self) -> &Archive {
        &self.sources[self.attempts.index()].archive
    }

    /// The session is over, on every path.
    fn end_sessions(&self) {
        self.sources.iter().for_each(|slot| slot.archive.session_ended());
    }

    /// The attempt of the path on the air is over: another one is heard if one stands by; if none does, the result comes
    /// back.
    fn fail_over(&mut self, result: Result<SourceEnd, SourceError>) -> Option<Result<SourceEnd, SourceError>> {
        let Err(error) = &result else { return Some(result) };
        let active = self.attempts.index();
        let now = self.handles.clock.now().saturating_duration_since(self.began);
        let free = self.attempts.pinned().is_none() && self.session.was_live();
        let switch = free.then(|| self.failover.on_lost(now, active, &self.paths())).flatten();
        let Some(switch) = switch else { return Some(result) };
        let error = SourceError { message: error.message.clone(), class: error.class };
        self.tell_fault(error, "another source is heard");
        self.take_over(active, switch);
        None
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

/// Every source with the archive of its session. The earlier process's session is gone on with by the source whose it is.
fn with_archives(mut sources: Vec<SourceSlot>, archive: &Archive, resume: Option<ResumePoint>) -> Vec<SourceSlot> {
    let resumed = resume.as_ref().map(|resume| resume.session_id.clone());
    let is_resumed = |slot: &SourceSlot| resumed.is_some() && slot.session_id() == resumed;
    // A source that does not know its session beforehand may be any.
    let own = sources.iter().position(is_resumed).unwrap_or(0);
    let sessions: Vec<Option<String>> = sources.iter().map(SourceSlot::session_id).collect();
    for index in 0..sources.len() {
        let same = (0..index).find(|earlier| sessions[index].is_some() && sessions[*earlier] == sessions[index]);
        match same {
            Some(earlier) => sources[index].archive = sources[earlier].archive.clone(),
            None => sources[index].keep_in(archive, index == own),
        }
    }
    if let Some(slot) = sources.get_mut(own) {
        slot.lane.resume = resume;
    }
    sources
}

#[cfg(test)]
mod tests;
