//! What is wrong now, of everything that is known: pure but for the look at the disks.

use std::path::PathBuf;
use std::time::Duration;

use super::view::{ReceiverState, ReceiverView};
use crate::alert::Level;
use crate::daemon::{Standing, WardView};
use crate::recording::room::free_bytes;
use crate::status::{OutputState, OutputStatus, ShowState, ShowStatus};

/// How long an output may be on its way: two tries that fail by a time-out.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a gap may last: shorter ones are mended by the recording, and heard.
const GAP_PATIENCE: Duration = Duration::from_secs(60);

/// How long a bridge may say nothing: it is started again within 5 s.
const SILENCE_PATIENCE: Duration = Duration::from_secs(15);

/// Bytes below which a disk is nearly full: the state of a show that begins, and a minute of a dozen recordings.
const DISK_LOW: u64 = 64 << 20;

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trouble {
    /// None of the daemon itself.
    pub(super) show: Option<String>,
    pub(super) level: Level,
    pub(super) code: String,
    pub(super) subject: String,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
    /// How long it has to last before it needs somebody.
    pub(super) patience: Duration,
    /// How long it has lasted, where that is known.
    pub(super) lasts: Option<Duration>,
}

impl Trouble {
    fn new(show: Option<&str>, level: Level, code: &str, subject: &str, message: String) -> Self {
        Self {
            show: show.map(str::to_owned),
            level,
            code: code.to_owned(),
            subject: subject.to_owned(),
            message,
            remedy: None,
            patience: Duration::ZERO,
            lasts: None,
        }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// What is wrong with a show.
pub(super) fn of_show(view: &WardView) -> Vec<Trouble> {
    let name = view.name.as_str();
    let mut found = Vec::new();
    if !view.faults.is_empty() {
        let words: Vec<String> = view.faults.iter().map(|fault| format!("{} {}", fault.key, fault.message)).collect();
        let message = format!("Its configuration does not load: {}.", words.join("; "));
        let trouble = Trouble::new(Some(name), Level::Error, "daemon.show_faulty", "show", message);
        found.push(trouble.remedy("Mend it; a show that is on the air goes on as it is."));
    }
    if view.standing == Standing::Held {
        let message = format!("It is held: {}.", view.why.as_deref().unwrap_or("its bridge is gone"));
        let trouble = Trouble::new(Some(name), Level::Error, "daemon.show_held", "show", message);
        found.push(trouble.remedy("What was received is kept. Mend the cause, then start it again."));
    }
    let status = view.status.as_deref().filter(|_| view.on_the_air);
    if view.standing == Standing::Supervised && status.is_none() {
        let message = "Its bridge says nothing.".to_owned();
        let trouble = Trouble::new(Some(name), Level::Error, "daemon.show_silent", "show", message);
        let trouble = trouble.remedy("It is started again by itself; its log in the state folder says more.");
        found.push(trouble.patience(SILENCE_PATIENCE));
    }
    if view.standing == Standing::Elsewhere && status.is_some_and(|status| status.bridge.orphaned) {
        let message = "It goes on, but nobody would start it again.".to_owned();
        let trouble = Trouble::new(Some(name), Level::Error, "daemon.show_unsupervised", "show", message);
        found.push(trouble.remedy("Mend its configuration, then start the daemon again; it is not interrupted."));
    }
    found.extend(status.map(of_status).unwrap_or_default());
    found
}

fn of_status(status: &ShowStatus) -> Vec<Trouble> {
    let name = Some(status.show.as_str());
    let mut found: Vec<Trouble> = Vec::new();
    if status.state == ShowState::Gap {
        let message = "No sound comes from the space.".to_owned();
        let trouble = Trouble::new(name, Level::Warning, "session.gap", "session", message);
        found.push(
            trouble.remedy("The mirrors stay on the air; set another source if you have one.").patience(GAP_PATIENCE),
        );
    }
    if let Some(error) = &status.recording.error {
        found.push(Trouble::new(name, Level::Error, "recording.stopped", "recording", error.clone()));
    }
    found.extend(status.outputs.iter().filter_map(|output| of_output(status, output)));
    found
}

fn of_output(status: &ShowStatus, output: &OutputStatus) -> Option<Trouble> {
    let is_down = matches!(output.state, OutputState::Connecting | OutputState::Backoff);
    if !is_down || !matches!(status.state, ShowState::Waiting | ShowState::Live | ShowState::Gap | ShowState::Ending) {
        return None;
    }
    let subject = format!("output {}", output.name);
    let said = output.last_error.clone().unwrap_or_else(|| "It is not on the air.".to_owned());
    let budget = output.budget.next_in_seconds;
    let (code, message) = match (&output.fault, budget) {
        (_, Some(seconds)) => {
            ("output.budget", format!("{said} Its tries of this hour are spent; next in {seconds} s."))
        }
        (Some(fault), None) => (fault.as_str(), said),
        (None, None) => ("output.failed", said),
    };
    let lasts = Some(Duration::from_secs(output.state_seconds));
    let trouble = Trouble::new(Some(&status.show), Level::Error, code, &subject, message);
    Some(Trouble { lasts, ..trouble.patience(OUTPUT_PATIENCE) })
}

/// What is wrong with a receiver of alerts.
pub(super) fn of_receiver(view: &ReceiverView) -> Option<Trouble> {
    let said = view.last.as_ref().and_then(|last| last.error.clone()).unwrap_or_default();
    let subject = format!("webhook {}", view.name);
    let waiting = format!("{} events wait.", view.pending);
    match view.state {
        ReceiverState::Working => None,
        ReceiverState::Failing => {
            let message = format!("The alert {} does not get through: {said}. {waiting}", view.name);
            let trouble = Trouble::new(None, Level::Warning, "webhook.failing", &subject, message);
            Some(trouble.remedy("Check its receiver and its address; what waits is tried again for 12 hours."))
        }
        ReceiverState::Gone => {
            let message = format!("The alert {} is off: its receiver wants no event any more.", view.name);
            let trouble = Trouble::new(None, Level::Error, "webhook.gone", &subject, message);
            Some(trouble.remedy("Take it out of the configuration, or test it once it is mended."))
        }
    }
}

/// A disk that is nearly full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    /// What lies on it.
    pub(super) what: &'static str,
    /// Bytes that are free.
    free: u64,
}

/// Those of the folders' disks that are nearly full. It may block.
pub(super) fn full_disks(folders: &[(&'static str, PathBuf)]) -> Vec<Disk> {
    let look = |(what, folder): &(&'static str, PathBuf)| {
        // A folder that is not there yet comes to lie on its parent's disk.
        let free = folder.ancestors().find_map(|folder| free_bytes(folder).ok())?;
        (free < DISK_LOW).then_some(Disk { what, free })
    };
    folders.iter().filter_map(look).collect()
}

/// What is wrong with a disk.
pub(super) fn of_disk(disk: &Disk) -> Trouble {
    let message = format!("The disk of the {} is nearly full: {} MB are left.", disk.what, disk.free / 1_000_000);
    let trouble = Trouble::new(None, Level::Error, "daemon.disk_low", disk.what, message);
    trouble.remedy("Free some space: shows go on, but what changes cannot be kept, and no show can begin.")
}

#[cfg(test)]
#[path = "troubles_tests.rs"]
mod tests;
