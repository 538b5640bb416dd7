//! Why a recording could not be begun, gone on with, or finished.

use std::io;
use std::path::PathBuf;

/// Errors of the recording, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Another bridge writes this archive.
    #[error("the recording {folder} is being written by process {pid}: end that bridge first, or choose another show name", folder = folder.display())]
    Locked {
        /// The archive.
        folder: PathBuf,
        /// Who holds it; `unknown` where the lock does not say.
        pid: String,
    },
    /// The folder cannot be written.
    #[error("the recording folder {folder} cannot be written ({source}): {remedy}", folder = folder.display())]
    Folder {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The show's name cannot name a folder.
    #[error("{0:?} cannot name a recording: use 1 to 64 letters, digits, - and _")]
    Name(String),
    /// The path is not an archive.
    #[error("{folder} is not a recording: it has no journal.jsonl with a readable line", folder = .0.display())]
    NoArchive(PathBuf),
    /// The archive is of a later version.
    #[error("{folder} was written in format version {version}: use a newer spacebridge", folder = folder.display())]
    Newer {
        /// The archive.
        folder: PathBuf,
        /// Its version.
        version: u64,
    },
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The writer is gone.
    #[error("the recording is closed")]
    Closed,
}

impl RecordingError {
    /// Whether trying again without the operator cannot help.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(super) fn folder(folder: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let folder = folder.into();
        move |source| Self::Folder { folder, remedy: Trouble::of(&source).remedy(), source }
    }
}

/// Kinds of trouble with a disk that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No space, or less than the operator wants to keep free.
    Full,
    /// Read-only, or not ours.
    ReadOnly,
    /// Anything else.
    Other,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Other,
        }
    }

    /// As the cause of missing media.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Full => "disk full",
            Self::ReadOnly => "recording folder not writable",
            Self::Other => "disk fault",
        }
    }

    /// What to do, for people.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Full => "free some space on that disk, or lower recording.min_free",
            Self::ReadOnly => "make it writable for this user, or choose another with recording.folder",
            Self::Other => "check the disk and its mount",
        }
    }
}
