//! What can go wrong with chunks, playlists, the API and edges of the simulated space. Inert data.

use serde::{Deserialize, Serialize};

/// Which chunks fail, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkRule {
    /// How.
    pub fault: ChunkFault,
    /// These numbers; all where it and `share` are left out.
    #[serde(default)]
    pub sequences: Vec<u64>,
    /// A share of all chunks, 0 to 1, the same ones every time.
    #[serde(default)]
    pub share: Option<f64>,
    /// Another number chooses others of the same share.
    #[serde(default)]
    pub seed: u64,
    /// Only the first fetches of each chunk; all where it is left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// Only at this edge, from 0; at all where it is left out.
    #[serde(default)]
    pub edge: Option<usize>,
}

impl ChunkRule {
    /// Whether fetch number `fetch` (from 0) of chunk `sequence` at `edge` fails.
    pub fn hits(&self, sequence: u64, fetch: u32, edge: usize) -> bool {
        let numbered = self.sequences.contains(&sequence);
        // A multiplicative hash: the same chunks fail in every rehearsal.
        let place = (sequence.wrapping_add(self.seed << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64
            / f64::from(1_u32 << 24);
        let shared = self.share.map_or(self.sequences.is_empty(), |share| place < share);
        let here = self.edge.is_none_or(|only| only == edge);
        here && (numbered || shared) && self.times.is_none_or(|times| fetch < times)
    }
}

/// What the platform holds of the past. What is left out stays as it is; it is no fault that heals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PastRule {
    /// How far the list of everything so far lags behind while the space is running, in seconds.
    pub lag_seconds: Option<u32>,
    /// Whether there is such a list while the space is running. The master names one in any case.
    pub while_live: Option<bool>,
    /// Whether the list is where the master says, or only beside it in the chunks' own folder.
    pub transcoded: Option<bool>,
    /// How long after the end the replay, and the master, are made, in seconds.
    pub made_after_seconds: Option<u32>,
    /// Whether they are made at all.
    pub after_end: Option<bool>,
    /// Sequence numbers that all these lists lack; the chunks themselves stay.
    pub lacks: Option<Vec<u64>>,
}

/// What is wrong with a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChunkFault {
    /// An answer without a chunk.
    Status {
        /// HTTP status.
        status: u16,
    },
    /// The body trickles.
    Slow {
        /// How long the whole body takes, in ms.
        millis: u64,
    },
    /// The connection breaks in the middle of the body.
    Truncated,
    /// The request is taken and never answered.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// Bytes of something else come before the first tag.
    Junk,
    /// Some frames cannot be decoded.
    Undecodable,
    /// A whole answer that ends in the middle of a frame, as a store with half a chunk gives.
    Cut,
}

impl ChunkFault {
    /// Whether all the sound is there: a listener must make sound of slow bytes and of bytes behind junk.
    pub(in crate::rehearsal::space) fn is_harmless(self) -> bool {
        matches!(self, Self::Slow { .. } | Self::Junk)
    }
}

/// What is wrong with the live playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlaylistFault {
    /// An answer without a list.
    Status {
        /// HTTP status, such as 403, 429 or 503.
        status: u16,
        /// What its `Retry-After` says; no such header where it is left out.
        #[serde(default)]
        retry_after_seconds: Option<u32>,
    },
    /// The request is taken and never answered.
    Hang,
    /// The right list, trickling.
    Slow {
        /// How long the whole body takes, in ms.
        millis: u64,
    },
    /// The connection breaks in the middle of the body: its length promised more.
    Truncated,
    /// A whole answer whose list ends in the middle of a line.
    Cut,
    /// A web page with status 200.
    Html,
    /// The connection is closed without an answer.
    Reset,
    /// The list as it was 30 s before the order.
    Stale,
}

/// What is wrong with the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ApiFault {
    /// The query id is not known any more: 404 without a body.
    StaleQueryId,
    /// Error 336 until the request names this feature.
    MissingFeature {
        /// Name of the feature.
        name: String,
    },
    /// Error 214: an id the platform cannot parse.
    InvalidId,
    /// A spurious error beside valid data.
    SpuriousError,
    /// An answer without a space.
    EmptySpace,
    /// An answer without data.
    Status {
        /// HTTP status, such as 401, 403 or 503.
        status: u16,
    },
    /// 429.
    RateLimited {
        /// Seconds until the platform says it may be tried again.
        reset_in_seconds: u32,
        /// Says so by `Retry-After` alone, without `x-rate-limit-*`.
        #[serde(default)]
        retry_after_only: bool,
    },
    /// The right answer, and the last one before the limit: `x-rate-limit-remaining: 0`.
    LastCall {
        /// Seconds until the platform counts anew.
        reset_in_seconds: u32,
    },
    /// A web page instead of JSON.
    Html,
    /// The right answer, late.
    Slow {
        /// How late, in ms.
        millis: u64,
    },
    /// The request is taken and never answered.
    Hang,
    /// The connection is closed without an answer.
    Reset,
}

/// What happens in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatEvent {
    /// The end is told, whether the space is over or not.
    Ended,
    /// Every connection is closed with a code.
    Close,
    /// A message whose nested JSON is broken.
    Malformed,
    /// A caption of what is said.
    Caption,
    /// A message of a kind and a type that nobody knows.
    Unknown,
    /// A message of 256 KB.
    Huge,
    /// Many messages at once: `times`, or 5000.
    Flood,
    /// One listener more.
    Arrival,
    /// The chat is not open yet: 404, `times` or until the faults are over.
    Absent,
    /// Whoever joins is thrown out, `times` or until the faults are over.
    Refused,
}

/// What becomes of an edge that the platform leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldEdge {
    /// It answers 404.
    Dead,
    /// Its playlist does not change any more.
    Frozen,
    /// It goes on.
    Alive,
}

/// The forms of a status answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationShape {
    /// `noRedirectPlaybackUrl` and `location`.
    #[default]
    Plain,
    /// `location` alone.
    OnlyLocation,
    /// `location` alone, with the real address in its `url` parameter.
    Wrapped,
    /// Not to be had in this country.
    Geoblocked,
    /// A space with video.
    Video,
    /// 404: ended and not recorded.
    Missing,
}
