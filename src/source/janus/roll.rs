//! Whether everybody is known who publishes: asked when some of the gateway's news may have been lost. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::videoroom::{Videoroom, name_of};
use crate::source::SourceError;

/// The list may overtake the news of somebody; they are here by then.
const AGAIN: Duration = Duration::from_secs(2);

/// A roll call.
#[derive(Debug, Default)]
pub(super) struct Roll {
    due: Option<Instant>,
    /// Whether an answer is owed.
    asked: bool,
    /// Who was listed and not known.
    missing: BTreeSet<String>,
}

impl Roll {
    /// News may have been lost before `now`.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self { due: Some(now), ..Self::default() };
    }

    /// Whether to ask who is there.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        self.asked |= is_due;
        is_due
    }

    /// Whether a refusal was the answer: not every gateway tells who is there.
    pub(super) fn is_refused(&mut self) -> bool {
        std::mem::take(self).asked
    }

    /// Takes what the gateway says to the watching handle.
    ///
    /// # Errors
    /// When somebody publishes whose coming was never told.
    pub(super) fn on_room(&mut self, data: &Value, room: &Videoroom, now: Instant) -> Result<(), SourceError> {
        let Some(participants) = data["participants"].as_array() else { return Ok(()) };
        self.asked = false;
        let publishers = participants.iter().filter(|participant| participant["publisher"] == true);
        let names = publishers.filter_map(|publisher| name_of(&publisher["id"]));
        let unknown: BTreeSet<String> = names.filter(|name| !room.was_told_of(name)).collect();
        if !unknown.is_disjoint(&self.missing) {
            return Err(SourceError::transient("the gateway's news of a speaker were lost"));
        }
        self.due = (!unknown.is_empty()).then_some(now + AGAIN);
        self.missing = unknown;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_speaker_whose_coming_was_lost_is_missed_and_one_whose_news_is_late_is_not() {
        let now = Instant::now();
        let later = now + AGAIN;
        let list = |ids: &[u64]| {
            let one = |id: &u64| json!({"id": id, "publisher": *id < 10});
            json!({"videoroom": "participants", "participants": ids.iter().map(one).collect::<Vec<_>>()})
        };
        let comes = |id: u64, kind: &str| json!({"publishers": [{"id": id, "streams": [{"type": kind, "mid": "0"}]}]});
        let mut room = Videoroom::new("1", None);
        room.on_room(&comes(1, "audio")).expect("a room");
        room.on_room(&comes(2, "video")).expect("a room");
        let mut roll = Roll::default();
        assert!(!roll.is_due(later));
        roll.begin(now);
        assert!(roll.is_due(now) && !roll.is_due(later), "once");
        roll.on_room(&list(&[1, 2, 77]), &room, now).expect("all known, and one who listens");
        assert!(!roll.is_due(later) && !roll.is_refused());
        roll.begin(now);
        assert!(roll.is_due(now));
        roll.on_room(&list(&[1, 3]), &room, now).expect("the third may be on the way");
        assert!(!roll.is_due(now) && roll.is_due(later));
        room.on_room(&comes(3, "audio")).expect("a room");
        roll.on_room(&list(&[1, 3, 4]), &room, later).expect("the third was, the fourth may be");
        assert!(roll.is_due(later + AGAIN));
        roll.on_room(&list(&[1, 4]), &room, later).expect_err("the fourth is lost");
        roll.begin(now);
        assert!(roll.is_due(now) && roll.is_refused() && !roll.is_refused());
    }
}
