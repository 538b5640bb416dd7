//! The pacing thread: reads the ring in real time and hands blocks on.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};

use super::level::{Level, LevelAt, LevelMeter, PERIOD};
use super::limiter::{LOOK_AHEAD, Limiter};
use super::{Consumer, ProgramSettings, Shared};
use crate::media::{AAC_FRAME_SAMPLES, ProgramTime, SAMPLE_RATE, StereoSample};

/// Eight frames at a time, 171 ms: every block wakes the encoder and every output, and a processor that was woken works
/// at half its pace at first. Measured with one, two and eight frames: see docs/performance.md.
pub const BLOCK_FRAMES: u32 = 8;

/// What a block has in a show that is to be early: two frames, 43 ms.
pub const EARLY_BLOCK_FRAMES: u32 = 2;

/// When the thread is this late (the machine slept, or was starved), it does not catch up: outputs would get a burst
/// that platforms call faster than real time, and that no output's queue holds. Program time then simply stood still:
/// what the outputs get goes on without a step. 2 s are at most twelve blocks in a row, as much as an output may hold.
const TOO_LATE: Duration = Duration::from_secs(2);

/// Why the program cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the program cannot go on: {0}")]
pub struct PacerError(String);

/// When which block is due. Pure: time is what passed since the program's start.
#[derive(Debug)]
struct Pace {
    /// Samples of a block.
    block: u64,
    /// Samples handed on.
    handed_on: u64,
    /// Time in which the program stood still.
    lost: Duration,
}

/// What a wake-up finds before a block is handed on.
#[derive(Debug, PartialEq, Eq)]
enum Wake {
    /// The block is due so much later.
    Early(Duration),
    /// It is due.
    Due,
    /// It was due so long ago that program time stood still for as long.
    StoodStill(Duration),
}

impl Pace {
    fn new(block: usize) -> Self {
        Self { block: block as u64, handed_on: 0, lost: Duration::ZERO }
    }

    /// Looks at the time before the next block. The caller waits if it is early, and hands the block on.
    fn on_wake(&mut self, now: Duration) -> Wake {
        let due = self.lost + Duration::from_nanos(self.handed_on * 1_000_000_000 / u64::from(SAMPLE_RATE));
        self.handed_on += self.block;
        if now < due {
            return Wake::Early(due - now);
        }
        let late = now - due;
        if late <= TOO_LATE {
            return Wake::Due;
        }
        self.lost += late;
        Wake::StoodStill(late)
    }
}

/// What the pacing thread owns.
pub(super) struct Pacer {
    shared: Arc<Shared>,
    consumer: Consumer,
    /// Samples of a block.
    block: usize,
    limiter: Limiter,
    meter: LevelMeter,
    hold: Arc<[StereoSample]>,
    hold_position: usize,
    level: watch::Sender<Level>,
    levels: broadcast::Sender<LevelAt>,
    failed: watch::Sender<Option<PacerError>>,
}

impl Pacer {
    pub(super) fn new(
        settings: &ProgramSettings,
        shared: Arc<Shared>,
        consumer: Consumer,
        (level, levels): (watch::Sender<Level>, broadcast::Sender<LevelAt>),
        failed: watch::Sender<Option<PacerError>>,
    ) -> Self {
        Self {
            shared,
            consumer,
            block: settings.block_frames.max(1) as usize * AAC_FRAME_SAMPLES as usize,
            limiter: Limiter::new(settings.gain_db, settings.limit_dbtp),
            meter: LevelMeter::default(),
            hold: settings.hold.clone(),
            hold_position: 0,
            level,
            levels,
            failed,
        }
    }

