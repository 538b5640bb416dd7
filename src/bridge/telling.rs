//! What tells the operator of the show: the alerts, and the incident file for the morning after.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::state_folder::{ShowRecord, StateFolder};
use crate::alert::Events;
use crate::alert::delivery::Delivery;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::incident::{self, Begin, Incident};
use crate::status::ShowStatus;

/// Name of an earlier show's incident file in a state folder: each show has one of its own.
const EARLIER: &str = "incident-earlier.jsonl";

/// The alerts and the incident file of a show at work.
pub(super) struct Telling {
    alerts: Delivery,
    incident: Option<Incident>,
}

impl Telling {
    /// Starts both. `archive` is the folder of the show's recording, where there is one.
    pub(super) fn start(
        (config, secrets): (&ShowConfig, &Secrets),
        (folder, record, archive): (&StateFolder, &ShowRecord, Option<PathBuf>),
        (events, clock): (&Events, &Clock),
        status: watch::Receiver<Arc<ShowStatus>>,
    ) -> Self {
        let path = incident_file(folder, record, archive);
        let begin = Begin {
            show: config.show.name.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            resumes: record.resumes,
            timezone: config.show.timezone.clone(),
        };
        let incident = Incident::start(path, begin, events, status, clock);
        if let Err(error) = &incident {
            tracing::warn!(%error, "There is no incident file.");
        }
        let alerts = Delivery::start(&config.show.name, &config.alerts, secrets, events, clock);
        Self { alerts, incident: incident.ok() }
    }

    /// Delivers and writes what is left, for a few seconds at most. The last status has been published.
    pub(super) async fn finish(&mut self) {
        self.alerts.finish().await;
        if let Some(incident) = &mut self.incident {
            incident.finish().await;
        }
    }
}

/// Beside the recording, or in the state folder, where an earlier show's file makes room.
fn incident_file(folder: &StateFolder, record: &ShowRecord, archive: Option<PathBuf>) -> PathBuf {
    if let Some(archive) = archive {
        return archive.join(incident::NAME);
    }
    let path = folder.path().join(incident::NAME);
    if record.resumes == 0
        && path.exists()
        && let Err(error) = std::fs::rename(&path, folder.path().join(EARLIER))
    {
        tracing::warn!(%error, "An earlier show's incident file goes on.");
    }
    path
}
