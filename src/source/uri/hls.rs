//! HLS other than a Space's: our own reader of playlists fetches the segments, and their bytes are one stream.

use std::time::Duration;

use tokio::sync::mpsc;
use url::Url;

use super::http::{self, BodyEnd};
use crate::clock::Clock;
use crate::gst::uri::UriInput;
use crate::net::{HttpClient, Request};
use crate::source::hls::playlist::{self, MAX_PLAYLIST, Parsed, Playlist};
use crate::source::hls::tracker::{Progress, Tracker};
use crate::source::hls::{HlsEvent, HlsReader, Trouble};
use crate::source::{SourceError, SourceEvent};

/// Segments before the end of a live playlist with which listening begins (RFC 8216, 6.3.3).
const FROM_END: usize = 3;

/// Time for a playlist.
const PLAYLIST_TIME: Duration = Duration::from_secs(5);

/// Looks in a row that may fail before the attempt does.
const FAILURES: u32 = 3;

/// A reader of the playlist at `url` that begins near its end, or at the start of one that is whole.
pub(super) async fn open(client: &HttpClient, clock: &Clock, url: &Url) -> Result<HlsReader, SourceError> {
    let mut at = url.clone();
    let mut found = look(client, &at).await?;
    if let Parsed::Master(media) = found {
        at = media;
        found = look(client, &at).await?;
    }
    let Parsed::Media(playlist) = found else {
        return Err(SourceError::operator(format!("the playlist of {} leads to no segments", http::host(url))));
    };
    let tracker = Tracker::new(progress(&playlist).as_ref());
    Ok(HlsReader::new(client.clone(), clock.clone(), at, Vec::new(), tracker))
}

async fn look(client: &HttpClient, url: &Url) -> Result<Parsed, SourceError> {
    let request = Request::get(url.clone(), MAX_PLAYLIST, PLAYLIST_TIME);
    let answer = client.send(request).await.map_err(|error| http::refused(url, &error))?;
    let host = http::host(url);
    if !(200..300).contains(&answer.status) {
        let message = format!("{host} answers {} instead of a playlist; check that it is on the air", answer.status);
        return Err(SourceError::transient(message));
    }
    playlist::parse(&answer.body, &answer.url)
        .map_err(|error| SourceError::operator(format!("the playlist of {host} cannot be read: {error}")))
}

/// What needs no fetching: all but the newest segments of a playlist that goes on.
fn progress(playlist: &Playlist) -> Option<Progress> {
    let first = playlist.entries.len().checked_sub(FROM_END).filter(|_| !playlist.ended)?;
    let last_sequence = playlist.entries.get(first)?.sequence.checked_sub(1)?;
    Some(Progress { last_sequence, program_date_time: None })
}

/// Reads the segments into `input`, as fast as it takes them.
pub(super) async fn feed(
    mut reader: HlsReader,
    input: UriInput,
    label: String,
    events: mpsc::Sender<SourceEvent>,
) -> Result<BodyEnd, SourceError> {
    let mut failures = 0;
    let result = loop {
        match reader.next().await {
            HlsEvent::Segment(fetched) => {
                failures = 0;
                http::push(&input, &fetched.bytes).await;
            }
            HlsEvent::Listed(_) | HlsEvent::Late(_) | HlsEvent::Moved(_) => {}
            HlsEvent::Missing(hole) => {
                let reason =
                    format!("a piece of the stream could not be had: {}", crate::text::plain(&hole.cause, 200));
                if events.send(SourceEvent::Stalled { reason }).await.is_err() {
                    break Ok(BodyEnd::Closed);
                }
            }
            HlsEvent::Ended => break Ok(BodyEnd::Whole),
            HlsEvent::Trouble(trouble) => {
                failures += 1;
                let message = format!("{label}: {trouble}");
                match trouble {
                    Trouble::Refused(_) => break Err(SourceError::operator(message)),
                    Trouble::Unchanged(_) | Trouble::NotFound => break Err(SourceError::transient(message)),
                    _ if failures >= FAILURES => break Err(SourceError::transient(message)),
                    _ => {}
                }
            }
        }
    };
    input.end_of_bytes();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_playlist_of_hours_is_joined_near_its_end_and_a_whole_one_at_its_start() {
        let base = Url::parse("http://radio.example.com/live.m3u8").expect("an address");
        let text = |end: &str| {
            let segments: String = (0..1000).map(|n| format!("#EXTINF:6.0,\n{n}.ts\n")).collect();
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:50\n{segments}{end}")
        };
        let parsed = |end: &str| match playlist::parse(text(end).as_bytes(), &base) {
            Ok(Parsed::Media(playlist)) => progress(&playlist),
            other => panic!("{other:?}"),
        };
        assert_eq!(parsed("").map(|progress| progress.last_sequence), Some(50 + 996));
        assert_eq!(parsed("#EXT-X-ENDLIST\n"), None);
    }
}
