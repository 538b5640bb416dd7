//! What a show tells about itself as it happens: one stream of events for the terminal, the log and the protocol.

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

/// Where stages report events. Clones feed one stream.
#[derive(Debug, Clone)]
pub struct Events {
    clock: Clock,
    next_id: std::sync::Arc<std::sync::atomic::AtomicU64>,
    sender: broadcast::Sender<Event>,
}

impl Events {
    /// A stream that keeps the last 256 events for slow readers.
    pub fn new(clock: Clock) -> Self {
        let (sender, _) = broadcast::channel(256);
        Self { clock, next_id: Default::default(), sender }
    }

    /// Reads what is reported from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
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
        let id = self.next_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let event = Event {
            id,
            at: self.clock.wall(),
            level,
            code: code.to_owned(),
            subject: subject.to_owned(),
            message,
            remedy: remedy.map(str::to_owned),
        };
        match level {
            Level::Info => tracing::info!(code, subject, message = %event.message, "Event."),
            Level::Warning => tracing::warn!(code, subject, message = %event.message, "Event."),
            Level::Error => tracing::error!(code, subject, message = %event.message, "Event."),
        }
        // Nobody may be listening, which is fine: the log has it.
        drop(self.sender.send(event));
    }
}
