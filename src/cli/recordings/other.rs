//! What `recordings repair` finds in the other sessions of a recording after the platform had its turn.

use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::words::clean;
use crate::episode::{Progress, other_path, sessions_with_another_path};
use crate::gst;
use crate::media::SAMPLE_RATE;
use crate::recording::{FillFact, Recording};

/// What was found, as it is told.
#[derive(Debug, Default, Serialize)]
pub(super) struct Other {
    pub(super) fills: Vec<FillFact>,
    pub(super) notes: Vec<String>,
}

impl Other {
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let seconds = |samples: i64| samples as f64 / f64::from(SAMPLE_RATE);
        let fill = |fill: &FillFact| {
            let (session, from) = (clean(&fill.session), clean(&fill.from));
            let (length, at) = (seconds(fill.end - fill.start), seconds(fill.start));
            format!("{session}: {length:.1} s at {at:.1} s are heard in the session {from}; encoded exports have them")
        };
        self.fills.iter().map(fill).chain(self.notes.iter().map(|note| clean(note))).collect()
    }
}

/// Looks through every session that lacks something, and lists what was found in the journal.
pub(super) async fn find(recording: &Arc<Recording>) -> anyhow::Result<Other> {
    recording.flush().await;
    let archive = recording.archive();
    let lacking = sessions_with_another_path(&archive);
    if lacking.is_empty() {
        return Ok(Other::default());
    }
    gst::init()?;
    let work = tokio::task::spawn_blocking(move || {
        let mut other = Other::default();
        for session in &lacking {
            let found = other_path(&archive, session, &Progress::default())?;
            other.fills.extend(found.fills);
            other.notes.extend(found.notes);
        }
        anyhow::Ok(other)
    });
    let other = work.await.context("the search's thread is gone")??;
    other.fills.iter().for_each(|fill| recording.fill(fill.clone()));
    Ok(other)
}
