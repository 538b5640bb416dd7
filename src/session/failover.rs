//! Which of several paths to one space is heard: when the one on the air has failed, and when a better one is back.
//!
//! Pure. Paths are known by their place in the list of sources, the best first. What is told of a path is what the
//! audience would hear of it: audio that comes, or does not, or is silence while another path has sound.

use std::time::Duration;

/// How a path is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Whether it is connected and has given audio.
    pub gives: bool,
    /// For how long it has given nothing.
    pub quiet: Duration,
    /// For how long it may give nothing: the length of its pieces and a little.
    pub patience: Duration,
    /// Whether it gives silence where another path has sound.
    pub silent: bool,
    /// Whether it is known where its sound belongs, or nobody asks.
    pub placed: bool,
}

impl Path {
    /// Whether it could be heard.
    pub fn is_healthy(&self) -> bool {
        self.gives && !self.silent && self.quiet < self.patience
    }

    fn fault(&self) -> Option<Why> {
        match () {
            () if self.quiet >= self.patience => Some(Why::Stalled(self.quiet)),
            () if self.silent => Some(Why::Silent),
            () => None,
        }
    }
}

/// Why another path is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The one on the air has given nothing for so long.
    Stalled(Duration),
    /// The one on the air gives silence where this one has sound.
    Silent,
    /// The one on the air was lost.
    Lost,
    /// This one is better, and has been healthy for a while.
    Better,
    /// The operator wants it.
    Pinned,
}

/// A switch to another path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// Place in the list of sources.
    pub to: usize,
    /// Why.
    pub why: Why,
}

/// Returns to a better path within this time of each other make the next one wait longer.
const FLAPPING: Duration = Duration::from_secs(15 * 60);

/// What the wait grows to: 16 times.
const DOUBLED_AT_MOST: u32 = 4;

/// Decides which path is heard. Times are on any clock that only goes forward.
#[derive(Debug)]
pub struct Failover {
    back_after: Duration,
    healthy_since: Vec<Option<Duration>>,
    returned_at: Option<Duration>,
    /// Returns in a row that did not last.
    flaps: u32,
}

impl Failover {
    /// For any number of paths; a better one is gone back to once it has been healthy for `back_after`.
    pub fn new(back_after: Duration) -> Self {
        Self { back_after, healthy_since: Vec::new(), returned_at: None, flaps: 0 }
    }

    /// Looks at every path; `active` is on the air. With a pin the operator decides, and nothing is switched.
    pub fn on_tick(&mut self, now: Duration, active: usize, pinned: bool, paths: &[Path]) -> Option<Switch> {
        self.healthy_since.resize(paths.len(), None);
        for (since, path) in self.healthy_since.iter_mut().zip(paths) {
            *since = if path.is_healthy() && path.placed { Some(since.unwrap_or(now)) } else { None };
        }
        let own = paths.get(active).filter(|_| !pinned)?;
        match own.fault() {
            Some(why) => {
                let to = self.best(active, paths)?;
                self.left(now);
                Some(Switch { to, why })
            }
            None => self.back(now, active),
        }
    }

    /// The path on the air was lost: the one to hear now, if there is one.
    pub fn on_lost(&mut self, now: Duration, active: usize, paths: &[Path]) -> Option<Switch> {
        let to = self.best(active, paths)?;
        self.left(now);
        Some(Switch { to, why: Why::Lost })
    }

    fn best(&self, active: usize, paths: &[Path]) -> Option<usize> {
        let healthy = || (0..paths.len()).filter(|index| *index != active && paths[*index].is_healthy());
        healthy().find(|index| paths[*index].placed).or_else(|| healthy().next())
    }

    fn left(&mut self, now: Duration) {
        match self.returned_at.take() {
            Some(at) if now.saturating_sub(at) < FLAPPING => self.flaps = (self.flaps + 1).min(DOUBLED_AT_MOST),
            Some(_) => self.flaps = 0,
            None => {}
        }
    }

