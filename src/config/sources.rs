//! Where a show's audio comes from, as configured.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{SecretRef, Standby};

/// One source of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceConfig {
    /// What it is.
    pub kind: SourceKind,
    /// Overrides the source's own default delay between "could be had" and "on the air".
    pub delay: Option<Duration>,
    /// Whether it is connected while another one is heard.
    #[serde(default)]
    pub standby: Standby,
    /// Whether quiet and loud speakers are brought together, where each comes apart.
    #[serde(default)]
    pub level_speakers: bool,
}

/// The kinds of sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SourceKind {
    /// An X Space.
    XSpace {
        /// A Space's URL, its bare id, or the URL of a `dynamic_playlist.m3u8`.
        url: String,
        /// `auth_token` cookie of the operator's own account.
        auth_token: Option<SecretRef>,
        /// `ct0` cookie of the same login.
        ct0: Option<SecretRef>,
        /// A browser's `cookies.txt` that holds both.
        cookies_file: Option<PathBuf>,
        /// How we sit in the space.
        #[serde(default)]
        seat: Seat,
    },
    /// Live audio at an address.
    Uri {
        /// `http(s)` (Icecast or HLS), `rtmp(s)`, `srt`, `rtsp(s)`, or `file`.
        uri: Url,
    },
    /// The ruler: a test sound in which every second can be told from any other.
    Tone {
        /// Ends by itself after this long.
        duration: Option<Duration>,
    },
    /// An endpoint of WHEP: one stream by WebRTC.
    Whep {
        /// Where it is asked for; `https`, or `http` of one's own network.
        url: Url,
        /// Bearer token.
        token: Option<SecretRef>,
    },
    /// A videoroom of a Janus gateway of one's own: every speaker by WebRTC.
    Janus {
        /// The gateway's HTTP interface, such as `https://media.example.com/janus`.
        url: Url,
        /// The room's number or name.
        room: String,
        /// The room's pin.
        pin: Option<SecretRef>,
        /// A token of the gateway.
        token: Option<SecretRef>,
        /// The gateway's one secret for all.
        api_secret: Option<SecretRef>,
    },
}

/// How we sit in an X Space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seat {
    /// As every listener: the public playlist, 10 to 25 s behind.
    #[default]
    Listener,
    /// On the stage, muted: every speaker by WebRTC.
    Speaker {
        /// Whether the host is asked for the seat, where not everybody may speak.
        ask: bool,
        /// How long the host's answer is waited for.
        approval: Duration,
    },
}

impl SourceKind {
    /// Whether every speaker comes apart.
    pub fn is_room(&self) -> bool {
        matches!(self, Self::Janus { .. } | Self::XSpace { seat: Seat::Speaker { .. }, .. })
    }

    /// Whether its media come by WebRTC, straight to this machine, by UDP.
    pub fn is_webrtc(&self) -> bool {
        let speaks = |seat: &Seat| matches!(seat, Seat::Speaker { .. });
        match self {
            Self::Whep { .. } | Self::Janus { .. } => true,
            Self::XSpace { seat, .. } => speaks(seat),
            Self::Uri { .. } | Self::Tone { .. } => false,
        }
    }

    /// Every secret that it names, by its key.
    pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let all: Vec<(&'static str, &Option<SecretRef>)> = match self {
            Self::XSpace { auth_token, ct0, .. } => vec![("auth_token", auth_token), ("ct0", ct0)],
            Self::Whep { token, .. } => vec![("token", token)],
            Self::Janus { pin, token, api_secret, .. } => {
                vec![("pin", pin), ("token", token), ("api_secret", api_secret)]
            }
            Self::Uri { .. } | Self::Tone { .. } => Vec::new(),
        };
        all.into_iter().filter_map(|(key, secret)| Some((key, secret.as_ref()?))).collect()
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
