//! The daemon: any number of shows, one bridge process each, and one door to all of them.
//!
//! It owns which shows there are and which of them shall be on the air, supervises their bridges by the same supervisor
//! as `run`, and gathers what they say of themselves. It carries no media and holds no show's state: every bridge goes on
//! without it, and a daemon that starts finds them again. What a configuration means is asked of a [`Planner`], since the
//! stages' own readers are joined in the command line.

mod admission;
pub mod alerts;
mod fan;
pub mod folders;
pub mod http;
pub mod hub;
mod paths;
pub mod plan;
pub mod probe;
pub mod recordings;
pub mod rehearsals;
pub mod roster;
pub mod schedules;
mod ward;
pub mod watches;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::LimitsConfig;

pub use plan::{Plan, Planner};
pub use ward::{Cue, Origin, Refusal, Standing, Ward, WardView};

/// Where the daemon finds and keeps things.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Root of all state: the bridges' folders below `shows`, the daemon's own in `serve`.
    pub state: PathBuf,
    /// Folder of the operator's show files, `*.toml`.
    pub shows: PathBuf,
    /// Folder that relative paths of shows from the API belong to: their recordings lie in `recordings` there.
    pub data: PathBuf,
    /// Login for Spaces of shows from the API that bring none: a browser's `cookies.txt`.
    pub cookies: Option<PathBuf>,
    /// How much the machine is to carry.
    pub limits: LimitsConfig,
}

/// What begins shows by itself.
#[derive(Debug, Clone)]
pub struct Autos {
    /// At a time.
    pub schedules: Arc<schedules::Schedules>,
    /// When a host goes live.
    pub watches: Arc<watches::Watches>,
    /// When somebody wants to see whether all is well.
    pub rehearsals: Arc<rehearsals::Rehearsals>,
}

impl Autos {
    /// Reads what is kept, and begins to see to it until `token` ends.
    pub fn start(roster: &Arc<roster::Roster>, clock: &Clock, token: &CancellationToken, tasks: &TaskTracker) -> Self {
        let schedules = Arc::new(schedules::Schedules::open(Arc::clone(roster), clock.clone()));
        tasks.spawn(Arc::clone(&schedules).run(token.clone()));
        let watches = Arc::new(watches::Watches::open(Arc::clone(roster), clock.clone()));
        tasks.spawn(watches::run(Arc::clone(&watches), token.clone()));
        let rehearsals = Arc::new(rehearsals::Rehearsals::new(Arc::clone(roster), clock.clone()));
        Self { schedules, watches, rehearsals }
    }
}

/// Why the daemon cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another one is there.
    #[error(
        "another daemon (process {pid}) uses the state folder {state}: talk to that one, or set SPACEBRIDGE_STATE to \
         another folder"
    )]
    Locked {
        /// The state folder.
        state: PathBuf,
        /// The other process, or `?`.
        pid: String,
    },
    /// The port cannot be had.
    #[error("cannot listen at {address}: {error}; is another daemon or program there? choose one with --listen")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A bind that others can reach, without protection.
    #[error(
        "{address} can be reached from elsewhere: give --tls-cert and --tls-key, or --behind-proxy if a proxy on this \
         machine or network speaks TLS for it"
    )]
    Open {
        /// Where.
        address: std::net::SocketAddr,
    },
    /// Certificate or key.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
    /// The file system refused.
    #[error("cannot use {path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl DaemonError {
    fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}
