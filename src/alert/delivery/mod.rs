//! Takes events to the operator: one task for each alert, which runs a command or calls a webhook, one at a time.
//!
//! Each alert reads the stream's memory at its own pace: a slow one delays no other, and nothing waits for any. That an
//! alert fails is an event itself, once, and never taken to an alert.

mod carrier;
mod command;
mod payload;
mod queue;
mod sign;
mod webhook;

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Event, Events, Report};
use crate::clock::Clock;
use crate::config::{AlertAction, AlertConfig, Secrets};
use payload::Payload;
use queue::Queue;

pub use carrier::{Carrier, Letter, Tried};
pub use sign::Signer;
pub use webhook::Webhook;

/// Beginning of the codes that are about alerts themselves.
const OWN_CODES: &str = "alert.";

/// How often an alert looks for news if nothing wakes it, and counts are settled.
const LOOK: Duration = Duration::from_secs(1);

/// How long what is pending at the show's end may take.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Why an event did not reach its alert: words for the operator, which hold no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Undelivered(String);

/// A name of an event that no other one has: a process's number can come again, but not with the same event at the same
/// moment.
pub fn event_id(show: &str, pid: u32, event: &Event) -> String {
    format!("{show}.{pid}.{}.{}", event.id, event.at.as_millisecond())
}

/// The alerts of one show at work.
#[derive(Debug)]
pub struct Delivery {
    events: Events,
    alerts: Vec<JoinHandle<()>>,
    settling: JoinHandle<()>,
    /// Cancelled at the show's end: what is pending is delivered, and nothing is waited for any more.
    last_word: CancellationToken,
}

impl Delivery {
    /// Starts every alert of a show. What was told before is delivered too.
    pub fn start(show: &str, alerts: &[AlertConfig], secrets: &Secrets, events: &Events, clock: &Clock) -> Self {
        let last_word = CancellationToken::new();
        let mut tasks = Vec::new();
        for (index, alert) in alerts.iter().enumerate() {
            let subject = format!("alert {}", index + 1);
            match Way::of(alert, index, secrets) {
                Ok(way) => {
                    let (config, events, show) = (alert.clone(), events.clone(), show.to_owned());
                    let worker = Worker { config, way, events, show, subject, clock: clock.clone(), failing: false };
                    tasks.push(tokio::spawn(worker.run(last_word.clone())));
                }
                Err(error) => tell_failure(events, &subject, &error),
            }
        }
        Self { events: events.clone(), alerts: tasks, settling: tokio::spawn(settle(events.clone())), last_word }
    }

    /// Delivers what is pending for a few seconds, and stops.
    pub async fn finish(&mut self) {
        self.settling.abort();
        self.events.finish();
        self.last_word.cancel();
        let deadline = tokio::time::Instant::now() + LAST_WORD;
        for mut alert in self.alerts.drain(..) {
            if tokio::time::timeout_at(deadline, &mut alert).await.is_err() {
                // A command that still runs ends with its task.
                alert.abort();
                tracing::warn!("An alert was not done at the show's end.");
            }
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.settling.abort();
        self.alerts.iter().for_each(JoinHandle::abort);
    }
}

/// Keeps the numbers of counted troubles coming.
async fn settle(events: Events) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        events.settle();
    }
}

/// How an alert does its work.
#[derive(Debug)]
enum Way {
    Command(Vec<String>),
    Webhook(Webhook),
}

impl Way {
    fn of(alert: &AlertConfig, index: usize, secrets: &Secrets) -> Result<Self, Undelivered> {
        if let AlertAction::Command(command) = &alert.action {
            return Ok(Self::Command(command.clone()));
        }
        let url = secrets.alert_webhook(index).and_then(|url| Url::parse(url.expose()).ok());
        let url = url.ok_or_else(|| Undelivered("its address was not handed over".to_owned()))?;
        let signer = secrets.alert_secret(index).cloned().map(Signer::new).transpose();
        let signer = signer.map_err(|error| Undelivered(error.to_owned()))?;
        Webhook::new(url, signer).map(Self::Webhook)
    }
}

/// One alert.
struct Worker {
    config: AlertConfig,
    way: Way,
    events: Events,
    show: String,
    subject: String,
    clock: Clock,
    /// Whether its failing was told.
    failing: bool,
}

impl Worker {
    async fn run(mut self, last_word: CancellationToken) {
        let mut news = self.events.subscribe();
        let mut queue = Queue::default();
        loop {
            // Whether this look comes after the last event.
            let last = last_word.is_cancelled();
            queue.take(self.events.after(queue.place()), |event| {
                !event.code.starts_with(OWN_CODES) && self.config.is_about(event.level, &event.code)
            });
            if let Some((event, left_out)) = queue.next() {
                let payload = Payload { show: &self.show, event: &event, left_out };
                let done = self.deliver(&payload).await;
                self.on_done(done);
                continue;
            }
            if last {
                return;
            }
            tokio::select! {
                // Whatever it says, also that some were missed: the memory has them.
                _ = news.recv() => {}
                () = last_word.cancelled() => {}
                () = self.clock.sleep(LOOK) => {}
            }
        }
    }

    async fn deliver(&self, payload: &Payload<'_>) -> Result<(), Undelivered> {
        match &self.way {
            Way::Command(command) => command::run(command, payload).await,
            Way::Webhook(webhook) => webhook.post(payload, &self.clock).await,
        }
    }

    fn on_done(&mut self, done: Result<(), Undelivered>) {
        match done {
            Ok(()) if std::mem::take(&mut self.failing) => {
                self.events.info("alert.back", &self.subject, "The alert works again.");
            }
            Ok(()) => {}
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tell_failure(&self.events, &self.subject, &error);
            }
            Err(error) => tracing::debug!(alert = self.subject, %error, "The alert failed again."),
        }
    }
}

fn tell_failure(events: &Events, subject: &str, error: &Undelivered) {
    events.tell(
        Report::warning("alert.failed", subject, format!("The alert did not get through: {error}."))
            .doing("Tries again with the next event.")
            .remedy(
                "Check the [[alert]] in the configuration; what happens is still told here and in the incident file.",
            ),
    );
}
