//! The show's watchdog: a thread of its own that ends the process when the program or the show's loop stands still.
//!
//! What stands still cannot mend itself, and a mirror that gets nothing is off the air; a new process resumes the show
//! within seconds. It looks at counters only, and never waits for anything that it watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::obituary;
use super::state_folder::StateFolder;
use crate::alert::Events;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// The program hands a block on every 171 ms, and its own answer to a machine that stood still comes after 2 s.
const PROGRAM_STILL: Duration = Duration::from_secs(3);

/// The show's loop beats four times a second. What it does between two beats is bounded well below this.
const LOOP_STILL: Duration = Duration::from_secs(10);

/// How long the last word may take to be told: the disk that takes it may be what hangs.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How far the program has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Samples handed on.
    pub(super) handed_on: u64,
    /// Access units that came out of the encoder.
    pub(super) encoded: u64,
}

/// The beat of the show's loop.
#[derive(Debug, Default)]
pub(super) struct Heart {
    beats: AtomicU64,
    watched: AtomicBool,
}

impl Heart {
    /// The loop goes on. The first beat begins the watch.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.watched.store(true, Ordering::Relaxed);
    }

    /// The loop is left for work that may take long, such as the final files: nothing is expected until the next beat.
    pub(super) fn rest(&self) {
        self.watched.store(false, Ordering::Relaxed);
    }
}

/// A counter that has to move.
#[derive(Debug)]
struct Counter {
    last: u64,
    still: Duration,
    limit: Duration,
}

impl Counter {
    fn new(last: u64, limit: Duration) -> Self {
        Self { last, still: Duration::ZERO, limit }
    }

    /// Whether it stands still for too long, `watched` after the last look.
    fn is_frozen(&mut self, now: u64, watched: Duration) -> bool {
        if now == self.last {
            self.still += watched;
        } else {
            (self.last, self.still) = (now, Duration::ZERO);
        }
        self.still >= self.limit
    }
}

/// Decides, from what it sees at each look. Only time in which it ran itself counts: a machine that slept, or a process
/// that was stopped, has frozen nothing.
#[derive(Debug)]
struct Watch {
    handed_on: Counter,
    encoded: Counter,
    beats: Counter,
}

impl Watch {
    fn new(progress: Progress) -> Self {
        Self {
            handed_on: Counter::new(progress.handed_on, PROGRAM_STILL),
            encoded: Counter::new(progress.encoded, PROGRAM_STILL),
            beats: Counter::new(0, LOOP_STILL),
        }
    }

    /// What is frozen, in words. `beats` is none while the loop rests.
    fn look(&mut self, progress: Progress, beats: Option<u64>, since_last: Duration) -> Option<&'static str> {
        let watched = since_last.min(2 * LOOK);
        let beats_frozen = match beats {
            Some(beats) => self.beats.is_frozen(beats, watched),
            None => {
                self.beats.still = Duration::ZERO;
                false
            }
        };
        let handed_on = self.handed_on.is_frozen(progress.handed_on, watched);
        let encoded = self.encoded.is_frozen(progress.encoded, watched);
        match (handed_on, encoded, beats_frozen) {
            (true, _, _) => Some("its program stood still for 3 s"),
            (_, true, _) => Some("its sound encoder stood still for 3 s"),
            (_, _, true) => Some("its show did nothing for 10 s"),
            _ => None,
        }
    }
}

/// The running watchdog. Dropping it ends the watch.
#[derive(Debug)]
pub(super) struct Watchdog {
    heart: Arc<Heart>,
    _stop: Sender<()>,
}

impl Watchdog {
    /// Watches from now on, until it is dropped or `progress` gives nothing any more.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub(super) fn start(
        progress: impl Fn() -> Option<Progress> + Send + 'static,
        folder: StateFolder,
        events: Events,
    ) -> std::io::Result<Self> {
        let (heart, (stop, stopped)) = (Arc::new(Heart::default()), channel::<()>());
        let watched = heart.clone();
        let body = move || {
            let Some(first) = progress() else { return };
            let (mut watch, mut last) = (Watch::new(first), Instant::now());
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let Some(now) = progress() else { return };
                let beats = watched.watched.load(Ordering::Relaxed).then(|| watched.beats.load(Ordering::Relaxed));
                if let Some(frozen) = watch.look(now, beats, last.elapsed()) {
                    end_the_process(frozen, folder, events);
                }
                last = Instant::now();
            }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(body)?;
        Ok(Self { heart, _stop: stop })
    }

    /// What the show's loop has to beat.
    pub(super) fn heart(&self) -> &Heart {
        &self.heart
    }
}

/// Tells why, for a moment, and ends the process whatever its other threads hold.
fn end_the_process(frozen: &'static str, folder: StateFolder, events: Events) -> ! {
    let (told, hears) = channel();
    let tell = move || {
        obituary::leave(&folder, true, frozen);
        tracing::error!(frozen, "The process ends, so that its supervisor starts it again.");
        events.error("bridge.frozen", "show", format!("The bridge ends itself, for {frozen}"), None);
        told.send(()).ok();
    };
    // Without a thread, without a word.
    if std::thread::Builder::new().spawn(tell).is_ok() && hears.recv_timeout(LAST_WORD).is_err() {
        // What should have told it hangs as well.
    }
    // Not an orderly exit: that would run what libraries registered for it, beside threads that hang.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(handed_on: u64, encoded: u64) -> Progress {
        Progress { handed_on, encoded }
    }

    /// Looks every half second; the seconds after which something is frozen, and what.
    fn run(mut see: impl FnMut(u64) -> (Progress, Option<u64>)) -> Option<(f64, &'static str)> {
        let mut watch = Watch::new(progress(0, 0));
        (1..=60).find_map(|look| {
            let (progress, beats) = see(look);
            watch.look(progress, beats, LOOK).map(|frozen| (look as f64 / 2.0, frozen))
        })
    }

    #[test]
    fn a_program_that_stands_still_is_seen_after_three_seconds_and_a_loop_after_ten() {
        assert_eq!(run(|n| (progress(n, n), Some(n))), None);
        assert_eq!(run(|n| (progress(7, n), Some(n))), Some((3.5, "its program stood still for 3 s")));
        assert_eq!(run(|n| (progress(n, 7), Some(n))), Some((3.5, "its sound encoder stood still for 3 s")));
        assert_eq!(run(|n| (progress(n, n), Some(7))), Some((10.5, "its show did nothing for 10 s")));
        // A block now and then is a starved machine, not a frozen program.
        assert_eq!(run(|n| (progress(n / 5, n / 5), Some(n / 19))), None);
    }

    #[test]
    fn a_loop_that_rests_for_its_final_files_is_not_frozen() {
        assert_eq!(run(|n| (progress(n, n), (n < 10).then_some(n))), None);
    }

    #[test]
    fn a_machine_that_slept_has_frozen_nothing() {
        let mut watch = Watch::new(progress(0, 0));
        for _ in 0..2 {
            assert_eq!(watch.look(progress(5, 5), Some(5), Duration::from_secs(3600)), None);
        }
        assert_eq!(watch.look(progress(6, 6), Some(6), LOOK), None);
    }
}
