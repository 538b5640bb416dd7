//! How fast a chat is read: fast enough for any Space, never as fast as a flood. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Messages that are read in one window; a window is 250 ms, so 2000 a second.
const MESSAGES: u32 = 500;

/// Bytes that count as another message.
const LARGE: usize = 4096;

/// Length of a window.
const WINDOW: Duration = Duration::from_millis(250);

/// Counts messages of the present window.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    count: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, count: 0 }
    }

    /// Counts a message of `bytes`; how long to rest before the next one is read, if at all.
    pub(super) fn count(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        if now.saturating_duration_since(self.since) >= WINDOW {
            *self = Self::new(now);
        }
        self.count += 1 + (bytes / LARGE) as u32;
        (self.count >= MESSAGES).then(|| WINDOW.saturating_sub(now.saturating_duration_since(self.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_read_at_a_bounded_rate_and_a_busy_chat_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let rests: u32 = (0..499).filter_map(|_| pace.count(start, 900)).count() as u32;
        assert_eq!(rests, 0);
        assert_eq!(pace.count(start + Duration::from_millis(100), 0), Some(Duration::from_millis(150)));
        assert_eq!(pace.count(start + Duration::from_millis(250), 0), None);
        let mut now = start + Duration::from_secs(1);
        let mut pace = Pace::new(now);
        for _ in 0..10_000 {
            now += pace.count(now, 0).unwrap_or_default();
        }
        assert!(now >= start + Duration::from_millis(1000 + 19 * 250), "{:?}", now - start);
    }
}
