//! The sound of the simulated space: an endless ruler, encoded to AAC once and without a restart.
//!
//! Frame n of the tape holds samples n * 1024 of a ruler whose second k starts at sample k * 48 000. A thread keeps a
//! minute ahead of what is asked for and forgets what is older than an hour.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::time::Duration;

use bytes::Bytes;

use crate::gst::GstError;
use crate::gst::aac_encode::AacEncoder;
use crate::media::{AAC_FRAME_SAMPLES, AudioFrame, SAMPLE_RATE};
use crate::ruler;

/// About what an X Space has: 96 to 97 kbit/s (ffprobe output in yt-dlp issue 7536).
const KBPS: u32 = 96;
/// How far the encoder runs ahead.
const AHEAD_SECONDS: u64 = 60;
/// How many frames stay: a chunk stays fetchable long after it left the playlist.
const KEEP_FRAMES: usize = 3600 * SAMPLE_RATE as usize / AAC_FRAME_SAMPLES as usize;
/// 8 s are exactly 375 frames: where a tape may begin so that frames and seconds agree.
const ALIGN_SECONDS: u64 = 8;

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
    /// The frame that the space has reached, by which the thread knows how far to go.
    position: u64,
}

impl Tape {
    /// Starts a tape of which everything from a minute before `position_seconds` to half a minute behind it is there
    /// when this returns. Blocks for about a second.
    ///
    /// # Errors
    /// When the encoder is missing, fails, or is far too slow.
    pub(super) fn start(position_seconds: u64) -> Result<Self, GstError> {
        let first_second = position_seconds.saturating_sub(60) / ALIGN_SECONDS * ALIGN_SECONDS;
        let first = frame_of_second(first_second);
        let shelf = Shelf { first, frames: VecDeque::new(), position: frame_of_second(position_seconds) };
        let shelf = Arc::new(RwLock::new(shelf));
        let (wanted, ended) = mpsc::channel();
        let (ready_sender, ready) = mpsc::channel();
        let writer = Writer { shelf: shelf.clone(), next_second: first_second };
        let thread = std::thread::Builder::new().name("tape".to_owned());
        thread
            .spawn(move || writer.run(&ended, &ready_sender))
            .map_err(|error| failed(format!("its thread did not start: {error}")))?;
        let patience = Duration::from_secs(60);
        ready.recv_timeout(patience).map_err(|_| failed("it does not get ahead of real time".to_owned()))??;
        Ok(Self { shelf, _wanted: wanted })
    }

    /// `count` frames from frame `first` on; none when they are forgotten or not made yet.
    pub(super) fn frames(&self, first: u64, count: u64) -> Option<Vec<Bytes>> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(first.checked_sub(shelf.first)?).ok()?;
        let end = start + usize::try_from(count).ok()?;
        (end <= shelf.frames.len()).then(|| shelf.frames.range(start..end).cloned().collect())
    }

    /// The oldest frame that is still there.
    pub(super) fn oldest(&self) -> u64 {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).first
    }

    /// Tells how far the space is, so that the tape goes on.
    pub(super) fn reached(&self, frame: u64) {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner).position = frame;
    }
}

fn frame_of_second(second: u64) -> u64 {
    second * u64::from(SAMPLE_RATE) / AAC_FRAME_SAMPLES
}

fn failed(reason: String) -> GstError {
    GstError::Failed { name: "tape", reason }
}

struct Writer {
    shelf: Arc<RwLock<Shelf>>,
    next_second: u64,
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
            if !told && made >= position + frame_of_second(AHEAD_SECONDS / 2) {
                told = true;
                drop(ready.send(Ok(())));
            }
            let ahead = self.next_second.saturating_sub(position * AAC_FRAME_SAMPLES / u64::from(SAMPLE_RATE));
            if ahead < AHEAD_SECONDS {
                if let Err(error) = encoder.push(&self.second()) {
                    tracing::error!(%error, "Tape of the simulated space has ended.");
                    return drop(ready.send(Err(error)));
                }
            } else if let Err(mpsc::RecvTimeoutError::Disconnected) = ended.recv_timeout(Duration::from_millis(50)) {
                return;
            }
        }
    }

    fn progress(&self) -> (u64, u64) {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        (shelf.position, shelf.first + shelf.frames.len() as u64)
    }

    fn second(&mut self) -> Vec<[f32; 2]> {
        let index = u32::try_from(self.next_second).unwrap_or(u32::MAX);
        self.next_second += 1;
        ruler::second(index).into_iter().map(|value| [value, value]).collect()
    }

    fn encoder(&self) -> Result<AacEncoder, GstError> {
        let shelf = self.shelf.clone();
        // The encoder's own lead-in is no part of the tape: its first frames lie before our first sample.
        let lead = Arc::new(std::sync::atomic::AtomicU64::new(u64::MAX));
        let known = lead.clone();
        let waiting = RwLock::new(Vec::<AudioFrame>::new());
        let keep = move |frame: AudioFrame| {
            let lead = known.load(std::sync::atomic::Ordering::Acquire);
            let mut waiting = waiting.write().unwrap_or_else(PoisonError::into_inner);
            waiting.push(frame);
            if lead == u64::MAX {
                return;
            }
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            for frame in waiting.drain(..).filter(|frame| frame.at.samples() >= lead) {
                shelf.frames.push_back(frame.data);
            }
            while shelf.frames.len() > KEEP_FRAMES {
                shelf.frames.pop_front();
                shelf.first += 1;
            }
        };
        let encoder = AacEncoder::new(SAMPLE_RATE, KBPS, keep)?;
        lead.store(encoder.position().samples(), std::sync::atomic::Ordering::Release);
        Ok(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_that_starts_late_has_the_same_frames_at_the_same_numbers() {
        let tape = Tape::start(200).expect("a tape");
        // 200 - 60 = 140, down to a multiple of 8 is 136.
        assert_eq!(tape.oldest(), 136 * 375 / 8);
        assert!(tape.frames(136 * 375 / 8, 141).is_some());
        assert!(tape.frames(0, 1).is_none());
        tape.reached(frame_of_second(300));
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while tape.frames(frame_of_second(340), 141).is_none() {
            assert!(std::time::Instant::now() < deadline, "the tape does not go on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
