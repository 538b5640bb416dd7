//! The CDN as the simulated space plays it: live playlist, master, snapshots, chunks and their faults.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};

use super::chunk::{self, ChunkFacts};
use super::control::ChunkFault;
use super::script::{Chunk, Listing, ms_of};
use super::state::Space;
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};

type Answer = Response<Body>;

const REGION: &str = "us-east-1";
const BUCKET: &str = "periscope-replay-direct-prod-us-east-1-public";
/// Pieces in which a slow body comes.
const SLOW_PIECES: u32 = 10;

/// The address of the live playlist.
pub(super) fn playlist_url(space: &Space) -> String {
    let Space { port, key, .. } = space;
    format!(
        "http://127.0.0.1:{port}/Transcoding/v1/hls/{key}/non_transcode/{REGION}/{BUCKET}/audio-space/dynamic_playlist.m3u8?type=live"
    )
}

/// The address of the full replay, as the platform gives it after the end.
pub(super) fn replay_url(space: &Space) -> String {
    let file = format!("playlist_{}.m3u8?type=replay", snapshot_number(space));
    playlist_url(space).replace("dynamic_playlist.m3u8?type=live", &file)
}

/// Newer snapshots have smaller numbers: 2^64 - 1 minus the time in ns (derived from samples of several sources).
fn snapshot_number(space: &Space) -> u64 {
    u64::MAX - space.unix_ms(space.now_ms()) as u64 * 1_000_000
}

