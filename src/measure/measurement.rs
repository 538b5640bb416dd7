//! What was measured of a session, by media time. Plain data and arithmetic.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{HOP_SAMPLES, HOPS};
use crate::media::SAMPLE_RATE;

const SECOND: i64 = SAMPLE_RATE as i64;

/// Seconds that are kept at most: 5 days. No file may fill the memory.
const MOST_SECONDS: usize = 5 * 24 * 3600;

/// Loudness below this is silence and stored as this, in LUFS.
const SILENCE: f64 = -120.0;

/// 100 ms of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Loudness, in hundredths of a LUFS.
    centi_lufs: i16,
    /// Lowest sample, as a share of 127.
    min: i8,
    /// Highest sample, as a share of 127.
    max: i8,
}

impl Hop {
    /// A hop of this loudness (LUFS; silence is minus infinity), with its lowest and highest sample.
    pub fn new(lufs: f64, min: f32, max: f32) -> Self {
        let step = |value: f32| (value * 127.0).round().clamp(-127.0, 127.0) as i8;
        let lufs = if lufs.is_finite() { lufs.clamp(SILENCE, 40.0) } else { SILENCE };
        Self { centi_lufs: (lufs * 100.0).round() as i16, min: step(min), max: step(max) }
    }

    pub(super) fn from_raw(centi_lufs: i16, min: i8, max: i8) -> Self {
        Self { centi_lufs: centi_lufs.clamp(SILENCE as i16 * 100, 4000), min: min.max(-127), max }
    }

    pub(super) fn raw(&self) -> (i16, i8, i8) {
        (self.centi_lufs, self.min, self.max)
    }

    /// Loudness, in LUFS; −120 is silence.
    pub fn lufs(&self) -> f64 {
        f64::from(self.centi_lufs) / 100.0
    }

    /// Lowest and highest sample, each in -127..=127.
    pub fn peaks(&self) -> (i8, i8) {
        (self.min, self.max)
    }

    /// Mean square of the weighted samples, both channels together.
    pub(super) fn energy(&self) -> f64 {
        if f64::from(self.centi_lufs) <= SILENCE * 100.0 { 0.0 } else { energy_of(self.lufs()) }
    }
}

/// ITU-R BS.1770: the mean square of weighted samples as loudness, and back.
pub(super) fn lufs_of(energy: f64) -> f64 {
    -0.691 + 10.0 * energy.log10()
}

pub(super) fn energy_of(lufs: f64) -> f64 {
    10_f64.powf((lufs + 0.691) / 10.0)
}

/// One second of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Second {
    /// Its hops; none where it was not measured.
    pub hops: [Option<Hop>; HOPS],
    /// Highest true peak of what was measured, linear.
    pub true_peak: f32,
}

/// Loudness and peak of something, for whoever brings it to a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Integrated loudness, in LUFS.
    pub lufs: f64,
    /// True peak, in dBTP.
    pub true_peak_dbtp: f64,
}

/// What is known of a session. Second n holds the media times n·48000 to (n+1)·48000; n may be negative.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measurement {
    seconds: BTreeMap<i64, Second>,
}

impl Measurement {
    /// Adds what was measured; a hop that was measured twice counts as the last time.
    pub fn add(&mut self, number: i64, second: Second) {
        if self.seconds.len() >= MOST_SECONDS && !self.seconds.contains_key(&number) {
            return;
        }
        let known = self.seconds.entry(number).or_default();
        for (old, new) in known.hops.iter_mut().zip(second.hops) {
            *old = new.or(*old);
        }
        // Where everything is measured anew, a peak of what was there before counts no more.
        let anew = second.hops.iter().all(Option::is_some);
        known.true_peak = if anew { second.true_peak } else { known.true_peak.max(second.true_peak) };
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Media time of the start of the first second and the end of the last.
    pub fn span(&self) -> Option<Range<i64>> {
        Some(self.seconds.first_key_value()?.0 * SECOND..(self.seconds.last_key_value()?.0 + 1) * SECOND)
    }

    /// The hop that begins at `hop` times 4800 samples of media time.
    pub fn hop(&self, hop: i64) -> Option<Hop> {
        let second = self.seconds.get(&hop.div_euclid(HOPS as i64))?;
        second.hops[hop.rem_euclid(HOPS as i64) as usize]
    }

    /// Highest true peak within media times, in dBTP, to the second; none where nothing was measured or all is silent.
    pub fn true_peak_dbtp(&self, range: &Range<i64>) -> Option<f64> {
        let seconds = range.start.div_euclid(SECOND)..range.end.saturating_add(SECOND - 1).div_euclid(SECOND);
        if seconds.is_empty() {
            return None;
        }
        let peak = self.seconds.range(seconds).map(|(_, second)| second.true_peak).fold(0.0, f32::max);
        (peak > 0.0).then(|| 20.0 * f64::from(peak).log10())
    }

    /// Integrated loudness and true peak within media times; none where there is only silence.
    pub fn measured(&self, range: &Range<i64>) -> Option<Measured> {
        Some(Measured { lufs: self.integrated(range)?, true_peak_dbtp: self.true_peak_dbtp(range)? })
    }

    /// The parts of `spans` (media times, in order) that were not measured, as whole hops: neighbours are joined. Hops
    /// that lie in a span only in part are never asked for: what is missing of them may still come.
    pub fn unmeasured(&self, spans: &[Range<i64>]) -> Vec<Range<i64>> {
        let mut missing: Vec<Range<i64>> = Vec::new();
        for span in spans {
            for hop in hops_inside(span).filter(|hop| self.hop(*hop).is_none()) {
                let start = hop * HOP_SAMPLES;
                match missing.last_mut() {
                    Some(last) if last.end == start => last.end = start + HOP_SAMPLES,
                    _ => missing.push(start..start + HOP_SAMPLES),
                }
            }
        }
        missing
    }

    /// Share of the hops in `spans` that was measured, from 0 to 1.
    pub fn coverage(&self, spans: &[Range<i64>]) -> f64 {
        let all: usize = spans.iter().map(|span| hops_inside(span).count()).sum();
        let known = spans.iter().flat_map(hops_inside).filter(|hop| self.hop(*hop).is_some()).count();
        if all == 0 { 1.0 } else { known as f64 / all as f64 }
    }

    /// Lowest and highest sample (in -127..=127) of each of `count` equal pieces of the media times; none where nothing
    /// was measured. A piece shorter than a hop takes the hop in which its middle lies.
    pub fn peaks(&self, range: &Range<i64>, count: usize) -> Vec<Option<(i8, i8)>> {
        let length = i128::from(range.end.saturating_sub(range.start).max(0));
        let place = |n: usize| range.start.saturating_add((length * n as i128 / count.max(1) as i128) as i64);
        (0..count)
            .map(|n| {
                let (start, end) = (place(n), place(n + 1));
                let first = (start + HOP_SAMPLES / 2).div_euclid(HOP_SAMPLES);
                let last = (end - 1 + HOP_SAMPLES / 2).div_euclid(HOP_SAMPLES);
                let middle = (start + (end - start) / 2).div_euclid(HOP_SAMPLES);
                let hops = if last > first { first..last } else { middle..middle + 1 };
                hops.filter_map(|hop| self.hop(hop)).map(|hop| hop.peaks()).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            })
            .collect()
    }
}

/// Numbers of the hops that lie in a span whole.
fn hops_inside(span: &Range<i64>) -> Range<i64> {
    let first = span.start.saturating_add(HOP_SAMPLES - 1).div_euclid(HOP_SAMPLES);
    first..span.end.div_euclid(HOP_SAMPLES).max(first)
}
