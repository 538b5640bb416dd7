//! Which source is tried when, and when trying is over. Pure: pauses go out, nothing waits.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::source::{SourceEnd, SourceError, SourceFault};

/// Failed attempts in a row before the next source of the list has its turn.
const ATTEMPTS_PER_SOURCE: u32 = 3;

/// First pause after a fault that only the operator can mend; each further one is twice as long.
const OPERATOR_PAUSE: Duration = Duration::from_secs(30);

/// Longest pause after such a fault: whoever mended it does not want to wait for the next half an hour.
const OPERATOR_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Answers in a row, each from every source of the list, that a known space is gone before it is taken for over: about
/// half an hour. One such answer may come from a server that has lost the space for a moment.
const GONE_ANSWERS: u32 = 9;

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

/// What the show has come to: how much a fault may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The space was found.
    pub known: bool,
    /// The show has been on the air, or waits for spaces: people look at it, and the operator can mend it.
    pub on_the_air: bool,
}

/// Decides which source is tried when.
#[derive(Debug)]
pub struct Attempts {
    sources: usize,
    index: usize,
    /// The operator wants this source and no other.
    pinned: bool,
    failures: u32,
    /// Permanent faults in a row, over all sources.
    hopeless: u32,
    /// Of these, answers in a row that the space is gone.
    gone: u32,
    backoff: Backoff,
}

impl Attempts {
    /// For a list of `sources` sources; the first is tried first.
    pub fn new(sources: usize) -> Self {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
        Self { sources: sources.max(1), index: 0, pinned: false, failures: 0, hopeless: 0, gone: 0, backoff }
    }

    /// The source to try now.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The source that is held to, if one is.
    pub fn pinned(&self) -> Option<usize> {
        self.pinned.then_some(self.index)
    }

    /// Holds to source `pin`, or lets the list take its course again; whether another source is tried from now on.
    pub fn pin(&mut self, pin: Option<usize>) -> bool {
        let index = pin.unwrap_or(self.index).min(self.sources - 1);
        let moves = index != self.index;
        (self.index, self.pinned) = (index, pin.is_some());
        if moves {
            self.on_progress();
        }
        moves
    }

    /// Another source is heard from now on: it is held to if one was, and its faults are forgotten.
    pub fn fail_over(&mut self, to: usize) {
        self.index = to.min(self.sources - 1);
        self.on_progress();
    }

    /// The source gave something: its faults are forgotten.
    pub fn on_progress(&mut self) {
        self.failures = 0;
        self.hopeless = 0;
        self.gone = 0;
        self.backoff.reset();
    }

    /// An attempt ended.
    pub fn on_result(&mut self, result: &Result<SourceEnd, SourceError>, standing: Standing) -> Next {
        match result {
            Ok(SourceEnd::SessionEnded | SourceEnd::Cancelled) => Next::Ended,
            Err(error) => self.on_error(error, standing),
        }
    }

    fn on_error(&mut self, error: &SourceError, standing: Standing) -> Next {
        self.failures += 1;
        self.hopeless = if error.is_permanent() { self.hopeless + 1 } else { 0 };
        self.gone = if error.class == SourceFault::Gone { self.gone + 1 } else { 0 };
        let sources = if self.pinned { 1 } else { self.sources };
        let rounds = self.hopeless / sources as u32;
        if rounds > 0 && !standing.known && !standing.on_the_air && !self.pinned {
            return Next::Failed(error.message.clone());
        }
        if standing.known && self.gone / sources as u32 >= GONE_ANSWERS {
            return Next::Ended;
        }
        let pause = match error.class {
            SourceFault::RateLimited(pause) => pause,
            // The list was tried to its end, and trying again helps only once somebody has mended something.
            _ if rounds > 0 => operator_pause(rounds),
            _ => self.backoff.next_delay(),
        };
        if sources > 1 && (error.is_permanent() || self.failures >= ATTEMPTS_PER_SOURCE) {
            self.index = (self.index + 1) % self.sources;
            self.failures = 0;
            let pause = if rounds > 0 { pause } else { pause.min(Duration::from_secs(1)) };
            return Next::Try { index: self.index, pause };
        }
        Next::Try { index: self.index, pause }
    }
}

