//! `spacebridge recordings verify`: whether recordings are whole, in one line each, and what is wrong below it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::VerifyArgs;
use crate::cli::words::clean;
use crate::cli::{say, say_json};
use crate::recording::catalogue;
use crate::recording::verify::{Verification, verify};

/// Faults and files that are printed; JSON has them all.
const MOST_LINES: usize = 20;

/// Verifies one recording or all. Fails if one is not whole.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let folders = folders(args)?;
    let mut all_whole = true;
    for folder in &folders {
        let found = with_progress(|progress| verify(folder, progress));
        let name = clean(&folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy());
        match found {
            Ok(found) => {
                all_whole &= found.whole;
                if args.json {
                    say_json(&json!({"name": name, "words": found.sentence(), "verification": found}))?;
                } else {
                    lines(&name, &found).iter().for_each(|line| say(&clean(line)));
                }
            }
            Err(error) if args.json => {
                all_whole = false;
                say_json(&json!({"name": name, "words": error.to_string(), "verification": null}))?;
            }
            Err(error) if args.one.all => {
                all_whole = false;
                say(&format!("{name}: cannot be verified: {}", clean(&error.to_string())));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if folders.is_empty() && !args.json {
        say("There are no recordings.");
    }
    Ok(if all_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn folders(args: &VerifyArgs) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(name) = &args.one.name {
        return Ok(vec![args.one.place.find(name)?]);
    }
    let settings = args.one.place.settings()?;
    let catalogue = catalogue::list(&settings.folder).context("cannot look for recordings")?;
    let readable = catalogue.archives.into_iter().map(|archive| archive.folder);
    Ok(readable.chain(catalogue.broken.into_iter().map(|(folder, _)| folder)).collect())
}

/// Does the work under a bar that counts bytes, where somebody looks.
fn with_progress<T>(work: impl FnOnce(&(dyn Fn(u64, u64) + Sync)) -> T) -> T {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} left") {
        bar.set_style(style);
    }
    let told = AtomicU64::new(0);
    let done = work(&|read, total| {
        // Every chunk would be more drawing than reading.
        if read.saturating_sub(told.load(Ordering::Relaxed)) > 4 << 20 {
            told.store(read, Ordering::Relaxed);
            bar.set_length(total);
            bar.set_position(read);
        }
    });
    bar.finish_and_clear();
    done
}

fn lines(name: &str, found: &Verification) -> Vec<String> {
    let mut lines = vec![format!("{name}: {}", found.sentence())];
    let more = |number: usize| (number > MOST_LINES).then(|| format!("  … and {} more", number - MOST_LINES));
    lines.extend(found.faults.iter().take(MOST_LINES).map(|fault| format!("  {} {}", fault.file, fault.words)));
    lines.extend(more(found.faults.len()));
    if !found.damaged.is_empty() {
        lines.push(format!("  `spacebridge recordings repair {name}` looks for these segments in the replay"));
    }
    lines.extend(found.notes.iter().map(|note| format!("  {note}")));
    if !found.extra.is_empty() {
        lines.push("  not listed in the journal:".to_owned());
        lines.extend(found.extra.iter().take(MOST_LINES).map(|file| format!("    {file}")));
        lines.extend(more(found.extra.len()));
    }
    if let Some(pid) = &found.written_by {
        lines.push(format!("  process {pid} is writing it: what came since is not in here"));
    }
    lines
}
