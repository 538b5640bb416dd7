//! Who is heard in a session, what each sends, and what is said to have been said.

use bytes::Bytes;

/// A line of what was said, as the platform tells it beside the sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Caption {
    /// The words: clean, on one line, and still a stranger's.
    pub text: String,
    /// Whose they are, where that is told.
    pub speaker: Option<String>,
    /// The broadcaster's NTP time of it, in seconds since 1900, where that is told.
    pub ntp_seconds: Option<f64>,
}

/// Somebody who may be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The platform's id, of `[0-9A-Za-z_-]` only.
    pub id: String,
    /// What they call themselves; hostile text.
    pub name: String,
    /// Whether the platform says that they are muted, where it says so.
    pub muted: Option<bool>,
    /// Whether they were heard within the last half second.
    pub talking: bool,
}

/// One Opus packet of a speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StemPacket {
    /// [`Speaker::id`].
    pub speaker: String,
    /// When its first sample is to be heard, on the session's media timeline, in 48 kHz samples.
    pub media_time: i64,
    /// Duration in 48 kHz samples.
    pub samples: u32,
    /// The packet as received.
    pub data: Bytes,
}
