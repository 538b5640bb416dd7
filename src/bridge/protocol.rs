//! The words of a bridge's protocol: HTTP/1.1 with JSON and server-sent events over a Unix socket.
//!
//! Both sides use these types, and nothing here does I/O. What a show says of itself is in [`crate::status`] and
//! [`crate::alert`]. Fields and routes are added, never renamed.

pub mod live;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::listen::Heard;
use crate::alert::{Event, Events};
use crate::status::{PROTOCOL_VERSION, ShowStatus};
use live::{LiveAnswer, LiveOrder};

/// Header of every request and answer: the sender's [`PROTOCOL_VERSION`].
pub const VERSION_HEADER: &str = "spacebridge-protocol";

/// How often `GET /v1/events` repeats the status, in ms. Levels go faster: `GET /v1/levels`.
pub const STATUS_INTERVAL_MS: u64 = 250;

/// Name of the server-sent events that carry a [`ShowStatus`].
pub const STATUS_EVENT: &str = "status";

/// Name of the server-sent events that carry an [`Event`].
pub const ALERT_EVENT: &str = "event";

/// Code of the event by which a show says why it cannot go on.
pub const SHOW_FAILED: &str = "show.failed";

/// What the socket serves: read models, history, and the way to the composition root.
#[derive(Debug, Clone)]
pub struct BridgeService {
    /// The show as it is now.
    pub status: watch::Receiver<Arc<ShowStatus>>,
    /// What happens, as it happens.
    pub events: Events,
    /// Orders to the show.
    pub commands: mpsc::Sender<BridgeCommand>,
    /// What is on the air.
    pub heard: Heard,
}

/// An order to the show. The answer says that it was understood; the status says what became of it.
#[derive(Debug)]
pub enum BridgeCommand {
    /// Finish the session, closing slate, final files, exit.
    End,
    /// Recording safe, outputs closed, exit; resumable.
    Suspend,
    /// An order to one output.
    Output {
        /// The output's name.
        name: String,
        /// What to do with it.
        action: OutputAction,
        /// Whether it is being done; the text says why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Names the place that is being heard.
    Mark {
        /// The operator's words.
        title: String,
        /// Where it lies; the text says why not.
        reply: oneshot::Sender<Result<MarkAccepted, String>>,
    },
    /// Points the show at another source.
    Source {
        /// A Space's link, the address of a playlist or of other live audio.
        url: String,
        /// The source's name; the text says why not.
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// Something is done to what is on the air.
    Live {
        /// What.
        order: LiveOrder,
        /// What is being done; the text says why not.
        reply: oneshot::Sender<Result<LiveAnswer, String>>,
    },
    /// Another process supervises the bridge from now on.
    Adopt {
        /// Its process id.
        pid: u32,
        /// Whether it is so; the text says why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
}

/// Body of `POST /v1/source`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceOrder {
    /// A Space's link, the address of a playlist or of other live audio.
    pub url: String,
}

/// Body of `POST /v1/adopt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptOrder {
    /// The process that supervises the bridge from now on.
    pub pid: u32,
}

/// Answer of `POST /v1/source`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceAccepted {
    /// A short name of the source, without secrets.
    pub source: String,
}

/// Body of `POST /v1/mark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MarkOrder {
    /// The operator's words.
    pub title: String,
}

/// Answer of `POST /v1/mark`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MarkAccepted {
    /// The session's id.
    pub session: String,
    /// The place, in seconds of the session's media time.
    pub seconds: f64,
    /// The words as they are kept.
    pub title: String,
}

/// What can be done with an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputAction {
    /// Connect and publish.
    Start,
    /// Disconnect and stay so.
    Stop,
    /// Disconnect and connect anew at once.
    Restart,
}

impl OutputAction {
    /// The word in the route.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// Answer of `GET /v1/hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The bridge's [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The bridge's program version.
    pub version: String,
    /// The show's name.
    pub show: String,
    /// The bridge's process id.
    pub pid: u32,
}

/// An error answer, `application/problem+json` of RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable name for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong in general.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time, and what to do.
    pub detail: String,
}

/// One message of the event stream.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Update {
    /// Something happened.
    Event(Event),
    /// The show as it is now.
    #[serde(serialize_with = "inner")]
    Status(Arc<ShowStatus>),
}

fn inner<S: serde::Serializer>(status: &Arc<ShowStatus>, serializer: S) -> Result<S::Ok, S::Error> {
    status.as_ref().serialize(serializer)
}

/// Place in a bridge's events. Ids count from 1 in every process, so that a place also names its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// The bridge process; none means whichever answers.
    pub pid: Option<u32>,
    /// Id of the last event that was read.
    pub id: u64,
}

impl EventPlace {
    /// Reads `Last-Event-ID`: `<pid>-<id>`, or a bare id.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().split_once('-') {
            Some((pid, id)) => Some(Self { pid: Some(pid.parse().ok()?), id: id.parse().ok()? }),
            None => Some(Self { pid: None, id: text.trim().parse().ok()? }),
        }
    }

    /// The id after which the process `pid` has to continue: everything, when the place is of another process.
    pub fn after_in(self, pid: u32) -> u64 {
        if self.pid.is_none_or(|own| own == pid) { self.id } else { 0 }
    }
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{pid}-{}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

/// Whether this program can speak to a bridge of `version`: its own version, or the one before it, so that a show
/// that is on the air outlives an upgrade.
pub fn speaks(version: u32) -> bool {
    version != 0 && (version == PROTOCOL_VERSION || version.checked_add(1) == Some(PROTOCOL_VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_an_earlier_process_does_not_swallow_the_events_of_the_next() {
        let place = EventPlace::parse("4711-250").expect("valid");
        assert_eq!(place.after_in(4711), 250);
        assert_eq!(place.after_in(4712), 0);
        assert_eq!(EventPlace::parse("17").expect("valid").after_in(1), 17);
        assert_eq!(place.to_string(), "4711-250");
        assert!(EventPlace::parse("x-1").is_none());
    }

    #[test]
    fn versions_further_apart_than_one_are_refused() {
        assert!(speaks(PROTOCOL_VERSION));
        assert!(PROTOCOL_VERSION == 1 || speaks(PROTOCOL_VERSION - 1));
        assert!(!speaks(0), "an answer without a version is not a bridge's");
        assert!(!speaks(PROTOCOL_VERSION + 1));
        assert!(!speaks(u32::MAX));
    }
}
