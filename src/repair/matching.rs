//! Which entry of a list is which kept segment: by name, by number, by time. Pure.

use std::collections::{HashMap, HashSet};

use super::plan::samples_between;
use crate::recording::{SegmentFact, SessionArchive};
use crate::source::past::{PastEntry, PastList};

/// Two segments of one number whose clocks are further apart are two segments.
const SAME_NUMBER: i64 = 2 * 48_000;

/// Two segments without a common name or number are one if their clocks are as near as this.
const SAME_TIME: i64 = 48_000 / 4;

/// A place that does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) sequence: Option<u64>,
    /// The broadcaster's clock at its start.
    pub(super) at: Option<jiff::Timestamp>,
}

/// What the list names between two anchors that follow each other, and is not kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    pub(super) left: Option<Anchor>,
    pub(super) right: Option<Anchor>,
    pub(super) entries: Vec<PastEntry>,
}

/// A list seen beside what is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Matched {
    pub(super) stretches: Vec<Stretch>,
    /// What is kept and damaged, with the place of each.
    pub(super) mends: Vec<(PastEntry, i64)>,
}

/// One step along the list.
enum Item {
    Anchor(Anchor),
    Entry(PastEntry),
}

/// Lays `list` beside what is kept of `session`.
pub(super) fn matched(session: &SessionArchive, list: &PastList, damaged: &HashSet<String>) -> Matched {
    let mut kept: Vec<&SegmentFact> = session.segments.iter().filter(|segment| segment.duration > 0).collect();
    kept.sort_by_key(|segment| (segment.media_time, segment.sequence));
    let book = Book::of(&kept);
    let shift = shift(&book, &kept, list);
    let mut result = Matched::default();
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    let mut next = 0;
    for entry in &list.entries {
        if !seen.insert(entry.name.as_str()) {
            continue;
        }
        let Some(index) = book.find(&kept, entry) else {
            if !book.covers(&kept, entry) {
                items.push(Item::Entry(entry.clone()));
            }
            continue;
        };
        let segment = kept[index];
        if damaged.contains(&segment.file) {
            result.mends.push((entry.clone(), segment.media_time));
        }
        // A list that goes back in time moves nothing.
        if index >= next {
            unlisted(&mut items, &kept[next..index], shift);
            items.push(Item::Anchor(Anchor { sequence: entry.sequence, ..anchor(segment) }));
            next = index + 1;
        }
    }
    unlisted(&mut items, &kept[next..], shift);
    result.stretches = stretches(items);
    result
}

/// How much higher the list counts than the live playlist did.
fn shift(book: &Book<'_>, kept: &[&SegmentFact], list: &PastList) -> u64 {
    let of = |entry: &PastEntry| Some(entry.sequence?.wrapping_sub(kept[book.find(kept, entry)?].sequence));
    list.entries.iter().find_map(of).unwrap_or(0)
}

fn anchor(segment: &SegmentFact) -> Anchor {
    Anchor {
        start: segment.media_time,
        end: segment.end(),
        sequence: Some(segment.sequence),
        at: segment.program_date_time,
    }
}

/// Puts kept segments that the list lacks among the entries behind the last anchor, by their numbers.
fn unlisted(items: &mut Vec<Item>, kept: &[&SegmentFact], shift: u64) {
    let mut from = items.iter().rposition(|item| matches!(item, Item::Anchor(_))).map_or(0, |index| index + 1);
    for segment in kept {
        let own = segment.sequence.wrapping_add(shift);
        let later =
            |item: &Item| matches!(item, Item::Entry(entry) if entry.sequence.is_some_and(|number| number > own));
        let at = items[from..].iter().position(later).map_or(items.len(), |index| from + index);
        items.insert(at, Item::Anchor(Anchor { sequence: Some(own), ..anchor(segment) }));
        from = at + 1;
    }
}

fn stretches(items: Vec<Item>) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let (mut left, mut entries) = (None::<Anchor>, Vec::new());
    for item in items {
        match item {
            Item::Entry(entry) => entries.push(entry),
            Item::Anchor(anchor) => {
                if !entries.is_empty() {
                    stretches.push(Stretch { left, right: Some(anchor), entries: std::mem::take(&mut entries) });
                }
                // Segments that overlap count with the later end.
                let end = left.map_or(anchor.end, |left| left.end.max(anchor.end));
                left = Some(Anchor { end, ..anchor });
            }
        }
    }
    if !entries.is_empty() {
        stretches.push(Stretch { left, right: None, entries });
    }
    stretches
}

/// Finds kept segments.
struct Book<'a> {
    names: HashMap<&'a str, usize>,
    numbers: HashMap<u64, usize>,
    /// Segments with a clock, in order.
    dated: Vec<(jiff::Timestamp, usize)>,
}

impl<'a> Book<'a> {
    fn of(kept: &[&'a SegmentFact]) -> Self {
        let number = |(index, segment): (usize, &&'a SegmentFact)| (segment.sequence, index);
        let name = |(index, segment): (usize, &&'a SegmentFact)| (last_part(&segment.name), index);
        let dated = |(index, segment): (usize, &&'a SegmentFact)| Some((segment.program_date_time?, index));
        let mut dated: Vec<_> = kept.iter().enumerate().filter_map(dated).collect();
        dated.sort_unstable();
        let names = kept.iter().enumerate().map(name).filter(|(name, _)| !name.is_empty()).collect();
        Self { names, numbers: kept.iter().enumerate().map(number).collect(), dated }
    }

    fn find(&self, kept: &[&SegmentFact], entry: &PastEntry) -> Option<usize> {
        if let Some(index) = self.names.get(entry.name.as_str()) {
            return Some(*index);
        }
        if let Some(index) = entry.sequence.and_then(|number| self.numbers.get(&number)) {
            let clocks = kept[*index].program_date_time.zip(entry.program_date_time);
            if clocks.is_none_or(|(kept, listed)| samples_between(kept, listed).abs() <= SAME_NUMBER) {
                return Some(*index);
            }
        }
        let at = entry.program_date_time?;
        let near = self.nearest(at)?;
        (samples_between(self.dated[near].0, at).abs() <= SAME_TIME).then(|| self.dated[near].1)
    }

    /// Whether most of what `entry` holds is kept under other names: a list may be cut into other pieces.
    fn covers(&self, kept: &[&SegmentFact], entry: &PastEntry) -> bool {
        let Some(at) = entry.program_date_time else { return false };
        let Some((dated, index)) = self.nearest(at).map(|near| self.dated[near]) else { return false };
        let start = kept[index].media_time.saturating_add(samples_between(dated, at));
        let end = start.saturating_add(i64::try_from(entry.duration).unwrap_or(0));
        let first = kept.partition_point(|segment| segment.media_time < start).saturating_sub(2);
        let near = kept[first..].iter().take_while(|segment| segment.media_time < end);
        let within = |segment: &&SegmentFact| (segment.end().min(end) - segment.media_time.max(start)).max(0);
        near.map(within).sum::<i64>().saturating_mul(2) > end.saturating_sub(start)
    }

    fn nearest(&self, at: jiff::Timestamp) -> Option<usize> {
        let next = self.dated.partition_point(|(dated, _)| *dated < at);
        let around = [next.checked_sub(1), Some(next).filter(|next| *next < self.dated.len())];
        around.into_iter().flatten().min_by_key(|index| samples_between(self.dated[*index].0, at).abs())
    }
}

/// The last part of a name, without a query.
fn last_part(name: &str) -> &str {
    let path = name.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}
