//! What could not be had: told with its place once that is certain, and wanted late.

use super::{Follow, Had, Hole, Place, Wanted};
use crate::source::x_space::segment;
use crate::source::{MissingSpan, Segment, SourceError, SourceEvent};

impl Follow {
    pub(super) fn on_hole(&mut self, hole: Hole) {
        self.listed.retain(|listed| listed.sequence > hole.last_sequence);
        let before = self.timeline.lost();
        let listed = hole.entry.as_ref().map(|entry| entry.duration);
        self.timeline.give_up(hole.first_sequence, hole.last_sequence, listed);
        self.holes.push((hole, self.timeline.lost() - before));
    }

    /// Tells what is missing: up to the next segment, or as far as the playlist's durations tell.
    pub(super) async fn tell_holes(&mut self, next: Option<Place>) -> Result<(), SourceError> {
        let holes = std::mem::take(&mut self.holes);
        let before = if next.is_some() { self.timeline.end_before_last() } else { self.timeline.end() };
        let start = before + self.told_missing as i64;
        let spans = spans(&holes, start, next);
        let told: u64 = spans.iter().map(|span| span.duration).sum();
        self.told_missing = if next.is_some() { 0 } else { self.told_missing + told };
        for span in spans {
            self.want_late(&holes, &span);
            self.reporter.send(SourceEvent::Missing(span)).await?;
        }
        Ok(())
    }

    fn want_late(&self, holes: &[(Hole, u64)], span: &MissingSpan) {
        let hole = holes.iter().map(|(hole, _)| hole).find(|hole| hole.first_sequence == span.first_sequence);
        let Some((hole, entry)) = hole.and_then(|hole| Some((hole, hole.entry.as_ref()?))) else { return };
        if entry.url.is_none() {
            return;
        }
        let wanted = Wanted {
            span: span.clone(),
            url: entry.url.clone(),
            program_date_time: entry.program_date_time,
            discontinuity: entry.discontinuity,
            listed_at: hole.listed_at,
        };
        self.late().want(wanted, tokio::time::Instant::now());
    }

    /// A segment that was given up was had: it is kept where it was missing.
    pub(super) async fn on_late(&mut self, had: Had) -> Result<(), SourceError> {
        let Had { wanted, bytes } = had;
        let split = segment::split(&bytes);
        let MissingSpan { first_sequence, names, media_time, duration, .. } = wanted.span;
        let segment = Segment {
            sequence: first_sequence,
            name: names.into_iter().next().unwrap_or_default(),
            bytes,
            media_time,
            // Never over what came after it.
            duration: if split.duration > 0 { split.duration.min(duration) } else { duration },
            program_date_time: wanted.program_date_time,
            discontinuity: wanted.discontinuity,
            listed_at: wanted.listed_at,
            facts: split.facts,
        };
        self.reporter.send(SourceEvent::Late(Box::new(segment))).await
    }
}

/// Missing spans one after the other from `start`; the last one reaches to `next`, whose place is certain.
fn spans(holes: &[(Hole, u64)], start: i64, next: Option<Place>) -> Vec<MissingSpan> {
    let mut at = start;
    let mut spans = Vec::with_capacity(holes.len());
    for (index, (hole, estimate)) in holes.iter().enumerate() {
        let left = next.map(|next| (next.media_time - at).max(0) as u64);
        let is_last = index + 1 == holes.len();
        let duration = left.map_or(*estimate, |left| if is_last { left } else { left.min(*estimate) });
        // Numbers that were skipped without any time between hide no audio.
        if duration > 0 || hole.entry.is_some() {
            spans.push(MissingSpan {
                first_sequence: hole.first_sequence,
                last_sequence: hole.last_sequence,
                names: hole.entry.iter().map(|entry| entry.name.clone()).collect(),
                media_time: at,
                duration,
                cause: hole.cause.clone(),
            });
        }
        at += duration as i64;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::hls::playlist::Entry;

    fn hole(first: u64, last: u64, entry: Option<Entry>) -> Hole {
        Hole {
            first_sequence: first,
            last_sequence: last,
            entry,
            listed_at: jiff::Timestamp::UNIX_EPOCH,
            cause: "test".into(),
        }
    }

    fn entry(sequence: u64) -> Option<Entry> {
        let name = format!("chunk_{sequence}");
        Some(Entry { sequence, url: None, name, duration: 100, program_date_time: None, discontinuity: false })
    }

    #[test]
    fn missing_spans_fill_the_hole_to_the_sample() {
        let holes = [(hole(5, 5, entry(5)), 100), (hole(6, 9, None), 400)];
        let next = Some(Place { media_time: 1512, duration: 9 });
        let told: Vec<_> = spans(&holes, 1000, next).iter().map(|span| (span.media_time, span.duration)).collect();
        assert_eq!(told, [(1000, 100), (1100, 412)]);
        let estimated: Vec<_> = spans(&holes, 1000, None).iter().map(|span| (span.media_time, span.duration)).collect();
        assert_eq!(estimated, [(1000, 100), (1100, 400)]);
    }

    #[test]
    fn numbers_that_hide_no_audio_are_not_told_as_missing() {
        let next = Some(Place { media_time: 1000, duration: 9 });
        assert!(spans(&[(hole(6, 9, None), 400)], 1000, next).is_empty());
        assert_eq!(spans(&[(hole(6, 6, entry(6)), 400)], 1000, next)[0].duration, 0);
    }
}
