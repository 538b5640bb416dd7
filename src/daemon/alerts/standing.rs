//! The list of what needs somebody now: a trouble is on it once it has lasted long enough, and leaves it when it is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::troubles::Trouble;
use crate::alert::Level;
use crate::daemon::paths::without_paths;
use crate::text::plain;

/// Longest text of an alert, in characters.
const TEXT_MAX: usize = 1000;

/// Something that needs somebody now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StandingAlert {
    /// The show; none for the daemon itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<String>,
    /// How much it matters.
    pub level: Level,
    /// The code of the event that tells the same.
    pub code: String,
    /// What it is about: `output youtube`, `recording`, `show`.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A trouble's name: its words may change while it lasts.
type Key = (Option<String>, String, String);

/// The list.
#[derive(Debug, Default)]
pub(super) struct Board {
    troubles: Mutex<BTreeMap<Key, (Trouble, Instant, Timestamp)>>,
    standing: Mutex<Vec<StandingAlert>>,
}

impl Board {
    /// What needs somebody, the worst first, then the oldest.
    pub(super) fn standing(&self) -> Vec<StandingAlert> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes everything that is wrong now. How long it lasts is counted by `now`, which no step of the clock moves.
    pub(super) fn fold(&self, found: Vec<Trouble>, now: Instant, wall: Timestamp) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lasting = BTreeMap::new();
        for trouble in found {
            // An output's fault may change while it is down: it is down all the same.
            let kind = if trouble.subject.starts_with("output ") { "output" } else { &trouble.code };
            let key = (trouble.show.clone(), trouble.subject.clone(), kind.to_owned());
            let lasts = trouble.lasts.unwrap_or_default();
            let (began, at) = troubles.remove(&key).map_or_else(
                || {
                    let began = now.checked_sub(lasts).unwrap_or(now);
                    (began, wall.checked_sub(jiff::SignedDuration::try_from(lasts).unwrap_or_default()).unwrap_or(wall))
                },
                |(_, began, at)| (began, at),
            );
            lasting.insert(key, (trouble, began, at));
        }
        *troubles = lasting;
        let due = troubles.values().filter(|(one, began, _)| now.saturating_duration_since(*began) >= one.patience);
        let mut standing: Vec<StandingAlert> = due.map(|(one, _, at)| told(one, *at)).collect();
        drop(troubles);
        standing.sort_by(|a, b| b.level.cmp(&a.level).then(a.since.cmp(&b.since)));
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

fn told(trouble: &Trouble, since: Timestamp) -> StandingAlert {
    StandingAlert {
        show: trouble.show.clone(),
        level: trouble.level,
        code: trouble.code.clone(),
        subject: plain(&trouble.subject, TEXT_MAX),
        message: without_paths(&plain(&trouble.message, TEXT_MAX)).into_owned(),
        remedy: trouble.remedy.as_deref().map(|text| without_paths(&plain(text, TEXT_MAX)).into_owned()),
        since,
    }
}
