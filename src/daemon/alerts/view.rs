//! What clients see of a receiver of events.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::alert::Level;

/// Where a receiver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverState {
    /// It takes what it gets.
    Working,
    /// The last try failed; it is tried again.
    Failing,
    /// It answered 410: it wants nothing any more. A test that it takes brings it back.
    Gone,
}

/// How the last try went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastTry {
    /// When.
    pub at: Timestamp,
    /// Whether the event was taken.
    pub delivered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A receiver of events. Never its address or its secret: both are secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReceiverView {
    /// Its name in the configuration.
    pub name: String,
    /// `webhook` or `command`.
    pub kind: &'static str,
    /// The least level that it is about.
    pub level: Level,
    /// Codes that it is about; all where there is none.
    pub codes: Vec<String>,
    /// Shows that it is about; all where there is none.
    pub shows: Vec<String>,
    /// Whether its posts are signed.
    pub signed: bool,
    /// Where it stands.
    pub state: ReceiverState,
    /// Events that wait for it.
    pub pending: usize,
    /// Events that were left out since its last delivery: it was too slow or away for too long.
    pub left_out: u64,
    /// Events that it took since the daemon started.
    pub delivered: u64,
    /// Events that it refused for ever since the daemon started.
    pub refused: u64,
    /// The last try.
    pub last: Option<LastTry>,
    /// Seconds until the next try, while it is failing.
    pub retry_in_seconds: Option<u64>,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TestResult {
    /// Whether the event was taken.
    pub delivered: bool,
    /// What happened, for people.
    pub message: String,
}
