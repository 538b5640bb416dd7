//! Orders to a show: they go to its supervisor or, by the bridge's own protocol, to its bridge.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Door;
use super::problem::{Answer, Problem};
use crate::bridge::protocol::{OutputAction, SourceAccepted, SourceOrder};
use crate::daemon::Ward;
use crate::status::{OutputStatus, SourceStatus};
use crate::supervisor::Order;

/// An order was understood; the show's status says what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The order.
    accepted: &'static str,
}

type Taken = (StatusCode, Json<Accepted>);

fn taken(accepted: &'static str) -> Taken {
    (StatusCode::ACCEPTED, Json(Accepted { accepted }))
}

pub(super) fn find(door: &Door, show: &str) -> Answer<Arc<Ward>> {
    door.roster.get(show).ok_or_else(|| Problem::new("no-show", "GET /api/v1/shows lists those that there are."))
}

/// How a show is started.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Starting {
    /// Whether it starts though the machine may not carry it.
    #[serde(default)]
    force: bool,
}

/// Put a show on the air, if the machine carries it.
#[utoipa::path(post, path = "/api/v1/shows/{show}/start", tag = "orders", params(("show" = String, Path), Starting),
    responses((status = 202, body = Accepted), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn start(
    State(door): State<Door>,
    Path(show): Path<String>,
    starting: Result<Query<Starting>, QueryRejection>,
) -> Answer<Taken> {
    let Query(starting) =
        starting.map_err(|_| Problem::new("bad-request", "The only word beside the path is force=true or false."))?;
    let ward = find(&door, &show)?;
    if ward.is_free() {
        door.roster.refresh(&ward);
    }
    if starting.force {
        ward.start_by_force()?
    } else {
        ward.start()?
    }
    Ok(taken("start"))
}

/// Suspend a show: its recording is safe, its outputs close; starting it within 30 minutes resumes it.
#[utoipa::path(post, path = "/api/v1/shows/{show}/suspend", tag = "orders", params(("show" = String, Path)),
    responses((status = 202, body = Accepted), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn suspend(State(door): State<Door>, Path(show): Path<String>) -> Answer<Taken> {
    find(&door, &show)?.finish(Order::Suspend).await?;
    Ok(taken("suspend"))
}

/// End a show: closing slate, final files. It cannot be undone.
#[utoipa::path(post, path = "/api/v1/shows/{show}/end", tag = "orders", params(("show" = String, Path)),
    responses((status = 202, body = Accepted), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn end(State(door): State<Door>, Path(show): Path<String>) -> Answer<Taken> {
    find(&door, &show)?.finish(Order::End).await?;
    Ok(taken("end"))
}

/// Where a show's audio comes from.
#[utoipa::path(get, path = "/api/v1/shows/{show}/source", tag = "orders", params(("show" = String, Path)),
    responses((status = 200, body = Vec<SourceStatus>), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn sources(State(door): State<Door>, Path(show): Path<String>) -> Answer<Json<Vec<SourceStatus>>> {
    Ok(Json(find(&door, &show)?.client().sources().await?))
}

/// Point a show that is on the air at another source; its outputs never notice.
#[utoipa::path(post, path = "/api/v1/shows/{show}/source", tag = "orders", params(("show" = String, Path)),
    request_body = SourceOrder,
    responses((status = 202, body = SourceAccepted), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn set_source(
    State(door): State<Door>,
    Path(show): Path<String>,
    body: Result<Json<SourceOrder>, JsonRejection>,
) -> Answer<(StatusCode, Json<SourceAccepted>)> {
    let Json(order) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    // A file of the machine is the operator's to name, in a configuration.
    if order.url.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:")) {
        return Err(Problem::new("refused", "A file of this machine cannot be named from here."));
    }
    let source = find(&door, &show)?.client().set_source(&order.url).await?;
    Ok((StatusCode::ACCEPTED, Json(SourceAccepted { source })))
}

/// A show's outputs as they are now.
#[utoipa::path(get, path = "/api/v1/shows/{show}/outputs", tag = "orders", params(("show" = String, Path)),
    responses((status = 200, body = Vec<OutputStatus>), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn outputs(State(door): State<Door>, Path(show): Path<String>) -> Answer<Json<Vec<OutputStatus>>> {
    Ok(Json(find(&door, &show)?.client().outputs().await?))
}

/// Start, stop or restart an output of a show that is on the air.
#[utoipa::path(post, path = "/api/v1/shows/{show}/outputs/{output}/{action}", tag = "orders",
    params(("show" = String, Path), ("output" = String, Path), ("action" = OutputAction, Path)),
    responses((status = 202, body = Accepted), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn output(
    State(door): State<Door>,
    Path((show, output, action)): Path<(String, String, String)>,
) -> Answer<Taken> {
    let action = match action.as_str() {
        "start" => OutputAction::Start,
        "stop" => OutputAction::Stop,
        "restart" => OutputAction::Restart,
        _ => return Err(Problem::new("no-route", "Use start, stop or restart.")),
    };
    find(&door, &show)?.client().output(&output, action).await?;
    Ok(taken(action.as_str()))
}
