//! How soon X may be asked again: what it said of its limits, per kind of call, and the configured pace of look-ups.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use crate::net::RateLimit;

/// Wait after a 429 without a time: 15 min, the window of X's limits (auto-twitter-space).
const DEFAULT_WAIT: Duration = Duration::from_secs(900);

/// Longest wait: beyond X's own window a time is a mistake.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// Kinds of calls that are remembered: there are about five.
const MOST_KINDS: usize = 32;

/// What X allows.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// No call of a kind before its time.
    until: Mutex<BTreeMap<String, Instant>>,
    last_lookup: Mutex<Option<Instant>>,
}

impl Limits {
    /// How long calls like this one must still wait.
    pub(super) fn left(&self, url: &Url, now: Instant) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner).get(&kind(url))?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// X refused a call like this one: how long to wait.
    pub(super) fn refused(&self, url: &Url, rate: &RateLimit, wall_seconds: i64, now: Instant) -> Duration {
        let wait = until_reset(rate, wall_seconds).or(rate.retry_after).unwrap_or(DEFAULT_WAIT);
        let wait = wait.clamp(Duration::from_secs(1), LONGEST_WAIT);
        self.hold(url, now + wait);
        wait
    }

    /// X answered, and said how many calls are left.
    pub(super) fn answered(&self, url: &Url, rate: &RateLimit, wall_seconds: i64, now: Instant) {
        if rate.remaining == Some(0)
            && let Some(wait) = until_reset(rate, wall_seconds)
        {
            self.hold(url, now + wait.min(LONGEST_WAIT));
        }
    }

    /// When the next look-up may begin, at `interval` from the last; it counts as begun then.
    pub(super) fn next_lookup(&self, interval: Duration, now: Instant) -> Instant {
        let mut last = self.last_lookup.lock().unwrap_or_else(PoisonError::into_inner);
        let at = last.map_or(now, |last| now.max(last + interval));
        *last = Some(at);
        at
    }

    fn hold(&self, url: &Url, until: Instant) {
        let mut all = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST_KINDS || all.contains_key(&kind(url)) {
            all.insert(kind(url), until);
        }
    }
}

fn until_reset(rate: &RateLimit, wall_seconds: i64) -> Option<Duration> {
    let left = rate.reset?.saturating_sub(wall_seconds).max(1);
    Some(Duration::from_secs(left.unsigned_abs()))
}

/// X counts each operation by itself.
fn kind(url: &Url) -> String {
    let path = url.path();
    match path.split_once("/live_video_stream/status/") {
        Some(_) => "status".to_owned(),
        None => path.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse(&format!("https://x.com/i/api/{path}")).expect("a url")
    }

    #[test]
    fn a_refusal_is_honoured_to_the_second_and_capped_by_table() {
        let now = Instant::now();
        let after = |seconds| Some(Duration::from_secs(seconds));
        for (reset, retry_after, expected) in [
            (Some(1120), None, 120),
            (Some(1120), after(7), 120),
            (None, after(7), 7),
            (None, None, 900),
            (Some(99_999), None, 900),
            (Some(900), None, 1),
            (None, after(0), 1),
        ] {
            let limits = Limits::default();
            let rate = RateLimit { reset, retry_after, remaining: None };
            let wait = limits.refused(&url("graphql/a/AudioSpaceById"), &rate, 1000, now);
            assert_eq!(wait, Duration::from_secs(expected), "{reset:?} {retry_after:?}");
            // Another query id is the same kind of call, and another call is not.
            let left = |path: &str, at: Instant| limits.left(&url(path), at);
            assert_eq!(left("graphql/b/AudioSpaceById", now), Some(wait));
            assert_eq!(left("graphql/b/AudioSpaceById", now + wait), None);
            assert_eq!(left("1.1/live_video_stream/status/28_1", now), None);
        }
    }

    #[test]
    fn a_good_answer_that_was_the_last_one_allowed_is_honoured_too() {
        let (now, limits) = (Instant::now(), Limits::default());
        let one = url("1.1/live_video_stream/status/28_1");
        limits.answered(&one, &RateLimit { remaining: Some(1), reset: Some(1050), retry_after: None }, 1000, now);
        assert_eq!(limits.left(&one, now), None);
        limits.answered(&one, &RateLimit { remaining: Some(0), reset: Some(1050), retry_after: None }, 1000, now);
        assert_eq!(limits.left(&url("1.1/live_video_stream/status/28_2"), now), Some(Duration::from_secs(50)));
    }

    #[test]
    fn look_ups_keep_their_distance_whatever_comes_of_them() {
        let (now, limits) = (Instant::now(), Limits::default());
        let interval = Duration::from_secs(10);
        let times: Vec<u64> = (0..4).map(|_| (limits.next_lookup(interval, now) - now).as_secs()).collect();
        assert_eq!(times, [0, 10, 20, 30]);
        let later = now + Duration::from_secs(100);
        assert_eq!(limits.next_lookup(interval, later), later);
    }
}
