//! What is on the air, to hear and to see: levels and audio without an end.
//!
//! Readers of one show share one connection to its bridge. One that listens too slowly is cut off; one that looks too
//! slowly sees fewer levels.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Door;
use super::chorus;
use super::listen::Narrow;
use super::orders::find;
use super::problem::{Answer, Problem};
use crate::daemon::fan::ShowLevel;

/// Begins a stream of levels: a browser comes again after a second, and knows at once that it is connected.
const HELLO: Bytes = Bytes::from_static(b"retry: 1000\n\n");

/// How loud the program is: an event `level` some twelve times a second, evenly.
#[utoipa::path(get, path = "/api/v1/shows/{show}/levels", tag = "live", params(("show" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = ShowLevel), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn levels(
    State(door): State<Door>,
    Path(show): Path<String>,
    Extension(narrow): Extension<Narrow>,
) -> Answer<Response> {
    let levels = find(&door, &show)?.levels().await?;
    narrow.set();
    let body = Body::from_stream(stream(levels, Some(HELLO), false, door.token));
    Ok((endless("text/event-stream"), body).into_response())
}

/// How loud every show on the air is, in one stream: a browser has few connections.
#[utoipa::path(get, path = "/api/v1/levels", tag = "live",
    responses((status = 200, content_type = "text/event-stream", body = ShowLevel)))]
pub(super) async fn all_levels(State(door): State<Door>, Extension(narrow): Extension<Narrow>) -> Response {
    narrow.set();
    let body = Body::from_stream(chorus::levels(door.roster, HELLO, door.token));
    (endless("text/event-stream"), body).into_response()
}

/// A connection that carried a stream without an end is good for nothing else: see [`Narrow`].
fn endless(kind: &'static str) -> [(HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, kind), (header::CONNECTION, "close")]
}

/// The program as the outputs get it, behind the delay and with every cut: ADTS without an end.
#[utoipa::path(get, path = "/api/v1/shows/{show}/audio", tag = "live", params(("show" = String, Path)),
    responses((status = 200, content_type = "audio/aac", body = Vec<u8>), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn audio(
    State(door): State<Door>,
    Path(show): Path<String>,
    Extension(narrow): Extension<Narrow>,
) -> Answer<Response> {
    let audio = find(&door, &show)?.audio().await?;
    narrow.set();
    let body = Body::from_stream(stream(audio, None, true, door.token));
    Ok((endless("audio/aac"), body).into_response())
}

/// The slate as it is on the air, as a PNG. `slate_version` of the status is its `ETag`.
#[utoipa::path(get, path = "/api/v1/shows/{show}/slate", tag = "live",
    params(("show" = String, Path), ("If-None-Match" = Option<String>, Header, description = "`ETag` of the last answer.")),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 304), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn slate(State(door): State<Door>, Path(show): Path<String>, headers: HeaderMap) -> Answer<Response> {
    let ward = find(&door, &show)?;
    // What the status says is at most a quarter of a second old: whoever has that picture costs the bridge nothing.
    let version = ward.watch().borrow().1.as_ref().and_then(|status| status.slate_version.clone());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let has =
        |version: &str| known.split(',').any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == version);
    if let Some(version) = version.filter(|version| has(version)) {
        return Ok((StatusCode::NOT_MODIFIED, facts(&version)).into_response());
    }
    let (version, png) = ward.client().slate().await?;
    if has(&version) {
        return Ok((StatusCode::NOT_MODIFIED, facts(&version)).into_response());
    }
    Ok((facts(&version), [(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// A browser keeps the picture, and asks every time whether it is still the one.
fn facts(version: &str) -> [(HeaderName, String); 2] {
    [(header::ETAG, format!("\"{version}\"")), (header::CACHE_CONTROL, "no-cache".to_owned())]
}

/// What comes, until the bridge or the daemon ends; with `whole` only as long as nothing is missing.
fn stream(
    pieces: Receiver<Bytes>,
    first: Option<Bytes>,
    whole: bool,
    token: CancellationToken,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    unfold((pieces, first, token), move |(mut pieces, mut first, token)| async move {
        if let Some(first) = first.take() {
            return Some((Ok(first), (pieces, None, token)));
        }
        loop {
            let piece = tokio::select! {
                () = token.cancelled() => return None,
                piece = pieces.recv() => piece,
            };
            match piece {
                Ok(piece) => return Some((Ok(piece), (pieces, None, token))),
                Err(RecvError::Lagged(_)) if !whole => {}
                Err(RecvError::Lagged(missing)) => {
                    tracing::debug!(missing, "A slow listener was cut off.");
                    return None;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    })
}
