//! Creates that carried an `Idempotency-Key`: the same one twice makes one show. Kept for a day, over restarts.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::problem::{Answer, Problem};
use crate::clock::Clock;
use crate::daemon::folders;

/// How long a key is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Keys that are kept; of more, the oldest go.
const KEPT_MAX: usize = 1000;

/// Longest key, in characters.
const KEY_MAX: usize = 255;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    key: String,
    body: String,
    at: Timestamp,
    show: String,
}

/// The keys and what was made by them.
#[derive(Debug)]
pub(super) struct Creates {
    path: PathBuf,
    clock: Clock,
    entries: Mutex<Vec<Entry>>,
}

/// The right to create, one at a time: of two equal requests the second finds what the first made.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    creates: &'a Creates,
    entries: MutexGuard<'a, Vec<Entry>>,
    key: Option<(String, String)>,
}

impl Creates {
    /// Reads what is kept; what cannot be read is forgotten.
    pub(super) fn open(path: PathBuf, clock: Clock) -> Self {
        let bytes = folders::read(&path).ok().flatten();
        let entries = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { path, clock, entries: Mutex::new(entries) }
    }

    /// Waits for a turn, and gives the show that the key has made already.
    ///
    /// # Errors
    /// When the key is none, or came with another body before.
    pub(super) async fn turn(&self, key: Option<&str>, body: &[u8]) -> Answer<(Turn<'_>, Option<String>)> {
        if key.is_some_and(|key| key.is_empty() || key.len() > KEY_MAX) {
            return Err(Problem::new("bad-request", "An Idempotency-Key has 1 to 255 characters."));
        }
        let mut entries = self.entries.lock().await;
        let now = self.clock.wall();
        entries.retain(|entry| now.duration_since(entry.at).abs() < KEPT);
        let key = key.map(|key| (digest(key.as_bytes()), digest(body)));
        let made = key.as_ref().and_then(|(key, _)| entries.iter().find(|entry| entry.key == *key)).cloned();
        let made = match (made, &key) {
            (Some(entry), Some((_, body))) if entry.body != *body => {
                return Err(Problem::new("key-reused", "Take a new key for every new request."));
            }
            (made, _) => made.map(|entry| entry.show),
        };
        Ok((Turn { creates: self, entries, key }, made))
    }
}

impl Turn<'_> {
    /// Keeps what the key made.
    pub(super) fn keep(mut self, show: &str) {
        let Some((key, body)) = self.key.take() else { return };
        if self.entries.len() >= KEPT_MAX {
            self.entries.remove(0);
        }
        self.entries.push(Entry { key, body, at: self.creates.clock.wall(), show: show.to_owned() });
        let bytes = serde_json::to_vec(&*self.entries).map_err(std::io::Error::from);
        if let Err(error) = bytes.and_then(|bytes| folders::replace(&self.creates.path, &bytes)) {
            tracing::warn!(%error, "An idempotency key could not be kept.");
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_makes_one_show_over_restarts_for_a_day_and_refuses_another_body() {
        let folder = tempfile::tempdir().unwrap();
        let (path, clock) = (folder.path().join("creates.json"), Clock::system());
        let creates = Creates::open(path.clone(), clock.clone());
        let (turn, made) = creates.turn(Some("k"), b"one").await.unwrap();
        assert_eq!(made, None);
        turn.keep("night");
        assert_eq!(creates.turn(Some("k"), b"two").await.unwrap_err().code, "key-reused");
        assert_eq!(creates.turn(None, b"one").await.unwrap().1, None);
        let again = Creates::open(path, clock.clone());
        assert_eq!(again.turn(Some("k"), b"one").await.unwrap().1.as_deref(), Some("night"));
        clock.step_wall(24 * 3600 * 1000 + 1000);
        assert_eq!(again.turn(Some("k"), b"two").await.unwrap().1, None);
        assert_eq!(again.turn(Some(&"k".repeat(256)), b"").await.unwrap_err().code, "bad-request");
    }
}
