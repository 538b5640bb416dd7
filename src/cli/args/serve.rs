//! The arguments of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Arguments of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address and port; any other than this machine's own needs TLS or a proxy
    /// [default: 127.0.0.1:8480]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The daemon's own configuration; what is said here counts more [default: serve.toml beside the folder of shows]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of show files, each as `run --config` reads it [default: shows in the configuration folder]
    #[arg(long, value_name = "DIR")]
    pub shows: Option<PathBuf>,
    /// Folder that gets the recordings of shows that the interface makes [default: ~/.local/share/spacebridge]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A browser's cookies.txt of your own account, for Spaces of shows that the interface makes
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// When it is told to stop, end its shows first; without it they stay on the air
    #[arg(long)]
    pub end_shows: bool,

    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE", help_heading = "Access from elsewhere", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM (PKCS#8), readable by you alone
    #[arg(long, value_name = "FILE", help_heading = "Access from elsewhere", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A proxy stands before it and speaks TLS for it; its word on where a client comes from is believed
    #[arg(long, help_heading = "Access from elsewhere")]
    pub behind_proxy: bool,
    /// A host name under which it is reached; repeatable
    #[arg(long = "name", value_name = "HOST", help_heading = "Access from elsewhere")]
    pub names: Vec<String>,
}
