//! What a file sounds and looks like: ruler seconds and flashes, on the file's own timeline.

use std::path::Path;

use spacebridge::ruler::{self, RulerMark};

use super::process;

/// The ruler's seconds in a file's sound, each with its place in ms on the file's timeline.
pub(crate) fn ruler_of(file: &Path) -> Vec<(u32, f64)> {
    let path = file.to_str().expect("a path");
    let out = process::run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-copyts",
            "-i",
            path,
            "-vn",
            "-af",
            "aresample=async=1:first_pts=0",
            "-ac",
            "1",
            "-ar",
            "48000",
            "-f",
            "f32le",
            "-",
        ],
    );
    let samples: Vec<f32> =
        out.stdout.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
    ruler::decode(&samples).into_iter().map(|RulerMark { index, at_samples }| (index, at_samples / 48.0)).collect()
}

/// When frames flash (bright all over), in ms on the file's timeline.
pub(crate) fn flashes_of(file: &Path) -> Vec<f64> {
    let path = file.to_str().expect("a path");
    let out = process::run(
        "ffmpeg",
        &[
            "-v",
            "info",
            "-copyts",
            "-i",
            path,
            "-an",
            "-vf",
            "scale=16:16,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-",
            "-f",
            "null",
            "-",
        ],
    );
    let mut at = 0.0;
    let mut flashes = Vec::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            at = time.trim().parse::<f64>().unwrap_or(0.0) * 1000.0;
        } else if let Some((_, luma)) = line.split_once("YAVG=")
            && luma.trim().parse::<f64>().unwrap_or(0.0) > 200.0
        {
            flashes.push(at);
        }
    }
    flashes
}

/// Fails unless the seconds follow each other, none missing and none twice, `least` of them at least.
pub(crate) fn assert_every_second(marks: &[(u32, f64)], least: usize) {
    assert!(marks.len() >= least, "only {} seconds arrived: {marks:?}", marks.len());
    for pair in marks.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "seconds do not follow each other: {marks:?}");
        assert!((pair[1].1 - pair[0].1 - 1000.0).abs() < 5.0, "a second is not a second long: {pair:?}");
    }
}
