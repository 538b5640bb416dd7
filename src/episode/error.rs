//! Why a file for posting could not be made.

use std::io;
use std::path::PathBuf;

use crate::gst::GstError;
use crate::recording::RecordingError;

/// Errors of an export, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum EpisodeError {
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// GStreamer refused.
    #[error(transparent)]
    Media(#[from] GstError),
    /// The recording has no session of that name.
    #[error("the recording has no session {name:?}: it has {known}")]
    NoSession {
        /// What was asked for.
        name: String,
        /// Those that it has.
        known: String,
    },
    /// Nothing to make a file from.
    #[error("there is no audio to make a file from: {0}")]
    NoAudio(String),
    /// There is too little room.
    #[error(
        "no room in {folder}: {needed} bytes are needed and {free} are free; free some space, or choose another folder",
        folder = folder.display()
    )]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Another file stands where one would be put.
    #[error("{path} is there already and is another file: choose another name or folder, or overwrite it with --force", path = .0.display())]
    Exists(PathBuf),
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something cannot be done with this recording.
    #[error("{0}")]
    Unsuitable(String),
    /// Somebody stopped it; nothing is left of what was half-made.
    #[error("stopped: nothing half-made is left")]
    Cancelled,
}

impl EpisodeError {
    /// Wraps what the system said.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
