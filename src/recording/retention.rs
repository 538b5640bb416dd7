//! Which old recordings may go: by age, by size, by number, and never one that somebody may still want.
//!
//! A pure decision over what the catalogue tells; [`super::removal`] does it.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::Summary;
use crate::config::RetentionConfig;

/// What is to become of the recordings below a folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// To be deleted, oldest first.
    pub delete: Vec<Expired>,
    /// Over a limit and not to be deleted, oldest first.
    pub protected: Vec<Protected>,
}

/// A recording that may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes that it holds.
    pub bytes: u64,
    /// The limit that it is over.
    pub limit: Limit,
}

/// A recording that would go if nothing protected it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protected {
    /// Its name.
    pub name: String,
    /// The limit that it is over.
    pub limit: Limit,
    /// What protects it.
    pub by: Protection,
}

/// A limit of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// `max_age`.
    Age,
    /// `max_size`.
    Size,
    /// `max_count`.
    Count,
}

impl Limit {
    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Age => "it is older than recording.retention allows",
            Self::Size => "the recordings hold more than recording.retention allows",
            Self::Count => "there are more recordings than recording.retention allows",
        }
    }
}

/// What protects a recording, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Somebody writes it.
    Written,
    /// The operator keeps it.
    Kept,
    /// Its show did not end.
    NotEnded,
    /// Something is missing and still looked for.
    RepairPending,
    /// Its journal is damaged: what it says of itself may be less than the truth.
    Damaged,
    /// Nothing was exported of it.
    NotExported,
}

impl Protection {
    /// What protects it, if anything does.
    pub fn of(archive: &Summary) -> Option<Self> {
        let reasons = [
            (archive.written_by.is_some(), Self::Written),
            (archive.keep, Self::Kept),
            (archive.ended_at.is_none(), Self::NotEnded),
            (archive.repair_pending, Self::RepairPending),
            (archive.damaged_lines > 0, Self::Damaged),
            (!archive.exported, Self::NotExported),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason)
    }

    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Written => "it is being written",
            Self::Kept => "it is kept",
            Self::NotEnded => "its show did not end",
            Self::RepairPending => "its repair is pending",
            Self::Damaged => "its journal is damaged",
            Self::NotExported => "nothing was exported of it",
        }
    }
}

/// Decides what goes. Age counts from the end of a show. Size and number count all recordings, protected ones too, and
/// the oldest go first until both limits are met, or only protected ones are left.
pub fn plan(archives: &[Summary], limits: &RetentionConfig, now: Timestamp) -> Plan {
    let mut oldest: Vec<&Summary> = archives.iter().collect();
    oldest.sort_by(|a, b| (age_of(a), &a.name).cmp(&(age_of(b), &b.name)));
    let mut bytes = archives.iter().fold(0_u64, |sum, archive| sum.saturating_add(archive.bytes));
    let mut count = archives.len() as u64;
    let mut plan = Plan::default();
    for archive in oldest {
        let is_old = limits.max_age.is_some_and(|most| is_older(archive, most, now));
        let limit = if is_old {
            Limit::Age
        } else if limits.max_count.is_some_and(|most| count > u64::from(most)) {
            Limit::Count
        } else if limits.max_bytes.is_some_and(|most| bytes > most) {
            Limit::Size
        } else {
            continue;
        };
        match Protection::of(archive) {
            Some(by) => plan.protected.push(Protected { name: archive.name.clone(), limit, by }),
            None => {
                bytes = bytes.saturating_sub(archive.bytes);
                count -= 1;
                let (name, folder) = (archive.name.clone(), archive.folder.clone());
                plan.delete.push(Expired { name, folder, bytes: archive.bytes, limit });
            }
        }
    }
    plan
}

/// By when a recording is as old as it is; one that says nothing of it is the newest.
fn age_of(archive: &Summary) -> Timestamp {
    archive.ended_at.or(archive.started_at).unwrap_or(Timestamp::MAX)
}

fn is_older(archive: &Summary, most: Duration, now: Timestamp) -> bool {
    archive.ended_at.is_some_and(|ended| now.duration_since(ended).as_secs_f64() > most.as_secs_f64())
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
