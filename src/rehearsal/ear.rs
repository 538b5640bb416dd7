//! Hears the ruler in AAC or in samples, as they come, in bounded memory.
//!
//! Positions are samples at 48 kHz on the timeline of whoever pushes: a stream's timestamps, or a file's samples.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::gst::GstError;
use crate::gst::decode::{AacDecoder, DecoderOutput};
use crate::media::{PcmBlock, SAMPLE_RATE};
use crate::ruler;

/// Samples searched at once.
const WINDOW: usize = 8 * SAMPLE_RATE as usize;
/// What is searched again with the next window, so that a second across the edge is found: more than a second and less
/// than two, and a second that was found twice is told by its place.
const OVERLAP: usize = 3 * SAMPLE_RATE as usize / 2;
/// Timestamps of whole milliseconds put neighbours up to this far apart or together; it is no hole.
const ROUNDING: i64 = SAMPLE_RATE as i64 * 5 / 1000;
/// A hole longer than this starts a new search instead of being filled with silence.
const LONGEST_HOLE: i64 = 10 * SAMPLE_RATE as i64;
/// Seconds kept in a report: a day.
const SECONDS_KEPT: usize = 86_400;

/// One second of the ruler that was heard whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeardSecond {
    /// Its number.
    pub index: u32,
    /// Where it starts, in samples at 48 kHz.
    pub at_samples: f64,
}

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Whole seconds, in the order of their places.
    pub seconds: Vec<HeardSecond>,
    /// Samples heard in all.
    pub samples: u64,
    /// Frames that could not be decoded.
    pub decode_errors: u64,
}

/// Finds the ruler in samples that come piece by piece.
#[derive(Debug, Default)]
pub struct Search {
    heard: Heard,
    line: Vec<f32>,
    line_start: i64,
}

impl Search {
    /// Takes the piece that starts at `at`.
    pub fn push(&mut self, at: i64, samples: &[f32]) {
        self.heard.samples += samples.len() as u64;
        let expected = self.line_start + self.line.len() as i64;
        let off = at - expected;
        if self.line.is_empty() {
            self.line_start = at;
        } else if off.abs() > ROUNDING {
            self.jump(at, off);
        }
        self.line.extend_from_slice(samples);
        if self.line.len() >= WINDOW {
            self.search();
            let cut = self.line.len() - OVERLAP;
            self.line.drain(..cut);
            self.line_start += cut as i64;
        }
    }

    /// Everything heard, the last piece included.
    pub fn finish(mut self) -> Heard {
        self.search();
        self.heard
    }

    fn jump(&mut self, at: i64, off: i64) {
        if (0..LONGEST_HOLE).contains(&off) {
            self.line.resize(self.line.len() + off as usize, 0.0);
        } else {
            self.search();
            self.line.clear();
            self.line_start = at;
        }
    }

    fn search(&mut self) {
        for mark in ruler::decode(&self.line) {
            let at_samples = self.line_start as f64 + mark.at_samples;
            let again = |seen: &HeardSecond| seen.index == mark.index && (seen.at_samples - at_samples).abs() < 4800.0;
            if !self.heard.seconds.iter().rev().take(8).any(again) && self.heard.seconds.len() < SECONDS_KEPT {
                self.heard.seconds.push(HeardSecond { index: mark.index, at_samples });
            }
        }
    }
}

/// How long the decoder may be silent before it counts as through.
const QUIET: Duration = Duration::from_secs(2);
/// How long the end may take in all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Decodes AAC and finds the ruler in it. Its own thread does the search.
#[derive(Debug)]
pub struct Ear {
    decoder: AacDecoder,
    last_pushed: i64,
    shared: Arc<Shared>,
    thread: JoinHandle<Heard>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    /// End of what was searched, in samples.
    reached: AtomicI64,
}

