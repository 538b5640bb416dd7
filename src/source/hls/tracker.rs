//! Which entries of a playlist are new, and which were never listed. Pure: no clock, no I/O.
//!
//! Numbers go up by one for ever on the outside, whatever the server's do: when they start again at a lower one (the
//! host came back on another encoder) the tracker goes on counting.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::playlist::{Entry, Playlist};

/// Names that are remembered to tell an old copy of the playlist from one that started again.
const REMEMBERED_NAMES: usize = 64;

/// Where an earlier attempt stopped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// The last sequence number that needs no fetching any more.
    pub last_sequence: u64,
    /// Its PROGRAM-DATE-TIME.
    pub program_date_time: Option<Timestamp>,
}

/// What a playlist brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Sequence numbers that were never listed: first and last.
    pub skipped: Option<(u64, u64)>,
    /// New entries, oldest first, with their numbers as they are told on the outside.
    pub entries: Vec<Entry>,
}

/// Remembers what was listed.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    /// The number that is expected next, as told on the outside.
    next: Option<u64>,
    /// What is added to the server's numbers.
    offset: i128,
    /// Names that were listed, with their numbers as they were told on the outside.
    names: VecDeque<(String, u64)>,
    newest_date: Option<Timestamp>,
    /// Entries not newer than this were received by an earlier attempt under other numbers.
    received_until: Option<Timestamp>,
}

impl Tracker {
    /// Starts anew, or behind what an earlier attempt received.
    pub fn new(progress: Option<&Progress>) -> Self {
        Self {
            next: progress.map(|progress| progress.last_sequence.saturating_add(1)),
            newest_date: progress.and_then(|progress| progress.program_date_time),
            ..Self::default()
        }
    }

    /// Takes the next copy of the playlist.
    pub fn on_playlist(&mut self, playlist: &Playlist) -> News {
        let Some(oldest) = playlist.entries.first() else { return News::default() };
        self.align(playlist);
        let restarted = self.has_restarted(playlist);
        if restarted {
            self.offset = i128::from(self.next.unwrap_or(0)) - i128::from(oldest.sequence);
            self.received_until = self.newest_date;
        }
        let mut news = News::default();
        for entry in &playlist.entries {
            let sequence = self.outside(entry.sequence);
            if self.next.is_some_and(|next| sequence < next) || self.was_received(entry) || self.knows(&entry.name) {
                continue;
            }
            if let Some(next) = self.next.filter(|next| *next < sequence && news.entries.is_empty() && !restarted) {
                news.skipped = Some((next, sequence - 1));
            }
            let mut entry = Entry { sequence, ..entry.clone() };
            entry.discontinuity |= restarted && news.entries.is_empty();
            self.remember(&entry);
            news.entries.push(entry);
        }
        news
    }

    fn outside(&self, sequence: u64) -> u64 {
        u64::try_from((i128::from(sequence) + self.offset).max(0)).unwrap_or(u64::MAX)
    }

    fn knows(&self, name: &str) -> bool {
        !name.is_empty() && self.names.iter().any(|(known, _)| known == name)
    }

    /// A server that renumbers what it lists keeps its names: numbers that jumped or went back are counted as before,
    /// so that nothing of them is taken for missing, and nothing new for old.
    fn align(&mut self, playlist: &Playlist) {
        let known = playlist.entries.iter().rev().find_map(|entry| {
            let name = self.names.iter().rev().find(|(name, _)| !name.is_empty() && *name == entry.name)?;
            Some(i128::from(name.1) - i128::from(entry.sequence))
        });
        // A name that one list brings twice tells nothing.
        let names = || playlist.entries.iter().map(|entry| &entry.name);
        let unique = names().collect::<std::collections::HashSet<_>>().len() == playlist.entries.len();
        self.offset = known.filter(|_| unique).unwrap_or(self.offset);
    }

    /// Numbers lower than before under names never seen and dates not older: not an old copy, a new beginning.
    fn has_restarted(&self, playlist: &Playlist) -> bool {
        let (Some(next), Some(newest)) = (self.next, playlist.entries.last()) else { return false };
        let lower = self.outside(newest.sequence).saturating_add(1) < next;
        let known = playlist.entries.iter().any(|entry| self.knows(&entry.name));
        let later = match (newest.program_date_time, self.newest_date) {
            (Some(date), Some(before)) => date > before,
            // Without dates only names speak; an attempt that just began knows none.
            _ => !self.names.is_empty(),
        };
        lower && !known && later
    }

    fn was_received(&self, entry: &Entry) -> bool {
        matches!((entry.program_date_time, self.received_until), (Some(date), Some(until)) if date <= until)
    }

