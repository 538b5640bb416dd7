//! The platform's API as the simulated space speaks it: guest activation, metadata, stream location.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::audiospace::AudioSpace;
use super::broken::{self, Answer};
use super::control::{ApiFault, LocationShape};
use super::platform::{Door, Platform};
use super::script::SpaceState;

/// The host's user id.
const HOST_ID: &str = "1470000000000004711";
/// How soon a client may ask again whether somebody is live, in seconds.
const REFRESH_SECONDS: u32 = 30;
/// Calls per window, as every reply says.
const CALLS: i64 = 500;

/// What a client sends beside the path of a GraphQL call.
#[derive(Debug, Deserialize)]
pub(super) struct GraphqlQuery {
    #[serde(default)]
    variables: String,
    #[serde(default)]
    features: String,
}

pub(super) async fn activate_guest(State(door): State<Door>, headers: HeaderMap) -> Answer {
    let platform = &door.platform;
    platform.saw("guest", &headers);
    if !has_bearer(&headers) {
        return refusal(StatusCode::FORBIDDEN, 89, "Invalid or expired token.");
    }
    let token = fastrand::u64(1_000_000_000_000_000_000..2_000_000_000_000_000_000).to_string();
    Json(json!({ "guest_token": token })).into_response()
}

pub(super) async fn graphql(
    State(door): State<Door>,
    Path((query_id, operation)): Path<(String, String)>,
    Query(query): Query<GraphqlQuery>,
    headers: HeaderMap,
) -> Answer {
    let platform = &door.platform;
    platform.saw("space", &headers);
    if operation == "UserByScreenName" && !query_id.is_empty() {
        return user(platform, &query, &headers).await;
    }
    if operation == "AuthenticatePeriscope" && !query_id.is_empty() {
        return match authorize(platform, &headers).await {
            Ok(Some(ApiFault::StaleQueryId)) => StatusCode::NOT_FOUND.into_response(),
            Ok(_) => super::seats::services::authenticate(platform),
            Err(answer) => answer,
        };
    }
    let by_id = operation == "AudioSpaceById";
    if !(by_id || operation == "AudiospaceByRestId") || query_id.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let fault = match authorize(platform, &headers).await {
        Ok(fault) => fault,
        Err(answer) => return answer,
    };
    let errors = match fault {
        Some(ApiFault::StaleQueryId) => return StatusCode::NOT_FOUND.into_response(),
        Some(ApiFault::MissingFeature { name }) if !names_feature(&query.features, &name) => {
            return Json(missing_feature(&name)).into_response();
        }
        Some(ApiFault::InvalidId) => return Json(error_body(214, "BadRequest: invalid broadcast_ids")).into_response(),
        Some(ApiFault::EmptySpace) => return Json(json!({"data": {"audioSpace": {}}})).into_response(),
        Some(ApiFault::SpuriousError) => json!([{"message": "Dependency: Unspecified", "code": 0}]),
        _ => Value::Null,
    };
    let variable = if by_id { "id" } else { "audio_space_id" };
    let variables: Value = serde_json::from_str(&query.variables).unwrap_or_default();
    let id = variables.get(variable).and_then(Value::as_str).unwrap_or_default();
    let found = {
        let mut inner = platform.lock();
        let narrow = inner.seats.narrow;
        inner.space(|space| space.id == id).map(|space| audio_space(platform, space, narrow))
    };
    let Some(found) = found else { return Json(json!({"data": {"audioSpace": {}}})).into_response() };
    let place = if by_id { "audioSpace" } else { "audio_space_by_rest_id" };
    let mut body = json!({"data": {place: found}});
    if !errors.is_null() {
        body["errors"] = errors;
    }
    limited(Json(body).into_response(), platform, fault.as_ref())
}

/// Which account a handle names (the answer's shape: twscrape).
async fn user(platform: &Platform, query: &GraphqlQuery, headers: &HeaderMap) -> Answer {
    let fault = match authorize(platform, headers).await {
        Ok(fault) => fault,
        Err(answer) => return answer,
    };
    let variables: Value = serde_json::from_str(&query.variables).unwrap_or_default();
    let asked = variables.get("screen_name").and_then(Value::as_str).unwrap_or_default();
    let known = platform.lock().space(|space| space.host.eq_ignore_ascii_case(asked)).is_some();
    let user = json!({"user": {"result": {"__typename": "User", "rest_id": HOST_ID}}});
    let body = json!({"data": if known { user } else { json!({}) }});
    limited(Json(body).into_response(), platform, fault.as_ref())
}

/// The platform counts down its limit on every reply.
fn limited(mut answer: Answer, platform: &Platform, fault: Option<&ApiFault>) -> Answer {
    let (remaining, seconds) = match fault {
        Some(ApiFault::LastCall { reset_in_seconds }) => (0, *reset_in_seconds),
        _ => (CALLS - 1, 900),
    };
    rate_headers(&mut answer, platform, remaining, seconds);
    answer
}

