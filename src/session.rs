//! One session's life as a pure state machine: waiting, live, gap, ended; and in `attempts` when to try which source
//! again.
//!
//! No clock and no I/O: time comes in as program time and as waiting times that go out.

mod attempts;
mod failover;

use std::collections::VecDeque;

use crate::media::{ProgramTime, SAMPLE_RATE};
use crate::source::SessionPhase;

pub use attempts::{Attempts, Next, Standing, operator_pause};
pub use failover::{Failover, Path, Switch, Why};

/// Hold audio for this long is a gap that the slate tells: shorter ones are over before the picture could change.
const GAP_AFTER: u64 = SAMPLE_RATE as u64 * 3 / 2;

/// Audio that follows within this of the last is the same stretch: 0.5 s.
const SAME_STRETCH: u64 = SAMPLE_RATE as u64 / 2;

/// A source that returns has given this much in one stretch before the slate leaves: 2 s. A segment of a Space has 3 s,
/// so that one whole segment is enough.
const HEALTHY: u64 = SAMPLE_RATE as u64 * 2;

/// The same for a source that keeps coming and going: 6 s, which no single segment has.
const HEALTHY_AGAIN: u64 = SAMPLE_RATE as u64 * 6;

/// Returns within [`FLAPPING_WITHIN`] that make a source one that comes and goes.
const FLAPPING: usize = 2;

/// See [`FLAPPING`]: a minute.
const FLAPPING_WITHIN: u64 = SAMPLE_RATE as u64 * 60;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing is known of the space yet.
    Connecting,
    /// The space is known and gives no audio yet.
    Waiting,
    /// Its audio is on the air.
    Live,
    /// It was live and gives no audio now, or only shreds of it.
    Gap,
    /// Over; the host's next space is waited for.
    Between,
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
    /// Start of the stretch that this is the end of.
    stretch_from: Option<ProgramTime>,
    /// When the source returned from a gap, within the last minute.
    returns: VecDeque<ProgramTime>,
}

impl Default for Session {
    fn default() -> Self {
        Self { state: SessionState::Connecting, audio_until: None, stretch_from: None, returns: VecDeque::new() }
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

    /// Source audio was placed on the program from `start` to `end`. It is heard in any case; what changes is what the
    /// audience is told.
    pub fn on_audio(&mut self, start: ProgramTime, end: ProgramTime, now: ProgramTime) -> Option<Transition> {
        if end <= now || self.is_over() {
            return None;
        }
        // What does not follow at once, or came after the last had been heard to its end, begins a new stretch.
        let follows = self.audio_until.is_some_and(|until| start <= until.plus(SAME_STRETCH) && until >= now);
        let from = self.stretch_from.filter(|_| follows).unwrap_or(start).min(start);
        self.stretch_from = Some(from);
        self.audio_until = Some(self.audio_until.map_or(end, |until| until.max(end)));
        let returning = self.state == SessionState::Gap;
        if returning && end.since(from) < self.healthy(now) {
            return None;
        }
        match self.state {
            SessionState::Live => None,
            SessionState::Gap => {
                self.returns.push_back(now);
                self.enter(SessionState::Live, from.max(now))
            }
            _ => self.enter(SessionState::Live, start.max(now)),
        }
    }

    /// How much a source that returns must give in one stretch.
    fn healthy(&mut self, now: ProgramTime) -> u64 {
        self.returns.retain(|at| now.since(*at) < FLAPPING_WITHIN);
        if self.returns.len() >= FLAPPING { HEALTHY_AGAIN } else { HEALTHY }
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
        self.close(SessionState::Ended, now)
    }

    /// The session is over, and another one is waited for.
    pub fn on_between(&mut self, now: ProgramTime) -> Option<Transition> {
        self.close(SessionState::Between, now)
    }

    fn close(&mut self, state: SessionState, now: ProgramTime) -> Option<Transition> {
        let at = self.audio_until.map_or(now, |until| until.max(now));
        if self.state == SessionState::Ended || self.state == state { None } else { self.enter(state, at) }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, SessionState::Ended | SessionState::Between)
    }

