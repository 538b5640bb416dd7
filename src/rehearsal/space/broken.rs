//! Answers that are not what they should be: slow, cut, closed, never.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

/// Any answer.
pub(super) type Answer = Response<Body>;

/// Pieces in which a slow body comes.
const SLOW_PIECES: u32 = 10;

/// `status` without a body; a server's error for a number that is none.
pub(super) fn status(status: u16) -> Answer {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

/// A web page where something else was asked for.
pub(super) fn html() -> Answer {
    let page = "<!DOCTYPE html><html><head><title>X</title></head><body>Something went wrong.</body></html>";
    ([(header::CONTENT_TYPE, "text/html")], page).into_response()
}

/// Never comes. The client has to leave.
pub(super) async fn never() -> Answer {
    std::future::pending().await
}

/// The connection closes without a byte: the server throws away what it has not sent when a body fails at once.
pub(super) fn reset() -> Answer {
    let broken = stream::once(async { Err::<Bytes, _>(broken_off()) });
    ([(header::CONTENT_LENGTH, "1")], Body::from_stream(broken)).into_response()
}

/// All of `bytes`, within `millis`.
pub(super) fn trickle(bytes: Bytes, millis: u64) -> Body {
    let length = bytes.len();
    let pause = Duration::from_millis(millis) / SLOW_PIECES;
    let pieces = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(rest.len().min(length / SLOW_PIECES as usize + 1));
        Some((Ok::<_, std::io::Error>(piece), rest))
    });
    Body::from_stream(pieces)
}

/// Half of `bytes`, then the connection closes.
pub(super) fn half(bytes: &Bytes) -> Body {
    let half = stream::iter([Ok(bytes.slice(..bytes.len() / 2))]);
    // The server throws away what it has not sent yet when a body fails: the half must be out by then.
    let broken = stream::once(async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(broken_off())
    });
    Body::from_stream(half.chain(broken))
}

fn broken_off() -> std::io::Error {
    std::io::Error::other("the rehearsal breaks this connection")
}
