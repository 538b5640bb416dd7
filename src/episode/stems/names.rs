//! What speakers' files are called: after the speaker, safely, and no two alike. Pure.

use std::collections::HashSet;

use super::Voice;
use crate::text;

/// Longest name of a speaker in a file's name, in characters.
const NAME_MAX: usize = 32;

/// Names of files for the voices of a session, behind `base`: `<base>.stem-<name>.flac`.
pub(in crate::episode) fn file_names(base: &str, voices: &[Voice]) -> Vec<String> {
    let mut taken = HashSet::from(["mix".to_owned()]);
    let mut names = Vec::new();
    for voice in voices {
        let plain = voice.names.last().map(|name| safe(name)).filter(|name| !name.is_empty());
        let plain = plain.unwrap_or_else(|| safe(&voice.id));
        let mut name = plain.clone();
        for number in 2.. {
            // Some file systems do not tell capitals from small letters.
            if !name.is_empty() && taken.insert(name.to_lowercase()) {
                break;
            }
            name = format!("{plain}-{number}");
        }
        names.push(format!("{base}.stem-{name}.flac"));
    }
    names
}

/// Letters and digits of any script; everything else is a dash.
fn safe(name: &str) -> String {
    let letters = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '-' };
    let dashed: String = text::plain(name, 200).chars().map(letters).take(NAME_MAX).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_and_equal_names_become_files_of_their_own() {
        let voice = |id: &str, names: &[&str]| Voice {
            id: id.into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            stems: Vec::new(),
        };
        let voices = [
            voice("1", &["Old name", "Ann Lee"]),
            voice("2", &["ann  lee"]),
            voice("3", &["../../etc/passwd"]),
            voice("4", &["\u{202e}\u{200b}💥"]),
            voice("5", &[]),
            voice("6", &["mix"]),
            voice("7", &["Zoë 木村"]),
            voice("8", &[&"x".repeat(500)]),
            voice("💥", &["💥"]),
        ];
        let names = file_names("night", &voices);
        let wanted = ["Ann-Lee", "ann-lee-2", "etc-passwd", "4", "5", "mix-2", "Zoë-木村", &"x".repeat(32), "-2"];
        assert_eq!(names, wanted.map(|name| format!("night.stem-{name}.flac")));
    }
}
