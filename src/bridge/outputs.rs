//! The outputs of a show, as one thing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

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

/// Every output of a show, in the configuration's order.
pub(super) struct Outputs {
    handles: Vec<(String, OutputHandle)>,
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
    ) -> Self {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let mut groups: HashMap<String, OutputGroup> = HashMap::new();
        let handles = config
            .outputs
            .iter()
            .map(|output| {
                let settings = OutputSettings {
                    name: output.name.clone(),
                    url: output.url.clone(),
                    key: secrets.output_key(&output.name).cloned(),
                    group: output.group.as_ref().map(|name| groups.entry(name.clone()).or_default().clone()),
                    enabled: output.enabled,
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
        Self { handles, tracker, token }
    }

    /// Whether there is none: the show is only recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// What each says of itself.
    pub(super) fn status(&self) -> Vec<watch::Receiver<OutputStatus>> {
        self.handles.iter().map(|(_, handle)| handle.status()).collect()
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
