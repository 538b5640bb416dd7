//! What to fetch of a session's past, and where it goes. Pure.
//!
//! Kept segments are anchors: they never move, and nothing is put over them. What the list names between two anchors goes
//! behind the left one, what it names before the first one ends where that begins, and what it names behind the last one
//! goes on from its end.

use std::collections::HashSet;

use super::matching::{Anchor, Matched, matched};
use crate::media::AAC_FRAME_SAMPLES;
use crate::recording::SessionArchive;
use crate::source::past::{PastEntry, PastList};

/// Length of a segment where a list tells none: a Space's have 3 s.
const USUAL: i64 = 3 * 48_000;

/// Where the entries of a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first begins at this media time, each further one where the one before it ends.
    From(i64),
    /// The last ends at this media time, each earlier one where the one behind it begins.
    Until(i64),
}

/// Entries of the list that belong together without a hole between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Where they go.
    pub place: Place,
    /// Samples between what is kept on both sides; none where nothing is kept on one side.
    pub room: Option<u64>,
    /// The entries in the order in which they are to be fetched: from the place on.
    pub entries: Vec<PastEntry>,
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What to fetch.
    pub runs: Vec<Run>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Segments that are to be fetched.
    pub fn segments(&self) -> usize {
        self.runs.iter().map(|run| run.entries.len()).sum()
    }
}

/// Plans the repair of `session` from `list`. Files of the archive in `damaged` are fetched again to their own places. A
/// list that is no replay yields nothing behind the last kept segment: that is still heard live.
pub fn plan(session: &SessionArchive, list: &PastList, damaged: &HashSet<String>) -> Plan {
    let Matched { stretches, mends } = matched(session, list, damaged);
    let mut plan = Plan::default();
    for (entry, media_time) in mends {
        plan.runs.push(Run { place: Place::From(media_time), room: None, entries: vec![entry] });
    }
    for stretch in stretches {
        let pieces = pieces(stretch.entries);
        match (stretch.left, stretch.right) {
            _ if pieces.is_empty() => {}
            (None, Some(right)) => head(&mut plan.runs, pieces, &right),
            (Some(left), Some(right)) => between(&mut plan, pieces, &left, &right),
            (left, None) if list.is_replay => tail(&mut plan.runs, pieces, left.as_ref()),
            _ => {}
        }
    }
    plan
}

/// Cuts entries where numbers are lacking between two of them.
fn pieces(entries: Vec<PastEntry>) -> Vec<Vec<PastEntry>> {
    let mut pieces: Vec<Vec<PastEntry>> = Vec::new();
    for entry in entries {
        match pieces.last_mut() {
            Some(piece) if piece.last().is_some_and(|last| numbers(last.sequence, entry.sequence) == 0) => {
                piece.push(entry);
            }
            _ => pieces.push(vec![entry]),
        }
    }
    pieces
}

/// Numbers that lie between two.
fn numbers(left: Option<u64>, right: Option<u64>) -> u64 {
    left.zip(right).map_or(0, |(left, right)| right.saturating_sub(left).saturating_sub(1))
}

/// What stands at one side of a hole.
#[derive(Debug, Clone, Copy)]
struct Side {
    sequence: Option<u64>,
    at: Option<jiff::Timestamp>,
    length: i64,
}

impl From<&PastEntry> for Side {
    fn from(entry: &PastEntry) -> Self {
        Self { sequence: entry.sequence, at: entry.program_date_time, length: length(entry) }
    }
}

impl From<&Anchor> for Side {
    fn from(anchor: &Anchor) -> Self {
        Self { sequence: anchor.sequence, at: anchor.at, length: anchor.end.saturating_sub(anchor.start) }
    }
}

/// How long what lies between two sides probably is: by their clock, or by the number of what is lacking.
fn lack(left: impl Into<Side>, right: impl Into<Side>) -> i64 {
    let (left, right) = (left.into(), right.into());
    let lacking = numbers(left.sequence, right.sequence);
    let by_number = (lacking.min(1_000_000) as i64).saturating_mul(left.length.max(1));
    let clock = left.at.zip(right.at).map(|(l, r)| samples_between(l, r).saturating_sub(left.length));
    match clock {
        // A clock that steps is no measure.
        Some(samples) if (by_number / 2..=by_number.saturating_mul(2)).contains(&samples) => {
            // The clock is rounded to milliseconds, segments of frames are not.
            let frame = AAC_FRAME_SAMPLES as i64;
            let is_framed = [left, right].iter().all(|side| side.length % frame == 0);
            if is_framed { (samples + frame / 2) / frame * frame } else { samples }
        }
        _ => by_number,
    }
}

