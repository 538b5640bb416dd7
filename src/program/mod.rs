//! The program: one continuous 48 kHz stereo timeline that never ends, whatever its sources do.
//!
//! Sources' samples are written into a [`ring::Ring`]; one pacing thread reads it in real time, applies gain and
//! limiter, measures the level and hands every block to one consumer (the encoder). Program time is the count of
//! samples that were handed on. Nothing here waits for a source.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::media::{ProgramTime, SAMPLE_RATE, StereoSample};

mod follower;
pub mod layer;
pub mod level;
pub mod limiter;
mod line;
mod pacer;
pub mod placement;
pub mod ring;
pub mod stretch;

pub use layer::Layer;
pub use level::Level;
pub use pacer::PacerError;
pub use placement::{Edge, Move, Placement};
pub use ring::Written;
pub use stretch::Stretcher;

/// What the program is made with.
#[derive(Debug, Clone)]
pub struct ProgramSettings {
    /// Amplification before the limiter, in dB.
    pub gain_db: f64,
    /// True-peak ceiling, in dBTP.
    pub limit_dbtp: Option<f64>,
    /// Sounds again and again while there is no source; silence if empty.
    pub hold: Arc<[StereoSample]>,
    /// How far ahead of the air samples may be written.
    pub capacity_seconds: u32,
}

/// Takes every block of the program, on the pacing thread; an error ends the program.
pub type Consumer = Box<dyn FnMut(&[StereoSample]) -> Result<(), String> + Send>;

/// What the pacing thread and the writers share.
#[derive(Debug)]
struct Shared {
    ring: Mutex<ring::Ring>,
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
    failed: watch::Receiver<Option<PacerError>>,
    thread: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts the program at `first`; blocks of 8192 samples go to `consumer` from then on.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub fn start(settings: &ProgramSettings, first: ProgramTime, consumer: Consumer) -> std::io::Result<Self> {
        let capacity = (settings.capacity_seconds * SAMPLE_RATE) as usize;
        let shared = Arc::new(Shared {
            ring: Mutex::new(ring::Ring::new(capacity, first.samples())),
            position: AtomicU64::new(first.samples()),
            stop: AtomicBool::new(false),
            holding: AtomicBool::new(true),
            stood_still_ms: AtomicU64::new(0),
        });
        let (level_sender, level) = watch::channel(Level::default());
        let (failed_sender, failed) = watch::channel(None);
        let pacer = pacer::Pacer::new(settings, shared.clone(), consumer, level_sender, failed_sender);
        let thread = std::thread::Builder::new().name("program".to_owned()).spawn(move || pacer.run())?;
        Ok(Self { shared, level, failed, thread: Some(thread) })
    }

    /// Where the program stands: the next sample to be handed on.
    pub fn now(&self) -> ProgramTime {
        ProgramTime::from_samples(self.shared.position.load(Ordering::Relaxed))
    }

    /// Places samples of a source at program sample `at`.
    pub fn write(&self, at: i64, samples: &[StereoSample]) -> Written {
        self.ring(|ring| ring.write(at, samples))
    }

    /// Forgets what sources wrote from now on, but for the next 50 ms, so that other samples can go there.
    pub fn cut(&self) {
        self.ring(|ring| ring.truncate(ring.position() + u64::from(SAMPLE_RATE) / 20));
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

    /// The level, every 100 ms.
    pub fn level(&self) -> watch::Receiver<Level> {
        self.level.clone()
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
        let settings =
            ProgramSettings { gain_db: 0.0, limit_dbtp: Some(-1.0), hold: Arc::from([]), capacity_seconds: 10 };
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
