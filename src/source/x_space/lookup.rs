//! From a Space's id to its live playlist: look-ups until it runs, politely.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::api::XApi;
use super::error::ApiError;
use super::metadata::{Metadata, SpaceState};
use super::{Reporter, SpaceId};
use crate::config::XApiConfig;
use crate::source::{SessionInfo, SessionPhase, SourceError, SourceFault};

/// Longest pause between two look-ups, while the start is far away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Shortest pause between two look-ups, around the announced start.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);

/// A start that is further away than this is far away.
const FAR: i64 = 10 * 60;

/// Within this of the announced start, before and after, the Space may open at any moment.
const NEAR: i64 = 2 * 60;

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
        let metadata = match api.space(id).await {
            Ok(metadata) => metadata,
            Err(error) => return without_api(error, reporter).await,
        };
        if metadata.state.is_over() {
            // Who hosted it is what the next one is found by.
            if reporter.resume.is_some() {
                reporter.session(metadata.session(id.as_str())).await?;
            }
            return over(&metadata, reporter);
        }
        reporter.session(metadata.session(id.as_str())).await?;
        let said = match stream(api, &metadata).await {
            Ok(Some(url)) => {
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
        let now = reporter.clock().wall();
        reporter.clock().sleep(pause(metadata.scheduled_start, now, config.lookup_interval)).await;
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

/// Audio goes on, whatever the API says, as long as a playlist is known.
async fn without_api(error: ApiError, reporter: &mut Reporter) -> Result<Found, SourceError> {
    let Some(url) = reporter.known_playlist() else { return Err(error.into()) };
    if error.class() == SourceFault::Gone {
        return Ok(Found::Leftovers(url));
    }
    let known = SessionInfo { phase: SessionPhase::Live, playlist_url: Some(url.to_string()), ..reporter.known() };
    reporter.session(known).await?;
    reporter.stalled(format!("{error}; the playlist that is known is read on")).await?;
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

/// How long to wait before the next look-up.
fn pause(scheduled: Option<Timestamp>, now: Timestamp, interval: Duration) -> Duration {
    let Some(scheduled) = scheduled else { return interval };
    let left = scheduled.as_second() - now.as_second();
    if left > FAR {
        let slow = (interval * 3).min(LONGEST_PAUSE).max(interval);
        // Never sleeps into the time when it gets interesting.
        return slow.min(Duration::from_secs((left - NEAR) as u64));
    }
    if left.abs() <= NEAR { (interval / 2).max(SHORTEST_PAUSE).min(interval) } else { interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_are_rare_long_before_the_start_and_frequent_around_it() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let seconds = Duration::from_secs;
        for (left, interval, expected) in [
            (Some(86_400), 10, 30),
            (Some(86_400), 30, 60),
            (Some(601), 200, 200),
            (Some(300), 10, 10),
            (Some(60), 10, 5),
            (Some(-60), 10, 5),
            (Some(-300), 10, 10),
            (Some(0), 2, 2),
            (Some(0), 1, 1),
            (None, 10, 10),
        ] {
            let scheduled = left.and_then(|left: i64| Timestamp::from_second(1_800_000_000 + left).ok());
            assert_eq!(pause(scheduled, now, seconds(interval)), seconds(expected), "{left:?} {interval}");
        }
        assert_eq!(pause(Some(Timestamp::MAX), Timestamp::MIN, seconds(10)), seconds(30));
    }
}
