//! What one path of a show lacks is heard on the other one: two recordings of the ruler, judged by the ruler.

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use spacebridge::episode::{self, ExportRequest, Format, OtherPath, Progress, other_path};
use spacebridge::gst;
use spacebridge::gst::aac_encode::encode_aac;
use spacebridge::gst::pcm_capture::PcmCapture;
use spacebridge::recording::{Archive, Closing, FillFact, NewSegment, Recording, SessionFact};
use spacebridge::ruler::{self, RulerMark};

use crate::episode_encode::adts;
use crate::recording::{FRAMES, SESSION, recording, segment, text};

/// The other path's session.
const OTHER: &str = "2zOybObwNZRLk";

/// When a session begins.
const NIGHT: &str = "2026-01-02T23:30:00Z";

/// How much later in the sound the other path begins, in samples.
const LATER: usize = 2 * 48_000 + 5_877;

/// Seconds of the ruler under a melody of their own, from number `first` on, without the first `skip` samples.
fn said(first: u32, seconds: u32, skip: usize) -> Vec<[f32; 2]> {
    let (mut seed, mut noise) = (first.wrapping_add(1), 0.0_f32);
    let mut voice = |(at, value): (usize, f32)| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise = noise * 0.97 + (seed >> 16) as f32 / 65_536.0 * 0.06 - 0.03;
        let loud = ((at as u32 / 12_000).wrapping_add(first).wrapping_mul(2_654_435_761) >> 30) as f32 / 3.0;
        [value * 0.4 + noise * loud * 0.2; 2]
    };
    let sound = (first..first + seconds).flat_map(ruler::second).enumerate();
    sound.map(&mut voice).skip(skip).collect()
}

/// The same as a playlist's segments hold it.
fn talk(first: u32, seconds: u32, skip: usize) -> Vec<Vec<u8>> {
    let (_, frames) = encode_aac(&said(first, seconds, skip), 96).expect("AAC");
    frames.iter().map(|frame| adts(frame, 48_000)).collect()
}

/// Feeds a session whose segments were each listed `lag` seconds after their end, without those in `lost`.
fn feed(recording: &Recording, session: &str, frames: &[Vec<u8>], began: f64, lag: f64, lost: &[usize]) {
    let night: Timestamp = NIGHT.parse().expect("a time");
    for (number, chunk) in frames.chunks(FRAMES).enumerate().filter(|(number, _)| !lost.contains(number)) {
        let (start, length) = ((number * FRAMES * 1024) as i64, chunk.len() as u64 * 1024);
        let seconds = began + lag + (start as f64 + length as f64) / 48_000.0;
        recording.segment(NewSegment {
            session: session.into(),
            listed_at: night + SignedDuration::from_secs_f64(seconds),
            ..segment(number, chunk.concat(), start, length)
        });
    }
}

/// An archive of two paths: 55 s whose segments 7 to 9 are lost, and what the other path heard.
async fn archive(parent: &Path, other: &[Vec<u8>], lost_there: &[usize]) -> (Recording, OtherPath) {
    gst::init().expect("GStreamer");
    let recording = recording(parent);
    recording.session(SessionFact { session: OTHER.into(), ..SessionFact::default() });
    feed(&recording, SESSION, &talk(0, 55, 0), 0.0, 1.0, &[7, 8, 9]);
    feed(&recording, OTHER, other, LATER as f64 / 48_000.0, 13.5, lost_there);
    recording.flush().await;
    let archive = recording.archive();
    let work = move || other_path(&archive, SESSION, &Progress::default());
    let found = tokio::task::spawn_blocking(work).await.expect("a thread").expect("a search");
    (recording, found)
}

