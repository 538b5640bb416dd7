//! The recording under crashes, full disks and second writers, with real files and real processes.

use std::process::Command as Process;
use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn surroundings(limits: Limits) -> Surroundings {
    let clock = Clock::system();
    Surroundings { events: Events::new(clock.clone()), clock, limits }
}

pub(super) fn quick() -> Surroundings {
    surroundings(Limits { retry: Duration::from_millis(50), ..Limits::default() })
}

pub(super) fn config(folder: &Path) -> RecordingConfig {
    RecordingConfig { enabled: true, folder: folder.to_owned(), min_free_bytes: 0, ..RecordingConfig::default() }
}

pub(super) fn show() -> ShowFact {
    ShowFact { show: "test".into(), title: Some("A \u{1b}[31mtitle".into()), ..ShowFact::default() }
}

pub(super) fn segment(sequence: u64, bytes: &[u8]) -> NewSegment {
    NewSegment {
        session: "1yNxaNvaMYQKj".into(),
        sequence,
        name: format!("chunk_{sequence}_a.aac"),
        bytes: Bytes::copy_from_slice(bytes),
        media_time: (sequence * 144_000) as i64,
        duration: 144_000,
        program_date_time: "2026-01-02T03:04:05Z".parse().ok(),
        listed_at: "2026-01-02T03:04:11Z".parse().expect("a time"),
        discontinuity: false,
        origin: Origin::Live,
        facts: vec![serde_json::json!({"kind": "audio_levels", "offset": 0, "levels": [1, 9]})],
    }
}

pub(super) fn body(sequence: u64) -> Vec<u8> {
    let mut bytes = vec![sequence as u8; 36_000];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    bytes
}

/// Writes a journal of these facts, sealed as ours are.
pub(crate) fn write_journal(folder: &Path, facts: &[serde_json::Value]) {
    let mut journal = Vec::new();
    for (at, fact) in facts.iter().enumerate() {
        let fact: Fact = serde_json::from_value(fact.clone()).expect("a fact");
        let time = "2026-01-02T19:00:00Z".parse().expect("a time");
        journal.extend(line::encode(at as u64 + 1, time, &fact).expect("a line"));
    }
    std::fs::write(folder.join("journal.jsonl"), journal).expect("a journal");
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every segment of the journal is there, whole.
fn assert_intact(archive: &Archive) -> usize {
    assert_eq!(archive.damage, []);
    let mut count = 0;
    for segment in archive.sessions.iter().flat_map(|session| &session.segments) {
        let bytes = std::fs::read(archive.folder.join(&segment.file)).expect("a journalled file");
        assert_eq!((bytes.len() as u64, line::sha256_hex(&bytes)), (segment.bytes, segment.sha256.clone()));
        count += 1;
    }
    count
}

#[tokio::test]
async fn what_is_handed_over_is_kept_bit_for_bit_and_resumed_where_it_ended() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    let folder = recording.folder().to_owned();
    let session = SessionFact { session: "1yNxaNvaMYQKj".into(), title: Some("T".into()), ..SessionFact::default() };
    recording.session(session.clone());
    recording.session(session.clone());
    recording.segment(segment(4, &body(4)));
    recording.segment(segment(4, &body(4)));
    recording.segment(segment(4, b"another under the same number"));
    recording.missing(MissingFact {
        session: "1yNxaNvaMYQKj".into(),
        first_sequence: 5,
        last_sequence: 6,
        media_time: 5 * 144_000,
        duration: 288_000,
        cause: "segment answered 404".into(),
        ..MissingFact::default()
    });
    recording.close(Closing::Suspended).await.expect("an end");
    let recording = Recording::resume(&folder, &config(temp.path()), quick()).expect("resumes");
    let point = recording.resume_point("1yNxaNvaMYQKj").expect("a point");
    assert_eq!((point.last_sequence, point.media_time), (6, 7 * 144_000));
    assert_eq!(point.program_date_time.map(|(_, media)| media), Some(4 * 144_000));
    assert_eq!(recording.resume_point("other"), None);
    assert_eq!(recording.last_session(), Some(session));
    recording.segment(segment(7, &body(7)));
    recording.close(Closing::Ended).await.expect("an end");
    let status = recording.status().borrow().clone();
    assert_eq!((status.segments, status.seconds, status.gaps.len()), (3, 9.0, 1));
    let archive = Archive::read(&folder).expect("an archive");
    assert_eq!((assert_intact(&archive), archive.resumes, archive.ended), (3, 1, true));
    let files: Vec<&str> = archive.sessions[0].segments.iter().map(|s| s.file.as_str()).collect();
    assert_eq!(files[1], "segments/1yNxaNvaMYQKj/00000004-2.aac");
    let journal = std::fs::read_to_string(folder.join("journal.jsonl")).expect("a journal");
    assert_eq!(journal.matches("session_started").count(), 1, "only news are written");
    assert!(!journal.contains("\\u001b"), "control characters of a title stay out");
}

