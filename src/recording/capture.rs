//! One captured stream: a Matroska file that grows as its bytes arrive, unbuffered, so that a killed process loses
//! only what had not arrived.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::folder::Folder;

/// How a Matroska file starts: the id of its EBML header.
const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];

/// A killed process loses nothing without this; a power cut loses at most so much.
const SYNC_INTERVAL: Duration = Duration::from_secs(2);

/// Live streams arrive in pieces of a fraction of a second: a longer pause is none of the stream's time.
const LONGEST_PIECE: Duration = Duration::from_secs(2);

/// An open captured stream.
#[derive(Debug)]
pub(super) struct Capture {
    file: File,
    name: String,
    good: u64,
    last: Option<Instant>,
    seconds: f64,
    synced: Option<Instant>,
}

impl Capture {
    /// Whether these bytes begin a stream.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&EBML)
    }

    /// Makes the next file for a session that has `count` already.
    pub(super) fn create(folder: &Folder, session: &str, count: usize) -> io::Result<(Self, String)> {
        for number in count + 1.. {
            let name = format!("{session}-{number:04}.mka");
            match folder.create_file(&name) {
                // A crash between the file and its journal line left it; it is not ours to overwrite.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    return Ok((
                        Self { file, name: name.clone(), good: 0, last: None, seconds: 0.0, synced: None },
                        name,
                    ));
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Appends bytes that arrived at `now`; all of them, or none if it fails. The seconds of the stream that they add.
    pub(super) fn append(&mut self, bytes: &[u8], now: Instant) -> io::Result<f64> {
        if let Err(error) = self.file.write_all(bytes) {
            self.file.set_len(self.good)?;
            return Err(error);
        }
        self.good += bytes.len() as u64;
        let added = self.last.map_or(Duration::ZERO, |last| now.duration_since(last).min(LONGEST_PIECE)).as_secs_f64();
        self.last = Some(now);
        self.seconds += added;
        if self.synced.is_none_or(|synced| now.duration_since(synced) > SYNC_INTERVAL) {
            self.synced = Some(now);
            // The bytes are in the file: an error here must not have them written twice. The next write meets it too.
            if let Err(error) = self.file.sync_data() {
                tracing::warn!(%error, "A captured stream could not be synced to the disk.");
            }
        }
        Ok(added)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// The file's name in its folder.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bytes(&self) -> u64 {
        self.good
    }

    /// Seconds in which it arrived, without long pauses.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }
}
