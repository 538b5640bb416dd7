//! Each speaker apart: the Opus packets of one speaker in an Ogg file, each in a page of its own, as they come.
//!
//! A page is appended by one write and carries its own checksum: a killed process loses nothing that it had written, and
//! what a torn last page leaves is passed over by any reader. The granule position of a page is the session's media time
//! behind its packet, so that the file alone says where everything lies; what did not come is a jump in it. Nothing is
//! decoded, and nothing made up.

mod budget;
mod facts;
mod file;
mod keep;
mod reader;
mod stage;

use bytes::Bytes;

pub use facts::{SpeakerChange, SpeakerFact, StemArchive, StemEnd, StemStart};
pub(super) use keep::Stems;
pub use reader::{PlacedPacket, StemReader};

/// One Opus packet of a speaker, as it is handed to the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStem {
    /// The session's id.
    pub session: String,
    /// The speaker's id.
    pub speaker: String,
    /// When its first sample is heard, in media time.
    pub media_time: i64,
    /// Duration, in 48 kHz samples.
    pub samples: u32,
    /// The packet as received.
    pub data: Bytes,
}

#[cfg(test)]
mod tests;