#[tokio::test]
async fn two_bridges_one_archive() {
    let temp = tempfile::tempdir().expect("a folder");
    let first = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    let second = Recording::resume(first.folder(), &config(temp.path()), quick()).expect_err("a second writer");
    let text = second.to_string();
    assert!(matches!(second, RecordingError::Locked { .. }), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    let folder = first.folder().to_owned();
    let other = Recording::create(&config(temp.path()), show(), quick()).expect("a folder of its own");
    assert_ne!(other.folder(), folder);
    first.close(Closing::Suspended).await.expect("an end");
    Recording::resume(&folder, &config(temp.path()), quick()).expect("free again");
}

#[test]
fn a_show_name_never_leaves_the_recordings_folder() {
    let temp = tempfile::tempdir().expect("a folder");
    for name in ["../x", "a/b", "", "a b"] {
        let show = ShowFact { show: name.into(), ..ShowFact::default() };
        let error = Recording::create(&config(temp.path()), show, quick()).expect_err("a refusal");
        assert!(matches!(error, RecordingError::Name(_)), "{error}");
    }
}

#[test]
fn a_folder_without_a_journal_is_left_alone() {
    let temp = tempfile::tempdir().expect("a folder");
    std::fs::write(temp.path().join("mine.txt"), "x").expect("a file");
    let error = Recording::resume(temp.path(), &config(temp.path()), quick()).expect_err("a refusal");
    assert!(matches!(error, RecordingError::NoArchive(_)), "{error}");
    assert_eq!(std::fs::read_dir(temp.path()).expect("a folder").count(), 1);
}

#[tokio::test]
async fn each_captured_stream_has_its_own_file_and_every_byte() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    let header = |n: u8| Bytes::from(vec![0x1A, 0x45, 0xDF, 0xA3, n]);
    for bytes in [header(1), Bytes::from_static(b"one"), header(2), Bytes::from_static(b"two")] {
        recording.capture("s", bytes, None);
    }
    recording.end_capture("s");
    recording.capture("s", header(3), Some(96_000));
    recording.close(Closing::Ended).await.expect("an end");
    let archive = Archive::read(recording.folder()).expect("an archive");
    let files: Vec<String> = archive.sessions[0].captures.iter().map(|capture| capture.file.clone()).collect();
    assert_eq!(files, ["capture/s-0001.mka", "capture/s-0002.mka", "capture/s-0003.mka"]);
    assert_eq!(std::fs::read(recording.folder().join(&files[1])).expect("a file"), b"\x1A\x45\xDF\xA3\x02two");
    assert!(archive.sessions[0].captures.iter().all(|capture| capture.seconds.is_some()));
}

/// The test binary again, running only `name` with `folder` in its environment.
fn myself(name: &str, folder: &Path) -> Process {
    let mut process = Process::new(std::env::current_exe().expect("this binary"));
    process.args(["--exact", &format!("recording::tests::{name}"), "--nocapture"]);
    process.env("RECORDING_TEST_FOLDER", folder).stdout(std::process::Stdio::null());
    process
}

fn asked_folder() -> Option<PathBuf> {
    std::env::var_os("RECORDING_TEST_FOLDER").map(PathBuf::from)
}

