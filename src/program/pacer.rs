//! The pacing thread: reads the ring in real time and hands blocks on.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::level::{Level, LevelMeter};
use super::limiter::{LOOK_AHEAD, Limiter};
use super::{Consumer, ProgramSettings, Shared};
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE, StereoSample};

/// Eight frames at a time, 171 ms: every block wakes the encoder and every output, and a processor that was woken works
/// at half its pace at first. Measured with one, two and eight frames: see docs/performance.md.
const BLOCK: usize = 8 * AAC_FRAME_SAMPLES as usize;

/// When the thread is this late (the machine slept, or was starved), it does not catch up: outputs would get a burst
/// that platforms call faster than real time. Program time then simply stood still.
const TOO_LATE: Duration = Duration::from_secs(2);

/// Why the program cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the program cannot go on: {0}")]
pub struct PacerError(String);

/// What the pacing thread owns.
pub(super) struct Pacer {
    shared: Arc<Shared>,
    consumer: Consumer,
    limiter: Limiter,
    meter: LevelMeter,
    hold: Arc<[StereoSample]>,
    hold_position: usize,
    level: watch::Sender<Level>,
    failed: watch::Sender<Option<PacerError>>,
}

impl Pacer {
    pub(super) fn new(
        settings: &ProgramSettings,
        shared: Arc<Shared>,
        consumer: Consumer,
        level: watch::Sender<Level>,
        failed: watch::Sender<Option<PacerError>>,
    ) -> Self {
        Self {
            shared,
            consumer,
            limiter: Limiter::new(settings.gain_db, settings.limit_dbtp),
            meter: LevelMeter::default(),
            hold: settings.hold.clone(),
            hold_position: 0,
            level,
            failed,
        }
    }

    /// Runs until told to stop or the consumer fails.
    pub(super) fn run(mut self) {
        // The limiter delays by its look-ahead; it is fed that much earlier, so that program time stays true.
        let mut lead = vec![[0.0; 2]; LOOK_AHEAD];
        self.read(&mut lead);
        self.limiter.process(&mut lead);
        let mut block = vec![[0.0; 2]; BLOCK];
        let mut epoch = Instant::now();
        let mut handed_on = 0_u64;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let due = epoch + Duration::from_nanos(handed_on * 1_000_000_000 / u64::from(SAMPLE_RATE));
            let now = Instant::now();
            if let Some(wait) = due.checked_duration_since(now) {
                std::thread::sleep(wait);
            } else if now - due > TOO_LATE {
                tracing::warn!(
                    late_ms = (now - due).as_millis() as u64,
                    "The machine stood still; the program waited."
                );
                epoch += now - due;
            }
            if let Err(reason) = self.hand_on(&mut block) {
                tracing::error!(reason, "The program cannot go on.");
                self.failed.send_replace(Some(PacerError(reason)));
                return;
            }
            handed_on += BLOCK as u64;
        }
    }

    fn hand_on(&mut self, block: &mut [StereoSample]) -> Result<(), String> {
        let sounding = self.read(block);
        self.shared.holding.store(sounding == 0, Ordering::Relaxed);
        self.limiter.process(block);
        if let Some(level) = self.meter.add(block) {
            self.level.send_replace(level);
        }
        (self.consumer)(block)?;
        self.shared.position.fetch_add(BLOCK as u64, Ordering::Relaxed);
        Ok(())
    }

    fn read(&mut self, block: &mut [StereoSample]) -> usize {
        let (hold, position) = (&self.hold, &mut self.hold_position);
        let next = || match hold.get(*position) {
            Some(sample) => {
                *position = (*position + 1) % hold.len();
                *sample
            }
            None => [0.0; 2],
        };
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner).read(block, next)
    }
}
