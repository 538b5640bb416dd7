//! Which accounts are watched, and which show begins when one of them goes live.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Door;
use super::problem::{Answer, Problem};
use crate::daemon::watches::{WatchDraft, WatchView};

/// Every watch on a host's account.
#[utoipa::path(get, path = "/api/v1/watches", tag = "watches", responses((status = 200, body = Vec<WatchView>)))]
pub(super) async fn list(State(door): State<Door>) -> Json<Vec<WatchView>> {
    Json(door.autos.watches.all())
}

/// A watch, and how its last look went.
#[utoipa::path(get, path = "/api/v1/watches/{watch}", tag = "watches", params(("watch" = String, Path)),
    responses((status = 200, body = WatchView), (status = 404, body = Problem)))]
pub(super) async fn get(State(door): State<Door>, Path(watch): Path<String>) -> Answer<Json<WatchView>> {
    door.autos.watches.get(&watch).map(Json).ok_or_else(none)
}

/// Watch a host's account: a show begins with the Space that the host opens, once for every Space.
#[utoipa::path(put, path = "/api/v1/watches/{watch}", tag = "watches", params(("watch" = String, Path)),
    request_body = WatchDraft,
    responses((status = 200, body = WatchView), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(door): State<Door>,
    Path(watch): Path<String>,
    body: Result<Json<WatchDraft>, JsonRejection>,
) -> Answer<Json<WatchView>> {
    let Json(draft) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    Ok(Json(door.autos.watches.put(&watch, draft)?))
}

/// Watch no longer. A show that is on the air stays there.
#[utoipa::path(delete, path = "/api/v1/watches/{watch}", tag = "watches", params(("watch" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(State(door): State<Door>, Path(watch): Path<String>) -> Answer<StatusCode> {
    if door.autos.watches.delete(&watch)? { Ok(StatusCode::NO_CONTENT) } else { Err(none()) }
}

fn none() -> Problem {
    Problem::new("no-watch", "GET /api/v1/watches lists those that there are.")
}