    fn remember(&mut self, entry: &Entry) {
        self.next = Some(entry.sequence.saturating_add(1));
        self.newest_date = entry.program_date_time.or(self.newest_date);
        self.names.push_back((entry.name.clone(), entry.sequence));
        if self.names.len() > REMEMBERED_NAMES {
            self.names.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Entries `numbers` of a run that began at `start` seconds; each is 3 s long.
    fn playlist(run: &str, start: i64, numbers: std::ops::Range<u64>) -> Playlist {
        let entry = |n: u64| Entry {
            sequence: n,
            url: None,
            name: format!("{run}_{n}"),
            duration: 144_000,
            program_date_time: Timestamp::from_second(start + 3 * n as i64).ok(),
            discontinuity: false,
        };
        Playlist { target: Duration::from_secs(4), entries: numbers.map(entry).collect(), ended: false, cut: false }
    }

    fn numbers(news: &News) -> Vec<u64> {
        news.entries.iter().map(|entry| entry.sequence).collect()
    }

    #[test]
    fn a_sliding_window_brings_each_segment_once() {
        let mut tracker = Tracker::new(None);
        assert_eq!(numbers(&tracker.on_playlist(&playlist("a", 0, 10..14))), [10, 11, 12, 13]);
        assert_eq!(tracker.on_playlist(&playlist("a", 0, 10..14)), News::default());
        assert_eq!(numbers(&tracker.on_playlist(&playlist("a", 0, 12..16))), [14, 15]);
    }

    #[test]
    fn numbers_that_were_never_listed_are_told_as_skipped() {
        let mut tracker = Tracker::new(None);
        tracker.on_playlist(&playlist("a", 0, 10..14));
        let news = tracker.on_playlist(&playlist("a", 0, 20..24));
        assert_eq!((news.skipped, numbers(&news)), (Some((14, 19)), vec![20, 21, 22, 23]));
    }

    #[test]
    fn an_old_copy_of_the_playlist_brings_nothing_again() {
        let mut tracker = Tracker::new(None);
        tracker.on_playlist(&playlist("a", 0, 10..14));
        tracker.on_playlist(&playlist("a", 0, 14..18));
        for old in [10..14, 8..12, 2..6] {
            assert_eq!(tracker.on_playlist(&playlist("a", 0, old)), News::default());
        }
    }

    #[test]
    fn numbers_that_start_again_are_counted_on() {
        let mut tracker = Tracker::new(None);
        tracker.on_playlist(&playlist("a", 0, 100..104));
        let news = tracker.on_playlist(&playlist("b", 1000, 0..2));
        assert_eq!((news.skipped, numbers(&news)), (None, vec![104, 105]));
        assert!(news.entries[0].discontinuity && !news.entries[1].discontinuity);
        assert_eq!(numbers(&tracker.on_playlist(&playlist("b", 1000, 0..4))), [106, 107]);
        assert_eq!(tracker.on_playlist(&playlist("b", 1000, 7..8)).skipped, Some((108, 110)));
    }

    #[test]
    fn numbers_that_jump_or_go_back_without_any_time_between_lose_nothing() {
        for shift in [-90_i64, -3, -1, 1, 40] {
            let mut tracker = Tracker::new(None);
            tracker.on_playlist(&playlist("a", 0, 100..104));
            let mut told = Vec::new();
            for end in 105..112 {
                let mut list = playlist("a", 0, end - 4..end);
                for entry in &mut list.entries {
                    entry.sequence = entry.sequence.saturating_add_signed(shift);
                }
                let news = tracker.on_playlist(&list);
                assert_eq!(news.skipped, None, "{shift}");
                told.extend(numbers(&news));
            }
            assert_eq!(told, (104..111).collect::<Vec<_>>(), "{shift}");
        }
    }

    #[test]
    fn a_resumed_attempt_fetches_only_what_is_new() {
        let progress = Progress { last_sequence: 11, program_date_time: Timestamp::from_second(33).ok() };
        let mut tracker = Tracker::new(Some(&progress));
        assert_eq!(numbers(&tracker.on_playlist(&playlist("a", 0, 10..14))), [12, 13]);
        let mut tracker = Tracker::new(Some(&progress));
        assert_eq!(tracker.on_playlist(&playlist("a", 0, 14..15)).skipped, Some((12, 13)));
        // Everything in it was received before.
        let mut tracker = Tracker::new(Some(&progress));
        assert_eq!(tracker.on_playlist(&playlist("a", 0, 8..11)), News::default());
    }

    #[test]
    fn a_resumed_attempt_knows_a_run_that_was_counted_on() {
        // Numbers 0 and 1 of the new run were received as 104 and 105.
        let progress = Progress { last_sequence: 105, program_date_time: Timestamp::from_second(1003).ok() };
        let mut tracker = Tracker::new(Some(&progress));
        let news = tracker.on_playlist(&playlist("b", 1000, 0..4));
        assert_eq!(news.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["b_2", "b_3"]);
        assert!(news.entries[0].sequence > 105);
    }
}
