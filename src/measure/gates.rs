//! What follows from the hops of a measurement: the gated loudness of ITU-R BS.1770 and where the talking is.

use std::ops::Range;

use super::HOP_SAMPLES;
use super::measurement::{Measurement, energy_of, lufs_of};

/// Hops in a gating block of 400 ms; blocks overlap by three of them.
const BLOCK: i64 = 4;

/// Quieter blocks are no part of the programme (absolute gate), in LUFS.
const ABSOLUTE_GATE: f64 = -70.0;

/// Nor are blocks this much below the mean of those that are (relative gate), in LU.
const RELATIVE_GATE: f64 = -10.0;

/// Sound counts as talking from this far below the integrated loudness on: a whisper is 20 LU below a voice.
const TALKING: f64 = -30.0;

/// But noise of a room stays below the higher of these, and no voice that anybody hears lies below the lower.
const TALKING_BOUNDS: (f64, f64) = (-65.0, -45.0);

/// So many hops out of so many must be sound: a click is none, the shortest word is.
const WORD_HOPS: (usize, i64) = (2, 5);

/// Left before the first word and behind the last, in hops: breath, and the fall of a voice.
const LEAD: i64 = 5;
const TAIL: i64 = 10;

impl Measurement {
    /// Loudness of each gating block within media times, in LUFS; what is missing is silent, as it is in a file.
    /// Silent blocks are left out.
    pub fn blocks(&self, range: &Range<i64>) -> Vec<f64> {
        self.energies(range).windows(BLOCK as usize).map(mean).filter(|mean| *mean > 0.0).map(lufs_of).collect()
    }

    /// Integrated loudness within media times, in LUFS; none where nothing is louder than silence.
    pub fn integrated(&self, range: &Range<i64>) -> Option<f64> {
        let energies = self.energies(range);
        let over = |gate: f64| {
            let gate = energy_of(gate);
            let blocks = energies.windows(BLOCK as usize).map(mean).filter(move |mean| *mean >= gate);
            let (sum, count) = blocks.fold((0.0, 0_u64), |(sum, count), mean| (sum + mean, count + 1));
            (count > 0).then(|| lufs_of(sum / count as f64))
        };
        let ungated = over(ABSOLUTE_GATE)?;
        over((ungated + RELATIVE_GATE).max(ABSOLUTE_GATE))
    }

    /// Media times from shortly before the first word to shortly after the last, within `range`; none where nobody says
    /// anything. Rather leaves silence than takes a word.
    pub fn words(&self, range: &Range<i64>) -> Option<Range<i64>> {
        let level = (self.integrated(range)? + TALKING).clamp(TALKING_BOUNDS.0, TALKING_BOUNDS.1);
        let sound = |hop: &i64| self.hop(*hop).is_some_and(|found| found.lufs() >= level);
        let is_word = |hops: Range<i64>| hops.filter(sound).count() >= WORD_HOPS.0;
        let hops = hops_of(range);
        let first = hops.clone().find(|hop| sound(hop) && is_word(*hop..hop + WORD_HOPS.1))?;
        let last = hops.rev().find(|hop| sound(hop) && is_word(hop - WORD_HOPS.1 + 1..hop + 1))?;
        let start = ((first - LEAD) * HOP_SAMPLES).max(range.start);
        let end = ((last + 1 + TAIL) * HOP_SAMPLES).min(range.end);
        (start < end).then_some(start..end)
    }

    fn energies(&self, range: &Range<i64>) -> Vec<f64> {
        let whole = range.start.saturating_add(HOP_SAMPLES - 1)..range.end.saturating_sub(HOP_SAMPLES - 1);
        hops_of(&whole).map(|hop| self.hop(hop).map_or(0.0, |hop| hop.energy())).collect()
    }
}

/// Numbers of the hops that touch a range, bounded by five days.
fn hops_of(range: &Range<i64>) -> Range<i64> {
    const MOST: i64 = 5 * 24 * 3600 * 10;
    let first = range.start.div_euclid(HOP_SAMPLES);
    let end = range.end.saturating_add(HOP_SAMPLES - 1).div_euclid(HOP_SAMPLES);
    first..end.clamp(first, first.saturating_add(MOST))
}

fn mean(block: &[f64]) -> f64 {
    block.iter().sum::<f64>() / block.len().max(1) as f64
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "spans are lists of ranges")]
mod tests;
