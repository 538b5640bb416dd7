//! What the daemon takes to its operator: webhooks and commands for what happens in all shows, and the list of what needs
//! somebody now.
//!
//! Each receiver has a task, a queue and a file of its own: one that hangs delays no other, and nothing waits for any. It
//! decides about no show.

mod book;
mod receiver;
mod standing;
mod troubles;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::roster::Roster;
use crate::alert::Level;
use crate::alert::delivery::{Carrier, Signer};
use crate::clock::Clock;
use crate::config::{AlertAction, DaemonAlert, Secrets};
use receiver::{Desk, Receiver};
use standing::Board;

pub use standing::StandingAlert;
pub use view::{LastTry, ReceiverState, ReceiverView, TestResult};

/// Pause between two looks at what needs somebody.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at shows between two looks at the disk.
const LOOKS_PER_DISK: u32 = 15;

/// The daemon's alerts at work.
#[derive(Debug)]
pub struct Alerts {
    desks: Vec<Arc<Desk>>,
    board: Board,
}

impl Alerts {
    /// Starts every alert and the look at what needs somebody; `tasks` end with `token`, and what is pending is kept.
    pub fn start(
        alerts: &[DaemonAlert],
        secrets: &Secrets,
        roster: &Arc<Roster>,
        clock: &Clock,
        token: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        let mut desks = Vec::new();
        for (index, alert) in alerts.iter().enumerate() {
            let carrier = match carrier_of(alert, index, secrets) {
                Ok(carrier) => carrier,
                Err(error) => {
                    let message = format!("The alert {} is left out: {error}", alert.name);
                    let remedy = "Mend it in the daemon's configuration, then start the daemon again.";
                    roster.hub().tell("", Level::Error, "webhook.faulty", message, Some(remedy));
                    continue;
                }
            };
            let target = secrets.alert_webhook(index).map(|url| url.expose().to_owned()).unwrap_or_default();
            let file = roster.folders().file(&format!("webhook-{}.json", alert.name));
            let receiver =
                Receiver::open(alert.clone(), carrier, &target, file, Arc::clone(roster.hub()), clock.clone());
            desks.push(Arc::clone(receiver.desk()));
            tasks.spawn(receiver.run(token.clone()));
        }
        let alerts = Arc::new(Self { desks, board: Board::default() });
        tasks.spawn(Arc::clone(&alerts).look(Arc::clone(roster), clock.clone(), token.clone()));
        alerts
    }

    /// Every receiver, in the order of the configuration.
    pub fn receivers(&self) -> Vec<ReceiverView> {
        self.desks.iter().map(|desk| desk.view()).collect()
    }

    /// Sends a receiver an event that says nothing, now; none if there is no such receiver.
    pub async fn test(&self, name: &str) -> Option<TestResult> {
        let desk = self.desks.iter().find(|desk| desk.name() == name)?;
        Some(desk.test().await)
    }

    /// What needs somebody, the worst first.
    pub fn standing(&self) -> Vec<StandingAlert> {
        self.board.standing()
    }

    async fn look(self: Arc<Self>, roster: Arc<Roster>, clock: Clock, token: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut number, mut disks) = (0_u32, Vec::new());
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = token.cancelled() => return,
            }
            if number.is_multiple_of(LOOKS_PER_DISK) {
                disks = self.look_at_disks(&roster, disks).await;
            }
            number = number.wrapping_add(1);
            let mut troubles: Vec<_> = roster.all().iter().flat_map(|ward| troubles::of_show(&ward.view())).collect();
            troubles.extend(self.receivers().iter().filter_map(troubles::of_receiver));
            troubles.extend(disks.iter().map(troubles::of_disk));
            self.board.fold(troubles, clock.now(), clock.wall());
        }
    }

    /// The disks that are nearly full; a change is an event.
    async fn look_at_disks(&self, roster: &Roster, before: Vec<troubles::Disk>) -> Vec<troubles::Disk> {
        let settings = roster.settings();
        let folders = [("state", settings.state.clone()), ("recordings", settings.data.clone())];
        // A disk that hangs holds a thread and this look, and nothing else.
        let looked = tokio::task::spawn_blocking(move || troubles::full_disks(&folders)).await;
        let Ok(disks) = looked else { return before };
        for disk in disks.iter().filter(|disk| !before.iter().any(|known| known.what == disk.what)) {
            let trouble = troubles::of_disk(disk);
            let remedy = trouble.remedy.as_deref();
            roster.hub().tell("", trouble.level, &trouble.code, trouble.message.clone(), remedy);
        }
        for known in before.iter().filter(|known| !disks.iter().any(|disk| disk.what == known.what)) {
            let message = format!("The disk of the {} has room again", known.what);
            roster.hub().tell("", Level::Info, "daemon.disk_back", message, None);
        }
        disks
    }
}

fn carrier_of(alert: &DaemonAlert, index: usize, secrets: &Secrets) -> Result<Carrier, String> {
    if let AlertAction::Command(command) = &alert.alert.action {
        return Ok(Carrier::Command(command.clone()));
    }
    let url = secrets.alert_webhook(index).and_then(|url| Url::parse(url.expose()).ok());
    let url = url.ok_or("its address was not handed over")?;
    let signer = secrets.alert_secret(index).cloned().map(Signer::new).transpose()?;
    Carrier::webhook(url, signer)
}
