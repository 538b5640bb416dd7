//! Speakers' files under crashes, crowds and floods, with real files and a real process.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::recording::tests::{config, quick, show};
use crate::recording::verify::{FaultKind, verify};
use crate::recording::{Archive, Closing, Folder, Recording, removal};

const SESSION: &str = "room-1";

fn packet(speaker: &str, number: i64) -> NewStem {
    let mut data = vec![0xf8];
    data.extend(number.to_be_bytes());
    data.resize(70, speaker.as_bytes()[0]);
    NewStem {
        session: SESSION.into(),
        speaker: speaker.into(),
        media_time: number * 960,
        samples: 960,
        data: data.into(),
    }
}

fn people(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), name.to_uppercase())).collect()
}

fn packets(folder: &Path, file: &str) -> Vec<PlacedPacket> {
    StemReader::open(&Folder::open(folder).expect("an archive"), file).expect("a file").collect()
}

fn stems_of(archive: &Archive) -> &[StemArchive] {
    archive.session(SESSION).map(|session| &session.stems[..]).unwrap_or_default()
}

#[tokio::test]
async fn a_rejoin_goes_on_in_the_same_file_and_a_new_connection_in_another() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    recording.speakers(SESSION, people(&["ann", "bob"]), 0);
    (0..50).for_each(|n| recording.stem(packet("ann", n)));
    recording.speakers(SESSION, people(&["bob"]), 48_000);
    (0..100).for_each(|n| recording.stem(packet("bob", n)));
    recording.speakers(SESSION, people(&["ann", "bob"]), 96_000);
    (100..150).for_each(|n| recording.stem(packet("ann", n)));
    recording.end_capture(SESSION);
    (200..250).for_each(|n| recording.stem(packet("ann", n)));
    recording.close(Closing::Ended).await.expect("an end");
    let archive = Archive::read(recording.folder()).expect("an archive");
    let stems: Vec<(&str, i64, u64)> = stems_of(&archive)
        .iter()
        .map(|stem| (&stem.start.file[..], stem.start.media_time, stem.end.as_ref().map_or(0, |end| end.packets)))
        .collect();
    let file = |name: &str| format!("stems/room-1/{name}.opus");
    let [ann, bob, again] = [file("ann-0001"), file("bob-0001"), file("ann-0002")];
    assert_eq!(stems, [(&ann[..], 0, 100), (&bob[..], 0, 100), (&again[..], 192_000, 50)]);
    let times: Vec<i64> = packets(&archive.folder, &ann).iter().map(|packet| packet.media_time / 960).collect();
    assert!(times.into_iter().eq((0..50).chain(100..150)));
    use SpeakerChange::{Joined, Left};
    let speakers = &archive.session(SESSION).expect("a session").speakers;
    let told: Vec<(&str, SpeakerChange, i64)> =
        speakers.iter().map(|one| (&one.speaker[..], one.change, one.media_time)).collect();
    assert_eq!(told[..4], [("ann", Joined, 0), ("bob", Joined, 0), ("ann", Left, 48_000), ("ann", Joined, 96_000)]);
    assert_eq!(told[4..], [("ann", Left, 144_000), ("bob", Left, 144_000)], "whose connection is lost has left");
    whole_altered_and_deleted(&archive, &ann);
}

fn whole_altered_and_deleted(archive: &Archive, file: &str) {
    let found = verify(&archive.folder, &|_, _| {}).expect("verified");
    assert!(found.whole && found.files == 3 && found.extra.is_empty(), "{found:?}");
    let path = archive.folder.join(file);
    let mut bytes = std::fs::read(&path).expect("a file");
    let all = packets(&archive.folder, file);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("altered");
    let found = verify(&archive.folder, &|_, _| {}).expect("verified");
    assert_eq!((found.whole, found.faults[0].kind), (false, FaultKind::Altered));
    let left = packets(&archive.folder, file);
    assert!(left.len() + 2 >= all.len() && left.iter().all(|one| all.contains(one)), "{} left", left.len());
    std::fs::remove_file(&path).expect("removed");
    let found = verify(&archive.folder, &|_, _| {}).expect("verified");
    assert_eq!((found.whole, found.faults[0].kind), (false, FaultKind::Missing));
    assert_eq!(removal::remove(&archive.folder, removal::Exports::Keep).expect("deleted").left, Vec::<String>::new());
    assert!(!archive.folder.exists());
}

