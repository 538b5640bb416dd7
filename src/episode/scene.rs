//! What there is to see of a file: its waveform and what lies in it, in seconds of the file. What the picture is drawn
//! from and the JSON of peaks is written from.

use std::ops::Range;

use serde::Serialize;

use super::speakers::Turn;
use crate::measure::Measurement;
use crate::media::SAMPLE_RATE;
use crate::recording::{Origin, SessionArchive};
use crate::text;

/// Spans of one kind at most: more cannot be seen.
const MOST_SPANS: usize = 20_000;

/// Longest cause that is told.
const LONGEST_CAUSE: usize = 200;

/// A piece of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// Start, in seconds of the file.
    pub start: f64,
    /// End, in seconds of the file.
    pub end: f64,
    /// Why it is missing, or where it was had from.
    pub cause: String,
}

/// A chapter of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenePlace {
    /// Start, in seconds of the file.
    pub start: f64,
    /// What it is called; hostile text.
    pub title: String,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// What was measured of the session.
    pub measurement: &'a Measurement,
    /// Media times that the file holds.
    pub range: Range<i64>,
    /// The file's title; hostile text.
    pub title: String,
    /// What is missing.
    pub gaps: Vec<Span>,
    /// What was not heard live: had from the platform's past.
    pub repairs: Vec<Span>,
    /// Chapters, in order.
    pub chapters: Vec<ScenePlace>,
    /// Who spoke when.
    pub turns: Vec<Turn>,
}

impl<'a> Scene<'a> {
    /// The scene of a file that holds the media times `range` of `session`. Chapters are in seconds of the file.
    pub fn new(
        session: &SessionArchive,
        measurement: &'a Measurement,
        range: Range<i64>,
        chapters: impl IntoIterator<Item = (f64, String)>,
        turns: Vec<Turn>,
    ) -> Self {
        let title = session.info.title.clone().unwrap_or_else(|| session.info.session.clone());
        let chapters = chapters.into_iter().map(|(start, title)| ScenePlace { start, title }).collect();
        Self {
            measurement,
            title,
            gaps: gaps(session, &range),
            repairs: repairs(session, &range),
            chapters,
            turns,
            range,
        }
    }

    /// Length of the file, in seconds.
    pub fn seconds(&self) -> f64 {
        self.range.end.saturating_sub(self.range.start).max(0) as f64 / f64::from(SAMPLE_RATE)
    }
}

fn gaps(session: &SessionArchive, range: &Range<i64>) -> Vec<Span> {
    let rate = f64::from(SAMPLE_RATE);
    let (from, to) = (range.start as f64 / rate, range.end as f64 / rate);
    let within = |gap: crate::status::Gap| {
        let (start, end) = (gap.start_seconds.max(from), gap.end_seconds.min(to));
        (end > start).then(|| Span {
            start: start - from,
            end: end - from,
            cause: text::plain(&gap.cause, LONGEST_CAUSE),
        })
    };
    session.gap_list().into_iter().filter_map(within).take(MOST_SPANS).collect()
}

fn repairs(session: &SessionArchive, range: &Range<i64>) -> Vec<Span> {
    let mut kept: Vec<_> = session.segments.iter().filter(|segment| !segment.origin.is_live()).collect();
    kept.sort_by_key(|segment| segment.media_time);
    let seconds = |at: i64| at.saturating_sub(range.start) as f64 / f64::from(SAMPLE_RATE);
    let mut spans: Vec<Span> = Vec::new();
    for segment in kept {
        let (start, end) = (segment.media_time.max(range.start), segment.end().min(range.end));
        if end <= start {
            continue;
        }
        let cause = if segment.origin == Origin::Replay { "replay" } else { "snapshot" };
        if let Some(last) = spans.last_mut().filter(|last| last.cause == cause && seconds(start) - last.end < 0.05) {
            last.end = seconds(end);
        } else if spans.len() < MOST_SPANS {
            spans.push(Span { start: seconds(start), end: seconds(end), cause: cause.to_owned() });
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::peaks;
    use crate::measure::{Hop, Second};
    use crate::recording::{GapFact, SegmentFact};

    fn segment(second: i64, origin: Origin) -> SegmentFact {
        let json = serde_json::json!({
            "session": "s", "sequence": second + 100, "name": "n", "file": "f", "bytes": 1, "sha256": "",
            "media_time": second * 48_000, "duration": 48_000, "listed_at": "2026-01-02T19:00:00Z",
        });
        SegmentFact { origin, ..serde_json::from_value(json).expect("a segment") }
    }

    fn session() -> SessionArchive {
        let mut session = SessionArchive::default();
        let origins = [(-2, Origin::Snapshot), (-1, Origin::Snapshot), (0, Origin::Live), (3, Origin::Replay)];
        session.segments = origins.map(|(second, origin)| segment(second, origin)).to_vec();
        session.segments.push(segment(4, Origin::Live));
        session.gaps = vec![GapFact { session: "s".into(), start: 48_000, end: 144_000, cause: "a\u{7}b\n".into() }];
        session
    }

    fn told(spans: &[Span]) -> Vec<(f64, f64, &str)> {
        spans.iter().map(|span| (span.start, span.end, span.cause.as_str())).collect()
    }

    #[test]
    fn what_lies_in_a_file_counts_from_its_first_sample_and_ends_with_it() {
        let measurement = Measurement::default();
        let scene = |range| Scene::new(&session(), &measurement, range, [], Vec::new());
        let whole = scene(-96_000..240_000);
        assert_eq!(told(&whole.gaps), [(3.0, 5.0, "a b")]);
        assert_eq!(told(&whole.repairs), [(0.0, 2.0, "snapshot"), (5.0, 6.0, "replay")]);
        let trimmed = scene(-24_000..96_000);
        assert_eq!(told(&trimmed.gaps), [(1.5, 2.5, "a b")]);
        assert_eq!(told(&trimmed.repairs), [(0.0, 0.5, "snapshot")]);
        assert_eq!((scene(0..0).gaps.len(), scene(0..0).seconds()), (0, 0.0));
    }

    #[test]
    fn peaks_have_the_shape_that_players_of_waveforms_read() {
        let mut measurement = Measurement::default();
        let mut second = Second::default();
        second.hops[2..4].fill(Some(Hop::new(-20.0, -1.0, 0.5)));
        measurement.add(0, second);
        let scene = Scene::new(&session(), &measurement, -4800..24_100, [(0.0, "A \"b\"".to_owned())], Vec::new());
        let json: serde_json::Value = serde_json::from_str(&peaks::json(&scene)).expect("JSON");
        let data = serde_json::json!([0, 0, 0, 0, 0, 0, -127, 64, -127, 64, 0, 0, 0, 0]);
        assert_eq!((&json["version"], &json["length"], &json["data"]), (&2.into(), &7.into(), &data));
        assert_eq!((&json["sample_rate"], &json["samples_per_pixel"]), (&48_000.into(), &4800.into()));
        assert_eq!(json["chapters"][0]["title"], "A \"b\"");
    }
}
