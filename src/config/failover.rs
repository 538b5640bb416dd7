//! How several sources stand in for each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens between the sources of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailoverConfig {
    /// Whether nothing may be lost, or nothing may be late.
    pub mode: FailoverMode,
    /// How much later than it could be a stream goes out in aligned mode at first: about the lag of the slowest source.
    pub delay: Duration,
    /// How much later everything may be put at once, where the delay turns out too short.
    pub delay_max: Duration,
    /// How long a better source has been healthy before it is gone back to.
    pub back_after: Duration,
}

/// Whether a source is connected while another one is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standby {
    /// Always: it takes over at once, and is recorded beside the other.
    Warm,
    /// Only when the one that is heard is in trouble.
    #[default]
    Cold,
}

/// What counts more when one source takes over from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverMode {
    /// The program is so late that every path has its sound in time: nothing is lost, nothing is repeated.
    Aligned,
    /// The program is as early as the source on the air allows: a change to a slower path leaves a gap.
    #[default]
    LowLatency,
}

impl Default for FailoverConfig {
    fn default() -> Self {
        Self {
            mode: FailoverMode::default(),
            delay: Duration::from_secs(20),
            delay_max: Duration::from_secs(30),
            back_after: Duration::from_secs(30),
        }
    }
}
