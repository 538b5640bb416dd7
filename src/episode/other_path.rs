//! Finds in the other paths of a recording what one of its sessions lacks: two sources of one show are kept beside each
//! other, and what one did not hear the other one may have.
//!
//! The wall clock says about where to look, the sound says exactly where, before the hole and behind it; where the two
//! do not agree nothing is taken. Reads the archive and writes nothing: what is found are facts for its journal.

mod edges;
mod path;
mod pause;

use std::ops::Range as Span;

use edges::{Edge, agree};
use path::Path;
use pause::quietest;

use super::error::EpisodeError;
use super::progress::Progress;
use super::reel::Half;
use crate::media::SAMPLE_RATE;
use crate::program::align::shift;
use crate::recording::{Archive, FillFact, spans_without};

const SECOND: i64 = SAMPLE_RATE as i64;

/// What is compared beside a hole.
const EDGE: i64 = 15 * SECOND;

/// What is looked through at once for the first edge; the search takes no more.
const WINDOW: i64 = 60 * SECOND;

/// Where it is looked for around the place that the wall clock says: a listener's playlist is up to half a minute behind.
const WINDOWS: [i64; 3] = [0, -35 * SECOND, 35 * SECOND];

/// How far around the first edge's place the second one is looked for.
const NEAR: i64 = 3 * SECOND;

/// How much of a hole is looked through for a pause.
const PAUSE: i64 = 60 * SECOND;

/// Shorter holes are not worth two joints: 50 ms.
const SHORTEST: i64 = SECOND / 20;

/// A hole that is longer is no accident of a path: a day.
const LONGEST: i64 = 24 * 3600 * SECOND;

/// Holes of a session that are looked at, at most.
const MOST: usize = 200;

/// What was found of a session's holes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OtherPath {
    /// What another path holds, in order.
    pub fills: Vec<FillFact>,
    /// What a person should know: a sentence for each hole that another path should hold and that is not taken.
    pub notes: Vec<String>,
}

/// Sessions that lack something and are not the only path of the recording.
pub fn sessions_with_another_path(archive: &Archive) -> Vec<String> {
    if archive.sessions.iter().map(|session| Path::of(archive, session).len()).sum::<usize>() < 2 {
        return Vec::new();
    }
    let lacks = archive.sessions.iter().filter(|session| !session.gap_list().is_empty());
    lacks.map(|session| session.info.session.clone()).collect()
}

/// Finds what other paths of `archive` hold of what `session` lacks and what no earlier search found. Blocks; decodes
/// about two minutes of sound for each hole and path.
///
/// # Errors
/// When there is no such session, somebody stops it, or what is kept cannot be read.
pub fn other_path(archive: &Archive, session: &str, progress: &Progress) -> Result<OtherPath, EpisodeError> {
    let mut found = OtherPath::default();
    let Some(lacks) = archive.session(session) else {
        let known = archive.sessions.iter().map(|s| s.info.session.as_str()).collect::<Vec<_>>().join(", ");
        return Err(EpisodeError::NoSession { name: session.to_owned(), known });
    };
    let Some(own) = Path::of(archive, lacks).into_iter().next() else { return Ok(found) };
    let all = archive.sessions.iter().flat_map(|session| Path::of(archive, session));
    let others: Vec<Path<'_>> =
        all.filter(|other| other.session.info.session != session || other.half != own.half).collect();
    let filled: Vec<Span<i64>> = lacks.fills_in_use().iter().map(|fill| fill.start..fill.end).collect();
    // What is missing at its very start or end has one edge only.
    let inside = |gap: &Span<i64>| own.extent().is_some_and(|all| all.start < gap.start && gap.end < all.end);
    let holes = lacks.gap_spans().into_iter().filter(inside).flat_map(|gap| spans_without(gap, &filled));
    for hole in holes.filter(|hole| (SHORTEST..LONGEST).contains(&(hole.end - hole.start))).take(MOST) {
        search(&own, &others, &hole, progress, &mut found)?;
    }
    found.fills.sort_by_key(|fill| fill.start);
    Ok(found)
}

