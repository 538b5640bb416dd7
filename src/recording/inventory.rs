//! What lies in an archive's folder, and what of it is ours. Follows no link, leaves the folder nowhere, and is bounded.
//!
//! It goes by names and by the journal; it opens no file.

use std::collections::HashSet;
use std::io;

use super::folder::{self, Folder, Kind};
use super::reader::Archive;
use super::{journal, lock};

/// Entries that are looked at: weeks of segments.
const MOST_ENTRIES: usize = 1_000_000;

/// Folders below each other that are looked into; an archive has two.
const DEEPEST: usize = 4;

/// One entry of an archive's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Path inside the archive.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Whose it is.
    pub(super) owner: Owner,
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The archive's, and its journal lists it or need not.
    Archive,
    /// A file that somebody had made for posting.
    Export,
    /// The archive's by its name, and the journal says nothing of it.
    Unlisted,
    /// What a crash left half-made.
    HalfMade,
    /// Not ours.
    Foreign,
}

/// Everything in the folder, each folder behind what it holds.
pub(super) fn items(root: &Folder, archive: &Archive) -> io::Result<Vec<Item>> {
    let listed = listed(archive);
    let exports: HashSet<&str> = archive.exports.iter().map(|export| export.file.as_str()).collect();
    let mut items = Vec::new();
    walk(root, "", 0, &mut |path, kind| {
        let owner = if kind == Kind::File && exports.contains(path.as_str()) {
            Owner::Export
        } else if kind == Kind::File && listed.contains(path.as_str()) {
            Owner::Archive
        } else {
            by_name(&path, kind)
        };
        items.push(Item { path, kind, owner });
        items.len() < MOST_ENTRIES
    })?;
    Ok(items)
}

/// Files that the journal says are there.
fn listed(archive: &Archive) -> HashSet<&str> {
    let sessions = || archive.sessions.iter();
    let segments = sessions().flat_map(|session| session.segments.iter().map(|segment| segment.file.as_str()));
    let captures = sessions().flat_map(|session| session.captures.iter().map(|capture| capture.file.as_str()));
    let stems = sessions().flat_map(|session| session.stems.iter().map(|stem| stem.start.file.as_str()));
    segments.chain(captures).chain(stems).chain(archive.episodes.keys().map(String::as_str)).collect()
}

fn walk(folder: &Folder, prefix: &str, depth: usize, visit: &mut impl FnMut(String, Kind) -> bool) -> io::Result<bool> {
    for (name, kind) in folder.entries()? {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if kind == Kind::Folder && depth < DEEPEST && !walk(&folder.child(&name)?, &path, depth + 1, visit)? {
            return Ok(false);
        }
        if !visit(path, kind) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whose an entry is that the journal does not list.
fn by_name(path: &str, kind: Kind) -> Owner {
    let names: Vec<&str> = path.split('/').collect();
    let last = names.last().copied().unwrap_or_default();
    match (kind, &names[..]) {
        (Kind::Folder, ["segments" | "capture" | "stems" | "measure" | "export"]) => Owner::Archive,
        (Kind::Folder, ["segments" | "stems", session]) if folder::is_plain(session) => Owner::Archive,
        (Kind::File, _) if last.starts_with('.') && (last.ends_with(".part") || last.ends_with(".scratch")) => {
            Owner::HalfMade
        }
        (Kind::File, [name]) if [journal::NAME, journal::TORN_NAME, lock::NAME, "incident.jsonl"].contains(name) => {
            Owner::Archive
        }
        // Derived: it is made again where it is wanted.
        (Kind::File, ["measure", name]) if name.ends_with(".jsonl") => Owner::Archive,
        (Kind::File, ["segments", session, name]) if folder::is_plain(session) && is_segment(name) => Owner::Unlisted,
        (Kind::File, ["stems", session, name]) if folder::is_plain(session) && name.ends_with(".opus") => {
            Owner::Unlisted
        }
        (Kind::File, ["capture", name]) if name.ends_with(".mka") => Owner::Unlisted,
        _ => Owner::Foreign,
    }
}

/// Whether a file is called as segments are: `00001704.aac`, `00001704-2.aac`.
fn is_segment(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_suffix(".aac").is_some_and(|stem| match stem.split_once('-') {
        Some((number, copy)) => digits(number) && digits(copy),
        None => digits(stem),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_by_table() {
        use {Kind::*, Owner::*};
        for (path, kind, owner) in [
            ("journal.jsonl", File, Archive),
            ("journal.jsonl", Other, Foreign),
            ("segments/1y/00000001.aac", File, Unlisted),
            ("segments/1y/00000001-2.aac", File, Unlisted),
            ("segments/1y/notes.txt", File, Foreign),
            ("segments/1y/00000001.aac", Other, Foreign),
            ("segments/a b", Folder, Foreign),
            ("segments/1y/.00000001.aac.part", File, HalfMade),
            (".evening-1y.m4a.scratch", File, HalfMade),
            ("measure/1y.jsonl", File, Archive),
            ("export", Folder, Archive),
            ("export/evening.mp3", File, Foreign),
            ("capture/x-0001.mka", File, Unlisted),
            ("stems/1y", Folder, Archive),
            ("stems/1y/ann-0001.opus", File, Unlisted),
            ("stems/1y/ann.txt", File, Foreign),
            ("my notes.txt", File, Foreign),
        ] {
            assert_eq!(by_name(path, kind), owner, "{path}");
        }
    }
}
