//! `spacebridge recordings repair`: what recordings lack, from what the platform still holds.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::OneOrAll;
use super::other::{self, Other};
use crate::alert::Events;
use crate::bridge;
use crate::cli::args::SignIn;
use crate::cli::mending::{Mended, Mending, finish};
use crate::cli::words::clean;
use crate::cli::{runtime, say, say_json, wiring};
use crate::clock::Clock;
use crate::config::units::parse_duration;
use crate::recording::catalogue;
use crate::recording::{Archive, Closing, Limits, Recording, SegmentFact, SessionArchive, Surroundings, verify};

/// How long is looked for it where neither the command line nor the configuration says so.
const USUAL: Duration = Duration::from_secs(30 * 60);

/// Arguments of `recordings repair`.
#[derive(Debug, Clone, Args)]
pub struct RepairArgs {
    /// Which recording.
    #[command(flatten)]
    pub one: OneOrAll,
    /// Go on looking for so long, such as 2h [default: recording.repair_for, or 30m]
    #[arg(long = "for", value_name = "TIME")]
    pub patience: Option<String>,
    /// Who asks.
    #[command(flatten)]
    pub sign_in: SignIn,
    /// As JSON, one object for each recording
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    folder: String,
    sessions: &'a [Mended],
    /// What other sessions of the show hold.
    other: &'a Other,
    files: &'a [String],
}

/// Repairs one recording, or all.
pub(super) fn run(args: &RepairArgs) -> anyhow::Result<ExitCode> {
    let settings = args.one.place.settings()?;
    let said = args
        .patience
        .as_deref()
        .map(parse_duration)
        .transpose()
        .map_err(|words| anyhow::anyhow!("--for {words}, such as 2h"))?;
    let patience = said.or(settings.repair_for).unwrap_or(USUAL);
    let folders: Vec<PathBuf> = match &args.one.name {
        Some(name) => vec![args.one.place.find(name)?],
        None => catalogue::list(&settings.folder)?.archives.into_iter().map(|archive| archive.folder).collect(),
    };
    let runtime = runtime()?;
    let mut all_over = true;
    for folder in &folders {
        match runtime.block_on(repair(args, folder, settings.min_free_bytes, patience)) {
            Ok(over) => all_over &= over,
            Err(error) if folders.len() > 1 => {
                all_over = false;
                say(&format!("{}: {}", clean(&folder.display().to_string()), clean(&format!("{error:#}"))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if all_over { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Repairs the recording in `folder`. Whether it is over, whole or not.
async fn repair(args: &RepairArgs, folder: &Path, min_free: u64, patience: Duration) -> anyhow::Result<bool> {
    let clock = Clock::system();
    let with = Surroundings { events: Events::new(clock.clone()), clock: clock.clone(), limits: Limits::default() };
    let recording = Arc::new(Recording::edit(folder, min_free, with)?);
    let archive = recording.archive();
    let damaged = damaged(folder).await?;
    let segments = |archive: &Archive| archive.sessions.iter().map(|session| session.segments.len()).sum::<usize>();
    let (before, mut sessions) = (segments(&archive), Vec::new());
    for session in archive.sessions.iter().filter(|session| has_past(session)) {
        let id = session.info.session.clone();
        let (config, secrets) = wiring::asking(&id, args.one.place.config.as_deref(), &args.sign_in)?;
        let past = bridge::past_of(&id, &config, &secrets, &clock)
            .with_context(|| format!("the session {} cannot be asked for", clean(&id)))?;
        let recording = recording.clone();
        let damaged = damaged.iter().filter(|one| one.session == id).map(|one| one.file.clone()).collect();
        sessions.push(Mending { recording, past, session: id, damaged, patience, bar: !args.json }.run().await?);
    }
    let mended = segments(&recording.archive()) > before || !damaged.is_empty() || archive.episodes.is_empty();
    let files = match args.one.place.config.as_deref() {
        _ if !mended || sessions.is_empty() => Vec::new(),
        Some(file) => finish(&recording, &wiring::show_of(file)?).await?,
        None => finish(&recording, &wiring::asking(&sessions[0].session, None, &args.sign_in)?.0).await?,
    };
    let other = other::find(&recording).await;
    recording.close(Closing::Edited).await?;
    tell(args, folder, &sessions, &other?, &files)?;
    Ok(sessions.iter().all(|session| session.state != "pending"))
}

fn tell(args: &RepairArgs, folder: &Path, sessions: &[Mended], other: &Other, files: &[String]) -> anyhow::Result<()> {
    let folder = folder.display().to_string();
    if args.json {
        return say_json(&Answer { folder, sessions, other, files });
    }
    if sessions.is_empty() {
        say(&format!("{}: no session of it has a past that could be asked for", clean(&folder)));
    }
    let again = format!("spacebridge recordings repair {}", clean(&folder));
    sessions.iter().flat_map(|session| session.lines(&again)).for_each(|line| say(&line));
    other.lines().iter().for_each(|line| say(line));
    files.iter().for_each(|file| say(&format!("Ready to post: {}", clean(file))));
    Ok(())
}

/// A stream without segments has no past.
fn has_past(session: &SessionArchive) -> bool {
    !session.segments.is_empty() || session.captures.is_empty()
}

/// What is altered or gone on the disk.
async fn damaged(folder: &Path) -> anyhow::Result<HashSet<Damaged>> {
    let folder = folder.to_owned();
    let work = tokio::task::spawn_blocking(move || verify::damaged_segments(&folder));
    let of = |SegmentFact { session, file, .. }| Damaged { session, file };
    Ok(work.await.context("the check's thread is gone")??.into_iter().map(of).collect())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Damaged {
    session: String,
    file: String,
}
