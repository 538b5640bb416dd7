//! Whether the seat is still ours: when to look, and what the answers come to. Pure.
//!
//! One look at a time, beside the sound and never in its way: X takes longer to answer than sound may wait.

use super::guest::Standing;

/// Looks in a row that do not find the seat before it is gone.
const MISSES: u32 = 2;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Whether X ever knew the seat. One who sat down without asking may never have been listed.
    seen: bool,
    /// Looks in a row that did not find it.
    missed: u32,
    /// Whether the chat said that it was taken away, and nobody has looked since.
    doubted: bool,
    /// Whether a look is on its way, and whether it was the chat that asked for it.
    under_way: Option<bool>,
}

impl Looks {
    /// The chat says that the seat was taken away. Its word alone takes nothing: strangers write there.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Whether to look now; the answer is owed to [`Self::answered`].
    pub(super) fn begin(&mut self) -> bool {
        if self.under_way.is_some() {
            return false;
        }
        self.under_way = Some(std::mem::take(&mut self.doubted));
        true
    }

    /// Whether the chat's word came after the last look began, so that the next one cannot wait.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Takes the answer, none where X did not say in time; tells whether the seat is gone.
    pub(super) fn answered(&mut self, standing: Option<Standing>) -> bool {
        let by_chat = self.under_way.take().unwrap_or_default();
        self.note(standing);
        let is_missed = standing == Some(Standing::Unknown);
        self.missed = if is_missed { self.missed + 1 } else { 0 };
        is_missed && (by_chat || (self.seen && self.missed >= MISSES))
    }

    /// Takes an answer that nobody counts.
    pub(super) fn note(&mut self, standing: Option<Standing>) {
        self.seen |= standing.is_some_and(|standing| standing != Standing::Unknown);
    }

    /// Whether X ever knew the seat.
    pub(super) fn was_seen(&self) -> bool {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once and gets `standing`.
    fn look(looks: &mut Looks, standing: Option<Standing>) -> bool {
        assert!(looks.begin());
        looks.answered(standing)
    }

    #[test]
    fn a_seat_is_gone_when_x_does_not_find_it_twice_or_the_chat_said_so_before() {
        use Standing::{OnStage, Unknown};
        let mut looks = Looks::default();
        for standing in [Some(Unknown), Some(Unknown), Some(Unknown), Some(OnStage), Some(Unknown), None, Some(Unknown)]
        {
            assert!(!look(&mut looks, standing), "{standing:?}");
        }
        assert!(look(&mut looks, Some(Unknown)));
        let mut looks = Looks::default();
        looks.doubt();
        assert!(!look(&mut looks, Some(OnStage)), "a stranger's word");
        assert!(!look(&mut looks, Some(Unknown)), "it is not believed later either");
        looks.doubt();
        assert!(look(&mut looks, Some(Unknown)));
    }

    #[test]
    fn a_look_that_began_before_the_chat_spoke_does_not_answer_it_and_a_flood_asks_one_at_a_time() {
        let mut looks = Looks::default();
        assert!(looks.begin());
        for _ in 0..100 {
            looks.doubt();
            assert!(!looks.begin());
        }
        assert!(!looks.answered(Some(Standing::Unknown)) && looks.is_doubted());
        assert!(looks.begin() && !looks.is_doubted());
        assert!(looks.answered(Some(Standing::Unknown)));
    }
}
