//! The gain that brings an episode to a loudness, and the limiter that keeps its peaks: worked out before the one pass over
//! the whole, from the session's measurement.
//!
//! Limiting takes loudness away, and how much depends on the voices. Where peaks are in the way, a few seconds from all
//! over the session are levelled for trial, and the gain makes up for what the limiter takes.

use super::decoded::Decoded;
use super::error::EpisodeError;
use super::progress::Progress;
use super::reel::{Range, Reel};
use crate::measure::Measured;
use crate::media::{SAMPLE_RATE, StereoSample};
use crate::program::limiter::{LOOK_AHEAD, Limiter};

/// Ceiling of the limiter, in dBTP: what is decoded from a lossy file overshoots it, and stays under -1.
pub const CEILING_DBTP: f64 = -1.5;

/// More is never added, in dB: what is so quiet is no speech.
const MOST_GAIN: f64 = 30.0;

/// What the limiter may take of the loudness, in LU: more is heard.
const MOST_LOSS: f64 = 5.0;

/// Close enough, in LU.
const CLOSE: f64 = 0.05;

/// Trials, at most.
const TRIALS: usize = 5;

/// Pieces that are tried, and how long each is: 2.5 minutes, which take 58 MB.
const PIECES: i64 = 30;
const PIECE: i64 = 5 * SAMPLE_RATE as i64;

/// Bytes of a second of a captured stream, about: only how densely pieces are taken depends on it.
const USUAL_BYTES: u64 = 16_000;

/// Samples that go through at once.
const BLOCK: usize = 4096;

/// What is done to the sound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Dsp {
    /// Amplification, in dB.
    pub gain_db: f64,
    /// Ceiling of true peaks behind it, in dBTP; none leaves peaks alone.
    pub limit_dbtp: Option<f64>,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    /// Integrated loudness of the file, in LUFS. A file of one channel is measured as it is: -16 there is as loud on two
    /// loudspeakers as -13.
    pub lufs: f64,
    /// Whether the file has one channel.
    pub mono: bool,
}

/// How to reach it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Levelling {
    /// What to do.
    pub dsp: Dsp,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Works out how a session with `measured` (as stereo) reaches `aim`. `whole` is what will be encoded, `open` opens a
/// piece of it.
///
/// # Errors
/// When the archive cannot be read, or somebody stopped it.
pub fn level(
    measured: Option<Measured>,
    aim: Aim,
    whole: &Reel,
    open: &mut dyn FnMut(Range) -> Result<Reel, EpisodeError>,
    progress: &Progress,
) -> Result<Levelling, EpisodeError> {
    let Some(measured) = measured else {
        let note = "There is nothing but silence, which is left as quiet as it is.".to_owned();
        return Ok(Levelling { dsp: Dsp::default(), notes: vec![note] });
    };
    let gain = aim.lufs - measured.lufs;
    if !aim.mono && measured.true_peak_dbtp + gain <= CEILING_DBTP {
        return Ok(levelling(aim, gain, measured.lufs + gain));
    }
    let pieces = pieces(whole, open, progress)?;
    let trial = |dsp: Dsp, mono: bool| loudness(&pieces, dsp, mono);
    let (Some(stereo), Some(plain)) = (trial(Dsp::default(), false), trial(Dsp::default(), aim.mono)) else {
        return Ok(levelling(aim, gain, aim.lufs));
    };
    settle(aim, measured.lufs + plain - stereo, |gain_db| {
        progress.check()?;
        let limited = trial(Dsp { gain_db, limit_dbtp: Some(CEILING_DBTP) }, aim.mono);
        Ok(limited.map_or(0.0, |limited| plain + gain_db - limited))
    })
}

/// Finds the gain, where the whole is `heard` (in LUFS) and `loss` tells what the limiter takes behind a gain.
fn settle(
    aim: Aim,
    heard: f64,
    mut loss: impl FnMut(f64) -> Result<f64, EpisodeError>,
) -> Result<Levelling, EpisodeError> {
    // Quieter than this nothing is limited that a listener would miss.
    const HARMLESS: f64 = 24.0;
    let gain = aim.lufs - heard;
    let first = loss(gain)?;
    if first < CLOSE || gain > MOST_GAIN {
        return Ok(levelling(aim, gain, heard + gain - first));
    }
    let most = loss(gain + MOST_LOSS)?;
    let gain = if most <= MOST_LOSS {
        let missing = |at: f64| Ok(at - gain - loss(at)?);
        root((gain, -first), (gain + MOST_LOSS, MOST_LOSS - most), missing)?
    } else {
        let too_much = |at: f64| Ok(loss(at)? - MOST_LOSS);
        root((gain - HARMLESS, -MOST_LOSS), (gain + MOST_LOSS, most - MOST_LOSS), too_much)?
    };
    let reached = heard + gain - loss(gain)?;
    Ok(levelling(aim, gain, reached))
}

fn levelling(aim: Aim, gain_db: f64, reached: f64) -> Levelling {
    let mut notes = Vec::new();
    let bounded = gain_db.min(MOST_GAIN);
    let reached = reached - (gain_db - bounded);
    if aim.lufs - reached > 10.0 * CLOSE {
        let why = if gain_db > MOST_GAIN { "what is so quiet is noise" } else { "more would crush the voices" };
        notes.push(format!("It is brought to {reached:.1} LUFS and not to {:.1}: {why}.", aim.lufs));
    }
    Levelling { dsp: Dsp { gain_db: bounded, limit_dbtp: Some(CEILING_DBTP) }, notes }
}

