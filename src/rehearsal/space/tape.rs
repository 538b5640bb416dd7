//! The sound of the simulated space: an endless ruler, encoded to AAC of one form once and without a restart.
//!
//! Frame n of the tape starts n * 1024 samples of its own rate behind the start of a ruler whose second k starts at k
//! seconds. A thread keeps a minute ahead of what is asked for and forgets what is older than an hour. Frames before the
//! tape's own start repeat its first minute, so that hours of a past cost nothing.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::time::Duration;

use bytes::Bytes;

use super::format::{JOINT_SAMPLES, SoundFormat};
use crate::gst::GstError;
use crate::gst::aac_encode::AacEncoder;
use crate::media::{AAC_FRAME_SAMPLES, AudioFrame, SAMPLE_RATE};
use crate::ruler;

const RATE: u64 = SAMPLE_RATE as u64;
/// About what an X Space has: 96 to 97 kbit/s (ffprobe output in yt-dlp issue 7536).
const KBPS: u32 = 96;
/// How far the encoder runs ahead.
const AHEAD_SECONDS: u64 = 60;
/// How far it is ahead when the space begins: it gains on real time from then on.
const FIRST_SECONDS: u64 = 15;
/// How many frames stay, an hour of them: a chunk stays fetchable long after it left the playlist.
const KEEP_FRAMES: usize = 3600 * SAMPLE_RATE as usize / AAC_FRAME_SAMPLES as usize;

/// Frames that are repeated before the start: 58 s, whole joints.
const REPEATED: usize = 17 * 160;

/// Encoded frames, by number. Clones share one tape.
#[derive(Debug, Clone)]
pub(super) struct Tape {
    shelf: Arc<RwLock<Shelf>>,
    // Dropping the last one ends the thread.
    _wanted: mpsc::Sender<()>,
}

#[derive(Debug, Default)]
struct Shelf {
    first: u64,
    frames: VecDeque<Bytes>,
    /// The tape's own start.
    start: u64,
    /// The first frames from there on.
    repeated: Vec<Bytes>,
    /// The frame that the space has reached, by which the thread knows how far to go.
    position: u64,
}

impl Tape {
    /// Starts a tape of which everything from `from_ms` to some seconds behind `position_ms` is there when this returns.
    /// Blocks for about a second.
    ///
    /// # Errors
    /// When the encoder is missing, fails, or is far too slow.
    pub(super) fn start(format: SoundFormat, from_ms: u64, position_ms: u64) -> Result<Self, GstError> {
        let first_sample = from_ms * RATE / 1000 / JOINT_SAMPLES * JOINT_SAMPLES;
        let first = first_sample / JOINT_SAMPLES * format.joint_frames();
        let shelf = Shelf { first, start: first, position: format.frame_at(position_ms), ..Shelf::default() };
        let shelf = Arc::new(RwLock::new(shelf));
        let (wanted, ended) = mpsc::channel();
        let (ready_sender, ready) = mpsc::channel();
        let writer = Writer { format, shelf: shelf.clone(), next_sample: first_sample };
        let thread = std::thread::Builder::new().name("tape".to_owned());
        thread
            .spawn(move || writer.run(&ended, &ready_sender))
            .map_err(|error| failed(format!("its thread did not start: {error}")))?;
        // A busy machine makes at least five seconds of it in one.
        let patience = Duration::from_secs(60 + position_ms.saturating_sub(from_ms) / 5000);
        ready.recv_timeout(patience).map_err(|_| failed("it does not get ahead of real time".to_owned()))??;
        Ok(Self { shelf, _wanted: wanted })
    }

    /// `count` frames from frame `first` on; none when they are forgotten or not made yet.
    pub(super) fn frames(&self, first: u64, count: u64) -> Option<Vec<Bytes>> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        (first..first + count).map(|n| shelf.frame(n).cloned()).collect()
    }

    /// Whether frame `n` is there, or will be: it is not forgotten.
    pub(super) fn holds(&self, n: u64) -> bool {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        n >= shelf.first || n < shelf.start
    }

    /// Tells how far the space is, so that the tape goes on.
    pub(super) fn reached(&self, frame: u64) {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner).position = frame;
    }
}

impl Shelf {
    fn frame(&self, n: u64) -> Option<&Bytes> {
        if n < self.start {
            let back = (self.start - n) % REPEATED as u64;
            return self.repeated.get((REPEATED - back as usize) % REPEATED);
        }
        self.frames.get(usize::try_from(n.checked_sub(self.first)?).ok()?)
    }

    fn keep(&mut self, frame: Bytes) {
        if self.start > 0 && self.repeated.len() < REPEATED {
            self.repeated.push(frame.clone());
        }
        self.frames.push_back(frame);
        while self.frames.len() > KEEP_FRAMES {
            self.frames.pop_front();
            self.first += 1;
        }
    }
}

/// One frame of silence as a running encoder makes it. Blocks.
///
/// # Errors
/// When the encoder is missing or fails.
pub(super) fn silent_frame(format: SoundFormat) -> Result<Bytes, GstError> {
    let (sender, frames) = mpsc::channel();
    let output = move |frame: AudioFrame| drop(sender.send(frame.data));
    let mut encoder = AacEncoder::with_channels(format.sample_rate, format.channels, KBPS, output)?;
    encoder.push(&vec![[0.0, 0.0]; 8 * AAC_FRAME_SAMPLES as usize])?;
    encoder.finish()?;
    frames.iter().nth(4).ok_or_else(|| failed("the encoder makes nothing of silence".to_owned()))
}

