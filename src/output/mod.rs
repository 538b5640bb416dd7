//! Outputs: one task and one pipeline for each destination, so that whatever happens to one never reaches another.
//!
//! An output takes the encoded audio as it goes on the air, makes the video of the picture timeline by itself, joins at
//! a grid point, and reconnects for as long as the show lasts. It decides nothing about the program, and it never waits
//! for another output, except for a few seconds for the members of its own [`OutputGroup`].

mod budget;
mod connection;
mod fault;
mod feed;
mod group;
mod liveness;
pub mod preset;
mod rate;
mod slow;
mod state;
mod task;
mod voice;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::alert::Events;
use crate::clock::Clock;
use crate::config::BudgetConfig;
use crate::media::{AudioFormat, AudioFrame, PictureTimeline};
use crate::secret::Secret;
use crate::status::OutputStatus;

pub use group::OutputGroup;

/// What one output is.
#[derive(Debug, Clone)]
pub struct OutputSettings {
    /// Unique in the show.
    pub name: String,
    /// The server's address without the key.
    pub url: Url,
    /// The stream key; none where the address holds the stream's name.
    pub key: Option<Secret>,
    /// Shared by the outputs that must carry identical bytes: a platform's primary and backup.
    pub group: Option<OutputGroup>,
    /// Whether it starts at once; otherwise it waits for [`OutputCommand::Start`].
    pub enabled: bool,
    /// How many publishing sessions it may begin by itself.
    pub budget: BudgetConfig,
    /// How long ago sessions began that an earlier process of the same show had.
    pub spent: Vec<Duration>,
}

/// What an output carries. Clones share the program.
#[derive(Debug, Clone)]
pub struct OutputInputs {
    /// The program's encoded audio, in real time; every connection subscribes anew.
    pub audio: broadcast::Sender<AudioFrame>,
    /// What a decoder must know before the first frame.
    pub audio_format: AudioFormat,
    /// Which picture is on the air when.
    pub pictures: watch::Receiver<Arc<PictureTimeline>>,
    /// Monotonic time.
    pub clock: Clock,
}

/// What the operator can tell an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputCommand {
    /// Connect, now if it waits; nothing if it is connected.
    Start,
    /// Close the connection and stay so.
    Stop,
    /// Close the connection and connect at once.
    Restart,
}

/// How the bridge sees one output.
#[derive(Debug, Clone)]
pub struct OutputHandle {
    status: watch::Receiver<OutputStatus>,
    publishes: watch::Receiver<Vec<Instant>>,
    commands: mpsc::Sender<OutputCommand>,
}

impl OutputHandle {
    /// What the output says of itself: at once when its state changes, else twice a second.
    pub fn status(&self) -> watch::Receiver<OutputStatus> {
        self.status.clone()
    }

    /// When the publishing sessions of the last hour began; changes with each new one. To be kept across a crash.
    pub fn publishes(&self) -> watch::Receiver<Vec<Instant>> {
        self.publishes.clone()
    }

    /// Tells the output what to do; false when it has ended.
    pub async fn command(&self, command: OutputCommand) -> bool {
        self.commands.send(command).await.is_ok()
    }

    /// [`OutputCommand::Start`].
    pub async fn start(&self) -> bool {
        self.command(OutputCommand::Start).await
    }

    /// [`OutputCommand::Stop`].
    pub async fn stop(&self) -> bool {
        self.command(OutputCommand::Stop).await
    }

    /// [`OutputCommand::Restart`].
    pub async fn restart(&self) -> bool {
        self.command(OutputCommand::Restart).await
    }
}

/// Starts the task of one output. It ends, with its connection closed, soon after `token` is cancelled.
pub fn spawn(
    settings: OutputSettings,
    inputs: OutputInputs,
    events: Events,
    token: CancellationToken,
    tracker: &TaskTracker,
) -> OutputHandle {
    // More commands than a person can give before the task has taken the first.
    let (commands, receiver) = mpsc::channel(16);
    let (task, status, publishes) = task::Task::new(settings, inputs, events);
    tracker.spawn(task.run(receiver, token));
    OutputHandle { status, publishes, commands }
}
