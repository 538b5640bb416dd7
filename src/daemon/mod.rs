//! The daemon: any number of shows, one bridge process each, and one door to all of them.
//!
//! It owns which shows there are and which of them shall be on the air, supervises their bridges by the same supervisor
//! as `run`, and gathers what they say of themselves. It carries no media and holds no show's state: every bridge goes on
//! without it, and a daemon that starts finds them again. What a configuration means is asked of a [`Planner`], since the
//! stages' own readers are joined in the command line.

pub mod alerts;
mod fan;
pub mod folders;
pub mod http;
pub mod hub;
mod paths;
pub mod plan;
pub mod recordings;
pub mod roster;
mod ward;

use std::io;
use std::path::PathBuf;

pub use plan::{Plan, Planner};
pub use ward::{Origin, Refusal, Standing, Ward, WardView};

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
