//! The program: one continuous 48 kHz stereo timeline that never ends, whatever its sources do.
//!
//! Sources' samples are written into a [`ring::Ring`]; one pacing thread reads it in real time, applies gain and
//! limiter, measures the level and hands every block to one consumer (the encoder). Program time is the count of
//! samples that were handed on. Nothing here waits for a source.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use crate::media::{ProgramTime, SAMPLE_RATE, StereoSample};

pub mod align;
mod follower;
pub mod layer;
pub mod level;
pub mod limiter;
mod line;
mod pacer;
pub mod placement;
pub mod reserve;
pub mod ring;
pub mod stretch;

pub use layer::Layer;
pub use level::{Level, LevelAt};
pub use pacer::{BLOCK_FRAMES, EARLY_BLOCK_FRAMES, PacerError};
pub use placement::{Edge, Move, Placement};
pub use reserve::Reserve;
pub use ring::{Cut, Delayed, Written};
pub use stretch::Stretcher;

/// Measurements that a slow reader may lag behind: about 3 s.
const LEVELS_KEPT: usize = 32;

/// What the program is made with.
#[derive(Debug, Clone)]
pub struct ProgramSettings {
    /// Amplification before the limiter, in dB.
    pub gain_db: f64,
    /// True-peak ceiling, in dBTP.
    pub limit_dbtp: Option<f64>,
    /// Sounds again and again while there is no source; silence if empty.
    pub hold: Arc<[StereoSample]>,
    /// How far ahead of the air samples may be written, beside the public delay.
    pub capacity_seconds: u32,
    /// How much later than they could be samples are heard: the operator's time to cut.
    pub public_delay: Duration,
    /// AAC frames that are handed on at a time: [`BLOCK_FRAMES`], or [`EARLY_BLOCK_FRAMES`] where every moment counts.
    pub block_frames: u32,
}

/// Takes every block of the program, on the pacing thread; an error ends the program.
pub type Consumer = Box<dyn FnMut(&[StereoSample]) -> Result<(), String> + Send>;

/// What the pacing thread and the writers share.
#[derive(Debug)]
struct Shared {
    ring: Mutex<ring::Ring>,
    /// Samples of the ring beside the public delay.
    capacity: usize,
    /// The next program sample to be handed on.
    position: AtomicU64,
    stop: AtomicBool,
    holding: AtomicBool,
    stood_still_ms: AtomicU64,
}

/// A running program. Dropping it ends the pacing thread.
#[derive(Debug)]
pub struct Program {
    shared: Arc<Shared>,
    level: watch::Receiver<Level>,
    levels: broadcast::Sender<LevelAt>,
    failed: watch::Receiver<Option<PacerError>>,
    thread: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts the program at `first`; blocks go to `consumer` from then on.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub fn start(settings: &ProgramSettings, first: ProgramTime, consumer: Consumer) -> std::io::Result<Self> {
        let capacity = (settings.capacity_seconds * SAMPLE_RATE) as usize;
        let mut ring = ring::Ring::new(capacity, first.samples());
        let delay = samples_of(settings.public_delay);
        ring.set_delay(delay, capacity + delay as usize);
        let shared = Arc::new(Shared {
            ring: Mutex::new(ring),
            capacity,
            position: AtomicU64::new(first.samples()),
            stop: AtomicBool::new(false),
            holding: AtomicBool::new(true),
            stood_still_ms: AtomicU64::new(0),
        });
        let (level_sender, level) = watch::channel(Level::default());
        let (failed_sender, failed) = watch::channel(None);
        let (levels, _) = broadcast::channel(LEVELS_KEPT);
        let told = (level_sender, levels.clone());
        let pacer = pacer::Pacer::new(settings, shared.clone(), consumer, told, failed_sender);
        let thread = std::thread::Builder::new().name("program".to_owned()).spawn(move || pacer.run())?;
        Ok(Self { shared, level, levels, failed, thread: Some(thread) })
    }

    /// Where the program stands: the next sample to be handed on.
    pub fn now(&self) -> ProgramTime {
        ProgramTime::from_samples(self.shared.position.load(Ordering::Relaxed))
    }

    /// Places samples of a source at program sample `at`, where they would be heard without the public delay.
    pub fn write(&self, at: i64, samples: &[StereoSample]) -> Written {
        self.ring(|ring| ring.write(at, samples))
    }

    /// How much later than placed everything is heard, in samples.
    pub fn public_delay(&self) -> u64 {
        self.ring(|ring| ring.delay())
    }

