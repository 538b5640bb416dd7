//! `spacebridge recordings`: what there is, whether it is whole, and what becomes of it. One file per verb.

mod list;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::wiring;
use crate::config::RecordingConfig;
use crate::recording::catalogue::{self, FindError};

/// The verbs of `recordings`.
#[derive(Debug, Clone, Subcommand)]
pub enum RecordingsCommand {
    /// Every recording: length, size, what is missing, what was exported
    List(ListArgs),
}

/// Where recordings are.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Folder that holds the recordings [default: recordings]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Take the folder from this configuration
    #[arg(long, value_name = "FILE", conflicts_with = "folder")]
    pub config: Option<PathBuf>,
}

/// One recording, and where it is.
#[derive(Debug, Clone, Default, Args)]
pub struct One {
    /// Folder, a beginning of its name, name of the show, or id of the space
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where recordings are.
    #[command(flatten)]
    pub place: Place,
}

/// Arguments of `recordings list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Where recordings are.
    #[command(flatten)]
    pub place: Place,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Place {
    /// What the configuration says of recordings, or what it would say without one.
    pub(super) fn settings(&self) -> anyhow::Result<RecordingConfig> {
        let config = self.config.as_deref().map(wiring::recordings_of).transpose()?.unwrap_or_default();
        Ok(RecordingConfig { folder: self.folder.clone().unwrap_or(config.folder), ..config })
    }
}

impl One {
    /// The recording's folder.
    pub(super) fn find(&self) -> anyhow::Result<PathBuf> {
        let settings = self.place.settings()?;
        catalogue::find(&settings.folder, &self.name).map_err(|error| match error {
            FindError::Recording(error) => error.into(),
            error => anyhow::anyhow!("{error} (`spacebridge recordings list` shows all)"),
        })
    }
}

/// Does one verb.
pub(super) fn run(command: &RecordingsCommand) -> anyhow::Result<ExitCode> {
    match command {
        RecordingsCommand::List(args) => list::run(args),
    }
}
