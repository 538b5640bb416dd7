//! When a scheduled show begins: arithmetic of civil time and nothing else.
//!
//! A start is given as people say it, in a time zone: on the night when clocks change, "20:00" stays 20:00. A civil time
//! that a spring night leaves out is taken as much later as the clocks are put forward; of one that an autumn night has
//! twice, the first counts.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::{Span, Timestamp, Zoned};

/// How long before its time a show begins, where nothing else is said: the audience finds a slate and not an error.
pub(super) const EARLY: Duration = Duration::from_secs(15 * 60);

/// How late a start that was missed is still made up, where nothing else is said.
pub(super) const GIVE_UP_AFTER: Duration = Duration::from_secs(2 * 3600);

/// Starts that are passed over at one time and counted: two years of every day.
const PASSED_MAX: u32 = 800;

/// When a show begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// The first start; of a rule that repeats, its time of day and its zone.
    pub(super) at: Zoned,
    /// The weekdays on which it comes again; none for a single start.
    pub(super) days: Vec<Weekday>,
    /// The show begins so long before.
    pub(super) early: Duration,
    /// A start that was missed is made up so long after.
    pub(super) give_up_after: Duration,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing until then.
    Wait {
        /// When the show begins.
        until: Timestamp,
        /// The start itself.
        start: Timestamp,
    },
    /// The show begins now, for this start.
    Begin(Timestamp),
    /// So many starts passed, this the last of them, and it is too late to make them up.
    Missed {
        /// The last.
        last: Timestamp,
        /// How many.
        count: u32,
    },
    /// Nothing comes any more.
    Over,
}

impl Rule {
    /// The first start after `after`.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let first = self.at.timestamp();
        if self.days.is_empty() {
            return (first > after).then_some(first);
        }
        let zone = self.at.time_zone();
        let begin = after.max(Timestamp::from_second(first.as_second() - 1).unwrap_or(first));
        let day = begin.to_zoned(zone.clone()).date();
        // One week and the day itself again: the time of today may have passed.
        (0..=7).find_map(|ahead| {
            let day = day.checked_add(Span::new().days(ahead)).ok()?;
            let start = day.to_datetime(self.at.time()).to_zoned(zone.clone()).ok()?.timestamp();
            (self.days.contains(&day.weekday()) && start > after && start >= first).then_some(start)
        })
    }

    /// What is to be done at `now`, when all starts until `handled` have been seen to.
    pub(super) fn step(&self, handled: Timestamp, now: Timestamp) -> Step {
        let (mut last, mut count, mut after) = (None, 0, handled);
        while let Some(start) = self.next(after) {
            let begin = start.checked_sub(self.early).unwrap_or(start);
            let end = start.checked_add(self.give_up_after).unwrap_or(Timestamp::MAX);
            if now <= end || count == PASSED_MAX {
                return match last {
                    Some(last) => Step::Missed { last, count },
                    None if now < begin => Step::Wait { until: begin, start },
                    None => Step::Begin(start),
                };
            }
            (last, count, after) = (Some(start), count + 1, start);
        }
        last.map_or(Step::Over, |last| Step::Missed { last, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(at: &str, days: &[Weekday]) -> Rule {
        Rule { at: at.parse().unwrap(), days: days.to_vec(), early: EARLY, give_up_after: GIVE_UP_AFTER }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn clocks_that_change_move_no_start_by_table() {
        let weekend = [Weekday::Saturday, Weekday::Sunday];
        let daily: Vec<Weekday> = Weekday::Monday.cycle_forward().take(7).collect();
        for (at, days, after, expected) in [
            // One start and no more.
            ("2026-12-01T20:00[Europe/Berlin]", &[][..], "2026-11-01T00:00Z", Some("2026-12-01T19:00Z")),
            ("2026-12-01T20:00[Europe/Berlin]", &[], "2026-12-01T19:00Z", None),
            // The same civil time before and after the change of October.
            ("2026-10-18T20:00[Europe/Berlin]", &weekend, "2026-10-24T00:00Z", Some("2026-10-24T18:00Z")),
            ("2026-10-18T20:00[Europe/Berlin]", &weekend, "2026-10-24T18:00Z", Some("2026-10-25T19:00Z")),
            // 02:30 is left out on the night of March 29, and comes twice on that of October 25.
            ("2026-03-01T02:30[Europe/Berlin]", &daily, "2026-03-28T12:00Z", Some("2026-03-29T01:30Z")),
            ("2026-03-01T02:30[Europe/Berlin]", &daily, "2026-10-24T12:00Z", Some("2026-10-25T00:30Z")),
            ("2026-03-01T02:30[Europe/Berlin]", &daily, "2026-10-25T00:30Z", Some("2026-10-26T01:30Z")),
            // Not before the first, and not on its own day if that is none of the rule's.
            ("2026-10-20T20:00[UTC]", &weekend, "2026-01-01T00:00Z", Some("2026-10-24T20:00Z")),
            ("2026-10-24T20:00[UTC]", &weekend, "2026-01-01T00:00Z", Some("2026-10-24T20:00Z")),
            // A day that begins far from UTC is that of the zone.
            ("2026-10-24T01:00[Pacific/Auckland]", &weekend, "2026-10-23T13:00Z", Some("2026-10-24T12:00Z")),
        ] {
            let next = rule(at, days).next(time(after));
            assert_eq!(next, expected.map(time), "{at} after {after}");
        }
    }

    #[test]
    fn a_missed_start_is_made_up_in_time_and_else_told_by_table() {
        let once = rule("2026-11-20T20:00[UTC]", &[]);
        let weekly = rule("2026-11-20T20:00[UTC]", &[Weekday::Friday]);
        let start = time("2026-11-20T20:00Z");
        let put = time("2026-11-01T00:00Z");
        let begin = Step::Begin(start);
        for (rule, handled, now, expected) in [
            (&once, put, "2026-11-20T19:44:59Z", Step::Wait { until: time("2026-11-20T19:45Z"), start }),
            (&once, put, "2026-11-20T19:45Z", begin.clone()),
            (&once, put, "2026-11-20T22:00Z", begin.clone()),
            (&once, put, "2026-11-20T22:00:01Z", Step::Missed { last: start, count: 1 }),
            (&once, start, "2026-11-20T20:01Z", Step::Over),
            // The clock was put back after the show began: nothing begins twice.
            (&once, start, "2026-11-20T10:00Z", Step::Over),
            (
                &weekly,
                start,
                "2026-11-20T10:00Z",
                Step::Wait { until: time("2026-11-27T19:45Z"), start: time("2026-11-27T20:00Z") },
            ),
            // Down for weeks: told once, and the next one counts.
            (&weekly, put, "2026-12-05T00:00Z", Step::Missed { last: time("2026-12-04T20:00Z"), count: 3 }),
            (
                &weekly,
                time("2026-12-04T20:00Z"),
                "2026-12-05T00:00Z",
                Step::Wait { until: time("2026-12-11T19:45Z"), start: time("2026-12-11T20:00Z") },
            ),
        ] {
            assert_eq!(rule.step(handled, time(now)), expected, "{now} after {handled}");
        }
        // A clock that jumps by a century is survived.
        assert!(matches!(weekly.step(put, time("2126-01-01T00:00Z")), Step::Missed { count: PASSED_MAX, .. }));
    }
}
