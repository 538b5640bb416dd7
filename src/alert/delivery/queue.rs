//! What an alert still has to deliver: bounded, and an error is never left out for the sake of a warning.

use std::collections::VecDeque;

use crate::alert::{Event, Level};

/// Pending events of one alert. At 10 s each, the longest that one may take, these are five minutes.
const MOST: usize = 32;

/// Pending events in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pending: VecDeque<Event>,
    place: u64,
    left_out: u64,
}

impl Queue {
    /// Id of the newest event that was looked at.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// Takes new events, in order; keeps those that are `wanted`.
    pub(super) fn take(&mut self, news: Vec<Event>, wanted: impl Fn(&Event) -> bool) {
        for event in news {
            self.place = self.place.max(event.id);
            if wanted(&event) {
                self.pending.push_back(event);
                self.shrink();
            }
        }
    }

    /// The next event to deliver, and how many were left out since the one before.
    pub(super) fn next(&mut self) -> Option<(Event, u64)> {
        let event = self.pending.pop_front()?;
        Some((event, std::mem::take(&mut self.left_out)))
    }

    fn shrink(&mut self) {
        if self.pending.len() <= MOST {
            return;
        }
        // The oldest of the least important: news is worth more than history, and an error more than both.
        let least = self.pending.iter().map(|event| event.level).min().unwrap_or(Level::Info);
        if let Some(at) = self.pending.iter().position(|event| event.level == least) {
            self.left_out += self.pending.remove(at).map_or(0, |event| event.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn event(id: u64, level: Level) -> Event {
        Event {
            id,
            at: Timestamp::UNIX_EPOCH,
            level,
            code: "c".into(),
            subject: "s".into(),
            message: "m".into(),
            remedy: None,
            doing: None,
            since: None,
            count: 1,
        }
    }

    #[test]
    fn a_slow_alert_gets_the_errors_and_the_news_and_the_number_of_the_rest() {
        let mut queue = Queue::default();
        queue.take(vec![event(1, Level::Error)], |_| true);
        queue.take((2..100).map(|id| event(id, Level::Warning)).collect(), |event| event.id != 50);
        assert_eq!((queue.place(), queue.pending.len()), (99, MOST));
        let (first, left_out) = queue.next().expect("one");
        assert_eq!((first.id, left_out), (1, 98 - MOST as u64));
        let (second, left_out) = queue.next().expect("one");
        assert_eq!((second.id, left_out), (99 - 30, 0));
    }
}
