//! `spacebridge health`: whether what runs here does its work, by exit code, for a container's health check.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{runtime, say};
use crate::bridge::client::BridgeClient;
use crate::bridge::state_folder::{self, StateFolder};
use crate::daemon::DaemonError;
use crate::daemon::folders::Folders;
use crate::daemon::probe::Probe;

/// Time for every answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks the daemon of the state folder or, where there is none, every bridge on the air.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        match daemon_address()? {
            Some(url) => Probe::new(&url, WITHIN)?.ready().await.context("the daemon is not well")?,
            None => bridges().await?,
        }
        say("All is well.");
        Ok(ExitCode::SUCCESS)
    })
}

/// Where the daemon of the state folder listens; none if no daemon is there.
fn daemon_address() -> anyhow::Result<Option<String>> {
    let root = state_folder::root()?;
    if !root.join("serve").is_dir() {
        return Ok(None);
    }
    let folders = Folders::open(&root)?;
    match folders.lock() {
        // Given back at once: nobody is the daemon.
        Ok(_) => Ok(None),
        Err(DaemonError::Locked { .. }) => {
            Ok(Some(folders.address()?.context("the daemon has not opened its door yet")?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn bridges() -> anyhow::Result<()> {
    let root = state_folder::root()?;
    let shows = state_folder::shows_on_the_air(&root);
    anyhow::ensure!(!shows.is_empty(), "no daemon is here, and no show is on the air");
    for show in shows {
        let client = BridgeClient::new(StateFolder::at(&root, &show)?);
        let asked = tokio::time::timeout(WITHIN, client.status()).await;
        asked.with_context(|| format!("the bridge of {show} does not answer"))??;
    }
    Ok(())
}
