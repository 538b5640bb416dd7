//! The one owner of time: wall time for people and files, monotonic time for everything that waits.
//!
//! Stages take a [`Clock`] and never ask the system themselves, so that drills can step the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Gives wall and monotonic time. Clones share one time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Milliseconds that a test added to the wall clock; monotonic time never steps.
    wall_offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// Wall time, in UTC. May step; never used to measure an interval.
    pub fn wall(&self) -> Timestamp {
        let offset = jiff::SignedDuration::from_millis(self.wall_offset_ms.load(Ordering::Relaxed));
        Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Waits on the async runtime.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Steps the wall clock, as a drill does to show that nothing depends on it.
    pub fn step_wall(&self, milliseconds: i64) {
        self.wall_offset_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_wall_clock_leaves_monotonic_time_alone() {
        let clock = Clock::system();
        let (wall, mono) = (clock.wall(), clock.now());
        clock.step_wall(-3_600_000);
        assert!(clock.wall() < wall);
        assert!(clock.now() >= mono);
    }
}
