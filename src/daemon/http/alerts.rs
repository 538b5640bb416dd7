//! What needs somebody now, and who is told of what happens.

use axum::Json;
use axum::extract::{Path, State};

use super::Door;
use super::problem::{Answer, Problem};
use crate::daemon::alerts::{ReceiverView, StandingAlert, TestResult};

/// What needs somebody now, over all shows and the daemon itself: the worst first. Empty when all is well.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", responses((status = 200, body = Vec<StandingAlert>)))]
pub(super) async fn standing(State(door): State<Door>) -> Json<Vec<StandingAlert>> {
    Json(door.alerts.standing())
}

/// Who is told of events: the alerts of the daemon's configuration. Never an address or a secret.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "alerts", responses((status = 200, body = Vec<ReceiverView>)))]
pub(super) async fn receivers(State(door): State<Door>) -> Json<Vec<ReceiverView>> {
    Json(door.alerts.receivers())
}

/// Send a receiver an event that says nothing, now, and say how it went. One that was off is on again if it takes it.
#[utoipa::path(post, path = "/api/v1/webhooks/{webhook}/test", tag = "alerts", params(("webhook" = String, Path)),
    responses((status = 200, body = TestResult), (status = 404, body = Problem)))]
pub(super) async fn test(State(door): State<Door>, Path(webhook): Path<String>) -> Answer<Json<TestResult>> {
    let tested = door.alerts.test(&webhook).await;
    tested.map(Json).ok_or_else(|| Problem::new("no-webhook", "GET /api/v1/webhooks lists those that there are."))
}
