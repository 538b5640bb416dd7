//! What a show tells about itself as it happens: one stream of events for the terminal, the log, the protocol, and the
//! operator's own commands and webhooks.
//!
//! Stages report as often as they like; [`Events`] tells a trouble once and then its number (see `limit`).

mod events;
mod limit;
mod report;

pub mod delivery;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use events::Events;
pub use limit::LEFT_OUT;
pub use report::Report;

/// How much an event matters to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something went as it should.
    Info,
    /// Something is wrong and the bridge deals with it.
    Warning,
    /// Something is wrong that needs the operator, or that lost something.
    Error,
}

impl Level {
    /// The word in JSON and in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that happened. Texts never hold a secret and are safe to print on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// What the bridge does about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doing: Option<String>,
    /// When this trouble began, where that is earlier than `at`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// How many equal reports this line stands for. The numbers of all lines of a trouble add up to its reports.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub count: u64,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_one(count: &u64) -> bool {
    *count == 1
}