fn marks(path: &Path) -> Vec<RulerMark> {
    let arguments = ["-v", "error", "-i", text(path), "-f", "f32le", "-ac", "1", "-ar", "48000", "-"];
    let output = Command::new("ffmpeg").args(arguments).output().expect("ffmpeg");
    let value = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    ruler::decode(&output.stdout.chunks_exact(4).map(value).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_of_one_path_is_heard_on_the_other_to_the_millisecond() {
    let _turn = crate::support::turn_to_hear().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (recording, found) = archive(temp.path(), &talk(0, 55, LATER), &[]).await;
    let [fill] = &found.fills[..] else { panic!("{found:?}") };
    let hole = (7 * FRAMES * 1024) as i64..(10 * FRAMES * 1024) as i64;
    assert_eq!((fill.from.as_str(), fill.start..fill.end), (OTHER, hole.clone()), "{found:?}");
    assert!((fill.offset + LATER as i64).abs() <= 24, "{fill:?}");
    assert_eq!(found.notes, Vec::<String>::new());
    recording.fill(fill.clone());
    recording.flush().await;
    let again = other_path(&recording.archive(), SESSION, &Progress::default()).expect("a search");
    assert_eq!(again, OtherPath::default(), "what was found is not looked for again");
    let folder = recording.folder().to_owned();
    recording.close(Closing::Ended).await.expect("an end");
    assert_eq!(Archive::read(&folder).expect("an archive").sessions[0].fills, std::slice::from_ref(fill));
    let request = ExportRequest {
        sessions: vec![SESSION.into()],
        name: Some("night".into()),
        ..ExportRequest::new(&folder, [Format::M4a, Format::Flac])
    };
    let work = move || episode::export(&request, &Progress::default());
    let made = tokio::task::spawn_blocking(work).await.expect("a thread").expect("files");
    let [m4a, flac] = &made.files[..] else { panic!("{made:?}") };
    let lost = (hole.end - hole.start) as f64 / 48_000.0;
    assert!((m4a.filled_seconds - lost).abs() < 0.1, "what is copied stays as it was received: {m4a:?}");
    assert_eq!(flac.filled_seconds, 0.0, "{flac:?}");
    assert!(made.notes.iter().any(|note| note.contains("stay silent")), "{:?}", made.notes);
    assert!(
        made.notes.iter().any(|note| note.contains("from another path") && note.contains(OTHER)),
        "{:?}",
        made.notes
    );
    let heard = marks(&flac.file);
    assert_eq!(heard.iter().map(|mark| mark.index).collect::<Vec<_>>(), (0..55).collect::<Vec<_>>());
    for mark in &heard {
        let off = mark.at_samples - f64::from(mark.index) * 48_000.0;
        assert!(off.abs() < 48.0, "second {} lies {off} samples off its place", mark.index);
    }
    assert!(marks(&m4a.file).len() < 50, "the received frames are silent there");
}

/// Captures a stream as a room's is.
async fn capture(recording: &Recording, samples: &[[f32; 2]]) {
    let (sender, mut captured) = tokio::sync::mpsc::unbounded_channel();
    let mut capture = PcmCapture::stereo(sender).expect("a capture");
    samples.chunks(960).for_each(|block| capture.push_stereo(block));
    let mut bytes = 0;
    while bytes < samples.len() * 4 {
        let more = tokio::time::timeout(std::time::Duration::from_secs(10), captured.recv()).await;
        let more = more.expect("what was pushed comes").expect("it goes on");
        bytes += more.len();
        recording.capture(OTHER, more, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_playlist_lacks_is_heard_on_a_captured_stream() {
    let _turn = crate::support::turn_to_hear().await;
    gst::init().expect("GStreamer");
    let temp = tempfile::tempdir().expect("a folder");
    let recording = recording(temp.path());
    let now = Timestamp::now().duration_since(NIGHT.parse().expect("a time")).as_secs_f64();
    feed(&recording, SESSION, &talk(0, 55, 0), now, 1.0, &[7, 8, 9]);
    recording.session(SessionFact { session: OTHER.into(), ..SessionFact::default() });
    capture(&recording, &said(0, 55, LATER)).await;
    recording.flush().await;
    let found = other_path(&recording.archive(), SESSION, &Progress::default()).expect("a search");
    let [fill] = &found.fills[..] else { panic!("{found:?}") };
    assert!((fill.offset + LATER as i64).abs() <= 24, "{fill:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_sound_the_same_on_both_sides_is_not_taken() {
    let _turn = crate::support::turn_to_hear().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (_recording, found) = archive(temp.path(), &talk(5_000, 55, LATER), &[]).await;
    assert_eq!(found.fills, Vec::<FillFact>::new(), "another talk at the same time");
    assert!(found.notes[0].contains("the sound before it is not found there"), "{found:?}");
    // The other path lost a second inside of the hole, and its times do not tell.
    let mut shorter = talk(0, 55, LATER);
    shorter.drain(1_100..1_147);
    let temp = tempfile::tempdir().expect("a folder");
    let (_recording, found) = archive(temp.path(), &shorter, &[]).await;
    assert_eq!(found.fills, Vec::<FillFact>::new());
    assert!(found.notes[0].contains("longer or shorter there"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_is_a_little_shorter_on_the_other_path_is_heard_with_both_its_edges_in_place() {
    let _turn = crate::support::turn_to_hear().await;
    let mut shorter = talk(0, 55, LATER);
    // Five frames, inside of the hole.
    shorter.drain(1_100..1_105);
    let temp = tempfile::tempdir().expect("a folder");
    let (_recording, found) = archive(temp.path(), &shorter, &[]).await;
    let segment = FRAMES as i64 * 1024;
    let [before, behind] = &found.fills[..] else { panic!("{found:?}") };
    assert_eq!((before.start, before.end, behind.end), (7 * segment, behind.start, 10 * segment));
    assert!((before.offset + LATER as i64).abs() <= 24, "{found:?}");
    assert!((behind.offset + LATER as i64 + 5 * 1024).abs() <= 24, "{found:?}");
    // What is said twice there is the quietest of it.
    let heard: Vec<f32> = said(0, 55, 0).iter().map(|sample| sample[0]).collect();
    let power = |from: i64, to: i64| {
        let piece = &heard[from as usize..to as usize];
        piece.iter().map(|value| value * value).sum::<f32>() / piece.len() as f32
    };
    let lost = 1_100 * 1024 + LATER as i64;
    let twice = if before.end < lost { before.end - 5 * 1024 } else { before.end };
    let with_edges = |from: i64| power(from - 960, from + 5 * 1024 + 960);
    let places = (7 * segment + 2_400..10 * segment - 2_400 - 5 * 1024).step_by(480);
    let least = places.map(with_edges).fold(f32::INFINITY, f32::min);
    assert!(with_edges(twice) < least * 1.2, "{} of {least} at {twice}", with_edges(twice));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_other_path_has_itself_is_taken_from_it() {
    let _turn = crate::support::turn_to_hear().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (_recording, found) = archive(temp.path(), &talk(0, 55, LATER), &[7]).await;
    let segment = FRAMES as i64 * 1024;
    let [before, behind] = &found.fills[..] else { panic!("{found:?}") };
    assert_eq!((before.start, behind.end), (7 * segment, 10 * segment));
    assert!((behind.start - before.end - segment).abs() <= 1, "{found:?}");
}
