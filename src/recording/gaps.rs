//! What is missing of a session, computed from what its journal says. Pure.

use super::facts::{GapFact, MissingFact, SegmentFact};
use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::status::Gap;

/// Shorter than one AAC frame is rounding and no gap.
const SMALLEST: i64 = AAC_FRAME_SAMPLES as i64;

/// A hole that nothing in the journal explains: the bridge was not there.
const UNEXPLAINED: &str = "not received";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    start: i64,
    end: i64,
    cause: String,
}

/// The gaps of one session in order of media time: what was given up, what the show saw, and holes between segments,
/// without what was had after all. Spans that touch are one gap, with its causes in order.
pub(super) fn list(session: &str, segments: &[SegmentFact], missing: &[MissingFact], gaps: &[GapFact]) -> Vec<Gap> {
    let kept = kept_spans(segments);
    let told = missing
        .iter()
        .map(|m| (m.media_time, m.end(), &m.cause))
        .chain(gaps.iter().map(|g| (g.start, g.end, &g.cause)));
    let mut spans: Vec<Span> = told.flat_map(|(start, end, cause)| without(&kept, start, end, cause)).collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let mut known: Vec<(i64, i64)> = kept.clone();
    known.extend(spans.iter().map(|span| (span.start, span.end)));
    let known = union(known);
    let holes = known.windows(2).map(|pair| Span { start: pair[0].1, end: pair[1].0, cause: UNEXPLAINED.to_owned() });
    spans.extend(holes);
    merged(spans).into_iter().map(|span| gap(session, span)).collect()
}

fn gap(session: &str, span: Span) -> Gap {
    let seconds = |samples: i64| samples as f64 / f64::from(SAMPLE_RATE);
    Gap {
        session: session.to_owned(),
        start_seconds: seconds(span.start),
        end_seconds: seconds(span.end),
        cause: span.cause,
    }
}

/// Media time that is kept, as disjoint spans in order.
fn kept_spans(segments: &[SegmentFact]) -> Vec<(i64, i64)> {
    union(segments.iter().map(|segment| (segment.media_time, segment.end())).collect())
}

/// Samples of media time that are kept, counted once where two segments cover the same.
pub(super) fn kept_samples(segments: &[SegmentFact]) -> i64 {
    kept_spans(segments).iter().map(|(start, end)| end.saturating_sub(*start)).fold(0, i64::saturating_add)
}

