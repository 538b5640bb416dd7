//! When a stage with nobody on it is told: the host may be absent from the start, or lost in mid-show. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Time after which a stage with nobody on it is told. Whoever changes their network is back before.
pub(super) const EMPTY: Duration = Duration::from_secs(20);

/// Since when nobody is there.
#[derive(Debug)]
pub(super) struct Emptiness {
    since: Option<Instant>,
    told: bool,
}

impl Emptiness {
    /// Nobody is there yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: Some(now), told: false }
    }

    /// Takes how many are there.
    pub(super) fn on_people(&mut self, count: usize, now: Instant) {
        if count > 0 {
            *self = Self { since: None, told: false };
        } else if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// When it has to be told unless somebody comes; none where it need not, or was.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.filter(|_| !self.told).map(|since| since + EMPTY)
    }

    /// It was told.
    pub(super) fn told(&mut self) {
        self.told = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_who_is_not_there_or_goes_is_told_once_and_one_who_comes_back_in_time_is_not() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut empty = Emptiness::new(start);
        assert_eq!(empty.due(), Some(at(20)));
        empty.on_people(0, at(10));
        assert_eq!(empty.due(), Some(at(20)), "the room said again that nobody is there");
        empty.told();
        assert_eq!(empty.due(), None, "once");
        empty.on_people(0, at(30));
        assert_eq!(empty.due(), None, "once");
        empty.on_people(2, at(40));
        assert_eq!(empty.due(), None);
        empty.on_people(0, at(50));
        assert_eq!(empty.due(), Some(at(70)), "lost in mid-show");
        empty.on_people(1, at(60));
        assert_eq!(empty.due(), None, "back in time");
        empty.on_people(0, at(61));
        assert_eq!(empty.due(), Some(at(81)));
    }
}
