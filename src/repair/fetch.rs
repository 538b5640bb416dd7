//! Fetches what a plan names and hands it to the recording, in order, several at once.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::cursor::{Cursor, Put};
use super::plan::Plan;
use super::progress::{Doing, Meter};
use crate::clock::Clock;
use crate::recording::{NewSegment, Origin, Recording};
use crate::source::past::{PastEntry, PastSegment};
use crate::source::{Past, SourceError, SourceFault};

/// Segments that are handed over before the disk is waited for: 2 MB of a Space.
const AHEAD: usize = 64;

/// How one pass over a plan goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Fetches at once.
    pub(super) parallel: usize,
    /// What is written as the origin.
    pub(super) origin: Origin,
    /// Whether a segment that stays damaged is kept as it is.
    pub(super) keep_damaged: bool,
}

/// What came of a pass.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Segments that are kept now.
    pub(super) had: usize,
    /// Samples in them.
    pub(super) samples: u64,
    /// Segments that the platform does not hold any more.
    pub(super) gone: usize,
    /// Segments that may be had later.
    pub(super) failed: usize,
    /// The last word about one that failed.
    pub(super) error: Option<String>,
    /// How long the platform wants to be left alone.
    pub(super) wait: Option<Duration>,
    /// Only the operator can help.
    pub(super) blocked: bool,
}

/// Does what `plan` says for `session`. May be dropped at any moment: what was handed over is kept.
pub(super) async fn pass(
    (recording, session): (&Recording, &str),
    past: &dyn Past,
    plan: &Plan,
    manner: Manner,
    clock: &Clock,
    meter: &Meter,
) -> Outcome {
    let mut outcome = Outcome::default();
    let total = plan.segments();
    let entries = plan.runs.iter().enumerate().flat_map(|(run, it)| it.entries.iter().map(move |entry| (run, entry)));
    let fetches = entries.map(|(run, entry)| async move { (run, entry, past.fetch(entry).await) });
    let mut fetched = futures_util::stream::iter(fetches).buffered(manner.parallel.max(1));
    let mut at: Option<(usize, Cursor)> = None;
    let mut done = 0;
    while let Some((run, entry, result)) = fetched.next().await {
        let cursor = match &mut at {
            Some((of, cursor)) if *of == run => cursor,
            _ => &mut at.insert((run, Cursor::of(&plan.runs[run]))).1,
        };
        let put = outcome.take(entry, result, cursor, manner);
        if let Some((segment, put)) = put {
            recording.segment(new_segment(session, entry, segment, put, manner.origin, clock));
            outcome.had += 1;
            outcome.samples += put.duration;
            if outcome.had % AHEAD == 0 {
                recording.flush().await;
            }
        }
        done += 1;
        meter.doing(Doing::Fetching { fetched: done, total });
        if outcome.wait.is_some() || outcome.blocked {
            outcome.failed += total - done;
            break;
        }
    }
    recording.flush().await;
    outcome
}

impl Outcome {
    /// What is to be kept of one answer, and where.
    fn take(
        &mut self,
        entry: &PastEntry,
        result: Result<PastSegment, SourceError>,
        cursor: &mut Cursor,
        manner: Manner,
    ) -> Option<(PastSegment, Put)> {
        let error = match result {
            Ok(segment) if segment.whole || (manner.keep_damaged && segment.duration > 0) => {
                let put = cursor.put(segment.duration, entry.duration)?;
                return Some((segment, put));
            }
            Ok(_) => SourceError::transient("a segment comes damaged"),
            Err(error) => error,
        };
        cursor.pass(entry.duration);
        match error.class {
            SourceFault::Gone => self.gone += 1,
            SourceFault::RateLimited(wait) => (self.failed, self.wait) = (self.failed + 1, Some(wait)),
            SourceFault::Operator => (self.failed, self.blocked) = (self.failed + 1, true),
            SourceFault::Transient => self.failed += 1,
        }
        self.error = Some(error.message);
        None
    }
}

fn new_segment(
    session: &str,
    entry: &PastEntry,
    segment: PastSegment,
    put: Put,
    origin: Origin,
    clock: &Clock,
) -> NewSegment {
    NewSegment {
        session: session.to_owned(),
        sequence: entry.sequence.unwrap_or(0),
        name: entry.name.clone(),
        bytes: segment.bytes,
        media_time: put.media_time,
        duration: put.duration,
        program_date_time: entry.program_date_time,
        listed_at: clock.wall(),
        discontinuity: entry.discontinuity,
        origin,
        facts: segment.facts.iter().filter_map(|fact| serde_json::to_value(fact).ok()).collect(),
    }
}
