//! Peaks of a file as JSON in the shape of BBC audiowaveform, version 2, which peaks.js and wavesurfer.js read; what lies
//! in the file stands beside them.

use serde::Serialize;

use super::scene::{Scene, ScenePlace, Span};
use super::speakers::Turn;
use crate::measure::HOP_SAMPLES;
use crate::media::SAMPLE_RATE;

/// The members of audiowaveform's version 2, then our own.
#[derive(Serialize)]
struct File<'a> {
    version: u32,
    channels: u32,
    sample_rate: u32,
    samples_per_pixel: i64,
    bits: u32,
    length: usize,
    data: Vec<i8>,
    seconds: f64,
    gaps: &'a [Span],
    repairs: &'a [Span],
    chapters: &'a [ScenePlace],
    speakers: &'a [Turn],
}

/// The peaks of a scene, ten a second, lowest and highest in turn. Where nothing was measured both are 0.
pub fn json(scene: &Scene<'_>) -> String {
    let samples = scene.range.end.saturating_sub(scene.range.start).max(0);
    let length = usize::try_from((samples + HOP_SAMPLES - 1) / HOP_SAMPLES).unwrap_or(0);
    let range = scene.range.start..scene.range.start.saturating_add(length as i64 * HOP_SAMPLES);
    let peaks = scene.measurement.peaks(&range, length);
    let file = File {
        version: 2,
        channels: 1,
        sample_rate: SAMPLE_RATE,
        samples_per_pixel: HOP_SAMPLES,
        bits: 8,
        length,
        data: peaks.into_iter().flat_map(|peak| peak.map_or([0, 0], |(min, max)| [min, max])).collect(),
        seconds: scene.seconds(),
        gaps: &scene.gaps,
        repairs: &scene.repairs,
        chapters: &scene.chapters,
        speakers: &scene.turns,
    };
    serde_json::to_string(&file).expect("plain data becomes JSON") + "\n"
}
