//! Who is told to talk, column by column, from the facts that a journal keeps with its segments.
//!
//! Coarser than the exported list of turns: it is only to be looked at.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::recording::SegmentFact;

/// Level above which somebody talks, as X's own client draws it.
const TALKING: u64 = 8;

/// Speakers of a session that are told apart: a stage has 13 places, and people come and go.
const MOST_SPEAKERS: usize = 200;

/// Talking in one session, as samples per column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Talk {
    start: i64,
    end: i64,
    /// Samples in which anybody talks.
    pub(super) anybody: Vec<i64>,
    /// The same of each speaker by name.
    pub(super) speakers: BTreeMap<String, Vec<i64>>,
    /// Samples that are told of at all.
    pub(super) told: Vec<i64>,
    host: String,
    stage: Vec<String>,
}

impl Talk {
    /// Nothing yet of `start..end` in so many columns.
    pub(super) fn new(start: i64, end: i64, columns: usize, host: Option<&str>) -> Self {
        Self {
            start,
            end,
            anybody: vec![0; columns],
            speakers: BTreeMap::new(),
            told: vec![0; columns],
            host: host.unwrap_or("host").to_owned(),
            stage: Vec::new(),
        }
    }

    /// Adds what a segment's facts say.
    pub(super) fn add(&mut self, segment: &SegmentFact) {
        let duration = i64::try_from(segment.duration).unwrap_or(i64::MAX);
        let offset = |fact: &Value| fact["offset"].as_i64().unwrap_or(0).clamp(0, duration);
        for (at, fact) in segment.facts.iter().enumerate() {
            match fact["kind"].as_str() {
                Some("participants") => {
                    let names = fact["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    self.stage = names.take(MOST_SPEAKERS).map(str::to_owned).collect();
                }
                Some("audio_levels") => {
                    let later = segment.facts[at + 1..].iter().find(|later| later["kind"] == "audio_levels");
                    let until = later.map_or(duration, offset);
                    let levels = fact["levels"].as_array().into_iter().flatten().take(MOST_SPEAKERS);
                    let talking = levels.enumerate().filter(|(_, level)| level.as_u64() > Some(TALKING));
                    let indices: Vec<usize> = talking.map(|(index, _)| index).collect();
                    self.span(
                        segment.media_time.saturating_add(offset(fact)),
                        segment.media_time.saturating_add(until),
                        &indices,
                    );
                }
                _ => {}
            }
        }
    }

    fn span(&mut self, from: i64, until: i64, talking: &[usize]) {
        spread(&mut self.told, self.start, self.end, from, until);
        if !talking.is_empty() {
            spread(&mut self.anybody, self.start, self.end, from, until);
        }
        for index in talking {
            let name = match index.checked_sub(1) {
                None => self.host.clone(),
                Some(index) => self.stage.get(index).cloned().unwrap_or_else(|| format!("speaker {}", index + 1)),
            };
            if self.speakers.len() >= MOST_SPEAKERS && !self.speakers.contains_key(&name) {
                continue;
            }
            let columns = self.anybody.len();
            let samples = self.speakers.entry(name).or_insert_with(|| vec![0; columns]);
            spread(samples, self.start, self.end, from, until);
        }
    }

    /// Speakers, the one who talks most first.
    pub(super) fn by_time(&self) -> Vec<(&str, i64, &[i64])> {
        let total = |samples: &[i64]| samples.iter().sum::<i64>();
        let mut speakers: Vec<(&str, i64, &[i64])> =
            self.speakers.iter().map(|(name, samples)| (name.as_str(), total(samples), &samples[..])).collect();
        speakers.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        speakers
    }
}

/// Adds the samples of `from..until` to the columns of `start..end` in which they lie.
pub(super) fn spread(columns: &mut [i64], start: i64, end: i64, from: i64, until: i64) {
    let (from, until) = (from.max(start), until.min(end));
    if from >= until || columns.is_empty() {
        return;
    }
    let number = columns.len() as i128;
    let edge = |column: i128| start + (i128::from(end - start) * column / number) as i64;
    let first = i128::from(from - start) * number / i128::from(end - start);
    for (at, column) in columns.iter_mut().enumerate().skip(usize::try_from(first).unwrap_or(0).saturating_sub(1)) {
        let (left, right) = (edge(at as i128), edge(at as i128 + 1));
        if left >= until {
            return;
        }
        *column += (until.min(right) - from.max(left)).max(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn segment(media_time: i64, facts: Value) -> SegmentFact {
        serde_json::from_value(json!({"session": "s", "sequence": 1, "name": "", "file": "", "bytes": 0, "sha256": "",
            "media_time": media_time, "duration": 96_000, "listed_at": "2026-01-01T00:00:00Z", "facts": facts}))
        .expect("a segment")
    }

    #[test]
    fn who_talks_is_told_by_place_and_name() {
        let mut talk = Talk::new(0, 192_000, 4, Some("@host"));
        talk.add(&segment(
            0,
            json!([
                {"kind": "participants", "offset": 0, "names": ["@guest"]},
                {"kind": "audio_levels", "offset": 0, "levels": [20, 0]},
                {"kind": "audio_levels", "offset": 48_000, "levels": [3, 9, 9]},
            ]),
        ));
        talk.add(&segment(96_000, json!([{"kind": "audio_levels", "offset": 0, "levels": [8]}])));
        assert_eq!(talk.anybody, [48_000, 48_000, 0, 0]);
        assert_eq!(talk.told, [48_000; 4]);
        let names: Vec<&str> = talk.by_time().iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, ["@guest", "@host", "speaker 2"]);
        assert_eq!(talk.speakers["@host"], [48_000, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_counted_twice_in_columns(
            start in -1_000_000_i64..1_000_000, length in 1_i64..5_000_000, columns in 1_usize..200,
            from in -2_000_000_i64..6_000_000, span in 0_i64..3_000_000,
        ) {
            let end = start + length;
            let mut all = vec![0; columns];
            spread(&mut all, start, end, from, from + span);
            prop_assert_eq!(all.iter().sum::<i64>(), ((from + span).min(end) - from.max(start)).max(0));
        }

        #[test]
        fn fuzz_segment_facts(kind in "(participants|audio_levels|x)", offset in any::<i64>(), level in any::<u64>(), name in any::<String>(), media_time in any::<i64>()) {
            let mut talk = Talk::new(i64::MIN / 4, i64::MAX / 4, 60, None);
            talk.add(&segment(media_time, json!([{"kind": kind, "offset": offset, "levels": [level, "x"], "names": [name, 1]}, 7, null])));
            prop_assert!(talk.by_time().len() <= 2);
        }
    }
}
