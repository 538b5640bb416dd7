//! What is missing of a session and may still be had. Pure.

use crate::media::{AAC_FRAME_SAMPLES, SAMPLE_RATE};
use crate::recording::{SegmentFact, SessionArchive};
use crate::status::Gap;

use super::plan::samples_between;

/// A session that began so much before its first kept segment was joined late: clocks differ by less.
const LATE: i64 = 10 * SAMPLE_RATE as i64;

/// What is known to be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lacking {
    /// Gaps between kept segments whose numbers are not all there.
    pub gaps: Vec<Gap>,
    /// Seconds of gaps between segments that follow each other by number: nothing was sent there.
    pub unsent_seconds: f64,
    /// Seconds before the first kept segment, as far as the platform tells when the session began.
    pub before_seconds: f64,
}

impl Lacking {
    /// What may be had, in seconds.
    pub fn seconds(&self) -> f64 {
        self.gaps.iter().map(|gap| gap.end_seconds - gap.start_seconds).sum::<f64>() + self.before_seconds
    }

    /// Whether nothing is to be had.
    pub fn is_nothing(&self) -> bool {
        self.gaps.is_empty() && self.before_seconds <= 0.0
    }
}

/// What `session` lacks.
pub fn lacking(session: &SessionArchive) -> Lacking {
    let mut kept: Vec<&SegmentFact> = session.segments.iter().collect();
    kept.sort_by_key(|segment| (segment.media_time, segment.sequence));
    let mut lacking = Lacking { before_seconds: before(session, kept.first().copied()), ..Lacking::default() };
    if kept.is_empty() && !session.captures.is_empty() {
        // A stream without segments has no past.
        return Lacking::default();
    }
    for gap in session.gap_list() {
        if was_sent(&kept, &gap) {
            lacking.gaps.push(gap);
        } else {
            lacking.unsent_seconds += gap.end_seconds - gap.start_seconds;
        }
    }
    lacking
}

/// Whether a number is lacking in a gap.
fn was_sent(kept: &[&SegmentFact], gap: &Gap) -> bool {
    let samples = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as i64;
    let middle = samples(f64::midpoint(gap.start_seconds, gap.end_seconds));
    let next = kept.partition_point(|segment| segment.media_time < middle);
    let (left, right) = (next.checked_sub(1).map(|index| kept[index]), kept.get(next));
    left.zip(right).is_none_or(|(left, right)| left.sequence.checked_add(1) != Some(right.sequence))
}

fn before(session: &SessionArchive, first: Option<&SegmentFact>) -> f64 {
    let Some((began, first)) = session.info.started_at.zip(first) else { return 0.0 };
    let Some(dated) = first.program_date_time.filter(|_| first.sequence > 0) else { return 0.0 };
    let late = samples_between(began, dated);
    if late > LATE { late as f64 / f64::from(SAMPLE_RATE) } else { 0.0 }
}

/// The samples of a gap.
pub(super) fn span(gap: &Gap) -> (i64, u64) {
    let frame = AAC_FRAME_SAMPLES as f64;
    let samples = |seconds: f64| seconds * f64::from(SAMPLE_RATE);
    let length = samples(gap.end_seconds - gap.start_seconds).max(0.0);
    (samples(gap.start_seconds).round() as i64, if length < frame { 0 } else { length.round() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{GapFact, SessionFact};

    fn kept(sequence: u64, second: i64) -> SegmentFact {
        let at = format!("2026-01-01T00:{:02}:{:02}Z", (second + 60) / 60, (second + 60) % 60);
        let json = serde_json::json!({"session": "s", "sequence": sequence, "name": "", "file": "", "bytes": 0,
            "sha256": "", "media_time": second * 48_000, "duration": 3 * 48_000, "listed_at": at,
            "program_date_time": at});
        serde_json::from_value(json).expect("a segment")
    }

    fn session(segments: &[SegmentFact], started: Option<&str>) -> SessionArchive {
        let mut session = SessionArchive::default();
        session.segments.extend_from_slice(segments);
        session.info =
            SessionFact { started_at: started.map(|at| at.parse().expect("a time")), ..SessionFact::default() };
        session
    }

    #[test]
    fn what_may_be_had_by_table() {
        let pause = GapFact { session: "s".into(), start: 3 * 48_000, end: 9 * 48_000, cause: "stalled".into() };
        for (name, segments, started, seconds, unsent) in [
            ("nothing kept", vec![], Some("2026-01-01T00:00:00Z"), 0.0, 0.0),
            ("whole", vec![kept(4, 0), kept(5, 3)], None, 0.0, 0.0),
            ("a number is lacking", vec![kept(4, 0), kept(7, 9)], None, 6.0, 0.0),
            ("nothing was sent", vec![kept(4, 0), kept(5, 9)], None, 0.0, 6.0),
            ("joined late", vec![kept(4, 0)], Some("2026-01-01T00:00:00Z"), 60.0, 0.0),
            ("joined at the first", vec![kept(0, 0)], Some("2026-01-01T00:00:00Z"), 0.0, 0.0),
            ("clocks differ", vec![kept(4, 0)], Some("2026-01-01T00:00:55Z"), 0.0, 0.0),
        ] {
            let found = lacking(&session(&segments, started));
            assert_eq!((found.seconds(), found.unsent_seconds), (seconds, unsent), "{name}");
            assert_eq!(found.is_nothing(), seconds == 0.0, "{name}");
        }
        let mut told = session(&[kept(4, 0), kept(7, 9)], None);
        told.gaps.push(pause);
        assert_eq!(lacking(&told).seconds(), 6.0);
    }
}
