//! A reel as 48 kHz stereo samples: one stream from its first part to its last, silence where there is nothing to decode.

mod overlay;
mod pcm;

use std::borrow::BorrowMut;

use overlay::Overlay;
use pcm::Pcm;

use super::error::EpisodeError;
use super::reel::{Reel, ReelEvent};
use crate::gst::decode_frames::{DecodeConfig, FrameDecoder};
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE, StereoSample};
use crate::recording::adts::AacConfig;

/// Frames that are decoded at once: about half a second.
const FRAMES: usize = 24;

/// Silence that is handed out at once.
const SILENCE: u64 = SAMPLE_RATE as u64;

/// A hole between two parts that is longer is left out.
const LONGEST_HOLE: u64 = 24 * 3600 * SAMPLE_RATE as u64;

/// One part's decoder.
struct Decoder {
    config: AacConfig,
    inner: FrameDecoder,
    /// Samples to leave out: the part begins before the last one ended.
    skip: u64,
    filled: u64,
}

impl Decoder {
    fn pull(&mut self, samples: &mut Vec<StereoSample>) -> Result<bool, EpisodeError> {
        let before = samples.len();
        let more = self.inner.pull(samples)?;
        let skipped = self.skip.min((samples.len() - before) as u64);
        samples.drain(before..before + skipped as usize);
        self.skip -= skipped;
        Ok(more)
    }

    /// Length of so many frames at 48 kHz.
    fn length(&self, frames: u64) -> u64 {
        frames * AAC_FRAME_SAMPLES * u64::from(SAMPLE_RATE) / u64::from(self.config.sample_rate)
    }
}

/// See the module.
pub(super) struct Decoded<R> {
    reel: R,
    /// What other sessions hold of what this one lacks.
    overlay: Option<Box<Overlay>>,
    decoder: Option<Decoder>,
    /// A captured stream of uncompressed sound on its way.
    pcm: Option<Pcm>,
    /// Media time of the first sample.
    origin: Option<i64>,
    /// Samples handed out.
    position: u64,
    /// Samples of silence to hand out before anything else.
    silence: u64,
    lost: u64,
    filled: u64,
    foreign: Vec<String>,
    notes: Vec<String>,
}

