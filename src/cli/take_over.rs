//! A show whose supervisor died is carried on by its bridge; here the next `run` takes it over.
//!
//! The bridge suspends itself, recording safe, and a bridge of our own resumes the show: a break of a few seconds on the
//! outputs, after which somebody starts it again should it die.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;

use crate::bridge::client::BridgeClient;
use crate::bridge::state_folder::{StateError, StateFolder};
use crate::supervisor::GRACE;

/// Pause between two looks whether the old bridge is gone.
const LOOK: Duration = Duration::from_millis(100);

/// Makes sure that nobody else carries the show.
///
/// # Errors
/// When somebody does who is supervised, or an orphan does not go.
pub(super) async fn make_way(folder: &StateFolder) -> anyhow::Result<()> {
    // Free again at once, for the bridge to take.
    let taken = match folder.lock() {
        Ok(_) => return Ok(()),
        Err(error @ StateError::Locked { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    let client = BridgeClient::new(folder.clone());
    let is_orphan = client.status().await.is_ok_and(|status| status.bridge.orphaned);
    if !is_orphan {
        return Err(taken.into());
    }
    // Not on the standard output, which may have to be JSON.
    drop(writeln!(io::stderr(), "spacebridge: this show is on the air without its supervisor; it is taken over"));
    client.suspend().await.context("the bridge that carries the show cannot be asked to make way")?;
    let until = tokio::time::Instant::now() + GRACE;
    loop {
        tokio::time::sleep(LOOK).await;
        match folder.lock() {
            Ok(_) => return Ok(()),
            Err(StateError::Locked { .. }) if tokio::time::Instant::now() < until => {}
            Err(error) => return Err(error.into()),
        }
    }
}