    /// Changes the public delay: a longer one lets hold audio in, a shorter one leaves as much out, at a quiet place.
    pub fn set_public_delay(&self, delay: Duration) -> Delayed {
        let delay = samples_of(delay);
        self.ring(|ring| ring.set_delay(delay, self.shared.capacity + delay as usize))
    }

    /// How far ahead of the air, without the public delay, the source places what it has just heard.
    pub fn set_lead(&self, lead: u64) {
        self.ring(|ring| ring.set_lead(lead));
    }

    /// Lets hold audio go out instead of what was said in the last `last`, or of all that has not gone out yet.
    pub fn cut(&self, last: Option<Duration>) -> Cut {
        self.ring(|ring| ring.cut(last.map(samples_of)))
    }

    /// Forgets what sources wrote from now on, but for the next 50 ms, so that other samples can go there. What the
    /// public delay holds back is heard all the same.
    pub fn forget(&self) {
        self.ring(|ring| ring.truncate(ring.position() + u64::from(SAMPLE_RATE) / 20));
    }

    /// Forgets what sources wrote at program sample `from` and after it, without the public delay counted.
    pub fn forget_from(&self, from: u64) {
        self.ring(|ring| ring.truncate(from));
    }

    /// First program sample that nothing was written to, nor anything after it, without the public delay counted; where
    /// the program stands if nothing lies ahead.
    pub fn free_from(&self) -> i64 {
        self.ring(|ring| (ring.position() + ring.ahead()) as i64 - ring.delay() as i64)
    }

    /// Leaves the next `count` samples of sources out, at the quietest place of the next 2 s; returns the joint.
    pub fn skip(&self, count: u64) -> ProgramTime {
        ProgramTime::from_samples(self.ring(|ring| ring.skip(count)))
    }

    /// For how long in all the program stood still, because the machine did.
    pub fn stood_still(&self) -> Duration {
        Duration::from_millis(self.shared.stood_still_ms.load(Ordering::Relaxed))
    }

    /// Samples of sources that lie ahead of the air.
    pub fn ahead(&self) -> u64 {
        self.ring(|ring| ring.ahead())
    }

    /// Whether hold audio is on the air.
    pub fn is_holding(&self) -> bool {
        self.shared.holding.load(Ordering::Relaxed)
    }

    /// The level as it is now.
    pub fn level(&self) -> watch::Receiver<Level> {
        self.level.clone()
    }

    /// Every measurement: twelve a second, in pairs, as blocks are handed on. Each receiver sees what comes from then on.
    pub fn levels(&self) -> broadcast::Sender<LevelAt> {
        self.levels.clone()
    }

    /// Becomes `Some` when the program cannot go on: the process then ends and its supervisor starts it again.
    pub fn failed(&self) -> watch::Receiver<Option<PacerError>> {
        self.failed.clone()
    }

    fn ring<T>(&self, act: impl FnOnce(&mut ring::Ring) -> T) -> T {
        // A writer that panicked leaves at worst a wrong sound; the program goes on.
        act(&mut self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn samples_of(duration: Duration) -> u64 {
    ProgramTime::from_duration(duration).samples()
}

impl Drop for Program {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The program's thread had panicked.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_program_goes_on_without_a_source_and_plays_what_is_written() {
        let settings = ProgramSettings {
            gain_db: 0.0,
            limit_dbtp: Some(-1.0),
            hold: Arc::from([]),
            capacity_seconds: 10,
            public_delay: Duration::ZERO,
            block_frames: BLOCK_FRAMES,
        };
        let (sender, blocks) = mpsc::channel();
        let consumer = Box::new(move |block: &[StereoSample]| {
            drop(sender.send(block.to_vec()));
            Ok(())
        });
        let program = Program::start(&settings, ProgramTime::from_samples(3072), consumer).expect("a thread");
        let tone = vec![[0.5, 0.5]; 9_600];
        let written = program.write(12_000, &tone);
        assert_eq!(written, Written { placed: 9_600, late: 0, refused: 0 });
        let mut line: Vec<StereoSample> = Vec::new();
        while line.len() < 24_000 {
            line.extend(blocks.recv_timeout(Duration::from_secs(5)).expect("the program goes on"));
        }
        let first = line.iter().position(|sample| sample[0] > 0.0).expect("a sound");
        assert_eq!(first + 3072, 12_000, "the look-ahead does not shift the program");
        assert_eq!(line.iter().filter(|sample| sample[0] > 0.0).count(), 9_600);
    }
}
