//! The operator's own word on the slate while the show is on the air: a text, or a picture.
//!
//! The picture is kept in the show's state folder, so that a restarted bridge shows it again. It is looked at with the
//! same bounds as every picture of the operator's, on a thread of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bridge::protocol::live::PICTURE_MAX;
use crate::bridge::state_folder::fingerprint;
use crate::config::SlateConfig;
use crate::picture::{PictureError, Slate};

/// Name of the kept picture in the state folder.
const NAME: &str = "slate-picture";

/// A picture that is the slate.
#[derive(Debug)]
pub(super) struct OwnPicture {
    digest: String,
    pub(super) slate: Slate,
}

impl PartialEq for OwnPicture {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl OwnPicture {
    /// A slate that is this picture. Blocks.
    ///
    /// # Errors
    /// In words, for what is no picture, or too large a one.
    pub(super) fn of(bytes: Vec<u8>, config: &SlateConfig) -> Result<Arc<Self>, PictureError> {
        let digest = fingerprint(&bytes);
        Slate::of_picture(bytes, config).map(|slate| Arc::new(Self { digest, slate }))
    }
}

/// Where the operator's picture is kept.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    path: PathBuf,
}

impl Shelf {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(NAME) }
    }

    /// Keeps the picture, in place of any other. Blocks.
    pub(super) fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let part = self.path.with_extension("part");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, &self.path)
    }

    /// The picture that is kept, if there is one that can be read. Blocks.
    pub(super) fn get(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path).ok()?.take(PICTURE_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() <= PICTURE_MAX).then_some(bytes)
    }

    /// Forgets the picture.
    pub(super) fn clear(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "The slate's old picture stays in the state folder.");
            }
            _ => {}
        }
    }
}
