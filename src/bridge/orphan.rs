//! A bridge whose supervisor is gone: it keeps the show on the air, says so, and does not do so for ever.
//!
//! A parent that is killed must not take a show off the air, so the bridge lives on; a daemon that comes up again adopts
//! it, and the next `run` of the same show takes it over. Nobody starts it again if it dies meanwhile, and nobody ends it
//! but the show's own rules.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getppid};

use crate::alert::Events;
use crate::clock::Clock;

/// How long an orphan carries its show until it suspends itself: longer than any space, shorter than for ever.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the loss is not told: a daemon that is restarted or upgraded is back before that, and is no reason to wake
/// anybody.
const UNTOLD: Duration = Duration::from_secs(5);

/// Who would start this process again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guardian {
    /// The parent, or none in a container's first process.
    Parent(Option<Pid>),
    /// Another process, by its id and the moment of its start: ids are given again.
    Adopter { pid: u32, born: u64 },
}

impl Guardian {
    /// The kernel gives a child whose parent died to another one.
    fn is_gone(self) -> bool {
        match self {
            Self::Parent(parent) => getppid() != parent,
            Self::Adopter { pid, born } => birth_of(pid) != Some(born),
        }
    }
}

/// Who started this process, by its own word.
static STARTED_BY: OnceLock<u32> = OnceLock::new();

/// Says who started this process: it may be dead before the first look, and the kernel tells of the living alone.
pub fn started_by(pid: u32) {
    STARTED_BY.get_or_init(|| pid);
}

/// When a living process started, in ticks since the machine did; proc(5), fields 3 and 22 of `stat`.
fn birth_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, with whatever is in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// Whether the supervisor lives.
#[derive(Debug)]
pub(super) struct Lineage {
    clock: Clock,
    guardian: Guardian,
    orphaned_at: Option<Instant>,
    told: bool,
}

impl Lineage {
    /// The parent that started this process.
    pub(super) fn new(clock: Clock) -> Self {
        let said = STARTED_BY.get().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        Self { clock, guardian: Guardian::Parent(said.or(getppid())), orphaned_at: None, told: false }
    }

    /// Looks whether the supervisor is gone, and tells it once.
    pub(super) fn look(&mut self, events: &Events) {
        if self.see(self.guardian.is_gone(), self.clock.now()) {
            let message =
                "The process that supervises the bridge is gone; the show goes on, but nobody would start it again";
            let remedy =
                "Start `spacebridge serve` again, or run the same `spacebridge run` again: it takes the show over.";
            events.error("bridge.orphaned", "show", message, Some(remedy));
        }
    }

    /// From now on process `pid` supervises this one.
    ///
    /// # Errors
    /// In words, when there is no such process.
    pub(super) fn adopt(&mut self, pid: u32, events: &Events) -> Result<(), String> {
        let born = birth_of(pid).ok_or_else(|| format!("There is no process {pid}."))?;
        self.guardian = Guardian::Adopter { pid, born };
        if self.orphaned_at.take().is_some() {
            events.info("bridge.adopted", "show", format!("Process {pid} supervises the bridge from now on"));
        }
        self.told = false;
        Ok(())
    }

    /// Whether it has to be told now that the supervisor is gone.
    fn see(&mut self, gone: bool, now: Instant) -> bool {
        if !gone {
            return false;
        }
        let since = *self.orphaned_at.get_or_insert(now);
        let news = !self.told && now.saturating_duration_since(since) >= UNTOLD;
        self.told |= news;
        news
    }

    /// Whether nobody supervises this process.
    pub(super) fn is_orphaned(&self) -> bool {
        self.orphaned_at.is_some()
    }

    /// Whether nobody has for so long that the show is suspended.
    pub(super) fn is_abandoned(&self) -> bool {
        self.orphaned_at.is_some_and(|at| self.clock.now().saturating_duration_since(at) >= ABANDONED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_parent_is_told_once_and_the_show_is_not_carried_for_ever() {
        let mut lineage = Lineage::new(Clock::system());
        let now = Instant::now();
        assert!(!lineage.see(false, now) && !lineage.is_orphaned());
        assert!(!lineage.see(true, now) && lineage.is_orphaned(), "seen at once, told later");
        assert!(lineage.see(true, now + UNTOLD) && !lineage.see(true, now + 2 * UNTOLD), "told once");
        assert!(!lineage.is_abandoned());
        lineage.orphaned_at = now.checked_sub(ABANDONED);
        assert!(lineage.orphaned_at.is_none() || lineage.is_abandoned());
    }

    #[test]
    fn a_daemon_that_is_back_in_time_wakes_nobody_and_its_own_death_is_seen_again() {
        let (mut lineage, events) = (Lineage::new(Clock::system()), Events::new(Clock::system()));
        lineage.see(true, Instant::now());
        let mut adopter = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        lineage.adopt(adopter.id(), &events).unwrap();
        lineage.look(&events);
        assert!(!lineage.is_orphaned());
        adopter.kill().unwrap();
        // Not waited for yet: a process that is dead and not buried supervises nobody.
        let until = Instant::now() + Duration::from_secs(10);
        while !lineage.is_orphaned() {
            assert!(Instant::now() < until, "the adopter's death is not seen");
            lineage.look(&events);
            std::thread::yield_now();
        }
        let gone = adopter.id();
        adopter.wait().unwrap();
        assert!(lineage.adopt(gone, &events).is_err());
        let codes: Vec<_> = events.recent(9).into_iter().map(|event| event.code).collect();
        assert_eq!(codes, ["bridge.adopted"]);
    }
}
