//! Facts of the journal about talk: who talks, and what the platform says was said. Many lines, which the model of an
//! archive leaves out.

use serde::{Deserialize, Serialize};

/// Who talks from a place on, where that is told by each speaker's own sound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TalkingFact {
    /// The session's id.
    pub session: String,
    /// The place, in media time.
    pub media_time: i64,
    /// Their names; nobody where there is none. Hostile texts.
    pub names: Vec<String>,
}

/// What the platform says was said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptionFact {
    /// The session's id.
    pub session: String,
    /// Where the session's sound had come to when it was told.
    pub media_time: i64,
    /// The broadcaster's NTP time of it, in seconds since 1900.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntp_seconds: Option<f64>,
    /// Whose words they are; hostile text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// The words; hostile text.
    pub text: String,
}
