//! What the audience and the operator are told of the session as it goes.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Conductor;
use crate::bridge::words;
use crate::media::ProgramTime;
use crate::session::{SessionState, Transition};

/// A step of the countdown is asked for this long before its time, so that its picture is encoded by then.
const LEAD: Duration = Duration::from_secs(3);

/// Least time between two steps of a countdown: each is an encode of half a second. A rehearsal's schedule may go by so
/// fast that steps are left out.
const STEP: Duration = Duration::from_secs(8);

/// What the slate was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    line: String,
    /// When, if it was a step of a countdown.
    step: Option<Instant>,
    /// Whether that was before the start.
    early: bool,
}

impl Conductor {
    /// The session is in another state.
    pub(super) fn enter(&mut self, transition: Transition) {
        let (code, message) = match transition.state {
            SessionState::Connecting => ("session.connecting", "Looking for the space"),
            SessionState::Waiting => ("session.waiting", "The space is known and gives no audio yet"),
            SessionState::Live => ("session.live", "The space's audio goes on the air"),
            SessionState::Gap => ("session.gap", "The space gives no audio; the slate tells so"),
            SessionState::Between => ("session.between", "The space is over; the host's next one is waited for"),
            SessionState::Ended => ("session.ended", "The space is over"),
        };
        self.handles.events.info(code, "session", message);
        self.handles.archive.state(code.trim_start_matches("session."), message);
        self.show(transition.state, transition.at);
    }

    /// The slate says what belongs to `state`, from program time `at` on.
    pub(super) fn show(&mut self, state: SessionState, at: ProgramTime) {
        self.learn_start();
        let now = self.handles.clock.schedule();
        let line = self.line(state, now);
        self.handles.desk.say(&line, state == SessionState::Live, at);
        self.told = Told { line: line.clone(), step: None, early: self.is_early(now) };
        self.view.slate = line;
        self.publish();
    }

    /// The slate names who is speaking, where it is to.
    pub(super) fn name_speakers(&mut self) {
        if self.handles.desk.names_speakers()
            && let Some(names) = self.speaking.look(&self.view.speakers, self.handles.clock.now())
        {
            self.handles.desk.speaking(&names);
        }
    }

    /// The countdown goes on.
    pub(super) fn count_down(&mut self) {
        let state = self.session.state();
        if !matches!(state, SessionState::Connecting | SessionState::Waiting) {
            return;
        }
        let clock = &self.handles.clock;
        let (now, schedule) = (clock.now(), clock.schedule());
        let hour = Duration::from_secs(3600);
        let speed = hour.as_secs_f64() / clock.real(hour).as_secs_f64().max(f64::EPSILON);
        let ahead = schedule.checked_add(LEAD.mul_f64(speed)).unwrap_or(schedule);
        self.view.slate = self.line(state, schedule);
        let (line, early) = (self.line(state, ahead), self.is_early(ahead));
        let hurried = self.told.step.is_some_and(|at| now.saturating_duration_since(at) < STEP);
        if line == self.told.line || hurried && early == self.told.early {
            return;
        }
        let at = ProgramTime::from_duration(self.now().duration() + LEAD);
        self.handles.desk.say(&line, false, at);
        self.told = Told { line, step: Some(now), early };
    }

    fn line(&self, state: SessionState, now: Timestamp) -> String {
        words::slate_line(&self.handles.texts, state, self.announced(), now, &self.handles.zone)
    }

    fn is_early(&self, now: Timestamp) -> bool {
        self.announced().is_some_and(|start| start > now)
    }
}
