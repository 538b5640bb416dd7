//! What happens in all shows, in one order, remembered for readers that were away.
//!
//! One memory for everybody: a reader holds a place in it and no copy, so that a thousand of them cost little and a slow
//! one costs nothing. Who falls behind the memory is told so, never served from a longer one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::paths;
use crate::alert::{Event, Level};
use crate::clock::Clock;
use crate::text::plain;

/// Events that are remembered, of all shows together: about 2 MB.
const REMEMBERED: usize = 4096;

/// Longest text of an event of ours, in characters.
const TEXT_MAX: usize = 2000;

/// Events that are handed out at one time.
const BATCH: usize = 64;

/// Something that happened in a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ShowEvent {
    /// The show's name; empty for the daemon itself.
    pub show: String,
    /// The process that tells it: the bridge, or the daemon itself. With the event's id it names the event for ever.
    pub pid: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    #[serde(skip)]
    number: u64,
}

impl ShowEvent {
    /// Its place in the daemon's order.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A place in the events of one daemon process: its own mark and a number that counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The daemon process.
    pub daemon: u64,
    /// The last event that was read.
    pub number: u64,
}

impl Place {
    /// Reads `Last-Event-ID`.
    pub fn parse(text: &str) -> Option<Self> {
        let (daemon, number) = text.trim().split_once('-')?;
        Some(Self { daemon: u64::from_str_radix(daemon, 16).ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.daemon, self.number)
    }
}

/// What a reader gets.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events that it asked for and that are not remembered any more.
    pub lost: u64,
    /// The next ones, oldest first.
    pub events: Vec<Arc<ShowEvent>>,
    /// Where to go on.
    pub after: u64,
}

#[derive(Debug, Default)]
struct Memory {
    events: VecDeque<Arc<ShowEvent>>,
    newest: u64,
    own: u64,
}

/// The events of all shows.
#[derive(Debug)]
pub struct Hub {
    daemon: u64,
    clock: Clock,
    memory: Mutex<Memory>,
    newest: watch::Sender<u64>,
}

impl Hub {
    /// An empty one, with a mark that no other daemon process has had.
    pub fn new(clock: Clock) -> Self {
        let daemon = u64::try_from(clock.wall().as_millisecond()).unwrap_or_default();
        Self { daemon, clock, memory: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Remembers what the bridge `pid` of `show` told.
    pub fn push(&self, show: &str, pid: u32, mut event: Event) {
        paths::clean_event(&mut event);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.newest += 1;
        let number = memory.newest;
        if memory.events.len() == REMEMBERED {
            memory.events.pop_front();
        }
        memory.events.push_back(Arc::new(ShowEvent { show: show.to_owned(), pid, event, number }));
        self.newest.send_replace(number);
    }

    /// Tells something of `show` that no bridge can tell; of the daemon itself if it names none.
    pub fn tell(&self, show: &str, level: Level, code: &str, message: String, remedy: Option<&str>) {
        self.report(show, "daemon", level, code, message, remedy);
    }

    /// Tells something about `subject`, in `show` or in the daemon itself.
    pub fn report(&self, show: &str, subject: &str, level: Level, code: &str, message: String, remedy: Option<&str>) {
        // Faults quote what they complain about.
        let message = plain(&message, TEXT_MAX);
        let id = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.own += 1;
            memory.own
        };
        match level {
            Level::Info => tracing::info!(show, code, message, "Event."),
            Level::Warning => tracing::warn!(show, code, message, "Event."),
            Level::Error => tracing::error!(show, code, message, "Event."),
        }
        let event = Event {
            id,
            at: self.clock.wall(),
            level,
            code: code.to_owned(),
            subject: subject.to_owned(),
            message,
            remedy: remedy.map(str::to_owned),
            doing: None,
            since: None,
            count: 1,
        };
        self.push(show, std::process::id(), event);
    }

    /// The place of an event of this daemon.
    pub fn place(&self, number: u64) -> Place {
        Place { daemon: self.daemon, number }
    }

    /// Where a reader who comes with `place` goes on: behind it, or at the beginning of what is remembered when it is
    /// another daemon's. Without a place it goes on with what is still to come.
    pub fn start(&self, place: Option<Place>) -> u64 {
        match place {
            Some(place) if place.daemon == self.daemon => place.number.min(self.newest()),
            Some(_) => self.oldest().saturating_sub(1),
            None => self.newest(),
        }
    }

    /// The number of the newest event.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The number of the oldest event that is remembered, or of the next one.
    pub fn oldest(&self) -> u64 {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.events.front().map_or(memory.newest + 1, |event| event.number)
    }

    /// Changes with every event.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// How many wait for events.
    pub fn listeners(&self) -> usize {
        self.newest.receiver_count()
    }

    /// What comes after `after`, of one show or of all.
    pub fn after(&self, after: u64, show: Option<&str>) -> Batch {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = memory.events.front().map_or(memory.newest + 1, |event| event.number);
        let lost = oldest.saturating_sub(after + 1);
        let skip = usize::try_from((after + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let mut batch = Batch { lost, events: Vec::new(), after: after.max(oldest.saturating_sub(1)) };
        for event in memory.events.iter().skip(skip) {
            if batch.events.len() == BATCH {
                break;
            }
            batch.after = event.number;
            if show.is_none_or(|show| show == event.show) {
                batch.events.push(Arc::clone(event));
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub_with(count: u64) -> Hub {
        let hub = Hub::new(Clock::system());
        for number in 1..=count {
            let show = if number % 2 == 0 { "even" } else { "odd" };
            hub.tell(show, Level::Info, "test", number.to_string(), None);
        }
        hub
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_after_a_restart_of_the_daemon_misses_nothing() {
        let hub = hub_with(5);
        let place = Place::parse(&hub.place(3).to_string()).expect("a place");
        assert_eq!(numbers(&hub.after(hub.start(Some(place)), None)), [4, 5]);
        let elsewhere = Place { daemon: 7, number: 4000 };
        assert_eq!(numbers(&hub.after(hub.start(Some(elsewhere)), None)), [1, 2, 3, 4, 5]);
        assert!(hub.after(hub.start(None), None).events.is_empty());
        assert_eq!(numbers(&hub.after(0, Some("even"))), [2, 4]);
        assert!(Place::parse("x").is_none() && Place::parse("1-x").is_none());
        // A number from the future is no reason to wait for it.
        assert_eq!(hub.start(Some(hub.place(99))), 5);
    }

    #[test]
    fn what_is_not_remembered_any_more_is_told_by_its_number() {
        let hub = hub_with(REMEMBERED as u64 + 10);
        let batch = hub.after(4, None);
        assert_eq!((batch.lost, batch.events.len()), (6, BATCH));
        assert_eq!(batch.events[0].number, 11);
        let (mut after, mut read) = (0, 0);
        loop {
            let batch = hub.after(after, None);
            if batch.events.is_empty() {
                break;
            }
            (after, read) = (batch.after, read + batch.events.len());
        }
        assert_eq!(read, REMEMBERED);
    }
}
