//! The outputs of a show, as one thing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::protocol::OutputAction;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::encode::audio::AudioFeed;
use crate::media::PictureTimeline;
use crate::output::{self, OutputCommand, OutputGroup, OutputHandle, OutputInputs, OutputSettings};
use crate::status::OutputStatus;

/// How long outputs may take to close their connections.
const CLOSING: Duration = Duration::from_secs(8);

/// When the publishing sessions of each output began, by the wall clock: what a restarted bridge must know.
pub(super) type Publishes = BTreeMap<String, Vec<Timestamp>>;

/// How long ago sessions began. A wall clock that was set back since makes them new.
fn ages(publishes: Option<&Vec<Timestamp>>, clock: &Clock) -> Vec<Duration> {
    let wall = clock.wall();
    let age = |at: &Timestamp| Duration::try_from(wall.duration_since(*at)).unwrap_or_default();
    publishes.into_iter().flatten().map(age).collect()
}

/// Every output of a show, in the configuration's order.
pub(super) struct Outputs {
    handles: Vec<(String, OutputHandle)>,
    publishes: Vec<(String, watch::Receiver<Vec<Instant>>)>,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Outputs {
    /// Starts every output that is enabled; the others wait to be started.
    pub(super) fn start(
        config: &ShowConfig,
        secrets: &Secrets,
        feed: &AudioFeed,
        pictures: watch::Receiver<Arc<PictureTimeline>>,
        clock: &Clock,
        events: &Events,
        publishes: &Publishes,
    ) -> Self {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let mut groups: HashMap<String, OutputGroup> = HashMap::new();
        let handles: Vec<(String, OutputHandle)> = config
            .outputs
            .iter()
            .map(|output| {
                let settings = OutputSettings {
                    name: output.name.clone(),
                    url: output.url.clone(),
                    key: secrets.output_key(&output.name).cloned(),
                    group: output.group.as_ref().map(|name| groups.entry(name.clone()).or_default().clone()),
                    enabled: output.enabled,
                    budget: output.budget,
                    spent: ages(publishes.get(&output.name), clock),
                };
                let inputs = OutputInputs {
                    audio: feed.frames.clone(),
                    audio_format: feed.format.clone(),
                    pictures: pictures.clone(),
                    clock: clock.clone(),
                };
                (output.name.clone(), output::spawn(settings, inputs, events.clone(), token.child_token(), &tracker))
            })
            .collect();
        tracker.close();
        let publishes = handles.iter().map(|(name, handle)| (name.clone(), handle.publishes())).collect();
        Self { handles, publishes, tracker, token }
    }

    /// Whether there is none: the show is only recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// What each says of itself.
    pub(super) fn status(&self) -> Vec<watch::Receiver<OutputStatus>> {
        self.handles.iter().map(|(_, handle)| handle.status()).collect()
    }

    /// Waits until one of them has begun another publishing session. Safe to cancel.
    pub(super) async fn published(&mut self) {
        let changes = self.publishes.iter_mut().map(|(_, publishes)| {
            Box::pin(async {
                if publishes.changed().await.is_err() {
                    // It has ended, and begins no more.
                    std::future::pending::<()>().await;
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        if changes.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(changes).await;
    }

    /// When the publishing sessions of the last hour began, by the wall clock as it is now.
    pub(super) fn publishes(&self, clock: &Clock) -> Publishes {
        let (now, wall) = (clock.now(), clock.wall());
        let stamp = |at: &Instant| wall.checked_sub(now.saturating_duration_since(*at)).unwrap_or(wall);
        let all = self.publishes.iter();
        all.map(|(name, publishes)| (name.clone(), publishes.borrow().iter().map(stamp).collect())).collect()
    }

    /// Does as an operator says.
    ///
    /// # Errors
    /// When there is no such output; the text names those that are.
    pub(super) async fn act(&self, name: &str, action: OutputAction) -> Result<(), String> {
        let Some((_, handle)) = self.handles.iter().find(|(own, _)| own == name) else {
            let names: Vec<&str> = self.handles.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("there is no output {name}; the show has: {}", names.join(", ")));
        };
        let command = match action {
            OutputAction::Start => OutputCommand::Start,
            OutputAction::Stop => OutputCommand::Stop,
            OutputAction::Restart => OutputCommand::Restart,
        };
        if handle.command(command).await { Ok(()) } else { Err(format!("output {name} has ended with the show")) }
    }

    /// Closes every connection; what does not close in time is abandoned.
    pub(super) async fn stop(&self) {
        self.token.cancel();
        if tokio::time::timeout(CLOSING, self.tracker.wait()).await.is_err() {
            tracing::warn!("An output did not close in time.");
        }
    }
}