/// Everything in the `non_transcode` folder.
pub(super) async fn file(
    State(space): State<Arc<Space>>,
    Path((key, region, bucket, file)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let kind = kind_of(&file);
    space.saw(kind, &headers);
    if key != space.key || region != REGION || bucket != BUCKET {
        return StatusCode::NOT_FOUND.into_response();
    }
    if space.args.needs_referer && !headers.contains_key(header::REFERER) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match kind {
        "playlist" => live_playlist(&space),
        "master" => master_playlist(&space),
        "snapshot" => snapshot(&space),
        "chunk" => chunk_answer(&space, &file).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The `transcode` folder has snapshots only; chunks are refused there with 400.
pub(super) async fn transcoded(
    State(space): State<Arc<Space>>,
    Path((key, .., file)): Path<(String, String, String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let kind = kind_of(&file);
    space.saw(kind, &headers);
    match kind {
        _ if key != space.key => StatusCode::NOT_FOUND.into_response(),
        "snapshot" => snapshot(&space),
        "chunk" => StatusCode::BAD_REQUEST.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn kind_of(file: &str) -> &'static str {
    match file {
        "dynamic_playlist.m3u8" => "playlist",
        "master_playlist.m3u8" => "master",
        _ if file.starts_with("playlist_") && file.ends_with(".m3u8") => "snapshot",
        _ if file.starts_with("chunk_") && file.ends_with("_a.aac") => "chunk",
        _ => "other",
    }
}

fn live_playlist(space: &Space) -> Answer {
    let now = space.now_ms();
    let listing = {
        let mut inner = space.lock();
        let listing = inner.script.listing(now);
        let sequences: Vec<u64> = match &listing {
            Listing::Chunks(chunks, _) => chunks.iter().map(|chunk| chunk.sequence).collect(),
            Listing::Absent => Vec::new(),
        };
        inner.announce(sequences.into_iter(), now);
        listing
    };
    let Listing::Chunks(chunks, run) = listing else { return StatusCode::NOT_FOUND.into_response() };
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let first = chunks.first().map_or(0, |chunk| chunk.sequence);
    let before = run - u32::from(chunks.first().is_some_and(|chunk| chunk.discontinuity));
    line(&mut text, format_args!("#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{before}"));
    line(&mut text, format_args!("#EXT-X-START:TIME-OFFSET=0.01"));
    entries(space, &mut text, &chunks, "?type=live");
    playlist(text)
}

fn master_playlist(space: &Space) -> Answer {
    let key = &space.key;
    let number = snapshot_number(space);
    let mut text = String::from("#EXTM3U\n#EXT-X-DYNAMICALLY-GENERATED\n");
    // Cosmetic on the platform too: the chunks are audio only.
    line(
        &mut text,
        format_args!(
            "#EXT-X-STREAM-INF:BANDWIDTH=350000,RESOLUTION=8x8,CODECS=\"avc1.42C015,mp4a.40.2\",FRAME-RATE=30.0"
        ),
    );
    line(
        &mut text,
        format_args!(
            "/Transcoding/v1/hls/{key}/transcode/{REGION}/{BUCKET}/rehearsal/audio-space/playlist_{number}.m3u8"
        ),
    );
    playlist(text)
}

fn snapshot(space: &Space) -> Answer {
    let now = space.now_ms();
    let (chunks, over) = {
        let mut inner = space.lock();
        (inner.script.history(now), inner.script.state().is_over())
    };
    let oldest = space.tape.oldest();
    let kept: Vec<Chunk> = chunks.into_iter().filter(|chunk| chunk.first_frame >= oldest).collect();
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:5\n");
    line(&mut text, format_args!("#EXT-X-MEDIA-SEQUENCE:0"));
    entries(space, &mut text, &kept, "");
    if over {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    }
    playlist(text)
}

fn entries(space: &Space, text: &mut String, chunks: &[Chunk], query: &str) {
    for chunk in chunks {
        if chunk.discontinuity {
            line(text, format_args!("#EXT-X-DISCONTINUITY"));
        }
        let start = jiff::Timestamp::from_millisecond(space.unix_ms(ms_of(chunk.first_frame))).unwrap_or_default();
        let seconds = (chunk.frames * AAC_FRAME_SAMPLES) as f64 / f64::from(SAMPLE_RATE);
        line(text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{start:.3}\n#EXTINF:{seconds:.3},"));
        line(text, format_args!("{}{query}", name_of(space, chunk)));
    }
}

/// The name holds a time of its own, some seconds before the sound's (5.6 s in the one full sample), so that it cannot
/// be guessed.
fn name_of(space: &Space, chunk: &Chunk) -> String {
    let ns = (space.unix_ms(ms_of(chunk.first_frame)) - 5600) * 1_000_000 + (chunk.sequence % 1_000_000) as i64 * 7;
    format!("chunk_{ns}_{}_a.aac", chunk.sequence)
}

async fn chunk_answer(space: &Space, file: &str) -> Answer {
    let now = space.now_ms();
    let sequence = file.trim_end_matches("_a.aac").rsplit('_').next().and_then(|number| number.parse::<u64>().ok());
    let (chunk, fate) = {
        let mut inner = space.lock();
        let chunk = sequence.and_then(|sequence| inner.script.chunk(sequence, now));
        let Some(chunk) = chunk.filter(|chunk| name_of(space, chunk) == file) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let fate = inner.fetch(chunk.sequence);
        (chunk, fate)
    };
    let (Ok(fault), Some(mut frames)) = (fate, space.tape.frames(chunk.first_frame, chunk.frames)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if fault == Some(ChunkFault::Undecodable) {
        spoil(&mut frames);
    }
    let facts = ChunkFacts {
        first_frame: chunk.first_frame,
        unix_seconds: space.unix_seconds(chunk.first_frame),
        participants: space.args.guests.clone(),
        sizes: space.args.id3_sizes,
    };
    let bytes = chunk::build(&frames, &facts);
    spoiled_answer(bytes, fault)
}

fn spoiled_answer(bytes: Bytes, fault: Option<ChunkFault>) -> Answer {
    match fault {
        Some(ChunkFault::Status { status }) => {
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Some(ChunkFault::Slow { millis }) => {
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
            audio(Body::from_stream(pieces), length)
        }
        Some(ChunkFault::Truncated) => {
            let half = stream::iter([Ok(bytes.slice(..bytes.len() / 2))]);
            // The server throws away what it has not sent yet when a body fails: the half must be out by then.
            let broken = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("the rehearsal breaks this connection"))
            });
            audio(Body::from_stream(half.chain(broken)), bytes.len())
        }
        Some(ChunkFault::Junk) => {
            // The start of an MPEG transport stream packet, as seen before the tag in some chunks.
            let mut junk = BytesMut::from(&[0x47, 0x40, 0x11, 0x10, 0x00, 0x42, 0xF0, 0x25, 0x00, 0x01, 0xC1][..]);
            junk.extend_from_slice(&bytes);
            whole(junk.freeze())
        }
        Some(ChunkFault::Undecodable) | None => whole(bytes),
    }
}

/// Every seventh frame keeps its length and loses its sense.
fn spoil(frames: &mut [Bytes]) {
    for frame in frames.iter_mut().step_by(7) {
        *frame = Bytes::from(vec![0xFF; frame.len()]);
    }
}

fn whole(bytes: Bytes) -> Answer {
    let length = bytes.len();
    audio(Body::from(bytes), length)
}

fn audio(body: Body, length: usize) -> Answer {
    ([(header::CONTENT_TYPE, "audio/aac".to_owned()), (header::CONTENT_LENGTH, length.to_string())], body)
        .into_response()
}

fn playlist(text: String) -> Answer {
    ([(header::CONTENT_TYPE, "application/x-mpegURL")], text).into_response()
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}
