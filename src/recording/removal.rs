//! Deletes an archive: what belongs to it, and nothing else.
//!
//! The journal goes last, so that a deletion that was cut off can be begun again by the same name, and what is left says
//! what it is until then.

use std::path::Path;

use super::error::RecordingError;
use super::folder::{Folder, Kind};
use super::inventory::{Item, Owner, items};
use super::journal;
use super::lock::{self, Lock};
use super::reader::Archive;

/// What becomes of the files that somebody had made for posting, where they lie inside the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exports {
    /// They go too: a person said so.
    Delete,
    /// They stay: nobody was asked.
    Keep,
}

/// What a deletion did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// Files that are gone.
    pub files: u64,
    /// Bytes that they held.
    pub bytes: u64,
    /// Paths inside the folder that stay: exports that were to stay, and what is not ours.
    pub left: Vec<String>,
}

/// Deletes the archive in `folder`. What is not known to belong to it stays, and the folder with it.
///
/// # Errors
/// [`RecordingError::Locked`] while somebody writes it, [`RecordingError::NoArchive`] where nothing in the folder says
/// that it is one, or what the system says; then it may be called again.
pub fn remove(folder: &Path, exports: Exports) -> Result<Removed, RecordingError> {
    let failed = || RecordingError::folder(folder);
    let archive = match Archive::read(folder) {
        // One that was copied half-way, or lost its journal, has segments at their place; nothing else is taken for one.
        Err(RecordingError::NoArchive(_)) if is_rest(folder) => Archive::default(),
        other => other?,
    };
    let root = Folder::open(folder).map_err(failed())?;
    let lock = Lock::take(&root)?;
    let items = items(&root, &archive).map_err(failed())?;
    let goes = |item: &Item| match item.owner {
        Owner::Foreign => false,
        Owner::Export => exports == Exports::Delete,
        Owner::Archive | Owner::Unlisted | Owner::HalfMade => true,
    };
    let is_last = |item: &&Item| [journal::NAME, lock::NAME].contains(&item.path.as_str());
    let mut removed = Removed::default();
    for item in items.iter().filter(|item| goes(item) && !is_last(item)) {
        removed.take(&root, item).map_err(failed())?;
    }
    for item in items.iter().filter(|item| is_last(item) && goes(item)) {
        removed.take(&root, item).map_err(failed())?;
    }
    removed.left =
        items.iter().filter(|item| item.kind != Kind::Folder && !goes(item)).map(|i| i.path.clone()).collect();
    drop(lock);
    if removed.left.is_empty() {
        // Something that came this moment keeps the folder.
        std::fs::remove_dir(folder).or_else(|error| match error.kind() {
            std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            _ => Err(failed()(error)),
        })?;
    }
    Ok(removed)
}

/// Whether the folder holds segments where an archive has them.
fn is_rest(folder: &Path) -> bool {
    folder.join("segments").symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

impl Removed {
    fn take(&mut self, root: &Folder, item: &Item) -> std::io::Result<()> {
        let bytes = root.remove_path(&item.path, item.kind)?;
        if item.kind != Kind::Folder {
            self.files += 1;
            self.bytes += bytes;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;
