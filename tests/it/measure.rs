//! The measurement of a recording, judged by ffmpeg's own meter.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::recording::adts_frames;
use crate::support;
use bytes::Bytes;
use spacebridge::alert::Events;
use spacebridge::clock::Clock;
use spacebridge::config::RecordingConfig;
use spacebridge::episode::measured::{complete, kept};
use spacebridge::episode::scene::Scene;
use spacebridge::episode::{Progress, peaks, waveform};
use spacebridge::measure::{self, Measured};
use spacebridge::recording::{
    Archive, Closing, Limits, NewSegment, Origin, Recording, SessionFact, ShowFact, Surroundings,
};

const SESSION: &str = "1yNxaNvaMYQKj";

/// Frames in each segment.
const FRAMES: usize = 141;

/// 40 s of noise in syllables, loud and quiet passages and a pause, with silence of 3 s before and 4 s behind.
const TALK: &str = "anoisesrc=d=40:c=pink:a=0.7:r=48000:seed=7,\
    volume='0.9*abs(sin(2*PI*2.3*t))*if(lt(mod(t,11),7),1,0.15)*if(between(t,3,36),1,0)':eval=frame";

fn ffmpeg(args: &[&str]) -> String {
    let output = Command::new("ffmpeg").args(args).output().unwrap_or_else(|e| panic!("ffmpeg (package ffmpeg): {e}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn source(folder: &Path, rate: &str, seconds: &str) -> PathBuf {
    let path = folder.join(format!("talk-{rate}.aac"));
    let to = ["-t", seconds, "-ar", rate, "-ac", "2", "-c:a", "aac", "-b:a", "128k", text(&path)];
    ffmpeg(&[&["-v", "error", "-y", "-f", "lavfi", "-i", TALK][..], &to].concat());
    path
}

/// What ffmpeg's meter says of the decoded file.
fn judged(path: &Path) -> Measured {
    let said = ffmpeg(&["-hide_banner", "-nostats", "-i", text(path), "-af", "ebur128=peak=true", "-f", "null", "-"]);
    let summary = &said[said.rfind("Summary:").expect("a summary")..];
    let number = |name: &str| {
        let rest = &summary[summary.find(name).expect(name) + name.len()..];
        rest.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).expect(name)
    };
    Measured { lufs: number("I:"), true_peak_dbtp: number("Peak:") }
}

fn segment(number: usize, frames: &[Vec<u8>], rate: i64, origin: Origin) -> NewSegment {
    let start = |frame: usize| (frame as i64 * 1024 * 48_000) / rate - 96_000;
    let at = start(number * FRAMES);
    NewSegment {
        session: SESSION.into(),
        sequence: number as u64,
        name: format!("chunk_{number}.aac"),
        bytes: Bytes::from(frames.concat()),
        media_time: at,
        duration: start(number * FRAMES + frames.len()).abs_diff(at),
        program_date_time: None,
        listed_at: "2026-01-02T23:30:00Z".parse().expect("a time"),
        discontinuity: false,
        origin,
        facts: Vec::new(),
    }
}

fn recording(parent: &Path) -> Recording {
    let config =
        RecordingConfig { enabled: true, folder: parent.to_owned(), min_free_bytes: 0, ..RecordingConfig::default() };
    let clock = Clock::system();
    let with = Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() };
    let show = ShowFact { show: "night".into(), ..ShowFact::default() };
    let recording = Recording::create(&config, show, with).expect("a recording");
    recording.session(SessionFact { session: SESSION.into(), ..SessionFact::default() });
    recording
}

