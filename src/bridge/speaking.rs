//! Who is named on the slate as speaking: a rule that changes its mind at most once in ten seconds. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::status::SpeakerStatus;

/// How long it looks before it says anything new: each change of the slate is an encode of half a second.
const WINDOW: Duration = Duration::from_secs(10);

/// Names at once.
const MOST: usize = 3;

/// People who are listened for at once.
const MOST_HEARD: usize = 64;

/// A level above this is talking.
const TALKING: u32 = 8;

/// Who talked how long since the window began.
#[derive(Debug, Default)]
pub(super) struct Speaking {
    talked: BTreeMap<String, Duration>,
    began: Option<Instant>,
    looked: Option<Instant>,
}

impl Speaking {
    /// Sees who is on stage now. At the end of a window: the names of those who talked in it, the one who did longest
    /// first.
    pub(super) fn look(&mut self, stage: &[SpeakerStatus], now: Instant) -> Option<Vec<String>> {
        let began = *self.began.get_or_insert(now);
        let since = now.saturating_duration_since(self.looked.replace(now).unwrap_or(now)).min(WINDOW);
        for speaker in stage.iter().filter(|speaker| speaker.level > TALKING && !speaker.name.is_empty()) {
            if self.talked.len() < MOST_HEARD || self.talked.contains_key(&speaker.name) {
                *self.talked.entry(speaker.name.clone()).or_default() += since;
            }
        }
        if now.saturating_duration_since(began) < WINDOW {
            return None;
        }
        self.began = Some(now);
        let mut talked: Vec<(String, Duration)> = std::mem::take(&mut self.talked).into_iter().collect();
        talked.retain(|(_, time)| !time.is_zero());
        talked.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        Some(talked.into_iter().take(MOST).map(|(name, _)| name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten times a second for `seconds`; everything that is said, with its second.
    fn watch(seconds: u64, stage: impl Fn(u64) -> Vec<(&'static str, u32)>) -> Vec<(u64, Vec<String>)> {
        let (mut speaking, start, mut said) = (Speaking::default(), Instant::now(), Vec::new());
        for tick in 0..=seconds * 10 {
            let now = start + Duration::from_millis(100 * tick);
            let stage: Vec<SpeakerStatus> = stage(tick / 10)
                .into_iter()
                .map(|(name, level)| SpeakerStatus { name: name.into(), level, muted: None })
                .collect();
            if let Some(names) = speaking.look(&stage, now) {
                said.push((tick / 10, names));
            }
        }
        said
    }

    fn at(second: u64, names: &[&str]) -> (u64, Vec<String>) {
        (second, names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn who_talked_longest_in_ten_seconds_comes_first_and_nobody_is_nobody() {
        let said = watch(30, |second| match second {
            0..2 => vec![("ann", 20), ("bob", 3)],
            2..9 => vec![("ann", 0), ("bob", 9)],
            9..10 => vec![("bob", 0), ("zoe", 40)],
            _ => vec![("ann", 8), ("bob", 0)],
        });
        assert_eq!(said, [at(10, &["bob", "ann", "zoe"]), at(20, &[]), at(30, &[])]);
    }

    #[test]
    fn three_names_at_most_and_never_a_change_within_ten_seconds() {
        let everybody = ["a", "b", "c", "d", "e"];
        let said = watch(60, |second| everybody.iter().skip(second as usize % 3).map(|name| (*name, 30)).collect());
        assert!(said.iter().all(|(_, names)| names.len() == 3), "{said:?}");
        assert!(said.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 10), "{said:?}");
        assert_eq!(watch(10, |_| vec![("", 30)]), [at(10, &[])]);
    }
}
