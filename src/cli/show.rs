//! `spacebridge show`: what happened in a show, read from its incident file, whether it runs or is over.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::words::clean;
use super::{say, say_json};
use crate::bridge::state_folder::{self, StateFolder};
use crate::clock::Clock;
use crate::incident::{self, Story};

/// The verbs of `show`.
#[derive(Debug, Clone, Subcommand)]
pub enum ShowCommand {
    /// Draw the timeline of a show: states, faults, what was done about them, figures
    Report(ReportArgs),
}

/// Arguments of `show report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Name of a show, the folder of its recording, or an incident file; the newest show where none is given
    #[arg(value_name = "NAME|FOLDER|FILE")]
    pub show: Option<String>,
    /// Write a page for a browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Everything as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Does one verb.
pub(super) fn run(command: &ShowCommand) -> anyhow::Result<ExitCode> {
    match command {
        ShowCommand::Report(args) => report(args),
    }
}

/// An incident file, and whether its show is on the air.
struct Found {
    path: PathBuf,
    runs: bool,
}

fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let found = find(args.show.as_deref())?;
    let read = incident::read(&found.path);
    let read = read.with_context(|| format!("{} cannot be read", found.path.display()))?;
    anyhow::ensure!(!read.lines.is_empty(), "{} holds nothing that can be understood", found.path.display());
    let story = Story::of(read, found.runs.then(|| Clock::system().wall()));
    if let Some(file) = &args.html {
        write(file, &incident::page(&story)).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if args.json {
        say_json(&story)?;
    } else {
        incident::summary(&story).iter().for_each(|line| say(&clean(line)));
        say(&format!("from {}", clean(&found.path.display().to_string())));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, page: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).open(file)?.write_all(page.as_bytes())
}

/// Where the incident file is: of a show by its name, in a folder, or the file itself.
fn find(given: Option<&str>) -> anyhow::Result<Found> {
    let root = state_folder::root()?;
    let Some(given) = given else { return newest(&root) };
    if let Ok(folder) = StateFolder::at(&root, given)
        && let Some(found) = of_show(&folder)
    {
        return Ok(found);
    }
    let path = PathBuf::from(given);
    let path = if path.is_dir() { path.join(incident::NAME) } else { path };
    anyhow::ensure!(path.is_file(), "{given} is no show of this user, and no folder or file with what happened in one");
    Ok(Found { runs: runs(&root, &path), path })
}

/// Of the show that is on the air, or was last.
fn newest(root: &Path) -> anyhow::Result<Found> {
    let mut shows: Vec<_> =
        shows(root).into_iter().filter_map(|(alive, folder)| Some((alive, of_show(&folder)?))).collect();
    shows.sort_by_key(|(alive, found)| (found.runs, *alive));
    shows.pop().map(|(_, found)| found).context("no show has left an incident file here: name its folder or its file")
}

/// Every show with a record, and when it last said that it lives.
fn shows(root: &Path) -> Vec<(jiff::Timestamp, StateFolder)> {
    let entries = std::fs::read_dir(root.join("shows")).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let folders = names.filter_map(|name| StateFolder::at(root, &name).ok());
    folders.filter_map(|folder| Some((folder.load().ok()??.alive_at, folder))).collect()
}

fn of_show(folder: &StateFolder) -> Option<Found> {
    let archive = folder.load().ok().flatten().and_then(|record| record.archive);
    let places = archive.into_iter().chain([folder.path().to_owned()]);
    let path = places.map(|place| place.join(incident::NAME)).find(|path| path.is_file())?;
    Some(Found { path, runs: folder.is_on_the_air() })
}

/// Whether the file belongs to a show that is on the air.
fn runs(root: &Path, path: &Path) -> bool {
    let own = path.canonicalize().ok();
    let same = |found: Found| found.runs && found.path.canonicalize().ok() == own;
    shows(root).iter().any(|(_, folder)| of_show(folder).is_some_and(same))
}
