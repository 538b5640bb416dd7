//! The routes of what an operator does to a show that is on the air, and of what they hear and see of it.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event as SseEvent, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::Stream;
use tokio::sync::oneshot;

use super::{Answer, BODY_MAX, ProblemAnswer, Served, order, over, problem};
use crate::bridge::listen;
use crate::bridge::protocol::BridgeCommand;
use crate::bridge::protocol::live::{
    CutOrder, DelayOrder, LiveOrder, NewOutput, PICTURE_MAX, PUBLIC_DELAY_MAX, PinOrder, SlateText, TEXT_MAX,
};

/// Every route of this file. `POST /v1/outputs` stands beside the list of the outputs.
pub(super) fn router() -> Router<Served> {
    let small = DefaultBodyLimit::max(BODY_MAX);
    Router::new()
        .route("/v1/levels", get(levels))
        .route("/v1/audio", get(audio))
        .route("/v1/outputs/{name}", delete(remove_output))
        .route("/v1/source/pin", post(pin).layer(small))
        .route("/v1/slate", get(picture).post(slate).layer(DefaultBodyLimit::max(PICTURE_MAX)))
        .route("/v1/delay", post(delay).layer(small))
        .route("/v1/cut", post(cut).layer(small))
}

async fn levels(State(served): State<Served>) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    Sse::new(listen::levels(&served.service.heard, served.token))
}

async fn audio(State(served): State<Served>) -> Response {
    let body = Body::from_stream(listen::audio(&served.service.heard, served.token));
    ([(header::CONTENT_TYPE, "audio/aac"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// The picture that is on the air, drawn when it was made; not sent to whoever has it.
async fn picture(State(served): State<Served>, headers: HeaderMap) -> Answer<Response> {
    let still = served.service.heard.slate.borrow().clone();
    let still = still.ok_or_else(|| {
        problem(StatusCode::CONFLICT, "refused", "There is no picture to look at.", "Try again in a moment.")
    })?;
    let tag = format!("\"{}\"", still.version);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let facts = [(header::ETAG, tag), (header::CONTENT_TYPE, "image/png".to_owned())];
    Ok(if known { (StatusCode::NOT_MODIFIED, facts).into_response() } else { (facts, still.png).into_response() })
}

async fn pin(State(served): State<Served>, body: Result<Json<PinOrder>, JsonRejection>) -> Answer<Response> {
    let Json(PinOrder { source }) = understood(body, "{\"source\": \"…\"}, or {\"source\": null} to let go,")?;
    give(&served, LiveOrder::Pin(source)).await
}

/// `POST /v1/outputs`.
pub(super) async fn add_output(
    State(served): State<Served>,
    body: Result<Json<NewOutput>, JsonRejection>,
) -> Answer<Response> {
    let Json(output) = understood(body, "{\"name\": \"…\", \"preset\": \"…\", \"url\": \"…\", \"key\": \"…\"}")?;
    give(&served, LiveOrder::AddOutput(output)).await
}

async fn remove_output(State(served): State<Served>, Path(name): Path<String>) -> Answer<Response> {
    super::known_output(&served, &name)?;
    give(&served, LiveOrder::RemoveOutput(name)).await
}

async fn slate(
    State(served): State<Served>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<Response> {
    let body = body.map_err(|_| {
        let detail = format!("A picture has at most {} MB.", PICTURE_MAX >> 20);
        problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The slate's picture is too large.", &detail)
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("image/") {
        return give(&served, LiveOrder::SlatePicture(body)).await;
    }
    let body = if kind.starts_with("application/json") { serde_json::from_slice(&body).ok() } else { None };
    let Some(SlateText { text }) = body else {
        let detail =
            "Send {\"text\": \"…\"} as application/json, {\"text\": null} to clear, or a picture as image/png.";
        return Err(problem(StatusCode::BAD_REQUEST, "bad-request", "The order cannot be understood.", detail));
    };
    let text = text.map(|text| crate::text::plain(&text, TEXT_MAX + 1)).filter(|text| !text.trim().is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_MAX) {
        let detail = format!("Write at most {TEXT_MAX} characters.");
        return Err(problem(StatusCode::BAD_REQUEST, "bad-request", "The text is too long for the slate.", &detail));
    }
    give(&served, LiveOrder::SlateText(text)).await
}

async fn delay(State(served): State<Served>, body: Result<Json<DelayOrder>, JsonRejection>) -> Answer<Response> {
    let Json(DelayOrder { seconds }) = understood(body, "{\"seconds\": 20}")?;
    give(&served, LiveOrder::Delay(span(seconds)?)).await
}

async fn cut(State(served): State<Served>, body: Result<Json<CutOrder>, JsonRejection>) -> Answer<Response> {
    let Json(CutOrder { seconds }) = understood(body, "{\"seconds\": 10}, or {} for all that has not gone out yet")?;
    let last = seconds.map(span).transpose()?;
    give(&served, LiveOrder::Cut(last)).await
}

/// A length of time that makes sense here.
fn span(seconds: f64) -> Answer<Duration> {
    let span = Duration::try_from_secs_f64(seconds).ok().filter(|span| *span <= PUBLIC_DELAY_MAX);
    span.ok_or_else(|| {
        let detail = format!("Give 0 to {} seconds.", PUBLIC_DELAY_MAX.as_secs());
        problem(StatusCode::BAD_REQUEST, "bad-request", "No such length of time.", &detail)
    })
}

fn understood<T>(body: Result<Json<T>, JsonRejection>, example: &str) -> Answer<Json<T>> {
    body.map_err(|_| {
        // Without the parser's words: they may quote a key.
        let detail = format!("Send {example} as application/json.");
        problem(StatusCode::BAD_REQUEST, "bad-request", "The order cannot be understood.", &detail)
    })
}

async fn give(served: &Served, what: LiveOrder) -> Answer<Response> {
    let (reply, answer) = oneshot::channel();
    order(served, BridgeCommand::Live { order: what, reply }).await?;
    match answer.await {
        Ok(Ok(done)) => Ok((StatusCode::ACCEPTED, Json(done)).into_response()),
        Ok(Err(detail)) => Err(refused(&detail)),
        Err(_) => Err(over()),
    }
}

fn refused(detail: &str) -> ProblemAnswer {
    problem(StatusCode::CONFLICT, "refused", "The show stays as it is.", detail)
}