    fn back(&mut self, now: Duration, active: usize) -> Option<Switch> {
        let wait = self.back_after * (1 << self.flaps);
        let steady = |since: &Option<Duration>| since.is_some_and(|since| now.saturating_sub(since) >= wait);
        let to = self.healthy_since.iter().take(active).position(steady)?;
        self.returned_at = Some(now);
        Some(Switch { to, why: Why::Better })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn path(quiet: u64) -> Path {
        Path { gives: true, quiet: S(quiet), patience: S(2), silent: false, placed: true }
    }

    fn failover() -> Failover {
        Failover::new(S(30))
    }

    #[test]
    fn a_path_that_fails_gives_way_to_the_best_that_is_healthy() {
        let silent = Path { silent: true, ..path(0) };
        let unborn = Path { gives: false, ..path(0) };
        let to = |to, why| Some(Switch { to, why });
        for (paths, active, expected) in [
            (vec![path(0), path(0)], 0, None),
            (vec![path(2), path(0)], 0, to(1, Why::Stalled(S(2)))),
            (vec![path(2), path(9), path(1)], 0, to(2, Why::Stalled(S(2)))),
            (vec![silent, path(0)], 0, to(1, Why::Silent)),
            (vec![path(9), path(9)], 0, None),
            (vec![path(9), unborn], 0, None),
            (vec![path(9), silent], 0, None),
            (vec![path(9)], 0, None),
            (vec![path(9), path(0), path(9)], 2, to(1, Why::Stalled(S(9)))),
            (vec![path(9), Path { placed: false, ..path(0) }, path(0)], 0, to(2, Why::Stalled(S(9)))),
            (vec![path(9), Path { placed: false, ..path(0) }], 0, to(1, Why::Stalled(S(9)))),
            (vec![], 0, None),
        ] {
            assert_eq!(failover().on_tick(S(100), active, false, &paths), expected, "{paths:?}");
            assert_eq!(failover().on_tick(S(100), active, true, &paths), None, "pinned: {paths:?}");
        }
    }

    #[test]
    fn a_better_path_is_gone_back_to_once_it_has_been_healthy_for_a_while() {
        let mut failover = failover();
        for second in 0..30 {
            assert_eq!(failover.on_tick(S(second), 1, false, &[path(0), path(0)]), None, "{second}");
        }
        let back = failover.on_tick(S(30), 1, false, &[path(0), path(0)]);
        assert_eq!(back, Some(Switch { to: 0, why: Why::Better }));
        // A moment without audio begins the wait again.
        let mut failover = self::failover();
        for second in 0..100 {
            let better = path(if second % 20 == 0 { 5 } else { 0 });
            assert_eq!(failover.on_tick(S(second), 1, false, &[better, path(0)]), None, "{second}");
        }
    }

    #[test]
    fn a_path_that_comes_and_goes_is_waited_for_longer_each_time() {
        let mut failover = failover();
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..6 {
            let began = now;
            while failover.on_tick(S(now), 1, false, &[path(0), path(0)]).is_none() {
                now += 1;
            }
            waits.push(now - began);
            now += 10;
            assert!(failover.on_tick(S(now), 0, false, &[path(9), path(0)]).is_some());
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 480]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_not_healthy_is_ever_switched_to(
            rounds in proptest::collection::vec((proptest::collection::vec((any::<bool>(), 0_u64..5, any::<bool>()), 0..4), 0_usize..4, any::<bool>()), 1..60)
        ) {
            let mut failover = failover();
            for (second, (paths, active, lost)) in rounds.into_iter().enumerate() {
                let paths: Vec<Path> =
                    paths.into_iter().map(|(gives, quiet, silent)| Path { gives, silent, ..path(quiet) }).collect();
                let now = S(second as u64 * 7);
                let switch = if lost { failover.on_lost(now, active, &paths) } else { failover.on_tick(now, active, false, &paths) };
                if let Some(switch) = switch {
                    prop_assert!(switch.to != active && paths[switch.to].is_healthy());
                }
            }
        }
    }
}
