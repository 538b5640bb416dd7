//! How loud the program is: peak and RMS of the last 85 ms, and EBU R128 short-term loudness.

use ebur128::{EbuR128, Mode};

use crate::media::{AAC_FRAME_SAMPLES, ProgramTime, SAMPLE_RATE, StereoSample};

/// What stands for silence, in dBFS or LUFS.
pub const FLOOR_DB: f32 = -120.0;

/// Samples of one measurement: four frames, 85 ms, so that a needle moves twelve times a second.
pub const PERIOD: usize = 4 * AAC_FRAME_SAMPLES as usize;

/// Measurements in half a second.
const HALF_A_SECOND: u32 = SAMPLE_RATE / 2 / PERIOD as u32 + 1;

/// A measurement and the program time of its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelAt {
    /// Program time of the end of what was measured.
    pub until: ProgramTime,
    /// The level up to there.
    pub level: Level,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Highest sample, in dBFS.
    pub peak_dbfs: f32,
    /// Root mean square over both channels, in dBFS.
    pub rms_dbfs: f32,
    /// EBU R128 loudness of the last 3 s, in LUFS.
    pub short_term_lufs: f32,
}

impl Default for Level {
    fn default() -> Self {
        Self { peak_dbfs: FLOOR_DB, rms_dbfs: FLOOR_DB, short_term_lufs: FLOOR_DB }
    }
}

/// Measures piece by piece and reports every [`PERIOD`].
pub struct LevelMeter {
    loudness: Option<EbuR128>,
    peak: f32,
    squares: f64,
    samples: u32,
    short_term_lufs: f32,
    /// Measurements until the loudness is worked out again: its 3 s hardly change in half a second, and cost most.
    until_loudness: u32,
}

impl std::fmt::Debug for LevelMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LevelMeter").field("samples", &self.samples).finish_non_exhaustive()
    }
}

impl Default for LevelMeter {
    fn default() -> Self {
        let loudness = EbuR128::new(2, SAMPLE_RATE, Mode::S).inspect_err(|error| {
            tracing::warn!(%error, "Loudness cannot be measured.");
        });
        Self {
            loudness: loudness.ok(),
            peak: 0.0,
            squares: 0.0,
            samples: 0,
            short_term_lufs: FLOOR_DB,
            until_loudness: 0,
        }
    }
}

impl LevelMeter {
    /// Takes the next samples; a measurement when a period is full.
    pub fn add(&mut self, samples: &[StereoSample]) -> Option<Level> {
        for value in samples.iter().flatten() {
            self.peak = self.peak.max(value.abs());
            self.squares += f64::from(value * value);
        }
        self.samples += samples.len() as u32;
        if let Some(loudness) = &mut self.loudness
            && let Err(error) = loudness.add_frames_f32(samples.as_flattened())
        {
            tracing::debug!(%error, "Loudness meter refused samples.");
        }
        (self.samples >= PERIOD as u32).then(|| self.take())
    }

    fn take(&mut self) -> Level {
        let mean = self.squares / (2.0 * f64::from(self.samples.max(1)));
        if self.until_loudness == 0 {
            let loudness = self.loudness.as_ref().and_then(|meter| meter.loudness_shortterm().ok());
            self.short_term_lufs = loudness.map_or(FLOOR_DB, |loudness| loudness as f32).max(FLOOR_DB);
            self.until_loudness = HALF_A_SECOND;
        }
        self.until_loudness -= 1;
        let level = Level {
            peak_dbfs: decibels(self.peak),
            rms_dbfs: decibels(mean.sqrt() as f32),
            short_term_lufs: self.short_term_lufs,
        };
        (self.peak, self.squares, self.samples) = (0.0, 0.0, 0);
        level
    }
}

/// An amplitude in dBFS, not below [`FLOOR_DB`].
pub fn decibels(amplitude: f32) -> f32 {
    (20.0 * amplitude.max(1e-6).log10()).max(FLOOR_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_sine_measures_as_the_standards_say() {
        let mut meter = LevelMeter::default();
        let sine: Vec<StereoSample> = (0..4 * SAMPLE_RATE)
            .map(|n| (std::f32::consts::TAU * 997.0 * n as f32 / SAMPLE_RATE as f32).sin() * 0.1)
            .map(|value| [value, value])
            .collect();
        let level = sine.chunks(1024).filter_map(|block| meter.add(block)).last().expect("a level");
        assert!((level.peak_dbfs + 20.0).abs() < 0.1, "{level:?}");
        assert!((level.rms_dbfs + 23.0).abs() < 0.1, "{level:?}");
        // EBU Tech 3341: a stereo sine of 1 kHz at -20 dBFS peak reads -20 LUFS.
        assert!((level.short_term_lufs + 20.0).abs() < 0.2, "{level:?}");
    }

    #[test]
    fn silence_measures_the_floor_and_not_infinity() {
        let level = LevelMeter::default().add(&[[0.0; 2]; 4800]).expect("a level");
        assert_eq!((level.peak_dbfs, level.short_term_lufs), (FLOOR_DB, FLOOR_DB));
    }
}
