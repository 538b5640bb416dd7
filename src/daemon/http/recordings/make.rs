//! What is made of recordings: exports, repairs, checks, as jobs of their own.

use std::ffi::OsString;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Answer, Door, Problem, TITLE_MAX, aside};
use crate::daemon::recordings::jobs::{JobKind, JobView, Order};
use crate::episode::Format;
use crate::text::plain;

/// What is to be made of a recording.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportOrder {
    /// `m4a`, `mp4`, `mp3`, `opus`, `flac`, `wav`, `waveform`, `speakers`, `captions`, `stems`, `chapters`.
    formats: Vec<String>,
    /// Only these sessions; all where none is named.
    #[serde(default)]
    sessions: Vec<String>,
    /// Integrated loudness to reach in LUFS, such as -16 or -14; the sound is encoded anew.
    loudness: Option<f64>,
    /// Leave out the silence before the first and after the last word.
    #[serde(default)]
    trim: bool,
    /// Mix down to one channel.
    #[serde(default)]
    mono: bool,
    /// Bit rate of what is encoded anew, in kbit/s.
    bitrate: Option<u32>,
    /// Where chapters come from: `auto`, `marks`, `speakers`, `none`.
    chapters: Option<String>,
    /// Title; the show's or the space's where none is given.
    title: Option<String>,
    /// Comment.
    comment: Option<String>,
    /// Whether files of the same name are made anew.
    #[serde(default)]
    force: bool,
}

impl ExportOrder {
    /// The order as the command line takes it: values behind `=`, so that none is taken for an option.
    fn arguments(&self) -> Answer<Vec<OsString>> {
        let bad = |what: String| Problem::new("bad-request", what);
        let formats = self.formats.iter().map(|one| one.parse::<Format>()).collect::<Result<Vec<_>, _>>();
        let formats = formats.map_err(|error| bad(format!("{error}.")))?;
        if formats.is_empty() {
            return Err(bad("Name at least one format.".to_owned()));
        }
        let chapters = self.chapters.as_deref().unwrap_or("auto");
        if !["auto", "marks", "speakers", "none"].contains(&chapters) {
            return Err(bad("chapters is auto, marks, speakers or none.".to_owned()));
        }
        let mut arguments = vec![format!("--chapters={chapters}")];
        arguments.extend(formats.iter().map(|format| format!("--format={}", format.name())));
        arguments.extend(self.sessions.iter().map(|session| format!("--session={}", plain(session, TITLE_MAX))));
        arguments.extend(self.loudness.map(|lufs| format!("--loudness={lufs}")));
        arguments.extend(self.bitrate.map(|rate| format!("--bitrate={rate}")));
        arguments.extend(self.title.as_ref().map(|title| format!("--title={}", plain(title, TITLE_MAX))));
        arguments.extend(self.comment.as_ref().map(|comment| format!("--comment={}", plain(comment, 2000))));
        for (is_set, flag) in [(self.trim, "--trim"), (self.mono, "--mono"), (self.force, "--force")] {
            arguments.extend(is_set.then(|| flag.to_owned()));
        }
        Ok(arguments.into_iter().map(OsString::from).collect())
    }
}

/// Make files to post. What becomes of it is told by the job.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/exports", tag = "recordings", params(("id" = String, Path)),
    request_body = ExportOrder,
    responses((status = 202, body = JobView), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn export(
    State(door): State<Door>,
    Path(id): Path<String>,
    body: Result<Json<ExportOrder>, JsonRejection>,
) -> Answer<Response> {
    let Json(order) = body.map_err(|rejection| Problem::of_status(rejection.status(), rejection.body_text()))?;
    let mut arguments = vec!["--json".into(), "--progress-json".into()];
    arguments.extend(order.arguments()?);
    ask(&door, id, JobKind::Export, "export", arguments).await
}

/// Look for what is missing, or was damaged, in what the platform still holds.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/repair", tag = "recordings", params(("id" = String, Path)),
    responses((status = 202, body = JobView), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn repair(State(door): State<Door>, Path(id): Path<String>) -> Answer<Response> {
    ask(&door, id, JobKind::Repair, "repair", vec!["--json".into()]).await
}

/// Compute every checksum again.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/verify", tag = "recordings", params(("id" = String, Path)),
    responses((status = 202, body = JobView), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn verify(State(door): State<Door>, Path(id): Path<String>) -> Answer<Response> {
    ask(&door, id, JobKind::Verify, "verify", vec!["--json".into()]).await
}

async fn ask(door: &Door, id: String, kind: JobKind, verb: &'static str, options: Vec<OsString>) -> Answer<Response> {
    let recording = id.clone();
    let (folder, config, show) = aside(door, move |shelf| {
        let folder = shelf.find(&id)?;
        let summary = shelf.summary(&folder)?;
        Ok((folder, shelf.config_of(&summary), summary.show.clone()))
    })
    .await?;
    let mut arguments: Vec<OsString> = vec!["recordings".into(), verb.into()];
    // A check needs no configuration, and one that does not load any more is no reason to refuse it.
    if let Some(config) = config.filter(|_| kind != JobKind::Verify) {
        arguments.extend(["--config".into(), config.into_os_string()]);
    }
    arguments.extend(options);
    arguments.extend(["--".into(), folder.into_os_string()]);
    let order = Order { kind, recording, show, arguments };
    let job = door.jobs.ask(order).ok_or_else(|| Problem::new("overloaded", "Too many jobs wait.").retry_after(60))?;
    let location = HeaderValue::from_str(&format!("/api/v1/jobs/{}", job.id)).ok();
    let mut answer = (StatusCode::ACCEPTED, Json(job)).into_response();
    answer.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
    Ok(answer)
}

/// What is being made of recordings, and what was.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "recordings", responses((status = 200, body = Vec<JobView>)))]
pub(super) async fn jobs(State(door): State<Door>) -> Json<Vec<JobView>> {
    Json(door.jobs.list())
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{job}", tag = "recordings", params(("job" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem)))]
pub(super) async fn job(State(door): State<Door>, Path(job): Path<String>) -> Answer<Json<JobView>> {
    door.jobs.get(&job).map(Json).ok_or_else(no_job)
}

/// Stop a job. What it has made whole stays.
#[utoipa::path(delete, path = "/api/v1/jobs/{job}", tag = "recordings", params(("job" = String, Path)),
    responses((status = 202, body = JobView), (status = 404, body = Problem)))]
pub(super) async fn cancel(State(door): State<Door>, Path(job): Path<String>) -> Answer<(StatusCode, Json<JobView>)> {
    door.jobs.cancel(&job).map(|job| (StatusCode::ACCEPTED, Json(job))).ok_or_else(no_job)
}

fn no_job() -> Problem {
    Problem::new("no-job", "Jobs are forgotten when the daemon ends; what they made is in the recording.")
}
