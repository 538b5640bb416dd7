//! The engine: looks at what the platform holds, has fetched what is missing, and decides when to look again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fetch::{Manner, Outcome, pass};
use super::hope::{Lacking, lacking, span};
use super::plan::plan;
use super::progress::{Doing, Meter, RepairProgress, seconds};
use crate::alert::Events;
use crate::clock::Clock;
use crate::recording::{
    MissingFact, Origin, Recording, RepairFact, RepairState, SegmentFact, SessionArchive, SessionFact,
};
use crate::source::past::{PastList, PastQuery};
use crate::source::{Past, SessionInfo, SessionPhase, SourceFault};

/// Pause before the second look after the end: a replay is made within a minute or a few.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Looks after the end at that pause; then it grows.
const EAGER_LOOKS: u32 = 12;

/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Looks after which a segment that comes damaged each time is kept as it is.
const DAMAGED_LOOKS: u32 = 3;

/// Fetches at once while the session runs: its own segments come first.
const POLITE: usize = 2;

/// Fetches at once when nobody listens any more.
const EAGER: usize = 6;

/// How long a repair goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepairPolicy {
    /// When it gives up; none never does.
    pub until: Option<Instant>,
    /// Whether to look even if nothing is known to be missing: the platform may hold more than was ever announced.
    pub look_anyway: bool,
}

/// How a repair ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RepairEnd {
    /// Nothing that was sent is missing.
    Whole,
    /// Nothing more can be hoped for, or the deadline passed.
    GivenUp {
        /// Seconds that are missing.
        left: f64,
        /// Why.
        why: String,
    },
    /// It was stopped, or only the operator can help: to be gone on with later.
    Pending {
        /// Seconds that are missing.
        left: f64,
        /// Why.
        why: String,
    },
}

/// What a repair works with.
#[derive(Clone)]
pub struct Repair {
    /// The archive, open.
    pub recording: Arc<Recording>,
    /// What the platform holds.
    pub past: Arc<dyn Past>,
    /// Which session.
    pub query: PastQuery,
    /// Files of the archive that were altered or are gone.
    pub damaged: HashSet<String>,
    /// Time.
    pub clock: Clock,
    /// Where to report.
    pub events: Events,
    /// Ends it.
    pub token: CancellationToken,
    /// Where it tells how far it is.
    pub progress: watch::Sender<RepairProgress>,
    /// Whether the platform's list shows that nothing lies before the first kept segment.
    pub from_the_beginning: Arc<AtomicBool>,
}

/// What one look brought.
enum Look {
    /// There is a list, and what came of it.
    Listed { is_complete: bool, outcome: Outcome },
    /// None now; when to look again at the earliest.
    Nothing(Option<Duration>),
    /// None, and there never will be.
    Never,
    /// Only the operator can help.
    Blocked,
    /// The token was cancelled.
    Cancelled,
}

impl Repair {
    /// After the session: until it is whole, nothing more can be hoped for, or the time is over.
    pub async fn after(mut self, policy: RepairPolicy) -> RepairEnd {
        let mut pause = FIRST_PAUSE;
        let mut state = self.lacking();
        if state.is_nothing() && self.damaged.is_empty() && !policy.look_anyway {
            return RepairEnd::Whole;
        }
        self.note(RepairState::Pending, policy.until);
        loop {
            let look = self.look(EAGER).await;
            state = self.lacking();
            let left = state.seconds();
            self.meter().tell(|progress| progress.missing_seconds = left);
            let wait = match look {
                Look::Cancelled => return self.pending(&policy, left, "it was stopped".to_owned()),
                Look::Blocked => return self.pending(&policy, left, self.tried()),
                Look::Never => return self.over(&state, self.tried()),
                Look::Nothing(wait) => wait,
                Look::Listed { is_complete, outcome } => match judge(is_complete, &outcome, &state) {
                    Some(why) => return self.over(&state, why),
                    None => outcome.wait,
                },
            };
            if policy.until.is_some_and(|until| self.clock.now() >= until) {
                return self.over(&state, format!("the time for the repair is over: {}", self.tried()));
            }
            if self.looks() >= EAGER_LOOKS {
                pause = pause.mul_f64(1.5).min(LONGEST_PAUSE);
            }
            if !self.pause(wait.unwrap_or_default().max(pause), policy.until).await {
                return self.pending(&policy, left, "it was stopped".to_owned());
            }
        }
    }

