//! Whether a connection that moves is too slow for the stream, and by how much. Pure.
//!
//! Such a connection is kept: it carries what it can, and another one would carry no more.

use std::time::{Duration, Instant};

/// Media must have been left out for this long before it is told: a network that hiccups is not slow.
const LASTING: Duration = Duration::from_secs(20);

/// Nothing left out for this long ends it: a connection a little too slow leaves 2 s out every minute or so.
const OVER: Duration = Duration::from_secs(60);

/// It is told again this often.
const REMIND: Duration = Duration::from_secs(5 * 60);

/// What a connection has carried so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    /// Bytes given to the socket.
    pub(super) bytes: u64,
    /// Media units sent or left out.
    pub(super) offered: u64,
    /// Media units left out.
    pub(super) dropped: u64,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It is too slow.
    Slow {
        /// What it carried, in kbit/s.
        kbps: u64,
        /// Part of the media that was left out, in percent.
        percent: u64,
        /// Over how many seconds.
        seconds: u64,
    },
    /// It carries everything again.
    Over,
}

#[derive(Debug)]
struct Spell {
    from: Carried,
    at: Instant,
    last_drop: Instant,
    told: Option<Instant>,
}

/// The rule for one connection.
#[derive(Debug, Default)]
pub(super) struct Slowness {
    before: Option<Carried>,
    spell: Option<Spell>,
}

impl Slowness {
    /// Looks at what was carried so far.
    pub(super) fn note(&mut self, carried: Carried, now: Instant) -> Option<News> {
        let before = self.before.replace(carried).unwrap_or(carried);
        let dropping = carried.dropped > before.dropped;
        if dropping && self.spell.is_none() {
            self.spell = Some(Spell { from: before, at: now, last_drop: now, told: None });
        }
        let spell = self.spell.as_mut()?;
        if dropping {
            spell.last_drop = now;
        } else if now.saturating_duration_since(spell.last_drop) >= OVER {
            let told = spell.told.is_some();
            self.spell = None;
            return told.then_some(News::Over);
        }
        let patience = if spell.told.is_some() { REMIND } else { LASTING };
        let passed = now.saturating_duration_since(spell.at);
        if !dropping || passed < patience {
            return None;
        }
        let news = figures(spell.from, carried, passed);
        (spell.from, spell.at, spell.told) = (carried, now, Some(now));
        Some(news)
    }
}

fn figures(from: Carried, to: Carried, passed: Duration) -> News {
    let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
    let (offered, dropped) = (to.offered.saturating_sub(from.offered), to.dropped.saturating_sub(from.dropped));
    News::Slow {
        kbps: to.bytes.saturating_sub(from.bytes).saturating_mul(8) / milliseconds,
        percent: dropped.saturating_mul(100) / offered.max(1),
        seconds: passed.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told, with its second, of a connection that leaves out `dropped(second)` of 77 units each second.
    fn told(seconds: u64, dropped: impl Fn(u64) -> u64) -> Vec<(u64, News)> {
        let (mut slowness, start) = (Slowness::default(), Instant::now());
        let mut carried = Carried { bytes: 0, offered: 0, dropped: 0 };
        let mut all = Vec::new();
        for second in 0..seconds {
            let left_out = dropped(second);
            carried.bytes += (77 - left_out) * 5000;
            carried.offered += 77;
            carried.dropped += left_out;
            let news = slowness.note(carried, start + Duration::from_secs(second));
            all.extend(news.map(|news| (second, news)));
        }
        all
    }

    #[test]
    fn half_an_uplink_is_told_with_figures_after_twenty_seconds_and_every_five_minutes() {
        let slow = |seconds| News::Slow { kbps: 1520, percent: 50, seconds };
        let told: Vec<_> = told(400, |second| if second > 9 { 39 } else { 0 });
        assert_eq!(told.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [30, 330]);
        let News::Slow { percent: 50..=53, seconds: 20, kbps: 1500..=1650 } = told[0].1 else { panic!("{told:?}") };
        assert_eq!(told[1].1, slow(300));
    }

    #[test]
    fn a_hiccup_is_not_a_slow_connection() {
        assert_eq!(told(300, |second| if (50..60).contains(&second) { 77 } else { 0 }), []);
    }

    #[test]
    fn a_connection_that_recovers_is_told_once() {
        let told = told(300, |second| if (10..60).contains(&second) { 30 } else { 0 });
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1], (119, News::Over));
    }

    #[test]
    fn one_that_is_slightly_too_slow_is_found_all_the_same() {
        let told = told(300, |second| if second % 45 == 44 { 77 } else { 0 });
        assert!(matches!(told[0], (89, News::Slow { .. })), "{told:?}");
    }
}
