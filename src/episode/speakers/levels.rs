//! The levels of a session's voices, read from the journal: the model of an archive leaves them out, for they are many.

use std::fs::File;
use std::path::Path;

use crate::episode::EpisodeError;
use crate::recording::{Fact, scan};
use crate::source::SegmentFact;
use crate::text;

/// Levels that are kept at most: five days, one a second.
const MOST: usize = 5 * 24 * 3600;

/// Voices of one level; a space has 13 on stage.
const MOST_VOICES: usize = 64;

/// Longest handle; the platform's have 15.
const LONGEST_HANDLE: usize = 40;

/// Levels and names of a session, by media time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Levels {
    /// When, and how loud: the host, then the participants in order.
    pub(super) heard: Vec<(i64, Vec<u32>)>,
    /// From when on, the participants' handles.
    names: Vec<(i64, Vec<String>)>,
    /// From when on, those who talk, where each is heard apart.
    pub(super) talking: Vec<(i64, Vec<String>)>,
}

impl Levels {
    /// Takes what one segment at `media_time` says. Call [`Levels::sort`] at the end.
    pub(super) fn add(&mut self, media_time: i64, fact: SegmentFact) {
        let at = |offset: u64| media_time.saturating_add(i64::try_from(offset).unwrap_or(i64::MAX));
        match fact {
            SegmentFact::Participants { offset, names } => {
                let names: Vec<String> = names.iter().take(MOST_VOICES).map(|name| clean(name)).collect();
                // People come and go, but not with every segment: only news are kept.
                if self.names.len() < MOST && self.names.last().is_none_or(|(_, known)| *known != names) {
                    self.names.push((at(offset), names));
                }
            }
            SegmentFact::AudioLevels { offset, mut levels } => {
                levels.truncate(MOST_VOICES);
                if self.heard.len() < MOST {
                    self.heard.push((at(offset), levels));
                }
            }
            SegmentFact::NtpTime { .. } => {}
        }
    }

    /// From `media_time` on these talk.
    pub(super) fn add_talking(&mut self, media_time: i64, names: &[String]) {
        if self.talking.len() < MOST {
            self.talking.push((media_time, names.iter().take(MOST_VOICES).map(|name| clean(name)).collect()));
        }
    }

    /// Puts everything in the order of media time: repaired segments came later.
    pub(super) fn sort(&mut self) {
        self.heard.sort_by_key(|(at, _)| *at);
        self.heard.dedup_by_key(|(at, _)| *at);
        self.names.sort_by_key(|(at, _)| *at);
        self.talking.sort_by_key(|(at, _)| *at);
    }

    /// The handle of participant `index` at a media time.
    pub(super) fn name(&self, at: i64, index: usize) -> String {
        let known = self.names.partition_point(|(from, _)| *from <= at).saturating_sub(1);
        let name = self.names.get(known).and_then(|(_, names)| names.get(index)).filter(|name| !name.is_empty());
        name.cloned().unwrap_or_else(|| format!("speaker {}", index + 1))
    }

    /// Whether the platform said nothing of levels.
    pub fn is_empty(&self) -> bool {
        self.heard.is_empty() && self.talking.is_empty()
    }
}

/// A handle on one line without its @.
pub(super) fn clean(handle: &str) -> String {
    text::plain(handle.trim_start_matches('@'), LONGEST_HANDLE)
}

/// Reads the levels of `session` from the journal of the archive in `folder`.
///
/// # Errors
/// When the journal cannot be read.
pub fn read(folder: &Path, session: &str) -> Result<Levels, EpisodeError> {
    let failed = || EpisodeError::io(format!("the journal in {} cannot be read", folder.display()));
    let mut file = File::open(folder.join("journal.jsonl")).map_err(failed())?;
    let mut segments: Vec<(i64, Vec<SegmentFact>)> = Vec::new();
    let mut levels = Levels::default();
    scan(&mut file, |entry| {
        let segment = match entry.fact {
            Fact::Segment(segment) => segment,
            Fact::Talking(talking) if talking.session == session => {
                return levels.add_talking(talking.media_time, &talking.names);
            }
            _ => return,
        };
        if segment.session == session && !segment.facts.is_empty() {
            // What this version does not know, or was left out, is passed over.
            let facts = segment.facts.into_iter().filter_map(|fact| serde_json::from_value(fact).ok()).collect();
            segments.push((segment.media_time, facts));
        }
    })
    .map_err(failed())?;
    segments.sort_by_key(|(at, _)| *at);
    for (at, facts) in segments {
        facts.into_iter().for_each(|fact| levels.add(at, fact));
    }
    levels.sort();
    Ok(levels)
}
