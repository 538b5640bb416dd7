//! Room for recordings: old ones go when their time is over, and a disk that gets short is told in time.
//!
//! Everything here runs beside the show and never holds it. Which recordings may go is `recording::retention`'s decision.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::alert::{Events, Report};
use crate::clock::Clock;
use crate::config::{RecordingConfig, RetentionConfig};
use crate::recording::removal::{Exports, remove};
use crate::recording::retention::{Expired, Plan, Protected, Protection, plan};
use crate::recording::room::{LOW_HOURS, SHORT_HOURS, free_bytes, hours_left};
use crate::recording::{RecordingError, catalogue};
use crate::status::RecordingStatus;

/// Pause between two looks at the disk: at a space's rate a minute is less than a megabyte.
const LOOK: Duration = Duration::from_secs(60);

/// Protected recordings that are named in the warning.
const NAMED: usize = 3;

/// Deletes what is over the configuration's limits, in the background; nothing to do where none is set.
pub(super) fn tidy(config: &RecordingConfig, events: &Events, clock: &Clock) -> Option<JoinHandle<()>> {
    if !config.enabled || config.retention == RetentionConfig::default() {
        return None;
    }
    let (folder, limits, now, events) = (config.folder.clone(), config.retention.clone(), clock.wall(), events.clone());
    Some(tokio::task::spawn_blocking(move || match catalogue::list(&folder) {
        Ok(catalogue) => {
            apply(&plan(&catalogue.archives, &limits, now), &events, |one| remove(&one.folder, Exports::Keep).map(drop))
        }
        Err(error) => {
            let message = format!("Old recordings could not be looked for: {error}");
            events.warning("recording.expire", "recording", message, None);
        }
    }))
}

/// Does what was decided and tells it: each deletion, each failure, and once what stays against the limits.
fn apply(plan: &Plan, events: &Events, mut delete: impl FnMut(&Expired) -> Result<(), RecordingError>) {
    for one in &plan.delete {
        let megabytes = one.bytes.div_ceil(1_000_000);
        match delete(one) {
            Ok(()) => {
                let message = format!("Deleted the recording {} ({megabytes} MB): {}.", one.name, one.limit.words());
                events.info("recording.expired", "recording", message);
            }
            Err(error) => {
                let message = format!("The old recording {} could not be deleted: {error}", one.name);
                events.warning("recording.expire", "recording", message, None);
            }
        }
    }
    // One that is being written, such as this show's own, is no trouble of anybody.
    let protected: Vec<&Protected> = plan.protected.iter().filter(|one| one.by != Protection::Written).collect();
    if !protected.is_empty() {
        let named = |one: &Protected| format!("{} ({})", one.name, one.by.words());
        let names: Vec<String> = protected.iter().take(NAMED).map(|one| named(one)).collect();
        let message = format!(
            "{} recordings are over the limits of recording.retention and stay, such as {}.",
            protected.len(),
            names.join(", ")
        );
        let remedy = "Export what you want to keep, then delete them: spacebridge recordings list shows all.";
        events.warning("recording.retention", "recording", message, Some(remedy));
    }
}

/// Says at once how long the disk lasts if that is short, and once more when it is nearly over.
pub(super) fn watch_disk(
    folder: PathBuf,
    config: &RecordingConfig,
    status: watch::Receiver<RecordingStatus>,
    events: &Events,
) -> AbortOnDropHandle<()> {
    let (min_free, events) = (config.min_free_bytes, events.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut watch = DiskWatch::default();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let at = folder.clone();
            // A disk that hangs holds this thread and nothing else.
            let Ok(Ok(free)) = tokio::task::spawn_blocking(move || free_bytes(&at)).await else { continue };
            let (bytes, seconds) = {
                let status = status.borrow();
                (status.bytes, status.seconds)
            };
            if let Some(word) = watch.on(hours_left(free, min_free, bytes, seconds)) {
                events.tell(report(word, &folder));
            }
        }
    }))
}

/// What is to be said of the disk.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    /// It lasts for so many hours, which may be too few.
    Short(f64),
    /// It lasts for so many minutes.
    Low(f64),
}

/// Remembers what was said, so that each word comes once until there is room again.
#[derive(Debug, Default)]
struct DiskWatch {
    looked: bool,
    low: bool,
}

impl DiskWatch {
    fn on(&mut self, hours: f64) -> Option<Word> {
        let first = !std::mem::replace(&mut self.looked, true);
        // Twice the hour: a disk on the brink is told once and not every minute.
        if hours > 2.0 * LOW_HOURS {
            self.low = false;
        }
        if hours < LOW_HOURS && !std::mem::replace(&mut self.low, true) {
            return Some(Word::Low(hours * 60.0));
        }
        (first && hours < SHORT_HOURS && !self.low).then_some(Word::Short(hours))
    }
}

fn report(word: Word, folder: &Path) -> Report {
    let (code, message) = match word {
        Word::Short(hours) => {
            ("recording.disk_short", format!("The recording's disk lasts for about {hours:.1} h of a space."))
        }
        Word::Low(minutes) => {
            let message =
                format!("The recording's disk is full in about {minutes:.0} min; then nothing is kept any more.");
            ("recording.disk_low", message)
        }
    };
    let remedy = format!("Free some space where {} is, or lower recording.min_free.", folder.display());
    Report::warning(code, "recording", message).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::retention::Limit;

    #[test]
    fn a_short_disk_is_told_at_the_start_and_a_low_one_once() {
        let told = |hours: &[f64]| {
            let mut watch = DiskWatch::default();
            hours.iter().filter_map(|hours| watch.on(*hours)).collect::<Vec<_>>()
        };
        assert_eq!(told(&[100.0, 5.0, 1.5]), []);
        assert_eq!(told(&[5.0, 4.9, 4.8]), [Word::Short(5.0)]);
        assert_eq!(told(&[0.5, 0.4, 0.0]), [Word::Low(30.0)]);
        assert_eq!(told(&[9.0, 0.5, 1.1, 0.5, 3.0, 0.25]), [Word::Low(30.0), Word::Low(15.0)]);
    }

    #[test]
    fn each_deletion_is_told_and_what_stays_is_told_once() {
        let events = Events::new(Clock::system());
        let expired = |name: &str| Expired { name: name.into(), folder: name.into(), bytes: 1, limit: Limit::Age };
        let stays = |name: &str| Protected { name: name.into(), limit: Limit::Size, by: Protection::NotExported };
        let plan =
            Plan { delete: vec![expired("a"), expired("b"), expired("c")], protected: vec![stays("c"), stays("d")] };
        apply(&plan, &events, |one| if one.name == "b" { Err(RecordingError::Closed) } else { Ok(()) });
        let codes: Vec<String> = events.recent(10).into_iter().map(|event| event.code).collect();
        assert_eq!(codes, ["recording.expired", "recording.expire", "recording.expired", "recording.retention"]);
    }
}
