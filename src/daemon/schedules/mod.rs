//! Shows that begin by themselves at a time: the daemon's memory of them and the one task that looks at the clock.
//!
//! It decides when; how a show is put on the air is the show's own business. Every start is seen to once, over restarts
//! and whatever the wall clock does: it is begun, or told as missed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::roster::Roster;
use super::{Cue, Refusal, folders};
use crate::alert::Level;
use crate::clock::Clock;
use rule::Step;

mod draft;
mod rule;

pub use draft::ScheduleDraft;

/// Longest pause between two looks at the wall clock, which may step at any time.
const LOOK: Duration = Duration::from_secs(5);

/// Pause after a start that was refused, such as for want of a key that is being written.
const AGAIN: Duration = Duration::from_secs(30);

/// Most schedules: as many as there can be shows.
const MOST: usize = 256;

/// Why a schedule is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// It cannot be understood.
    #[error("{0}")]
    Bad(String),
    /// There are too many.
    #[error("there are {MOST} schedules already: delete some that are over")]
    Full,
    /// The file system refused.
    #[error("the schedules cannot be kept: {0}")]
    Io(#[from] std::io::Error),
}

/// A schedule as it is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScheduleView {
    /// The show that begins.
    pub show: String,
    /// The rule.
    #[serde(flatten)]
    pub schedule: ScheduleDraft,
    /// The next start; none if nothing comes any more.
    pub next: Option<Timestamp>,
    /// When the show goes on the air for it.
    pub begins: Option<Timestamp>,
}

/// What is kept of a schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    schedule: ScheduleDraft,
    /// All starts until then were seen to.
    handled: Timestamp,
    /// Not before; after a start that was refused.
    #[serde(skip)]
    again: Option<Instant>,
}

/// All schedules by their shows.
#[derive(Debug)]
pub struct Schedules {
    roster: Arc<Roster>,
    path: PathBuf,
    clock: Clock,
    entries: Mutex<BTreeMap<String, Entry>>,
    changed: Notify,
}

impl Schedules {
    /// Reads what is kept; what cannot be read is told and left where it is.
    pub fn open(roster: Arc<Roster>, clock: Clock) -> Self {
        let path = roster.folders().file("schedules.json");
        let kept = folders::read(&path).and_then(|bytes| {
            bytes.map_or(Ok(BTreeMap::new()), |bytes| serde_json::from_slice(&bytes).map_err(Into::into))
        });
        let entries = kept.unwrap_or_else(|error| {
            tracing::error!(%error, path = %path.display(), "The schedules cannot be read: none holds.");
            BTreeMap::new()
        });
        Self { roster, path, clock, entries: Mutex::new(entries), changed: Notify::new() }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, entries: &BTreeMap<String, Entry>) -> std::io::Result<()> {
        folders::replace(&self.path, &serde_json::to_vec_pretty(entries)?)
    }

    /// Every schedule, by its show's name.
    pub fn all(&self) -> Vec<ScheduleView> {
        self.entries().iter().map(|(show, entry)| view(show, entry)).collect()
    }

    /// The schedule of a show.
    pub fn get(&self, show: &str) -> Option<ScheduleView> {
        self.entries().get(show).map(|entry| view(show, entry))
    }

    /// Gives a show a schedule in place of any it had.
    ///
    /// # Errors
    /// When it cannot be understood, would never begin, or cannot be kept.
    pub fn put(&self, show: &str, schedule: ScheduleDraft) -> Result<ScheduleView, ScheduleError> {
        let rule = schedule.rule().map_err(ScheduleError::Bad)?;
        let handled = self.clock.wall();
        if rule.next(handled).is_none() {
            return Err(ScheduleError::Bad("at is over: write a time to come".to_owned()));
        }
        let entry = Entry { schedule, handled, again: None };
        let told = view(show, &entry);
        let mut entries = self.entries();
        if entries.len() >= MOST && !entries.contains_key(show) {
            return Err(ScheduleError::Full);
        }
        let mut changed = entries.clone();
        changed.insert(show.to_owned(), entry);
        self.save(&changed)?;
        *entries = changed;
        self.changed.notify_one();
        Ok(told)
    }

