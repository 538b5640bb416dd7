//! Brings one speaker towards the loudness that all are to have, slowly and within bounds. Pure.

use crate::media::{SAMPLE_RATE, StereoSample};

/// The loudness that all are brought to: -20 dBFS of power, about where speech in a Space lies.
const TARGET_DB: f32 = -20.0;

/// What is quieter is no speech and moves nothing.
const GATE_DB: f32 = -50.0;

/// Furthest that a speaker is moved, either way.
const REACH_DB: f32 = 12.0;

/// A gain moves by 3 dB a second: nobody hears it move.
const DB_PER_SECOND: f32 = 3.0;

/// Power is judged, and the gain moved, once in this many samples: 10 ms.
const STEP: u32 = SAMPLE_RATE / 100;

/// Time over which power is averaged, in steps: 1 s.
const SLOWNESS: f32 = 100.0;

/// The gain of one speaker.
#[derive(Debug, Default)]
pub(super) struct Leveller {
    sum: f32,
    count: u32,
    /// Averaged power; 0 until there was speech.
    power: f32,
    gain_db: f32,
    gain: f32,
    slope: f32,
}

impl Leveller {
    /// The factor for `sample`, the next one.
    pub(super) fn next(&mut self, sample: StereoSample) -> f32 {
        if self.gain == 0.0 {
            self.gain = 1.0;
        }
        self.sum += f32::midpoint(sample[0] * sample[0], sample[1] * sample[1]);
        self.count += 1;
        self.gain += self.slope;
        if self.count == STEP {
            self.judge();
        }
        self.gain
    }

    fn judge(&mut self) {
        let power = self.sum / STEP as f32;
        (self.sum, self.count) = (0.0, 0);
        if power.is_finite() && 10.0 * power.max(1e-12).log10() > GATE_DB {
            self.power = if self.power == 0.0 { power } else { self.power + (power - self.power) / SLOWNESS };
            let wanted = (TARGET_DB - 10.0 * self.power.max(1e-12).log10()).clamp(-REACH_DB, REACH_DB);
            let most = DB_PER_SECOND * STEP as f32 / SAMPLE_RATE as f32;
            self.gain_db += (wanted - self.gain_db).clamp(-most, most);
        }
        self.slope = (10_f32.powf(self.gain_db / 20.0) - self.gain) / STEP as f32;
    }
}
