//! What a bridge process died of, left in the state folder for the process after it, so that the show itself tells it.
//!
//! Best effort on both sides: a word that is lost changes nothing but what is told.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::state_folder::StateFolder;
use crate::alert::Events;
use crate::text;

/// Largest file that is read.
const SIZE_MAX: u64 = 4 << 10;

/// Characters of it that are told.
const WORDS_MAX: usize = 200;

#[derive(Debug, Serialize, Deserialize)]
struct Obituary {
    /// Whether it was alive and stood still, rather than dead by itself.
    frozen: bool,
    /// How it died, as the end of a sentence that begins with "The bridge process".
    how: String,
}

fn path(folder: &StateFolder) -> PathBuf {
    folder.path().join("died.json")
}

/// Leaves the word; the first one stands until it is told.
pub(crate) fn leave(folder: &StateFolder, frozen: bool, how: &str) {
    let obituary = Obituary { frozen, how: how.to_owned() };
    let left = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(folder)).and_then(|mut file| {
        let bytes = serde_json::to_vec(&obituary)?;
        file.write_all(&bytes)
    });
    if let Err(error) = left {
        tracing::debug!(%error, "What the bridge died of could not be left for the next one.");
    }
}

/// Tells what the process before this one died of, once.
pub(super) fn tell(folder: &StateFolder, events: &Events) {
    let path = path(folder);
    let Ok(file) = fs::File::open(&path) else { return };
    let mut bytes = Vec::new();
    let read = file.take(SIZE_MAX).read_to_end(&mut bytes);
    drop(fs::remove_file(&path));
    let obituary = read.ok().and_then(|_| serde_json::from_slice::<Obituary>(&bytes).ok());
    let Some(Obituary { frozen, how }) = obituary else { return };
    let how = text::plain(&how, WORDS_MAX);
    let remedy = "Nothing now; if it happens again, keep bridge.log of the state folder and report it.";
    if frozen {
        let message = format!("The bridge process stood still ({how}) and was replaced; the show goes on");
        events.error("bridge.frozen", "show", message, Some(remedy));
    } else {
        let message = format!("The bridge process died ({how}) and was started again; the show goes on");
        events.error("bridge.died", "show", message, Some(remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_death_is_told_once_by_the_next_process_and_the_first_word_stands() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open_in(root.path(), "night").unwrap();
        let events = Events::new(Clock::system());
        tell(&folder, &events);
        leave(&folder, true, "its program stood still for 3 s");
        leave(&folder, false, "signal 6");
        tell(&folder, &events);
        tell(&folder, &events);
        leave(&folder, false, "signal 9");
        tell(&folder, &events);
        fs::write(path(&folder), b"torn").unwrap();
        tell(&folder, &events);
        let told: Vec<_> = events.recent(9).into_iter().map(|event| (event.code, event.message)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].0 == "bridge.frozen" && told[0].1.contains("its program stood still"), "{told:?}");
        assert!(told[1].0 == "bridge.died" && told[1].1.contains("signal 9"), "{told:?}");
        assert!(!path(&folder).exists());
    }
}
