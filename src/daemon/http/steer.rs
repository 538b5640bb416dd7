//! What an operator does to a show that is on the air: outputs that come and go, the slate, the delay, the cut, marks.
//! Its bridge decides; nothing is decided here.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::orders::find;
use super::problem::{Answer, Problem};
use super::{Door, live, presets};
use crate::bridge::protocol::live::{CutOrder, DelayOrder, LiveAnswer, NewOutput, PICTURE_MAX, PinOrder, SlateText};
use crate::bridge::protocol::{MarkAccepted, MarkOrder};

type Taken = (StatusCode, Json<LiveAnswer>);
type Read<T> = Result<Json<T>, JsonRejection>;

/// Every route of a show that is on the air.
pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(presets::list))
        .routes(routes!(live::all_levels))
        .routes(routes!(live::levels))
        .routes(routes!(live::audio))
        .routes(routes!(live::slate, set_slate, clear_slate).layer(DefaultBodyLimit::max(PICTURE_MAX)))
        .routes(routes!(pin))
        .routes(routes!(delay))
        .routes(routes!(cut))
        .routes(routes!(mark))
        .routes(routes!(remove_output))
}

fn taken(answer: LiveAnswer) -> Taken {
    (StatusCode::ACCEPTED, Json(answer))
}

fn understood<T>(body: Read<T>, example: &str) -> Answer<T> {
    let Json(order) = body.map_err(|rejection| {
        // Without the library's words: they may quote a key.
        Problem::of_status(rejection.status(), format!("Send {example} as application/json."))
    })?;
    Ok(order)
}

/// Add an output for the rest of the show.
#[utoipa::path(post, path = "/api/v1/shows/{show}/outputs", tag = "live", params(("show" = String, Path)),
    request_body = NewOutput,
    responses((status = 202, body = LiveAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem)))]
pub(super) async fn add_output(
    State(door): State<Door>,
    Path(show): Path<String>,
    body: Read<NewOutput>,
) -> Answer<Taken> {
    let output = understood(body, "{\"name\": \"…\", \"preset\": \"…\", \"url\": \"…\", \"key\": \"…\"}")?;
    Ok(taken(find(&door, &show)?.add_output(&output).await?))
}

/// Take an output out for the rest of the show.
#[utoipa::path(delete, path = "/api/v1/shows/{show}/outputs/{output}", tag = "live",
    params(("show" = String, Path), ("output" = String, Path)),
    responses((status = 202, body = LiveAnswer), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn remove_output(State(door): State<Door>, Path((show, output)): Path<(String, String)>) -> Answer<Taken> {
    Ok(taken(find(&door, &show)?.remove_output(&output).await?))
}

/// Put a text or a picture (PNG, JPEG or WebP) of your own on the slate.
#[utoipa::path(put, path = "/api/v1/shows/{show}/slate", tag = "live", params(("show" = String, Path)),
    request_body(content((SlateText = "application/json"), (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"),
        (Vec<u8> = "image/webp"))),
    responses((status = 202, body = LiveAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem)))]
async fn set_slate(
    State(door): State<Door>,
    Path(show): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Taken> {
    let body = body.map_err(|rejection| {
        let detail = format!("A picture has at most {} MB.", PICTURE_MAX >> 20);
        Problem::of_status(rejection.status(), detail)
    })?;
    let client = find(&door, &show)?.client();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("image/") {
        return Ok(taken(client.slate_picture(body.to_vec()).await?));
    }
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Problem::new("wrong-media-type", "Send application/json, image/png, image/jpeg or image/webp."));
    }
    let detail = "Send {\"text\": \"…\"}; {\"text\": null} gives the slate back.";
    let SlateText { text } = serde_json::from_slice(&body).map_err(|_| Problem::new("bad-request", detail))?;
    Ok(taken(client.slate_text(text.as_deref()).await?))
}

/// Give the slate back: it says again what is happening.
#[utoipa::path(delete, path = "/api/v1/shows/{show}/slate", tag = "live", params(("show" = String, Path)),
    responses((status = 202, body = LiveAnswer), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn clear_slate(State(door): State<Door>, Path(show): Path<String>) -> Answer<Taken> {
    Ok(taken(find(&door, &show)?.client().slate_text(None).await?))
}

/// Hold the show to one source of its list, or let the list take its course again (`null`).
#[utoipa::path(post, path = "/api/v1/shows/{show}/source/pin", tag = "live", params(("show" = String, Path)),
    request_body = PinOrder,
    responses((status = 202, body = LiveAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem)))]
async fn pin(State(door): State<Door>, Path(show): Path<String>, body: Read<PinOrder>) -> Answer<Taken> {
    let PinOrder { source } = understood(body, "{\"source\": \"…\"}, or {\"source\": null} to let go,")?;
    Ok(taken(find(&door, &show)?.client().pin_source(source.as_deref()).await?))
}

/// Let the program go out so much later than it could.
#[utoipa::path(put, path = "/api/v1/shows/{show}/delay", tag = "live", params(("show" = String, Path)),
    request_body = DelayOrder,
    responses((status = 202, body = LiveAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem)))]
async fn delay(State(door): State<Door>, Path(show): Path<String>, body: Read<DelayOrder>) -> Answer<Taken> {
    let DelayOrder { seconds } = understood(body, "{\"seconds\": 20}")?;
    Ok(taken(find(&door, &show)?.client().delay(seconds).await?))
}

/// Take out of the program what was said last and has not gone out yet. The recording keeps it. It cannot be undone.
#[utoipa::path(post, path = "/api/v1/shows/{show}/cut", tag = "live", params(("show" = String, Path)),
    request_body = CutOrder,
    responses((status = 202, body = LiveAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem)))]
async fn cut(State(door): State<Door>, Path(show): Path<String>, body: Read<CutOrder>) -> Answer<Taken> {
    let CutOrder { seconds } = understood(body, "{\"seconds\": 10}, or {} for all that has not gone out yet,")?;
    Ok(taken(find(&door, &show)?.client().cut(seconds).await?))
}

/// Name the place that is being heard, as a chapter.
#[utoipa::path(post, path = "/api/v1/shows/{show}/marks", tag = "live", params(("show" = String, Path)),
    request_body = MarkOrder,
    responses((status = 201, body = MarkAccepted), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem)))]
async fn mark(
    State(door): State<Door>,
    Path(show): Path<String>,
    body: Read<MarkOrder>,
) -> Answer<(StatusCode, Json<MarkAccepted>)> {
    let MarkOrder { title } = understood(body, "{\"title\": \"Climate\"}")?;
    Ok((StatusCode::CREATED, Json(find(&door, &show)?.client().mark(&title).await?)))
}
