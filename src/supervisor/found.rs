//! A bridge process that another supervisor started and left behind: watched by its lock, since it is nobody's child
//! here.

use std::time::Duration;

use super::policy::Exit;
use crate::bridge::state_folder::{StateError, StateFolder};

/// Pause between two looks whether it lives.
const LOOK: Duration = Duration::from_millis(200);

/// A process that was found.
#[derive(Debug)]
pub(super) struct Found {
    folder: StateFolder,
    pub(super) pid: u32,
}

impl Found {
    pub(super) fn new(folder: StateFolder, pid: u32) -> Self {
        Self { folder, pid }
    }

    /// Waits for its end, which the kernel tells by giving its lock back. Its exit code is for its parent alone: what it
    /// wrote into the show's record says whether it ended in order.
    pub(super) async fn ended(&self) -> Exit {
        loop {
            tokio::time::sleep(LOOK).await;
            match self.folder.lock() {
                Ok(_) => break,
                Err(StateError::Locked { .. }) => {}
                Err(error) => tracing::warn!(%error, "Whether a bridge lives cannot be seen."),
            }
        }
        match self.folder.load() {
            Ok(Some(record)) if record.ended_at.is_some() || record.suspended_at.is_some() => Exit::Clean,
            _ => Exit::Crashed("it was gone all at once".to_owned()),
        }
    }
}
