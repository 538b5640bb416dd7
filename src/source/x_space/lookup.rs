//! From a Space's id to its live playlist: look-ups until it runs, politely.

use std::future::Future;
use std::time::Duration;

use url::Url;

use super::api::XApi;
use super::error::ApiError;
use super::metadata::{Metadata, SpaceState};
use super::{Reporter, SpaceId};
use crate::clock::Clock;
use crate::config::XApiConfig;
use crate::source::{SessionInfo, SessionPhase, SourceError};

/// Longest pause between two look-ups, while the start is far away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A start that is further away than this is far away.
const FAR: i64 = 10 * 60;

/// This long before the announced start the Space may open at any moment.
const NEAR: i64 = 2 * 60;

/// Where a playlist is known already, it is read when X has said nothing for this long.
const KNOWN_PATIENCE: Duration = Duration::from_secs(2);

/// What a look-up led to.
#[derive(Debug)]
pub(super) enum Found {
    /// The live playlist.
    Playlist(Url),
    /// The session is over; what its playlist still holds was not received yet.
    Leftovers(Url),
    /// The session is over, and an earlier attempt received what there was.
    Over,
}

/// Finds the playlist of Space `id`, however long that takes.
///
/// # Errors
/// When X cannot be asked and no playlist is known; when there is no such Space, or it is over.
pub(super) async fn find(
    api: &XApi,
    config: &XApiConfig,
    reporter: &mut Reporter,
    id: &SpaceId,
) -> Result<Found, SourceError> {
    let mut reason = String::new();
    loop {
        let metadata = match known_or(api.space(id), reporter).await {
            Some(Ok(metadata)) => metadata,
            Some(Err(error)) => return without_api(error, reporter).await,
            None => return without_answer(reporter).await,
        };
        if metadata.state.is_over() {
            // Who hosted it is what the next one is found by.
            if reporter.resume.is_some() {
                reporter.session(metadata.session(id.as_str())).await?;
            }
            return over(&metadata, reporter);
        }
        reporter.session(metadata.session(id.as_str())).await?;
        let found = match known_or(stream(api, &metadata), reporter).await {
            Some(found) => found,
            None => return without_answer(reporter).await,
        };
        let said = match found {
            Ok(Some(url)) => {
                reporter.remember(&url);
                reporter.session(SessionInfo { playlist_url: Some(url.to_string()), ..reporter.known() }).await?;
                return Ok(Found::Playlist(url));
            }
            Ok(None) => String::new(),
            Err(error @ ApiError::NoStream) => error.to_string(),
            Err(error) => return without_api(error, reporter).await,
        };
        if said != reason && !said.is_empty() {
            reporter.stalled(said.clone()).await?;
        }
        reason = said;
        let left = metadata.scheduled_start.map(|at| at.as_second() - reporter.clock().schedule().as_second());
        reporter.clock().sleep(pause(left, reporter.clock(), config.lookup_interval)).await;
    }
}

/// The playlist of a Space that runs; none if it does not run yet.
pub(super) async fn stream(api: &XApi, metadata: &Metadata) -> Result<Option<Url>, ApiError> {
    match (metadata.state, &metadata.media_key) {
        (SpaceState::Running | SpaceState::Unknown, Some(key)) => api.stream(key).await.map(Some),
        (SpaceState::Running | SpaceState::Unknown, None) => Err(ApiError::NoStream),
        _ => Ok(None),
    }
}

/// The answer; none if it lets a playlist that is known wait.
async fn known_or<T>(answer: impl Future<Output = T>, reporter: &Reporter) -> Option<T> {
    if reporter.known_playlist().is_none() {
        return Some(answer.await);
    }
    tokio::time::timeout(KNOWN_PATIENCE, answer).await.ok()
}

/// X is slow: what is known is read, and X is asked again beside it.
async fn without_answer(reporter: &mut Reporter) -> Result<Found, SourceError> {
    let silent = ApiError::Net(crate::net::NetError::TimedOut(KNOWN_PATIENCE));
    without_api(silent, reporter).await
}

/// Audio goes on, whatever the API says, as long as a playlist is known.
async fn without_api(error: ApiError, reporter: &mut Reporter) -> Result<Found, SourceError> {
    let Some(url) = reporter.known_playlist() else { return Err(error.into()) };
    let known = SessionInfo { phase: SessionPhase::Live, playlist_url: Some(url.to_string()), ..reporter.known() };
    reporter.session(known).await?;
    reporter.api_trouble(&error).await?;
    Ok(Found::Playlist(url))
}

fn over(metadata: &Metadata, reporter: &Reporter) -> Result<Found, SourceError> {
    if let Some(url) = reporter.known_playlist() {
        return Ok(Found::Leftovers(url));
    }
    if reporter.resume.is_some() {
        return Ok(Found::Over);
    }
    let when = metadata.ended_at.map(|at| format!(" at {}", at.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
    let what = match metadata.state {
        SpaceState::Canceled => "the Space was cancelled by its host".to_owned(),
        SpaceState::TimedOut => format!("the Space broke off{when}: its host vanished"),
        _ => format!("the Space ended{when}"),
    };
    Err(SourceError::gone(format!(
        "{what}; only live Spaces are carried: give the link of one that is live or announced"
    )))
}

/// How long to wait before the next look-up, `left` seconds of the schedule before the announced start.
fn pause(left: Option<i64>, clock: &Clock, interval: Duration) -> Duration {
    match left {
        Some(left) if left > FAR => {
            let slow = (interval * 3).min(LONGEST_PAUSE).max(interval);
            // Never sleeps into the time when it gets interesting, nor faster than configured.
            slow.min(clock.real(Duration::from_secs((left - NEAR).unsigned_abs()))).max(interval)
        }
        _ => interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_are_rare_long_before_the_start_and_never_faster_than_configured() {
        let seconds = Duration::from_secs;
        for (left, interval, expected) in [
            (Some(86_400), 10, 30),
            (Some(86_400), 30, 60),
            (Some(601), 200, 200),
            (Some(300), 10, 10),
            (Some(60), 10, 10),
            (Some(-60), 10, 10),
            (Some(0), 2, 2),
            (None, 10, 10),
            (Some(i64::MAX), 10, 30),
        ] {
            let found = pause(left, &Clock::system(), seconds(interval));
            assert_eq!(found, seconds(expected), "{left:?} {interval}");
        }
        let pace = crate::clock::Pace { epoch: jiff::Timestamp::UNIX_EPOCH, speed: 100.0 };
        assert_eq!(pause(Some(1_320), &Clock::paced(Some(pace)), seconds(5)), seconds(12));
    }
}
