//! The conductor of one session: hears its sources, and tells the recording, the program and the slate.
//!
//! It owns the decision which source is tried when, and where media time lies on the program. It touches no pipeline,
//! no file and no socket: those are behind its handles.

mod air;
mod parts;

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::speakers::Speakers;
use super::words;

use crate::media::{ProgramTime, SAMPLE_RATE};
use crate::program::Edge;
use crate::session::{Attempts, Next, Session, SessionState, Transition};
use crate::source::{
    MissingSpan, ResumePoint, Segment, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError,
    SourceEvent, SourceFault,
};
use air::Air;
pub(super) use parts::{Handles, Outcome, SessionView, SourceSlot};

/// How often the session looks at the program's time.
const TICK: Duration = Duration::from_millis(100);

/// The conductor.
pub(super) struct Conductor {
    handles: Handles,
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
}

/// Pause between two words about the same trouble.
const TELL_AGAIN: Duration = Duration::from_secs(10);

type Running = JoinHandle<(Box<dyn Source>, Result<SourceEnd, SourceError>)>;

impl Conductor {
    /// A conductor of `sources`, which goes on at `resume` after an earlier process.
    pub(super) fn new(handles: Handles, sources: Vec<SourceSlot>, resume: Option<ResumePoint>) -> Self {
        let attempts = Attempts::new(sources.len());
        Self {
            handles,
            sources,
            session: Session::default(),
            attempts,
            air: Air::default(),
            resume,
            speakers: Speakers::default(),
            view: SessionView::default(),
            last_error: None,
            undecodable: (0, None),
        }
    }

    /// Carries the session to its end.
    pub(super) async fn run(mut self, token: CancellationToken) -> Outcome {
        self.show(SessionState::Connecting, self.now());
        loop {
            let result = self.attempt(&token).await;
            if token.is_cancelled() {
                return Outcome::Cancelled;
            }
            let known = !self.view.info.id.is_empty();
            match self.attempts.on_result(&result, known) {
                Next::Try { index, pause } => {
                    self.tell_retry(result, index, pause);
                    self.wait(pause, &token).await;
                }
                Next::Ended => return self.end(),
                Next::Failed(message) => return Outcome::Failed(message),
            }
        }
    }

    /// One attempt of the source whose turn it is, until it returns.
    async fn attempt(&mut self, token: &CancellationToken) -> Result<SourceEnd, SourceError> {
        let index = self.attempts.index();
        let Some(source) = self.sources[index].source.take() else {
            return Err(SourceError::transient("the source is still busy"));
        };
        let (sender, mut events) = mpsc::channel(64);
        let running = self.start(source, sender, token);
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => break,
                },
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.handles.archive.end_capture();
        match running.await {
            Ok((source, result)) => {
                self.sources[index].source = Some(source);
                result
            }
            Err(error) => Err(SourceError::operator(format!("the source broke: {error}; please report this"))),
        }
    }

    fn start(
        &mut self,
        mut source: Box<dyn Source>,
        events: mpsc::Sender<SourceEvent>,
        token: &CancellationToken,
    ) -> Running {
        let continuous = source.is_continuous();
        self.air.begin();
        if continuous {
            self.continue_media_time();
        }
        let context = SourceContext {
            events,
            token: token.child_token(),
            clock: self.handles.clock.clone(),
            resume: self.resume.clone(),
        };
        tracing::info!(source = source.describe(), "Source starts.");
        tokio::spawn(async move {
            let result = source.run(context).await;
            (source, result)
        })
    }

    fn on_event(&mut self, event: SourceEvent) {
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
        self.handles.desk.describe(info.title.as_deref(), info.host.as_deref());
        self.attempts.on_progress();
        let transition = match info.phase {
            SessionPhase::Ended => None,
            phase => self.session.on_phase(phase, self.now()),
        };
        if let Some(resume) = &mut self.resume {
            resume.playlist_url = info.playlist_url.clone().or(resume.playlist_url.take());
        }
        self.view.info = info;
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
        self.publish();
    }

    fn enter(&mut self, transition: Transition) {
        let (code, message) = match transition.state {
            SessionState::Connecting => ("session.connecting", "Looking for the space"),
            SessionState::Waiting => ("session.waiting", "The space is known and gives no audio yet"),
            SessionState::Live => ("session.live", "The space's audio goes on the air"),
            SessionState::Gap => ("session.gap", "The space gives no audio; the slate tells so"),
            SessionState::Ended => ("session.ended", "The space is over"),
        };
        self.handles.events.info(code, "session", message);
        self.handles.archive.state(code.trim_start_matches("session."), message);
        self.show(transition.state, transition.at);
    }

    fn show(&mut self, state: SessionState, at: ProgramTime) {
        let handles = &self.handles;
        let line = words::slate_line(
            &handles.texts,
            state,
            self.view.info.scheduled_start,
            handles.clock.wall(),
            &handles.zone,
        );
        handles.desk.say(&line, state == SessionState::Live, at);
        self.view.slate = line;
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

    fn tell_retry(&mut self, result: Result<SourceEnd, SourceError>, index: usize, pause: Duration) {
        let Err(error) = result else { return };
        let remedy = (error.class == SourceFault::Operator).then_some("The outputs stay on the air meanwhile.");
        // The same fault again and again is told once.
        if self.last_error.as_deref() != Some(&error.message) {
            let message = format!("{}; source {} is tried in {:.0} s", error.message, index + 1, pause.as_secs_f64());
            if error.is_permanent() {
                self.handles.events.error("source.failed", "source", message, remedy);
            } else {
                self.handles.events.warning("source.failed", "source", message, remedy);
            }
        }
        self.last_error = Some(error.message);
    }

    async fn wait(&mut self, pause: Duration, token: &CancellationToken) {
        let until = tokio::time::Instant::now() + pause;
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep_until(until) => return,
                _ = tick.tick() => self.on_tick(),
            }
        }
    }

    fn now(&self) -> ProgramTime {
        self.handles.program.now()
    }

    fn publish(&mut self) {
        self.view.state = Some(self.session.state());
        self.handles.view.send_replace(self.view.clone());
    }
}
