//! What a show tells about itself as it happens: one stream of events for the terminal, the log and the protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Clock;

/// How much an event matters to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something went as it should.
    Info,
    /// Something is wrong and the bridge deals with it.
    Warning,
    /// Something is wrong that needs the operator, or that lost something.
    Error,
}

/// One thing that happened. Texts never hold a secret and are safe to print on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 within a bridge process; the id of the event stream.
    pub id: u64,
    /// Wall time.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// A stable name for programs, such as `output.rejected`.
    pub code: String,
    /// What it is about: `output youtube`, `source 1`, `recording`, `show`.
    pub subject: String,
    /// One sentence for people: what happened.
    pub message: String,
    /// What the operator can do, if anything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
}

/// Events that are remembered: a bad night of an hour with one every few seconds, in less than a megabyte.
const REMEMBERED: usize = 512;

/// Where stages report events. Clones feed one stream and share one memory of it.
#[derive(Debug, Clone)]
pub struct Events {
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
    sender: broadcast::Sender<Event>,
}

#[derive(Debug, Default)]
struct Memory {
    last_id: u64,
    events: VecDeque<Event>,
}

impl Events {
    /// A stream that keeps the last 256 events for slow readers.
    pub fn new(clock: Clock) -> Self {
        let (sender, _) = broadcast::channel(256);
        Self { clock, memory: Arc::default(), sender }
    }

    /// Reads what is reported from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Every remembered event after `id`, oldest first.
    pub fn after(&self, id: u64) -> Vec<Event> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.events.iter().filter(|event| event.id > id).cloned().collect()
    }

    /// The last `count` events, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Event> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.events.iter().skip(memory.events.len().saturating_sub(count)).cloned().collect()
    }

    /// Reports that something went as it should.
    pub fn info(&self, code: &str, subject: &str, message: impl Into<String>) {
        self.report(Level::Info, code, subject, message.into(), None);
    }

    /// Reports a fault that the bridge deals with by itself.
    pub fn warning(&self, code: &str, subject: &str, message: impl Into<String>, remedy: Option<&str>) {
        self.report(Level::Warning, code, subject, message.into(), remedy);
    }

    /// Reports a fault that needs the operator, with what to do.
    pub fn error(&self, code: &str, subject: &str, message: impl Into<String>, remedy: Option<&str>) {
        self.report(Level::Error, code, subject, message.into(), remedy);
    }

    fn report(&self, level: Level, code: &str, subject: &str, message: String, remedy: Option<&str>) {
        let at = self.clock.wall();
        let event = |id| Event {
            id,
            at,
            level,
            code: code.to_owned(),
            subject: subject.to_owned(),
            message,
            remedy: remedy.map(str::to_owned),
        };
        let event = self.remember(event);
        match level {
            Level::Info => tracing::info!(code, subject, message = %event.message, "Event."),
            Level::Warning => tracing::warn!(code, subject, message = %event.message, "Event."),
            Level::Error => tracing::error!(code, subject, message = %event.message, "Event."),
        }
        // Nobody may be listening, which is fine: the log has it.
        drop(self.sender.send(event));
    }

    /// Numbers an event and keeps it; in one step, so that the order of ids is the order of the memory.
    fn remember(&self, event: impl FnOnce(u64) -> Event) -> Event {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.last_id += 1;
        let event = event(memory.last_id);
        memory.events.push_back(event.clone());
        if memory.events.len() > REMEMBERED {
            memory.events.pop_front();
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_was_away_gets_what_it_missed_and_memory_stays_bounded() {
        let events = Events::new(Clock::system());
        (1..=REMEMBERED + 10).for_each(|index| events.info("test", "show", format!("Event {index}.")));
        let newest = REMEMBERED as u64 + 10;
        let missed: Vec<u64> = events.after(newest - 3).iter().map(|event| event.id).collect();
        assert_eq!(missed, [newest - 2, newest - 1, newest]);
        assert_eq!(events.after(0).len(), REMEMBERED);
        assert_eq!(events.recent(2).last().map(|event| event.id), Some(newest));
    }
}