/// Where a function that rises from below zero at `low` to above zero at `high` is nearly zero (regula falsi, with the
/// Illinois weight so that neither end sticks).
fn root(
    mut low: (f64, f64),
    mut high: (f64, f64),
    mut function: impl FnMut(f64) -> Result<f64, EpisodeError>,
) -> Result<f64, EpisodeError> {
    for _ in 0..TRIALS {
        let at = (low.0 * high.1 - high.0 * low.1) / (high.1 - low.1).max(1e-9);
        let value = function(at)?;
        if value.abs() < CLOSE {
            return Ok(at);
        }
        if value < 0.0 {
            low = (at, value);
            high.1 /= 2.0;
        } else {
            high = (at, value);
            low.1 /= 2.0;
        }
    }
    Ok((low.0 * high.1 - high.0 * low.1) / (high.1 - low.1).max(1e-9))
}

/// Samples from all over what will be encoded; all of it where it is short.
fn pieces(
    whole: &Reel,
    open: &mut dyn FnMut(Range) -> Result<Reel, EpisodeError>,
    progress: &Progress,
) -> Result<Vec<StereoSample>, EpisodeError> {
    let (start, end) = whole.span();
    let length = end.saturating_sub(start);
    let mut kept = Vec::new();
    if length > PIECES * PIECE {
        for index in 0..PIECES {
            progress.check()?;
            let from = start + (length - PIECE) / (PIECES - 1) * index;
            let mut reel = open(Range { start: Some(from), end: Some(from + PIECE) })?;
            take(&mut reel, PIECE, 1, &mut kept, progress)?;
        }
    } else {
        // A captured stream can only be read from its start, and says not how long it is.
        let seconds = whole.bytes() / USUAL_BYTES;
        let every = if length > 0 { 1 } else { (seconds as i64 * i64::from(SAMPLE_RATE) / (PIECES * PIECE)).max(1) };
        take(&mut open(Range { start: None, end: None })?, PIECE, every, &mut kept, progress)?;
    }
    Ok(kept)
}

/// Decodes a reel and keeps the first `piece` samples of every `every` times as many.
fn take(
    reel: &mut Reel,
    piece: i64,
    every: i64,
    kept: &mut Vec<StereoSample>,
    progress: &Progress,
) -> Result<(), EpisodeError> {
    let most = kept.len() + (PIECES * PIECE) as usize;
    let (mut decoded, mut samples) = (Decoded::new(reel), Vec::new());
    loop {
        progress.check()?;
        let at = decoded.position() as i64;
        if !decoded.next(&mut samples)? || kept.len() >= most {
            return Ok(());
        }
        if at % (piece * every) < piece {
            kept.extend_from_slice(&samples);
        }
    }
}

/// Integrated loudness of `samples` behind `dsp`, as a file of one or two channels; none for silence.
fn loudness(samples: &[StereoSample], dsp: Dsp, mono: bool) -> Option<f64> {
    let channels = if mono { 1 } else { 2 };
    let mut meter = ebur128::EbuR128::new(channels, SAMPLE_RATE, ebur128::Mode::I).ok()?;
    let mut chain = Chain::new(dsp, mono);
    let mut add = |block: &[StereoSample]| {
        let left: Vec<f32> = if mono { block.iter().map(|[left, _]| *left).collect() } else { Vec::new() };
        meter.add_frames_f32(if mono { &left } else { block.as_flattened() })
    };
    let mut block = Vec::with_capacity(BLOCK);
    for part in samples.chunks(BLOCK) {
        block.clear();
        block.extend_from_slice(part);
        chain.process(&mut block);
        add(&block).ok()?;
    }
    add(&chain.finish()).ok()?;
    meter.loudness_global().ok().filter(|lufs| lufs.is_finite())
}

/// The sound on its way: mixed to one channel, amplified, limited. What comes out is as long as what goes in and not later.
#[derive(Debug)]
pub(super) struct Chain {
    mono: bool,
    limiter: Option<Limiter>,
    /// Samples that come out of the limiter before the first that went in.
    early: usize,
}

impl Chain {
    /// One that does `dsp`; with `mono` both channels become their mean.
    pub(super) fn new(dsp: Dsp, mono: bool) -> Self {
        let is_idle = dsp.gain_db == 0.0 && dsp.limit_dbtp.is_none();
        let limiter = (!is_idle).then(|| Limiter::new(dsp.gain_db, dsp.limit_dbtp));
        Self { mono, early: if is_idle { 0 } else { LOOK_AHEAD }, limiter }
    }

    /// Replaces `samples` by what comes out, which may be fewer the first time.
    pub(super) fn process(&mut self, samples: &mut Vec<StereoSample>) {
        if self.mono {
            samples.iter_mut().for_each(|sample| *sample = [0.5 * (sample[0] + sample[1]); 2]);
        }
        if let Some(limiter) = &mut self.limiter {
            limiter.process(samples);
            let cut = self.early.min(samples.len());
            samples.drain(..cut);
            self.early -= cut;
        }
    }

    /// What is left in it.
    pub(super) fn finish(mut self) -> Vec<StereoSample> {
        let Some(limiter) = &mut self.limiter else { return Vec::new() };
        let mut rest = vec![[0.0; 2]; LOOK_AHEAD];
        limiter.process(&mut rest);
        rest.drain(..self.early.min(rest.len()));
        rest
    }
}

#[cfg(test)]
mod tests;
