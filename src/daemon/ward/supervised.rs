//! A show's bridge under its supervisor, and what is said of it when that is over.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Care, Ward};
use crate::alert::Level;
use crate::daemon::folders::Wish;
use crate::daemon::plan::Plan;
use crate::supervisor::{Notice, Order, Outcome, Supervisor};

/// Orders that may wait for a supervisor.
const ORDERS: usize = 8;

impl Ward {
    pub(super) fn supervise(self: &Arc<Self>, care: &mut Care, plan: Plan, found: Option<u32>) {
        let (orders, taken) = mpsc::channel(ORDERS);
        let (notices, noticed) = mpsc::unbounded_channel();
        let handover = plan.secrets.to_handover(&plan.config);
        let closing = plan.config.show.closing;
        let (folder, clock) = (self.folder.clone(), self.common.clock.clone());
        let supervisor = Supervisor::new(folder, plan.launch, handover, closing, clock, notices);
        let supervisor = match found {
            Some(pid) => supervisor.adopting(pid),
            None => supervisor,
        };
        *care = Care { config: care.config.clone(), orders: Some(orders), held: None, asked: false };
        tokio::spawn(Arc::clone(self).keep(supervisor, taken, noticed));
    }

    async fn keep(
        self: Arc<Self>,
        supervisor: Supervisor,
        orders: mpsc::Receiver<Order>,
        mut notices: mpsc::UnboundedReceiver<Notice>,
    ) {
        let outcome = supervisor.run(orders).await;
        let mut last_words = Vec::new();
        while let Ok(notice) = notices.try_recv() {
            if let Notice::Died { last_lines, .. } = notice {
                last_words = last_lines;
            }
        }
        let held = match &outcome {
            Ok(Outcome::Clean) => None,
            Ok(Outcome::GraceExceeded) => Some("the bridge did not finish in time and was stopped".to_owned()),
            Ok(Outcome::BadConfiguration) => Some("the bridge refused its configuration".to_owned()),
            Ok(Outcome::Failed) => Some("the show cannot go on".to_owned()),
            Ok(Outcome::CrashLoop(how)) => Some(format!("the bridge died five times within a minute, last by {how}")),
            Ok(Outcome::Crashed(how)) => Some(format!("the bridge died by {how} while it was leaving")),
            Err(error) => Some(format!("the bridge process cannot be started: {error}")),
        };
        let last = last_words.last().map(|line| crate::text::plain(line, 300));
        let was_asked = self.release(held.clone(), last.as_deref());
        if let Some(why) = held {
            let log = self.folder.log();
            let remedy = format!("What was received is kept. See {}, then start the show again.", log.display());
            let message = format!("The show {} is held: {why}", self.name);
            self.common.hub.tell(&self.name, Level::Error, "daemon.show_held", message, Some(&remedy));
        }
        // A bridge that was suspended by a machine that goes down goes on when the machine is back.
        if was_asked || self.record().is_none_or(|record| record.suspended_at.is_none()) {
            self.common.folders.save_wish(&self.name, Wish::Off, self.common.clock.wall());
        }
    }

    fn release(&self, held: Option<String>, last_line: Option<&str>) -> bool {
        self.common.ledger.release(&self.name);
        let mut care = self.care();
        care.orders = None;
        care.held = held.map(|why| match last_line {
            Some(line) => format!("{why}; it said last: {line}"),
            None => why,
        });
        care.asked
    }
}
