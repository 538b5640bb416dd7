//! The services for speakers as the simulated platform speaks them: sign-in, presence, seats.
//!
//! Calls and answers as observed by twifork and elizaOS's agent-twitter-client. A call without what a browser sends is
//! refused with 400, one without the right authorization with 401.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{ACCOUNT, ACCOUNT_NUMBER, Seats};
use crate::rehearsal::space::broken::Answer;
use crate::rehearsal::space::platform::{Door, Platform};

/// Headers that the services want to see.
const WANTED: [&str; 6] =
    ["user-agent", "referer", "x-periscope-user-agent", "x-idempotence", "x-attempt", "sec-ch-ua"];

/// What a handler is given.
type Asked = (State<Door>, HeaderMap, Json<Value>);

/// Begins the sign-in; the caller has seen the cookies.
pub(in crate::rehearsal::space) fn authenticate(platform: &Platform) -> Answer {
    let inner = platform.lock();
    if inner.seats.suspended {
        let errors = json!([{"message": "Your account is suspended.", "code": 64}]);
        return (StatusCode::FORBIDDEN, Json(json!({"errors": errors}))).into_response();
    }
    Json(json!({"data": {"authenticate_periscope": inner.seats.jwt}})).into_response()
}

pub(in crate::rehearsal::space) async fn login(
    State(door): State<Door>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Answer {
    door.platform.saw("seat_login", &headers);
    let inner = door.platform.lock();
    let right = asked["jwt"] == inner.seats.jwt.as_str() && asked["vendor_id"].is_string();
    if !looks_real(&headers) || !right || !asked["direct"].is_null() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    Json(json!({
        "cookie": inner.seats.cookie,
        "user": {"id": ACCOUNT, "twitter_id": ACCOUNT_NUMBER, "twitter_screen_name": "bridge", "username": "bridge",
            "display_name": "The bridge"},
    }))
    .into_response()
}

pub(in crate::rehearsal::space) async fn authorize(
    State(door): State<Door>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Answer {
    door.platform.saw("seat_token", &headers);
    let inner = door.platform.lock();
    if !looks_real(&headers) || asked["service"] != "guest" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if asked["cookie"] != inner.seats.cookie.as_str() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(json!({"authorization_token": inner.seats.authorization})).into_response()
}

pub(in crate::rehearsal::space) async fn start_watching(
    State(door): State<Door>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Answer {
    door.platform.saw("watch_start", &headers);
    watching(&door.platform, &asked, asked["life_cycle_token"].is_string())
}

pub(in crate::rehearsal::space) async fn ping_watching(
    State(door): State<Door>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Answer {
    door.platform.saw("watch_ping", &headers);
    watching(&door.platform, &asked, asked["session"].is_string())
}

pub(in crate::rehearsal::space) async fn stop_watching(
    State(door): State<Door>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Answer {
    door.platform.saw("watch_stop", &headers);
    watching(&door.platform, &asked, asked["session"].is_string())
}

fn watching(platform: &Platform, asked: &Value, is_whole: bool) -> Answer {
    if !is_whole || asked["cookie"] != platform.lock().seats.cookie.as_str() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(json!({"session": "rehearsal-watching"})).into_response()
}

pub(in crate::rehearsal::space) async fn join(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    let act = |seats: &mut Seats, asked: &Value, now_ms| {
        let space = asked["broadcast_id"].as_str().unwrap_or_default();
        if seats.narrow {
            return Err(StatusCode::FORBIDDEN);
        }
        if !seats.is_open() || asked["should_auto_join"] != true {
            return Ok(json!({"can_auto_join": false}));
        }
        Ok(json!({"can_auto_join": true, "session_uuid": seats.begin(space, true, now_ms)}))
    };
    usher("seat_join", (asked, headers, body), act)
}

pub(in crate::rehearsal::space) async fn submit(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    let act = |seats: &mut Seats, asked: &Value, now_ms| {
        let space = asked["broadcast_id"].as_str().unwrap_or_default();
        if seats.is_open() {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(json!({"session_uuid": seats.begin(space, false, now_ms)}))
    };
    usher("seat_request", (asked, headers, body), act)
}

pub(in crate::rehearsal::space) async fn cancel(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    usher("seat_cancel", (asked, headers, body), end)
}

pub(in crate::rehearsal::space) async fn leave(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    usher("seat_end", (asked, headers, body), end)
}

pub(in crate::rehearsal::space) async fn mute(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    usher("seat_mute", (asked, headers, body), |_, _, _| Ok(json!({"success": true})))
}

pub(in crate::rehearsal::space) async fn publish(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    usher("seat_publish", (asked, headers, body), |_, _, _| Ok(json!({"success": true})))
}

pub(in crate::rehearsal::space) async fn standing(asked: State<Door>, headers: HeaderMap, body: Json<Value>) -> Answer {
    let act = |seats: &mut Seats, asked: &Value, now_ms| {
        Ok(json!({"guest_sessions": seats.listed(asked["broadcast_id"].as_str().unwrap_or_default(), now_ms)}))
    };
    usher("seat_status", (asked, headers, body), act)
}

pub(in crate::rehearsal::space) async fn negotiate(
    asked: State<Door>,
    headers: HeaderMap,
    body: Json<Value>,
) -> Answer {
    let Some(_) = asked.platform.args.gateway else { return StatusCode::NOT_FOUND.into_response() };
    let gateway = super::gateway::address(asked.platform.ports[0]);
    let act = |seats: &mut Seats, asked: &Value, now_ms| {
        let id = asked["session_uuid"].as_str().unwrap_or_default();
        if !seats.is_on_stage(id, now_ms) {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(json!({"janus_jwt": seats.admit(id), "webrtc_gw_url": gateway}))
    };
    usher("seat_negotiate", (asked, headers, body), act)
}

fn end(seats: &mut Seats, asked: &Value, _: u64) -> Result<Value, StatusCode> {
    let known = seats.end(asked["session_uuid"].as_str().unwrap_or_default());
    if known { Ok(json!({"success": true})) } else { Err(StatusCode::NOT_FOUND) }
}

/// Does `act` for whoever may ask.
fn usher(
    kind: &'static str,
    (State(door), headers, Json(asked)): Asked,
    act: impl FnOnce(&mut Seats, &Value, u64) -> Result<Value, StatusCode>,
) -> Answer {
    let platform = &door.platform;
    platform.saw(kind, &headers);
    let now_ms = platform.now_ms();
    let mut inner = platform.lock();
    if !looks_real(&headers) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    if authorization != Some(inner.seats.authorization.as_str()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match act(&mut inner.seats, &asked, now_ms) {
        Ok(body) => Json(body).into_response(),
        Err(status) => status.into_response(),
    }
}

fn looks_real(headers: &HeaderMap) -> bool {
    WANTED.iter().all(|name| headers.contains_key(*name))
}