/// Looks for one hole in each of the other paths, until nothing of it is left.
fn search(
    own: &Path<'_>,
    others: &[Path<'_>],
    hole: &Span<i64>,
    progress: &Progress,
    found: &mut OtherPath,
) -> Result<(), EpisodeError> {
    let mut left = vec![hole.clone()];
    let mut refusals = Vec::new();
    for other in others {
        progress.check()?;
        match place(own, other, hole)? {
            Placed::Elsewhere => {}
            Placed::Refused(why) => refusals.push(why),
            Placed::At(parts) => {
                for (part, offset) in parts {
                    let mut held = other.held(&within(&left, &part), offset);
                    held.retain(|span| span.end - span.start >= SHORTEST);
                    found.fills.extend(held.iter().map(|span| FillFact {
                        session: own.session.info.session.clone(),
                        start: span.start,
                        end: span.end,
                        from: other.session.info.session.clone(),
                        streams: other.half == Half::Streams,
                        offset,
                    }));
                    left = left.into_iter().flat_map(|span| spans_without(span, &held)).collect();
                }
            }
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    found.notes.append(&mut refusals);
    Ok(())
}

/// What of `spans` lies in `part`.
fn within(spans: &[Span<i64>], part: &Span<i64>) -> Vec<Span<i64>> {
    let common = spans.iter().map(|span| span.start.max(part.start)..span.end.min(part.end));
    common.filter(|span| !span.is_empty()).collect()
}

/// Where a hole lies in another path.
enum Placed {
    /// Its parts, each with how far media time there is ahead of media time here.
    At(Vec<(Span<i64>, i64)>),
    /// It was on the air at another time.
    Elsewhere,
    /// It should hold it, and it cannot be told where.
    Refused(String),
}

fn place(own: &Path<'_>, other: &Path<'_>, hole: &Span<i64>) -> Result<Placed, EpisodeError> {
    let Some(about) = about(own, other, hole.start) else { return Ok(Placed::Elsewhere) };
    let there = |at: i64| at.saturating_add(about);
    let is_there = other.extent().is_some_and(|extent| {
        extent.start.saturating_sub(WINDOW) < there(hole.start) && there(hole.end) < extent.end.saturating_add(WINDOW)
    });
    if !is_there {
        return Ok(Placed::Elsewhere);
    }
    let before = edge_before(own, other, hole.start, about)?;
    let behind = match before {
        Some(offset) => edge_behind(own, other, hole.end, offset)?,
        None => None,
    };
    let seconds = |samples: i64| samples as f64 / SECOND as f64;
    Ok(match agree(Edge(before), Edge(behind), (hole.end - hole.start).unsigned_abs()) {
        Ok(edges) if edges.start == edges.end => Placed::At(vec![(hole.clone(), edges.start)]),
        Ok(edges) => {
            let joint = joint(other, hole, &edges)?;
            Placed::At(vec![(hole.start..joint, edges.start), (joint..hole.end, edges.end)])
        }
        Err(why) => {
            let (length, at) = (seconds(hole.end - hole.start), seconds(hole.start));
            Placed::Refused(format!("{length:.1} s at {at:.1} s are not taken from the {}: {why}.", other.name()))
        }
    })
}

/// Where in the hole to go from the offset of its start to that of its end: what is left out or said twice is a pause.
fn joint(other: &Path<'_>, hole: &Span<i64>, edges: &Span<i64>) -> Result<i64, EpisodeError> {
    let (first, last) = (hole.start + SHORTEST, (hole.end - SHORTEST).min(hole.start.saturating_add(PAUSE)));
    if first >= last {
        return Ok(hole.start + (hole.end - hole.start) / 2);
    }
    let low = edges.start.min(edges.end);
    let width = edges.start.abs_diff(edges.end);
    let there = |at: i64| at.saturating_add(low);
    let sound = other.hear(there(first)..there(last).saturating_add_unsigned(width))?;
    let at = quietest(&sound, usize::try_from(width).unwrap_or(0));
    Ok(first.saturating_add(at as i64).min(last))
}

/// How far media time there is ahead of media time here, by the wall clock.
fn about(own: &Path<'_>, other: &Path<'_>, near: i64) -> Option<i64> {
    let here = own.wall_zero(near)?;
    // Nearer and nearer: its clock may have been set meanwhile.
    let first = here.saturating_sub(other.wall_zero(near)?);
    Some(here.saturating_sub(other.wall_zero(near.saturating_add(first))?))
}

fn edge_before(own: &Path<'_>, other: &Path<'_>, start: i64, about: i64) -> Result<Option<i64>, EpisodeError> {
    let first = start.saturating_sub(EDGE);
    let probe = own.hear(first..start)?;
    for beside in WINDOWS {
        let middle = (first + EDGE / 2).saturating_add(about).saturating_add(beside);
        let window = middle.saturating_sub(WINDOW / 2)..middle.saturating_add(WINDOW / 2);
        let from = window.start;
        if let Some(at) = shift(&other.hear(window)?, &probe) {
            return Ok(Some(from + at.samples - first));
        }
    }
    Ok(None)
}

fn edge_behind(own: &Path<'_>, other: &Path<'_>, end: i64, offset: i64) -> Result<Option<i64>, EpisodeError> {
    let last = end.saturating_add(EDGE);
    let from = end.saturating_add(offset).saturating_sub(NEAR);
    let reference = other.hear(from..last.saturating_add(offset).saturating_add(NEAR))?;
    Ok(shift(&reference, &own.hear(end..last)?).map(|at| from + at.samples - end))
}
