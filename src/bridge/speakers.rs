//! Who is on stage and how loud, from the facts inside segments: the only word on who speaks that a listener gets.

use crate::source::SegmentFact;
use crate::status::SpeakerStatus;
use crate::text;

/// People shown at most; a space has some dozen on stage.
const MOST: usize = 32;

/// The last word on who is on stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Speakers {
    names: Vec<String>,
    levels: Vec<u32>,
}

impl Speakers {
    /// Takes the facts of one segment, in order.
    pub(super) fn on_facts(&mut self, facts: &[SegmentFact]) {
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

    /// Everybody on stage: the host first, whose level comes first and who is not among the participants.
    pub(super) fn now(&self) -> Vec<SpeakerStatus> {
        let names = std::iter::once("host".to_owned()).chain(self.names.iter().cloned());
        names.zip(&self.levels).map(|(name, level)| SpeakerStatus { name, level: *level }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
