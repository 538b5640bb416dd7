//! Gain and a true-peak limiter with a short look-ahead.
//!
//! True peaks lie between samples: the detector looks at four times the sample rate (ITU-R BS.1770, annex 2). The gain
//! falls before a peak arrives and returns slowly, so that nothing pumps. Samples come out [`LOOK_AHEAD`] later.

use std::collections::VecDeque;
use std::f64::consts::PI;

use crate::media::{SAMPLE_RATE, StereoSample};

/// Samples between in and out: 5 ms, the time the gain has to come down.
pub const LOOK_AHEAD: usize = 240;

/// Taps of each of the detector's phases; its delay is half of them.
const TAPS: usize = 12;
const PHASES: usize = 4;
/// The gain returns by a factor of e in 200 ms.
const RELEASE_SECONDS: f64 = 0.2;
/// Where no sample is louder than this share of the ceiling, no true peak between them comes near it.
const HARMLESS: f32 = 0.5;
/// Below the ceiling by this factor, for what a detector of [`TAPS`] taps underestimates: 0.3 dB.
const SAFETY: f64 = 0.966;

/// Amplifies, then keeps true peaks under a ceiling.
#[derive(Debug)]
pub struct Limiter {
    gain: f32,
    ceiling: Option<f64>,
    harmless: f32,
    kernel: [[f64; TAPS]; PHASES],
    history: [VecDeque<f32>; 2],
    delayed: VecDeque<StereoSample>,
    /// The gain that each sample in the look-ahead would need, as (sample number, gain), increasing.
    needed: VecDeque<(u64, f64)>,
    count: u64,
    reduction: f64,
}

impl Limiter {
    /// `gain_db` of amplification; `limit_dbtp` is the ceiling in dBTP, none leaves peaks alone.
    pub fn new(gain_db: f64, limit_dbtp: Option<f64>) -> Self {
        let ceiling = limit_dbtp.map(|limit| SAFETY * 10_f64.powf(limit / 20.0));
        Self {
            gain: 10_f64.powf(gain_db / 20.0) as f32,
            ceiling,
            harmless: ceiling.map_or(f32::INFINITY, |ceiling| HARMLESS * ceiling as f32),
            kernel: kernel(),
            history: [VecDeque::from([0.0; TAPS]), VecDeque::from([0.0; TAPS])],
            delayed: VecDeque::from([[0.0; 2]; LOOK_AHEAD]),
            needed: VecDeque::new(),
            count: 0,
            reduction: 1.0,
        }
    }

    /// Replaces `samples` by what entered [`LOOK_AHEAD`] samples earlier, amplified and limited.
    pub fn process(&mut self, samples: &mut [StereoSample]) {
        if self.is_at_rest(samples) {
            return self.pass(samples);
        }
        for sample in samples {
            let input = [sample[0] * self.gain, sample[1] * self.gain];
            self.delayed.push_back(input);
            let out = self.delayed.pop_front().unwrap_or_default();
            let gain = self.ceiling.map_or(1.0, |ceiling| self.gain_for(input, ceiling)) as f32;
            *sample = [out[0] * gain, out[1] * gain];
        }
    }

    /// Whether nothing in these samples and those before them comes near the ceiling, so that only time has to pass.
    fn is_at_rest(&self, samples: &[StereoSample]) -> bool {
        let quiet = |value: &f32| (value * self.gain).abs() < self.harmless;
        self.reduction > 0.999_999
            && self.needed.iter().all(|(_, gain)| *gain >= 1.0)
            && samples.iter().flatten().all(quiet)
            && self.history.iter().flatten().all(|value| value.abs() < self.harmless)
    }

    fn pass(&mut self, samples: &mut [StereoSample]) {
        self.reduction = 1.0;
        self.needed.clear();
        self.count += samples.len() as u64;
        for sample in samples.iter_mut() {
            self.delayed.push_back([sample[0] * self.gain, sample[1] * self.gain]);
            *sample = self.delayed.pop_front().unwrap_or_default();
        }
        for channel in 0..2 {
            let newest = self.delayed.iter().rev().take(TAPS).map(|sample| sample[channel]);
            let mut history: VecDeque<f32> = newest.collect();
            history.make_contiguous().reverse();
            self.history[channel] = history;
        }
    }