    /// Runs until told to stop or the consumer fails.
    pub(super) fn run(mut self) {
        // The limiter delays by its look-ahead; it is fed that much earlier, so that program time stays true.
        let mut lead = vec![[0.0; 2]; LOOK_AHEAD];
        self.read(&mut lead);
        self.limiter.process(&mut lead);
        let mut block = vec![[0.0; 2]; self.block];
        let start = Instant::now();
        let mut pace = Pace::new(self.block);
        while !self.shared.stop.load(Ordering::Relaxed) {
            match pace.on_wake(start.elapsed()) {
                Wake::Early(wait) => std::thread::sleep(wait),
                Wake::Due => {}
                Wake::StoodStill(late) => {
                    let late_ms = late.as_millis() as u64;
                    self.shared.stood_still_ms.fetch_add(late_ms, Ordering::Relaxed);
                    tracing::warn!(late_ms, "The machine stood still; the program waited.");
                }
            }
            if let Err(reason) = self.hand_on(&mut block) {
                tracing::error!(reason, "The program cannot go on.");
                self.failed.send_replace(Some(PacerError(reason)));
                return;
            }
        }
    }

    fn hand_on(&mut self, block: &mut [StereoSample]) -> Result<(), String> {
        let sounding = self.read(block);
        self.shared.holding.store(sounding == 0, Ordering::Relaxed);
        self.limiter.process(block);
        self.measure(block);
        (self.consumer)(block)?;
        self.shared.position.fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn measure(&mut self, block: &[StereoSample]) {
        let mut until = self.shared.position.load(Ordering::Relaxed);
        for piece in block.chunks(PERIOD) {
            until += piece.len() as u64;
            if let Some(level) = self.meter.add(piece) {
                self.level.send_replace(level);
                // Without anybody who looks at a meter nobody receives, which is fine.
                drop(self.levels.send(LevelAt { until: ProgramTime::from_samples(until), level }));
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = (BLOCK_FRAMES as u64 * AAC_FRAME_SAMPLES) as usize;

    /// Wakes up whenever told, from `start` until early: how many blocks were handed on at once, and for how long the
    /// program stood still.
    fn wake(pace: &mut Pace, now: Duration) -> (u32, Duration) {
        let (mut blocks, mut still) = (0, Duration::ZERO);
        loop {
            match pace.on_wake(now) {
                Wake::Early(_) => return (blocks, still),
                Wake::Due => {}
                Wake::StoodStill(late) => still += late,
            }
            blocks += 1;
        }
    }

    #[test]
    fn a_late_program_catches_up_a_little_and_skips_what_is_more() {
        let ms = Duration::from_millis;
        // Late by, blocks at once at most, stands still for.
        for (late, most, still) in
            [(0, 1, 0), (100, 1, 0), (1_000, 6, 0), (1_999, 12, 0), (2_001, 1, 2_001), (30_000, 1, 30_000)]
        {
            let mut pace = Pace::new(BLOCK);
            assert_eq!(wake(&mut pace, ms(0)), (1, ms(0)));
            let due = Duration::from_nanos(BLOCK as u64 * 2 * 1_000_000_000 / u64::from(SAMPLE_RATE));
            let (blocks, stood) = wake(&mut pace, due + ms(late));
            assert!(blocks <= most, "{late} ms late: {blocks} blocks at once");
            assert_eq!(stood, ms(still), "{late} ms late");
        }
    }

    #[test]
    fn after_a_suspension_the_program_runs_at_its_pace_again() {
        let mut pace = Pace::new(BLOCK);
        let (mut now, mut blocks, mut still) = (Duration::ZERO, 0, 0);
        for step in 0..1_000_u64 {
            if step == 500 {
                now += Duration::from_secs(30);
            }
            match pace.on_wake(now) {
                Wake::Early(wait) => now += wait,
                Wake::Due => {}
                Wake::StoodStill(_) => still += 1,
            }
            blocks += 1;
        }
        let program = Duration::from_nanos(blocks * BLOCK as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE));
        let behind = now - Duration::from_secs(30);
        assert_eq!(still, 1);
        assert!(program.abs_diff(behind) < Duration::from_millis(400), "{program:?} in {behind:?}");
    }
}
