//! The outputs of a show, as one thing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::protocol::{OutputAction, live};
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{OutputConfig, Secrets, ShowConfig};
use crate::encode::audio::AudioFeed;
use crate::media::PictureTimeline;
use crate::output::{self, OutputCommand, OutputGroup, OutputHandle, OutputInputs, OutputSettings};
use crate::secret::Secret;
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

/// What an output without its key is told.
const KEY_LOST: &str = "Its key is gone with the process that was given it: add the output again with its key.";

/// What every output carries, and where it reports.
pub(super) struct Feeds {
    /// The encoded program.
    pub(super) audio: AudioFeed,
    /// The pictures.
    pub(super) pictures: watch::Receiver<Arc<PictureTimeline>>,
    /// Time.
    pub(super) clock: Clock,
    /// Where outputs report.
    pub(super) events: Events,
}

/// How the status sees one output.
pub(super) struct OutputView {
    status: watch::Receiver<OutputStatus>,
    key_lost: bool,
}

impl OutputView {
    /// What it says of itself, and what it cannot know.
    pub(super) fn status(&self) -> OutputStatus {
        let mut status = self.status.borrow().clone();
        if self.key_lost {
            status.last_error = Some(KEY_LOST.to_owned());
            status.fault = Some(live::KEY_LOST.to_owned());
        }
        status
    }
}

struct One {
    name: String,
    handle: OutputHandle,
    publishes: watch::Receiver<Vec<Instant>>,
    token: CancellationToken,
    key_lost: bool,
}

/// Every output of a show, in the configuration's order and then in that of their coming.
pub(super) struct Outputs {
    all: Vec<One>,
    groups: HashMap<String, OutputGroup>,
    /// When outputs that are gone published: one that comes back gets no new budget by that.
    gone: Publishes,
    feeds: Feeds,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Outputs {
    /// Starts every output that is enabled; the others wait to be started. Those whose key is `lost` cannot be.
    pub(super) fn start(
        config: &ShowConfig,
        secrets: &Secrets,
        feeds: Feeds,
        publishes: &Publishes,
        lost: &[String],
    ) -> Self {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        tracker.close();
        let mut outputs =
            Self { all: Vec::new(), groups: HashMap::new(), gone: publishes.clone(), feeds, tracker, token };
        for output in &config.outputs {
            let key_lost = lost.contains(&output.name);
            outputs.add(output, secrets.output_key(&output.name).cloned(), key_lost);
        }
        outputs
    }

    /// Adds an output, which starts at once if it is enabled.
    pub(super) fn add(&mut self, output: &OutputConfig, key: Option<Secret>, key_lost: bool) {
        let Feeds { audio, pictures, clock, events } = &self.feeds;
        let group = |name: &String| self.groups.entry(name.clone()).or_default().clone();
        let settings = OutputSettings {
            name: output.name.clone(),
            url: output.url.clone(),
            key,
            group: output.group.as_ref().map(group),
            enabled: output.enabled && !key_lost,
            budget: output.budget,
            spent: ages(self.gone.get(&output.name), clock),
        };
        let inputs = OutputInputs {
            audio: audio.frames.clone(),
            audio_format: audio.format.clone(),
            pictures: pictures.clone(),
            clock: clock.clone(),
        };
        let token = self.token.child_token();
        let handle = output::spawn(settings, inputs, events.clone(), token.clone(), &self.tracker);
        let publishes = handle.publishes();
        self.all.push(One { name: output.name.clone(), handle, publishes, token, key_lost });
    }

    /// Takes an output out: its connection is closed in order, by itself. False when there is none of that name.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let published = self.publishes(&self.feeds.clock);
        let before = self.all.len();
        self.all.retain(|one| {
            if one.name == name {
                one.token.cancel();
            }
            one.name != name
        });
        self.gone = published;
        self.all.len() < before
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|one| one.name.clone()).collect()
    }

    /// Whether its key is gone, so that it can only be added again.
    pub(super) fn is_lost(&self, name: &str) -> bool {
        self.all.iter().any(|one| one.name == name && one.key_lost)
    }

    /// Whether there is none: the show is only recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What each says of itself.
    pub(super) fn views(&self) -> Vec<OutputView> {
        let view = |one: &One| OutputView { status: one.handle.status(), key_lost: one.key_lost };
        self.all.iter().map(view).collect()
    }

    /// Waits until one of them has begun another publishing session. Safe to cancel.
    pub(super) async fn published(&mut self) {
        let changes = self.all.iter_mut().map(|one| {
            Box::pin(async {
                if one.publishes.changed().await.is_err() {
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

    /// When the publishing sessions of the last hour began, by the wall clock as it is now; those of outputs that are
    /// gone too.
    pub(super) fn publishes(&self, clock: &Clock) -> Publishes {
        let (now, wall) = (clock.now(), clock.wall());
        let stamp = |at: &Instant| wall.checked_sub(now.saturating_duration_since(*at)).unwrap_or(wall);
        let mut publishes = self.gone.clone();
        publishes
            .extend(self.all.iter().map(|one| (one.name.clone(), one.publishes.borrow().iter().map(stamp).collect())));
        publishes
    }

    /// Does as an operator says.
    ///
    /// # Errors
    /// When there is no such output; the text names those that are.
    pub(super) async fn act(&self, name: &str, action: OutputAction) -> Result<(), String> {
        let Some(One { handle, key_lost, .. }) = self.all.iter().find(|one| one.name == name) else {
            return Err(format!("there is no output {name}; the show has: {}", self.names().join(", ")));
        };
        if *key_lost && action != OutputAction::Stop {
            return Err(KEY_LOST.to_owned());
        }
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
