//! Encoded files of a recording, judged by ffmpeg, ffprobe and mutagen.

#![expect(clippy::print_stdout, reason = "what was measured is read by people")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use spacebridge::episode::chapters::Chapter;
use spacebridge::episode::encode::{EncodeFormat, EncodeJob, EncodePlan, EncodeReport, encode};
use spacebridge::episode::label::Tags;
use spacebridge::episode::loudness::{Aim, Dsp, level};
use spacebridge::episode::reel::{Range, Reel};
use spacebridge::episode::tags::FileLabels;
use spacebridge::episode::{Overwrite, Progress};
use spacebridge::gst::Cover;
use spacebridge::gst::aac_encode::encode_aac;
use spacebridge::measure::Measured;
use spacebridge::media::StereoSample;
use spacebridge::recording::{Archive, Folder};
use spacebridge::ruler::{self, RulerMark};

use crate::recording::{feed, hidden, recording, run, text};
use crate::support;

const SESSION: &str = "1yNxaNvaMYQKj";

const SOUND: [EncodeFormat; 5] =
    [EncodeFormat::Mp3, EncodeFormat::Opus, EncodeFormat::Flac, EncodeFormat::Wav, EncodeFormat::M4a];

/// Prints what mutagen reads, as JSON.
const MUTAGEN: &str = r#"
import json, sys
import mutagen
from mutagen.mp4 import MP4
file = mutagen.File(sys.argv[1])
tags = file.tags
out = {"length": file.info.length, "type": type(file).__name__}
if isinstance(file, MP4):
    out["title"] = tags["\xa9nam"][0]
    out["year"] = tags["\xa9day"][0]
    out["covers"] = [len(cover) for cover in tags["covr"]]
    out["chapters"] = [[chapter.start, chapter.title] for chapter in file.chapters]
elif hasattr(tags, "getall"):
    out["title"] = tags["TIT2"].text[0]
    out["year"] = str(tags["TDRC"])
    out["covers"] = [len(cover.data) for cover in tags.getall("APIC")]
    found = {chapter.element_id: chapter for chapter in tags.getall("CHAP")}
    listed = [found[name] for toc in tags.getall("CTOC") for name in toc.child_element_ids]
    out["chapters"] = [[c.start_time / 1000, c.sub_frames["TIT2"].text[0]] for c in listed]
    out["ends"] = [c.end_time / 1000 for c in listed]
elif tags is not None:
    out["title"] = tags["title"][0]
    out["year"] = tags["date"][0]
    out["chapters"] = []
    for n in range(100):
        if f"CHAPTER{n:03}" in tags:
            h, m, s = tags[f"CHAPTER{n:03}"][0].split(":")
            out["chapters"].append([int(h) * 3600 + int(m) * 60 + float(s), tags[f"CHAPTER{n:03}NAME"][0]])
    if hasattr(file, "pictures"):
        out["covers"] = [len(picture.data) for picture in file.pictures]
    else:
        import base64
        from mutagen.flac import Picture
        out["covers"] = [len(Picture(base64.b64decode(b)).data) for b in tags["metadata_block_picture"]]
print(json.dumps(out))
"#;

pub(crate) fn adts(frame: &Bytes, rate: u32) -> Vec<u8> {
    let length = frame.len() + 7;
    let rate = if rate == 48_000 { 0x4C } else { 0x50 };
    let head = [0xFF, 0xF1, rate, 0x80 | (length >> 11) as u8, (length >> 3) as u8, ((length & 7) << 5) as u8 | 0x1F];
    [&head[..], &[0xFC], frame].concat()
}

/// A recording of these frames, without the segments in `lost`.
async fn archive(parent: &Path, frames: &[Vec<u8>], lost: &[usize]) -> Archive {
    let recording = recording(parent);
    feed(&recording, frames, &[], lost);
    recording.flush().await;
    let archive = Archive::read(recording.folder()).expect("an archive");
    drop(recording);
    archive
}

fn reel(archive: &Archive, range: Range) -> Reel {
    Reel::open(archive, SESSION, range).expect("a reel")
}

