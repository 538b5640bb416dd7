//! Waiting times between attempts: exponential, capped, with jitter.

use std::time::Duration;

/// A row of waiting times that doubles from `first` to `cap`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at `first` and never waits longer than `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap: cap.max(first), attempt: 0 }
    }

    /// The next waiting time: within 80 to 100 % of the doubled and capped one, so that many bridges that lost the
    /// same ingest do not return at the same moment.
    pub fn next_delay(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.attempt.min(16)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        full.mul_f64(0.8 + 0.2 * fastrand::f64())
    }

    /// Attempts since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Starts again at `first`, after a success that lasted.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let delays: Vec<f64> = (0..5).map(|_| backoff.next_delay().as_secs_f64()).collect();
        for (delay, full) in delays.iter().zip([1.0, 2.0, 4.0, 5.0, 5.0]) {
            assert!(*delay <= full && *delay >= 0.8 * full, "{delay} of {full}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
