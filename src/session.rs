//! One session's life as a pure state machine: waiting, live, gap, ended; and when to try which source again.
//!
//! No clock and no I/O: time comes in as program time and as waiting times that go out.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::media::{ProgramTime, SAMPLE_RATE};
use crate::source::{SessionPhase, SourceEnd, SourceError, SourceFault};

/// Hold audio for this long is a gap that the slate tells: shorter ones are over before the picture could change.
const GAP_AFTER: u64 = SAMPLE_RATE as u64 * 3 / 2;

/// Audio that follows within this of the last is the same stretch: 0.5 s.
const SAME_STRETCH: u64 = SAMPLE_RATE as u64 / 2;

/// Failed attempts in a row before the next source of the list has its turn.
const ATTEMPTS_PER_SOURCE: u32 = 3;

/// Pause after a fault that only the operator can mend.
const OPERATOR_PAUSE: Duration = Duration::from_secs(30);

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing is known of the space yet.
    Connecting,
    /// The space is known and gives no audio yet.
    Waiting,
    /// Its audio is on the air.
    Live,
    /// It was live and gives no audio now.
    Gap,
    /// Over for good.
    Ended,
}

/// A new state, and the program time from which on it is what the audience hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The new state.
    pub state: SessionState,
    /// Program time from which on it holds.
    pub at: ProgramTime,
}

/// The states of one session.
#[derive(Debug, Clone)]
pub struct Session {
    state: SessionState,
    /// End of the audio that was placed.
    audio_until: Option<ProgramTime>,
}

impl Default for Session {
    fn default() -> Self {
        Self { state: SessionState::Connecting, audio_until: None }
    }
}

impl Session {
    /// The current state.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Whether audio was ever on the air.
    pub fn was_live(&self) -> bool {
        self.audio_until.is_some()
    }

    /// The source told what it knows of the space.
    pub fn on_phase(&mut self, phase: SessionPhase, now: ProgramTime) -> Option<Transition> {
        match (self.state, phase) {
            (SessionState::Connecting, SessionPhase::Waiting | SessionPhase::Live) => {
                self.enter(SessionState::Waiting, now)
            }
            _ => None,
        }
    }

    /// Source audio was placed on the program from `start` to `end`.
    pub fn on_audio(&mut self, start: ProgramTime, end: ProgramTime, now: ProgramTime) -> Option<Transition> {
        if end <= now || self.state == SessionState::Ended {
            return None;
        }
        let follows = self.audio_until.is_some_and(|until| start <= until.plus(SAME_STRETCH) && until >= now);
        self.audio_until = Some(self.audio_until.map_or(end, |until| until.max(end)));
        if self.state == SessionState::Live || follows && self.state != SessionState::Gap {
            return None;
        }
        self.enter(SessionState::Live, start.max(now))
    }

    /// Time went by.
    pub fn on_tick(&mut self, now: ProgramTime) -> Option<Transition> {
        let until = self.audio_until?;
        if self.state == SessionState::Live && now.since(until) > GAP_AFTER {
            return self.enter(SessionState::Gap, now);
        }
        None
    }

    /// The session is over. What was placed is still heard to its end.
    pub fn on_end(&mut self, now: ProgramTime) -> Option<Transition> {
        let at = self.audio_until.map_or(now, |until| until.max(now));
        if self.state == SessionState::Ended { None } else { self.enter(SessionState::Ended, at) }
    }

    fn enter(&mut self, state: SessionState, at: ProgramTime) -> Option<Transition> {
        self.state = state;
        Some(Transition { state, at })
    }
}

/// What to do after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Try source `index` after `pause`.
    Try {
        /// Which source of the list.
        index: usize,
        /// How long to wait first.
        pause: Duration,
    },
    /// The session is over as it should be.
    Ended,
    /// Nothing can be had and nothing ever was: the show ends with this message.
    Failed(String),
}

/// Decides which source is tried when.
#[derive(Debug)]
pub struct Attempts {
    sources: usize,
    index: usize,
    failures: u32,
    /// Sources in a row that can never work.
    hopeless: usize,
    backoff: Backoff,
}

impl Attempts {
    /// For a list of `sources` sources; the first is tried first.
    pub fn new(sources: usize) -> Self {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
        Self { sources: sources.max(1), index: 0, failures: 0, hopeless: 0, backoff }
    }

    /// The source to try now.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The source gave something: its faults are forgotten.
    pub fn on_progress(&mut self) {
        self.failures = 0;
        self.hopeless = 0;
        self.backoff.reset();
    }

