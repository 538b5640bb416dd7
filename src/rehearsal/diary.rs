//! What was done to the bridge during a rehearsal, and what the bridge said about it, each with its wall time.

use serde::{Deserialize, Serialize};

use super::plan::Expectation;
use super::proxy::{Fault, Scope};
use super::space::Order;
use crate::alert::Event;

/// Everything that was done and said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Diary {
    /// When the rehearsal's steps began, in Unix ms.
    pub started_ms: i64,
    /// What was done, in order.
    pub done: Vec<Deed>,
    /// What the bridge said, in order.
    pub said: Vec<Event>,
}

/// One thing that was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deed {
    /// When, in Unix ms.
    pub at_ms: i64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The space was told something.
    Space(Order),
    /// The way to an ingest changed.
    Ingest {
        /// The output's name.
        name: String,
        /// How.
        fault: Fault,
        /// For which connections.
        scope: Scope,
        /// Seconds that the output still had to wait for its next attempt, as the bridge told at that moment.
        retry_in_seconds: Option<u64>,
    },
    /// The bridge process was killed.
    BridgeKilled,
    /// The bridge was waited for.
    Expected {
        /// What for.
        what: String,
        /// In real seconds.
        within_seconds: f64,
        /// How long it took; none if it did not come.
        took_seconds: Option<f64>,
    },
    /// A line for people.
    Note(String),
}

impl What {
    /// What happened, in a few words for people.
    pub fn words(&self) -> String {
        match self {
            Self::Space(order) => order.words().to_owned(),
            Self::Ingest { name, fault, scope, .. } => {
                let which = match scope {
                    Scope::Living => ", for its open connections",
                    Scope::New => ", for new connections",
                    Scope::All => "",
                };
                format!("ingest {name} {}{which}", fault.words())
            }
            Self::BridgeKilled => "the bridge's process is killed".to_owned(),
            Self::Expected { what, within_seconds, took_seconds: Some(took) } => {
                format!("{what} after {took:.1} s (allowed: {within_seconds:.0} s)")
            }
            Self::Expected { what, within_seconds, took_seconds: None } => {
                format!("NOT {what} within {within_seconds:.0} s")
            }
            Self::Note(text) => text.clone(),
        }
    }
}

impl Expectation {
    /// What is waited for, in a few words for people.
    pub fn words(&self) -> String {
        match &self.output {
            Some(name) => format!("output {name} {}", self.state),
            None => format!("the show {}", self.state),
        }
    }
}
