//! The rate of a counter over the last seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Long enough to smooth the 2 s of a picture loop, short enough to show a change.
const WINDOW: Duration = Duration::from_secs(4);

/// Bytes over a sliding window.
#[derive(Debug, Default)]
pub(super) struct Rate {
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Notes the counter's value.
    pub(super) fn note(&mut self, bytes: u64, now: Instant) {
        self.samples.push_back((now, bytes));
        while self.samples.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// The rate, in kbit/s.
    pub(super) fn kbps(&self) -> u32 {
        let (Some((first, from)), Some((last, to))) = (self.samples.front(), self.samples.back()) else { return 0 };
        let milliseconds = last.saturating_duration_since(*first).as_millis().max(1) as u64;
        u32::try_from(to.saturating_sub(*from) * 8 / milliseconds).unwrap_or(u32::MAX)
    }

    /// Forgets everything: another connection counts from zero.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_the_last_seconds_only() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        for second in 0..20_u64 {
            let bytes = if second < 10 { second * 1000 } else { 10_000 + (second - 10) * 125_000 };
            rate.note(bytes, start + Duration::from_secs(second));
        }
        assert_eq!(rate.kbps(), 1000);
        rate.clear();
        assert_eq!(rate.kbps(), 0);
    }
}