    /// An attempt ended. `known` tells whether the space was ever found.
    pub fn on_result(&mut self, result: &Result<SourceEnd, SourceError>, known: bool) -> Next {
        match result {
            Ok(SourceEnd::SessionEnded | SourceEnd::Cancelled) => Next::Ended,
            Err(error) => self.on_error(error, known),
        }
    }

    fn on_error(&mut self, error: &SourceError, known: bool) -> Next {
        self.failures += 1;
        if error.is_permanent() {
            self.hopeless += 1;
            if self.hopeless >= self.sources && !known {
                return Next::Failed(error.message.clone());
            }
            if self.hopeless >= self.sources && error.class == SourceFault::Gone {
                return Next::Ended;
            }
        } else {
            self.hopeless = 0;
        }
        let pause = match error.class {
            SourceFault::RateLimited(pause) => pause,
            SourceFault::Operator | SourceFault::Gone if self.sources == 1 => OPERATOR_PAUSE,
            _ => self.backoff.next_delay(),
        };
        if self.sources > 1 && (error.is_permanent() || self.failures >= ATTEMPTS_PER_SOURCE) {
            self.index = (self.index + 1) % self.sources;
            self.failures = 0;
            return Next::Try { index: self.index, pause: pause.min(Duration::from_secs(1)) };
        }
        Next::Try { index: self.index, pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> ProgramTime {
        ProgramTime::from_samples((seconds * f64::from(SAMPLE_RATE)) as u64)
    }

    #[test]
    fn the_slate_says_live_from_the_first_sample_on_the_air() {
        let mut session = Session::default();
        assert_eq!(session.on_phase(SessionPhase::Live, at(1.0)).map(|t| t.state), Some(SessionState::Waiting));
        let transition = session.on_audio(at(5.0), at(8.0), at(2.0));
        assert_eq!(transition, Some(Transition { state: SessionState::Live, at: at(5.0) }));
        assert_eq!(session.on_audio(at(8.0), at(11.0), at(6.0)), None);
    }

    #[test]
    fn a_short_hole_is_no_gap_and_a_long_one_is() {
        let mut session = Session::default();
        session.on_audio(at(0.0), at(3.0), at(0.0));
        assert_eq!(session.on_tick(at(4.0)), None);
        assert_eq!(session.on_tick(at(4.6)).map(|t| t.state), Some(SessionState::Gap));
        let back = session.on_audio(at(9.0), at(12.0), at(6.0));
        assert_eq!(back, Some(Transition { state: SessionState::Live, at: at(9.0) }));
    }

    #[test]
    fn audio_that_is_over_already_makes_nothing_live() {
        let mut session = Session::default();
        assert_eq!(session.on_audio(at(1.0), at(2.0), at(3.0)), None);
        assert!(!session.was_live());
    }

    #[test]
    fn the_end_waits_for_what_is_still_to_be_heard() {
        let mut session = Session::default();
        session.on_audio(at(0.0), at(10.0), at(0.0));
        assert_eq!(session.on_end(at(4.0)), Some(Transition { state: SessionState::Ended, at: at(10.0) }));
        assert_eq!(session.on_end(at(5.0)), None);
    }

    #[test]
    fn a_space_that_never_existed_ends_the_show_with_its_message() {
        let mut attempts = Attempts::new(1);
        let gone: Result<SourceEnd, _> = Err(SourceError::gone("no such space"));
        assert_eq!(attempts.on_result(&gone, false), Next::Failed("no such space".to_owned()));
    }

    #[test]
    fn a_passing_fault_is_tried_again_with_growing_pauses() {
        let mut attempts = Attempts::new(1);
        let failed: Result<SourceEnd, _> = Err(SourceError::transient("503"));
        let pauses: Vec<Duration> = (0..6)
            .map(|_| match attempts.on_result(&failed, false) {
                Next::Try { index: 0, pause } => pause,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(pauses[0] <= Duration::from_secs(1) && pauses[5] > Duration::from_secs(11), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(15)));
    }

    #[test]
    fn the_next_source_has_its_turn_after_three_failures() {
        let mut attempts = Attempts::new(2);
        let failed: Result<SourceEnd, _> = Err(SourceError::transient("503"));
        let order: Vec<usize> = (0..6)
            .map(|_| match attempts.on_result(&failed, false) {
                Next::Try { index, .. } => index,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, [0, 0, 1, 1, 1, 0]);
    }

    #[test]
    fn expired_cookies_in_a_known_session_keep_the_mirrors_up() {
        let mut attempts = Attempts::new(1);
        let refused: Result<SourceEnd, _> = Err(SourceError::operator("log in again"));
        assert_eq!(attempts.on_result(&refused, true), Next::Try { index: 0, pause: OPERATOR_PAUSE });
    }
}