    fn enter(&mut self, state: SessionState, at: ProgramTime) -> Option<Transition> {
        self.state = state;
        Some(Transition { state, at })
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

    /// Program times, in seconds, at which a source that delivers `segments` (start, length) 6 s ahead enters states.
    fn states(segments: &[(f64, f64)], until: f64) -> Vec<(SessionState, f64)> {
        let mut session = Session::default();
        let mut seen = Vec::new();
        let mut tick = 0.0;
        let mut left = segments.iter();
        let mut next = left.next();
        while tick < until {
            while let Some((start, length)) = next.filter(|(start, _)| start - 6.0 <= tick) {
                seen.extend(session.on_audio(at(*start), at(start + length), at(tick)));
                next = left.next();
            }
            seen.extend(session.on_tick(at(tick)));
            tick += 0.1;
        }
        seen.iter().map(|transition| (transition.state, (transition.at.seconds() * 10.0).round() / 10.0)).collect()
    }

    #[test]
    fn a_segment_every_fifteen_seconds_does_not_flip_the_slate_each_time() {
        let shreds: Vec<(f64, f64)> = (0..12).map(|n| (10.0 + 15.0 * f64::from(n), 3.0)).collect();
        let seen = states(&shreds, 180.0);
        let lives = seen.iter().filter(|(state, _)| *state == SessionState::Live).count();
        // The first, two returns, and one more whenever a minute has gone by.
        assert!(lives <= 7, "{seen:?}");
        let steady: Vec<(f64, f64)> = (0..30).map(|n| (200.0 + 3.0 * f64::from(n), 3.0)).collect();
        let all: Vec<(f64, f64)> = shreds.into_iter().chain(steady).collect();
        let seen = states(&all, 280.0);
        let (state, from) = *seen.iter().rev().find(|(state, _)| *state == SessionState::Live).expect("live");
        assert_eq!((state, seen.last().map(|(state, _)| *state)), (SessionState::Live, Some(SessionState::Live)));
        assert!((from - 200.0).abs() < 0.2, "the slate leaves with the first sound of the stretch, not at {from}");
    }

    #[test]
    fn a_short_sign_of_life_in_a_gap_is_heard_and_changes_no_slate() {
        let mut session = Session::default();
        session.on_audio(at(0.0), at(3.0), at(0.0));
        session.on_tick(at(4.6));
        for n in 0..19 {
            let start = 10.0 + f64::from(n) * 0.1;
            assert_eq!(session.on_audio(at(start), at(start + 0.1), at(9.0)), None, "{n}");
        }
        let back = session.on_audio(at(11.9), at(12.1), at(9.5));
        assert_eq!(back, Some(Transition { state: SessionState::Live, at: at(10.0) }));
    }

    #[test]
    fn a_next_space_is_waited_for_after_the_last_word_was_heard() {
        let mut session = Session::default();
        session.on_audio(at(0.0), at(10.0), at(0.0));
        assert_eq!(session.on_between(at(4.0)), Some(Transition { state: SessionState::Between, at: at(10.0) }));
        assert_eq!(
            session.on_audio(at(12.0), at(13.0), at(5.0)),
            None,
            "what an ended session still says is nothing new"
        );
        assert_eq!(session.on_end(at(20.0)).map(|t| t.state), Some(SessionState::Ended));
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_source_does_the_slate_flips_rarely_and_never_before_the_sound(
            pieces in proptest::collection::vec((0.0..20.0f64, 0.02..4.0f64), 1..60),
        ) {
            let mut session = Session::default();
            let (mut now, mut lives) = (0.0, Vec::new());
            for (pause, length) in pieces {
                for _ in 0..(pause * 10.0) as u32 {
                    now += 0.1;
                    session.on_tick(at(now));
                }
                let start = now + 6.0;
                if let Some(transition) = session.on_audio(at(start), at(start + length), at(now)) {
                    proptest::prop_assert!(transition.at >= at(now) && transition.at <= at(start + length));
                    lives.push(now);
                }
                now += length.min(0.1);
            }
            // Three returns by 2 s stretches in a minute at most, others only by 6 s of sound each.
            for window in lives.windows(16) {
                proptest::prop_assert!(window[15] - window[0] > 30.0, "{:?}", lives);
            }
        }
    }
}
