//! What X still holds of a Space: the list of everything so far while it runs, the replay afterwards.
//!
//! Finds the list (`list` reads it) and fetches what it names (`fetch`). The CDN gets no cookie; only the API does.
//! While a Space is running the list lags behind by an unknown time and may be absent, and after the end it takes a
//! minute or longer until it is made (observed by twspace-dl, tslazer and twspace-crawler): neither is an error that
//! stays.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use url::Url;

use super::api::XApi;
use super::error::ApiError;
use super::metadata::{Metadata, SpaceState};
use super::url::{SpaceAddress, SpaceId};
use super::{HttpClient, Memory, XSpaceSource, follow};
use crate::net::{Answer, NetError, Request};
use crate::source::hls::edges::Edges;
use crate::source::past::{Fetching, Listing, PastEntry, PastList, PastQuery};
use crate::source::{Past, SessionInfo, SourceError, SourceFault};
use list::{Listed, Place};

mod fetch;
mod list;

/// How long after the end X may take to make a list that nobody promised (a minute is usual, more for long Spaces).
const UNPROMISED: i64 = 15 * 60;

/// The same where X says that there is a replay.
const PROMISED: i64 = 24 * 3600;

/// A refusal for too many requests that names no time.
const USUAL_WAIT: Duration = Duration::from_secs(10);

/// Longest time that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(900);

const NO_REPLAY: &str =
    "there is no replay: the host did not have the Space recorded, and X gives no list of what was said";

/// Asks X and its CDN for what was said.
#[derive(Debug)]
pub(super) struct SpacePast {
    api: Arc<XApi>,
    client: HttpClient,
    headers: Vec<(&'static str, String)>,
    edges: Edges,
    address: SpaceAddress,
    memory: Memory,
}

/// Why something could not be had.
#[derive(Debug)]
enum Miss {
    /// The server says that there is no such thing.
    Absent,
    /// Anything else.
    Failed(SourceError),
}

impl SpacePast {
    /// Of the Space that `source` hears.
    pub(super) fn new(source: &XSpaceSource) -> Self {
        let XSpaceSource { address, api, client, config, memory } = source;
        Self {
            api: api.clone(),
            client: client.clone(),
            headers: follow::headers(config),
            edges: Edges::new(&config.edges),
            address: address.clone(),
            memory: memory.clone(),
        }
    }

    async fn look(&self, query: &PastQuery) -> Result<PastList, SourceError> {
        let known = self.known_playlists(query);
        let id = self.space_id(query);
        let metadata = match &id {
            Some(id) => self.metadata(id, !known.is_empty()).await?,
            None => None,
        };
        let places = self.places(metadata.as_ref(), known).await?;
        let has_ended = metadata.as_ref().is_some_and(|metadata| metadata.state.is_over());
        let listed = match self.first_list(&places).await {
            Ok(listed) => listed,
            Err(Miss::Failed(error)) => return Err(error),
            Err(Miss::Absent) => return Err(self.absent(metadata.as_ref())),
        };
        let info = metadata.zip(id).map(|(metadata, id)| SessionInfo {
            playlist_url: places.iter().find_map(Place::live).map(Url::to_string),
            ..metadata.session(id.as_str())
        });
        // Where X cannot be asked, a list that says that nothing follows is one of a Space that is over.
        let is_replay = if info.is_some() { has_ended } else { listed.ended };
        Ok(PastList { info, is_replay, ended: listed.ended, entries: listed.entries })
    }

    /// Addresses under which the Space was heard, the newest first.
    fn known_playlists(&self, query: &PastQuery) -> Vec<Url> {
        let is_own = query.session == self.address.session_id();
        let newest = self.memory.playlist.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|_| is_own);
        let given = match &self.address {
            SpaceAddress::Playlist(url) if is_own => Some(url.clone()),
            _ => None,
        };
        let kept = query.playlist_url.as_deref().and_then(|url| Url::parse(url).ok());
        let mut known = Vec::new();
        for url in [newest, kept, given].into_iter().flatten() {
            if !known.contains(&url) {
                known.push(url);
            }
        }
        known
    }

