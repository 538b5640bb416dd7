//! The platform's API as the simulated space speaks it: guest activation, metadata, stream location.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::{ApiFault, LocationShape};
use super::script::SpaceState;
use super::state::{Inner, Space};

type Answer = Response<Body>;

/// What a client sends beside the path of a GraphQL call.
#[derive(Debug, Deserialize)]
pub(super) struct GraphqlQuery {
    #[serde(default)]
    variables: String,
    #[serde(default)]
    features: String,
}

pub(super) async fn activate_guest(State(space): State<Arc<Space>>, headers: HeaderMap) -> Answer {
    space.saw("guest", &headers);
    if !has_bearer(&headers) {
        return refusal(StatusCode::FORBIDDEN, 89, "Invalid or expired token.");
    }
    let token = fastrand::u64(1_000_000_000_000_000_000..2_000_000_000_000_000_000).to_string();
    Json(json!({ "guest_token": token })).into_response()
}

pub(super) async fn graphql(
    State(space): State<Arc<Space>>,
    Path((query_id, operation)): Path<(String, String)>,
    Query(query): Query<GraphqlQuery>,
    headers: HeaderMap,
) -> Answer {
    space.saw("space", &headers);
    let by_id = operation == "AudioSpaceById";
    if !(by_id || operation == "AudiospaceByRestId") || query_id.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let fault = match authorize(&space, &headers).await {
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
    if variables.get(variable).and_then(Value::as_str) != Some(space.id.as_str()) {
        return Json(json!({"data": {"audioSpace": {}}})).into_response();
    }
    let place = if by_id { "audioSpace" } else { "audio_space_by_rest_id" };
    let mut body = json!({"data": {place: audio_space(&space)}});
    if !errors.is_null() {
        body["errors"] = errors;
    }
    let mut answer = Json(body).into_response();
    // The platform counts down its limit on every reply.
    for (name, value) in [("x-rate-limit-limit", "500"), ("x-rate-limit-remaining", "499")] {
        answer.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    answer
}

pub(super) async fn status(
    State(space): State<Arc<Space>>,
    Path(media_key): Path<String>,
    headers: HeaderMap,
) -> Answer {
    space.saw("status", &headers);
    if let Err(answer) = authorize(&space, &headers).await {
        return answer;
    }
    let (shape, state, replay) = {
        let inner = space.lock();
        (inner.location, inner.script.state(), inner.replay)
    };
    let known = state == SpaceState::Running || (state.is_over() && replay);
    if media_key != space.media_key || !known || shape == LocationShape::Missing {
        return refusal(StatusCode::NOT_FOUND, 34, "Sorry, that page does not exist.");
    }
    let plain = if state.is_over() { super::hls::replay_url(&space) } else { super::hls::playlist_url(&space) };
    let origin = format!("http://127.0.0.1:{}", space.port);
    let source = match shape {
        LocationShape::Plain | LocationShape::Missing => json!({"location": plain, "noRedirectPlaybackUrl": plain}),
        LocationShape::OnlyLocation => json!({"location": plain}),
        LocationShape::Wrapped => {
            let key = &space.media_key;
            let wrapped = format!("{origin}/i/api/1.1/live_video_stream/authorized_status/{key}/LIVE_PUBLIC/rehearsal");
            let mut url = url::Url::parse(&wrapped).expect("made of an address and known words");
            url.query_pairs_mut().append_pair("url", &plain);
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
    };
    Json(json!({
        "source": source, "sessionId": "rehearsal", "chatToken": "rehearsal", "lifecycleToken": "rehearsal",
        "shareUrl": format!("https://x.com/i/spaces/{}", space.id), "chatPermissionType": "PUBLIC",
    }))
    .into_response()
}

/// Anything else: not here.
pub(super) async fn gone(State(space): State<Arc<Space>>, uri: Uri, headers: HeaderMap) -> Answer {
    space.saw("other", &headers);
    tracing::debug!(path = uri.path(), "Unknown path asked for.");
    StatusCode::NOT_FOUND.into_response()
}

/// Checks who asks, then applies faults that every call shares. What is left is the caller's.
async fn authorize(space: &Space, headers: &HeaderMap) -> Result<Option<ApiFault>, Answer> {
    if !has_bearer(headers) {
        return Err(refusal(StatusCode::UNAUTHORIZED, 32, "Could not authenticate you."));
    }
    if !is_known(headers) {
        return Err(refusal(StatusCode::FORBIDDEN, 353, "This request requires a matching csrf cookie and header."));
    }
    let fault = space.lock().api_fault();
    match fault {
        Some(ApiFault::Status { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(refusal(status, 32, "Could not authenticate you."))
        }
        Some(ApiFault::RateLimited { reset_in_seconds }) => {
            let reset = space.unix_ms(space.now_ms()) / 1000 + i64::from(reset_in_seconds);
            let mut answer = refusal(StatusCode::TOO_MANY_REQUESTS, 88, "Rate limit exceeded.");
            answer.headers_mut().insert("x-rate-limit-remaining", header::HeaderValue::from_static("0"));
            answer.headers_mut().insert("x-rate-limit-reset", header::HeaderValue::from(reset));
            Err(answer)
        }
        Some(ApiFault::Html) => {
            let page = "<!DOCTYPE html><html><head><title>X</title></head><body>Something went wrong.</body></html>";
            Err(([(header::CONTENT_TYPE, "text/html")], page).into_response())
        }
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

fn audio_space(space: &Space) -> Value {
    let inner = space.lock();
    json!({
        "metadata": metadata(space, &inner),
        "is_subscribed": false,
        "participants": {
            "total": 3 + space.args.guests.len(),
            "admins": [participant(&inner.host)],
            "speakers": space.args.guests.iter().map(|name| participant(name)).collect::<Vec<_>>(),
            "listeners": [],
        },
        "sharings": {"items": [], "slice_info": {}},
    })
}

fn metadata(space: &Space, inner: &Inner) -> Value {
    let names = json!({"name": inner.host, "screen_name": inner.host});
    let place = if inner.legacy_names { "legacy" } else { "core" };
    let mut metadata = json!({
        "rest_id": space.id,
        "broadcast_id": space.id,
        "media_key": space.media_key,
        "state": inner.script.state(),
        "created_at": space.sound_started_ms - 60_000,
        "updated_at": space.unix_ms(0),
        "content_type": "visual_audio",
        "creator_results": {"result": {"__typename": "User", "id": "VXNlcjox", "rest_id": "1", place: names}},
        "is_space_available_for_replay": inner.replay,
        "is_locked": false,
        "is_muted": false,
        "conversation_controls": 0,
        "narrow_cast_space_type": 0,
        "total_live_listeners": 3,
        "disallow_join": false,
    });
    if !inner.title.is_empty() {
        metadata["title"] = json!(inner.title);
    }
    if let Some(started) = inner.started_ms {
        metadata["started_at"] = json!(started);
    }
    if let Some(scheduled) = inner.scheduled_start {
        metadata["scheduled_start"] = json!(scheduled);
    }
    // The platform writes this one time as a string.
    if let Some(ended) = inner.ended_ms {
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