#[tokio::test]
async fn a_crowd_and_a_flood_fill_no_disk_and_the_journal_says_so() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    (0..400).for_each(|n| recording.stem(packet(&format!("x{n}"), 0)));
    for n in 0..400 {
        recording.stem(NewStem { data: vec![0xf8; 8000].into(), ..packet("x0", 100 + n) });
    }
    recording.stem(NewStem { data: vec![0xf8; 9000].into(), ..packet("x1", 100) });
    recording.close(Closing::Ended).await.expect("an end");
    let archive = Archive::read(recording.folder()).expect("an archive");
    assert_eq!(stems_of(&archive).len(), 256);
    let flooded = stems_of(&archive)[0].end.as_ref().expect("an end").bytes;
    assert!(flooded < 1_000_000, "{flooded} bytes");
    let journal = std::fs::read_to_string(archive.folder.join("journal.jsonl")).expect("a journal");
    let lost: u64 = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["type"] == "stems_lost")
        .filter_map(|line| line["packets"].as_u64())
        .sum();
    let kept: u64 = stems_of(&archive).iter().filter_map(|stem| stem.end.as_ref()).map(|end| end.packets).sum();
    assert_eq!(kept + lost, 801);
}

/// Child of the test below: two speakers, as fast as it can until it is killed.
#[tokio::test]
async fn kill9_child() {
    let Some(parent) = std::env::var_os("STEMS_TEST_FOLDER").map(PathBuf::from) else { return };
    let archive = std::fs::read_dir(&parent).expect("a folder").next().map(|entry| entry.expect("an entry").path());
    let recording = match archive {
        Some(folder) => Recording::resume(&folder, &config(&parent), quick()).expect("resumes"),
        None => Recording::create(&config(&parent), show(), quick()).expect("a recording"),
    };
    for number in 0.. {
        ["ann", "bob"].into_iter().for_each(|speaker| recording.stem(packet(speaker, number)));
        // A thousand times as fast as people speak, and within what a speaker may send.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn kill9_loses_no_packet_that_was_written() {
    let temp = tempfile::tempdir().expect("a folder");
    for round in 0..6_u64 {
        let mut child = Process::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "recording::stems::tests::kill9_child", "--nocapture"])
            .env("STEMS_TEST_FOLDER", temp.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("a child");
        let file = || {
            let archive = std::fs::read_dir(temp.path()).ok()?.next()?.ok()?.path();
            let file = archive.join(format!("stems/room-1/bob-{:04}.opus", round + 1));
            std::fs::metadata(file).ok().map(|meta| (archive, meta.len()))
        };
        let start = Instant::now();
        while file().is_none_or(|(_, length)| length < 5000) {
            assert!(start.elapsed() < Duration::from_secs(20), "the child writes");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(round * 1_713 % 5_000));
        child.kill().expect("a kill");
        child.wait().expect("an end");
        let (folder, length) = file().expect("a file");
        let archive = Archive::read(&folder).expect("an archive");
        assert_eq!(stems_of(&archive).len() as u64, 2 * (round + 1));
        for stem in stems_of(&archive) {
            let kept = packets(&folder, &stem.start.file);
            assert!(kept.iter().map(|one| one.media_time / 960).eq(0..kept.len() as i64), "in order, none lacks");
        }
        let newest = packets(&folder, &format!("stems/room-1/bob-{:04}.opus", round + 1)).len() as u64;
        assert!(newest * 98 + 98 > length - 110, "{newest} packets in {length} bytes");
        assert!(verify(&folder, &|_, _| {}).expect("verified").whole);
    }
}