    fn space_id(&self, query: &PastQuery) -> Option<SpaceId> {
        SpaceId::new(&query.session).or_else(|| match &self.address {
            SpaceAddress::Space { id, .. } if query.session.is_empty() => Some(id.clone()),
            _ => None,
        })
    }

    /// What X says of the Space; nothing if it says nothing and `without` that it will do.
    async fn metadata(&self, id: &SpaceId, without: bool) -> Result<Option<Metadata>, SourceError> {
        match self.api.space(id).await {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if without => {
                tracing::debug!(%error, "X says nothing of the Space; its list is read all the same.");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where lists may be, the best first.
    async fn places(&self, metadata: Option<&Metadata>, known: Vec<Url>) -> Result<Vec<Place>, SourceError> {
        let mut places: Vec<Place> = known.into_iter().map(Place::of).collect();
        let Some(metadata) = metadata else { return Ok(places) };
        match metadata.state {
            SpaceState::Canceled => {
                return Err(SourceError::gone("the Space was cancelled by its host: there is no sound"));
            }
            SpaceState::NotStarted | SpaceState::PrePublished if places.is_empty() => {
                return Err(SourceError::transient("the Space has not begun: nothing was said so far"));
            }
            _ => {}
        }
        if metadata.state.is_over() || places.is_empty() {
            match self.stream(metadata).await {
                Ok(url) if !places.iter().any(|place| *place.url() == url) => places.insert(0, Place::of(url)),
                Ok(_) | Err(ApiError::NoStream) => {}
                Err(error) if places.is_empty() => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "X does not tell where the Space's list is."),
            }
        }
        match places.is_empty() {
            false => Ok(places),
            true if metadata.state.is_over() && metadata.has_replay == Some(false) => Err(SourceError::gone(NO_REPLAY)),
            true => Err(self.absent(Some(metadata))),
        }
    }

    async fn stream(&self, metadata: &Metadata) -> Result<Url, ApiError> {
        match &metadata.media_key {
            Some(key) => self.api.stream(key).await,
            None => Err(ApiError::NoStream),
        }
    }

    async fn first_list(&self, places: &[Place]) -> Result<Listed, Miss> {
        let mut miss = Miss::Absent;
        for place in places {
            match self.read(place).await {
                Ok(listed) => return Ok(listed),
                Err(failed @ Miss::Failed(_)) => miss = failed,
                Err(Miss::Absent) => {}
            }
        }
        Err(miss)
    }

    /// What it means that there is no list.
    fn absent(&self, metadata: Option<&Metadata>) -> SourceError {
        let Some(metadata) = metadata.filter(|metadata| metadata.state.is_over()) else {
            return SourceError::transient("X has no list of what was said so far: it may come later");
        };
        let promised = metadata.has_replay == Some(true);
        let since = metadata.ended_at.map(|ended| self.api.clock.wall().as_second() - ended.as_second());
        if since.is_none_or(|since| since < if promised { PROMISED } else { UNPROMISED }) {
            return SourceError::transient("X has not made the replay yet: a minute is usual, more after a long Space");
        }
        SourceError::gone(if promised { "X does not hold the replay any more" } else { NO_REPLAY })
    }

    /// `url`, at its own edge or, if that fails, at another; and from which it came.
    async fn get_anywhere(&self, url: &Url, max_bytes: usize, time: Duration) -> Result<(Url, Answer), Miss> {
        let mut first = None;
        for place in self.edges.everywhere(url) {
            match self.get(&place, max_bytes, time).await {
                Ok(answer) => return Ok((place, answer)),
                Err(Miss::Failed(error)) if matches!(error.class, SourceFault::RateLimited(_)) => {
                    return Err(Miss::Failed(error));
                }
                Err(miss) => _ = first.get_or_insert(miss),
            }
        }
        Err(first.unwrap_or(Miss::Absent))
    }

    async fn get(&self, url: &Url, max_bytes: usize, time: Duration) -> Result<Answer, Miss> {
        let request = Request { headers: self.headers.clone(), ..Request::get(url.clone(), max_bytes, time) };
        let answer = self.client.send(request).await.map_err(|error| Miss::Failed(unreachable(&error)))?;
        judged(answer)
    }
}

impl Past for SpacePast {
    fn describe(&self) -> String {
        match &self.address {
            SpaceAddress::Space { id, .. } => format!("what X holds of Space {}", id.as_str()),
            SpaceAddress::Playlist(url) => format!("what {} holds of the Space", url.host_str().unwrap_or_default()),
        }
    }

    fn list<'a>(&'a self, query: &'a PastQuery) -> Listing<'a> {
        Box::pin(self.look(query))
    }

    fn fetch<'a>(&'a self, entry: &'a PastEntry) -> Fetching<'a> {
        Box::pin(self.segment(entry))
    }
}

fn unreachable(error: &NetError) -> SourceError {
    let words = format!("the CDN cannot be asked: {error}");
    if error.is_permanent() { SourceError::operator(words) } else { SourceError::transient(words) }
}

/// The answer, if it is one that holds what was asked for.
fn judged(answer: Answer) -> Result<Answer, Miss> {
    let limited = |wait: Duration| SourceError {
        message: format!("the CDN refuses further requests for {} s", wait.as_secs()),
        class: SourceFault::RateLimited(wait),
    };
    let wait = answer.rate.retry_after.map(|wait| wait.min(LONGEST_WAIT));
    match (answer.status, wait) {
        (200..=299, _) => Ok(answer),
        (404 | 410, _) => Err(Miss::Absent),
        (429, wait) => Err(Miss::Failed(limited(wait.unwrap_or(USUAL_WAIT)))),
        (_, Some(wait)) => Err(Miss::Failed(limited(wait))),
        (status @ (401 | 403 | 451), _) => Err(Miss::Failed(SourceError::transient(format!(
            "the CDN refuses what was asked for (status {status}): it may want another x.referer or x.user_agent"
        )))),
        (status, _) => Err(Miss::Failed(SourceError::transient(format!("the CDN is out of order (status {status})")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::RateLimit;

    #[test]
    fn every_answer_of_the_cdn_is_told_apart_by_table() {
        let answer = |status: u16, retry_after: Option<u64>| Answer {
            location: None,
            status,
            url: Url::parse("http://h/").expect("a url"),
            content_type: String::new(),
            rate: RateLimit { retry_after: retry_after.map(Duration::from_secs), ..RateLimit::default() },
            body: bytes::Bytes::new(),
        };
        let seconds = Duration::from_secs;
        assert!(judged(answer(206, None)).is_ok());
        for status in [404, 410] {
            assert!(matches!(judged(answer(status, Some(5))), Err(Miss::Absent)), "{status}");
        }
        for (status, retry_after, class) in [
            (429, None, SourceFault::RateLimited(USUAL_WAIT)),
            (429, Some(7), SourceFault::RateLimited(seconds(7))),
            (503, Some(99_999), SourceFault::RateLimited(LONGEST_WAIT)),
            (503, None, SourceFault::Transient),
            (403, None, SourceFault::Transient),
            (400, None, SourceFault::Transient),
        ] {
            let Err(Miss::Failed(error)) = judged(answer(status, retry_after)) else { panic!("{status} is no answer") };
            assert_eq!(error.class, class, "{status} {retry_after:?}");
        }
        let private = unreachable(&NetError::PrivateAddress("10.0.0.1".to_owned()));
        assert_eq!(private.class, SourceFault::Operator);
        assert_eq!(unreachable(&NetError::TimedOut(seconds(1))).class, SourceFault::Transient);
    }
}
