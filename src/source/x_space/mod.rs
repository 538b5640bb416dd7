//! X Spaces on the path that every listener uses: metadata, the live playlist, segments, decoded audio.
//!
//! [`XSpaceSource`] is one way to hear a Space. `lookup` finds the playlist, `follow` hears it to its end,
//! `reporter` tells what happens; the parts
//! below them (`api`, `metadata`, `segment`, `id3`, `timeline`) know nothing of each other's work.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::url::{SpaceAddress, SpaceId};
use super::hls::late::LateBook;
use super::{Attempt, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError};
use crate::clock::Clock;
use crate::config::XApiConfig;
use crate::net::{HttpClient, HttpSettings};
use api::XApi;
use auth::Auth;
use follow::Follow;
use lookup::Found;
use reporter::Reporter;

pub mod api;
pub mod auth;
pub mod chat;
mod error;
mod follow;
mod host;
mod id3;
mod limits;
mod lookup;
pub mod metadata;
mod past;
mod quiet;
mod reporter;
pub mod seat;
pub mod segment;
mod successor;
mod timeline;
pub mod url;
pub mod user;

pub use error::ApiError;

/// Whether `session` is one of the Space `space`: what its listeners hear, or what is heard on its stage.
pub fn is_session_of(session: &str, space: &str) -> bool {
    session == space || session == seat::session_of(space)
}

/// A Space, heard as a listener.
#[derive(Debug)]
pub struct XSpaceSource {
    address: SpaceAddress,
    api: Arc<XApi>,
    client: HttpClient,
    config: XApiConfig,
    memory: Memory,
}

/// What outlives an attempt.
#[derive(Debug, Clone, Default)]
struct Memory {
    /// The live playlist, once it was found.
    playlist: Arc<Mutex<Option<::url::Url>>>,
    /// Segments that were given up.
    late: Arc<Mutex<LateBook>>,
}

impl XSpaceSource {
    /// The Space that somebody pasted as `url`, asked for as `auth`.
    ///
    /// # Errors
    /// When `url` is no address of a Space, in words that say what to paste; when the system has no TLS.
    pub fn new(url: &str, config: &XApiConfig, auth: Auth, clock: &Clock) -> Result<Self, SourceError> {
        let address = SpaceAddress::parse(url).map_err(|error| SourceError::operator(error.to_string()))?;
        let playlist = match &address {
            SpaceAddress::Playlist(url) => Some(url.clone()),
            SpaceAddress::Space { .. } => None,
        };
        let client = client(config, playlist)?;
        let api = Arc::new(XApi::new(client.clone(), clock.clone(), config.clone(), auth));
        Ok(Self { address, api, client, config: config.clone(), memory: Memory::default() })
    }

    /// Where the Space is.
    pub fn address(&self) -> &SpaceAddress {
        &self.address
    }

    /// Asks X, as the source itself does.
    pub fn api(&self) -> &XApi {
        &self.api
    }

    /// A reader of the playlist at `url` from its present window on, as the source itself reads.
    pub fn reader(&self, url: ::url::Url, clock: &Clock) -> super::hls::HlsReader {
        let tracker = super::hls::tracker::Tracker::new(None);
        super::hls::HlsReader::new(self.client.clone(), clock.clone(), url, follow::headers(&self.config), tracker)
    }

    /// Looks for the host's next Space, to be heard as a listener or from a seat.
    fn search(&self, seat: Option<seat::Rules>) -> successor::HostSearch {
        let Self { api, client, config, .. } = self;
        let (api, client, config) = (api.clone(), client.clone(), config.clone());
        successor::HostSearch { api, client, config, seat, refresh: Duration::ZERO }
    }

