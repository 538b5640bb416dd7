//! One path of a recording: a session, or one half of a session of which two sources with one id kept segments and
//! streams side by side.

use std::ops::Range as Span;

use crate::episode::decoded::Decoded;
use crate::episode::error::EpisodeError;
use crate::episode::reel::{Half, Range, Reel};
use crate::media::SAMPLE_RATE;
use crate::recording::{Archive, CaptureArchive, SessionArchive, spans_without};

const SECOND: i64 = SAMPLE_RATE as i64;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    archive: &'a Archive,
    pub(super) session: &'a SessionArchive,
    pub(super) half: Half,
}

impl<'a> Path<'a> {
    /// The paths of a session, first the one whose gaps the session lists.
    pub(super) fn of(archive: &'a Archive, session: &'a SessionArchive) -> Vec<Self> {
        let path = |half| Path { archive, session, half };
        match (session.segments.is_empty(), session.captures.is_empty()) {
            (false, false) => vec![path(Half::Segments), path(Half::Streams)],
            (false, true) => vec![path(Half::Segments)],
            (true, false) => vec![path(Half::Streams)],
            (true, true) => Vec::new(),
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let stream = self.half == Half::Streams && !self.session.segments.is_empty();
        format!("{}session {}", if stream { "stream of the " } else { "" }, self.session.info.session)
    }

    fn has(&self, half: Half) -> bool {
        self.half == half
    }

    /// Media times of its streams. One that a crash cut off has no length: as far as is known it goes on.
    fn streams(&self) -> impl Iterator<Item = Span<i64>> {
        let end = |start: i64, capture: &CaptureArchive| {
            capture.seconds.map_or(i64::MAX, |seconds| start.saturating_add((seconds * SECOND as f64) as i64))
        };
        let streams = self.session.captures.iter().filter(|_| self.has(Half::Streams));
        streams.filter_map(move |capture| capture.media_time.map(|start| start..end(start, capture)))
    }

    /// Media times from its first sample to its last.
    pub(super) fn extent(&self) -> Option<Span<i64>> {
        let segments = self.session.segments.iter().filter(|_| self.has(Half::Segments));
        let spans = segments.map(|segment| segment.media_time..segment.end()).chain(self.streams());
        spans.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))
    }

    /// Wall time of its media zero, in samples since 1970, by what arrived next to media time `near`.
    pub(super) fn wall_zero(&self, near: i64) -> Option<i64> {
        let samples = |at: jiff::Timestamp| {
            i64::try_from(at.as_nanosecond() * i128::from(SAMPLE_RATE) / 1_000_000_000).unwrap_or(i64::MAX)
        };
        let live = self.session.segments.iter().filter(|segment| segment.origin.is_live() && !segment.late);
        let live = live.filter(|_| self.has(Half::Segments));
        let segments = live.map(|segment| (segment.end(), samples(segment.listed_at)));
        let streams = self.session.captures.iter().filter(|_| self.has(Half::Streams));
        let streams = streams.filter_map(|one| Some((one.media_time?, samples(one.started_at?))));
        let (media_time, wall) = segments.chain(streams).min_by_key(|(media_time, _)| media_time.abs_diff(near))?;
        Some(wall.saturating_sub(media_time))
    }

    /// What of `spans`, which are media times of another path, it holds.
    pub(super) fn held(&self, spans: &[Span<i64>], offset: i64) -> Vec<Span<i64>> {
        let here = |there: Span<i64>| there.start.saturating_sub(offset)..there.end.saturating_sub(offset);
        if self.has(Half::Streams) && !self.session.segments.is_empty() {
            // The gaps that the session lists are those between its segments.
            let streams: Vec<Span<i64>> = self.streams().map(here).collect();
            let common = |span: &Span<i64>| {
                let span = span.clone();
                let parts = streams.iter().map(move |one| one.start.max(span.start)..one.end.min(span.end));
                parts.filter(|part| !part.is_empty()).collect::<Vec<_>>()
            };
            return spans.iter().flat_map(common).collect();
        }
        let lacking: Vec<Span<i64>> = self.session.gap_spans().into_iter().map(here).collect();
        spans.iter().flat_map(|span| spans_without(span.clone(), &lacking)).collect()
    }

    /// A span of it in one channel, silent where it has nothing.
    pub(super) fn hear(&self, span: Span<i64>) -> Result<Vec<f32>, EpisodeError> {
        let range = Range { start: Some(span.start.saturating_sub(SECOND / 4)), end: Some(span.end) };
        let mut decoded = Decoded::new(Reel::alone(self.archive, &self.session.info.session, range)?.only(self.half));
        let mut heard = vec![0.0; usize::try_from(span.end.saturating_sub(span.start)).unwrap_or(0)];
        let mut block = Vec::new();
        loop {
            let position = decoded.position();
            let more = decoded.next(&mut block)?;
            if !more {
                return Ok(heard);
            }
            // A stream of samples tells its place with its first ones, after it was opened.
            let Some(origin) = decoded.origin() else { continue };
            let at = origin.saturating_add_unsigned(position).saturating_sub(span.start);
            for (n, [left, right]) in block.iter().enumerate() {
                let place = usize::try_from(at.saturating_add(n as i64)).ok();
                if let Some(sample) = place.and_then(|place| heard.get_mut(place)) {
                    *sample = (left + right) / 2.0;
                }
            }
        }
    }
}
