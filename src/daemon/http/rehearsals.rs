//! Rehearsals by one call.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Door;
use super::problem::{Answer, Problem};
use crate::daemon::rehearsals::{RehearsalDraft, RehearsalView};

/// The last rehearsals, newest first.
#[utoipa::path(get, path = "/api/v1/rehearsals", tag = "rehearsals",
    responses((status = 200, body = Vec<RehearsalView>)))]
pub(super) async fn list(State(door): State<Door>) -> Json<Vec<RehearsalView>> {
    Json(door.autos.rehearsals.all())
}

/// A rehearsal, and its verdict once it is over.
#[utoipa::path(get, path = "/api/v1/rehearsals/{rehearsal}", tag = "rehearsals",
    params(("rehearsal" = String, Path)),
    responses((status = 200, body = RehearsalView), (status = 404, body = Problem)))]
pub(super) async fn get(State(door): State<Door>, Path(rehearsal): Path<String>) -> Answer<Json<RehearsalView>> {
    let none = || Problem::new("no-rehearsal", "GET /api/v1/rehearsals lists the last ones.");
    door.autos.rehearsals.get(&rehearsal).map(Json).ok_or_else(none)
}

/// Rehearse on this machine: a simulated Space, stand-in ingests, the real program, a verdict. One at a time.
#[utoipa::path(post, path = "/api/v1/rehearsals", tag = "rehearsals", request_body = RehearsalDraft,
    responses((status = 201, body = RehearsalView), (status = 400, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn create(
    State(door): State<Door>,
    body: Result<Json<RehearsalDraft>, JsonRejection>,
) -> Answer<Response> {
    let Json(draft) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    let view = door.autos.rehearsals.start(&draft)?;
    let location = HeaderValue::from_str(&format!("/api/v1/rehearsals/{}", view.id)).ok();
    let mut answer = (StatusCode::CREATED, Json(view)).into_response();
    answer.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
    Ok(answer)
}