fn rate_headers(answer: &mut Answer, platform: &Platform, remaining: i64, reset_in_seconds: u32) {
    let reset = platform.unix_ms(platform.now_ms()) / 1000 + i64::from(reset_in_seconds);
    let pairs = [("x-rate-limit-limit", CALLS), ("x-rate-limit-remaining", remaining), ("x-rate-limit-reset", reset)];
    for (name, value) in pairs {
        answer.headers_mut().insert(name, HeaderValue::from(value));
    }
}

/// What a client asks about hosts.
#[derive(Debug, Deserialize)]
pub(super) struct HostQuery {
    #[serde(default)]
    user_ids: String,
}

/// Who of some users is live, and where (the path and the answer's shape: twspace-crawler).
pub(super) async fn avatar_content(
    State(door): State<Door>,
    Query(query): Query<HostQuery>,
    headers: HeaderMap,
) -> Answer {
    let platform = &door.platform;
    platform.saw("host", &headers);
    let fault = match authorize(platform, &headers).await {
        Ok(fault) => fault,
        Err(answer) => return answer,
    };
    let live = platform.lock().space(|space| space.script.state() == SpaceState::Running).map(|space| space.id.clone());
    let asked = query.user_ids.split(',').any(|id| id == HOST_ID);
    let users = match live.filter(|_| asked && fault != Some(ApiFault::EmptySpace)) {
        Some(id) => {
            json!({HOST_ID: {"spaces": {"live_content": {"audiospace": {"broadcast_id": id, "language": "en"}}}}})
        }
        None => json!({}),
    };
    let body = json!({"users": users, "refresh_delay_secs": REFRESH_SECONDS});
    limited(Json(body).into_response(), platform, fault.as_ref())
}

pub(super) async fn status(State(door): State<Door>, Path(media_key): Path<String>, headers: HeaderMap) -> Answer {
    let platform = &door.platform;
    platform.saw("status", &headers);
    if let Err(answer) = authorize(platform, &headers).await {
        return answer;
    }
    let missing = || refusal(StatusCode::NOT_FOUND, 34, "Sorry, that page does not exist.");
    let now = platform.unix_ms(platform.now_ms());
    let mut inner = platform.lock();
    let (shape, port) = (inner.location, platform.ports[inner.named_edge]);
    let Some(space) = inner.space(|space| space.media_key == media_key) else { return missing() };
    let over = space.script.state().is_over();
    let known = space.script.state() == SpaceState::Running || (over && space.replay);
    if !known || shape == LocationShape::Missing {
        return missing();
    }
    let key = &space.key;
    let plain = if over { super::hls::replay_url(port, key, now) } else { super::hls::playlist_url(port, key) };
    Json(json!({
        "source": source(shape, space, &plain, platform.ports[0]), "sessionId": "rehearsal",
        "chatToken": space.chat_token, "lifecycleToken": "rehearsal",
        "shareUrl": format!("https://x.com/i/spaces/{}", space.id), "chatPermissionType": "PUBLIC",
    }))
    .into_response()
}

/// Where the stream is, in one of the forms that were seen.
fn source(shape: LocationShape, space: &AudioSpace, plain: &str, port: u16) -> Value {
    let origin = format!("http://127.0.0.1:{port}");
    match shape {
        LocationShape::Plain | LocationShape::Missing => json!({"location": plain, "noRedirectPlaybackUrl": plain}),
        LocationShape::OnlyLocation => json!({"location": plain}),
        LocationShape::Wrapped => {
            let key = &space.media_key;
            let wrapped = format!("{origin}/i/api/1.1/live_video_stream/authorized_status/{key}/LIVE_PUBLIC/rehearsal");
            let mut url = url::Url::parse(&wrapped).expect("made of an address and known words");
            url.query_pairs_mut().append_pair("url", plain);
            json!({"location": url.as_str()})
        }
        LocationShape::Geoblocked => {
            let blocked = format!("{origin}/live_video_stream/geoblocked/{}/playlist.m3u8", space.key);
            json!({"location": blocked, "noRedirectPlaybackUrl": blocked})
        }
        LocationShape::Video => {
            let video = plain.replace("/audio-space/dynamic_playlist", "/master_dynamic_highlatency");
            json!({"location": video, "noRedirectPlaybackUrl": video})
        }
    }
}

/// Anything else: not here.
pub(super) async fn gone(State(door): State<Door>, uri: Uri, headers: HeaderMap) -> Answer {
    let platform = &door.platform;
    platform.saw("other", &headers);
    tracing::debug!(path = uri.path(), "Unknown path asked for.");
    StatusCode::NOT_FOUND.into_response()
}

