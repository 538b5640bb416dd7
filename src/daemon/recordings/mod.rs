//! The recordings of the daemon's shows: which there are, under names that tell nothing of the machine.
//!
//! Reads only what lies below the folders that shows record to. A recording's id is made from its folder and looked up in
//! the listing; it is never turned into a path. All of it blocks: callers leave the async threads first.

pub mod files;
pub mod jobs;
pub mod timeline;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::roster::Roster;
use super::{Origin, Ward};
use crate::config::RecordingConfig;
use crate::recording::catalogue::{self, Summary};
use crate::recording::{RecordingError, journal_file, sha256_hex};

/// Recordings that are listed at most: more than anybody looks through.
const LISTED_MAX: usize = 5000;

/// A recording in the listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its figures.
    pub summary: Arc<Summary>,
}

/// What a journal looked like when it was read.
type Seen = (u64, Option<SystemTime>);

/// The recordings of a roster's shows.
#[derive(Debug)]
pub struct Shelf {
    roster: Arc<Roster>,
    /// Summaries by folder, with what the journal looked like: a journal only grows.
    read: Mutex<HashMap<PathBuf, (Seen, Arc<Summary>)>>,
}

/// Why a recording cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is none of this id.
    #[error("there is no recording of this id")]
    Unknown,
    /// It cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

impl Shelf {
    /// The recordings of `roster`'s shows.
    pub fn new(roster: Arc<Roster>) -> Self {
        Self { roster, read: Mutex::default() }
    }

    /// Every recording, newest first.
    pub fn list(&self) -> Vec<Listed> {
        let folders: Vec<PathBuf> = self.shelves().iter().flat_map(|shelf| below(shelf)).take(LISTED_MAX).collect();
        let mut listed: Vec<Listed> = folders
            .iter()
            .filter_map(|folder| Some(Listed { id: id_of(folder), summary: self.summary(folder).ok()? }))
            .collect();
        listed.sort_by(|a, b| (b.summary.started_at, &b.id).cmp(&(a.summary.started_at, &a.id)));
        let there: HashSet<&PathBuf> = folders.iter().collect();
        self.read.lock().unwrap_or_else(PoisonError::into_inner).retain(|folder, _| there.contains(folder));
        listed
    }

    /// The folder of the recording `id`.
    ///
    /// # Errors
    /// [`ShelfError::Unknown`].
    pub fn find(&self, id: &str) -> Result<PathBuf, ShelfError> {
        let mut all = self.shelves().into_iter().flat_map(|shelf| below(&shelf));
        all.find(|folder| id_of(folder) == id).ok_or(ShelfError::Unknown)
    }

    /// The figures of the recording in `folder`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn summary(&self, folder: &Path) -> Result<Arc<Summary>, RecordingError> {
        let seen = seen(folder);
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(folder).cloned();
        let summary = match known {
            Some((before, summary)) if before == seen => summary,
            _ => {
                let summary = Arc::new(Summary::read(folder)?);
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                read.insert(folder.to_owned(), (seen, Arc::clone(&summary)));
                summary
            }
        };
        // A writer that was killed leaves the journal as it is.
        let written_by = catalogue::writer_of(folder);
        Ok(if summary.written_by == written_by {
            summary
        } else {
            Arc::new(Summary { written_by, ..summary.as_ref().clone() })
        })
    }

    /// The show that recorded it, if the daemon knows it: its configuration says how it is exported and repaired.
    pub fn show_of(&self, summary: &Summary) -> Option<Arc<Ward>> {
        self.roster.get(&summary.show)
    }

    /// The configuration file of the show that recorded it.
    pub fn config_of(&self, summary: &Summary) -> Option<PathBuf> {
        let ward = self.show_of(summary)?;
        Some(match ward.origin() {
            Origin::File(path) => path.clone(),
            Origin::Api => self.roster.folders().show_file(ward.name()),
        })
    }

    /// The folders that shows record to.
    fn shelves(&self) -> BTreeSet<PathBuf> {
        let own = self.roster.settings().data.join(RecordingConfig::default().folder);
        let configs = self.roster.all().into_iter().filter_map(|ward| ward.view().config);
        configs.map(|config| config.recording.folder.clone()).chain([own]).collect()
    }
}

fn below(shelf: &Path) -> Vec<PathBuf> {
    catalogue::folders(shelf).unwrap_or_else(|error| {
        tracing::warn!(%error, "A folder of recordings cannot be read.");
        Vec::new()
    })
}

fn seen(folder: &Path) -> Seen {
    let meta = journal_file(folder).symlink_metadata();
    meta.map_or((0, None), |meta| (meta.len(), meta.modified().ok()))
}

/// The id of the recording in `folder`: the same as long as it stays where it is.
pub fn id_of(folder: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    sha256_hex(folder.as_os_str().as_bytes())[..20].to_owned()
}
