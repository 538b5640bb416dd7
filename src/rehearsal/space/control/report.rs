//! What the simulated space tells: where it is, and what its client did. Inert data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::rehearsal::space::script::SpaceState;

/// What the space prints when it is ready, one JSON line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SpaceStarted {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its id.
    pub space_id: String,
    /// The address that a person would paste.
    pub space_url: String,
    /// Stands for `https://x.com/i/api`.
    pub api_base: String,
    /// Stands for `https://api.x.com`, and for `https://proxsee.pscp.tv` of the chat.
    pub guest_base: String,
    /// The live playlist.
    pub playlist_url: String,
    /// Further edges that serve the same paths, as host and port.
    #[serde(default)]
    pub other_edges: Vec<String>,
}

/// What the client of the space did, and what it was given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SpaceReport {
    /// Id of the newest space, which `state` and `chunks` are about.
    #[serde(default)]
    pub space_id: String,
    /// Ids of all spaces, oldest first.
    #[serde(default)]
    pub space_ids: Vec<String>,
    /// The state now.
    pub state: Option<SpaceState>,
    /// Wall time of the first sample of the ruler, in Unix ms.
    pub sound_started_ms: i64,
    /// Requests by kind: `guest`, `space`, `status`, `host`, `playlist`, `master`, `snapshot` (the list that the
    /// master names), `replay` (the same list in the chunks' own folder), `chunk`, `chat_access`, `chat`, `control`,
    /// `seat_login`, `seat_token`, `seat_join`, `seat_request`, `seat_cancel`, `seat_status`, `seat_negotiate`,
    /// `seat_mute`, `seat_publish`, `seat_end`, `watch_start`, `watch_ping`, `watch_stop`, `gateway`, `other`.
    pub requests: BTreeMap<String, u64>,
    /// Names of headers by kind of request. No value is ever kept.
    pub headers: BTreeMap<String, BTreeSet<String>>,
    /// Kinds of requests that brought cookies.
    pub cookies_in: BTreeSet<String>,
    /// Pauses between playlist requests, in ms; the last thousand.
    pub poll_intervals_ms: Vec<u64>,
    /// Pauses between requests for a space's metadata, in ms; the last thousand.
    #[serde(default)]
    pub api_intervals_ms: Vec<u64>,
    /// Playlist requests by edge.
    #[serde(default)]
    pub polls_by_edge: Vec<u64>,
    /// Every chunk of the newest space that was listed so far.
    pub chunks: Vec<ChunkReport>,
    /// The spaces before it, oldest first.
    #[serde(default)]
    pub earlier: Vec<EarlierSpace>,
}

/// A space that was followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierSpace {
    /// Its id.
    pub space_id: String,
    /// The state now.
    pub state: SpaceState,
    /// Every chunk that was listed.
    pub chunks: Vec<ChunkReport>,
}

/// One chunk's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkReport {
    /// Media sequence number.
    pub sequence: u64,
    /// First sample of the ruler in it; second k of the ruler starts at sample k * 48 000.
    pub ruler_start: u64,
    /// Samples in it, at 48 000 Hz whatever its own rate is.
    pub samples: u64,
    /// When it could first be fetched, in Unix ms.
    pub listed_ms: i64,
    /// Whether a playlist that the client got named it.
    pub announced: bool,
    /// How often it was served whole.
    pub served: u32,
    /// How often of that its name came from a list of the past, not from the live one.
    #[serde(default)]
    pub from_past: u32,
    /// How often it was refused or spoiled.
    pub spoiled: u32,
    /// Whether it holds silence in the ruler's place.
    #[serde(default)]
    pub silent: bool,
}