fn failed(reason: String) -> GstError {
    GstError::Failed { name: "tape", reason }
}

struct Writer {
    format: SoundFormat,
    shelf: Arc<RwLock<Shelf>>,
    next_sample: u64,
}

impl Writer {
    fn run(mut self, ended: &mpsc::Receiver<()>, ready: &mpsc::Sender<Result<(), GstError>>) {
        let mut encoder = match self.encoder() {
            Ok(encoder) => encoder,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let mut told = false;
        loop {
            let (position, made) = self.progress();
            if !told && made >= position + FIRST_SECONDS * RATE {
                told = true;
                drop(ready.send(Ok(())));
            }
            if self.next_sample < position + AHEAD_SECONDS * RATE {
                if let Err(error) = encoder.push(&self.rest_of_second()) {
                    tracing::error!(%error, "Tape of the simulated space has ended.");
                    return drop(ready.send(Err(error)));
                }
            } else if let Err(mpsc::RecvTimeoutError::Disconnected) = ended.recv_timeout(Duration::from_millis(50)) {
                return;
            }
        }
    }

    /// Where the space is, and how far the tape is made, in samples of the ruler.
    fn progress(&self) -> (u64, u64) {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let made = shelf.first + shelf.frames.len() as u64;
        (self.format.ruler_sample(shelf.position), self.format.ruler_sample(made))
    }

    fn rest_of_second(&mut self) -> Vec<[f32; 2]> {
        let index = u32::try_from(self.next_sample / RATE).unwrap_or(u32::MAX);
        let passed = self.next_sample % RATE;
        self.next_sample += RATE - passed;
        ruler::second(index).into_iter().skip(passed as usize).map(|value| [value, value]).collect()
    }

    fn encoder(&self) -> Result<AacEncoder, GstError> {
        let shelf = self.shelf.clone();
        let waste = JOINT_SAMPLES;
        let keep = move |frame: AudioFrame| {
            // The encoder's own lead-in is no part of the tape: its first frames lie before our first sample.
            if frame.at.samples() < waste {
                return;
            }
            shelf.write().unwrap_or_else(PoisonError::into_inner).keep(frame.data);
        };
        let SoundFormat { sample_rate, channels } = self.format;
        let mut encoder = AacEncoder::with_channels(sample_rate, channels, KBPS, keep)?;
        // Our first sample lies on a joint, so that frames start there at every rate.
        let lead = waste - encoder.position().samples();
        encoder.push(&vec![[0.0, 0.0]; lead as usize])?;
        Ok(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::ear::Ear;
    use crate::rehearsal::space::chunk::adts_with;

    #[test]
    fn a_tape_that_starts_late_has_the_same_frames_at_the_same_numbers() {
        let format = SoundFormat::default();
        let tape = Tape::start(format, 190_000, 200_000).expect("a tape");
        // 190 s are 55 joints and a bit.
        let start = 55 * 160;
        assert!(tape.frames(start, 141).is_some());
        // A minute ahead of where it was told that the space is, and not further.
        tape.reached(format.frame_at(210_000));
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while tape.frames(format.frame_at(262_000), 141).is_none() {
            assert!(std::time::Instant::now() < deadline, "the tape does not go on");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Before it lies the first minute again, as often as it takes.
        let again = tape.frames(start + 10, 20).expect("frames");
        let minute = 17 * 160;
        assert_eq!(tape.frames(start - minute + 10, 20), Some(again.clone()));
        assert_eq!(tape.frames(start - 3 * minute + 10, 20), Some(again));
        assert!(tape.holds(0) && tape.frames(start - 1, 2).is_some());
    }

    #[test]
    fn every_form_holds_the_same_ruler_at_the_same_time() {
        for (sample_rate, channels) in [(48_000, 1), (44_100, 2), (44_100, 1)] {
            let format = SoundFormat { sample_rate, channels };
            let tape = Tape::start(format, 0, 10_000).expect("a tape");
            let mut ear = Ear::start().expect("an ear");
            for (n, frame) in tape.frames(0, format.frame_at(8000)).expect("frames").iter().enumerate() {
                ear.frame(format.ruler_sample(n as u64) as i64, adts_with(frame, format.adts_index(), channels));
            }
            let heard = ear.finish().seconds;
            let indices: Vec<u32> = heard.iter().map(|second| second.index).collect();
            assert!(indices.starts_with(&[0, 1, 2, 3, 4, 5, 6]), "{indices:?} in {format:?}");
            for second in heard {
                let error = second.at_samples - f64::from(second.index) * 48_000.0;
                assert!(error.abs() < 48.0, "second {} is {error} samples off in {format:?}", second.index);
            }
        }
    }

    #[test]
    fn silence_is_a_small_frame_in_every_form() {
        for (sample_rate, channels) in [(48_000, 2), (44_100, 1)] {
            let frame = silent_frame(SoundFormat { sample_rate, channels }).expect("a frame");
            assert!((1..64).contains(&frame.len()), "{} bytes", frame.len());
        }
    }
}