    fn gain_for(&mut self, input: StereoSample, ceiling: f64) -> f64 {
        let peak = self.true_peak(input);
        let needed = if peak > ceiling { ceiling / peak } else { 1.0 };
        while self.needed.back().is_some_and(|(_, gain)| *gain >= needed) {
            self.needed.pop_back();
        }
        self.needed.push_back((self.count, needed));
        while self.needed.front().is_some_and(|(at, _)| at + LOOK_AHEAD as u64 + (TAPS as u64) < self.count) {
            self.needed.pop_front();
        }
        self.count += 1;
        let target = self.needed.front().map_or(1.0, |(_, gain)| *gain);
        let attack = (LOOK_AHEAD - TAPS) as f64 / 6.0;
        let release = RELEASE_SECONDS * f64::from(SAMPLE_RATE);
        let time = if target < self.reduction { attack } else { release };
        self.reduction += (target - self.reduction) / time;
        self.reduction
    }

    /// The highest value of both channels between the last samples, at four times the rate.
    fn true_peak(&mut self, input: StereoSample) -> f64 {
        let mut peak = 0.0_f64;
        for (history, value) in self.history.iter_mut().zip(input) {
            history.pop_front();
            history.push_back(value);
            if history.iter().all(|value| value.abs() < self.harmless) {
                continue;
            }
            for phase in &self.kernel {
                let sum: f64 = phase.iter().zip(history.iter()).map(|(tap, value)| tap * f64::from(*value)).sum();
                peak = peak.max(sum.abs());
            }
        }
        peak
    }
}

/// A windowed sinc that interpolates at a quarter of a sample, one row of taps for each phase.
fn kernel() -> [[f64; TAPS]; PHASES] {
    std::array::from_fn(|phase| {
        let mut taps: [f64; TAPS] = std::array::from_fn(|tap| {
            let x = tap as f64 - (TAPS as f64 / 2.0 - 1.0) - phase as f64 / PHASES as f64;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
            sinc * (0.5 + 0.5 * (PI * x / (TAPS as f64 / 2.0)).cos()).max(0.0)
        });
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        taps
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32, amplitude: f32, count: usize) -> Vec<StereoSample> {
        let value = |n: usize| amplitude * (std::f32::consts::TAU * hz * n as f32 / 48_000.0 + 0.7).sin();
        (0..count).map(|n| [value(n), value(n)]).collect()
    }

    fn true_peak_db(samples: &[StereoSample]) -> f64 {
        let mut meter = ebur128::EbuR128::new(2, 48_000, ebur128::Mode::TRUE_PEAK).expect("a meter");
        meter.add_frames_f32(samples.as_flattened()).expect("samples");
        20.0 * meter.true_peak(0).expect("a peak").log10()
    }

    #[test]
    fn true_peaks_stay_under_the_ceiling() {
        for (hz, amplitude) in [(997.0, 2.0), (11_999.0, 1.2), (6_001.0, 3.0), (80.0, 1.5)] {
            let mut samples = sine(hz, amplitude, 48_000);
            samples[..24_000].iter_mut().for_each(|sample| *sample = [sample[0] * 0.1, sample[1] * 0.1]);
            let mut limiter = Limiter::new(0.0, Some(-1.0));
            samples.chunks_mut(2048).for_each(|block| limiter.process(block));
            let peak = true_peak_db(&samples);
            assert!(peak <= -1.0, "{hz} Hz at {amplitude} peaks at {peak} dBTP");
        }
    }

    #[test]
    fn quiet_audio_comes_out_bit_for_bit_after_the_look_ahead() {
        let input = sine(440.0, 0.3, 10_000);
        let mut output = input.clone();
        let mut limiter = Limiter::new(0.0, Some(-1.0));
        output.chunks_mut(100).for_each(|block| limiter.process(block));
        assert_eq!(output[LOOK_AHEAD..], input[..10_000 - LOOK_AHEAD]);
    }

    #[test]
    fn a_low_ceiling_holds_too() {
        let mut samples = sine(997.0, 0.3, 48_000);
        samples[..24_000].iter_mut().for_each(|sample| *sample = [0.0; 2]);
        let mut limiter = Limiter::new(0.0, Some(-20.0));
        samples.chunks_mut(2048).for_each(|block| limiter.process(block));
        assert!(true_peak_db(&samples) <= -20.0);
    }

    #[test]
    fn gain_amplifies() {
        let mut samples = sine(440.0, 0.1, 10_000);
        Limiter::new(6.0, Some(-1.0)).process(&mut samples);
        let peak = samples.iter().map(|sample| sample[0]).fold(0.0, f32::max);
        assert!((peak - 0.1995).abs() < 0.001, "{peak}");
    }
}
