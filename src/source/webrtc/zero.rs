//! Where a room's media time lies on this machine's clock: the same from one visit to the next.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::media::SAMPLE_RATE;

/// Found by the first visit, kept by the source. Clones share it.
///
/// What an earlier visit gave out last, and when, says the same to some hundredths of a second; but recordings of two
/// visits that lie wrong by these cannot be joined to the other path's.
#[derive(Debug, Clone, Default)]
pub struct Zero(Arc<OnceLock<(Instant, i64)>>);

impl Zero {
    /// Media time of `moment`, in samples. The first who asks says what it is.
    pub fn media_time(&self, moment: Instant, first: impl FnOnce() -> i64) -> i64 {
        let (zero, media_time) = *self.0.get_or_init(|| (moment, first()));
        media_time
            .saturating_add((moment.saturating_duration_since(zero).as_secs_f64() * f64::from(SAMPLE_RATE)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn media_time_goes_on_as_the_clock_does_whoever_visits() {
        let (zero, now) = (Zero::default(), Instant::now());
        assert_eq!(zero.media_time(now, || 7), 7);
        let later = now + Duration::from_millis(90_500);
        assert_eq!(zero.clone().media_time(later, || unreachable!("it is known")), 7 + 90_500 * 48);
    }
}
