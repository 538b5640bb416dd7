//! Where pieces of a session begin and end in media time, and of which kind a captured stream is.

use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::recording::adts::AacConfig;
use crate::recording::{CaptureArchive, Folder};

/// Where captured streams begin and end, as far as that is known: one whose place is not goes on from the one before.
pub(super) fn captured(captures: &[CaptureArchive]) -> (i64, i64) {
    let first = captures.first().and_then(|capture| capture.media_time).unwrap_or(0);
    let behind = |end: i64, capture: &CaptureArchive| {
        let length = (capture.seconds.unwrap_or(0.0) * f64::from(SAMPLE_RATE)) as i64;
        capture.media_time.unwrap_or(end).saturating_add(length).max(end)
    };
    (first, captures.iter().fold(first, behind))
}

/// Length of `frames` frames in media time, rounded down.
pub(super) fn samples(frames: u64, config: AacConfig) -> i64 {
    let samples = u128::from(frames) * u128::from(AAC_FRAME_SAMPLES) * u128::from(SAMPLE_RATE);
    i64::try_from(samples / u128::from(config.sample_rate)).unwrap_or(i64::MAX)
}

/// Whether the stream's header names `codec`.
pub(super) fn holds(folder: &Folder, file: &str, codec: &[u8; 5]) -> bool {
    const HEADER: u64 = 64 << 10;
    let Ok(bytes) = folder.read(file, HEADER) else { return false };
    bytes.windows(5).any(|window| window == codec)
}