/// The pause after so many faults in a row that only the operator can mend: 30 s, 1 min, 2 min, then 5 min.
pub fn operator_pause(rounds: u32) -> Duration {
    OPERATOR_PAUSE.saturating_mul(1 << rounds.saturating_sub(1).min(8)).min(OPERATOR_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNKNOWN: Standing = Standing { known: false, on_the_air: false };
    const KNOWN: Standing = Standing { known: true, on_the_air: false };
    const ON_THE_AIR: Standing = Standing { known: false, on_the_air: true };

    fn pauses(attempts: &mut Attempts, error: fn() -> SourceError, standing: Standing, count: usize) -> Vec<u64> {
        let pause = |_| match attempts.on_result(&Err(error()), standing) {
            Next::Try { pause, .. } => pause.as_secs(),
            other => panic!("{other:?}"),
        };
        (0..count).map(pause).collect()
    }

    #[test]
    fn a_space_that_never_existed_ends_the_show_with_its_message() {
        for error in [SourceError::gone("no such space"), SourceError::operator("no such space")] {
            assert_eq!(Attempts::new(1).on_result(&Err(error), UNKNOWN), Next::Failed("no such space".to_owned()));
        }
    }

    #[test]
    fn a_passing_fault_is_tried_again_with_growing_pauses() {
        let mut attempts = Attempts::new(1);
        let failed: Result<SourceEnd, _> = Err(SourceError::transient("503"));
        let pauses: Vec<Duration> = (0..6)
            .map(|_| match attempts.on_result(&failed, UNKNOWN) {
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
            .map(|_| match attempts.on_result(&failed, UNKNOWN) {
                Next::Try { index, .. } => index,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, [0, 0, 1, 1, 1, 0]);
    }

    #[test]
    fn expired_cookies_keep_the_mirrors_up_once_the_space_is_known_or_people_look() {
        for standing in [KNOWN, ON_THE_AIR] {
            let mut attempts = Attempts::new(1);
            let refused = || SourceError::operator("log in again");
            assert_eq!(pauses(&mut attempts, refused, standing, 7), [30, 60, 120, 240, 300, 300, 300]);
        }
    }

    #[test]
    fn one_answer_that_a_known_space_is_gone_ends_nothing_and_half_an_hour_of_them_does() {
        let mut attempts = Attempts::new(1);
        let gone = || SourceError::gone("no such space");
        let waited: u64 = pauses(&mut attempts, gone, KNOWN, GONE_ANSWERS as usize - 1).iter().sum();
        assert!((20 * 60..40 * 60).contains(&waited), "{waited} s");
        assert_eq!(attempts.on_result(&Err(gone()), KNOWN), Next::Ended);
        let mut attempts = Attempts::new(1);
        pauses(&mut attempts, gone, KNOWN, GONE_ANSWERS as usize - 1);
        attempts.on_progress();
        assert_eq!(pauses(&mut attempts, gone, KNOWN, 1), [30]);
    }

    #[test]
    fn a_show_that_people_look_at_waits_for_a_mended_source_for_ever() {
        let mut attempts = Attempts::new(1);
        pauses(&mut attempts, || SourceError::gone("no such space"), ON_THE_AIR, 100);
    }

    #[test]
    fn a_list_without_hope_is_gone_through_at_once_and_then_slowly() {
        let mut attempts = Attempts::new(2);
        let refused = || SourceError::operator("log in again");
        assert_eq!(pauses(&mut attempts, refused, KNOWN, 5), [0, 30, 30, 60, 60]);
    }

    #[test]
    fn a_pinned_source_is_tried_for_ever_and_no_other_until_it_is_let_go() {
        let mut attempts = Attempts::new(3);
        let failed: Result<SourceEnd, _> = Err(SourceError::operator("log in again"));
        let tried = |attempts: &mut Attempts, count: usize| -> Vec<usize> {
            let one = |_| match attempts.on_result(&failed, UNKNOWN) {
                Next::Try { index, .. } => index,
                other => panic!("{other:?}"),
            };
            (0..count).map(one).collect()
        };
        assert!(attempts.pin(Some(2)) && attempts.pinned() == Some(2));
        assert_eq!(tried(&mut attempts, 6), [2; 6]);
        for (pin, moves, pinned, index) in [
            (Some(2), false, Some(2), 2),
            (Some(1), true, Some(1), 1),
            (None, false, None, 1),
            (Some(9), true, Some(2), 2),
        ] {
            assert_eq!((attempts.pin(pin), attempts.pinned(), attempts.index()), (moves, pinned, index), "{pin:?}");
        }
        attempts.pin(None);
        assert_eq!(tried(&mut attempts, 2), [0, 1]);
    }

    fn error(kind: u8) -> SourceError {
        match kind {
            0 => SourceError::transient("503"),
            1 => SourceError { message: "429".into(), class: SourceFault::RateLimited(Duration::from_secs(40)) },
            2 => SourceError::operator("geoblocked"),
            _ => SourceError::gone("no such space"),
        }
    }

    proptest! {
        #[test]
        fn no_row_of_faults_fails_a_show_on_the_air_or_spins(kinds in prop::collection::vec(0u8..4, 1..60), sources in 1usize..4) {
            let mut attempts = Attempts::new(sources);
            let mut quick = 0;
            for kind in kinds {
                match attempts.on_result(&Err(error(kind)), ON_THE_AIR) {
                    Next::Try { index, pause } => {
                        prop_assert!(index < sources);
                        // Once through the list in a hurry is fine, again and again is not.
                        quick = if pause < Duration::from_millis(500) { quick + 1 } else { 0 };
                        prop_assert!(quick <= sources, "{quick} attempts without a pause");
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}
