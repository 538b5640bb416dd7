//! What a session lacks and another one of the same show holds: the journal's word for it, and what of it counts. Pure.
//!
//! Nothing is copied: a fill says where to look, and both sessions stay as they were received.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::reader::SessionArchive;
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};

/// A span of one session's media time that another session of the show holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillFact {
    /// The id of the session that lacks it.
    pub session: String,
    /// Start, in that session's media time.
    pub start: i64,
    /// End, in that session's media time.
    pub end: i64,
    /// The id of the session that holds it.
    pub from: String,
    /// Whether its captured streams hold it, and not its segments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
    /// Media time there is media time here and this many samples.
    pub offset: i64,
}

impl SessionArchive {
    /// What it lacks, in media time, in order.
    pub fn gap_spans(&self) -> Vec<Range<i64>> {
        let samples = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)).round() as i64;
        self.gap_list().iter().map(|gap| samples(gap.start_seconds)..samples(gap.end_seconds)).collect()
    }

    /// The fills that count, in order and nowhere twice: where it lacks something still, the newest word first.
    pub fn fills_in_use(&self) -> Vec<FillFact> {
        in_use(&self.gap_spans(), &self.fills)
    }
}

fn in_use(gaps: &[Range<i64>], fills: &[FillFact]) -> Vec<FillFact> {
    let mut used: Vec<FillFact> = Vec::new();
    for fill in fills.iter().rev() {
        for gap in gaps {
            let common = gap.start.max(fill.start)..gap.end.min(fill.end);
            let taken: Vec<Range<i64>> = used.iter().map(|fill| fill.start..fill.end).collect();
            let left = spans_without(common, &taken);
            used.extend(left.into_iter().map(|span| FillFact { start: span.start, end: span.end, ..fill.clone() }));
        }
    }
    used.sort_by_key(|fill| fill.start);
    used
}

/// What of `span` is in none of `taken`, in order; less than an AAC frame is rounding.
pub fn spans_without(span: Range<i64>, taken: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut taken: Vec<&Range<i64>> = taken.iter().filter(|one| one.start < span.end && one.end > span.start).collect();
    taken.sort_by_key(|one| one.start);
    let (mut left, mut from) = (Vec::new(), span.start);
    for one in taken {
        left.push(from..one.start);
        from = from.max(one.end);
    }
    left.push(from..span.end);
    left.retain(|span| span.end.saturating_sub(span.start) >= AAC_FRAME_SAMPLES as i64);
    left
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "spans are lists of ranges")]
mod tests {
    use super::*;

    const S: i64 = 48_000;

    fn fill(start: i64, end: i64, from: &str) -> FillFact {
        FillFact { session: "a".into(), start: start * S, end: end * S, from: from.into(), streams: false, offset: 7 }
    }

    #[test]
    fn only_what_is_still_lacking_is_taken_from_elsewhere() {
        let gap = |start: i64, end: i64| start * S..end * S;
        for (name, gaps, fills, wanted) in [
            ("no gap", vec![], vec![fill(0, 9, "b")], vec![]),
            ("whole", vec![gap(3, 6)], vec![fill(3, 6, "b")], vec![fill(3, 6, "b")]),
            ("half was had after all", vec![gap(4, 6)], vec![fill(3, 6, "b")], vec![fill(4, 6, "b")]),
            (
                "two holes are left of one",
                vec![gap(3, 4), gap(5, 6)],
                vec![fill(3, 6, "b")],
                vec![fill(3, 4, "b"), fill(5, 6, "b")],
            ),
            (
                "the newest word counts",
                vec![gap(3, 9)],
                vec![fill(3, 6, "b"), fill(5, 9, "c")],
                vec![fill(3, 5, "b"), fill(5, 9, "c")],
            ),
            ("beside the gap", vec![gap(3, 6)], vec![fill(6, 9, "b")], vec![]),
        ] {
            assert_eq!(in_use(&gaps, &fills), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_left_of_a_span_by_table() {
        for (taken, wanted) in [
            (vec![], vec![0..10 * S]),
            (vec![0..10 * S], vec![]),
            (vec![2 * S..3 * S], vec![0..2 * S, 3 * S..10 * S]),
            (vec![-S..S, 9 * S..20 * S], vec![S..9 * S]),
            (vec![5 * S..6 * S, 4 * S..8 * S], vec![0..4 * S, 8 * S..10 * S]),
            (vec![1000..10 * S - 1000], vec![]),
        ] {
            assert_eq!(spans_without(0..10 * S, &taken), wanted, "{taken:?}");
        }
    }
}
