//! Live audio over http and https: our own client reads it, so that redirects are checked and nothing is read ahead.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::SourceError;
use crate::gst::uri::UriInput;
use crate::net::{HttpClient, Incoming, NetError, Request};
use crate::source::SourceFault;

/// Time for an answer's head.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Time and bytes for a list of addresses.
const LIST_TIME: Duration = Duration::from_secs(5);
const LIST_BYTES: usize = 64 << 10;

/// Bytes that are pushed at once: the reader takes them whole or not at all.
const PIECE: usize = 64 << 10;

/// Pause while the reader is full: it holds seconds.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Pause that a server which counts requests is given.
const LIMITED_PAUSE: Duration = Duration::from_secs(30);

/// What is behind an address.
pub(super) enum Found {
    /// Audio.
    Stream(Incoming),
    /// An HLS playlist at this address.
    Hls(Url),
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// The server had said how long it is: a file, and this was all of it.
    Whole,
    /// A stream that has no end ended.
    Closed,
}

/// Asks for `url`. A plain list of addresses (`.m3u`) leads to its first one, once.
pub(super) async fn find(client: &HttpClient, url: &Url) -> Result<Found, SourceError> {
    let incoming = open(client, url).await?;
    if !is_playlist(&incoming) {
        return Ok(Found::Stream(incoming));
    }
    let at = incoming.url().clone();
    drop(incoming);
    let answer = client.send(Request::get(at.clone(), LIST_BYTES, LIST_TIME)).await;
    let answer = match answer {
        // A playlist of an HLS recording may be longer than any list of addresses.
        Err(NetError::TooLarge(_)) => return Ok(Found::Hls(at)),
        other => other.map_err(|error| refused(url, &error))?,
    };
    let text = String::from_utf8_lossy(&answer.body);
    if text.contains("#EXT-X-") {
        return Ok(Found::Hls(at));
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(target) = first.and_then(|line| at.join(line).ok()) else {
        return Err(SourceError::operator(format!("{} answers with an empty playlist; check the address", host(url))));
    };
    let incoming = open(client, &target).await?;
    if is_playlist(&incoming) {
        return Ok(Found::Hls(target));
    }
    Ok(Found::Stream(incoming))
}

async fn open(client: &HttpClient, url: &Url) -> Result<Incoming, SourceError> {
    let request = Request::get(url.clone(), usize::MAX, HEAD_TIME).header("accept", "audio/*, */*;q=0.5");
    let incoming = client.open(request).await.map_err(|error| refused(url, &error))?;
    let host = host(url);
    match incoming.status() {
        200..=299 if is_page(&incoming) => Err(SourceError::operator(format!(
            "{host} answers with a web page; use the address of the stream itself, as a player takes it"
        ))),
        200..=299 => Ok(incoming),
        status @ (401 | 403) => Err(SourceError::operator(format!(
            "{host} answers {status} and lets nobody listen without a login; use an address that works in a player"
        ))),
        404 => Err(SourceError::transient(format!(
            "{host} answers 404: nothing is on the air at this address yet, or the address is wrong"
        ))),
        410 => Err(SourceError::gone(format!("{host} answers 410: the stream is gone; use another address"))),
        429 => Err(SourceError {
            message: format!("{host} answers 429: it was asked too often"),
            class: SourceFault::RateLimited(LIMITED_PAUSE),
        }),
        status => Err(SourceError::transient(format!("{host} answers {status} instead of audio"))),
    }
}

fn is_playlist(incoming: &Incoming) -> bool {
    let kind = incoming.header("content-type").to_ascii_lowercase();
    kind.contains("mpegurl") || is_playlist_path(incoming.url())
}

fn is_page(incoming: &Incoming) -> bool {
    let kind = incoming.header("content-type").to_ascii_lowercase();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml") || kind.starts_with("application/json")
}

fn is_playlist_path(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    path.ends_with(".m3u8") || path.ends_with(".m3u")
}

/// Reads the body into the reader, as fast as the reader takes it.
pub(super) async fn feed(mut body: Incoming, reader: UriInput, label: String) -> Result<BodyEnd, SourceError> {
    let broken = |error| match error {
        NetError::TimedOut(time) => {
            SourceError::transient(format!("{label} sends nothing any more, for {} s", time.as_secs()))
        }
        error => SourceError::transient(format!("the stream from {label} broke: {error}")),
    };
    while let Some(bytes) = next_piece(&mut body, &reader).await.map_err(broken)? {
        push(&reader, &bytes).await;
    }
    Ok(if body.length().is_some() { BodyEnd::Whole } else { BodyEnd::Closed })
}

/// The next piece; the reader is told where there is none.
async fn next_piece(body: &mut Incoming, reader: &UriInput) -> Result<Option<Bytes>, NetError> {
    let piece = body.next().await;
    if !matches!(piece, Ok(Some(_))) {
        reader.end_of_bytes();
    }
    piece
}

/// Waits until the reader has taken the bytes. A reader that failed takes none any more: its owner ends the wait.
pub(super) async fn push(reader: &UriInput, bytes: &Bytes) {
    for start in (0..bytes.len()).step_by(PIECE) {
        let piece = bytes.slice(start..bytes.len().min(start + PIECE));
        while !reader.push(&piece) {
            tokio::time::sleep(FULL_PAUSE).await;
        }
    }
}

/// An error of the client for people, without the address.
pub(super) fn refused(url: &Url, error: &NetError) -> SourceError {
    let message = format!("{} cannot be read: {error}", host(url));
    if error.is_permanent() { SourceError::operator(message) } else { SourceError::transient(message) }
}

/// The address's host: all of it that is ever told.
pub(super) fn host(url: &Url) -> String {
    crate::text::plain(url.host_str().unwrap_or("the address"), 100)
}
