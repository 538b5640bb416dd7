//! What a person says about a recording whose show is over.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::RecordingSummary;
use super::{Answer, Door, Problem, TITLE_MAX, aside};
use crate::alert::Events;
use crate::bridge::protocol::MarkAccepted;
use crate::clock::Clock;
use crate::media::SAMPLE_RATE;
use crate::recording::{Archive, Closing, Limits, MarkFact, Recording, Surroundings};
use crate::text::plain;

/// Whether a recording is never to be deleted by itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepOrder {
    /// Whether it is.
    keep: bool,
}

/// Keep a recording from being deleted by itself, or let it go again.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/keep", tag = "recordings", params(("id" = String, Path)),
    request_body = KeepOrder,
    responses((status = 200, body = RecordingSummary), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn keep(
    State(door): State<Door>,
    Path(id): Path<String>,
    body: Result<Json<KeepOrder>, JsonRejection>,
) -> Answer<Json<RecordingSummary>> {
    let Json(order) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    let runtime = tokio::runtime::Handle::current();
    aside(&door, move |shelf| {
        let folder = shelf.find(&id)?;
        if Archive::read(&folder)?.keep != order.keep {
            edit(&folder, &runtime, |recording| recording.keep(order.keep))?;
        }
        Ok(Json(RecordingSummary::new(id, shelf.summary(&folder)?.as_ref())))
    })
    .await
}

/// Names a place of a recording.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceOrder {
    /// The words.
    title: String,
    /// The place, in seconds of the session's media time.
    seconds: f64,
    /// The session; the first one where none is named.
    session: Option<String>,
}

/// Name a place of a recording whose show is over, for the chapters of an export.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/marks", tag = "recordings", params(("id" = String, Path)),
    request_body = PlaceOrder,
    responses((status = 201, body = MarkAccepted), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn mark(
    State(door): State<Door>,
    Path(id): Path<String>,
    body: Result<Json<PlaceOrder>, JsonRejection>,
) -> Answer<(StatusCode, Json<MarkAccepted>)> {
    let Json(order) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    let title = plain(&order.title, TITLE_MAX);
    if title.is_empty() || !order.seconds.is_finite() {
        return Err(Problem::new("bad-request", "A mark needs a title and a place."));
    }
    let runtime = tokio::runtime::Handle::current();
    aside(&door, move |shelf| {
        let folder = shelf.find(&id)?;
        let archive = Archive::read(&folder)?;
        let session = order.session.as_ref().map_or(archive.sessions.first(), |session| archive.session(session));
        let session = session.ok_or_else(|| Problem::new("no-recording", "It has no such session."))?;
        let media_time = (order.seconds * f64::from(SAMPLE_RATE)).round() as i64;
        let first = session.segments.iter().map(|segment| segment.media_time).min().unwrap_or(0);
        if session.end().is_some_and(|end| !(first..=end).contains(&media_time)) {
            return Err(Problem::new("bad-request", "The place is not in the session."));
        }
        let mark = MarkFact { session: session.info.session.clone(), media_time, title };
        edit(&folder, &runtime, |recording| recording.mark(mark.clone()))?;
        let accepted = MarkAccepted { session: mark.session, seconds: order.seconds, title: mark.title };
        Ok((StatusCode::CREATED, Json(accepted)))
    })
    .await
}

/// Adds to an archive that nobody writes.
fn edit(folder: &std::path::Path, runtime: &tokio::runtime::Handle, change: impl FnOnce(&Recording)) -> Answer<()> {
    let clock = Clock::system();
    let with = Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() };
    let _context = runtime.enter();
    // So little fits wherever anything fits.
    let recording = Recording::edit(folder, 0, with)?;
    change(&recording);
    Ok(runtime.block_on(recording.close(Closing::Edited))?)
}
