//! The CDN as the simulated space plays it: live playlist, master, snapshots, chunks and their faults.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use bytes::{Bytes, BytesMut};

use super::broken::{self, Answer};
use super::chunk::{self, ChunkFacts};
use super::control::{ChunkFault, PlaylistFault};
use super::faults::{EdgeState, PlaylistTrouble};
use super::platform::{Door, Platform};
use super::script::{Chunk, Listing};
use crate::media::SAMPLE_RATE;

mod past;

pub(super) use past::replay_url;

const REGION: &str = "us-east-1";
const BUCKET: &str = "periscope-replay-direct-prod-us-east-1-public";

/// The address of the live playlist of the space with `key` at the edge on `port`.
pub(super) fn playlist_url(port: u16, key: &str) -> String {
    format!(
        "http://127.0.0.1:{port}/Transcoding/v1/hls/{key}/non_transcode/{REGION}/{BUCKET}/audio-space/dynamic_playlist.m3u8?type=live"
    )
}

/// Everything in the `non_transcode` folder.
pub(super) async fn file(
    State(door): State<Door>,
    Path((key, region, bucket, file)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let platform = &door.platform;
    let kind = if kind_of(&file) == "snapshot" { "replay" } else { kind_of(&file) };
    platform.saw(kind, &headers);
    if region != REGION || bucket != BUCKET || platform.lock().space(|space| space.key == key).is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    if platform.args.needs_referer && !headers.contains_key(header::REFERER) {
        return StatusCode::FORBIDDEN.into_response();
    }
    if let Some(answer) = refused(&door) {
        return answer;
    }
    match kind {
        "playlist" => live_playlist(&door, &key).await,
        "master" => past::master(platform, &key),
        "replay" => past::list(platform, &key),
        "chunk" => chunk_answer(&door, &key, &file, is_live(query.as_deref())).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The `transcode` folder has snapshots only; chunks are refused there with 400.
pub(super) async fn transcoded(
    State(door): State<Door>,
    Path((key, .., file)): Path<(String, String, String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let kind = kind_of(&file);
    door.platform.saw(kind, &headers);
    let known = door.platform.lock().space(|space| space.key == key).is_some();
    match kind {
        _ if !known => StatusCode::NOT_FOUND.into_response(),
        _ if door.platform.args.needs_referer && !headers.contains_key(header::REFERER) => {
            StatusCode::FORBIDDEN.into_response()
        }
        "snapshot" => refused(&door).unwrap_or_else(|| past::transcoded(&door.platform, &key)),
        "chunk" => StatusCode::BAD_REQUEST.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What everybody is told at a dead edge, or while no listener is let in.
fn refused(door: &Door) -> Option<Answer> {
    let inner = door.platform.lock();
    match inner.faults.refused {
        Some(status) => Some(broken::status(status)),
        None => (inner.faults.edge(door.edge) == EdgeState::Dead).then(|| broken::status(404)),
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

/// Whether a chunk's name came from the live list, which gives it this query.
fn is_live(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "type=live"))
}

/// The list as it is, with what is wrong with it.
async fn live_playlist(door: &Door, key: &str) -> Answer {
    let trouble = {
        let mut inner = door.platform.lock();
        inner.witness.polls_by_edge[door.edge.min(1)] += 1;
        inner.faults.next_playlist(door.edge)
    };
    let list = || list_text(door, key, trouble).map(Bytes::from);
    let absent = || StatusCode::NOT_FOUND.into_response();
    match trouble {
        None | Some(PlaylistTrouble::Old(_)) => list().map_or_else(absent, playlist),
        Some(PlaylistTrouble::Fault(fault)) => match fault {
            PlaylistFault::Status { status, retry_after_seconds } => {
                let mut answer = broken::status(status);
                if let Some(seconds) = retry_after_seconds {
                    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                }
                answer
            }
            PlaylistFault::Hang => broken::never().await,
            PlaylistFault::Reset => broken::reset(),
            PlaylistFault::Html => broken::html(),
            PlaylistFault::Slow { millis } => list().map_or_else(absent, |text| {
                let length = text.len();
                body(PLAYLIST, broken::trickle(text, millis), length)
            }),
            PlaylistFault::Truncated => {
                list().map_or_else(absent, |text| body(PLAYLIST, broken::half(&text), text.len()))
            }
            PlaylistFault::Cut => list().map_or_else(absent, |text| playlist(cut(&text))),
            PlaylistFault::Stale => list().map_or_else(absent, playlist),
        },
    }
}

/// The list up to the middle of its last name.
fn cut(text: &Bytes) -> Bytes {
    text.slice(..text.len() - text.len().min(20))
}

/// The live list; none while there is none.
fn list_text(door: &Door, key: &str, trouble: Option<PlaylistTrouble>) -> Option<String> {
    let platform = &door.platform;
    let now = platform.now_ms();
    let mut inner = platform.lock();
    let held = match inner.faults.edge(door.edge) {
        EdgeState::Frozen(since) => Some(since),
        _ => None,
    };
    let over = inner.faults.next_endlist();
    let space = inner.space(|space| space.key == key)?;
    let chunks = match trouble {
        Some(PlaylistTrouble::Old(then)) => space.script.window(then),
        _ => match space.script.listing(now, held) {
            Listing::Chunks(chunks) => chunks,
            Listing::Absent => return None,
        },
    };
    let first = chunks.first()?;
    // Only a list that arrives whole announces anything.
    let broken = matches!(trouble, Some(PlaylistTrouble::Fault(fault)) if !matches!(fault, PlaylistFault::Slow { .. }));
    if !broken {
        space.announce(&chunks);
    }
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let before = first.discontinuities - u32::from(first.discontinuity);
    let sequence = first.sequence;
    line(&mut text, format_args!("#EXT-X-MEDIA-SEQUENCE:{sequence}\n#EXT-X-DISCONTINUITY-SEQUENCE:{before}"));
    line(&mut text, format_args!("#EXT-X-START:TIME-OFFSET=0.01"));
    entries(platform, &mut text, &chunks, "?type=live");
    if over {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    }
    Some(text)
}

fn entries(platform: &Platform, text: &mut String, chunks: &[Chunk], query: &str) {
    for chunk in chunks {
        if chunk.discontinuity {
            line(text, format_args!("#EXT-X-DISCONTINUITY"));
        }
        let start = jiff::Timestamp::from_millisecond(platform.unix_ms(chunk.start_ms())).unwrap_or_default();
        let seconds = chunk.ruler_samples() as f64 / f64::from(SAMPLE_RATE);
        line(text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{start:.3}\n#EXTINF:{seconds:.3},"));
        line(text, format_args!("{}{query}", name_of(platform, chunk)));
    }
}

/// The name holds a time of its own, some seconds before the sound's (5.6 s in the one full sample), so that it cannot
/// be guessed.
fn name_of(platform: &Platform, chunk: &Chunk) -> String {
    let ns = (platform.unix_ms(chunk.start_ms()) - 5600) * 1_000_000 + (chunk.sequence % 1_000_000) as i64 * 7;
    format!("chunk_{ns}_{}_a.aac", chunk.sequence)
}

async fn chunk_answer(door: &Door, key: &str, file: &str, live: bool) -> Answer {
    let Some((chunk, fault)) = fetched(door, key, file, live) else { return StatusCode::NOT_FOUND.into_response() };
    let platform = &door.platform;
    let Some(mut frames) = platform.sound.frames(&chunk) else { return StatusCode::NOT_FOUND.into_response() };
    if fault == Some(ChunkFault::Undecodable) {
        spoil(&mut frames);
    }
    let facts = ChunkFacts {
        first_frame: chunk.first_frame,
        format: chunk.format,
        unix_seconds: platform.unix_ms(chunk.start_ms()) as f64 / 1000.0,
        participants: platform.args.guests.clone(),
        sizes: platform.args.id3_sizes,
    };
    spoiled_answer(chunk::build(&frames, &facts), fault).await
}

/// The chunk of that name and what is wrong with this fetch of it; none if it is not there, or not any more.
fn fetched(door: &Door, key: &str, file: &str, live: bool) -> Option<(Chunk, Option<ChunkFault>)> {
    let platform = &door.platform;
    let now = platform.now_ms();
    let mut inner = platform.lock();
    let number: u64 = file.trim_end_matches("_a.aac").rsplit('_').next()?.parse().ok()?;
    let space = inner.space(|space| space.key == key)?;
    let history = space.script.history(now).into_iter();
    let chunk = history.filter(|chunk| chunk.sequence == number).find(|chunk| name_of(platform, chunk) == file)?;
    let fetch = space.count_fetch(&chunk, door.edge);
    let fault = inner.faults.chunk(chunk.sequence, fetch, door.edge);
    let fate = inner.space(|space| space.key == key)?.fetch(&chunk, fault, live);
    fate.ok().map(|fault| (chunk, fault))
}

async fn spoiled_answer(bytes: Bytes, fault: Option<ChunkFault>) -> Answer {
    let length = bytes.len();
    match fault {
        Some(ChunkFault::Status { status }) => broken::status(status),
        Some(ChunkFault::Hang) => broken::never().await,
        Some(ChunkFault::Reset) => broken::reset(),
        Some(ChunkFault::Slow { millis }) => body(AUDIO, broken::trickle(bytes, millis), length),
        Some(ChunkFault::Truncated) => body(AUDIO, broken::half(&bytes), length),
        Some(ChunkFault::Cut) => whole(AUDIO, bytes.slice(..length / 2)),
        Some(ChunkFault::Junk) => {
            // The start of an MPEG transport stream packet, as seen before the tag in some chunks.
            let mut junk = BytesMut::from(&[0x47, 0x40, 0x11, 0x10, 0x00, 0x42, 0xF0, 0x25, 0x00, 0x01, 0xC1][..]);
            junk.extend_from_slice(&bytes);
            whole(AUDIO, junk.freeze())
        }
        Some(ChunkFault::Undecodable) | None => whole(AUDIO, bytes),
    }
}

/// Every seventh frame keeps its length and loses its sense.
fn spoil(frames: &mut [Bytes]) {
    for frame in frames.iter_mut().step_by(7) {
        *frame = Bytes::from(vec![0xFF; frame.len()]);
    }
}

const AUDIO: &str = "audio/aac";
const PLAYLIST: &str = "application/x-mpegURL";

fn whole(content_type: &'static str, bytes: Bytes) -> Answer {
    let length = bytes.len();
    body(content_type, Body::from(bytes), length)
}

fn body(content_type: &'static str, body: Body, length: usize) -> Answer {
    ([(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_LENGTH, length.to_string())], body)
        .into_response()
}

fn playlist(text: Bytes) -> Answer {
    whole(PLAYLIST, text)
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}
