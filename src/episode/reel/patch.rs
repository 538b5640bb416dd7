//! What a reel lacks and another path of the archive holds, ready to be read.

use std::collections::VecDeque;
use std::ops::Range as Span;

use super::{Range, Reel};
use crate::episode::error::EpisodeError;
use crate::media::SAMPLE_RATE;
use crate::recording::{Archive, FillFact, SessionArchive};

/// What is read before and behind a patch: a decoder's first frames are not whole, and the joints need some.
const AROUND: i64 = SAMPLE_RATE as i64 / 4;

/// Which of two things that a session may hold side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// Its segments.
    Segments,
    /// Its captured streams.
    Streams,
}

impl Reel {
    /// With one half only of what its session holds.
    pub(in crate::episode) fn only(mut self, half: Half) -> Self {
        match half {
            Half::Segments => self.captures = Vec::new().into_iter(),
            Half::Streams => self.segments = Vec::new().into_iter(),
        }
        self
    }
}

/// A span that another path holds.
#[derive(Debug)]
pub(crate) struct Patch {
    /// Which, in this session's media time.
    pub(crate) span: Span<i64>,
    /// The id of the session that holds it.
    pub(crate) from: String,
    /// Media time there is media time here and this many samples.
    pub(crate) offset: i64,
    /// What it holds there.
    pub(crate) reel: Reel,
}

/// The patches of `session` in `range`, in order.
pub(super) fn of(archive: &Archive, session: &str, range: Range) -> Result<VecDeque<Patch>, EpisodeError> {
    let fills = archive.session(session).map(|session| session.fills_in_use()).unwrap_or_default();
    let is_wanted =
        |start: i64, end: i64| range.start.is_none_or(|from| end > from) && range.end.is_none_or(|until| start < until);
    let is_there = |fill: &FillFact| {
        // A session's own streams fill its segments, never themselves.
        let is_another = |found: &SessionArchive| fill.from != session || fill.streams && !found.segments.is_empty();
        archive.session(&fill.from).is_some_and(is_another)
    };
    let wanted = fills.into_iter().filter(|fill| is_wanted(fill.start, fill.end) && is_there(fill));
    wanted
        .map(|fill| {
            let there = |at: i64| at.saturating_add(fill.offset);
            let range = Range {
                start: Some(there(fill.start).saturating_sub(AROUND)),
                end: Some(there(fill.end).saturating_add(AROUND)),
            };
            let half = if fill.streams { Half::Streams } else { Half::Segments };
            // Alone: what that session lacks itself may be filled from this one.
            let reel = Reel::alone(archive, &fill.from, range)?.only(half);
            Ok(Patch { span: fill.start..fill.end, from: fill.from, offset: fill.offset, reel })
        })
        .collect()
}
