//! The documentation says what the program says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where an event's code begins.
const FAMILIES: [&str; 14] = [
    "alert",
    "bridge",
    "daemon",
    "events",
    "output",
    "program",
    "recording",
    "rehearsal",
    "repair",
    "session",
    "show",
    "slate",
    "source",
    "webhook",
];

/// Words of the same form that are no events: files, keys of the configuration.
const NO_EVENTS: [&str; 7] =
    ["bridge.log", "show.json", "recording.min_free", "slate.artwork", "slate.fps", "slate.image", "slate.template"];

#[test]
fn every_event_is_in_the_manual_of_the_night() {
    let manual = fs::read_to_string("docs/operations.md").expect("the manual");
    let mut codes = BTreeSet::new();
    gather(Path::new("src"), &mut codes);
    assert!(codes.len() > 60, "the codes are not found any more: {codes:?}");
    let lacking: Vec<&String> = codes.iter().filter(|code| !manual.contains(&format!("`{code}`"))).collect();
    assert!(lacking.is_empty(), "docs/operations.md says nothing of {lacking:?}");
}

/// String literals of the form `family.word` in the program, but not in its tests.
fn gather(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, codes);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.to_string_lossy().contains("tests") {
            let text = fs::read_to_string(&path).expect("a file");
            let program = text.split("#[cfg(test)]").next().unwrap_or_default();
            codes.extend(program.split('"').filter(|word| is_code(word)).map(str::to_owned));
        }
    }
}

fn is_code(word: &str) -> bool {
    let Some((family, name)) = word.split_once('.') else { return false };
    let known = FAMILIES.contains(&family);
    let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    known && name.len() > 2 && name.chars().all(plain) && !NO_EVENTS.contains(&word)
}
