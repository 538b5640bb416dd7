//! Shows: which there are, and making, changing and deleting them.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use http_body_util::BodyExt;

use super::draft::{Drafted, ShowDraft};
use super::orders::find;
use super::problem::{Answer, Problem};
use super::view::{ShowDetail, ShowSummary};
use super::{BODY_MAX, Door};
use crate::daemon::{Origin, Ward};

/// How much of a body that is too large is read.
const FORGOTTEN_MAX: usize = 16 << 20;

/// Every show.
#[utoipa::path(get, path = "/api/v1/shows", tag = "shows", responses((status = 200, body = Vec<ShowSummary>)))]
pub(super) async fn list(State(door): State<Door>) -> Json<Vec<ShowSummary>> {
    Json(door.roster.all().iter().map(|ward| ShowSummary::from(&ward.view())).collect())
}

/// One show.
#[utoipa::path(get, path = "/api/v1/shows/{show}", tag = "shows", params(("show" = String, Path)),
    responses((status = 200, body = ShowDetail), (status = 404, body = Problem)))]
pub(super) async fn show(State(door): State<Door>, Path(show): Path<String>) -> Answer<Json<ShowDetail>> {
    Ok(Json(ShowDetail::from(&find(&door, &show)?.view())))
}

/// Make a show of a link and outputs, or of a configuration. With an `Idempotency-Key` the same request twice makes one.
#[utoipa::path(post, path = "/api/v1/shows", tag = "shows",
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of at most 255 characters; kept for a day.")),
    request_body(content((ShowDraft = "application/json"), (String = "application/toml"))),
    responses((status = 201, body = ShowDetail), (status = 400, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn create(State(door): State<Door>, headers: HeaderMap, body: Body) -> Answer<Response> {
    let body = whole(body).await?;
    let key = headers.get("idempotency-key").map(|key| key.to_str());
    let key = key.transpose().map_err(|_| Problem::new("bad-request", "An Idempotency-Key is plain ASCII."))?;
    let (turn, made) = door.creates.turn(key, &body).await?;
    if let Some(show) = made {
        let ward = find(&door, &show)?;
        return Ok(created(&ward, true));
    }
    let draft = parse(&headers, &body)?;
    let start = draft.start;
    let drafted = draft.draw(&door.roster, None)?;
    let ward = keep(&door, &drafted)?;
    if start && let Err(refusal) = ward.start() {
        forget(&door, ward.name())?;
        return Err(refusal.into());
    }
    turn.keep(ward.name());
    Ok(created(&ward, false))
}

fn keep(door: &Door, drafted: &Drafted) -> Answer<std::sync::Arc<Ward>> {
    let ward = door.roster.create(drafted.config.clone(), &drafted.text)?;
    if let Err(problem) = drafted.save_secrets(door.roster.folders()) {
        forget(door, ward.name())?;
        return Err(problem);
    }
    Ok(ward)
}

fn forget(door: &Door, show: &str) -> Answer<()> {
    door.roster.delete(show).map_err(|error| Problem::new("internal", format!("It could not be deleted: {error}.")))
}

fn created(ward: &Ward, replayed: bool) -> Response {
    let location = HeaderValue::from_str(&format!("/api/v1/shows/{}", ward.name())).ok();
    let mut answer = (StatusCode::CREATED, Json(ShowDetail::from(&ward.view()))).into_response();
    answer.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
    if replayed {
        answer.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    answer
}

/// Give a show that is off the air another configuration. Keys that are not sent again are kept for outputs whose
/// address is the same; an output that points elsewhere needs its key anew.
#[utoipa::path(put, path = "/api/v1/shows/{show}", tag = "shows", params(("show" = String, Path)),
    request_body(content((ShowDraft = "application/json"), (String = "application/toml"))),
    responses((status = 200, body = ShowDetail), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn replace(
    State(door): State<Door>,
    Path(show): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<ShowDetail>> {
    let body = whole(body).await?;
    let (_turn, _) = door.creates.turn(None, &body).await?;
    let ward = ours_and_off(&door, &show)?;
    let draft = parse(&headers, &body)?;
    let start = draft.start;
    let drafted = draft.draw(&door.roster, Some(&show))?;
    drafted.save_secrets(door.roster.folders())?;
    door.roster.replace(&ward, drafted.config, &drafted.text)?;
    if start {
        ward.start()?;
    }
    Ok(Json(ShowDetail::from(&ward.view())))
}

/// Delete a show that is off the air, and its secrets. Its recordings stay.
#[utoipa::path(delete, path = "/api/v1/shows/{show}", tag = "shows", params(("show" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn delete(State(door): State<Door>, Path(show): Path<String>) -> Answer<StatusCode> {
    let (_turn, _) = door.creates.turn(None, b"").await?;
    ours_and_off(&door, &show)?;
    forget(&door, &show)?;
    door.autos.schedules.delete(&show)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The show, if the API made it and nobody carries it.
fn ours_and_off(door: &Door, show: &str) -> Answer<std::sync::Arc<Ward>> {
    let ward = find(door, show)?;
    if let Origin::File(path) = ward.origin() {
        return Err(Problem::new("not-ours", format!("Change or remove {}.", path.display())));
    }
    if !ward.is_free() {
        return Err(Problem::new("on-the-air", "End or suspend it first."));
    }
    Ok(ward)
}

/// The whole body. One that is too large is read on for a while and forgotten: a client that is still sending would not
/// see the answer.
async fn whole(mut body: Body) -> Answer<Vec<u8>> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::new("bad-request", format!("The body broke off: {error}.")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= BODY_MAX {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
        if length > FORGOTTEN_MAX {
            break;
        }
    }
    if length > BODY_MAX {
        return Err(Problem::new("too-large", "A show's configuration has 1 MB at most."));
    }
    Ok(bytes)
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Answer<ShowDraft> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => {
            let mut reader = serde_json::Deserializer::from_slice(body);
            // The library's own words could quote a secret; the place says enough.
            serde_path_to_error::deserialize(&mut reader).map_err(|error| {
                let (path, error) = (error.path().to_string(), error.inner());
                let what = match error.classify() {
                    serde_json::error::Category::Data => "is unknown or of the wrong type",
                    _ => "is no JSON from there on",
                };
                let place = format!("line {}, column {}", error.line(), error.column());
                Problem::new("bad-request", format!("{path} {what} ({place})."))
            })
        }
        "application/toml" => {
            let text = String::from_utf8(body.to_vec());
            text.map(ShowDraft::of_toml).map_err(|_| Problem::new("bad-request", "It is not UTF-8 text."))
        }
        _ => Err(Problem::new("wrong-media-type", "Send application/json or application/toml.")),
    }
}
