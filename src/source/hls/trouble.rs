//! Why a playlist brings nothing new: told apart, each in its own words, with what the operator can do. Pure.

use std::time::Duration;

use super::playlist::PlaylistError;
use crate::net::{Answer, NetError};

/// A refusal without a time, and the first step of slowing down.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause after refusals that name no time: one try in 10 s at least.
const SLOWEST: Duration = Duration::from_secs(10);

/// Longest pause that a server may ask for: the window of the usual limits.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// Why there is nothing new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The playlist answers 404: not started, ended, or the host is away.
    NotFound,
    /// The playlist is refused: 401, 403 or 451.
    Forbidden(u16),
    /// Too many requests: asked again after this.
    Limited(Duration),
    /// The server is out of order: 5xx.
    Server(u16),
    /// The playlist answers another status.
    Status(u16),
    /// The playlist lists nothing new since this long.
    Unchanged(Duration),
    /// No complete answer within this.
    TimedOut(Duration),
    /// The connection is refused, reset or cut: in words.
    Unreachable(String),
    /// A page or something else instead of a playlist.
    NotAPlaylist,
    /// The list breaks off in the middle.
    Cut,
    /// No answer that can be read: in words.
    Failed(String),
    /// An address that may not be asked, or a playlist of a kind that is not supported: in words.
    Refused(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("the playlist answers 404"),
            Self::Forbidden(status) => write!(f, "the playlist is refused (status {status})"),
            Self::Limited(wait) => write!(f, "the playlist is refused for {} s (too many requests)", wait.as_secs()),
            Self::Server(status) => write!(f, "the playlist's server is out of order (status {status})"),
            Self::Status(status) => write!(f, "the playlist answers {status}"),
            Self::Unchanged(time) => write!(f, "the playlist has not changed for {} s", time.as_secs()),
            Self::TimedOut(time) => write!(f, "the playlist gives no complete answer within {} s", time.as_secs()),
            Self::Unreachable(words) => write!(f, "the playlist's server cannot be reached: {words}"),
            Self::NotAPlaylist => f.write_str("the playlist's server answers with something else than a playlist"),
            Self::Cut => f.write_str("the playlist breaks off in the middle"),
            Self::Failed(words) | Self::Refused(words) => write!(f, "the playlist cannot be had: {words}"),
        }
    }
}

impl Trouble {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "source.absent",
            Self::Forbidden(_) => "source.forbidden",
            Self::Limited(_) => "source.limited",
            Self::Server(_) | Self::Status(_) => "source.server",
            Self::Unchanged(_) => "source.frozen",
            Self::TimedOut(_) => "source.slow",
            Self::Unreachable(_) => "source.unreachable",
            Self::NotAPlaylist | Self::Cut | Self::Failed(_) | Self::Refused(_) => "source.garbled",
        }
    }

    /// What the operator can do.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Forbidden(_) => {
                Some("The CDN may want another x.referer or x.user_agent, or refuse this machine's network.")
            }
            Self::Limited(_) => Some("Make sure that nothing else on this network reads the same playlist."),
            Self::TimedOut(_) | Self::Unreachable(_) => {
                Some("Check this machine's network; other edges of the CDN can be named in x.edges.")
            }
            Self::Server(_) | Self::Unchanged(_) => Some("Other edges of the CDN can be named in x.edges."),
            _ => None,
        }
    }

    /// Whether the same playlist at another host may do better.
    pub(super) fn asks_for_another_edge(&self) -> bool {
        !matches!(self, Self::Limited(_) | Self::Refused(_))
    }

    /// What an answer without a list says; `refusals` is how many came in a row before.
    pub(super) fn of_status(answer: &Answer, refusals: u32) -> Option<Self> {
        Some(match answer.status {
            200..=299 => return None,
            404 | 410 => Self::NotFound,
            401 | 403 | 451 => Self::Forbidden(answer.status),
            429 => {
                let slower = FIRST_PAUSE.saturating_mul(1 << refusals.min(8)).min(SLOWEST);
                Self::Limited(answer.rate.retry_after.map_or(slower, |wait| wait.min(LONGEST_PAUSE)))
            }
            status @ 500..=599 => Self::Server(status),
            status => Self::Status(status),
        })
    }
}

impl From<NetError> for Trouble {
    fn from(error: NetError) -> Self {
        match error {
            NetError::TimedOut(limit) => Self::TimedOut(limit),
            NetError::Connection(words) => Self::Unreachable(words),
            error if error.is_permanent() => Self::Refused(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<PlaylistError> for Trouble {
    fn from(error: PlaylistError) -> Self {
        match error {
            PlaylistError::NotAPlaylist => Self::NotAPlaylist,
            error if error.is_permanent() => Self::Refused(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::RateLimit;

    #[test]
    fn every_kind_of_answer_has_its_own_words_and_code_by_table() {
        let answer = |status: u16, retry_after: Option<u64>| Answer {
            location: None,
            status,
            url: url::Url::parse("http://h/").expect("a url"),
            content_type: String::new(),
            rate: RateLimit { retry_after: retry_after.map(Duration::from_secs), ..RateLimit::default() },
            body: bytes::Bytes::new(),
        };
        for (status, retry, refusals, code, words) in [
            (404, None, 0, "source.absent", "answers 404"),
            (410, None, 0, "source.absent", "answers 404"),
            (403, None, 0, "source.forbidden", "status 403"),
            (429, Some(7), 0, "source.limited", "for 7 s"),
            (429, Some(99_999), 0, "source.limited", "for 900 s"),
            (429, None, 0, "source.limited", "for 2 s"),
            (429, None, 2, "source.limited", "for 8 s"),
            (429, None, 99, "source.limited", "for 10 s"),
            (503, None, 0, "source.server", "out of order (status 503)"),
            (418, None, 0, "source.server", "answers 418"),
        ] {
            let trouble = Trouble::of_status(&answer(status, retry), refusals).expect("trouble");
            assert_eq!(trouble.code(), code, "{status}");
            assert!(trouble.to_string().contains(words), "{trouble}");
        }
        assert_eq!(Trouble::of_status(&answer(200, None), 0), None);
        let reset = Trouble::from(NetError::Connection("connection reset".to_owned()));
        assert_eq!((reset.code(), Trouble::from(NetError::BadUrl).code()), ("source.unreachable", "source.garbled"));
        assert_eq!(Trouble::from(PlaylistError::NotAPlaylist).to_string().matches("else than a playlist").count(), 1);
    }
}
