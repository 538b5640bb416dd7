//! Which Space a host is live in, asked as X's own page asks for the ring around a picture.
//!
//! Path and answer as twspace-crawler observed them.

use std::time::Duration;

use serde_json::Value;

use super::api::XApi;
use super::error::ApiError;
use super::url::SpaceId;

/// Longest pause that a hint is believed for.
const LONGEST_HINT: u64 = 600;

/// What X says of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveContent {
    /// The Space that is live; none if there is none.
    pub space: Option<SpaceId>,
    /// How long X wants to be left alone before the next such question; at most 10 min.
    pub refresh: Option<Duration>,
}

impl XApi {
    /// The Space that the user `user_id` is live in as its host; none if there is none.
    ///
    /// # Errors
    /// [`ApiError`], with what to do.
    pub async fn live_space_of(&self, user_id: &str) -> Result<Option<SpaceId>, ApiError> {
        self.live_content_of(user_id).await.map(|content| content.space)
    }

    /// The same, and when it may be asked again.
    ///
    /// # Errors
    /// [`ApiError`], with what to do.
    pub async fn live_content_of(&self, user_id: &str) -> Result<LiveContent, ApiError> {
        if user_id.is_empty() || user_id.len() > 20 || !user_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::Configuration("the host's user id is not a number".to_owned()));
        }
        let mut url = self.url(&["fleets", "v1", "avatar_content"])?;
        url.query_pairs_mut().append_pair("user_ids", user_id).append_pair("only_spaces", "true");
        let answer = self.call(url).await?;
        if answer.status != 200 {
            return Err(ApiError::Refused(format!("status {} to the question who is live", answer.status)));
        }
        live_content(&answer.body, user_id).ok_or(ApiError::NotJson(answer.status))
    }
}

/// Reads the answer; none if it is no JSON.
fn live_content(body: &[u8], user_id: &str) -> Option<LiveContent> {
    let answer = serde_json::from_slice::<Value>(body).ok()?;
    let place = format!("/users/{user_id}/spaces/live_content/audiospace/broadcast_id");
    let id = answer.pointer(&place).and_then(Value::as_str);
    let refresh = answer.get("refresh_delay_secs").and_then(Value::as_u64);
    Some(LiveContent {
        space: id.and_then(SpaceId::new),
        refresh: refresh.map(|seconds| Duration::from_secs(seconds.min(LONGEST_HINT))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_space_of_that_host_counts_and_nothing_odd_is_believed() {
        let live = |id: &str| {
            format!(
                r#"{{"users":{{"12":{{"spaces":{{"live_content":{{"audiospace":{{"broadcast_id":{id}}}}}}}}}}},"refresh_delay_secs":60}}"#
            )
        };
        let found = live_content(live(r#""1ABDEGJKLMNOP""#).as_bytes(), "12").expect("json");
        assert_eq!(found.space.map(|id| id.as_str().to_owned()).as_deref(), Some("1ABDEGJKLMNOP"));
        assert_eq!(found.refresh, Some(Duration::from_secs(60)));
        for (body, user) in [
            (live(r#""1ABDEGJKLMNOP""#), "13"),
            (live(r#""../../etc""#), "12"),
            (live("7"), "12"),
            (r#"{"users":{"12":{"spaces":{}}}}"#.to_owned(), "12"),
            (r#"{"users":[]}"#.to_owned(), "12"),
            ("[]".to_owned(), "12"),
        ] {
            assert_eq!(live_content(body.as_bytes(), user).expect("json").space, None, "{body}");
        }
        assert_eq!(live_content(b"<html>", "12"), None);
        let hint = live_content(br#"{"refresh_delay_secs":99999999}"#, "12").expect("json").refresh;
        assert_eq!(hint, Some(Duration::from_secs(600)));
    }
}