    /// Beside a show, for as long as its session runs: whatever was said before, and every gap, as soon as the platform
    /// lists it. Quiet where it lists nothing.
    pub async fn beside(mut self) {
        let mut status = self.recording.status();
        let mut pause = FIRST_PAUSE;
        let mut known = 0.0;
        loop {
            let missing = self.lacking().seconds();
            if missing > known + 1.0 {
                pause = FIRST_PAUSE;
            }
            known = missing;
            if missing > 0.0 {
                if matches!(self.look(POLITE).await, Look::Cancelled | Look::Never | Look::Blocked) {
                    return;
                }
                known = self.lacking().seconds();
                if !self.pause(pause, None).await {
                    return;
                }
                pause = pause.mul_f64(2.0).min(LONGEST_PAUSE);
            } else {
                let (count, gaps) = count(&status.borrow_and_update());
                let token = self.token.clone();
                tokio::select! {
                    () = token.cancelled() => return,
                    changed = status.wait_for(|status| self::count(status) != (count, gaps)) => if changed.is_err() { return },
                }
                // A segment that is fetched late fills its gap by itself.
                if !self.pause(Duration::from_secs(3), None).await {
                    return;
                }
            }
        }
    }

    /// One look at the list, and the fetching of what is missing.
    async fn look(&mut self, parallel: usize) -> Look {
        let token = self.token.clone();
        tokio::select! {
            () = token.cancelled() => Look::Cancelled,
            look = self.looked(parallel) => look,
        }
    }

    async fn looked(&mut self, parallel: usize) -> Look {
        let meter = self.meter();
        meter.tell(|progress| (progress.doing, progress.looks) = (Doing::Looking, progress.looks + 1));
        let list = match self.past.list(&self.query).await {
            Ok(list) => list,
            Err(error) => {
                tracing::debug!(error = error.message, "The past cannot be looked at.");
                meter.tell(|progress| progress.tried = crate::text::plain(&error.message, 300));
                return match error.class {
                    SourceFault::Transient => Look::Nothing(None),
                    SourceFault::RateLimited(wait) => Look::Nothing(Some(wait)),
                    SourceFault::Gone => Look::Never,
                    SourceFault::Operator => Look::Blocked,
                };
            }
        };
        if let Some(info) = &list.info {
            self.learn(info);
        }
        let plan = plan(&self.session(), &list, &self.damaged);
        for note in &plan.notes {
            self.recording.note(note.clone());
        }
        let is_complete = self.is_complete(&list);
        let manner = Manner {
            parallel,
            list_gone: is_complete,
            origin: if list.is_replay { Origin::Replay } else { Origin::Snapshot },
            keep_damaged: list.is_replay && self.looks() >= DAMAGED_LOOKS,
        };
        let of = (self.recording.as_ref(), self.query.session.as_str());
        let outcome = pass(of, self.past.as_ref(), &plan, manner, &self.clock, &meter).await;
        if outcome.failed + outcome.gone == 0 {
            self.damaged.clear();
            self.from_the_beginning.fetch_or(!list.entries.is_empty(), Ordering::Relaxed);
        }
        self.tell(&list, &outcome);
        if outcome.blocked { Look::Blocked } else { Look::Listed { is_complete, outcome } }
    }

    fn tell(&self, list: &PastList, outcome: &Outcome) {
        let from = if list.is_replay { "the replay" } else { "the list of what was said so far" };
        let mut tried = format!("{from} lists {} segments; {} more are kept", list.entries.len(), outcome.had);
        if let Some(error) = &outcome.error {
            let lost = outcome.failed + outcome.gone;
            tried = crate::text::plain(&format!("{tried}, {lost} could not be had: {error}"), 300);
        }
        self.meter().tell(|progress| progress.tried = tried);
        if outcome.had > 0 {
            let had = seconds(outcome.samples as f64 / 48_000.0);
            let message = format!("{had} of the space that were missing are in the recording, from {from}");
            self.events.info("repair.had", "recording", message);
        }
    }

    /// A replay is complete when it says so and reaches as far as what was heard (observed by twspace-crawler).
    fn is_complete(&self, list: &PastList) -> bool {
        let session = self.session();
        let of_source = |segment: &&SegmentFact| segment.origin.is_live();
        let last = session.segments.iter().filter(of_source).map(|segment| segment.sequence).max();
        let reached = list.entries.iter().filter_map(|entry| entry.sequence).max();
        let reaches = last.zip(reached).is_none_or(|(last, reached)| reached >= last);
        list.is_replay && list.ended && reaches && !list.entries.is_empty()
    }

    /// It is over: what is left is listed with its reason.
    fn over(&self, state: &Lacking, why: String) -> RepairEnd {
        self.meter().doing(Doing::Over);
        if state.is_nothing() {
            self.note(RepairState::Whole, None);
            if state.unsent_seconds > 0.0 {
                let unsent = seconds(state.unsent_seconds);
                self.recording
                    .note(format!("In {unsent} of the session nothing was sent: the numbers go on over them."));
            }
            return RepairEnd::Whole;
        }
        for missing in still_missing(&self.session(), state, &why) {
            self.recording.missing(missing);
        }
        self.note(RepairState::GivenUp, None);
        RepairEnd::GivenUp { left: state.seconds(), why }
    }

