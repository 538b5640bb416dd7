//! Accounts that are watched: when a host opens a Space, a show begins with it.
//!
//! The daemon keeps which there are and which Spaces were begun; a Space is begun once for a show, whoever ended it. One
//! task looks, one host after the other; two watches on one host are one look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::folders;
use super::paths::without_paths;
use super::roster::Roster;
use crate::clock::Clock;
use crate::config::{SourceKind, plain_name};
use host::Host;

mod host;
mod look;
mod pace;

pub use look::run;

/// Most watches: each host costs two calls a minute of one account.
const MOST: usize = 32;

/// Spaces that are remembered as begun; the oldest go first.
const BEGUN_MAX: usize = 500;

/// Why a watch is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It cannot be understood, or its show cannot be begun so.
    #[error("{0}")]
    Bad(String),
    /// There are too many.
    #[error("there are {MOST} watches already: delete some")]
    Full,
    /// The file system refused.
    #[error("the watches cannot be kept: {0}")]
    Io(#[from] std::io::Error),
}

/// A watch as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchDraft {
    /// The account: `@handle`, its user id, or the link of an earlier Space of the host.
    pub host: String,
    /// The show that begins; the Space takes the place of the one that its first source names.
    pub show: String,
}

/// A watch, and how its last look went.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WatchView {
    /// Its name.
    pub name: String,
    /// What is watched.
    #[serde(flatten)]
    pub watch: WatchDraft,
    /// When X was asked last.
    pub looked_at: Option<Timestamp>,
    /// The Space that was live then.
    pub live: Option<String>,
    /// Why nothing is seen, or why the show does not begin.
    pub error: Option<String>,
}

/// A Space that a show was begun with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    show: String,
    space: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    watches: BTreeMap<String, WatchDraft>,
    begun: Vec<Begun>,
}

/// What the last look gave.
#[derive(Debug, Clone, Default)]
struct Seen {
    at: Option<Timestamp>,
    live: Option<String>,
    error: Option<String>,
}

/// All watches by name.
#[derive(Debug)]
pub struct Watches {
    roster: Arc<Roster>,
    path: PathBuf,
    clock: Clock,
    kept: Mutex<Kept>,
    seen: Mutex<BTreeMap<String, Seen>>,
    changed: Notify,
}

impl Watches {
    /// Reads what is kept; what cannot be read is told and left where it is.
    pub fn open(roster: Arc<Roster>, clock: Clock) -> Self {
        let path = roster.folders().file("watches.json");
        let read = folders::read(&path).and_then(|bytes| {
            bytes.map_or(Ok(Kept::default()), |bytes| serde_json::from_slice(&bytes).map_err(Into::into))
        });
        let kept = read.unwrap_or_else(|error| {
            tracing::error!(%error, path = %path.display(), "The watches cannot be read: none holds.");
            Kept::default()
        });
        Self { roster, path, clock, kept: Mutex::new(kept), seen: Mutex::default(), changed: Notify::new() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), WatchError> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        change(&mut changed);
        folders::replace(&self.path, &serde_json::to_vec_pretty(&changed).map_err(std::io::Error::from)?)?;
        *kept = changed;
        Ok(())
    }

    /// Every watch, by name.
    pub fn all(&self) -> Vec<WatchView> {
        let watches = self.kept().watches.clone();
        watches.into_iter().map(|(name, watch)| self.view(name, watch)).collect()
    }

    /// The watch of this name.
    pub fn get(&self, name: &str) -> Option<WatchView> {
        let watch = self.kept().watches.get(name).cloned()?;
        Some(self.view(name.to_owned(), watch))
    }

    fn view(&self, name: String, watch: WatchDraft) -> WatchView {
        let Seen { at, live, error } = self.seen().get(&name).cloned().unwrap_or_default();
        let error = error.map(|error| without_paths(&error).into_owned());
        WatchView { name, watch, looked_at: at, live, error }
    }

    /// Keeps a watch in place of any of its name.
    ///
    /// # Errors
    /// When it names no account or no show of a Space, or cannot be kept.
    pub fn put(&self, name: &str, watch: WatchDraft) -> Result<WatchView, WatchError> {
        let bad = |why: &str| Err(WatchError::Bad(why.to_owned()));
        if plain_name(name).is_err() {
            return bad("the watch's name is none: write 1 to 64 letters, digits, - or _");
        }
        if Host::parse(&watch.host).is_none() {
            return bad(
                "host is no account: write @handle, the account's user id, or the link of an earlier Space of the host",
            );
        }
        let Some(ward) = self.roster.get(&watch.show) else {
            return bad("there is no such show: GET /api/v1/shows lists those that there are");
        };
        let config = ward.view().config;
        let is_space = config
            .is_some_and(|config| config.sources.iter().any(|source| matches!(source.kind, SourceKind::XSpace { .. })));
        if !is_space {
            return bad(
                "the show has no source that is a Space: give it one, of any earlier Space, whose place the new one takes",
            );
        }
        if self.kept().watches.len() >= MOST && !self.kept().watches.contains_key(name) {
            return Err(WatchError::Full);
        }
        self.change(|kept| drop(kept.watches.insert(name.to_owned(), watch.clone())))?;
        self.seen().remove(name);
        self.changed.notify_one();
        Ok(self.view(name.to_owned(), watch))
    }

    /// Forgets a watch; whether there was one.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn delete(&self, name: &str) -> Result<bool, WatchError> {
        if !self.kept().watches.contains_key(name) {
            return Ok(false);
        }
        self.change(|kept| drop(kept.watches.remove(name)))?;
        self.seen().remove(name);
        self.changed.notify_one();
        Ok(true)
    }

    /// Whether the show was begun with the Space before.
    fn was_begun(&self, show: &str, space: &str) -> bool {
        self.kept().begun.iter().any(|begun| begun.show == show && begun.space == space)
    }

    fn remember(&self, show: &str, space: &str) {
        let begun = Begun { show: show.to_owned(), space: space.to_owned() };
        let kept = self.change(|kept| {
            if kept.begun.len() >= BEGUN_MAX {
                kept.begun.remove(0);
            }
            kept.begun.push(begun.clone());
        });
        if let Err(error) = kept {
            // In memory at least.
            self.kept().begun.push(begun);
            tracing::warn!(show, %error, "Which Space a show was begun with could not be kept.");
        }
    }
}