/// Checks who asks, then applies faults that every call shares. What is left is the caller's.
async fn authorize(platform: &Platform, headers: &HeaderMap) -> Result<Option<ApiFault>, Answer> {
    if !has_bearer(headers) {
        return Err(refusal(StatusCode::UNAUTHORIZED, 32, "Could not authenticate you."));
    }
    if !is_known(headers) {
        return Err(refusal(StatusCode::FORBIDDEN, 353, "This request requires a matching csrf cookie and header."));
    }
    let fault = platform.lock().faults.next_api();
    match fault {
        Some(ApiFault::Status { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(refusal(status, 32, "Could not authenticate you."))
        }
        Some(ApiFault::RateLimited { reset_in_seconds, retry_after_only }) => {
            let mut answer = refusal(StatusCode::TOO_MANY_REQUESTS, 88, "Rate limit exceeded.");
            if retry_after_only {
                answer.headers_mut().insert(header::RETRY_AFTER, reset_in_seconds.into());
            } else {
                rate_headers(&mut answer, platform, 0, reset_in_seconds);
            }
            Err(answer)
        }
        Some(ApiFault::Html) => Err(broken::html()),
        Some(ApiFault::Hang) => Err(broken::never().await),
        Some(ApiFault::Reset) => Err(broken::reset()),
        Some(ApiFault::Slow { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok(None)
        }
        other => Ok(other),
    }
}

fn has_bearer(headers: &HeaderMap) -> bool {
    text(headers, "authorization").is_some_and(|value| value.len() > 20 && value.starts_with("Bearer "))
}

/// A logged-in listener (both cookies, and the second one again as a header), or a guest with a token.
fn is_known(headers: &HeaderMap) -> bool {
    let cookies = text(headers, "cookie").unwrap_or_default();
    let cookie = |name: &str| {
        cookies.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    };
    match (cookie("auth_token"), cookie("ct0")) {
        (Some(token), Some(ct0)) => !token.is_empty() && !ct0.is_empty() && text(headers, "x-csrf-token") == Some(ct0),
        _ => text(headers, "x-guest-token").is_some_and(|token| !token.is_empty()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn names_feature(features: &str, name: &str) -> bool {
    serde_json::from_str::<Value>(features).is_ok_and(|value| value.get(name).is_some_and(Value::is_boolean))
}

fn missing_feature(name: &str) -> Value {
    error_body(336, &format!("The following features cannot be null: {name}"))
}

fn error_body(code: u32, message: &str) -> Value {
    json!({"errors": [{"code": code, "message": message}]})
}

fn refusal(status: StatusCode, code: u32, message: &str) -> Answer {
    (status, Json(error_body(code, message))).into_response()
}

fn audio_space(platform: &Platform, space: &AudioSpace, narrow: bool) -> Value {
    let guests = &platform.args.guests;
    json!({
        "metadata": metadata(space, narrow),
        "is_subscribed": false,
        "participants": {
            "total": 3 + guests.len(),
            "admins": [participant(&space.host)],
            "speakers": guests.iter().map(|name| participant(name)).collect::<Vec<_>>(),
            "listeners": [],
        },
        "sharings": {"items": [], "slice_info": {}},
    })
}

fn metadata(space: &AudioSpace, narrow: bool) -> Value {
    let names = json!({"name": space.host, "screen_name": space.host});
    let place = if space.legacy_names { "legacy" } else { "core" };
    let mut metadata = json!({
        "rest_id": space.id,
        "broadcast_id": space.id,
        "media_key": space.media_key,
        "state": space.script.state(),
        "created_at": space.created_ms,
        "updated_at": space.created_ms,
        "content_type": "visual_audio",
        "creator_results": {"result": {"__typename": "User", "id": "VXNlcjox", "rest_id": HOST_ID, place: names}},
        "is_space_available_for_replay": space.replay,
        "is_locked": false,
        "is_muted": false,
        "conversation_controls": 0,
        "narrow_cast_space_type": if narrow { 2 } else { 0 },
        "total_live_listeners": 3,
        "disallow_join": false,
    });
    if !space.title.is_empty() {
        metadata["title"] = json!(space.title);
    }
    if let Some(started) = space.started_ms {
        metadata["started_at"] = json!(started);
    }
    if let Some(scheduled) = space.scheduled_start {
        metadata["scheduled_start"] = json!(scheduled);
    }
    // The platform writes this one time as a string.
    if let Some(ended) = space.ended_ms {
        metadata["ended_at"] = json!(ended.to_string());
    }
    metadata
}

fn participant(name: &str) -> Value {
    json!({
        "periscope_user_id": format!("1{name}"), "start": 0, "twitter_screen_name": name, "display_name": name,
        "avatar_url": "", "is_verified": false, "is_muted_by_admin": false, "is_muted_by_guest": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn cookies_count_only_with_the_matching_csrf_header() {
        for (pairs, known) in [
            (vec![("cookie", "auth_token=a; ct0=b"), ("x-csrf-token", "b")], true),
            (vec![("cookie", "auth_token=a; ct0=b"), ("x-csrf-token", "c")], false),
            (vec![("cookie", "auth_token=a; ct0=b")], false),
            (vec![("cookie", "auth_token=a"), ("x-csrf-token", "b")], false),
            (vec![("x-guest-token", "1")], true),
            (vec![], false),
        ] {
            assert_eq!(is_known(&headers(&pairs)), known, "{pairs:?}");
        }
    }

    #[test]
    fn a_feature_counts_as_named_when_it_is_a_boolean() {
        assert!(names_feature(r#"{"a":false}"#, "a"));
        assert!(!names_feature(r#"{"a":null}"#, "a") && !names_feature("", "a"));
    }
}
