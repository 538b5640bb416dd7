//! Follows a show's bridge over its restarts, and adopts it when its supervisor is gone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::Ward;
use super::keys::Given;
use crate::alert::Level;
use crate::bridge::client::ClientError;
use crate::bridge::protocol::{EventPlace, Update};
use crate::daemon::paths;
use crate::status::{ShowState, ShowStatus};

/// Pause before a bridge is looked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// Pause after an answer that cannot be understood.
const LATER: Duration = Duration::from_secs(5);

/// Follows until nobody cares for the show any more.
pub(super) async fn follow(ward: Weak<Ward>) {
    let (mut place, mut refused, mut given) = (None, false, Given::default());
    loop {
        let Some(own) = ward.upgrade() else { return };
        // Asking a bridge that is not there costs a look at all others.
        let pause = if own.folder.socket().path().exists() {
            let heard = read_on(&own, &mut place, &mut refused, &mut given).await;
            own.lose();
            own.forget_keys_of_the_dead();
            match heard {
                Err(error) if error.is_permanent() => {
                    tracing::warn!(show = own.name, %error, "A bridge cannot be followed.");
                    LATER
                }
                _ => AGAIN,
            }
        } else {
            AGAIN
        };
        drop(own);
        tokio::time::sleep(pause).await;
    }
}

async fn read_on(
    ward: &Arc<Ward>,
    place: &mut Option<EventPlace>,
    refused: &mut bool,
    given: &mut Given,
) -> Result<(), ClientError> {
    let mut stream = ward.client().events(*place).await?;
    while let Some(update) = stream.next().await? {
        *place = stream.place();
        match update {
            Update::Event(event) => {
                let pid = place.and_then(|place| place.pid).unwrap_or_default();
                ward.common.hub.push(&ward.name, pid, event);
            }
            Update::Status(mut status) => {
                let archive = status.recording.folder.as_ref().map(PathBuf::from);
                *ward.archive.lock().unwrap_or_else(PoisonError::into_inner) = archive;
                paths::clean_status(Arc::make_mut(&mut status));
                let orphan = status.bridge.orphaned.then_some(status.bridge.pid);
                ward.give_back(&status, given);
                ward.seen.send_replace((true, Some(status)));
                if let Some(pid) = orphan {
                    ward.find(pid, refused);
                }
            }
        }
    }
    Ok(())
}

impl Ward {
    /// Where its recording lies, as its bridge said last. For the daemon alone.
    pub fn archive(&self) -> Option<PathBuf> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whoever carried the show: of one that is over nothing comes back.
    fn forget_keys_of_the_dead(&self) {
        let is_over = self.seen.borrow().1.as_ref().is_some_and(|status| status.state == ShowState::Ended);
        if is_over && let Err(error) = self.common.folders.forget_live_keys(&self.name) {
            tracing::warn!(show = self.name, %error, "Keys of a show that is over are not forgotten.");
        }
    }

    /// The bridge does not answer: what it said last holds no more, unless it was its last word.
    fn lose(&self) {
        let over = |status: &Arc<ShowStatus>| matches!(status.state, ShowState::Ended | ShowState::Suspended);
        self.seen.send_if_modified(|(on_the_air, status)| {
            let news = *on_the_air;
            *on_the_air = false;
            if !status.as_ref().is_some_and(over) {
                *status = None;
            }
            news
        });
    }

    /// A bridge that lives and has no supervisor: it gets one, and is not interrupted.
    fn find(self: &Arc<Self>, pid: u32, refused: &mut bool) {
        if *refused || self.care().orders.is_some() {
            return;
        }
        match self.adopt(pid) {
            Ok(()) => {
                let message = format!("The show {} was found on the air and is supervised again", self.name);
                self.common.hub.tell(&self.name, Level::Info, "daemon.show_found", message, None);
                let (client, show) = (self.client(), self.name.clone());
                tokio::spawn(async move {
                    // One of the version before does not know the word: it is supervised all the same.
                    if let Err(error) = client.adopt(std::process::id()).await {
                        tracing::warn!(show, %error, "The bridge was not told that it is supervised again.");
                    }
                });
            }
            Err(refusal) => {
                *refused = true;
                let message = format!("The show {} goes on, but nobody would start it again: {refusal}", self.name);
                let remedy = "Mend its configuration, then start the daemon again; the show is not interrupted.";
                self.common.hub.tell(&self.name, Level::Error, "daemon.show_unsupervised", message, Some(remedy));
            }
        }
    }
}