/// Child of the test below: records as fast as it can until it is killed.
#[tokio::test]
async fn kill9_child() {
    let Some(parent) = asked_folder() else { return };
    let archive = std::fs::read_dir(&parent).expect("a folder").next().map(|entry| entry.expect("an entry").path());
    let recording = match archive {
        Some(folder) => Recording::resume(&folder, &config(&parent), quick()).expect("resumes"),
        None => Recording::create(&config(&parent), show(), quick()).expect("a recording"),
    };
    let first = recording.resume_point("1yNxaNvaMYQKj").map_or(0, |point| point.last_sequence + 1);
    for sequence in first.. {
        recording.segment(segment(sequence, &body(sequence)));
        while recording.queue.held.load(Ordering::Relaxed) > 100_000 {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn kill9_at_any_moment_loses_nothing_that_was_written() {
    let temp = tempfile::tempdir().expect("a folder");
    let (mut kept, mut restarts) = (0, 0);
    for round in 0..12_u64 {
        let mut child = myself("kill9_child", temp.path()).spawn().expect("a child");
        let journal = || {
            let archive = std::fs::read_dir(temp.path()).ok()?.next()?.ok()?.path();
            std::fs::metadata(archive.join("journal.jsonl")).ok().map(|meta| (archive, meta.len()))
        };
        let before = journal().map_or(0, |(_, length)| length);
        eventually("the child writes", || journal().is_some_and(|(_, length)| length > before + 1000));
        // Somewhere else within the next writes each time.
        std::thread::sleep(Duration::from_micros(round * 2_713 % 20_000));
        child.kill().expect("a kill");
        child.wait().expect("an end");
        let (folder, _) = journal().expect("an archive");
        let archive = Archive::read(&folder).expect("an archive");
        let count = assert_intact(&archive);
        assert!(count > kept, "round {round} adds to {kept}");
        let sequences: Vec<u64> = archive.sessions[0].segments.iter().map(|s| s.sequence).collect();
        assert!(sequences.iter().copied().eq(0..count as u64), "each sequence once, in order");
        (kept, restarts) = (count, archive.resumes);
    }
    assert_eq!(restarts, 11);
}

/// Runs `child` with a small disk of its own under `folder`, in its own mount namespace.
fn on_a_small_disk(child: &str, options: &str, folder: &Path) {
    let script = format!("mount -t tmpfs -o {options} tmpfs \"$RECORDING_TEST_FOLDER\" && exec \"$0\" \"$@\"");
    let inner = myself(child, folder);
    let mut process = Process::new("unshare");
    process.args(["-m", "sh", "-c", &script]).arg(inner.get_program()).args(inner.get_args());
    process.env("RECORDING_TEST_FOLDER", folder);
    let output = process.output().expect("unshare of the package util-linux");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stdout));
}

/// Child of the test below.
#[tokio::test]
async fn disk_full_child() {
    let Some(parent) = asked_folder() else { return };
    let limits = Limits { held_bytes: 8 * 37_000, retry: Duration::from_millis(50) };
    let recording = Recording::create(&config(&parent), show(), surroundings(limits)).expect("a recording");
    let mut events = recording.surroundings.events.subscribe();
    let status = recording.status();
    let filler = parent.join("filler");
    std::fs::write(&filler, vec![0; 500_000]).expect("room");
    let mut sequence = 0;
    let mut feed = |count: u64| {
        for _ in 0..count {
            recording.segment(segment(sequence, &body(sequence)));
            sequence += 1;
            let status = || status.borrow().error.is_some();
            eventually("it is written", || status() || recording.queue.held.load(Ordering::Relaxed) < 40_000);
        }
    };
    feed(20);
    eventually("it says that the disk is full", || status.borrow().error.is_some());
    let kept = status.borrow().segments;
    let shown = status.borrow().error.clone().unwrap_or_default();
    assert!(shown.contains("free some space"), "{shown}");
    feed(20);
    assert_intact(&Archive::read(recording.folder()).expect("an archive"));
    std::fs::remove_file(&filler).expect("room again");
    eventually("it writes again", || status.borrow().error.is_none());
    feed(1);
    recording.close(Closing::Ended).await.expect("an end");
    let archive = Archive::read(recording.folder()).expect("an archive");
    let after = assert_intact(&archive) as u64;
    assert!(after >= kept + 7, "what was held in memory is kept: {kept} then {after}");
    let session = &archive.sessions[0];
    let mut all: Vec<u64> = session.segments.iter().map(|s| s.sequence).collect();
    all.extend(session.missing.iter().map(|m| m.first_sequence));
    all.sort_unstable();
    assert!(all.into_iter().eq(0..41), "each segment is kept or listed as missing");
    assert!(session.missing.iter().any(|m| m.cause == "disk full"), "{:?}", session.missing);
    let codes: Vec<String> = std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.code).collect();
    assert_eq!(codes, ["recording.stopped", "recording.losing", "recording.back"]);
}

