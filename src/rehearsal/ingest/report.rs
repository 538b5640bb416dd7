//! What a stand-in ingest has to tell. The wire types.

use serde::{Deserialize, Serialize};

use super::track::TrackReport;
use crate::rehearsal::ear::Heard;

/// Longest way between two key frames that platforms take, in ms (YouTube's and Twitch's limit).
pub const GOP_LIMIT_MS: u32 = 4000;
/// What they ask for: 2 s, and a frame for rounding.
pub const GOP_WANTED_MS: u32 = 2100;

/// What the ingest prints when it is ready, one JSON line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IngestStarted {
    /// RTMP port on 127.0.0.1.
    pub port: u16,
    /// HTTP port on 127.0.0.1 that answers `GET /report`.
    pub report_port: u16,
    /// Where to publish, without the key.
    pub server_url: String,
}

/// Everything an ingest saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestReport {
    /// Its name.
    pub name: String,
    /// Connections that were let publish, oldest first.
    pub connections: Vec<ConnectionReport>,
    /// Attempts that were refused: wrong key or application, or by order.
    pub refused: u32,
}

/// One connection that published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionReport {
    /// When it was let publish, in Unix ms.
    pub started_ms: i64,
    /// When its first frame came, in Unix ms.
    #[serde(default)]
    pub first_media_ms: Option<i64>,
    /// When it was over, in Unix ms.
    pub ended_ms: Option<i64>,
    /// Whether the peer said goodbye rather than vanish.
    pub ended_cleanly: bool,
    /// Bytes of media.
    pub bytes: u64,
    /// The sound.
    pub audio: TrackReport,
    /// The picture.
    pub video: TrackReport,
    /// Longest way between two key frames, in ms.
    pub longest_gop_ms: u32,
    /// The worst second's difference of timestamp minus arrival between the tracks, in ms.
    pub skew_ms: f64,
    /// What a platform would not have taken, each once.
    pub faults: Vec<String>,
    /// What a platform would have warned of, each once.
    pub warnings: Vec<String>,
    /// The ruler, on the stream's timestamps in samples at 48 kHz.
    pub heard: Heard,
    /// Timestamps of bright pictures, in ms.
    pub flashes_ms: Vec<u64>,
}

impl ConnectionReport {
    /// Seconds of stream: of the longer track.
    pub fn seconds(&self) -> f64 {
        self.audio.seconds().max(self.video.seconds())
    }

    /// Longest way between two neighbouring timestamps of either track, in ms.
    pub fn longest_gap_ms(&self) -> u32 {
        self.audio.longest_gap_ms.max(self.video.longest_gap_ms)
    }
}
