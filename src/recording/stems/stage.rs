//! Who is in a session, as the journal was told. Pure.

use std::collections::BTreeMap;

use super::facts::{SpeakerChange, SpeakerFact};
use crate::text;

/// People at once; a stage has some dozen.
const MOST: usize = 64;

/// Lines about people that one process writes into a journal: a crowd that comes and goes must not fill it.
const MOST_LINES: u32 = 5000;

/// Longest name that is kept, in characters.
const NAME_MAX: usize = 80;

/// Who is there, by id.
#[derive(Debug, Default)]
pub(super) struct Stage {
    session: String,
    present: BTreeMap<String, String>,
    lines: u32,
    /// Media time of the newest line.
    last: i64,
}

impl Stage {
    /// What the journal does not know yet, if these are there now.
    pub(super) fn news(&self, session: &str, now: &[(String, String)], media_time: i64) -> Vec<SpeakerFact> {
        let fact = |session: &str, speaker: &str, change, name: &str| SpeakerFact {
            session: session.to_owned(),
            speaker: speaker.to_owned(),
            change,
            name: name.to_owned(),
            media_time,
        };
        let now: BTreeMap<String, String> =
            now.iter().take(MOST).map(|(id, name)| (text::plain(id, NAME_MAX), text::plain(name, NAME_MAX))).collect();
        let stays = |id: &str| self.session == session && now.contains_key(id);
        let gone = self.present.iter().filter(|(id, _)| !stays(id));
        let mut news: Vec<SpeakerFact> =
            gone.map(|(id, name)| fact(&self.session, id, SpeakerChange::Left, name)).collect();
        for (id, name) in &now {
            let known = self.present.get(id).filter(|_| self.session == session);
            match known {
                None => news.push(fact(session, id, SpeakerChange::Joined, name)),
                Some(known) if known != name => news.push(fact(session, id, SpeakerChange::Renamed, name)),
                Some(_) => {}
            }
        }
        news.truncate(MOST_LINES.saturating_sub(self.lines) as usize);
        news
    }

    /// The journal knows it now.
    pub(super) fn told(&mut self, fact: &SpeakerFact) {
        self.lines += 1;
        self.last = self.last.max(fact.media_time);
        if fact.change == SpeakerChange::Left {
            self.present.remove(&fact.speaker);
            return;
        }
        if self.session != fact.session {
            self.session.clone_from(&fact.session);
            self.present.clear();
            self.last = fact.media_time;
        }
        self.present.insert(fact.speaker.clone(), fact.name.clone());
    }

    /// Media time of the newest line about them.
    pub(super) fn last(&self) -> i64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect()
    }

    fn take(stage: &mut Stage, session: &str, list: &[(&str, &str)]) -> Vec<(String, SpeakerChange, String)> {
        let news = stage.news(session, &people(list), 0);
        news.iter().for_each(|fact| stage.told(fact));
        news.into_iter().map(|fact| (fact.speaker, fact.change, fact.name)).collect()
    }

    #[test]
    fn who_comes_leaves_and_changes_the_name_is_told_once() {
        use SpeakerChange::{Joined, Left, Renamed};
        let mut stage = Stage::default();
        let one = |id: &str, change, name: &str| (id.to_owned(), change, name.to_owned());
        assert_eq!(take(&mut stage, "s", &[("a", "Ann")]), [one("a", Joined, "Ann")]);
        assert_eq!(take(&mut stage, "s", &[("a", "Ann")]), []);
        let came = take(&mut stage, "s", &[("a", "An\u{202e}n"), ("b", "Bob")]);
        assert_eq!(came, [one("b", Joined, "Bob")], "what cannot be seen is no other name");
        assert_eq!(take(&mut stage, "s", &[("b", "Rob")]), [one("a", Left, "Ann"), one("b", Renamed, "Rob")]);
        assert_eq!(take(&mut stage, "t", &[("b", "Rob")]), [one("b", Left, "Rob"), one("b", Joined, "Rob")]);
        assert_eq!(take(&mut stage, "t", &[]), [one("b", Left, "Rob")]);
    }

    #[test]
    fn a_crowd_that_comes_and_goes_does_not_fill_the_journal() {
        let mut stage = Stage::default();
        let mut lines = 0;
        for round in 0..500 {
            let crowd: Vec<(String, String)> = (0..200).map(|n| (format!("{round}-{n}"), "x".repeat(10_000))).collect();
            let news = stage.news("s", &crowd, 0);
            news.iter().for_each(|fact| stage.told(fact));
            lines += news.len();
            assert!(news.iter().all(|fact| fact.name.chars().count() <= NAME_MAX));
        }
        assert_eq!(lines, MOST_LINES as usize);
        assert!(stage.present.len() <= MOST);
    }
}
