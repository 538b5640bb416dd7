//! A program with outputs and nothing else of a show.

use std::time::Duration;

use spacebridge::alert::{Event, Events};
use spacebridge::clock::Clock;
use spacebridge::config::BudgetConfig;
use spacebridge::output::{self, OutputGroup, OutputHandle, OutputSettings};
use spacebridge::secret::Secret;
use spacebridge::status::{OutputState, OutputStatus};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::eventually;
use super::media::OnAir;

/// The key of every test: nothing that is told may hold it.
pub(crate) const KEY: &str = "k3y-of-this-t3st";

/// A live session of a few seconds at 3 Mbit/s.
pub(crate) const SECONDS_OF_BYTES: u64 = 3_000_000 / 8;

/// A program with outputs, as a bridge would join them.
#[derive(Debug)]
pub(crate) struct Show {
    /// The program.
    pub(crate) air: OnAir,
    /// Where outputs report.
    pub(crate) events: Events,
    told: broadcast::Receiver<Event>,
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Show {
    /// Goes on the air.
    pub(crate) fn start() -> Self {
        Self::start_with(Clock::system())
    }

    /// Goes on the air with a clock of its own.
    pub(crate) fn start_with(clock: Clock) -> Self {
        let events = Events::new(clock.clone());
        let mut air = OnAir::start();
        air.inputs.clock = clock;
        let told = events.subscribe();
        Self { air, events, told, token: CancellationToken::new(), tracker: TaskTracker::new() }
    }

    /// Starts an output.
    pub(crate) fn output(&self, name: &str, url: &str, group: Option<OutputGroup>) -> OutputHandle {
        self.output_within(name, url, group, BudgetConfig::default())
    }

    /// Starts an output that may begin only so many broadcasts.
    pub(crate) fn output_within(
        &self,
        name: &str,
        url: &str,
        group: Option<OutputGroup>,
        budget: BudgetConfig,
    ) -> OutputHandle {
        let url = Url::parse(url).expect("a URL");
        let settings = OutputSettings {
            name: name.into(),
            url,
            key: Some(Secret::new(KEY)),
            group,
            enabled: true,
            budget,
            spent: Vec::new(),
        };
        output::spawn(settings, self.air.inputs.clone(), self.events.clone(), self.token.clone(), &self.tracker)
    }

    /// Ends every output, and gives what was told.
    pub(crate) async fn end(mut self) -> Vec<Event> {
        self.token.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(Duration::from_secs(15), self.tracker.wait()).await;
        assert!(ended.is_ok(), "an output does not end");
        let mut told = Vec::new();
        while let Ok(event) = self.told.try_recv() {
            let shown = format!("{event:?}");
            assert!(!shown.contains(KEY), "{shown}");
            told.push(event);
        }
        told
    }
}

/// Waits for a status.
pub(crate) async fn until(
    output: &OutputHandle,
    what: &str,
    seconds: u64,
    wanted: impl Fn(&OutputStatus) -> bool,
) -> OutputStatus {
    let status = output.status();
    let found = eventually(what, Duration::from_secs(seconds), || {
        let status = status.borrow().clone();
        wanted(&status).then_some(status)
    });
    let found = found.await;
    assert!(!format!("{found:?}").contains(KEY), "{found:?}");
    found
}

/// Waits until an output is live.
pub(crate) async fn until_live(output: &OutputHandle) -> OutputStatus {
    until(output, "the output is live", 15, |status| status.state == OutputState::Live).await
}

/// Codes of what was told about `subject`, in order.
pub(crate) fn codes(told: &[Event], subject: &str) -> Vec<String> {
    told.iter().filter(|event| event.subject == subject).map(|event| event.code.clone()).collect()
}