/// Records `source` but for the segments in `lost`, and says where.
async fn record(parent: &Path, source: &Path, rate: i64, lost: &[usize]) -> PathBuf {
    let recording = recording(parent);
    for (number, chunk) in adts_frames(source).chunks(FRAMES).enumerate().filter(|(n, _)| !lost.contains(n)) {
        recording.segment(segment(number, chunk, rate, Origin::Live));
    }
    recording.close(Closing::Ended).await.expect("an end");
    recording.folder().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn loudness_and_true_peak_of_a_recording_are_those_of_an_independent_meter() {
    let _turn = support::turn().await;
    for rate in ["48000", "44100"] {
        let temp = tempfile::tempdir().expect("a folder");
        let path = source(temp.path(), rate, "40");
        let folder = record(temp.path(), &path, rate.parse().expect("a rate"), &[]).await;
        let archive = Archive::read(&folder).expect("an archive");
        let spans = kept(archive.session(SESSION).expect("the session"));
        assert_eq!(spans.len(), 1, "{spans:?}");
        let completed = complete(&archive, SESSION, &Progress::default()).expect("a measurement");
        assert_eq!((completed.undecodable, completed.measurement.coverage(&spans)), (0, 1.0));
        let (ours, theirs) = (completed.measurement.measured(&spans[0]).expect("loudness"), judged(&path));
        assert!((ours.lufs - theirs.lufs).abs() <= 0.3, "{rate}: {ours:?} against {theirs:?}");
        assert!((ours.true_peak_dbtp - theirs.true_peak_dbtp).abs() <= 0.3, "{rate}: {ours:?} against {theirs:?}");
        let words = completed.measurement.words(&spans[0]).expect("words");
        let seconds = |at: i64| (at + 96_000) as f64 / 48_000.0;
        assert!((2.3..=3.0).contains(&seconds(words.start)), "{}", seconds(words.start));
        assert!((36.0..=37.5).contains(&seconds(words.end)), "{}", seconds(words.end));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_not_measured_is_decoded_and_a_lost_measurement_is_made_anew() {
    let _turn = support::turn().await;
    let temp = tempfile::tempdir().expect("a folder");
    let path = source(temp.path(), "48000", "24");
    let folder = record(temp.path(), &path, 48_000, &[4, 5]).await;
    let measured = |what: &str| {
        let archive = Archive::read(&folder).expect("an archive");
        let start = Instant::now();
        let done = complete(&archive, SESSION, &Progress::default()).expect(what);
        (done, start.elapsed())
    };
    let all = adts_frames(&path).len() as u64 * 1024;
    let (first, took) = measured("a measurement");
    assert!(first.decoded >= all - 2 * FRAMES as u64 * 1024, "{}", first.decoded);
    assert!(took.as_secs() < 20, "{} s measured in {took:?}", first.decoded / 48_000);
    assert_eq!(measured("a measurement").0.decoded, 0, "measured twice");
    // The gap is repaired: it alone is decoded.
    let with = || {
        let clock = Clock::system();
        Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() }
    };
    let recording = Recording::edit(&folder, 0, with()).expect("the recording");
    for (number, chunk) in adts_frames(&path).chunks(FRAMES).enumerate().filter(|(n, _)| [4, 5].contains(n)) {
        recording.segment(segment(number, chunk, 48_000, Origin::Replay));
    }
    recording.close(Closing::Edited).await.expect("an end");
    let (repaired, _) = measured("a measurement");
    assert!((200_000..400_000).contains(&repaired.decoded), "{}", repaired.decoded);
    // Its file goes away, or is torn and holds junk.
    let file = measure::file_of(&folder, SESSION);
    let bytes = std::fs::read(&file).expect("the file");
    let torn = [&bytes[..bytes.len() / 3], &b"\n{\"s\":1,\"l\":[],\"p\":[],\"t\":1}\n\xff\xfe"[..]].concat();
    for broken in [None, Some(torn)] {
        std::fs::remove_file(&file).expect("removed");
        if let Some(bytes) = broken {
            std::fs::write(&file, bytes).expect("written");
        }
        let (anew, _) = measured("a measurement");
        assert_loudness_is_that_of(&anew.measurement, &repaired.measurement);
    }
    draw(&folder, &repaired.measurement);
}

fn assert_loudness_is_that_of(one: &measure::Measurement, other: &measure::Measurement) {
    let range = -96_000..48_000 * 22;
    let (one, other) = (one.measured(&range).expect("loudness"), other.measured(&range).expect("loudness"));
    assert!((one.lufs - other.lufs).abs() < 0.05, "{one:?} and {other:?}");
    assert!((one.true_peak_dbtp - other.true_peak_dbtp).abs() < 0.1, "{one:?} and {other:?}");
}

/// The picture and the JSON of the repaired recording: a repair, no gap, a peak for every tenth of a second.
fn draw(folder: &Path, measurement: &measure::Measurement) {
    let archive = Archive::read(folder).expect("an archive");
    let session = archive.session(SESSION).expect("the session");
    let range = kept(session)[0].clone();
    let chapters = [(0.0, "Start".to_owned()), (20.0, "Climate".to_owned())];
    let scene = Scene::new(session, measurement, range, chapters, Vec::new());
    let json: serde_json::Value = serde_json::from_str(&peaks::json(&scene)).expect("JSON");
    let length = json["length"].as_u64().expect("a length");
    assert_eq!(
        (json["version"].as_u64(), json["bits"].as_u64(), json["channels"].as_u64()),
        (Some(2), Some(8), Some(1))
    );
    assert_eq!(json["data"].as_array().map(Vec::len), Some(2 * length as usize));
    assert_eq!((json["gaps"].as_array().map(Vec::len), json["repairs"].as_array().map(Vec::len)), (Some(0), Some(1)));
    let start = json["repairs"][0]["start"].as_f64().expect("a start");
    assert!((start - (4 * FRAMES * 1024) as f64 / 48_000.0).abs() < 0.01, "{start}");
    assert!(json["data"].as_array().expect("data").iter().any(|value| value.as_i64() > Some(10)));
    let png = waveform::png(&scene, waveform::WIDTH).expect("a picture");
    assert!(png.starts_with(b"\x89PNG"));
    if let Some(folder) = std::env::var_os("SPACEBRIDGE_PICTURES") {
        std::fs::write(Path::new(&folder).join("waveform-recording.png"), png).expect("a file");
    }
}
