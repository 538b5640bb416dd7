//! The one owner of time: wall time for people and files, monotonic time for everything that waits, and schedule time
//! for everything that is announced or allowed by the hour.
//!
//! Stages take a [`Clock`] and never ask the system themselves, so that drills can step the wall clock and shorten the
//! waits of a schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A rehearsal's schedule: from `epoch` on it goes by `speed` times as fast as the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Wall time at which schedule time and wall time are the same.
    pub epoch: Timestamp,
    /// How many seconds of the schedule go by in one second; at least 1.
    pub speed: f64,
}

/// A moment that no step of the wall clock moves: seconds since the machine started, sleep included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootMark {
    /// Which start of the machine; marks of two starts cannot be compared.
    pub boot: String,
    /// Seconds since then.
    pub seconds: u64,
}

impl BootMark {
    /// How long before `later` this was; none if the machine has started anew in between, or time ran backwards.
    pub fn until(&self, later: &Self) -> Option<Duration> {
        (self.boot == later.boot).then(|| later.seconds.checked_sub(self.seconds).map(Duration::from_secs))?
    }
}

/// Gives wall, monotonic and schedule time. Clones share one time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Milliseconds that a test added to the wall clock; monotonic time never steps.
    wall_offset_ms: Arc<AtomicI64>,
    pace: Option<Pace>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// The machine's clock with a schedule of a rehearsal; an ordinary one without.
    pub fn paced(pace: Option<Pace>) -> Self {
        Self { pace: pace.filter(|pace| pace.speed >= 1.0 && pace.speed.is_finite()), ..Self::default() }
    }

    /// Wall time, in UTC. May step; never used to measure an interval.
    pub fn wall(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.wall_offset_ms.load(Ordering::Relaxed));
        Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// What announced times are compared with: wall time, but in a rehearsal that shortens the waits of its schedule.
    pub fn schedule(&self) -> Timestamp {
        let wall = self.wall();
        let Some(pace) = self.pace else { return wall };
        let since = wall.duration_since(pace.epoch).as_secs_f64() * pace.speed;
        SignedDuration::try_from_secs_f64(since)
            .ok()
            .and_then(|since| pace.epoch.checked_add(since).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// How long a stretch of the schedule really takes. Media, time-outs and pauses after faults are no schedule.
    pub fn real(&self, scheduled: Duration) -> Duration {
        self.pace.map_or(scheduled, |pace| scheduled.div_f64(pace.speed))
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The moment as the machine counts it; none where the system does not say which start of the machine this is.
    pub fn boot(&self) -> Option<BootMark> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Some(BootMark { boot: boot.trim().to_owned(), seconds: u64::try_from(since.tv_sec).ok()? })
    }

    /// Waits on the async runtime.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Steps the wall clock, as a drill does to show that nothing depends on it.
    pub fn step_wall(&self, milliseconds: i64) {
        self.wall_offset_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_wall_clock_leaves_monotonic_time_alone() {
        let clock = Clock::system();
        let (wall, mono) = (clock.wall(), clock.now());
        clock.step_wall(-3_600_000);
        assert!(clock.wall() < wall);
        assert!(clock.now() >= mono);
    }

    #[test]
    fn marks_of_one_boot_are_apart_by_true_time_and_those_of_two_boots_by_none() {
        let clock = Clock::system();
        let before = clock.boot().expect("Linux says which boot this is");
        clock.step_wall(3_600_000);
        let after = clock.boot().expect("a mark");
        assert!(before.until(&after).expect("the same boot") < Duration::from_secs(5));
        assert_eq!(after.until(&BootMark { boot: "another".into(), ..after.clone() }), None);
        let earlier = BootMark { seconds: after.seconds + 9, ..after.clone() };
        assert_eq!(earlier.until(&after), None);
    }

    #[test]
    fn a_rehearsals_schedule_runs_ahead_and_an_ordinary_one_is_the_wall_clock() {
        let epoch = Timestamp::now().checked_sub(SignedDuration::from_secs(60)).expect("a time");
        let clock = Clock::paced(Some(Pace { epoch, speed: 20.0 }));
        let ahead = clock.schedule().duration_since(epoch).as_secs();
        assert!((1200..1220).contains(&ahead), "{ahead}");
        assert_eq!(clock.real(Duration::from_secs(3600)), Duration::from_secs(180));
        let plain = Clock::paced(None);
        assert_eq!(plain.real(Duration::from_secs(3600)), Duration::from_secs(3600));
        assert!(plain.schedule().duration_since(Timestamp::now()).as_secs().abs() < 2);
        assert!(
            Clock::paced(Some(Pace { epoch, speed: 0.0 })).schedule() < plain.wall() + SignedDuration::from_secs(2)
        );
    }
}
