use std::fs;

use super::*;
use crate::recording::tests::{body, config, quick, segment, show};
use crate::recording::{Closing, ExportFact, Recording};

fn made(parent: &Path) -> std::path::PathBuf {
    let recording = Recording::create(&config(parent), show(), quick()).expect("a recording");
    (0..3).for_each(|n| recording.segment(segment(n, &body(n))));
    fs::create_dir(recording.folder().join("export")).expect("a folder");
    fs::write(recording.folder().join("export/test.mp3"), "exported").expect("a file");
    recording.exported(ExportFact { file: "export/test.mp3".into(), ..ExportFact::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(recording.close(Closing::Ended)).expect("an end");
    recording.folder().to_owned()
}

#[test]
fn a_deleted_recording_leaves_nothing() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let removed = remove(&folder, Exports::Delete).expect("a deletion");
    assert_eq!((removed.files, removed.left.len(), folder.exists()), (6, 0, false), "{removed:?}");
    assert!(removed.bytes > 3 * 36_000);
}

#[test]
fn what_is_not_the_recordings_stays_and_no_link_is_followed() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("00000001.aac"), "mine").expect("a file");
    fs::write(folder.join("segments/1yNxaNvaMYQKj/notes.txt"), "mine").expect("a file");
    std::os::unix::fs::symlink(&outside, folder.join("segments/linked")).expect("a link");
    std::os::unix::fs::symlink(outside.join("00000001.aac"), folder.join("capture")).expect("a link");
    let removed = remove(&folder, Exports::Delete).expect("a deletion");
    assert_eq!(removed.left, ["capture", "segments/1yNxaNvaMYQKj/notes.txt", "segments/linked"]);
    assert_eq!(fs::read_to_string(outside.join("00000001.aac")).expect("a file"), "mine");
    assert!(!folder.join("journal.jsonl").exists() && !folder.join("lock").exists());
}

#[test]
fn exports_stay_where_nobody_was_asked() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let removed = remove(&folder, Exports::Keep).expect("a deletion");
    assert_eq!(removed.left, ["export/test.mp3"]);
    assert!(folder.join("export/test.mp3").exists() && !folder.join("segments").exists());
}

#[test]
fn one_that_is_written_and_what_is_no_recording_are_refused() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    let recording = Recording::edit(&folder, 0, quick()).expect("opens");
    assert!(matches!(remove(&folder, Exports::Delete), Err(RecordingError::Locked { .. })));
    drop(recording);
    assert!(matches!(remove(temp.path(), Exports::Delete), Err(RecordingError::NoArchive(_))));
    assert!(folder.join("segments/1yNxaNvaMYQKj/00000000.aac").exists());
}

#[test]
fn a_deletion_that_was_cut_off_can_be_begun_again() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = made(temp.path());
    fs::remove_dir_all(folder.join("segments")).expect("gone already");
    remove(&folder, Exports::Delete).expect("a deletion");
    assert!(!folder.exists());
    let folder = made(temp.path());
    fs::remove_file(folder.join("journal.jsonl")).expect("gone already");
    let removed = remove(&folder, Exports::Delete).expect("the rest");
    assert_eq!(removed.left, ["export/test.mp3"], "without a journal nobody knows whose that is");
}