    async fn attempt(&self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        let session_id = self.address.session_id();
        let resume = context.resume.clone().filter(|resume| resume.session_id == session_id);
        let mut reporter = Reporter::new(context, session_id, resume, self.memory.clone());
        reporter.late().reset();
        match &self.address {
            SpaceAddress::Playlist(url) => {
                reporter.session(SessionInfo { phase: SessionPhase::Live, ..reporter.known() }).await?;
                Follow::begin(self, reporter, url.clone(), None).await?.run().await
            }
            SpaceAddress::Space { id, broadcast_link } => {
                let found = lookup::find(&self.api, &self.config, &mut reporter, id).await;
                match found.map_err(|error| explained(error, *broadcast_link))? {
                    Found::Over => Ok(SourceEnd::SessionEnded),
                    Found::Leftovers(url) => {
                        Follow::begin(self, reporter, url, Some(id.clone())).await?.leftovers().run().await
                    }
                    Found::Playlist(url) => Follow::begin(self, reporter, url, Some(id.clone())).await?.run().await,
                }
            }
        }
    }
}

/// Asks X without a Space in mind: which account a handle names, and which Space it is live in.
///
/// # Errors
/// When the system has no TLS.
pub fn api(config: &XApiConfig, auth: Auth, clock: &Clock) -> Result<XApi, SourceError> {
    Ok(XApi::new(client(config, None)?, clock.clone(), config.clone(), auth))
}

fn client(config: &XApiConfig, playlist: Option<::url::Url>) -> Result<HttpClient, SourceError> {
    let mut operator_urls = vec![config.api_base.clone(), config.guest_base.clone(), config.chat_base.clone()];
    operator_urls.extend(playlist);
    operator_urls.extend(config.edges.iter().filter_map(|edge| format!("https://{edge}/").parse().ok()));
    let settings = HttpSettings {
        patience: None,
        user_agent: config.user_agent.clone(),
        allow_private_addresses: config.allow_private_addresses,
        operator_urls,
        secret_hosts: config.cookie_hosts.clone(),
    };
    HttpClient::new(settings).map_err(|error| SourceError::operator(error.to_string()))
}

/// A link of a broadcast is mostly one of a video: say so where nothing was found.
fn explained(mut error: SourceError, broadcast_link: bool) -> SourceError {
    if broadcast_link && error.is_permanent() {
        error.message.push_str(" (the link is one of a broadcast: if that is a video, it cannot be carried)");
    }
    error
}

impl Source for XSpaceSource {
    fn describe(&self) -> String {
        match &self.address {
            SpaceAddress::Space { id, .. } => format!("Space {}", id.as_str()),
            SpaceAddress::Playlist(url) => format!("playlist at {}", url.host_str().unwrap_or_default()),
        }
    }

    fn session_id(&self) -> Option<String> {
        Some(self.address.session_id())
    }

    fn successor(&self) -> Option<Box<dyn super::Search>> {
        Some(Box::new(self.search(None)))
    }

    fn past(&self) -> Option<Box<dyn super::Past>> {
        Some(Box::new(past::SpacePast::new(self)))
    }

    /// 6 s. X's playlists have a target duration of 4 s, so that they are looked at every 2 s, and segments of 3 s. A
    /// segment may therefore be seen 2 s after it was listed, and takes up to half a second to be fetched and decoded;
    /// listings jitter by about as much. And since the first look cannot tell for how long the newest segment has been
    /// listed (0 to 3 s), the first sample of a segment is due on the air at the earliest 6 s - 3 s after its listing:
    /// 3 s, just what looking, fetching and jitter need. Less would be late at times.
    fn default_delay(&self) -> Duration {
        Duration::from_secs(6)
    }

    fn is_continuous(&self) -> bool {
        false
    }

    fn run(&mut self, context: SourceContext) -> Attempt<'_> {
        Box::pin(async move {
            let token = context.token.clone();
            tokio::select! {
                () = token.cancelled() => Ok(SourceEnd::Cancelled),
                result = self.attempt(context) => result,
            }
        })
    }
}

#[cfg(test)]
mod tests;
