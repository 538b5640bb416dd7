//! Which of an output's troubles are told, and when again: a bad night must not bury the line that matters. Pure.

use std::time::{Duration, Instant};

use super::fault::FaultClass;

/// A fault that only the operator can help is told again this often, with the number of failures since.
pub(super) const REMIND: Duration = Duration::from_secs(5 * 60);

/// How a fault is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// It is new.
    New,
    /// It lasts.
    Again {
        /// Failures since it was told the last time.
        failures: u32,
        /// Time since it was told first.
        lasting: Duration,
    },
}

#[derive(Debug)]
struct Told {
    class: FaultClass,
    first: Instant,
    last: Instant,
    failures: u32,
}

/// What an output has told.
#[derive(Debug, Default)]
pub(super) struct Voice {
    fault: Option<Told>,
    budget: Option<Instant>,
}

impl Voice {
    /// A failure; none when enough was said of it.
    pub(super) fn fault(&mut self, class: FaultClass, now: Instant) -> Option<Say> {
        let Some(told) = self.fault.as_mut().filter(|told| told.class == class) else {
            self.fault = Some(Told { class, first: now, last: now, failures: 0 });
            return Some(Say::New);
        };
        told.failures += 1;
        if !class.needs_operator() || now.saturating_duration_since(told.last) < REMIND {
            return None;
        }
        let failures = std::mem::take(&mut told.failures);
        told.last = now;
        Some(Say::Again { failures, lasting: now.saturating_duration_since(told.first) })
    }

    /// Whether it is to be told now that the budget holds the output back.
    pub(super) fn budget(&mut self, held: bool, now: Instant) -> bool {
        if !held {
            return false;
        }
        let due = self.budget.is_none_or(|last| now.saturating_duration_since(last) >= REMIND);
        if due {
            self.budget = Some(now);
        }
        due
    }

    /// A session has lasted: whatever comes now is news.
    pub(super) fn settle(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_key_is_told_again_every_five_minutes_as_one_counted_line() {
        let (mut voice, start) = (Voice::default(), Instant::now());
        let mut said = Vec::new();
        for minute in 0..=11 {
            let now = start + Duration::from_secs(60 * minute);
            said.extend(voice.fault(FaultClass::Rejected, now).map(|say| (minute, say)));
        }
        let again = |minutes: u64| Say::Again { failures: 5, lasting: Duration::from_secs(60 * minutes) };
        assert_eq!(said, [(0, Say::New), (5, again(5)), (10, again(10))]);
    }

    #[test]
    fn a_dead_network_is_told_once_and_every_change_of_the_fault() {
        let (mut voice, now) = (Voice::default(), Instant::now());
        let later = now + Duration::from_secs(3600);
        assert_eq!(voice.fault(FaultClass::Refused, now), Some(Say::New));
        assert_eq!(voice.fault(FaultClass::Refused, later), None);
        assert_eq!(voice.fault(FaultClass::Unreachable, later), Some(Say::New));
        voice.settle();
        assert_eq!(voice.fault(FaultClass::Unreachable, later), Some(Say::New), "after a session that lasted");
    }

    #[test]
    fn a_spent_budget_is_told_when_it_begins_to_hold_and_every_five_minutes() {
        let (mut voice, start) = (Voice::default(), Instant::now());
        let told = (0..700).filter(|second| voice.budget(*second >= 10, start + Duration::from_secs(*second)));
        assert_eq!(told.collect::<Vec<_>>(), [10, 310, 610]);
    }
}
