//! The units that stages exchange: program time, samples, encoded frames and pictures.
//!
//! Owns no thread and no pipeline. Every clock's zero is written down here: **program time** counts 48 kHz samples
//! since the show's program started; **media time** counts 48 kHz samples since the zero of one session's source.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

pub mod opus;

/// Samples per second of the program and of everything that is decoded into it.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples in one AAC-LC frame.
pub const AAC_FRAME_SAMPLES: u64 = 1024;

/// Program samples between two grid points: the length of one picture loop, 2 s. Platforms want a key frame every 2 s.
pub const GRID_SAMPLES: u64 = 2 * SAMPLE_RATE as u64;

/// One stereo sample, left and right, nominally within -1.0..=1.0.
pub type StereoSample = [f32; 2];

/// A position on the program's timeline, in 48 kHz samples since the program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgramTime(u64);

impl ProgramTime {
    /// The start of the program.
    pub const ZERO: Self = Self(0);

    /// The position `samples` after the program's start.
    pub const fn from_samples(samples: u64) -> Self {
        Self(samples)
    }

    /// The position `duration` after the program's start, rounded down to a sample.
    pub fn from_duration(duration: Duration) -> Self {
        Self((duration.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as u64)
    }

    /// Samples since the program's start.
    pub const fn samples(self) -> u64 {
        self.0
    }

    /// Nanoseconds since the program's start, rounded down.
    pub fn nanos(self) -> u64 {
        (u128::from(self.0) * 1_000_000_000 / u128::from(SAMPLE_RATE)) as u64
    }

    /// Seconds since the program's start, for people.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / f64::from(SAMPLE_RATE)
    }

    /// Time since the program's start.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    /// The position `samples` later.
    #[must_use]
    pub const fn plus(self, samples: u64) -> Self {
        Self(self.0 + samples)
    }

    /// Samples from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The first grid point at or after this position.
    #[must_use]
    pub const fn grid_ceil(self) -> Self {
        Self(self.0.div_ceil(GRID_SAMPLES) * GRID_SAMPLES)
    }

    /// The last grid point at or before this position.
    #[must_use]
    pub const fn grid_floor(self) -> Self {
        Self(self.0 / GRID_SAMPLES * GRID_SAMPLES)
    }
}

/// Decoded samples of a source with their place on its session's media timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct PcmBlock {
    /// Media time of the first sample, in 48 kHz samples since the session's media zero.
    pub media_time: i64,
    /// The samples, without a hole.
    pub samples: Vec<StereoSample>,
}

/// One encoded AAC access unit (raw, without ADTS header) of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// Program time of the first sample that a decoder makes of it.
    pub at: ProgramTime,
    /// The access unit.
    pub data: Bytes,
}

/// What a decoder must know before the first [`AudioFrame`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFormat {
    /// The AudioSpecificConfig of ISO/IEC 14496-3.
    pub config: Bytes,
    /// Sample rate of the encoded audio, in Hz: 48 000 or 44 100.
    pub sample_rate: u32,
}

/// Size and rate of the encoded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFormat {
    /// Pixels per line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Frames per second; divides the grid evenly.
    pub fps: u32,
}

impl VideoFormat {
    /// Frames in one loop of the picture (2 s).
    pub const fn loop_frames(&self) -> usize {
        (self.fps * 2) as usize
    }

    /// Program time of frame `index` counted from the program's start.
    pub const fn frame_time(&self, index: u64) -> ProgramTime {
        ProgramTime(index * SAMPLE_RATE as u64 / self.fps as u64)
    }
}

/// A picture encoded once: one closed group of pictures of 2 s that is emitted again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedLoop {
    /// The AVCDecoderConfigurationRecord of ISO/IEC 14496-15.
    pub codec_data: Bytes,
    /// Access units in AVC format, [`VideoFormat::loop_frames`] of them on the air; the first is an IDR picture, there are no B-frames.
    pub frames: Vec<Bytes>,
    /// Size and rate.
    pub format: VideoFormat,
    /// One of its frames for people, where somebody may ask for it.
    pub still: Option<Still>,
}

/// A picture as a PNG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    /// The file.
    pub png: Bytes,
    /// A word that is another one for every other picture.
    pub version: String,
}

impl Still {
    /// A still of these bytes.
    pub fn new(png: Vec<u8>) -> Self {
        let digest = sha2::Sha256::digest(&png);
        let version = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { png: png.into(), version }
    }
}

/// Which picture is on the air from which grid point on.
#[derive(Debug, Clone, Default)]
pub struct PictureTimeline {
    entries: Vec<(ProgramTime, Arc<EncodedLoop>)>,
}

impl PictureTimeline {
    /// A timeline that shows `picture` from the program's start.
    pub fn new(picture: Arc<EncodedLoop>) -> Self {
        Self { entries: vec![(ProgramTime::ZERO, picture)] }
    }

    /// Lets `picture` take over at the first grid point at or after `at`; what was planned from there on is replaced.
    pub fn schedule(&mut self, at: ProgramTime, picture: Arc<EncodedLoop>) {
        let at = at.grid_ceil();
        self.entries.retain(|(start, _)| *start < at);
        self.entries.push((at, picture));
    }

    /// The picture on the air at `time`, if there is one yet.
    pub fn at(&self, time: ProgramTime) -> Option<&Arc<EncodedLoop>> {
        self.entries.iter().rev().find(|(start, _)| *start <= time).map(|(_, picture)| picture)
    }

    /// Forgets the pictures that ended before `time`.
    pub fn prune(&mut self, time: ProgramTime) {
        let keep = self.entries.iter().rposition(|(start, _)| *start <= time).unwrap_or(0);
        self.entries.drain(..keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(byte: u8) -> Arc<EncodedLoop> {
        let format = VideoFormat { width: 16, height: 16, fps: 30 };
        Arc::new(EncodedLoop { codec_data: Bytes::new(), frames: vec![Bytes::from(vec![byte])], format, still: None })
    }

    #[test]
    fn a_picture_takes_over_only_at_a_grid_point() {
        let mut timeline = PictureTimeline::new(picture(1));
        timeline.schedule(ProgramTime::from_samples(GRID_SAMPLES + 1), picture(2));
        let shown = |t: u64| timeline.at(ProgramTime::from_samples(t)).expect("a picture").frames[0][0];
        assert_eq!((shown(0), shown(2 * GRID_SAMPLES - 1), shown(2 * GRID_SAMPLES)), (1, 1, 2));
    }

    #[test]
    fn pruning_keeps_the_picture_on_the_air() {
        let mut timeline = PictureTimeline::new(picture(1));
        timeline.schedule(ProgramTime::from_samples(GRID_SAMPLES), picture(2));
        timeline.prune(ProgramTime::from_samples(GRID_SAMPLES + 5));
        assert_eq!(timeline.at(ProgramTime::from_samples(GRID_SAMPLES + 5)).expect("a picture").frames[0][0], 2);
        assert!(timeline.at(ProgramTime::ZERO).is_none());
    }
}