    fn pending(&self, policy: &RepairPolicy, left: f64, why: String) -> RepairEnd {
        self.meter().doing(Doing::Over);
        self.note(RepairState::Pending, policy.until);
        RepairEnd::Pending { left, why }
    }

    fn note(&self, state: RepairState, until: Option<Instant>) {
        let until = until.and_then(|until| {
            let left = until.saturating_duration_since(self.clock.now());
            self.clock.wall().checked_add(left).ok()
        });
        let progress = self.progress.borrow().clone();
        let (session, looks) = (self.query.session.clone(), progress.looks);
        self.recording.repair(RepairFact { session, state, until, looks, tried: progress.tried });
    }

    /// What the platform says of the session now; what it does not say any more stays.
    fn learn(&self, info: &SessionInfo) {
        let known = self.session().info;
        self.recording.session(SessionFact {
            session: self.query.session.clone(),
            title: info.title.clone().or(known.title),
            host: info.host.clone().or(known.host),
            platform_state: info.platform_state.clone().or(known.platform_state),
            scheduled_start: info.scheduled_start.or(known.scheduled_start),
            started_at: info.started_at.or(known.started_at),
            ended_at: info.ended_at.or(known.ended_at),
            ended: known.ended || info.phase == SessionPhase::Ended,
        });
    }

    /// Waits. False if it was cancelled meanwhile.
    async fn pause(&self, pause: Duration, until: Option<Instant>) -> bool {
        let now = self.clock.now();
        let left = until.map_or(pause, |until| until.saturating_duration_since(now));
        let pause = pause.min(left);
        self.meter().doing(Doing::Waiting { until: now + pause });
        tokio::select! {
            () = self.token.cancelled() => false,
            () = self.clock.sleep(pause) => true,
        }
    }

    fn session(&self) -> SessionArchive {
        self.recording.archive().session(&self.query.session).cloned().unwrap_or_default()
    }

    /// What is known to be missing, told to whoever watches.
    fn lacking(&self) -> Lacking {
        let mut lacking = lacking(&self.session());
        if self.from_the_beginning.load(Ordering::Relaxed) {
            lacking.before_seconds = 0.0;
        }
        let missing = lacking.seconds();
        self.meter().tell(|progress| progress.missing_seconds = missing);
        lacking
    }

    fn looks(&self) -> u32 {
        self.progress.borrow().looks
    }

    fn tried(&self) -> String {
        self.progress.borrow().tried.clone()
    }

    fn meter(&self) -> Meter {
        Meter(self.progress.clone())
    }
}

/// Why there is nothing more to be had, if that is so.
fn judge(is_complete: bool, outcome: &Outcome, state: &Lacking) -> Option<String> {
    if outcome.failed > 0 || !is_complete {
        return None;
    }
    Some(match (outcome.gone, state.is_nothing()) {
        (0, true) => "the replay is complete".to_owned(),
        (0, false) => "not in the replay".to_owned(),
        (_, _) => outcome.error.clone().unwrap_or_default(),
    })
}

fn count(status: &crate::status::RecordingStatus) -> (bool, usize) {
    (status.segments > 0, status.gaps.len())
}

/// What stays missing, each with its place and why.
fn still_missing(session: &SessionArchive, state: &Lacking, why: &str) -> Vec<MissingFact> {
    let mut kept: Vec<&SegmentFact> = session.segments.iter().collect();
    kept.sort_by_key(|segment| (segment.media_time, segment.sequence));
    let mut spans: Vec<(i64, u64)> = state.gaps.iter().map(span).filter(|(_, length)| *length > 0).collect();
    if let Some(first) = kept.first().filter(|_| state.before_seconds > 0.0) {
        let length = (state.before_seconds * 48_000.0) as u64;
        spans.push((first.media_time.saturating_sub(length as i64), length));
    }
    let of = |(media_time, duration): (i64, u64)| {
        let next = kept.partition_point(|segment| segment.media_time < media_time.saturating_add(duration as i64 / 2));
        let left = next.checked_sub(1).map(|index| kept[index].sequence);
        let right = kept.get(next).map(|segment| segment.sequence);
        let first_sequence = left.map_or(0, |left| left.saturating_add(1));
        MissingFact {
            session: session.info.session.clone(),
            first_sequence,
            last_sequence: right.map_or(first_sequence, |right| right.saturating_sub(1).max(first_sequence)),
            names: Vec::new(),
            media_time,
            duration,
            cause: crate::text::plain(why, 200),
        }
    };
    spans.into_iter().map(of).collect()
}
