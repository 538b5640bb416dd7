//! Who is not to be asked for yet, since their last connection came to nothing. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// Who was hung up on is given a new connection after this: mostly they have left, and that is told a moment later.
const FIRST: Duration = Duration::from_secs(2);

/// Who cannot be reached at all is tried this often.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that lasted so long is no failed attempt.
const LASTED: Duration = Duration::from_secs(120);

/// The speakers whose connections were hung up on.
#[derive(Debug, Default)]
pub(super) struct Rests {
    of: BTreeMap<String, Rest>,
}

#[derive(Debug)]
struct Rest {
    backoff: Backoff,
    until: Instant,
    over: bool,
}

impl Rests {
    /// The connection of `name` came to nothing at `now`; how often that was so in succession.
    pub(super) fn begin(&mut self, name: &str, now: Instant) -> u32 {
        let new = || Rest { backoff: Backoff::new(FIRST, LONGEST), until: now, over: true };
        let rest = self.of.entry(name.to_owned()).or_insert_with(new);
        if now.saturating_duration_since(rest.until) > LASTED {
            rest.backoff.reset();
        }
        rest.until = now + rest.backoff.next_delay();
        rest.over = false;
        rest.backoff.attempts()
    }

    /// Whether `name` rests at `now`.
    pub(super) fn has(&self, name: &str, now: Instant) -> bool {
        self.of.get(name).is_some_and(|rest| now < rest.until)
    }

    /// `name` has left, or has come anew.
    pub(super) fn forget(&mut self, name: &str) {
        self.of.remove(name);
    }

    /// Whether somebody has rested enough since this was asked last.
    pub(super) fn end(&mut self, now: Instant) -> bool {
        let ended = self.of.values_mut().filter(|rest| !rest.over && now >= rest.until);
        ended.map(|rest| rest.over = true).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_reached_rests_longer_each_time_and_who_was_heard_for_long_does_not() {
        let mut now = Instant::now();
        let mut rests = Rests::default();
        for (attempt, longest) in [2.0, 4.0, 8.0, 16.0, 30.0, 30.0].into_iter().enumerate() {
            assert_eq!(rests.begin("ann", now), attempt as u32 + 1);
            assert!(rests.has("ann", now) && !rests.has("bob", now) && !rests.end(now));
            now += Duration::from_secs_f64(longest);
            assert!(!rests.has("ann", now));
            assert!(rests.end(now) && !rests.end(now), "told once");
        }
        assert_eq!(rests.begin("bob", now), 1, "each has rests of their own");
        now += Duration::from_secs(130);
        assert_eq!(rests.begin("bob", now), 1);
        rests.forget("ann");
        assert_eq!(rests.begin("ann", now), 1);
    }
}
