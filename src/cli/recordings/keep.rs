//! `spacebridge recordings keep`: a recording that is never deleted by itself, or may be again.

use std::process::ExitCode;

use super::{KeepArgs, edited};
use crate::cli::words::clean;
use crate::cli::{say, say_json};
use crate::recording::Archive;

/// Sets or clears the word.
pub(super) fn run(args: &KeepArgs) -> anyhow::Result<ExitCode> {
    let folder = args.one.find()?;
    let keep = !args.off;
    if Archive::read(&folder)?.keep != keep {
        edited(&folder, |recording| recording.keep(keep))?;
    }
    if args.json {
        say_json(&serde_json::json!({"folder": folder, "keep": keep}))?;
    } else {
        let folder = clean(&folder.display().to_string());
        let words = if keep { "is kept: it is never deleted by itself" } else { "may be deleted by itself" };
        say(&format!("{folder} {words}."));
    }
    Ok(ExitCode::SUCCESS)
}
