//! How far a piece of work is, and whether somebody wants it stopped. Clones share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::error::EpisodeError;

#[derive(Debug, Default)]
struct Shared {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

impl Progress {
    /// Adds work that is to be done, in samples of 48 000 a second.
    pub fn plan(&self, samples: u64) {
        self.0.total.fetch_add(samples, Ordering::Relaxed);
    }

    /// So much of it is done.
    pub fn advance(&self, samples: u64) {
        self.0.done.fetch_add(samples, Ordering::Relaxed);
    }

    /// What is done, and the whole; the first never passes the second.
    pub fn now(&self) -> (u64, u64) {
        let total = self.0.total.load(Ordering::Relaxed);
        (self.0.done.load(Ordering::Relaxed).min(total), total)
    }

    /// Asks that it stop.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it shall stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Goes on only if nobody wants it stopped.
    ///
    /// # Errors
    /// [`EpisodeError::Cancelled`].
    pub fn check(&self) -> Result<(), EpisodeError> {
        if self.is_cancelled() { Err(EpisodeError::Cancelled) } else { Ok(()) }
    }
}
