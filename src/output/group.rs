//! The common timestamp zero of outputs that carry the same: a platform's primary and backup.
//!
//! Members that start together join at the same grid point, so that both carry identical bytes. Nobody waits longer
//! than [`PATIENCE`] for the others, and nobody for one that is not connecting. A member that comes back keeps the zero, so that its bytes agree with the other's
//! again; when all are gone, the next join begins at zero.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::media::{ProgramTime, SAMPLE_RATE};

/// Program samples that a ready member waits for the others: 3 s, longer than any healthy server needs to accept.
const PATIENCE: u64 = 3 * SAMPLE_RATE as u64;

/// A join lies this many program samples (0.5 s) ahead, so that no member has passed it when another decides.
const MARGIN: u64 = SAMPLE_RATE as u64 / 2;

/// Outputs that share one timestamp zero. Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct OutputGroup {
    state: Arc<Mutex<GroupState>>,
}

#[derive(Debug, Default)]
struct GroupState {
    next_id: u32,
    /// Members that connect or are connected.
    trying: BTreeSet<u32>,
    ready: BTreeSet<u32>,
    first_ready: Option<ProgramTime>,
    zero: Option<ProgramTime>,
}

/// Where a connection enters the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Join {
    /// Program time of the first picture: a grid point.
    pub(super) at: ProgramTime,
    /// Program time of timestamp zero: the same or an earlier grid point.
    pub(super) zero: ProgramTime,
}

/// One output's place in its group. Dropping it takes the output out.
#[derive(Debug)]
pub(super) struct Member {
    group: OutputGroup,
    id: u32,
}

impl OutputGroup {
    /// A group that has no members yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn enter(&self) -> Member {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        Member { group: self.clone(), id }
    }

    fn lock(&self) -> MutexGuard<'_, GroupState> {
        // Plain data: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Says that this member begins to connect: the others may wait for it.
    pub(super) fn connecting(&self) {
        self.group.lock().trying.insert(self.id);
    }

    /// Says that this member could send now, and asks where to join. None: wait for the others, and ask again.
    pub(super) fn ready(&self, now: ProgramTime) -> Option<Join> {
        let mut state = self.group.lock();
        state.ready.insert(self.id);
        if let Some(zero) = state.zero {
            return Some(Join { at: now.grid_ceil().max(zero), zero });
        }
        let first = *state.first_ready.get_or_insert(now);
        if state.ready.len() < state.trying.len() && now.since(first) < PATIENCE {
            return None;
        }
        let margin = if state.trying.len() > 1 { MARGIN } else { 0 };
        let zero = now.plus(margin).grid_ceil();
        state.zero = Some(zero);
        Some(Join { at: zero, zero })
    }

    /// Says that this member's connection is over.
    pub(super) fn leave(&self) {
        let mut state = self.group.lock();
        state.ready.remove(&self.id);
        state.trying.remove(&self.id);
        if state.ready.is_empty() {
            (state.zero, state.first_ready) = (None, None);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> ProgramTime {
        ProgramTime::from_samples((seconds * 48_000.0) as u64)
    }

    fn connecting(group: &OutputGroup) -> Member {
        let member = group.enter();
        member.connecting();
        member
    }

    #[test]
    fn members_that_start_together_join_at_one_grid_point_with_one_zero() {
        let group = OutputGroup::new();
        let (primary, backup) = (connecting(&group), connecting(&group));
        assert_eq!(primary.ready(at(10.1)), None);
        let join = Join { at: at(12.0), zero: at(12.0) };
        assert_eq!(backup.ready(at(11.2)), Some(join));
        assert_eq!(primary.ready(at(11.21)), Some(join));
    }

    #[test]
    fn a_member_passed_by_the_margin_joins_a_grid_point_later_with_the_same_zero() {
        let group = OutputGroup::new();
        let (primary, backup) = (connecting(&group), connecting(&group));
        assert_eq!(primary.ready(at(10.1)), None);
        assert_eq!(backup.ready(at(11.7)), Some(Join { at: at(14.0), zero: at(14.0) }));
        assert_eq!(primary.ready(at(11.7)), Some(Join { at: at(14.0), zero: at(14.0) }));
    }

    #[test]
    fn a_dead_backup_holds_the_primary_for_seconds_only_and_joins_its_zero_later() {
        let group = OutputGroup::new();
        let (primary, backup) = (connecting(&group), connecting(&group));
        assert_eq!(primary.ready(at(1.0)), None);
        assert_eq!(primary.ready(at(4.0)), Some(Join { at: at(6.0), zero: at(6.0) }));
        assert_eq!(backup.ready(at(100.5)), Some(Join { at: at(102.0), zero: at(6.0) }));
        backup.leave();
        backup.connecting();
        assert_eq!(backup.ready(at(200.5)), Some(Join { at: at(202.0), zero: at(6.0) }));
    }

    #[test]
    fn a_member_that_waits_for_its_next_attempt_holds_nobody() {
        let group = OutputGroup::new();
        let (primary, backup) = (connecting(&group), connecting(&group));
        backup.leave();
        assert_eq!(primary.ready(at(1.0)), Some(Join { at: at(2.0), zero: at(2.0) }));
    }

    #[test]
    fn a_zero_is_forgotten_when_every_member_is_gone() {
        let group = OutputGroup::new();
        let only = connecting(&group);
        assert_eq!(only.ready(at(0.5)), Some(Join { at: at(2.0), zero: at(2.0) }));
        only.leave();
        only.connecting();
        assert_eq!(only.ready(at(60.0)), Some(Join { at: at(60.0), zero: at(60.0) }));
    }
}
