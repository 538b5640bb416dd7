//! What a rehearsal or a test can tell the simulated space, and what it has to tell about its client. The wire types.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::script::SpaceState;

/// One order to the space: `POST /control` with one of these as JSON, such as `{"do":"host_drop"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// The host opens the space.
    Start,
    /// The host ends it.
    End {
        /// Whether the platform offers a replay.
        #[serde(default)]
        replay: bool,
    },
    /// The host vanished for good.
    Timeout {
        /// Whether the platform offers a replay.
        #[serde(default)]
        replay: bool,
    },
    /// A scheduled space is withdrawn.
    Cancel,
    /// The host's connection breaks: the playlist answers 404, the state stays Running.
    HostDrop,
    /// The host is back.
    HostReturn,
    /// The playlist does not change any more.
    Freeze,
    /// It moves again.
    Thaw,
    /// Chunks fail from now on.
    FailChunks {
        /// Which chunks.
        #[serde(flatten)]
        rule: ChunkRule,
    },
    /// Chunks are gone for good.
    DeleteChunks {
        /// Their sequence numbers.
        sequences: Vec<u64>,
    },
    /// Calls to the API fail from now on.
    FailApi {
        /// How.
        fault: ApiFault,
        /// How often; for ever where it is left out.
        #[serde(default)]
        times: Option<u32>,
    },
    /// All faults are over; deleted chunks stay deleted.
    Heal,
    /// What the status call says of the stream's place.
    Location {
        /// The form of its answer.
        shape: LocationShape,
    },
    /// The metadata change; what is left out stays.
    Metadata {
        /// The title; an empty one is left out of the answer, as the platform does.
        #[serde(default)]
        title: Option<String>,
        /// The host's handle.
        #[serde(default)]
        host: Option<String>,
        /// Whether the host's names are in `legacy` rather than in `core`.
        #[serde(default)]
        legacy_names: Option<bool>,
        /// When it is announced for, in Unix ms.
        #[serde(default)]
        scheduled_start: Option<i64>,
    },
}

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
    /// Only the first fetches of each chunk; all where it is left out.
    #[serde(default)]
    pub times: Option<u32>,
}

impl ChunkRule {
    /// Whether fetch number `fetch` (from 0) of chunk `sequence` fails.
    pub fn hits(&self, sequence: u64, fetch: u32) -> bool {
        let numbered = self.sequences.contains(&sequence);
        // A multiplicative hash: the same chunks fail in every rehearsal.
        let place = (sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / f64::from(1_u32 << 24);
        let shared = self.share.map_or(self.sequences.is_empty(), |share| place < share);
        (numbered || shared) && self.times.is_none_or(|times| fetch < times)
    }
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
    /// Bytes of something else come before the first tag.
    Junk,
    /// Some frames cannot be decoded.
    Undecodable,
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
    },
    /// A web page instead of JSON.
    Html,
    /// The right answer, late.
    Slow {
        /// How late, in ms.
        millis: u64,
    },
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

/// What the space prints when it is ready, one JSON line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpaceStarted {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its id.
    pub space_id: String,
    /// The address that a person would paste.
    pub space_url: String,
    /// Stands for `https://x.com/i/api`.
    pub api_base: String,
    /// Stands for `https://api.x.com`.
    pub guest_base: String,
    /// The live playlist.
    pub playlist_url: String,
}

/// What the client of the space did, and what it was given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SpaceReport {
    /// The state now.
    pub state: Option<SpaceState>,
    /// Wall time of the first sample of the ruler, in Unix ms.
    pub sound_started_ms: i64,
    /// Requests by kind: `guest`, `space`, `status`, `playlist`, `master`, `snapshot`, `chunk`, `control`, `other`.
    pub requests: BTreeMap<String, u64>,
    /// Names of headers by kind of request. No value is ever kept.
    pub headers: BTreeMap<String, BTreeSet<String>>,
    /// Kinds of requests that brought cookies.
    pub cookies_in: BTreeSet<String>,
    /// Pauses between playlist requests, in ms; the last thousand.
    pub poll_intervals_ms: Vec<u64>,
    /// Every chunk that was listed so far.
    pub chunks: Vec<ChunkReport>,
}

/// One chunk's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkReport {
    /// Media sequence number.
    pub sequence: u64,
    /// First sample of the ruler in it; second k of the ruler starts at sample k * 48 000.
    pub ruler_start: u64,
    /// Samples in it.
    pub samples: u64,
    /// When it could first be fetched, in Unix ms.
    pub listed_ms: i64,
    /// Whether a playlist that the client got named it.
    pub announced: bool,
    /// How often it was served whole.
    pub served: u32,
    /// How often it was refused or spoiled.
    pub spoiled: u32,
}

impl Order {
    /// What happens, in a few words for people.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Start => "the host opens the space",
            Self::End { .. } => "the host ends the space",
            Self::Timeout { .. } => "the host vanishes for good",
            Self::Cancel => "the space is withdrawn",
            Self::HostDrop => "the host's connection breaks",
            Self::HostReturn => "the host is back",
            Self::Freeze => "the playlist freezes",
            Self::Thaw => "the playlist moves again",
            Self::FailChunks { .. } => "chunks begin to fail",
            Self::DeleteChunks { .. } => "chunks are lost at the CDN",
            Self::FailApi { .. } => "the API is in trouble",
            Self::Heal => "the faults are over",
            Self::Location { .. } => "the stream's address changes its form",
            Self::Metadata { .. } => "title or host change",
        }
    }
}
