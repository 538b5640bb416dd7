//! One writer per archive: an exclusive lock that ends with the process, however that ends.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::error::RecordingError;
use super::folder::Folder;

pub(super) const NAME: &str = "lock";

/// How often and in which pauses the lock is tried: a look at it takes microseconds.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);

/// The lock on an archive. Dropping it gives the archive free.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes this process's id into it, for people.
    pub(super) fn take(folder: &Folder) -> Result<Self, RecordingError> {
        let mut file = folder.append(NAME).map_err(RecordingError::folder(folder.path()))?;
        match patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RecordingError::Locked { folder: folder.path().to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(RecordingError::folder(folder.path())(error)),
        }
        // The lock holds without the number in it, as on a full disk.
        if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
            tracing::debug!(%error, "The lock's owner could not be written.");
        }
        Ok(Self { _file: file })
    }
}

/// Who writes the archive, if anybody does. Writes nothing.
pub(super) fn holder_of(folder: &Folder) -> Option<String> {
    let mut file = folder.open_path(NAME).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
        _ => None,
    }
}

/// Takes the lock; who only looks whether it is taken holds it for a moment.
fn patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            other => return other,
        }
    }
    file.try_lock()
}

fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    match file.take(20).read_to_string(&mut pid) {
        Ok(_) if pid.trim().parse::<u32>().is_ok() => pid.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
