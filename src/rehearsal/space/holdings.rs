//! What the platform lists of a space's past: how late, and with which holes. Pure: time is a parameter.

use std::collections::BTreeSet;

use super::control::PastRule;
use super::script::Chunk;

/// The list of everything so far, and the replay.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holdings {
    lag_ms: u64,
    while_live: bool,
    /// Whether the list is where the master says.
    pub(super) transcoded: bool,
    made_after_ms: u64,
    after_end: bool,
    lacks: BTreeSet<u64>,
}

impl Default for Holdings {
    fn default() -> Self {
        Self {
            lag_ms: 0,
            while_live: true,
            transcoded: true,
            made_after_ms: 0,
            after_end: true,
            lacks: BTreeSet::new(),
        }
    }
}

impl Holdings {
    /// All there is, late by so many seconds while the space is running.
    pub(super) fn lagging(seconds: u32) -> Self {
        Self { lag_ms: u64::from(seconds) * 1000, ..Self::default() }
    }

    pub(super) fn obey(&mut self, rule: PastRule) {
        let ms = |seconds: u32| u64::from(seconds) * 1000;
        self.lag_ms = rule.lag_seconds.map_or(self.lag_ms, ms);
        self.while_live = rule.while_live.unwrap_or(self.while_live);
        self.transcoded = rule.transcoded.unwrap_or(self.transcoded);
        self.made_after_ms = rule.made_after_seconds.map_or(self.made_after_ms, ms);
        self.after_end = rule.after_end.unwrap_or(self.after_end);
        if let Some(lacks) = rule.lacks {
            self.lacks = lacks.into_iter().collect();
        }
    }

    /// Whether there is a master; `over_ms` is how long the space has been over.
    pub(super) fn has_master(&self, over_ms: Option<u64>) -> bool {
        over_ms.is_none_or(|over| self.after_end && over >= self.made_after_ms)
    }

    /// What of `history` is listed at `now_ms`; none if there is no list.
    pub(super) fn list(&self, history: Vec<Chunk>, now_ms: u64, over_ms: Option<u64>) -> Option<Vec<Chunk>> {
        if !self.has_master(over_ms) || (over_ms.is_none() && !self.while_live) {
            return None;
        }
        let until = if over_ms.is_some() { now_ms } else { now_ms.checked_sub(self.lag_ms)? };
        let is_listed = |chunk: &Chunk| chunk.listed_ms <= until && !self.lacks.contains(&chunk.sequence);
        Some(history.into_iter().filter(is_listed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::SoundFormat;
    use super::super::script::{Script, SpaceState};
    use super::*;

    fn numbers(holdings: &Holdings, now_ms: u64, over_ms: Option<u64>) -> Option<Vec<u64>> {
        let mut script = Script::new(SpaceState::Running, 0, 0, SoundFormat::default());
        let listed = holdings.list(script.history(now_ms), now_ms, over_ms)?;
        Some(listed.iter().map(|chunk| chunk.sequence).collect())
    }

    #[test]
    fn a_list_lags_while_the_space_runs_and_not_afterwards() {
        let mut holdings = Holdings::lagging(9);
        assert_eq!(numbers(&holdings, 8_000, None), None);
        assert_eq!(numbers(&holdings, 16_000, None), Some(vec![0, 1]));
        assert_eq!(numbers(&holdings, 16_000, Some(0)), Some(vec![0, 1, 2, 3, 4]));
        holdings.obey(PastRule { lag_seconds: Some(0), lacks: Some(vec![1, 3]), ..PastRule::default() });
        assert_eq!(numbers(&holdings, 16_000, None), Some(vec![0, 2, 4]));
    }

    #[test]
    fn a_replay_takes_its_time_or_never_comes() {
        let mut holdings = Holdings::default();
        holdings.obey(PastRule { made_after_seconds: Some(60), while_live: Some(false), ..PastRule::default() });
        assert_eq!((numbers(&holdings, 9_000, None), holdings.has_master(None)), (None, true));
        assert_eq!((numbers(&holdings, 9_000, Some(59_999)), holdings.has_master(Some(59_999))), (None, false));
        assert!(numbers(&holdings, 9_000, Some(60_000)).is_some());
        holdings.obey(PastRule { after_end: Some(false), ..PastRule::default() });
        assert_eq!(numbers(&holdings, 9_000, Some(60_000)), None);
    }
}
