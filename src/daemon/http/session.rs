//! A browser's session: a token is given once and answered with a cookie that no script can read.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Role, SESSION};
use super::guard::{self, Admitted};
use super::problem::{Answer, Problem};
use super::{COOKIE, Door};

/// Body of a request for a session.
#[derive(Deserialize, ToSchema)]
struct Login {
    /// A token of the daemon.
    token: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// What it allows.
    role: Role,
}

/// Who I am.
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
pub(super) async fn who(State(door): State<Door>, headers: HeaderMap) -> Answer<Json<Session>> {
    let role = guard::session(&headers).and_then(|cookie| door.tokens.role_of_session(cookie));
    let role = role.ok_or_else(|| Problem::new("unauthorized", "There is no session, or it is over."))?;
    Ok(Json(Session { role }))
}

/// Open a session with a token, in the body or as a bearer.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", security(("token" = []), ()),
    request_body(content = Option<Login>),
    responses((status = 200, body = Session, description = "The cookie is set."), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn open(
    State(door): State<Door>,
    Extension(admitted): Extension<Admitted>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let now = std::time::Instant::now();
    if let Some(seconds) = door.failures.wait(admitted.address, now) {
        return Err(Problem::new("too-many-failures", "Wait a minute.").retry_after(seconds));
    }
    let role = match guard::bearer(&headers) {
        Some(token) => door.tokens.role_of(token),
        None => {
            // What was sent may hold a token, so that the library's complaint is not passed on.
            let login: Login = serde_json::from_slice(&body)
                .map_err(|_| Problem::new("bad-request", "Send {\"token\": \"…\"} as JSON."))?;
            door.tokens.role_of(login.token.trim())
        }
    };
    let Some(role) = role else {
        door.failures.note(admitted.address, now);
        return Err(Problem::new("unauthorized", "The token is wrong."));
    };
    let cookie = cookie(&door, &door.tokens.session(role), SESSION.as_secs());
    Ok(([(header::SET_COOKIE, cookie)], Json(Session { role })).into_response())
}

/// Close the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
pub(super) async fn close(State(door): State<Door>) -> Response {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&door, "", 0))]).into_response()
}

fn cookie(door: &Door, value: &str, seconds: u64) -> HeaderValue {
    let secure = if door.secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("letters, digits and points")
}
