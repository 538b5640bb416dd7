//! What can happen around the seats of speakers in the simulated space. Inert data.

use serde::{Deserialize, Serialize};

/// What happens, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatRule {
    /// What.
    pub event: SeatEvent,
    /// Seconds, for the events that say so.
    #[serde(default)]
    pub seconds: Option<u32>,
    /// How often, for the events that say so; for ever where it is left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// Janus's code of an error.
    #[serde(default)]
    pub code: Option<i64>,
    /// Handle of whom it is about.
    #[serde(default)]
    pub who: Option<String>,
    /// Channels of who comes; 2 where it is left out.
    #[serde(default)]
    pub channels: Option<u32>,
    /// Whether who comes sends silence as nearly nothing.
    #[serde(default)]
    pub dtx: bool,
    /// Whether who comes sends a picture as well.
    #[serde(default)]
    pub camera: bool,
}

impl SeatRule {
    /// That alone.
    pub fn of(event: SeatEvent) -> Self {
        Self { event, seconds: None, times: None, code: None, who: None, channels: None, dtx: false, camera: false }
    }
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatEvent {
    /// Everybody may speak: a seat is there for the asking. So it is at the beginning.
    Open,
    /// Requests are approved after `seconds`; at once where it is left out.
    Approve,
    /// Requests are not answered.
    Ignore,
    /// Requests are refused after `seconds`; at once where it is left out.
    Refuse,
    /// Whoever has a seat loses it.
    Kick,
    /// The gateway answers a subscriber with the error `code`, `times`.
    GatewayError,
    /// Media break off, without a word: at once for the connections that there are, or each `seconds` after it began.
    Cut,
    /// The account is suspended: its seat is gone without a word, and nobody signs it in.
    Suspend,
    /// The space is for subscribers alone, and the account is none of them.
    Narrow,
    /// Somebody comes to the stage and hums: `who`, in so many `channels`, with `dtx` and `camera` or without.
    Arrive,
    /// `who` leaves the stage.
    Leave,
    /// `who` is told to be muted. What they send is not changed.
    Mute,
    /// `who` is told to be unmuted.
    Unmute,
}

impl SeatEvent {
    /// What happens, in a few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Open => "everybody may speak",
            Self::Approve => "the host approves requests to speak",
            Self::Ignore => "the host does not look at requests to speak",
            Self::Refuse => "the host refuses requests to speak",
            Self::Kick => "the host takes the seat away",
            Self::GatewayError => "the media gateway refuses",
            Self::Cut => "the way to the media gateway is cut",
            Self::Suspend => "the account is suspended",
            Self::Narrow => "the space is for subscribers alone",
            Self::Arrive => "somebody comes to the stage",
            Self::Leave => "somebody leaves the stage",
            Self::Mute => "somebody is muted",
            Self::Unmute => "somebody is unmuted",
        }
    }
}
