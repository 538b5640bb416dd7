//! What can be said to `archive`, and of who asks the platform.

use std::path::PathBuf;

use clap::Args;

/// Who asks the platform.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sign-in")]
pub struct SignIn {
    /// A browser's cookies.txt of your own account
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// Environment variable that holds the cookie auth_token
    #[arg(long, value_name = "VAR", requires = "ct0_env")]
    pub auth_token_env: Option<String>,
    /// Environment variable that holds the cookie ct0
    #[arg(long, value_name = "VAR", requires = "auth_token_env")]
    pub ct0_env: Option<String>,
}

/// Arguments of `archive`.
#[derive(Debug, Clone, Args)]
pub struct ArchiveArgs {
    /// Link or id of a space that is over
    pub link: String,
    /// Name of the recording; the space's id where none is given
    #[arg(long)]
    pub name: Option<String>,
    /// Folder in which the recording gets its own folder [default: recordings]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Take login and folder from a configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Who asks.
    #[command(flatten)]
    pub sign_in: SignIn,
}