impl Ear {
    /// Starts listening.
    ///
    /// # Errors
    /// When the decoder is missing or does not start.
    pub fn start() -> Result<Self, GstError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let decoder = AacDecoder::new(sender)?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("ear".to_owned()).spawn(move || listen(receiver, &theirs));
        let thread = thread.map_err(|error| GstError::Failed { name: "ear", reason: error.to_string() })?;
        Ok(Self { decoder, last_pushed: i64::MIN, shared, thread })
    }

    /// Gives it one ADTS frame whose first sample lies at `at`.
    pub fn frame(&mut self, at: i64, adts: Bytes) {
        self.last_pushed = at;
        self.decoder.push(at, adts);
    }

    /// What was heard so far; the last seconds may be missing.
    pub fn so_far(&self) -> Heard {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that was heard. Blocks until the decoder is through, a few seconds at most.
    pub fn finish(mut self) -> Heard {
        self.decoder.finish();
        self.wait_for_decoder();
        let so_far = self.so_far();
        // Without its decoder the thread's channel closes, and it ends.
        drop(self.decoder);
        self.thread.join().unwrap_or(so_far)
    }

    fn wait_for_decoder(&self) {
        let started = Instant::now();
        let (mut seen, mut since) = (i64::MIN, started);
        loop {
            let reached = self.shared.reached.load(Ordering::Acquire);
            if reached != seen {
                (seen, since) = (reached, Instant::now());
            }
            if reached > self.last_pushed || since.elapsed() > QUIET || started.elapsed() > PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn listen(mut receiver: mpsc::UnboundedReceiver<DecoderOutput>, shared: &Shared) -> Heard {
    let mut search = Search::default();
    while let Some(output) = receiver.blocking_recv() {
        match output {
            DecoderOutput::Audio(PcmBlock { media_time, samples }) => {
                search.push(media_time, &ruler::mono(&samples));
                shared.reached.store(media_time + samples.len() as i64, Ordering::Release);
            }
            DecoderOutput::Errors { count } => search.heard.decode_errors += count,
        }
        let mut latest = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.seconds.len() == search.heard.seconds.len() {
            latest.samples = search.heard.samples;
            latest.decode_errors = search.heard.decode_errors;
        } else {
            latest.clone_from(&search.heard);
        }
    }
    search.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(pieces: impl Iterator<Item = (i64, Vec<f32>)>) -> Vec<(u32, i64)> {
        let mut search = Search::default();
        for (at, samples) in pieces {
            search.push(at, &samples);
        }
        search.finish().seconds.iter().map(|second| (second.index, second.at_samples.round() as i64)).collect()
    }

    fn pieces(first: u32, count: u32) -> Vec<(i64, Vec<f32>)> {
        let line: Vec<f32> = (first..first + count).flat_map(ruler::second).collect();
        line.chunks(1024).enumerate().map(|(n, piece)| (n as i64 * 1024, piece.to_vec())).collect()
    }

    #[test]
    fn seconds_across_the_edge_of_a_search_are_found_once() {
        let heard = hear(pieces(5, 30).into_iter());
        assert_eq!(heard.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (5..35).collect::<Vec<_>>());
        assert!(heard.iter().enumerate().all(|(n, (_, at))| (at - n as i64 * 48_000).abs() < 5), "{heard:?}");
    }

    #[test]
    fn a_hole_in_the_timestamps_moves_nothing_behind_it() {
        let heard = hear(pieces(0, 12).into_iter().filter(|(at, _)| !(100_000..110_000).contains(at)));
        let expected: Vec<(u32, i64)> = (0..12).filter(|n| *n != 2).map(|n| (n, i64::from(n) * 48_000)).collect();
        assert_eq!(heard.len(), expected.len());
        for ((index, at), (want, place)) in heard.iter().zip(expected) {
            assert!(*index == want && (at - place).abs() < 5, "second {index} at {at}");
        }
    }

    #[test]
    fn timestamps_of_whole_milliseconds_do_not_tear_the_sound() {
        let rounded = pieces(0, 9).into_iter().map(|(at, piece)| (at / 48 * 48, piece));
        assert_eq!(hear(rounded).len(), 9);
    }

    #[test]
    fn a_second_that_comes_twice_is_heard_twice() {
        let twice = pieces(7, 1).into_iter().chain(pieces(7, 2).into_iter().map(|(at, piece)| (at + 48_000, piece)));
        assert_eq!(hear(twice).iter().map(|(index, _)| *index).collect::<Vec<_>>(), [7, 7, 8]);
    }
}
