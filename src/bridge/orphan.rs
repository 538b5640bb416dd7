//! A bridge whose supervisor is gone: it keeps the show on the air, says so, and does not do so for ever.
//!
//! A parent that is killed must not take a show off the air, so the bridge lives on; the next `run` of the same show
//! takes it over. Nobody starts it again if it dies meanwhile, and nobody ends it but the show's own rules.

use std::time::{Duration, Instant};

use rustix::process::{Pid, getppid};

use crate::alert::Events;
use crate::clock::Clock;

/// How long an orphan carries its show until it suspends itself: longer than any space, shorter than for ever.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the parent lives. The kernel gives a child whose parent died to another one.
#[derive(Debug)]
pub(super) struct Lineage {
    clock: Clock,
    parent: Option<Pid>,
    orphaned_at: Option<Instant>,
}

impl Lineage {
    /// The parent that this process has now.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, parent: getppid(), orphaned_at: None }
    }

    /// Looks whether the parent is gone, and tells it once.
    pub(super) fn look(&mut self, events: &Events) {
        if self.see(getppid(), self.clock.now()) {
            let message =
                "The process that supervises the bridge is gone; the show goes on, but nobody would start it again";
            let remedy = "Run the same `spacebridge run` again: it takes the show over.";
            events.error("bridge.orphaned", "show", message, Some(remedy));
        }
    }

    /// Whether it is news that the parent is gone.
    fn see(&mut self, parent: Option<Pid>, now: Instant) -> bool {
        let news = self.orphaned_at.is_none() && parent != self.parent;
        if news {
            self.orphaned_at = Some(now);
        }
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
        let (parent, now) = (lineage.parent, Instant::now());
        assert!(!lineage.see(parent, now) && !lineage.is_orphaned());
        let adopted = Pid::from_raw(1).filter(|init| Some(*init) != parent);
        assert!(lineage.see(adopted, now) && !lineage.see(adopted, now));
        assert!(lineage.is_orphaned() && !lineage.is_abandoned());
        lineage.orphaned_at = now.checked_sub(ABANDONED);
        assert!(lineage.orphaned_at.is_none() || lineage.is_abandoned());
    }
}
