use super::*;
use crate::recording::tests::{body, config, quick, segment, show};
use crate::recording::{Closing, Recording};

/// Makes archives of these shows, and gives their folders. A second archive in the same second has a number.
fn archives(parent: &Path, shows: &[&str]) -> Vec<PathBuf> {
    let make = |name: &&str| {
        let with = ShowFact { show: (*name).to_owned(), ..show() };
        let recording = Recording::create(&config(parent), with, quick()).expect("a recording");
        recording.segment(segment(0, &body(0)));
        recording.segment(segment(2, &body(2)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(recording.close(Closing::Ended)).expect("an end");
        recording.folder().to_owned()
    };
    shows.iter().map(make).collect()
}

#[test]
fn a_recording_is_found_by_every_name_that_it_has() {
    let temp = tempfile::tempdir().expect("a folder");
    let made = archives(temp.path(), &["evening", "evening", "noon"]);
    let find = |what: &str| find(temp.path(), what);
    let noon = made[2].file_name().and_then(|name| name.to_str()).expect("a name");
    for what in [noon, &noon[..6], "noon", made[2].to_str().expect("a path")] {
        assert_eq!(find(what).expect(what), made[2], "{what}");
    }
    // The newest of a show, and of those that know the session.
    assert_eq!(find("evening").expect("the newest"), made[1]);
    assert!(made.contains(&find("1yNxaNvaMYQKj").expect("a session")));
    assert!(matches!(find("evening-2"), Err(FindError::Several { count: 2, .. })));
    let error = find("evenning").expect_err("a typo").to_string();
    assert!(error.contains("there is evening-2"), "{error}");
    assert!(find("").is_err());
    let nothing = super::find(&temp.path().join("nowhere"), "x").expect_err("nothing there").to_string();
    assert!(nothing.ends_with("which holds none"), "{nothing}");
}

#[test]
fn links_and_foreign_folders_are_passed_over_and_a_half_copied_archive_is_told() {
    let temp = tempfile::tempdir().expect("a folder");
    let made = archives(&temp.path().join("real"), &["evening"]);
    let folder = temp.path().join("recordings");
    fs::create_dir_all(folder.join("holiday pictures")).expect("a folder");
    fs::create_dir_all(folder.join("half/segments/x")).expect("a folder");
    fs::write(folder.join("file"), "x").expect("a file");
    std::os::unix::fs::symlink(&made[0], folder.join("linked")).expect("a link");
    fs::create_dir(folder.join("planted")).expect("a folder");
    std::os::unix::fs::symlink(made[0].join("journal.jsonl"), folder.join("planted/journal.jsonl")).expect("a link");
    let catalogue = list(&folder).expect("a list");
    assert_eq!(catalogue.archives, []);
    let broken: Vec<&Path> = catalogue.broken.iter().map(|(folder, _)| folder.as_path()).collect();
    assert_eq!(broken, [folder.join("half")]);
    let catalogue = list(&temp.path().join("real")).expect("a list");
    let summary = &catalogue.archives[0];
    assert_eq!((summary.seconds, summary.gaps, summary.missing_seconds), (6.0, 1, 3.0));
    assert_eq!((summary.written_by.as_deref(), summary.ended_at.is_some()), (None, true));
    assert_eq!((summary.bytes, &summary.name), (72_000, &name_of(&made[0])));
}

#[test]
fn a_recording_that_is_being_written_says_by_whom() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    let summary = Summary::read(recording.folder()).expect("a summary");
    assert_eq!(summary.written_by, Some(std::process::id().to_string()));
}

#[test]
fn a_folder_is_dated_by_its_name_where_the_journal_does_not_tell() {
    assert_eq!(time_in("my-show-20260102T190000Z-2"), "2026-01-02T19:00:00Z".parse().ok());
    assert_eq!(time_in("my-show"), None);
}

proptest::proptest! {
    #[test]
    fn fuzz_recording_name(what in "[-0-9A-Za-zTZ./~]{0,30}|\\PC{0,40}") {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = temp.path().join("show-20260102T190000Z/segments");
        fs::create_dir_all(folder).expect("a folder");
        time_in(&what);
        // A path that exists is taken as it is; every other word means something below the folder, or nothing.
        if !what.contains('/') && let Ok(found) = find(temp.path(), &what) {
            proptest::prop_assert!(found.starts_with(temp.path()) || Path::new(&what).join("journal.jsonl").exists());
        }
    }
}
