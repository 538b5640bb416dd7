//! `spacebridge recordings`: what there is, whether it is whole, and what becomes of it. One file per verb.

mod delete;
mod export;
mod keep;
mod list;
mod other;
mod repair;
mod show;
mod talk;
mod timeline;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{runtime, wiring};
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::RecordingConfig;
use crate::recording::catalogue::{self, FindError};
use crate::recording::{Closing, Limits, Recording, Surroundings};

/// The verbs of `recordings`.
#[derive(Debug, Clone, Subcommand)]
pub enum RecordingsCommand {
    /// Every recording: length, size, what is missing, what was exported
    List(ListArgs),
    /// What a recording holds: sessions, gaps, repairs, speakers, marks, files, with its timeline
    Show(ShowArgs),
    /// Compute every checksum again and say in one line whether a recording is whole (exit code 0) or not (1)
    Verify(VerifyArgs),
    /// Look for what is missing, or was damaged, in what the platform still holds
    Repair(Box<repair::RepairArgs>),
    /// Delete a recording, or all whose time is over
    Delete(DeleteArgs),
    /// Never delete a recording by itself
    Keep(KeepArgs),
    /// Make files to post: audio, video, chapters
    Export(Box<export::ExportArgs>),
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

/// One recording or all of them, and where they are.
#[derive(Debug, Clone, Default, Args)]
pub struct OneOrAll {
    /// Folder, a beginning of its name, name of the show, or id of the space
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub name: Option<String>,
    /// All recordings
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
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

/// Arguments of `recordings show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Which recording.
    #[command(flatten)]
    pub one: One,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recordings verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which recording.
    #[command(flatten)]
    pub one: OneOrAll,
    /// As JSON, one object for each recording
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recordings delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// Folder, a beginning of its name, name of the show, or id of the space
    #[arg(value_name = "NAME", required_unless_present = "expired")]
    pub name: Option<String>,
    /// Where recordings are.
    #[command(flatten)]
    pub place: Place,
    /// Delete without a question
    #[arg(long)]
    pub yes: bool,
    /// Delete one that is kept, too
    #[arg(long)]
    pub force: bool,
    /// Delete all that are over the limits of the configuration's [recording.retention]
    #[arg(long, requires = "config", conflicts_with = "name")]
    pub expired: bool,
    /// Only say what would be deleted
    #[arg(long, requires = "expired")]
    pub dry_run: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recordings keep`.
#[derive(Debug, Clone, Args)]
pub struct KeepArgs {
    /// Which recording.
    #[command(flatten)]
    pub one: One,
    /// It may be deleted by itself again
    #[arg(long)]
    pub off: bool,
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

    /// The folder of the recording that `name` means.
    pub(super) fn find(&self, name: &str) -> anyhow::Result<PathBuf> {
        let settings = self.settings()?;
        catalogue::find(&settings.folder, name).map_err(|error| match error {
            FindError::Recording(error) => error.into(),
            error => anyhow::anyhow!("{error} (`spacebridge recordings list` shows all)"),
        })
    }
}

impl One {
    /// The recording's folder.
    pub(super) fn find(&self) -> anyhow::Result<PathBuf> {
        self.place.find(&self.name)
    }
}

/// Opens the archive to add to it, and closes it when that is on the disk.
pub(super) fn edited(folder: &Path, change: impl FnOnce(&Recording)) -> anyhow::Result<()> {
    let clock = Clock::system();
    let with = Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() };
    // So little fits wherever anything fits.
    let recording = Recording::edit(folder, 0, with)?;
    change(&recording);
    Ok(runtime()?.block_on(recording.close(Closing::Edited))?)
}

/// Does one verb.
pub(super) fn run(command: &RecordingsCommand) -> anyhow::Result<ExitCode> {
    match command {
        RecordingsCommand::List(args) => list::run(args),
        RecordingsCommand::Show(args) => show::run(args),
        RecordingsCommand::Verify(args) => verify::run(args),
        RecordingsCommand::Repair(args) => repair::run(args),
        RecordingsCommand::Delete(args) => delete::run(args),
        RecordingsCommand::Keep(args) => keep::run(args),
        RecordingsCommand::Export(args) => export::run(args),
    }
}
