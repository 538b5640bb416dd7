//! Plays audio a little faster or slower without a click: what follows a source's clock.
//!
//! Pure. It knows no timeline: whoever uses it counts what goes in and what comes out. While nothing is to be
//! corrected the samples pass untouched, bit for bit.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable, Async, FixedAsync, PolynomialDegree, Resampler, Resizable};

use crate::media::{SAMPLE_RATE, StereoSample};

/// Largest correction: 1000 ppm are 1.7 cents; nobody hears less than about 5.
pub const MAX_CORRECTION: f64 = 1e-3;

/// How fast the pace may change: 20 ppm a second, so that the whole range takes 50 s.
pub const SLEW_PER_SECOND: f64 = 20e-6;

/// Samples that are resampled at one pace.
const CHUNK: usize = 1024;

/// A polynomial through eight samples: what a cubic one does to 10 kHz would be heard as a flutter.
const DEGREE: PolynomialDegree = PolynomialDegree::Septic;
const POINTS: usize = 8;

/// Past samples that the resampler is filled with before it takes over.
const HISTORY: usize = 4 * POINTS;

/// The stretcher.
pub struct Stretcher {
    resampler: Option<Async<f32>>,
    /// Output samples per input sample, now.
    pace: f64,
    /// Samples that went in and wait for their neighbours to come out.
    held: u64,
    /// Samples at the start of what comes out next that were given untouched already.
    again: usize,
    history: Vec<StereoSample>,
    out: Vec<StereoSample>,
}

impl std::fmt::Debug for Stretcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stretcher").field("pace", &self.pace).field("held", &self.held).finish_non_exhaustive()
    }
}

impl Default for Stretcher {
    fn default() -> Self {
        Self { resampler: None, pace: 1.0, held: 0, again: 0, history: vec![[0.0; 2]; HISTORY], out: Vec::new() }
    }
}

impl Stretcher {
    /// Forgets the past: what comes next does not follow on what came before. What it still held, under 0.3 ms, is gone.
    pub fn reset(&mut self) {
        self.resampler = None;
        self.pace = 1.0;
        self.held = 0;
        self.again = 0;
        self.history.fill([0.0; 2]);
    }

    /// Samples that went in and have not come out yet.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Takes the samples that follow, gives those that are ready and how many it holds now. `correction` is the wanted change of pace: 1e-4
    /// makes 10 001 samples of 10 000. It is reached at [`SLEW_PER_SECOND`].
    pub fn process<'a>(&'a mut self, samples: &'a [StereoSample], correction: f64) -> (&'a [StereoSample], u64) {
        if self.resampler.is_none() && (correction == 0.0 || !self.engage()) {
            self.remember(samples);
            return (samples, 0);
        }
        let wanted = 1.0 + correction.clamp(-MAX_CORRECTION, MAX_CORRECTION);
        self.out.clear();
        for chunk in samples.chunks(CHUNK) {
            let step = SLEW_PER_SECOND * chunk.len() as f64 / f64::from(SAMPLE_RATE);
            self.pace += (wanted - self.pace).clamp(-step, step);
            self.resample(chunk);
        }
        self.remember(samples);
        let again = self.again.min(self.out.len());
        self.again -= again;
        (&self.out[again..], self.held)
    }

    fn remember(&mut self, samples: &[StereoSample]) {
        let new = samples.len().min(HISTORY);
        self.history.drain(..new);
        self.history.extend_from_slice(&samples[samples.len() - new..]);
    }

    /// Puts the resampler in the way: filled with the past, so that its first sample follows on the last one untouched.
    fn engage(&mut self) -> bool {
        let resampler = Async::new_poly(1.0, 1.01, DEGREE, CHUNK, 2, FixedAsync::Input);
        self.resampler = resampler.inspect_err(|error| tracing::warn!(%error, "Drift cannot be followed.")).ok();
        if self.resampler.is_none() {
            return false;
        }
        self.out.clear();
        let history = self.history.clone();
        self.resample(&history);
        // Its first sample lies this many before the first one that went in; what has not come out yet comes again.
        self.held = (HISTORY + POINTS / 2 - 1 - self.out.len()) as u64;
        self.again = self.held as usize;
        true
    }

    /// Resamples at most [`CHUNK`] samples onto the end of what is ready.
    fn resample(&mut self, chunk: &[StereoSample]) {
        let start = self.out.len();
        let made = self.resampler.as_mut().map(|resampler| append(resampler, chunk, self.pace, &mut self.out));
        if let Some(Err(error)) = made {
            // Sizes are right by construction; if they were not, the sound goes on as it came.
            tracing::warn!(%error, "Resampler refused samples.");
            self.out.truncate(start);
            self.out.extend_from_slice(chunk);
        }
    }
}

fn append(
    resampler: &mut Async<f32>,
    chunk: &[StereoSample],
    pace: f64,
    out: &mut Vec<StereoSample>,
) -> Result<(), Box<dyn std::error::Error>> {
    resampler.set_chunk_size(chunk.len())?;
    resampler.set_resample_ratio(pace, true)?;
    let start = out.len();
    let frames = resampler.output_frames_next();
    out.resize(start + frames, [0.0; 2]);
    let input = InterleavedSlice::new(chunk.as_flattened(), 2, chunk.len())?;
    let mut output = InterleavedSlice::new_mut(out[start..].as_flattened_mut(), 2, frames)?;
    resampler.process_into_buffer(&input, &mut output, None)?;
    Ok(())
}

#[cfg(test)]
mod tests;
