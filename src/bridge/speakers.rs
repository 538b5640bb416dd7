//! Who is on stage and how loud: from the room itself where we sit in it, else from the facts inside segments, the only
//! word on who speaks that a listener gets.

use crate::source::{SegmentFact, Speaker};
use crate::status::SpeakerStatus;
use crate::text;

/// People shown at most; a space has some dozen on stage.
const MOST: usize = 32;

/// The level of somebody who talks, where the room says no more than that.
const TALKING: u32 = 20;

/// The last word on who is on stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Speakers {
    names: Vec<String>,
    levels: Vec<u32>,
    /// What the room said, if it has spoken since the last facts.
    room: Option<Vec<SpeakerStatus>>,
}

impl Speakers {
    /// Takes the facts of one segment, in order.
    pub(super) fn on_facts(&mut self, facts: &[SegmentFact]) {
        if !facts.is_empty() {
            self.room = None;
        }
        for fact in facts {
            match fact {
                SegmentFact::Participants { names, .. } => {
                    self.names = names.iter().take(MOST).map(|name| text::plain(name, 40)).collect();
                }
                SegmentFact::AudioLevels { levels, .. } => self.levels = levels.iter().copied().take(MOST).collect(),
                SegmentFact::NtpTime { .. } => {}
            }
        }
    }

    /// Takes the room's word.
    pub(super) fn on_room(&mut self, speakers: &[Speaker]) {
        let status = |speaker: &Speaker| SpeakerStatus {
            name: text::plain(&speaker.name, 40),
            level: if speaker.talking { TALKING } else { 0 },
            muted: speaker.muted,
        };
        self.room = Some(speakers.iter().take(MOST).map(status).collect());
    }

    /// Everybody on stage: the host first, whose level comes first and who is not among the participants.
    pub(super) fn now(&self) -> Vec<SpeakerStatus> {
        if let Some(room) = &self.room {
            return room.clone();
        }
        let names = std::iter::once("host".to_owned()).chain(self.names.iter().cloned());
        names.zip(&self.levels).map(|(name, level)| SpeakerStatus { name, level: *level, muted: None }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rooms_word_stands_until_facts_come_from_elsewhere() {
        let mut speakers = Speakers::default();
        let one = |name: &str, talking| Speaker { id: "1".into(), name: name.into(), muted: None, talking };
        speakers.on_room(&[one("ann\u{202e}", true), one("bob", false)]);
        let status = |name: &str, level| SpeakerStatus { name: name.into(), level, muted: None };
        assert_eq!(speakers.now(), [status("ann", TALKING), status("bob", 0)]);
        speakers.on_facts(&[]);
        assert_eq!(speakers.now().len(), 2);
        speakers.on_facts(&[SegmentFact::AudioLevels { offset: 0, levels: vec![9] }]);
        assert_eq!(speakers.now(), [status("host", 9)]);
        speakers.on_room(&[]);
        assert_eq!(speakers.now(), []);
    }

    #[test]
    fn levels_belong_to_the_host_and_then_to_the_participants() {
        let mut speakers = Speakers::default();
        speakers.on_facts(&[
            SegmentFact::Participants { offset: 0, names: vec!["ann".into(), "bo\u{1b}[31mb".into()] },
            SegmentFact::AudioLevels { offset: 0, levels: vec![12, 0, 30] },
        ]);
        let now: Vec<(String, u32)> = speakers.now().into_iter().map(|s| (s.name, s.level)).collect();
        assert_eq!(now[0], ("host".to_owned(), 12));
        assert_eq!(now[1], ("ann".to_owned(), 0));
        assert!(!now[2].0.contains('\u{1b}'));
    }
}
