//! What X's API can refuse, in words that say what to do.

use std::time::Duration;

use super::auth::LOG_IN_AGAIN;
use super::limits::LONGEST_WAIT;
use crate::net::NetError;
use crate::source::{SourceError, SourceFault};

/// What the operator can do when X's own page is let in and we are not.
const PASTE_PLAYLIST: &str = "open the Space in a browser, find the address that ends with dynamic_playlist.m3u8?type=live in \
     the network panel of its developer tools, and use that as the source's url: it works without X's API";

/// Why X's API gave no answer that helps. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No answer at all.
    #[error("X cannot be asked: {0}")]
    Net(NetError),
    /// Too many calls.
    #[error("X refuses further calls {} (rate limit)", limit_words(*.0))]
    RateLimited(Duration),
    /// The account's cookies do not count any more.
    #[error("X does not accept the cookies{0}: they have expired or belong to different logins; {LOG_IN_AGAIN}")]
    Login(String),
    /// The account itself is out of use.
    #[error(
        "X has suspended or locked the account of the cookies; open x.com with it in a browser and do what X asks, or \
             give the cookies of another account"
    )]
    Suspended,
    /// Guests are not served.
    #[error(
        "X does not serve guests{0}; log in: give auth_token and ct0, or cookies_file, of an account of your own in the \
         source's settings"
    )]
    Guest(String),
    /// X demands the header that its own page computes.
    #[error("X demands the header x-client-transaction-id, which only its own page can compute; {PASTE_PLAYLIST}")]
    TransactionId,
    /// Both operations answer 404.
    #[error(
        "X does not know the calls AudioSpaceById and AudiospaceByRestId by the configured query ids: they change with X's \
         page (set x.audio_space_by_id and x.audiospace_by_rest_id to the new ones; in the browser's network panel they \
         stand before the names), or X now demands the header x-client-transaction-id; until then {PASTE_PLAYLIST}"
    )]
    StaleQueryId,
    /// The call that knows handles answers 404.
    #[error(
        "X does not know the call UserByScreenName by the configured query id (set x.user_by_screen_name to the new one), or \
         does not answer it to a program; give the host's user id or the link of an earlier Space of the host instead"
    )]
    StaleUserQuery,
    /// The call that begins the sign-in of a speaker answers 404.
    #[error(
        "X does not know the call AuthenticatePeriscope by the configured query id, which changes with X's page (set \
         x.authenticate_periscope to the new one)"
    )]
    StaleAuthenticate,
    /// No account by that handle.
    #[error("X knows no account of this handle; check how it is written")]
    NoUser,
    /// No Space by that id.
    #[error(
        "there is no Space with this id, or it is private{0}; check the link, and that the account of the cookies can open it \
         in a browser"
    )]
    NotFound(&'static str),
    /// Not an id of X.
    #[error("X does not understand the Space's id; check the link")]
    InvalidId,
    /// Another country.
    #[error("X does not play this Space in the country of this machine's network; run the bridge elsewhere")]
    Geoblocked,
    /// Pictures.
    #[error("this is a video broadcast, not an audio Space; only audio Spaces are carried")]
    Video,
    /// No stream by that media key.
    #[error("X names no stream for the Space: it is not audible yet, or it ended and was not recorded")]
    NoStream,
    /// Something else than JSON.
    #[error(
        "X answered with a page instead of data (status {0}); it may be out of order, or think that this is a robot"
    )]
    NotJson(u16),
    /// X's own fault.
    #[error("X is out of order (status {0})")]
    Server(u16),
    /// A refusal that is not known.
    #[error("X refused: {0}")]
    Refused(String),
    /// The configuration cannot be used.
    #[error("the configuration of X's API cannot be used: {0}")]
    Configuration(String),
}

/// A wait that was cut short is told as such.
fn limit_words(wait: Duration) -> String {
    let seconds = wait.as_secs();
    if wait >= LONGEST_WAIT {
        format!("for {seconds} s or longer: asked again then")
    } else {
        format!("for {seconds} s")
    }
}

impl ApiError {
    /// How to answer it.
    pub fn class(&self) -> SourceFault {
        match self {
            Self::RateLimited(wait) => SourceFault::RateLimited(*wait),
            Self::Net(error) if error.is_permanent() => SourceFault::Operator,
            Self::Net(_) | Self::NoStream | Self::NotJson(_) | Self::Server(_) | Self::Refused(_) => {
                SourceFault::Transient
            }
            Self::NotFound(_) | Self::InvalidId | Self::NoUser => SourceFault::Gone,
            Self::Login(_)
            | Self::Suspended
            | Self::StaleAuthenticate
            | Self::Guest(_)
            | Self::TransactionId
            | Self::StaleQueryId
            | Self::StaleUserQuery
            | Self::Geoblocked
            | Self::Video
            | Self::Configuration(_) => SourceFault::Operator,
        }
    }

    /// Whether asking again without the operator cannot help.
    pub fn is_permanent(&self) -> bool {
        matches!(self.class(), SourceFault::Operator | SourceFault::Gone)
    }
}

impl From<ApiError> for SourceError {
    fn from(error: ApiError) -> Self {
        Self { class: error.class(), message: error.to_string() }
    }
}
