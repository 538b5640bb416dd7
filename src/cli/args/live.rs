//! What can be said to a show that is on the air.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `output add`.
#[derive(Debug, Clone, Args)]
pub struct AddArgs {
    /// Name of the output; the preset's name where none is given
    pub output: Option<String>,
    /// A platform, such as youtube; any RTMP server without it
    #[arg(long)]
    pub preset: Option<String>,
    /// Server URL without the key, where the preset does not know it
    #[arg(long)]
    pub url: Option<String>,
    /// Environment variable that holds the stream key
    #[arg(long, value_name = "VAR")]
    pub key_env: Option<String>,
    /// File that holds the stream key
    #[arg(long, value_name = "FILE", conflicts_with = "key_env")]
    pub key_file: Option<PathBuf>,
    /// Name of the show; needed if several are on the air
    #[arg(long)]
    pub show: Option<String>,
}

/// The verbs of `slate`.
#[derive(Debug, Clone, Subcommand)]
pub enum SlateCommand {
    /// Put your own text or picture on the slate, or give it back to the show
    Set(SlateArgs),
}

/// Arguments of `slate set`.
#[derive(Debug, Clone, Args)]
#[group(id = "what", required = true, multiple = false)]
pub struct SlateArgs {
    /// Says this in place of what is happening
    #[arg(long, group = "what")]
    pub text: Option<String>,
    /// Shows this PNG, JPEG or WebP in place of everything
    #[arg(long, value_name = "FILE", group = "what")]
    pub picture: Option<PathBuf>,
    /// Says again what is happening
    #[arg(long, group = "what")]
    pub clear: bool,
    /// Name of the show; needed if several are on the air
    #[arg(long)]
    pub show: Option<String>,
}

/// The verbs of `delay`.
#[derive(Debug, Clone, Subcommand)]
pub enum DelayCommand {
    /// Hold the program back for so long before it goes out, picture and sound together
    Set {
        /// From 0s to 60s, such as 20s
        time: String,
        /// Name of the show; needed if several are on the air
        #[arg(long)]
        show: Option<String>,
    },
}

/// Arguments of `cut`.
#[derive(Debug, Clone, Args)]
pub struct CutArgs {
    /// So much of what was said last; all that has not gone out yet without it
    #[arg(long, value_name = "N")]
    pub seconds: Option<f64>,
    /// Name of the show; needed if several are on the air
    #[arg(long)]
    pub show: Option<String>,
}