/// Samples from one moment to another.
pub(super) fn samples_between(from: jiff::Timestamp, to: jiff::Timestamp) -> i64 {
    let nanos = from.duration_until(to).as_nanos();
    i64::try_from(nanos.saturating_mul(48) / 1_000_000).unwrap_or(i64::MAX)
}

fn length(entry: &PastEntry) -> i64 {
    match i64::try_from(entry.duration) {
        Ok(0) | Err(_) => USUAL,
        Ok(samples) => samples,
    }
}

fn sum(piece: &[PastEntry]) -> i64 {
    piece.iter().map(length).fold(0, i64::saturating_add)
}

fn backwards(end: i64, room: Option<u64>, mut piece: Vec<PastEntry>) -> Run {
    piece.reverse();
    Run { place: Place::Until(end), room, entries: piece }
}

/// Before the first anchor: placed backwards from it.
fn head(runs: &mut Vec<Run>, pieces: Vec<Vec<PastEntry>>, right: &Anchor) {
    let mut end = right.start;
    let mut next: Option<PastEntry> = None;
    for piece in pieces.into_iter().rev() {
        let (Some(first), Some(last)) = (piece.first().cloned(), piece.last()) else { continue };
        let lacking = match &next {
            Some(next) => lack(last, next),
            None => lack(last, right),
        };
        end = end.saturating_sub(lacking);
        let start = end.saturating_sub(sum(&piece));
        runs.push(backwards(end, None, piece));
        (end, next) = (start, Some(first));
    }
}

/// Behind the last anchor, or where there is none at all: forwards.
fn tail(runs: &mut Vec<Run>, pieces: Vec<Vec<PastEntry>>, left: Option<&Anchor>) {
    let mut start = left.map_or(0, |left| left.end);
    let mut before: Option<PastEntry> = None;
    for piece in pieces {
        let (Some(first), Some(last)) = (piece.first(), piece.last().cloned()) else { continue };
        let lacking = match (&before, left) {
            (Some(before), _) => lack(before, first),
            (None, Some(left)) => lack(left, first),
            (None, None) => 0,
        };
        start = start.saturating_add(lacking);
        let end = start.saturating_add(sum(&piece));
        runs.push(Run { place: Place::From(start), room: None, entries: piece });
        (start, before) = (end, Some(last));
    }
}

/// Between two anchors: from the left one on where nothing is lacking, up to the right one where something is.
fn between(plan: &mut Plan, pieces: Vec<Vec<PastEntry>>, left: &Anchor, right: &Anchor) {
    let hole = right.start.saturating_sub(left.end);
    if hole < AAC_FRAME_SAMPLES as i64 {
        return;
    }
    let count = pieces.len();
    let lacking = |piece: &[PastEntry], side: &Anchor, is_left: bool| match is_left {
        true => numbers(side.sequence, piece.first().and_then(|entry| entry.sequence)),
        false => numbers(piece.last().and_then(|entry| entry.sequence), side.sequence),
    };
    let mut start = left.end;
    let mut before: Option<PastEntry> = None;
    for (index, piece) in pieces.into_iter().enumerate() {
        let (Some(first), Some(last)) = (piece.first(), piece.last().cloned()) else { continue };
        let on_left = if index == 0 { lacking(&piece, left, true) } else { 1 };
        let on_right = if index + 1 == count { lacking(&piece, right, false) } else { 1 };
        let length_of = sum(&piece);
        if on_left > 0 {
            let estimate = match &before {
                Some(before) => lack(before, first),
                None => lack(left, first),
            };
            start = start.saturating_add(estimate);
        }
        let left_over = right.start.saturating_sub(start);
        if on_left == 0 && on_right == 0 && length_of.abs_diff(hole) >= AAC_FRAME_SAMPLES {
            plan.notes.push(disagreement(left, hole, length_of));
        }
        if on_left > 0 && on_right == 0 {
            let room = u64::try_from(left_over.max(length_of).min(hole)).unwrap_or(0);
            plan.runs.push(backwards(right.start, Some(room), piece));
        } else if left_over > 0 {
            let room = Some(u64::try_from(left_over).unwrap_or(0));
            plan.runs.push(Run { place: Place::From(start), room, entries: piece });
        }
        start = start.saturating_add(length_of);
        before = Some(last);
    }
}

fn disagreement(left: &Anchor, hole: i64, listed: i64) -> String {
    let seconds = |samples: i64| samples as f64 / 48_000.0;
    format!(
        "At {:.1} s there is a hole of {:.3} s, and the platform's list has {:.3} s for it: what is kept stays where it is.",
        seconds(left.end),
        seconds(hole),
        seconds(listed)
    )
}

#[cfg(test)]
mod tests;