#[test]
fn disk_full_loses_nothing_kept() {
    let temp = tempfile::tempdir().expect("a folder");
    on_a_small_disk("disk_full_child", "size=1m", temp.path());
}

/// Child of the test below.
#[test]
fn read_only_child() {
    let Some(parent) = asked_folder() else { return };
    let error = Recording::create(&config(&parent), show(), quick()).expect_err("a refusal");
    let text = error.to_string();
    assert!(text.contains("make it writable") && error.is_permanent(), "{text}");
}

#[test]
fn read_only_folder_is_refused_with_what_to_do() {
    let temp = tempfile::tempdir().expect("a folder");
    on_a_small_disk("read_only_child", "size=1m,ro", temp.path());
}

#[tokio::test]
async fn space_that_shall_stay_free_stays_free() {
    let temp = tempfile::tempdir().expect("a folder");
    let config = RecordingConfig { min_free_bytes: u64::MAX / 2, ..config(temp.path()) };
    let recording = Recording::create(&config, show(), quick()).expect("a recording");
    let status = recording.status();
    recording.segment(segment(1, &body(1)));
    eventually("it says so", || status.borrow().error.as_ref().is_some_and(|e| e.contains("recording.min_free")));
    assert_eq!(status.borrow().segments, 0);
}

#[test]
fn twenty_four_hours_are_modelled_in_bounded_memory_and_time() {
    let mut archive = Archive::default();
    let start = Instant::now();
    for sequence in 0..28_800 {
        let fact = SegmentFact {
            session: "s".into(),
            sequence,
            name: format!("chunk_{sequence}.aac"),
            file: format!("segments/s/{sequence:08}.aac"),
            bytes: 36_000,
            sha256: "0".repeat(64),
            media_time: (sequence * 144_000) as i64,
            duration: 144_000,
            program_date_time: None,
            listed_at: jiff::Timestamp::UNIX_EPOCH,
            discontinuity: false,
            late: false,
            origin: Origin::Live,
            facts: vec![serde_json::json!({"names": vec!["somebody"; 20]})],
        };
        archive.apply(jiff::Timestamp::UNIX_EPOCH, Fact::Segment(fact));
    }
    assert!(archive.sessions[0].segments.iter().all(|segment| segment.facts.is_empty()));
    assert_eq!(archive.gaps(), []);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_segment_that_came_late_closes_its_gap_and_moves_nothing_else() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = Recording::create(&config(temp.path()), show(), quick()).expect("a recording");
    let session = "1yNxaNvaMYQKj".to_owned();
    recording.session(SessionFact { session: session.clone(), ..SessionFact::default() });
    let status = recording.status();
    recording.segment(segment(1, &body(1)));
    recording.missing(MissingFact {
        session: session.clone(),
        first_sequence: 2,
        last_sequence: 2,
        names: vec!["chunk_2_a.aac".into()],
        media_time: 2 * 144_000,
        duration: 144_000,
        cause: "the segment answered 404".into(),
    });
    recording.segment(segment(3, &body(3)));
    eventually("the gap is listed", || status.borrow().segments == 2 && status.borrow().gaps.len() == 1);
    assert_eq!(recording.archive().sessions[0].wanted(9).len(), 1);
    let before = recording.resume_point(&session);
    recording.segment(segment(2, &body(2)));
    eventually("the gap is closed", || status.borrow().segments == 3 && status.borrow().gaps.is_empty());
    assert_eq!(recording.resume_point(&session), before);
    recording.close(Closing::Suspended).await.expect("closed");
    let read = Archive::read(recording.folder()).expect("an archive");
    assert_eq!((read.gaps(), read.resume_point(&session)), (vec![], before));
    let late: Vec<bool> = read.sessions[0].segments.iter().map(|segment| segment.late).collect();
    assert_eq!((late, read.sessions[0].wanted(9).len()), (vec![false, false, true], 0));
}
