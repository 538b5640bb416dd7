//! The master, the list that it names, and the replay.

use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::super::broken::Answer;
use super::super::platform::Platform;
use super::super::script::Chunk;
use super::{BUCKET, REGION, entries, line, playlist, playlist_url};

/// The address of the full replay, as the platform gives it after the end.
pub(in super::super) fn replay_url(port: u16, key: &str, wall_ms: i64) -> String {
    let file = format!("playlist_{}.m3u8?type=replay", number(wall_ms));
    playlist_url(port, key).replace("dynamic_playlist.m3u8?type=live", &file)
}

/// Newer lists have smaller numbers: 2^64 - 1 minus the time in ns (derived from samples of several sources).
fn number(wall_ms: i64) -> u64 {
    u64::MAX - wall_ms as u64 * 1_000_000
}

/// Built on request, while the space is running and once its replay is made.
pub(super) fn master(platform: &Platform, key: &str) -> Answer {
    let wall_ms = platform.unix_ms(platform.now_ms());
    let is_there = {
        let mut inner = platform.lock();
        let space = inner.space(|space| space.key == key);
        space.is_some_and(|space| space.holdings.has_master(space.over_for(wall_ms)))
    };
    if !is_there {
        return StatusCode::NOT_FOUND.into_response();
    }
    let number = number(wall_ms);
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
    playlist(text.into())
}

/// The list where the master says.
pub(super) fn transcoded(platform: &Platform, key: &str) -> Answer {
    let is_there = platform.lock().space(|space| space.key == key).is_some_and(|space| space.holdings.transcoded);
    if is_there { list(platform, key) } else { StatusCode::NOT_FOUND.into_response() }
}

/// The list of everything so far, or the replay.
pub(super) fn list(platform: &Platform, key: &str) -> Answer {
    let now = platform.now_ms();
    let wall_ms = platform.unix_ms(now);
    let (chunks, over) = {
        let mut inner = platform.lock();
        let Some(space) = inner.space(|space| space.key == key) else { return StatusCode::NOT_FOUND.into_response() };
        let over = space.over_for(wall_ms);
        (space.holdings.list(space.script.history(now), now, over), over.is_some())
    };
    let Some(chunks) = chunks else { return StatusCode::NOT_FOUND.into_response() };
    let kept: Vec<Chunk> = chunks.into_iter().filter(|chunk| platform.sound.holds(chunk)).collect();
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:5\n");
    line(&mut text, format_args!("#EXT-X-MEDIA-SEQUENCE:0"));
    entries(platform, &mut text, &kept, "");
    if over {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    }
    playlist(text.into())
}
