//! `spacebridge recordings delete`: one recording after a question, or all whose time is over.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::{DeleteArgs, list};
use crate::cli::words::{clean, clock, count, size, whole};
use crate::cli::{say, say_json};
use crate::clock::Clock;
use crate::config::RetentionConfig;
use crate::recording::RecordingError;
use crate::recording::catalogue::{self, Summary};
use crate::recording::removal::{Exports, Removed, remove};
use crate::recording::retention::{Plan, plan};

/// Deletes what was asked for.
pub(super) fn run(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    match &args.name {
        Some(name) => one(args, name),
        None => expired(args),
    }
}

fn one(args: &DeleteArgs, name: &str) -> anyhow::Result<ExitCode> {
    let folder = args.place.find(name)?;
    let shown = clean(&folder.display().to_string());
    let summary = match Summary::read(&folder) {
        Ok(summary) => Some(summary),
        // One that was copied half-way can only be deleted; what is no archive is refused below.
        Err(RecordingError::NoArchive(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(pid) = summary.as_ref().and_then(|summary| summary.written_by.as_ref()) {
        bail!("{shown} is being written by process {pid}: end that show first");
    }
    let is_kept = summary.as_ref().is_some_and(|summary| summary.keep);
    ensure!(!is_kept || args.force, "{shown} is kept: `spacebridge recordings keep {name} --off`, or --force");
    if !args.yes {
        ensure!(io::stdin().is_terminal(), "nobody can be asked here: say --yes to delete {shown}");
        if !confirmed(&question(&shown, summary.as_ref()))? {
            say("Nothing was deleted.");
            return Ok(ExitCode::FAILURE);
        }
    }
    let removed = remove(&folder, Exports::Delete)?;
    told(args.json, &folder, &removed)?;
    Ok(ExitCode::SUCCESS)
}

fn question(shown: &str, summary: Option<&Summary>) -> String {
    let Some(summary) = summary else { return format!("Delete {shown}, which has no readable journal?") };
    let (length, bytes) = (clock(whole(summary.seconds)), size(summary.bytes));
    let exports = match summary.exports {
        0 => "nothing was exported of it".to_owned(),
        exports => format!(
            "with {} in its folder or elsewhere; those in its folder go too",
            count(exports, "export", "exports")
        ),
    };
    let state = list::state(summary).join(", ");
    format!("Delete {shown}, {length} of audio, {bytes} ({state}; {exports})?")
}

fn confirmed(question: &str) -> anyhow::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ").and_then(|()| err.flush()).context("cannot ask")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("no answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn told(json: bool, folder: &Path, removed: &Removed) -> anyhow::Result<()> {
    if json {
        return say_json(&json!({"folder": folder, "removed": removed}));
    }
    let shown = clean(&folder.display().to_string());
    say(&format!("Deleted {shown}: {}, {}.", count(removed.files, "file", "files"), size(removed.bytes)));
    if !removed.left.is_empty() {
        say("What is not the recording's stays there:");
        removed.left.iter().take(20).for_each(|path| say(&format!("  {}", clean(path))));
    }
    Ok(())
}

/// Deletes what the configuration's limits let go.
fn expired(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let settings = args.place.settings()?;
    ensure!(
        settings.retention != RetentionConfig::default(),
        "no limit is set: name a configuration with [recording.retention] by --config"
    );
    let catalogue = catalogue::list(&settings.folder)?;
    let plan = plan(&catalogue.archives, &settings.retention, Clock::system().wall());
    let mut failed = Vec::new();
    for expired in plan.delete.iter().filter(|_| !args.dry_run) {
        if let Err(error) = remove(&expired.folder, Exports::Keep) {
            failed.push(format!("{}: {error}", expired.name));
        }
    }
    if args.json {
        say_json(&json!({"dry_run": args.dry_run, "plan": plan, "failed": failed}))?;
    } else {
        plan_lines(&plan, args.dry_run).iter().for_each(|line| say(&clean(line)));
        failed.iter().for_each(|line| say(&format!("  not deleted: {}", clean(line))));
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plan_lines(plan: &Plan, dry_run: bool) -> Vec<String> {
    let verb = if dry_run { "would delete" } else { "deleted" };
    let deleted = plan.delete.iter();
    let deleted = deleted.map(|one| format!("{verb} {} ({}): {}", one.name, size(one.bytes), one.limit.words()));
    let stays = plan.protected.iter();
    let stays = stays.map(|one| format!("stays: {}, though {}: {}", one.name, one.limit.words(), one.by.words()));
    let lines: Vec<String> = deleted.chain(stays).collect();
    if lines.is_empty() { vec!["Every recording is within the limits.".to_owned()] } else { lines }
}