/// Disjoint spans in order; those less than a frame apart are joined.
fn union(mut spans: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (start, end) in spans {
        match joined.last_mut() {
            Some(last) if start.saturating_sub(last.1) < SMALLEST => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// What of `start..end` is not kept.
fn without(kept: &[(i64, i64)], start: i64, end: i64, cause: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut from = start;
    for (kept_start, kept_end) in kept.iter().filter(|(s, e)| *e > start && *s < end) {
        spans.push((from, *kept_start));
        from = from.max(*kept_end);
    }
    spans.push((from, end));
    let long = |(start, end): &(i64, i64)| end.saturating_sub(*start) >= SMALLEST;
    spans.into_iter().filter(long).map(|(start, end)| Span { start, end, cause: cause.to_owned() }).collect()
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start.saturating_sub(last.end) < SMALLEST => {
                last.end = last.end.max(span.end);
                add_cause(&mut last.cause, &span.cause);
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// Adds a cause that is not there yet; a few are enough for people.
fn add_cause(causes: &mut String, cause: &str) {
    let told: Vec<&str> = causes.split("; ").collect();
    if !told.contains(&cause) && told.len() < 3 {
        causes.push_str("; ");
        causes.push_str(cause);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 48_000;

    fn segment(start: i64, seconds: i64) -> SegmentFact {
        let json = serde_json::json!({"session": "s", "sequence": 1, "name": "", "file": "", "bytes": 0, "sha256": "",
            "media_time": start * S, "duration": seconds * S, "listed_at": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json).expect("a segment")
    }

    fn missing(start: i64, seconds: u64, cause: &str) -> MissingFact {
        let duration = seconds * S as u64;
        MissingFact { media_time: start * S, duration, cause: cause.into(), ..MissingFact::default() }
    }

    type Case<'a> = (&'a str, Vec<SegmentFact>, Vec<MissingFact>, &'a [(f64, f64, &'a str)]);

    #[test]
    fn gaps_by_table() {
        let seg = segment;
        let miss = missing;
        let cases: Vec<Case<'_>> = vec![
            ("nothing", vec![], vec![], &[]),
            ("whole", vec![seg(0, 3), seg(3, 3)], vec![], &[]),
            ("one missing", vec![seg(0, 3), seg(6, 3)], vec![miss(3, 3, "404")], &[(3.0, 6.0, "404")]),
            (
                "contiguous are one",
                vec![seg(0, 3), seg(9, 3)],
                vec![miss(3, 3, "404"), miss(6, 3, "404")],
                &[(3.0, 9.0, "404")],
            ),
            ("causes in order", vec![], vec![miss(3, 3, "b"), miss(0, 3, "a")], &[(0.0, 6.0, "a; b")]),
            (
                "apart are two",
                vec![seg(3, 3)],
                vec![miss(0, 3, "x"), miss(6, 3, "x")],
                &[(0.0, 3.0, "x"), (6.0, 9.0, "x")],
            ),
            ("had after all", vec![seg(0, 3), seg(3, 3)], vec![miss(3, 3, "404")], &[]),
            ("half repaired", vec![seg(0, 3), seg(4, 1)], vec![miss(3, 3, "x")], &[(3.0, 4.0, "x"), (5.0, 6.0, "x")]),
            ("unexplained", vec![seg(0, 3), seg(10, 3)], vec![], &[(3.0, 10.0, "not received")]),
            (
                "partly explained",
                vec![seg(0, 3), seg(10, 3)],
                vec![miss(3, 3, "404")],
                &[(3.0, 10.0, "404; not received")],
            ),
            (
                "across a resume",
                vec![seg(0, 3), seg(60, 3)],
                vec![miss(3, 50, "a"), miss(53, 7, "a")],
                &[(3.0, 60.0, "a")],
            ),
        ];
        for (name, segments, missing, expected) in cases {
            let gaps = list("s", &segments, &missing, &[]);
            let found: Vec<_> = gaps.iter().map(|g| (g.start_seconds, g.end_seconds, g.cause.as_str())).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn what_the_show_saw_counts_where_there_are_no_segments() {
        let saw = [GapFact { session: "s".into(), start: 10 * S, end: 12 * S, cause: "connection lost".into() }];
        let gaps = list("s", &[], &[], &saw);
        assert_eq!((gaps.len(), gaps[0].start_seconds, gaps[0].end_seconds), (1, 10.0, 12.0));
    }

    proptest! {
        #[test]
        fn kept_and_gaps_cover_the_session_without_overlap(
            kept in proptest::collection::vec((-100_i64..100, 1_i64..5), 1..20),
            lost in proptest::collection::vec((-100_i64..100, 1_u64..5), 0..20),
        ) {
            let segments: Vec<_> = kept.iter().map(|(start, length)| segment(*start, *length)).collect();
            let missing: Vec<_> = lost.iter().map(|(start, length)| missing(*start, *length, "x")).collect();
            let gaps = list("s", &segments, &missing, &[]);
            let second = |n: i64| {
                let kept = segments.iter().any(|s| s.media_time <= n * S && s.end() > n * S);
                let gap = gaps.iter().filter(|g| g.start_seconds <= n as f64 && g.end_seconds > n as f64).count();
                (kept, gap)
            };
            let starts = segments.iter().map(|s| s.media_time).chain(missing.iter().map(|m| m.media_time));
            let ends = segments.iter().map(SegmentFact::end).chain(missing.iter().map(MissingFact::end));
            let (start, end) = (starts.min().unwrap_or(0), ends.max().unwrap_or(0));
            for n in start / S..end / S {
                let (kept, gap) = second(n);
                prop_assert_eq!(gap, usize::from(!kept), "second {}", n);
            }
            let missing: f64 = gaps.iter().map(|gap| gap.end_seconds - gap.start_seconds).sum();
            prop_assert_eq!(kept_samples(&segments) + (missing * S as f64) as i64, end - start);
        }

        #[test]
        fn a_repair_takes_away_what_it_covers_and_nothing_else(
            kept in proptest::collection::vec((-100_i64..100, 1_i64..5), 1..20),
            repaired in proptest::collection::vec((-150_i64..150, 1_i64..20), 1..10),
        ) {
            let before: Vec<_> = kept.iter().map(|(start, length)| segment(*start, *length)).collect();
            let origin = crate::recording::Origin::Replay;
            let late = repaired.iter().map(|(start, length)| SegmentFact { origin, late: true, ..segment(*start, *length) });
            let after: Vec<_> = before.iter().cloned().chain(late).collect();
            let lacks = |segments: &[SegmentFact], n: i64| {
                let gaps = list("s", segments, &[], &[]);
                gaps.iter().any(|gap| gap.start_seconds <= n as f64 && gap.end_seconds > n as f64)
            };
            let covered = |n: i64| repaired.iter().any(|(start, length)| (*start..start + length).contains(&n));
            let (first, last) = (kept.iter().map(|k| k.0).min().unwrap_or(0), kept.iter().map(|k| k.0 + k.1).max().unwrap_or(0));
            for n in first..last {
                prop_assert_eq!(lacks(&after, n), lacks(&before, n) && !covered(n), "second {}", n);
            }
        }
    }
}
