//! One file of a recording, whole or a piece of it (RFC 9110, section 14).

use std::io::{self, Seek as _, SeekFrom};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_range_header::parse_range_header;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::files::{self, Open};
use super::{Answer, Door, Problem, aside};
use crate::recording::Archive;

/// Read at once.
const PIECE: usize = 64 << 10;

/// What of the file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// All of it.
    Whole,
    /// The bytes from the first to the last one.
    Piece(u64, u64),
    /// Nothing: it has no such bytes.
    Nothing,
}

/// A file, whole or a piece of it. Names are those of the recording's `files`.
#[utoipa::path(get, path = "/api/v1/recordings/{id}/files/{file}", tag = "recordings",
    params(("id" = String, Path), ("file" = String, Path),
        ("Range" = Option<String>, Header, description = "One range of bytes.")),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"), (status = 304), (status = 404, body = Problem),
        (status = 416, body = Problem)))]
pub(super) async fn file(
    State(door): State<Door>,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Answer<Response> {
    let open = aside(&door, move |shelf| {
        let archive = Archive::read(&shelf.find(&id)?)?;
        files::open(&archive, &name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::new("no-file", "The recording lists those that there are."),
            _ => Problem::new("internal", "The file cannot be read; the daemon's log says why."),
        })
    })
    .await?;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == open.tag)) {
        return Ok((StatusCode::NOT_MODIFIED, own(&open)).into_response());
    }
    // A piece of another state of the file would not fit to what the client has.
    let is_same = text(header::IF_RANGE).is_none_or(|tag| tag == open.tag);
    let wanted = wanted(text(header::RANGE).filter(|_| is_same), open.bytes);
    send(open, wanted, method == Method::HEAD).await
}

/// Several pieces at once are answered with the whole, as everybody may.
fn wanted(range: Option<&str>, bytes: u64) -> Wanted {
    let Some(parsed) = range.and_then(|range| parse_range_header(range).ok()) else { return Wanted::Whole };
    match parsed.validate(bytes) {
        Ok(ranges) => match &ranges[..] {
            [one] => Wanted::Piece(*one.start(), *one.end()),
            _ => Wanted::Whole,
        },
        Err(_) => Wanted::Nothing,
    }
}

/// What every answer about the file says.
fn own(open: &Open) -> HeaderMap {
    let value =
        |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    // Quotes and bytes beyond ASCII cannot stand in the header as they are.
    let clean = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = open.listed.name.chars().map(clean).collect();
    HeaderMap::from_iter([
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::ETAG, value(&open.tag)),
        (header::CONTENT_TYPE, value(open.listed.media_type)),
        (header::CONTENT_DISPOSITION, value(&format!("attachment; filename=\"{name}\""))),
        // It is the operator's own: kept by the browser, asked for again each time.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ])
}

async fn send(open: Open, wanted: Wanted, head: bool) -> Answer<Response> {
    let (mut headers, all) = (own(&open), open.bytes);
    let (status, first, length) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, all),
        Wanted::Piece(first, last) => {
            let range = format!("bytes {first}-{last}/{all}");
            headers.extend(HeaderValue::from_str(&range).ok().map(|range| (header::CONTENT_RANGE, range)));
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Wanted::Nothing => {
            let mut answer = Problem::new("no-range", format!("The file has {all} bytes.")).into_response();
            let range = HeaderValue::from_str(&format!("bytes */{all}"));
            answer.headers_mut().extend(range.ok().map(|range| (header::CONTENT_RANGE, range)));
            return Ok(answer);
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if head {
        return Ok((status, headers).into_response());
    }
    let mut file = open.file;
    file.seek(SeekFrom::Start(first)).map_err(|_| Problem::new("internal", "The file cannot be read."))?;
    let piece = tokio::fs::File::from_std(file).take(length);
    Ok((status, headers, Body::from_stream(ReaderStream::with_capacity(piece, PIECE))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_table() {
        for (range, expected) in [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), Wanted::Piece(0, 0)),
            (Some("bytes=10-"), Wanted::Piece(10, 99)),
            (Some("bytes=-5"), Wanted::Piece(95, 99)),
            (Some("bytes=90-200"), Wanted::Piece(90, 99)),
            (Some("bytes=100-"), Wanted::Nothing),
            (Some("bytes=0-1,5-6"), Wanted::Whole),
            (Some("bytes=5-1"), Wanted::Nothing),
            (Some("lines=1-2"), Wanted::Whole),
            (Some("rubbish"), Wanted::Whole),
        ] {
            assert_eq!(wanted(range, 100), expected, "{range:?}");
        }
    }
}
