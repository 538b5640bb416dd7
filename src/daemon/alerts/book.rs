//! What a receiver still has to get and what it has got, as it is kept over restarts. Pure but for reading and writing its
//! file.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::{Event, Level};
use crate::daemon::folders;
use crate::daemon::hub::ShowEvent;

/// Pending events of one receiver: about half a megabyte. A receiver that is down for a night of trouble gets all errors.
const MOST: usize = 256;

/// Bridges whose events are told apart from those that were taken before: more than all shows of a daemon, twice.
const MOST_SEEN: usize = 512;

/// How long an event is worth telling. Older ones are left out.
pub(super) const KEPT: Duration = Duration::from_secs(12 * 3600);

/// A new receiver is told what the daemon met while it began.
const BEFORE: Duration = Duration::from_secs(60);

/// One event that is to be delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) show: String,
    pub(super) pid: u32,
    pub(super) event: Event,
    /// Tries so far.
    #[serde(default)]
    pub(super) tries: u32,
}

/// The newest event that was taken of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    show: String,
    pid: u32,
    id: u64,
    at: Timestamp,
}

/// A receiver's book.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    /// Digest of the address: another address is another receiver.
    pub(super) target: String,
    /// Whether the receiver said that it wants nothing any more.
    pub(super) gone: bool,
    /// What happened before is not told: the receiver was not there yet.
    since: Option<Timestamp>,
    seen: VecDeque<Seen>,
    pub(super) pending: VecDeque<Pending>,
    /// Events that were left out since the last delivery.
    pub(super) left_out: u64,
}

impl Book {
    /// Reads the book of the receiver with this `target`; a new one where there is none that can be read.
    pub(super) fn read(path: &Path, target: String, now: Timestamp) -> Self {
        let known = folders::read(path).ok().flatten().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        match known {
            Some(book) if book.target == target => book,
            Some(book) => Self { target, gone: false, ..book },
            None => Self { target, since: Some(now.checked_sub(signed(BEFORE)).unwrap_or(now)), ..Self::default() },
        }
    }

    /// Keeps it; a crash leaves the old one or this one whole.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        folders::replace(path, &serde_json::to_vec(self)?)
    }

    /// Takes an event if it is news and `wanted`.
    pub(super) fn take(&mut self, told: &ShowEvent, wanted: bool, now: Timestamp) {
        // A wall clock that was set back must not hide what happens from now on.
        self.since = self.since.map(|since| since.min(now));
        if !self.is_news(told) {
            return;
        }
        let is_old =
            told.event.at.duration_until(now) > signed(KEPT) || self.since.is_some_and(|at| told.event.at < at);
        if wanted && !is_old && !self.gone {
            let (show, pid, event) = (told.show.clone(), told.pid, told.event.clone());
            self.pending.push_back(Pending { show, pid, event, tries: 0 });
            self.shrink();
        }
    }

    /// Notes the event; false for one that was taken before, as after a restart of the daemon.
    fn is_news(&mut self, told: &ShowEvent) -> bool {
        let (id, at) = (told.event.id, told.event.at);
        let known = self.seen.iter().position(|seen| seen.show == told.show && seen.pid == told.pid);
        if let Some(known) = known.and_then(|index| self.seen.get_mut(index)) {
            // A process's number can come again: then the time is later.
            let news = id > known.id || at > known.at;
            if news {
                (known.id, known.at) = (id, at);
            }
            return news;
        }
        if self.seen.len() == MOST_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { show: told.show.clone(), pid: told.pid, id, at });
        true
    }

    /// Leaves out what nobody wants to hear any more.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let before = self.pending.len();
        self.pending.retain(|one| one.event.at.duration_until(now) <= signed(KEPT));
        self.left_out += (before - self.pending.len()) as u64;
    }

    /// The oldest of the least important: news is worth more than history, and an error more than both.
    fn shrink(&mut self) {
        if self.pending.len() <= MOST {
            return;
        }
        let least = self.pending.iter().map(|one| one.event.level).min().unwrap_or(Level::Info);
        if let Some(at) = self.pending.iter().position(|one| one.event.level == least) {
            self.left_out += self.pending.remove(at).map_or(0, |one| one.event.count);
        }
    }
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::daemon::hub::Hub;

    fn told(show: &str, pid: u32, id: u64, at: i64, level: Level) -> ShowEvent {
        let hub = Hub::new(Clock::system());
        let event = Event {
            id,
            at: Timestamp::from_second(at).unwrap(),
            level,
            code: "c".into(),
            subject: "s".into(),
            message: "m".into(),
            remedy: None,
            doing: None,
            since: None,
            count: 1,
        };
        hub.push(show, pid, event);
        hub.after(0, None).events[0].as_ref().clone()
    }

    fn ids(book: &Book) -> Vec<u64> {
        book.pending.iter().map(|one| one.event.id).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_restarted_daemon_that_hears_everything_again_tells_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.json");
        let mut book = Book::read(&path, "t".into(), at(100));
        for (pid, id, second, wanted) in [(7, 1, 30, true), (7, 2, 110, true), (7, 3, 120, false), (8, 1, 130, true)] {
            book.take(&told("night", pid, id, second, Level::Info), wanted, at(200));
        }
        assert_eq!(ids(&book), [2, 1], "what was before its time and what is not wanted are left out");
        book.write(&path).unwrap();
        let mut again = Book::read(&path, "t".into(), at(300));
        assert_eq!(again, book);
        for (pid, id, second) in [(7, 2, 110), (7, 3, 120), (8, 1, 130), (8, 2, 310), (7, 1, 320)] {
            again.take(&told("night", pid, id, second, Level::Info), true, at(330));
        }
        assert_eq!(ids(&again), [2, 1, 2, 1], "a process's number that came again is another process");
    }

    #[test]
    fn a_clock_that_was_set_back_hides_nothing_and_what_is_too_old_is_left_out() {
        let mut book = Book::read(Path::new("/nowhere"), "t".into(), at(100_000));
        book.take(&told("a", 1, 1, 96_400, Level::Info), true, at(96_400));
        assert_eq!(ids(&book), [1]);
        book.take(&told("a", 1, 2, 10_000, Level::Info), true, at(96_400));
        assert_eq!(ids(&book), [1]);
        book.forget_old(at(96_400 + 12 * 3600 + 1));
        assert_eq!((ids(&book), book.left_out), (vec![], 1));
    }

    #[test]
    fn a_receiver_that_is_down_all_night_gets_every_error_and_the_news() {
        let mut book = Book::read(Path::new("/nowhere"), "t".into(), at(0));
        book.take(&told("a", 1, 1, 10, Level::Error), true, at(10));
        for id in 2..1000 {
            book.take(&told("a", 1, id, 10, Level::Warning), true, at(10));
        }
        assert_eq!((book.pending.len(), book.left_out), (MOST, 999 - MOST as u64));
        assert_eq!((book.pending[0].event.id, book.pending[MOST - 1].event.id), (1, 999));
        assert!(serde_json::to_vec(&book).unwrap().len() < 200_000);
    }

    #[test]
    fn another_address_is_a_receiver_that_wants_something_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.json");
        let book = Book { gone: true, target: "old".into(), ..Book::default() };
        book.write(&path).unwrap();
        assert!(Book::read(&path, "old".into(), at(0)).gone);
        assert!(!Book::read(&path, "new".into(), at(0)).gone);
        std::fs::write(&path, "{half").unwrap();
        assert_eq!(Book::read(&path, "new".into(), at(65)).since, Some(at(5)));
    }
}