    /// Forgets the schedule of a show; whether there was one.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn delete(&self, show: &str) -> Result<bool, ScheduleError> {
        let mut entries = self.entries();
        let mut changed = entries.clone();
        if changed.remove(show).is_none() {
            return Ok(false);
        }
        self.save(&changed)?;
        *entries = changed;
        Ok(true)
    }

    /// Begins what is due until `token` ends.
    pub async fn run(self: Arc<Self>, token: CancellationToken) {
        loop {
            let this = Arc::clone(&self);
            // Starting a show reads and writes files.
            let wait = tokio::task::spawn_blocking(move || this.turn()).await.unwrap_or(LOOK);
            tokio::select! {
                () = token.cancelled() => return,
                () = self.changed.notified() => {}
                () = self.clock.sleep(wait) => {}
            }
        }
    }

    /// Sees to every start that is due; how long nothing is to be done then.
    fn turn(&self) -> Duration {
        let due: Vec<(String, Entry)> = self.entries().clone().into_iter().collect();
        due.into_iter().map(|(show, entry)| self.see_to(&show, &entry)).min().unwrap_or(LOOK).min(LOOK)
    }

    fn see_to(&self, show: &str, entry: &Entry) -> Duration {
        let Ok(rule) = entry.schedule.rule() else { return LOOK };
        let now = self.clock.wall();
        match rule.step(entry.handled, now) {
            Step::Over => LOOK,
            Step::Wait { until, .. } => now.duration_until(until).unsigned_abs(),
            Step::Missed { last, count } => {
                let message = match count {
                    1 => format!(
                        "The show {show} was to begin at {last} and did not: nobody was there to begin it in time"
                    ),
                    _ => format!(
                        "The show {show} missed {count} starts, the last at {last}: nobody was there to begin it"
                    ),
                };
                let remedy = Some("Start it by hand if it is still wanted; give_up_after says how late it is made up.");
                self.roster.hub().tell(show, Level::Warning, "daemon.schedule_missed", message, remedy);
                self.handled(show, entry, last);
                Duration::ZERO
            }
            Step::Begin(start) => {
                if entry.again.is_none_or(|again| again <= self.clock.now()) {
                    self.begin(show, entry, start);
                }
                LOOK
            }
        }
    }

    fn begin(&self, show: &str, entry: &Entry, start: Timestamp) {
        let refusal = match self.roster.get(show) {
            None => Refusal::Failed("There is no show of this name.".to_owned()),
            Some(ward) => {
                if ward.is_free() {
                    self.roster.refresh(&ward);
                }
                match ward.start_with(&Cue { link: None, start: Some(start) }) {
                    Err(refusal @ (Refusal::Faulty(_) | Refusal::Failed(_) | Refusal::OffTheAir)) => refusal,
                    begun => {
                        let how = if begun.is_ok() { "begins" } else { "is on the air already" };
                        let message = format!("The show {show} {how}: it is announced for {start}");
                        self.roster.hub().tell(show, Level::Info, "daemon.schedule_begun", message, None);
                        return self.handled(show, entry, start);
                    }
                }
            }
        };
        if entry.again.is_none() {
            let message = format!("The show {show} cannot begin as its schedule says: {refusal}");
            let remedy = Some("Mend it: it is tried again every 30 s until its schedule gives up.");
            self.roster.hub().tell(show, Level::Error, "daemon.schedule_failed", message, remedy);
        }
        if let Some(known) = self.entries().get_mut(show) {
            known.again = Some(self.clock.now() + AGAIN);
        }
    }

    /// Remembers that a start was seen to, unless the schedule was changed in the meantime.
    fn handled(&self, show: &str, seen: &Entry, start: Timestamp) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(show).filter(|entry| entry.handled == seen.handled) else { return };
        (entry.handled, entry.again) = (start, None);
        if let Err(error) = self.save(&entries) {
            tracing::warn!(show, %error, "What a schedule has done could not be kept.");
        }
    }
}

fn view(show: &str, entry: &Entry) -> ScheduleView {
    let rule = entry.schedule.rule().ok();
    let next = rule.as_ref().and_then(|rule| rule.next(entry.handled));
    let early = rule.map(|rule| rule.early).unwrap_or_default();
    let begins = next.map(|next| next.checked_sub(early).unwrap_or(next));
    ScheduleView { show: show.to_owned(), schedule: entry.schedule.clone(), next, begins }
}
