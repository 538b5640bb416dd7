//! What the daemon asks of the rest of the program about a show's configuration.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::key_store::KeyStore;
use crate::config::{Problem, Secrets, ShowConfig, SourceKind};
use crate::supervisor::Launch;

/// Everything that is needed to start a show's bridge.
#[derive(Clone)]
pub struct Plan {
    /// The checked configuration.
    pub config: ShowConfig,
    /// Its secrets.
    pub secrets: Secrets,
    /// How the bridge process is started.
    pub launch: Launch,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("show", &self.config.show.name).finish_non_exhaustive()
    }
}

/// Reads configurations as `run` does.
pub trait Planner: Send + Sync + 'static {
    /// A configuration's text; relative paths belong to `base`. Files of secrets that are `awaited` need not be there yet.
    ///
    /// # Errors
    /// Every fault in it.
    fn read(&self, text: &str, base: &Path, awaited: &[PathBuf]) -> Result<ShowConfig, Vec<Problem>>;

    /// A name and the source of a show that has a link and nothing else.
    ///
    /// # Errors
    /// What is wrong with the link.
    fn link(&self, link: &str) -> Result<(String, SourceKind), Vec<Problem>>;

    /// The secrets that a configuration names; keys that are asked for on a terminal are looked up in `keys`, or where
    /// there is none among those that the operator saved.
    ///
    /// # Errors
    /// Every secret that could not be had.
    fn secrets(&self, config: &ShowConfig, keys: Option<&KeyStore>) -> Result<Secrets, Vec<Problem>>;

    /// How the show's bridge is started.
    ///
    /// # Errors
    /// When this program cannot be found.
    fn launch(&self, config: &ShowConfig) -> io::Result<Launch>;
}
