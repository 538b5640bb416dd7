//! How soon a host may be looked for again: politely, and the more slowly the more often it went wrong.

use std::time::Duration;

use crate::source::SourceFault;

/// Least pause between two looks for one host, as for a host's next Space: the web page asks it for every avatar.
const LEAST: Duration = Duration::from_secs(30);

/// Longest pause after trouble that may pass by itself.
const LONGEST: Duration = Duration::from_secs(600);

/// Pauses are up to this part longer, so that many daemons do not ask in step.
const JITTER: f64 = 0.2;

/// How a look went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// X answered, and wants to be left alone for so long.
    Well(Duration),
    /// It did not; so many times in a row.
    Wrong(SourceFault, u32),
}

/// The pause after a look; `chance` lies between 0 and 1.
pub(super) fn pause(went: Went, interval: Duration, chance: f64) -> Duration {
    let least = interval.max(LEAST);
    let pause = match went {
        Went::Well(refresh) => least.max(refresh),
        Went::Wrong(SourceFault::RateLimited(wait), _) => least.max(wait),
        // Only the operator can mend it: asking in the meantime would look like an attack.
        Went::Wrong(SourceFault::Operator | SourceFault::Gone, _) => LONGEST,
        Went::Wrong(_, times) => least.saturating_mul(1 << times.saturating_sub(1).min(5)).min(LONGEST.max(least)),
    };
    pause.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0))
}

/// Whether somebody has to know that nothing is seen: at once if only the operator can mend it, else when it lasts.
pub(super) fn is_blind(fault: SourceFault, times: u32) -> bool {
    matches!(fault, SourceFault::Operator | SourceFault::Gone) || times >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_stay_polite_and_limits_are_honoured_by_table() {
        let seconds = Duration::from_secs;
        let wrong = |fault, times| Went::Wrong(fault, times);
        for (went, interval, expected) in [
            (Went::Well(seconds(0)), 2, 30),
            (Went::Well(seconds(60)), 2, 60),
            (Went::Well(seconds(0)), 120, 120),
            (wrong(SourceFault::RateLimited(seconds(900)), 1), 10, 900),
            (wrong(SourceFault::RateLimited(seconds(1)), 9), 10, 30),
            (wrong(SourceFault::Transient, 1), 10, 30),
            (wrong(SourceFault::Transient, 2), 10, 60),
            (wrong(SourceFault::Transient, 5), 10, 480),
            (wrong(SourceFault::Transient, u32::MAX), 10, 600),
            (wrong(SourceFault::Operator, 1), 10, 600),
            (wrong(SourceFault::Gone, 1), 10, 600),
        ] {
            let expected = seconds(expected);
            assert_eq!(pause(went, seconds(interval), 0.0), expected, "{went:?}");
            assert_eq!(pause(went, seconds(interval), 1.0), expected.mul_f64(1.2), "{went:?}");
        }
        assert!(!is_blind(SourceFault::Transient, 2) && is_blind(SourceFault::Transient, 3));
        assert!(is_blind(SourceFault::Operator, 1));
    }
}
