use std::fs;

use super::*;
use crate::recording::tests::{body, config, quick, segment, show};
use crate::recording::{Closing, EpisodeFact, ExportFact, Recording};

const SEGMENTS: u64 = 5;

/// An archive of a few segments and a finished file.
fn made(parent: &Path) -> PathBuf {
    let recording = Recording::create(&config(parent), show(), quick()).expect("a recording");
    (0..SEGMENTS).for_each(|n| recording.segment(segment(n, &body(n))));
    fs::write(recording.folder().join("test.m4a"), "finished").expect("a file");
    fs::create_dir(recording.folder().join("export")).expect("a folder");
    fs::write(recording.folder().join("export/test.mp3"), "exported").expect("a file");
    let (file, sha256) = ("export/test.mp3".to_owned(), line::sha256_hex(b"exported"));
    recording.exported(ExportFact { file, bytes: 8, sha256, ..ExportFact::default() });
    let (file, sha256) = ("test.m4a".to_owned(), line::sha256_hex(b"finished"));
    let episode = Fact::Episode(EpisodeFact { file, bytes: 8, sha256, ..EpisodeFact::default() });
    recording.send(crate::recording::writer::Command::Fact(episode));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(recording.close(Closing::Ended)).expect("an end");
    recording.folder().to_owned()
}

fn check(folder: &Path) -> Verification {
    verify(folder, &|_, _| {}).expect("a verification")
}

#[test]
fn a_whole_archive_says_so_in_one_line() {
    let temp = tempfile::tempdir().expect("a folder");
    let found = check(&made(temp.path()));
    assert_eq!((found.whole, found.segments, found.files), (true, SEGMENTS, 2), "{found:?}");
    assert_eq!((found.extra.len(), found.notes.len()), (0, 0), "{found:?}");
    assert_eq!(found.sentence(), "whole: 9 lines and 7 files are as they were; nothing is missing of its audio");
}

#[test]
fn every_missing_or_altered_file_is_named_and_can_be_had_again() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let of = |n: u64| format!("segments/1yNxaNvaMYQKj/{n:08}.aac");
    fs::remove_file(folder.join(of(1))).expect("gone");
    let mut bytes = body(2);
    bytes[30_000] ^= 1;
    fs::write(folder.join(of(2)), &bytes).expect("altered");
    fs::write(folder.join(of(3)), b"cut").expect("cut");
    fs::remove_file(folder.join(of(4))).expect("gone");
    std::os::unix::fs::symlink("/etc/hostname", folder.join(of(4))).expect("a planted link");
    fs::write(folder.join("test.m4a"), "FINISHED").expect("altered");
    fs::write(folder.join("segments/1yNxaNvaMYQKj/00000009.aac"), "x").expect("unlisted");
    fs::write(folder.join(".test.m4a.part"), "x").expect("half-made");
    let found = check(&folder);
    let kinds: Vec<_> = found.faults.iter().map(|fault| (fault.kind, fault.file.clone())).collect();
    use FaultKind::{Altered, Missing, Unreadable};
    let expected =
        [(Missing, of(1)), (Altered, of(2)), (Altered, of(3)), (Unreadable, of(4)), (Altered, "test.m4a".into())];
    assert_eq!(kinds, expected);
    assert_eq!(found.sentence(), "NOT whole: 1 file missing, 3 files altered, 1 file unreadable");
    let damaged: Vec<u64> = damaged_segments(&folder).expect("a list").iter().map(|segment| segment.sequence).collect();
    assert_eq!(damaged, [1, 2, 3, 4]);
    assert_eq!(found.extra, [of(4), of(9)]);
    assert!(found.notes[0].contains("1 half-made"), "{:?}", found.notes);
}

#[test]
fn what_may_be_deleted_or_changed_is_no_fault() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    fs::remove_file(folder.join("test.m4a")).expect("gone");
    fs::write(folder.join("export/test.mp3"), "tagged by somebody").expect("a change");
    let found = check(&folder);
    assert!(found.whole, "{found:?}");
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
}

#[test]
fn a_journal_that_lost_a_line_or_holds_a_spoiled_one_is_not_whole() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let journal = folder.join(journal::NAME);
    let text = fs::read_to_string(&journal).expect("a journal");
    let lines: Vec<&str> = text.lines().collect();
    let without = |lost: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, line)| *line);
        kept.collect::<Vec<_>>().join("\n") + "\n"
    };
    let spoiled = text.replacen("chunk_1_a", "chunk_7_a", 1);
    let repeated = format!("{text}{}\n", lines[3]);
    for (name, text, told) in [
        ("first line gone", without(0), "line 1 is not there"),
        ("a line in the middle gone", without(3), "line 4 is not there"),
        ("a spoiled line", spoiled, "the line is torn or was altered"),
        ("a block twice", repeated, "the line is there a second time"),
    ] {
        fs::write(&journal, text).expect("a journal");
        let found = check(&folder);
        assert!(!found.whole, "{name}");
        assert!(found.faults.iter().any(|fault| fault.words.contains(told)), "{name}: {:?}", found.faults);
        assert!(found.sentence().contains("in its journal"), "{}", found.sentence());
    }
    fs::write(&journal, format!("{text}{{\"v\":1,\"seq\"")).expect("a torn end");
    let found = check(&folder);
    assert!(found.whole && found.notes[0].contains("torn last line"), "{found:?}");
}

#[test]
fn a_folder_that_was_copied_half_way_is_not_whole_and_says_what_to_do() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    fs::write(folder.join(journal::NAME), "").expect("an empty journal");
    let found = check(&folder);
    assert!(found.faults[0].words.contains("copy the folder again"), "{found:?}");
    fs::remove_file(folder.join(journal::NAME)).expect("gone");
    let found = check(&folder);
    assert_eq!((found.whole, found.sentence()), (false, "NOT whole: no journal".to_owned()));
    assert!(found.extra.len() >= SEGMENTS as usize);
    let folder = made(temp.path());
    fs::remove_dir_all(folder.join("segments")).expect("gone");
    assert_eq!(check(&folder).damaged.len(), SEGMENTS as usize);
}

#[test]
fn one_that_is_being_written_is_judged_by_what_is_written() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let recording = Recording::edit(&folder, 0, quick()).expect("opens");
    let found = check(&folder);
    assert!(found.whole && found.written_by.is_some(), "{found:?}");
    drop(recording);
}
