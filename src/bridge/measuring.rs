//! The measurement of what a show receives: the session's own audio on its way to the meter beside its archive. What
//! cannot be measured is measured later, from the segments.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::measure::Gauge;
use crate::media::PcmBlock;
use crate::recording::folder_name;

/// A running meter, or none. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Measuring(Arc<Mutex<Option<Gauge>>>);

impl Measuring {
    /// Begins to measure beside the archive in `folder`.
    pub(super) fn start(folder: &Path) -> Self {
        let gauge = Gauge::start(folder).inspect_err(|error| tracing::warn!(%error, "The audio is not measured."));
        Self(Arc::new(Mutex::new(gauge.ok())))
    }

    /// What comes from now on is of this session.
    pub(super) fn session(&self, id: &str) {
        if let Some(gauge) = &*self.gauge() {
            gauge.session(&folder_name(id));
        }
    }

    /// Hears a block; never waits.
    pub(super) fn audio(&self, block: &PcmBlock) {
        if let Some(gauge) = &*self.gauge() {
            gauge.audio(block);
        }
    }

    /// Writes what was heard, and hears nothing more.
    pub(super) async fn end(&self) {
        let gauge = self.gauge().take();
        if tokio::task::spawn_blocking(move || drop(gauge)).await.is_err() {
            tracing::warn!("The measurement broke.");
        }
    }

    fn gauge(&self) -> MutexGuard<'_, Option<Gauge>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
