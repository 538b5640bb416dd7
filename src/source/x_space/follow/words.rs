//! When trouble with the playlist is told: not a hiccup, not a 404 that turns out to be the end, and each kind once. Pure.

use std::time::{Duration, Instant};

use crate::source::Notice;
use crate::source::hls::Trouble;

/// Trouble that is over within this is nobody's business; and a 404 may be the end of the Space, which X tells by then.
const HOLD: Duration = Duration::from_secs(3);

/// The same once X or the chat said that the Space is over: only the second signal lacks.
const HOLD_AT_END: Duration = Duration::from_secs(20);

/// After a list that says that nothing follows, the next segment would not be due before this: a Space's target duration.
const NEXT_DUE: Duration = Duration::from_secs(4);

/// The words about one stretch of trouble.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    since: Option<Instant>,
    held: Option<Notice>,
    told: Vec<&'static str>,
}

impl Words {
    /// The playlist brought nothing new.
    pub(super) fn on_trouble(&mut self, trouble: &Trouble, now: Instant) {
        // Some are known only after a while.
        let before = match trouble {
            Trouble::TimedOut(time) | Trouble::Unchanged(time) => *time,
            _ => Duration::ZERO,
        };
        let began = now.checked_sub(before).unwrap_or(now);
        let doing = match trouble {
            Trouble::Limited(_) => "it is looked at again then, and what is on its way is heard",
            Trouble::NotFound => {
                "the host may be away, or the Space is over: it is looked at every second, and X is asked"
            }
            Trouble::Unchanged(_) => "it is looked at every second, and X is asked for its address anew",
            _ => "it is looked at every second",
        };
        self.hold(Notice::warning(trouble.code(), format!("{trouble}; {doing}"), trouble.remedy()), began);
    }

    /// The playlist says that nothing follows.
    pub(super) fn on_list_end(&mut self, now: Instant) {
        let message =
            "the playlist says that nothing follows; it is looked at on, and X is asked whether the Space is over";
        self.hold(Notice::warning("source.list_ended", message, None), now + NEXT_DUE);
    }

    fn hold(&mut self, notice: Notice, began: Instant) {
        self.since.get_or_insert(began);
        self.held = (!self.told.contains(&notice.code)).then_some(notice);
    }

    /// What is to be told now; `alive` tells whether anybody said that the Space is over.
    pub(super) fn on_tick(&mut self, alive: bool, now: Instant) -> Option<Notice> {
        let patience = if alive { HOLD } else { HOLD_AT_END };
        if now.saturating_duration_since(self.since?) < patience {
            return None;
        }
        let notice = self.held.take()?;
        self.told.push(notice.code);
        Some(notice)
    }

    /// Something new was listed; told if the trouble was.
    pub(super) fn on_news(&mut self, now: Instant) -> Option<Notice> {
        let was_told = !std::mem::take(&mut self.told).is_empty();
        let since = self.since.take();
        self.held = None;
        let seconds = now.saturating_duration_since(since.filter(|_| was_told)?).as_secs();
        Some(Notice::info("source.back", format!("the Space's audio is listed again after {seconds} s")))
    }

    /// Whether trouble was told that is not over.
    pub(super) fn is_told(&self) -> bool {
        !self.told.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_hiccup_is_not_told_and_lasting_trouble_once_per_kind() {
        let start = Instant::now();
        let mut words = Words::default();
        words.on_trouble(&Trouble::Server(503), start);
        assert_eq!(words.on_tick(true, at(start, 2900)), None);
        assert_eq!(words.on_news(at(start, 2950)), None);
        words.on_trouble(&Trouble::Server(503), at(start, 4000));
        let codes: Vec<&str> = (0..20)
            .filter_map(|n| {
                let now = at(start, 5000 + n * 1000);
                words.on_trouble(if n % 2 == 0 { &Trouble::NotFound } else { &Trouble::Server(502) }, now);
                words.on_tick(true, now).map(|notice| notice.code)
            })
            .collect();
        assert_eq!(codes, ["source.absent", "source.server"]);
        assert_eq!(words.on_news(at(start, 30_000)).map(|notice| notice.code), Some("source.back"));
        assert_eq!(words.on_news(at(start, 31_000)), None);
    }

    #[test]
    fn a_list_that_ends_between_two_segments_is_no_alarm() {
        let start = Instant::now();
        let mut words = Words::default();
        words.on_list_end(start);
        assert_eq!(words.on_tick(true, at(start, 6900)), None);
        assert_eq!(words.on_news(at(start, 6950)), None);
        words.on_list_end(at(start, 8000));
        assert_eq!(words.on_tick(true, at(start, 15_000)).map(|notice| notice.code), Some("source.list_ended"));
    }

    #[test]
    fn the_last_404_of_a_space_that_is_over_is_no_alarm() {
        let start = Instant::now();
        let mut words = Words::default();
        words.on_trouble(&Trouble::NotFound, start);
        assert_eq!(words.on_tick(false, at(start, 19_000)), None);
        assert!(words.on_tick(false, at(start, 20_000)).is_some());
    }
}
