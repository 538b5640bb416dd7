//! The daemon's own configuration: where it listens, where things lie, how much the machine is to carry, who is told.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use super::DaemonAlert;

/// Where the daemon listens when nobody says: this machine alone.
pub const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8480));

/// What `serve` is told by its file. What is none was not said; the command line counts more than all of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DaemonConfig {
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// Certificate chain and private key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// A proxy stands before it, and speaks TLS for it.
    pub behind_proxy: bool,
    /// Names under which clients reach it, beside addresses and `localhost`.
    pub names: Vec<String>,
    /// Folder of the operator's show files.
    pub shows: Option<PathBuf>,
    /// Folder that shows of the API belong to.
    pub data: Option<PathBuf>,
    /// A browser's `cookies.txt` for Spaces of shows of the API.
    pub cookies: Option<PathBuf>,
    /// How much the machine is to carry.
    pub limits: LimitsConfig,
    /// Who is told of what.
    pub alerts: Vec<DaemonAlert>,
}

/// How much of the machine shows may take. It is asked before a show starts, and never of one that runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitsConfig {
    /// Most shows at one time; none leaves it to what they cost.
    pub max_shows: Option<usize>,
    /// Share of the processors that shows may take. The rest is for the moments in which slates are encoded.
    pub cpu_share: f64,
    /// Memory that is left to the system, in bytes.
    pub memory_reserve: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { max_shows: None, cpu_share: 0.85, memory_reserve: 256_000_000 }
    }
}