impl<R: BorrowMut<Reel>> Decoded<R> {
    pub(super) fn new(mut reel: R) -> Self {
        let patches = reel.borrow_mut().take_patches();
        Self {
            reel,
            overlay: (!patches.is_empty()).then(|| Box::new(Overlay::new(patches))),
            decoder: None,
            pcm: None,
            origin: None,
            position: 0,
            silence: 0,
            lost: 0,
            filled: 0,
            foreign: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Media time of the first sample; none while there is none.
    pub(super) fn origin(&self) -> Option<i64> {
        self.origin
    }

    /// Samples so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Samples of silence so far in place of what is missing.
    pub(super) fn filled(&self) -> u64 {
        self.filled.saturating_sub(self.overlay.as_ref().map_or(0, |overlay| overlay.laid))
    }

    /// Captured streams of which nothing was decoded; takes them.
    pub(super) fn take_foreign(&mut self) -> Vec<String> {
        std::mem::take(&mut self.foreign)
    }

    /// What a person should know; takes it.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.reel.borrow_mut().take_notes());
        notes.extend(self.overlay.iter_mut().flat_map(|overlay| overlay.take_notes()));
        let lost = std::mem::take(&mut self.lost) as f64 / f64::from(SAMPLE_RATE);
        if lost > 0.0 {
            notes.push(format!("{lost:.2} s could not be decoded; silence stands in their place."));
        }
        notes
    }

    /// Replaces `samples` by the next ones, a second at most or so. False at the end.
    pub(super) fn next(&mut self, samples: &mut Vec<StereoSample>) -> Result<bool, EpisodeError> {
        samples.clear();
        if self.silence > 0 {
            let count = self.silence.min(SILENCE);
            samples.resize(count as usize, [0.0; 2]);
            self.silence -= count;
            self.patch(self.position, samples)?;
            self.position += count;
            return Ok(true);
        }
        let more = self.decode(samples)?;
        self.patch(self.position, samples)?;
        self.position += samples.len() as u64;
        Ok(more)
    }

    fn decode(&mut self, samples: &mut Vec<StereoSample>) -> Result<bool, EpisodeError> {
        if let Some(pcm) = self.pcm.take() {
            return self.pull_pcm(pcm, samples);
        }
        for _ in 0..FRAMES {
            let Some(event) = self.reel.borrow_mut().next().transpose()? else {
                let was = self.decoder.is_some();
                self.close(samples)?;
                return Ok(was);
            };
            match event {
                ReelEvent::Frame(frame) => {
                    let Some(decoder) = &mut self.decoder else { continue };
                    decoder.inner.push(frame)?;
                    decoder.filled = self.reel.borrow_mut().tally().filled;
                }
                ReelEvent::Part { config, origin } => {
                    self.close(samples)?;
                    self.open(config, origin, samples.len() as u64)?;
                    return Ok(true);
                }
                ReelEvent::Pcm { file, origin } => {
                    self.close(samples)?;
                    self.pcm = Some(Pcm::open(self.reel.borrow(), &file, origin)?);
                    return Ok(true);
                }
                ReelEvent::Foreign(file) => self.foreign.push(file),
            }
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.pull(samples)?;
        }
        Ok(true)
    }

    /// Takes the next samples of a captured stream, at their place behind what was handed out.
    fn pull_pcm(&mut self, mut pcm: Pcm, samples: &mut Vec<StereoSample>) -> Result<bool, EpisodeError> {
        let Some((at, block)) = pcm.next()? else { return Ok(true) };
        let first = *self.origin.get_or_insert(at);
        let end = first.saturating_add_unsigned(self.position);
        match u64::try_from(at.saturating_sub(end)) {
            Ok(0) => samples.extend(block),
            Ok(hole) if hole <= LONGEST_HOLE => {
                self.silence = hole;
                self.filled += hole;
                pcm.waiting = Some((at, block));
            }
            Ok(hole) => {
                self.leave_out(hole);
                pcm.shift(hole, block, end);
            }
            // It begins before the last one ended.
            Err(_) => samples.extend(block.into_iter().skip(end.abs_diff(at) as usize)),
        }
        self.pcm = Some(pcm);
        Ok(true)
    }

    fn open(&mut self, config: AacConfig, origin: i64, waiting: u64) -> Result<(), EpisodeError> {
        let first = *self.origin.get_or_insert(origin);
        let end = first.saturating_add_unsigned(self.position + waiting);
        let mut skip = 0;
        match u64::try_from(origin.saturating_sub(end)) {
            Ok(hole) if hole <= LONGEST_HOLE => {
                self.silence = hole;
                self.filled += hole;
            }
            Ok(hole) => self.leave_out(hole),
            Err(_) => skip = end.abs_diff(origin),
        }
        let specific = DecodeConfig {
            sample_rate: config.sample_rate,
            channels: config.channels,
            asc: bytes::Bytes::copy_from_slice(&config.specific_config()),
        };
        self.decoder = Some(Decoder { config, inner: FrameDecoder::start(&specific)?, skip, filled: 0 });
        Ok(())
    }

    /// What comes behind a hole that is left out lies elsewhere than media time says: no patch fits it.
    fn leave_out(&mut self, hole: u64) {
        self.notes.push(format!("A hole of {} hours is left out.", hole / SILENCE / 3600));
        if let Some(overlay) = &mut self.overlay {
            overlay.end();
        }
    }

    /// Takes the rest out of the decoder, and counts.
    fn close(&mut self, samples: &mut Vec<StereoSample>) -> Result<(), EpisodeError> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        decoder.inner.finish()?;
        while decoder.pull(samples)? {}
        self.lost += decoder.length(decoder.inner.lost());
        self.filled += decoder.length(decoder.filled);
        Ok(())
    }
}
