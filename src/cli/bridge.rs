//! `spacebridge bridge`: the process that carries one show, as its supervisor starts it. It reads the configuration and
//! the secrets from its standard input, listens to signals, and turns the show's end into an exit code.

use std::future::Future;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args::BridgeArgs;
use super::{runtime, wiring};
use crate::bridge::{self, state_folder::StateFolder};
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::supervisor::STARTED_BY;

/// Most that is read of a handover; the reader of its content has its own bound below this.
const HANDOVER_MAX: u64 = 8 << 20;

/// Exit code when a second signal leaves before the show was brought to an end.
const GRACE_EXCEEDED: u8 = 2;

/// How long work that was abandoned may take before the process leaves it behind.
const ABANDONED: Duration = Duration::from_secs(1);

/// What the composition root needs.
pub(super) struct Handed {
    /// The show.
    pub(super) config: ShowConfig,
    /// Its secrets.
    pub(super) secrets: Secrets,
    /// Where its socket, its lock and its record are.
    pub(super) folder: StateFolder,
    /// Time.
    pub(super) clock: Clock,
    /// Cancelled when a signal asks for a suspension.
    pub(super) suspend: CancellationToken,
}

/// Carries the show that is handed over.
pub(super) fn run(args: &BridgeArgs) -> anyhow::Result<ExitCode> {
    if let Some(pid) = std::env::var(STARTED_BY).ok().and_then(|pid| pid.parse().ok()) {
        bridge::started_by(pid);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(HANDOVER_MAX).read_to_end(&mut bytes).context("cannot read the handover")?;
    let (config, secrets) = Secrets::from_handover(&bytes)?;
    // Its secrets live on in one place less.
    drop(bytes);
    let folder = StateFolder::open(&args.show)?;
    let suspend = CancellationToken::new();
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
        let hangup = signal(SignalKind::hangup()).context("cannot listen to signals")?;
        let clock = Clock::paced(config.pace);
        let handed = Handed { config, secrets, folder, clock, suspend: suspend.clone() };
        until_second_signal(wiring::carry(handed), suspend, terminate, hangup).await
    });
    // What was abandoned because it hung would otherwise be waited for without end.
    runtime.shutdown_timeout(ABANDONED);
    ended
}

/// The first signal suspends the show, the second leaves at once.
async fn until_second_signal(
    show: impl Future<Output = anyhow::Result<ExitCode>>,
    suspend: CancellationToken,
    mut terminate: Signal,
    mut hangup: Signal,
) -> anyhow::Result<ExitCode> {
    tokio::pin!(show);
    loop {
        tokio::select! {
            ended = &mut show => return ended,
            Some(()) = terminate.recv() => {}
            Some(()) = hangup.recv() => {}
        }
        if suspend.is_cancelled() {
            tracing::warn!("A second signal leaves before the show was suspended.");
            return Ok(GRACE_EXCEEDED.into());
        }
        tracing::info!("A signal suspends the show.");
        suspend.cancel();
    }
}
