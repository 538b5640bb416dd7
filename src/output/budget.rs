//! How many publishing sessions an output may begin: on a platform each can become another video. Pure.
//!
//! A session counts when the ingest has taken it and media has left; an attempt that was refused costs nothing. What
//! the operator orders is never held back, and is counted like the rest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::{BudgetConfig, WhenSpent};

/// The time that a budget is for.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Pause between two attempts of an output whose budget is spent.
const RARE: Duration = Duration::from_secs(5 * 60);

/// More sessions than this are not remembered: where there is no limit, the number is only shown.
const REMEMBERED: usize = 1000;

/// The budget of one output.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    limit: u32,
    when_spent: WhenSpent,
    hour: Duration,
    rare: Duration,
    /// When sessions began, oldest first; none that is over an hour old.
    spent: VecDeque<Instant>,
    attempted: Option<Instant>,
}

impl Budget {
    /// A budget of which `ages` (how long ago each session began) was spent already. A rehearsal's hour is shorter.
    pub(super) fn new(config: BudgetConfig, ages: &[Duration], clock: &Clock) -> Self {
        let (hour, now) = (clock.real(HOUR), clock.now());
        let mut spent: Vec<Instant> =
            ages.iter().filter(|age| **age < hour).map(|age| now.checked_sub(*age).unwrap_or(now)).collect();
        spent.sort_unstable();
        let attempted = spent.last().copied();
        Self {
            limit: config.per_hour,
            when_spent: config.when_spent,
            hour,
            rare: clock.real(RARE),
            spent: spent.into(),
            attempted,
        }
    }

    /// Notes an attempt, whoever wanted it.
    pub(super) fn attempt(&mut self, now: Instant) {
        self.attempted = Some(now);
    }

    /// Notes that a session began.
    pub(super) fn spend(&mut self, now: Instant) {
        self.forget(now);
        self.spent.push_back(now);
        if self.spent.len() > REMEMBERED {
            self.spent.pop_front();
        }
    }

    /// When the output may try by itself again; none if it may now.
    pub(super) fn held_until(&mut self, now: Instant) -> Option<Instant> {
        self.forget(now);
        let limit = self.limit as usize;
        if limit == 0 || self.spent.len() < limit {
            return None;
        }
        let room = *self.spent.get(self.spent.len() - limit)? + self.hour;
        let until = match (self.when_spent, self.attempted) {
            (WhenSpent::Hold, _) => room,
            (WhenSpent::Slow, None) => now,
            (WhenSpent::Slow, Some(attempted)) => room.min(attempted + self.rare),
        };
        (until > now).then_some(until)
    }

    /// Sessions of the last hour that may begin; 0 sets no limit.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// What is done when all are spent.
    pub(super) fn when_spent(&self) -> WhenSpent {
        self.when_spent
    }

    /// When the sessions of the last hour began, oldest first.
    pub(super) fn spent(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let hour = self.hour;
        self.spent.iter().copied().filter(move |at| now.saturating_duration_since(*at) < hour)
    }

    fn forget(&mut self, now: Instant) {
        while self.spent.front().is_some_and(|at| now.saturating_duration_since(*at) >= self.hour) {
            self.spent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Pace;
    use jiff::Timestamp;

    const MINUTE: Duration = Duration::from_secs(60);

    fn budget(per_hour: u32, when_spent: WhenSpent, ages: &[Duration]) -> Budget {
        Budget::new(BudgetConfig { per_hour, when_spent }, ages, &Clock::system())
    }

    #[test]
    fn a_spent_budget_holds_until_the_oldest_session_is_an_hour_old() {
        let (mut budget, start) = (budget(3, WhenSpent::Hold, &[]), Instant::now());
        for minute in 0..3 {
            assert_eq!(budget.held_until(start + minute * MINUTE), None);
            budget.spend(start + minute * MINUTE);
        }
        for minute in [2, 30, 59] {
            assert_eq!(budget.held_until(start + minute * MINUTE), Some(start + HOUR), "minute {minute}");
        }
        assert_eq!(budget.held_until(start + HOUR), None);
        budget.spend(start + HOUR);
        assert_eq!(budget.held_until(start + HOUR), Some(start + HOUR + MINUTE));
    }

    #[test]
    fn a_spent_budget_by_choice_allows_one_attempt_every_five_minutes() {
        let (mut budget, start) = (budget(2, WhenSpent::Slow, &[]), Instant::now());
        budget.attempt(start);
        budget.spend(start);
        budget.attempt(start + MINUTE);
        budget.spend(start + MINUTE);
        assert_eq!(budget.held_until(start + 2 * MINUTE), Some(start + 6 * MINUTE));
        assert_eq!(budget.held_until(start + 6 * MINUTE), None);
        budget.attempt(start + 57 * MINUTE);
        assert_eq!(budget.held_until(start + 58 * MINUTE), Some(start + 60 * MINUTE), "then the hour has room again");
    }

    #[test]
    fn an_attempt_that_was_refused_costs_nothing() {
        let (mut budget, start) = (budget(1, WhenSpent::Hold, &[]), Instant::now());
        (0..100).for_each(|second| budget.attempt(start + Duration::from_secs(second)));
        assert_eq!(budget.held_until(start + MINUTE * 2), None);
    }

    #[test]
    fn what_was_spent_before_a_crash_is_spent_after_it() {
        let mut budget = budget(3, WhenSpent::Hold, &[MINUTE, 59 * MINUTE, 10 * MINUTE, 61 * MINUTE]);
        let now = Instant::now();
        assert_eq!(budget.spent(now).count(), 3);
        let until = budget.held_until(now).expect("it is spent");
        assert!((until - now).abs_diff(MINUTE) < Duration::from_secs(5), "{:?}", until - now);
    }

    #[test]
    fn without_a_limit_nothing_is_held_and_memory_stays_bounded() {
        let (mut budget, now) = (budget(0, WhenSpent::Hold, &[]), Instant::now());
        (0..5000).for_each(|_| budget.spend(now));
        assert_eq!(budget.held_until(now), None);
        assert_eq!(budget.spent(now).count(), REMEMBERED);
    }

    #[test]
    fn a_rehearsals_hour_and_pause_are_shorter() {
        let clock = Clock::paced(Some(Pace { epoch: Timestamp::now(), speed: 60.0 }));
        let config = BudgetConfig { per_hour: 1, when_spent: WhenSpent::Slow };
        let (mut budget, now) = (Budget::new(config, &[], &clock), Instant::now());
        budget.attempt(now);
        budget.spend(now);
        assert_eq!(budget.held_until(now), Some(now + Duration::from_secs(5)));
        assert_eq!(budget.held_until(now + Duration::from_secs(60)), None);
    }
}
