//! Who talks from when on, where the sound itself tells it, on its way to the recording.

use std::collections::BTreeSet;

use super::Archive;
use crate::recording::TalkingFact;
use crate::source::Speaker;

/// Changes that are kept at most: a day of lively talk has some thirty thousand.
const MOST: u32 = 50_000;

/// Those of one moment that are kept at most.
const MOST_AT_ONCE: usize = 64;

/// Who talked when it was looked last.
#[derive(Debug, Default)]
pub(super) struct Talking {
    now: BTreeSet<String>,
    told: u32,
}

impl Talking {
    /// The names of those who talk, if these are others than before.
    fn change(&mut self, speakers: &[Speaker]) -> Option<Vec<String>> {
        let talking = speakers.iter().filter(|speaker| speaker.talking).take(MOST_AT_ONCE);
        let now: BTreeSet<String> = talking.map(|speaker| speaker.name.clone()).collect();
        if now == self.now || self.told >= MOST {
            return None;
        }
        self.told += 1;
        self.now.clone_from(&now);
        Some(now.into_iter().collect())
    }
}

impl Archive {
    /// These are in the session now; nobody when its sound is over for now.
    pub(super) fn talking(&self, speakers: &[Speaker]) {
        let Some(recording) = &self.recording else { return };
        let mut shared = self.shared();
        if let Some(names) = shared.talking.change(speakers) {
            let (session, media_time) = (shared.session.session.clone(), shared.stream.heard);
            recording.talking(TalkingFact { session, media_time, names });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_kept_and_no_end_of_them() {
        let one = |name: &str, talking| Speaker { id: name.to_owned(), name: name.to_owned(), muted: None, talking };
        let mut talking = Talking::default();
        assert_eq!(talking.change(&[one("b", false)]), None);
        assert_eq!(talking.change(&[one("b", true), one("a", true)]), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(talking.change(&[one("a", true), one("b", true), one("c", false)]), None);
        assert_eq!(talking.change(&[]), Some(vec![]));
        let changes = (0..2 * MOST).filter(|index| talking.change(&[one("a", index % 2 == 0)]).is_some()).count();
        assert_eq!(changes + 2, MOST as usize);
    }
}
