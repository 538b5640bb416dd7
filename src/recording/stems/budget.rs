//! How much one speaker may fill of a disk. Pure.

use std::time::Instant;

/// Bytes in a second: Opus has 510 kbit/s at most (RFC 6716 §2.1.1), and a page adds 28 bytes to each packet.
const RATE: f64 = 100_000.0;

/// Bytes at once: what a connection that was held up hands over.
const BURST: f64 = 500_000.0;

/// A bucket that fills with time.
#[derive(Debug)]
pub(super) struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, at: now }
    }

    /// Whether so many bytes more are allowed now; takes them if so.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.left = (self.left + since * RATE).min(BURST);
        let allowed = self.left >= bytes as f64;
        if allowed {
            self.left -= bytes as f64;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_loudest_opus_is_kept_whole_and_a_flood_is_not() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        // 510 kbit/s in packets of 20 ms, for ten minutes.
        let kept = (0..30_000).filter(|n| budget.take(1275 + 33, start + Duration::from_millis(20 * n))).count();
        assert_eq!(kept, 30_000);
        let mut budget = Budget::new(start);
        let flood = (0..60_000).filter(|n| budget.take(4000, start + Duration::from_millis(*n))).count();
        assert!(flood * 4000 <= 6_600_000, "{flood} packets of 4 kB in a minute");
    }
}
