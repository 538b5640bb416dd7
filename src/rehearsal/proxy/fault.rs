//! What a network between the bridge and an ingest can do to a connection. Inert data and pure questions about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes read at once.
pub(super) const PIECE: usize = 16 * 1024;
/// Most that is held back of one direction while bytes are delayed: two seconds at 4 Mbit/s.
const HELD_MAX: usize = 1 << 20;

/// A fault on the way between a client and its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// None: bytes pass as they come.
    #[default]
    Pass,
    /// Nobody listens: new connections are refused by the system, living ones are reset.
    Refuse,
    /// Connections are closed in order (FIN).
    Cut,
    /// Connections are torn down (RST).
    Reset,
    /// Connections stay open and nothing moves.
    Stall {
        /// Which way.
        #[serde(default)]
        way: Way,
    },
    /// Bytes move slowly, each way.
    Trickle {
        /// How slowly.
        bytes_per_second: u32,
    },
    /// Bytes come late, each way.
    Delay {
        /// How late, in ms.
        millis: u32,
    },
    /// Single bytes are changed, each way.
    Corrupt {
        /// One byte in so many.
        one_in: u32,
    },
}

/// A direction, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both.
    #[default]
    Both,
}

/// Which connections a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those that are open now.
    Living,
    /// Those that come from now on.
    New,
    /// All.
    #[default]
    All,
}

impl Fault {
    /// What the fault is, in a few words for people.
    pub fn words(&self) -> String {
        match self {
            Self::Pass => "is itself again".to_owned(),
            Self::Refuse => "refuses connections".to_owned(),
            Self::Cut => "closes every connection".to_owned(),
            Self::Reset => "resets every connection".to_owned(),
            Self::Stall { way: Way::Up } => "takes no more bytes".to_owned(),
            Self::Stall { way: Way::Down } => "answers no more".to_owned(),
            Self::Stall { way: Way::Both } => "freezes".to_owned(),
            Self::Trickle { bytes_per_second } => format!("takes only {bytes_per_second} bytes a second"),
            Self::Delay { millis } => format!("is {millis} ms away"),
            Self::Corrupt { one_in } => format!("gets one byte in {one_in} wrong"),
        }
    }

    /// Whether nothing moves in that direction.
    pub(super) fn stalls(self, way: Way) -> bool {
        matches!(self, Self::Stall { way: stalled } if stalled == Way::Both || stalled == way)
    }

    /// How a connection ends by it; none where it lives on.
    pub(super) fn ending(self) -> Option<Ending> {
        match self {
            Self::Cut => Some(Ending::Finish),
            Self::Refuse | Self::Reset => Some(Ending::Reset),
            _ => None,
        }
    }

    /// How late bytes come.
    pub(super) fn delay(self) -> Duration {
        if let Self::Delay { millis } = self { Duration::from_millis(millis.into()) } else { Duration::ZERO }
    }

    /// Bytes that may wait in the proxy before it stops reading.
    pub(super) fn hold(self) -> usize {
        if let Self::Delay { .. } = self { HELD_MAX } else { 1 }
    }

    /// Bytes that may be read at once.
    pub(super) fn piece(self) -> usize {
        match self {
            // Ten steps a second.
            Self::Trickle { bytes_per_second } => (bytes_per_second as usize / 10).clamp(1, PIECE),
            _ => PIECE,
        }
    }

    /// Pause after so many bytes.
    pub(super) fn pause(self, bytes: usize) -> Duration {
        match self {
            Self::Trickle { bytes_per_second } => {
                Duration::from_secs_f64(bytes as f64 / f64::from(bytes_per_second.max(1)))
            }
            _ => Duration::ZERO,
        }
    }

    /// Changes the bytes that the fault hits, of a piece that starts at byte `start` of its direction.
    pub(super) fn spoil(self, start: u64, piece: &mut [u8]) {
        let Self::Corrupt { one_in } = self else { return };
        let every = u64::from(one_in.max(1));
        for (at, byte) in (start..).zip(piece) {
            if at % every == every - 1 {
                *byte ^= 0x55;
            }
        }
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order.
    Finish,
    /// Torn down.
    Reset,
}