/// What an encoding is asked for beside its files.
#[derive(Default)]
struct Wanted {
    mono: bool,
    dsp: Dsp,
    labels: FileLabels,
}

async fn made(archive: &Archive, to: &Path, formats: &[EncodeFormat], wanted: Wanted) -> EncodeReport {
    let (mut reel, folder) = (reel(archive, Range::default()), Folder::open(to).expect("a folder"));
    let jobs = formats.iter().map(|format| EncodeJob { format: format.clone(), kbps: None }).collect();
    let work = move || {
        let plan = EncodePlan {
            folder: Arc::new(folder),
            base: "night".into(),
            jobs,
            mono: wanted.mono,
            dsp: wanted.dsp,
            overwrite: Overwrite::Never,
            labels: &wanted.labels,
        };
        encode(&mut reel, &plan, &Progress::default()).expect("files")
    };
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// The seconds of the ruler in a file, as ffmpeg decodes it.
fn marks(path: &Path) -> Vec<RulerMark> {
    let arguments = ["-v", "error", "-i", text(path), "-f", "f32le", "-ac", "1", "-ar", "48000", "-"];
    let output = Command::new("ffmpeg").args(arguments).output().expect("ffmpeg");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let value = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    ruler::decode(&output.stdout.chunks_exact(4).map(value).collect::<Vec<_>>())
}

fn probe(path: &Path) -> Value {
    let shown = ["-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json", text(path)];
    serde_json::from_str(&run("ffprobe", &shown)).expect("JSON")
}

fn duration(path: &Path) -> f64 {
    probe(path)["format"]["duration"].as_str().expect("a duration").parse().expect("seconds")
}

fn mutagen(path: &Path) -> Value {
    let output =
        Command::new("/usr/bin/python3").args(["-c", MUTAGEN, text(path)]).output().expect("python3 of Debian");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "mutagen (package python3-mutagen): {}: {error}", path.display());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn file(folder: &Path, extension: &str) -> PathBuf {
    folder.join(format!("night.{extension}"))
}

/// Integrated loudness and true peak as ffmpeg's own meter hears a file.
fn heard(path: &Path) -> (f64, f64) {
    let filter = "ebur128=peak=true:framelog=verbose";
    let output = Command::new("ffmpeg")
        .args(["-nostats", "-i", text(path), "-map", "0:a", "-af", filter, "-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let summary = text.split("Summary:").nth(1).unwrap_or_else(|| panic!("{text}"));
    let number = |name: &str| {
        let value = summary.split(name).nth(1).and_then(|rest| rest.split_whitespace().next());
        value.and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("{name}: {summary}"))
    };
    (number("I:"), number("Peak:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_lies_at_its_place_in_every_format_and_is_named() {
    let _turn = support::turn().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (_, sound) = support::media::sound();
    let frames: Vec<Vec<u8>> = sound.iter().map(|frame| adts(frame, 48_000)).collect();
    // The third segment is missing: 6.016 to 9.024 s.
    let archive = archive(temp.path(), &frames, &[2]).await;
    let cover = temp.path().join("cover.png");
    run("ffmpeg", &["-v", "error", "-f", "lavfi", "-i", "color=c=red:s=640x640", "-frames:v", "1", text(&cover)]);
    let cover = Bytes::from(std::fs::read(&cover).expect("a cover"));
    let chapters = [(0.0, "Start"), (5.5, "Klima & <Wandel> 🎙"), (12.25, "Questions")];
    let tags = Tags {
        title: Some("A \u{202E}night\n<with> \"quotes\"".into()),
        artist: Some("Høst".into()),
        album: Some("The show".into()),
        date: Some("2026-01-02".parse().expect("a date")),
        comment: Some("Line one\nline two".into()),
        cover: Some(Cover { media_type: "image/png", bytes: cover.clone() }),
    };
    let labels = FileLabels::new(&tags, chapters.map(|(start, title)| Chapter::new(start, title)).to_vec());
    let report = made(&archive, temp.path(), &SOUND, Wanted { labels, ..Wanted::default() }).await;
    assert_eq!(report.files.len(), SOUND.len());
    let seconds = frames.len() as f64 * 1024.0 / 48_000.0;
    for made in &report.files {
        let path = file(temp.path(), made.extension);
        assert!(
            (made.part.seconds - seconds).abs() < 1e-6 && (made.part.filled_seconds - 3.008).abs() < 1e-6,
            "{made:?}"
        );
        assert!((duration(&path) - seconds).abs() < 0.03, "{}: {} s for {seconds}", made.extension, duration(&path));
        let found = marks(&path);
        let indices: Vec<u32> = found.iter().map(|mark| mark.index).collect();
        assert_eq!(indices, (0..6).chain(10..20).collect::<Vec<_>>(), "{}", made.extension);
        let shifts: Vec<f64> = found.iter().map(|mark| mark.at_samples - f64::from(mark.index) * 48_000.0).collect();
        let worst =
            shifts.iter().copied().fold(0.0, |worst: f64, shift| if shift.abs() > worst.abs() { shift } else { worst });
        println!("{}: shifted by {worst:.1} samples at most", made.extension);
        assert!(worst.abs() < 24.0, "{} is shifted by {worst} samples", made.extension);
        let wanted_chapters: Vec<Value> =
            chapters.iter().map(|(start, title)| serde_json::json!([start, title])).collect();
        if made.extension == "wav" {
            continue;
        }
        let read = mutagen(&path);
        assert_eq!(read["title"], "A night <with> \"quotes\"", "{}", made.extension);
        assert!(read["year"].as_str().is_none_or(|year| year.starts_with("2026")), "{read}");
        assert_eq!(read["covers"], serde_json::json!([cover.len()]), "{}", made.extension);
        assert_eq!(read["chapters"], Value::from(wanted_chapters), "{}", made.extension);
        assert!((read["length"].as_f64().expect("seconds") - seconds).abs() < 0.03, "{read}");
        let probed = probe(&path);
        let shown = probed["chapters"].as_array().expect("chapters");
        let titles: Vec<&str> = shown.iter().map(|chapter| chapter["tags"]["title"].as_str().unwrap_or("")).collect();
        // ffprobe 5.1 reads no chapters in FLAC.
        if made.extension != "flac" {
            assert_eq!(titles, chapters.map(|(_, title)| title), "{}", made.extension);
        }
    }
    assert_eq!(hidden(temp.path()), Vec::<String>::new(), "nothing half-made is left");
}

/// Something like speech: syllables of harmonics with pauses, and a plosive now and then that is far louder.
fn speech(seconds: u32) -> Vec<StereoSample> {
    let mut random = numbers(7);
    let mut samples = Vec::new();
    while samples.len() < seconds as usize * 48_000 {
        let length = 4_800 + (random() * 12_000.0) as usize;
        let (pitch, loud) = (100.0 + 80.0 * random(), 0.06 + 0.08 * random());
        let plosive = if random() < 0.3 { 0.8 } else { 0.0 };
        for n in 0..length {
            let shape = (std::f32::consts::PI * n as f32 / length as f32).sin();
            let phase = std::f32::consts::TAU * pitch * n as f32 / 48_000.0;
            let voice: f32 = (1..16).map(|h| (phase * h as f32 + (h * h) as f32).cos() / (h as f32).sqrt()).sum();
            let burst = plosive * (-(n as f32) / 60.0).exp() * (n as f32 * 0.2).sin();
            let value = loud * shape * voice / 2.0 + burst + 0.002 * (random() - 0.5);
            samples.push([value, value * 0.98]);
        }
        samples.resize(samples.len() + (random() * 9_000.0) as usize, [0.0; 2]);
    }
    samples.truncate(seconds as usize * 48_000);
    samples
}

/// The same numbers from 0 to 1 in every run.
fn numbers(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    }
}

fn measured(samples: &[StereoSample]) -> Measured {
    let modes = ebur128::Mode::I | ebur128::Mode::TRUE_PEAK;
    let mut meter = ebur128::EbuR128::new(2, 48_000, modes).expect("a meter");
    meter.add_frames_f32(samples.as_flattened()).expect("samples");
    let peak = (0..2).map(|channel| meter.true_peak(channel).expect("a peak")).fold(0.0, f64::max);
    Measured { lufs: meter.loudness_global().expect("a loudness"), true_peak_dbtp: 20.0 * peak.log10() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_show_with_loud_peaks_reaches_its_loudness_in_every_format() {
    let _turn = support::turn().await;
    let temp = tempfile::tempdir().expect("a folder");
    let sound = speech(20);
    let measured = measured(&sound);
    let (_, frames) = encode_aac(&sound, 128).expect("AAC");
    let frames: Vec<Vec<u8>> = frames.iter().map(|frame| adts(frame, 48_000)).collect();
    let archive = archive(temp.path(), &frames, &[]).await;
    let lossy = &[EncodeFormat::Mp3, EncodeFormat::M4a][..];
    for (lufs, mono, formats) in [(-16.0, false, &SOUND[..]), (-14.0, true, lossy)] {
        let aim = Aim { lufs, mono };
        let levelled = {
            let archive = archive.clone();
            let work = move || {
                let mut open = |range| Reel::open(&archive, SESSION, range);
                level(Some(measured), aim, &reel(&archive, Range::default()), &mut open, &Progress::default())
            };
            tokio::task::spawn_blocking(work).await.expect("no panic").expect("a level")
        };
        let folder = temp.path().join(format!("{lufs}-{mono}"));
        std::fs::create_dir(&folder).expect("a folder");
        let wanted = Wanted { mono, dsp: levelled.dsp, ..Wanted::default() };
        let report = made(&archive, &folder, formats, wanted).await;
        println!("from {measured:?} to {aim:?}: {levelled:?}");
        for made in &report.files {
            let (loudness, peak) = heard(&file(&folder, made.extension));
            println!("  {}: {loudness} LUFS, {peak} dBTP", made.extension);
            assert!((loudness - lufs).abs() <= 0.5, "{} has {loudness} LUFS, wanted {lufs}", made.extension);
            assert!(peak <= -1.0, "{} peaks at {peak} dBTP", made.extension);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_rate_and_frames_of_junk_move_nothing() {
    let _turn = support::turn().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (_, sound) = support::media::sound();
    let frames: Vec<Vec<u8>> = sound.iter().map(|frame| adts(frame, 48_000)).collect();
    let recording = recording(temp.path());
    let other = crate::recording::source(temp.path(), "other.aac", 6, 44_100, 1);
    let other = crate::recording::adts_frames(&other).concat();
    // Seconds 0 to 9, six seconds of something else, then seconds 15 to 19; a second of junk in the first.
    let mut first: Vec<Vec<u8>> = frames[..432].to_vec();
    for frame in &mut first[190..240] {
        let length = frame.len();
        frame[7..length].fill(0xA5);
    }
    crate::recording::feed(&recording, &first, &[], &[]);
    let at = |frame: usize| (frame * 1024) as i64;
    recording.segment(crate::recording::segment(100, other, at(432), 288_000));
    let last = frames[720..].concat();
    recording.segment(crate::recording::segment(200, last, at(720), at(frames.len() - 720) as u64));
    recording.flush().await;
    let archive = Archive::read(recording.folder()).expect("an archive");
    let report = made(&archive, temp.path(), &[EncodeFormat::Flac], Wanted::default()).await;
    let found = marks(&file(temp.path(), "flac"));
    let indices: Vec<u32> = found.iter().map(|mark| mark.index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 6, 7, 8, 16, 17, 18, 19], "{:?}", report.notes);
    for mark in found {
        let shift = mark.at_samples - f64::from(mark.index) * 48_000.0;
        assert!(shift.abs() < 24.0, "second {} is shifted by {shift} samples", mark.index);
    }
    assert!(report.notes.iter().any(|note| note.contains("could not be decoded")), "{:?}", report.notes);
    drop(recording);
}
