//! Fetches what a plan names and hands it to the recording, in order, several at once.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;

use super::cursor::{Cursor, Put};
use super::plan::Plan;
use super::progress::{Doing, Meter};
use crate::clock::Clock;
use crate::recording::{MissingFact, NewSegment, Origin, Recording};
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
    /// Whether what the platform does not hold any more is listed as missing.
    pub(super) list_gone: bool,
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
    /// The place of the newest one that is gone.
    lost: Option<Put>,
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
    let mut jobs: Vec<(usize, &PastEntry)> = Vec::with_capacity(total);
    for (index, run) in plan.runs.iter().enumerate() {
        jobs.extend(run.entries.iter().map(|entry| (index, entry)));
    }
    let mut waiting = jobs.iter();
    let mut fetches = FuturesOrdered::new();
    fetches.extend(waiting.by_ref().take(manner.parallel.max(1)).map(|(_, entry)| past.fetch(entry)));
    let mut at: Option<(usize, Cursor)> = None;
    let mut done = 0;
    while let Some(result) = fetches.next().await {
        let (run, entry) = jobs[done];
        if let Some((_, entry)) = waiting.next() {
            fetches.push_back(past.fetch(entry));
        }
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
        if let Some(put) = outcome.lost.take().filter(|_| manner.list_gone) {
            recording.missing(gone(session, entry, put));
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
        let place = cursor.pass(entry.duration);
        match error.class {
            SourceFault::Gone => (self.gone, self.lost) = (self.gone + 1, Some(place)),
            SourceFault::RateLimited(wait) => (self.failed, self.wait) = (self.failed + 1, Some(wait)),
            SourceFault::Operator => (self.failed, self.blocked) = (self.failed + 1, true),
            SourceFault::Transient => self.failed += 1,
        }
        self.error = Some(error.message);
        None
    }
}

fn gone(session: &str, entry: &PastEntry, put: Put) -> MissingFact {
    let sequence = entry.sequence.unwrap_or(0);
    MissingFact {
        session: session.to_owned(),
        first_sequence: sequence,
        last_sequence: sequence,
        names: vec![entry.name.clone()],
        media_time: put.media_time,
        duration: put.duration,
        cause: "in the replay's list, but not to be had any more".to_owned(),
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
