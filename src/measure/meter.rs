//! Samples into seconds of measurement. One meter hears one session; time may jump, what was begun is then dropped.

use ebur128::{EbuR128, Mode};

use super::measurement::{Hop, Second};
use super::{HOP_SAMPLES, HOPS};
use crate::media::{SAMPLE_RATE, StereoSample};

/// Places within this of each other follow each other: a resampling decoder rounds its times. 1 ms.
const ROUNDING: u64 = 48;

/// Samples of a second.
const SECOND: i64 = SAMPLE_RATE as i64;

/// Measures decoded samples by the whole 100 ms of media time.
pub struct Meter {
    /// None where the crate refuses 48 kHz stereo, which it does not.
    ebu: Option<EbuR128>,
    /// Media time of the next sample; none before the first.
    next: Option<i64>,
    /// Samples of the hop that is being filled; they begin at its start.
    hop: Vec<StereoSample>,
    second: Option<(i64, Second)>,
    done: Vec<(i64, Second)>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            ebu: EbuR128::new(2, SAMPLE_RATE, Mode::M | Mode::TRUE_PEAK).ok(),
            next: None,
            hop: Vec::with_capacity(HOP_SAMPLES as usize),
            second: None,
            done: Vec::new(),
        }
    }
}

impl Meter {
    /// Hears samples whose first one lies at `media_time`.
    pub fn add(&mut self, media_time: i64, samples: &[StereoSample]) {
        let position = match self.next {
            Some(next) if next.abs_diff(media_time) <= ROUNDING => next,
            _ => {
                self.jump();
                media_time
            }
        };
        self.next = Some(position.saturating_add(samples.len() as i64));
        let mut rest = samples;
        let into = position.rem_euclid(HOP_SAMPLES) as usize;
        if self.hop.is_empty() && into > 0 {
            // The start of a hop is not known: its samples only let the filter settle.
            let (lead, behind) = rest.split_at(rest.len().min(HOP_SAMPLES as usize - into));
            self.feed(&lead.iter().map(sound).collect::<Vec<_>>());
            rest = behind;
        }
        while !rest.is_empty() {
            let (now, behind) = rest.split_at(rest.len().min(HOP_SAMPLES as usize - self.hop.len()));
            self.hop.extend(now.iter().map(sound));
            rest = behind;
            if self.hop.len() == HOP_SAMPLES as usize {
                let end = position + (samples.len() - rest.len()) as i64;
                self.end_hop(end - HOP_SAMPLES);
            }
        }
    }

    /// The seconds that are measured, each by its number; the one that is going on follows later.
    pub fn take(&mut self) -> Vec<(i64, Second)> {
        std::mem::take(&mut self.done)
    }

    /// What was begun is as long as it will be.
    pub fn end(&mut self) {
        self.done.extend(self.second.take());
        self.hop.clear();
        self.next = None;
    }

    fn jump(&mut self) {
        self.end();
        if let Some(ebu) = &mut self.ebu {
            ebu.reset();
        }
    }

    fn feed(&mut self, samples: &[StereoSample]) {
        if let Some(ebu) = &mut self.ebu
            && let Err(error) = ebu.add_frames_f32(samples.as_flattened())
        {
            tracing::debug!(%error, "Loudness is not measured.");
        }
    }

    fn end_hop(&mut self, start: i64) {
        let samples = std::mem::take(&mut self.hop);
        self.feed(&samples);
        let values = || samples.as_flattened().iter().copied();
        let hop = Hop::new(self.lufs(), values().fold(0.0, f32::min), values().fold(0.0, f32::max));
        let peak = self.true_peak();
        self.hop = samples;
        self.hop.clear();
        let (number, place) = (start.div_euclid(SECOND), (start.rem_euclid(SECOND) / HOP_SAMPLES) as usize);
        if self.second.as_ref().is_some_and(|(other, _)| *other != number) {
            self.done.extend(self.second.take());
        }
        let (_, second) = self.second.get_or_insert_with(|| (number, Second::default()));
        second.hops[place] = Some(hop);
        second.true_peak = second.true_peak.max(peak);
        if place + 1 == HOPS {
            self.done.extend(self.second.take());
        }
    }

    /// Loudness of the hop that was fed last.
    fn lufs(&self) -> f64 {
        const WINDOW_MS: u32 = 100;
        self.ebu.as_ref().and_then(|ebu| ebu.loudness_window(WINDOW_MS).ok()).unwrap_or(f64::NEG_INFINITY)
    }

    fn true_peak(&self) -> f32 {
        let Some(ebu) = &self.ebu else { return 0.0 };
        (0..2).filter_map(|channel| ebu.prev_true_peak(channel).ok()).fold(0.0, f64::max) as f32
    }
}

/// A broken number would stay in the filter for good.
fn sound(sample: &StereoSample) -> StereoSample {
    sample.map(|value| if value.is_finite() { value.clamp(-8.0, 8.0) } else { 0.0 })
}
