//! Recordings: which there are, what lies in them, and what is to become of them.

mod download;
mod edit;
mod make;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Door;
use super::orders::find;
use super::problem::{Answer, Problem};
use crate::clock::Clock;
use crate::daemon::recordings::timeline::Timeline;
use crate::daemon::recordings::{Shelf, ShelfError, files, timeline};
use crate::incident::{self, Story};
use crate::recording::catalogue::Summary;
use crate::recording::removal::{Exports, remove};
use crate::recording::{Archive, RecordingError};
use view::{RecordingDetail, RecordingSummary, Waveform};

/// Longest title that is taken, in characters.
const TITLE_MAX: usize = 200;

/// Points of a waveform at most, and where nobody says how many.
const POINTS_MAX: usize = 2000;

/// Every route of recordings and of what is made of them.
pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, delete))
        .routes(routes!(waveform))
        .routes(routes!(timeline_of))
        .routes(routes!(timeline_of_show))
        .routes(routes!(download::file))
        .routes(routes!(make::export))
        .routes(routes!(make::repair))
        .routes(routes!(make::verify))
        .routes(routes!(make::jobs))
        .routes(routes!(make::job, make::cancel))
        .routes(routes!(edit::keep))
        .routes(routes!(edit::mark))
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Unknown => Self::new("no-recording", "GET /api/v1/recordings lists those that there are."),
            ShelfError::Recording(error) => error.into(),
        }
    }
}

impl From<RecordingError> for Problem {
    fn from(error: RecordingError) -> Self {
        match error {
            RecordingError::Locked { .. } => Self::new("being-written", "Wait until its show, or its repair, is over."),
            RecordingError::NoArchive(_) => Self::new("no-recording", "Its journal cannot be read."),
            error => {
                tracing::warn!(%error, "A recording could not be used.");
                Self::new("internal", "The recording could not be used; the daemon's log says why.")
            }
        }
    }
}

/// Does `work` where blocking hurts nobody.
async fn aside<T: Send + 'static>(door: &Door, work: impl FnOnce(&Shelf) -> Answer<T> + Send + 'static) -> Answer<T> {
    let shelf = Arc::clone(&door.shelf);
    let done = tokio::task::spawn_blocking(move || work(&shelf)).await;
    done.unwrap_or_else(|_| Err(Problem::new("internal", "The work broke off.")))
}

/// Which recordings are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those of this show.
    show: Option<String>,
}

/// Every recording, newest first.
#[utoipa::path(get, path = "/api/v1/recordings", tag = "recordings", params(Wanted),
    responses((status = 200, body = Vec<RecordingSummary>), (status = 400, body = Problem)))]
async fn list(State(door): State<Door>, Query(wanted): Query<Wanted>) -> Answer<Json<Vec<RecordingSummary>>> {
    aside(&door, move |shelf| {
        let all = shelf.list().into_iter();
        let of_show = |summary: &Summary| wanted.show.as_ref().is_none_or(|show| *show == summary.show);
        let wanted = all.filter(|one| of_show(&one.summary));
        Ok(Json(wanted.map(|one| RecordingSummary::new(one.id, &one.summary)).collect()))
    })
    .await
}

/// One recording: its sessions, what is missing, what was named, its files.
#[utoipa::path(get, path = "/api/v1/recordings/{id}", tag = "recordings", params(("id" = String, Path)),
    responses((status = 200, body = RecordingDetail), (status = 404, body = Problem)))]
async fn show(State(door): State<Door>, Path(id): Path<String>) -> Answer<Json<RecordingDetail>> {
    aside(&door, move |shelf| {
        let folder = shelf.find(&id)?;
        let (summary, archive) = (shelf.summary(&folder)?, Archive::read(&folder)?);
        Ok(Json(RecordingDetail::new(id, &summary, &archive)))
    })
    .await
}

/// Delete a recording with its files and exports. It cannot be undone.
#[utoipa::path(delete, path = "/api/v1/recordings/{id}", tag = "recordings", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn delete(State(door): State<Door>, Path(id): Path<String>) -> Answer<StatusCode> {
    if door.jobs.is_busy(&id) {
        return Err(Problem::new("being-written", "Something is made of it: wait, or cancel that job."));
    }
    aside(&door, move |shelf| {
        let folder = shelf.find(&id)?;
        let summary = shelf.summary(&folder)?;
        if summary.keep {
            return Err(Problem::new("kept", "Send {\"keep\": false} to its keep first."));
        }
        if summary.written_by.is_some() {
            return Err(Problem::new("being-written", "End its show first."));
        }
        let removed = remove(&folder, Exports::Delete)?;
        tracing::info!(recording = summary.name, files = removed.files, "Recording deleted by an operator.");
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Which piece of a waveform is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Drawn {
    /// Of this session; the first one's where none is named.
    session: Option<String>,
    /// How many points, 2000 at most.
    points: Option<usize>,
}

/// The waveform of a session: highest samples of equal pieces, from 0 to 1.
#[utoipa::path(get, path = "/api/v1/recordings/{id}/waveform", tag = "recordings",
    params(("id" = String, Path), Drawn),
    responses((status = 200, body = Waveform), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn waveform(
    State(door): State<Door>,
    Path(id): Path<String>,
    Query(drawn): Query<Drawn>,
) -> Answer<Json<Waveform>> {
    aside(&door, move |shelf| {
        let archive = Archive::read(&shelf.find(&id)?)?;
        let session = match &drawn.session {
            Some(session) => archive.session(session),
            None => archive.sessions.first(),
        };
        let session = session.ok_or_else(|| Problem::new("no-recording", "It has no such session."))?;
        let points = drawn.points.unwrap_or(POINTS_MAX).clamp(1, POINTS_MAX);
        Ok(Json(Waveform::of(&archive, session, points)))
    })
    .await
}

/// A recording on one axis of time: gaps, repairs, marks, outages of its outputs.
#[utoipa::path(get, path = "/api/v1/recordings/{id}/timeline", tag = "recordings", params(("id" = String, Path)),
    responses((status = 200, body = Timeline), (status = 404, body = Problem)))]
async fn timeline_of(State(door): State<Door>, Path(id): Path<String>) -> Answer<Json<Timeline>> {
    aside(&door, move |shelf| {
        let folder = shelf.find(&id)?;
        drawn(&folder, shelf.summary(&folder)?.written_by.is_some())
    })
    .await
}

fn drawn(folder: &std::path::Path, is_written: bool) -> Answer<Json<Timeline>> {
    let archive = Archive::read(folder)?;
    let now = is_written.then(|| Clock::system().wall());
    // A recording without its incident file has no outages to tell.
    let story = incident::read(&folder.join(incident::NAME)).map(|read| Story::of(read, now)).unwrap_or_default();
    Ok(Json(timeline::draw(&archive, &story, now)))
}

/// A show that is on the air, on one axis of time.
#[utoipa::path(get, path = "/api/v1/shows/{show}/timeline", tag = "shows", params(("show" = String, Path)),
    responses((status = 200, body = Timeline), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn timeline_of_show(State(door): State<Door>, Path(show): Path<String>) -> Answer<Json<Timeline>> {
    let folder = find(&door, &show)?.archive();
    let folder = folder.ok_or_else(|| Problem::new("off-the-air", "It records nothing now."))?;
    aside(&door, move |_| drawn(&folder, true)).await
}
