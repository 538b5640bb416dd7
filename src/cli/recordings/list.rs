//! `spacebridge recordings list`: a line for each recording, newest first.

use std::process::ExitCode;

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use super::ListArgs;
use crate::cli::words::{clean, clock, count, fit, size, whole};
use crate::cli::{say, say_json};
use crate::recording::catalogue::{self, Catalogue, Summary};

/// Widest name that makes its column wider: what is printed here is typed again.
const WIDEST_NAME: usize = 60;

/// Prints what there is.
pub(super) fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let settings = args.place.settings()?;
    let catalogue = catalogue::list(&settings.folder)?;
    let folder = settings.folder.display().to_string();
    if args.json {
        let broken: Vec<_> = catalogue
            .broken
            .iter()
            .map(|(folder, error)| json!({"folder": folder, "error": error.to_string()}))
            .collect();
        say_json(&Listed { folder: &folder, recordings: &catalogue.archives, broken })?;
        return Ok(ExitCode::SUCCESS);
    }
    lines(&catalogue, &TimeZone::system()).iter().for_each(|line| say(line));
    if catalogue.archives.is_empty() && catalogue.broken.is_empty() {
        say(&format!("There are no recordings in {}.", clean(&folder)));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Listed<'a> {
    folder: &'a str,
    recordings: &'a [Summary],
    broken: Vec<serde_json::Value>,
}

fn lines(catalogue: &Catalogue, zone: &TimeZone) -> Vec<String> {
    let mut lines = Vec::new();
    let archives = &catalogue.archives;
    let width = archives.iter().map(|archive| clean(&archive.name).width()).max().unwrap_or(0).clamp(4, WIDEST_NAME);
    if !archives.is_empty() {
        lines.push(format!("{}  {:<16}  {:>8}  {:>8}  STATE", padded("NAME", width), "BEGAN", "LENGTH", "SIZE"));
    }
    for archive in archives {
        let began = archive
            .started_at
            .map_or_else(String::new, |at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
        let (name, length, bytes) = (padded(&archive.name, width), clock(whole(archive.seconds)), size(archive.bytes));
        lines.push(format!("{name}  {began:<16}  {length:>8}  {bytes:>8}  {}", state(archive).join(", ")));
    }
    let broken = catalogue.broken.iter();
    lines.extend(broken.map(|(_, error)| format!("! {}", clean(&error.to_string()))));
    lines
}

/// What is to be said of a recording, most urgent first.
pub(super) fn state(archive: &Summary) -> Vec<String> {
    let mut words = Vec::new();
    if archive.written_by.is_some() {
        let what = if archive.ended_at.is_some() { "being worked on" } else { "on the air" };
        words.push(what.to_owned());
    } else if archive.ended_at.is_none() {
        words.push("not ended".to_owned());
    }
    if archive.damaged_lines > 0 {
        words.push(count(archive.damaged_lines, "damaged line", "damaged lines"));
    }
    if archive.gaps > 0 {
        let length = clock(whole(archive.missing_seconds.ceil()));
        words.push(format!("{} {length}", count(archive.gaps, "gap", "gaps")));
    } else {
        words.push("no gaps".to_owned());
    }
    if archive.repair_pending {
        words.push("repair pending".to_owned());
    }
    if archive.exports > 0 {
        words.push(count(archive.exports, "export", "exports"));
    }
    if archive.keep {
        words.push("kept".to_owned());
    }
    words
}

/// `text` cleaned, cut and filled up to `columns`.
fn padded(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let missing = columns.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::RecordingError;

    #[test]
    fn a_list_is_legible_and_no_name_turns_the_terminal() {
        let archive = Summary {
            name: "evening-20260102T190000Z".into(),
            started_at: "2026-01-02T19:00:00Z".parse().ok(),
            ended_at: "2026-01-02T22:00:00Z".parse().ok(),
            seconds: 10_812.0,
            bytes: 135_200_000,
            gaps: 2,
            missing_seconds: 40.2,
            repair_pending: true,
            keep: true,
            ..Summary::default()
        };
        let hostile = Summary { name: "\u{1b}[2J\u{202e}x".into(), ..Summary::default() };
        let broken = vec![("half".into(), RecordingError::NoArchive("half".into()))];
        let lines = lines(&Catalogue { archives: vec![archive, hostile], broken }, &TimeZone::UTC);
        assert_eq!(
            lines[1],
            "evening-20260102T190000Z  2026-01-02 19:00   3:00:12  135.2 MB  2 gaps 0:41, repair pending, kept"
        );
        assert!(lines[2].starts_with(" [2Jx ") && lines[2].ends_with("not ended, no gaps"), "{}", lines[2]);
        assert!(lines[3].starts_with("! half is not a recording"), "{}", lines[3]);
        assert!(lines[0].width() <= 80 && !lines.concat().contains('\u{1b}'));
    }
}
