//! Who spoke when: from the levels that the platform puts into a session's segments, the only word that a listener gets,
//! or from each speaker's own sound.
//!
//! Levels come about once a second, first the host's, then the participants' in their order. Handles are hostile text.

mod levels;
mod write;

pub use levels::{Levels, read};
pub use write::{json, webvtt};

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::media::SAMPLE_RATE;

/// Levels above this are talking; observed by the recorders of Spaces (hydra).
const TALKING: u32 = 8;

/// A level holds until the next one, but no longer than this: two of the usual pauses between levels.
const HOLD: i64 = 2 * SAMPLE_RATE as i64;

/// Where each is heard apart somebody talks until told otherwise, but no longer than this: whoever was killed told nothing.
const HOLD_APART: i64 = 300 * SAMPLE_RATE as i64;

/// Shorter pauses are breath.
const PAUSE: i64 = SAMPLE_RATE as i64;

/// Shorter turns are noise.
const FLICKER: i64 = SAMPLE_RATE as i64 * 3 / 10;

/// Turns of a session at most: a day of a lively one has some ten thousand.
const MOST_TURNS: usize = 200_000;

/// A new main speaker has this share of all the talking that follows,
const MAIN_SHARE: f64 = 0.6;

/// and talks for this share of the time.
const MAIN_TIME: f64 = 0.4;

/// Somebody talks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Turn {
    /// Start, in seconds of the file.
    pub start: f64,
    /// End, in seconds of the file.
    pub end: f64,
    /// Who, without an @; clean, and still not escaped for any markup.
    pub handle: String,
    /// Whether it is the host.
    pub host: bool,
}

impl Turn {
    /// Seconds.
    fn length(&self) -> f64 {
        self.end - self.start
    }
}

/// The turns in a file that holds the media times of `range`, by their start. Voices may overlap. `host` is the host's
/// handle, where it is known.
pub fn turns(levels: &Levels, host: Option<&str>, range: &Range<i64>) -> Vec<Turn> {
    let host = host.map(levels::clean).filter(|handle| !handle.is_empty()).unwrap_or_else(|| "host".to_owned());
    let seconds = |at: i64| (at.saturating_sub(range.start)) as f64 / f64::from(SAMPLE_RATE);
    let mut turns = Vec::new();
    for (who, spans) in spans(levels, &host) {
        for span in merge(spans) {
            let (start, end) = (span.start.max(range.start), span.end.min(range.end));
            if end > start && turns.len() < MOST_TURNS {
                let handle = who.clone().unwrap_or_else(|| host.clone());
                turns.push(Turn { start: seconds(start), end: seconds(end), handle, host: who.is_none() });
            }
        }
    }
    turns.sort_by(|a, b| a.start.total_cmp(&b.start).then_with(|| a.handle.cmp(&b.handle)));
    turns
}

/// When each voice talks, in order; none is the host.
fn spans(levels: &Levels, host: &str) -> BTreeMap<Option<String>, Vec<Range<i64>>> {
    let mut spans: BTreeMap<Option<String>, Vec<Range<i64>>> = BTreeMap::new();
    for (index, (at, heard)) in levels.heard.iter().enumerate() {
        let next = levels.heard.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
        let end = next.min(at.saturating_add(HOLD));
        for (voice, _) in heard.iter().enumerate().filter(|(_, level)| **level > TALKING) {
            let who = voice.checked_sub(1).map(|guest| levels.name(*at, guest));
            spans.entry(who).or_default().push(*at..end);
        }
    }
    for (index, (at, names)) in levels.talking.iter().enumerate() {
        let next = levels.talking.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
        for name in names.iter().filter(|name| !name.is_empty()) {
            let who = Some(name.clone()).filter(|name| name != host);
            spans.entry(who).or_default().push(*at..next.min(at.saturating_add(HOLD_APART)));
        }
    }
    spans
}

/// Joins what only a breath parts, then drops what is too short.
fn merge(spans: Vec<Range<i64>>) -> Vec<Range<i64>> {
    let mut merged: Vec<Range<i64>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start.saturating_sub(last.end) < PAUSE => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged.retain(|span| span.end.saturating_sub(span.start) >= FLICKER);
    merged
}

/// Where somebody else becomes the main speaker for at least `min`: seconds of the file and the handle. What chapters can
/// be made of.
pub fn speaker_changes(turns: &[Turn], min: Duration) -> Vec<(f64, String)> {
    let min = min.as_secs_f64().max(1.0);
    let mut changes: Vec<(f64, String)> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let last = changes.last();
        if last.is_some_and(|(at, handle)| *handle == turn.handle || turn.start - at < min) {
            continue;
        }
        let end = turn.start + min;
        let (mut own, mut all) = (0.0, 0.0);
        for other in turns[index..].iter().take_while(|other| other.start < end) {
            let talk = other.end.min(end) - other.start;
            all += talk;
            if other.handle == turn.handle {
                own += talk;
            }
        }
        if own >= MAIN_SHARE * all && own >= MAIN_TIME * min {
            changes.push((turn.start, turn.handle.clone()));
        }
    }
    changes
}

/// Everybody who talks, with their seconds, most talkative first.
pub fn totals(turns: &[Turn]) -> Vec<(&str, f64)> {
    let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
    for turn in turns {
        *totals.entry(&turn.handle).or_default() += turn.length();
    }
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    totals
}

#[cfg(test)]
mod tests;
