//! When shows begin by themselves.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Door;
use super::orders::find;
use super::problem::{Answer, Problem};
use crate::daemon::schedules::{ScheduleDraft, ScheduleView};

/// Every show that begins by itself at a time.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules",
    responses((status = 200, body = Vec<ScheduleView>)))]
pub(super) async fn list(State(door): State<Door>) -> Json<Vec<ScheduleView>> {
    Json(door.autos.schedules.all())
}

/// When a show begins by itself.
#[utoipa::path(get, path = "/api/v1/schedules/{show}", tag = "schedules", params(("show" = String, Path)),
    responses((status = 200, body = ScheduleView), (status = 404, body = Problem)))]
pub(super) async fn get(State(door): State<Door>, Path(show): Path<String>) -> Answer<Json<ScheduleView>> {
    door.autos.schedules.get(&show).map(Json).ok_or_else(none)
}

/// Let a show begin by itself at a time, once or every week, in place of any schedule that it had.
#[utoipa::path(put, path = "/api/v1/schedules/{show}", tag = "schedules", params(("show" = String, Path)),
    request_body = ScheduleDraft,
    responses((status = 200, body = ScheduleView), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn put(
    State(door): State<Door>,
    Path(show): Path<String>,
    body: Result<Json<ScheduleDraft>, JsonRejection>,
) -> Answer<Json<ScheduleView>> {
    let Json(draft) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    let ward = find(&door, &show)?;
    Ok(Json(door.autos.schedules.put(ward.name(), draft)?))
}

/// Take a show's schedule away. A show that is on the air stays there.
#[utoipa::path(delete, path = "/api/v1/schedules/{show}", tag = "schedules", params(("show" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(State(door): State<Door>, Path(show): Path<String>) -> Answer<StatusCode> {
    if door.autos.schedules.delete(&show)? { Ok(StatusCode::NO_CONTENT) } else { Err(none()) }
}

fn none() -> Problem {
    Problem::new("no-schedule", "GET /api/v1/schedules lists those that there are.")
}
