//! Finished files of a recording, judged by ffmpeg and ffprobe.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use spacebridge::alert::Events;
use spacebridge::clock::Clock;
use spacebridge::config::RecordingConfig;
use spacebridge::episode::{self, EpisodeMeta, Finished};
use spacebridge::recording::{
    Archive, Closing, EpisodeFact, Limits, MissingFact, NewSegment, Origin, Recording, SessionFact, ShowFact,
    Surroundings,
};

pub(crate) const SESSION: &str = "1yNxaNvaMYQKj";

/// Frames in each test segment: 3.008 s, as a space's.
pub(crate) const FRAMES: usize = 141;

pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program} (package ffmpeg): {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// An ADTS file of a tone that never repeats itself.
pub(crate) fn source(folder: &Path, name: &str, seconds: u32, rate: u32, channels: u32) -> PathBuf {
    let path = folder.join(name);
    let tone = format!("aevalsrc=0.4*sin(2*PI*(200+40*t)*t):s={rate}:d={seconds}");
    let (rate, channels) = (rate.to_string(), channels.to_string());
    run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            &tone,
            "-ar",
            &rate,
            "-ac",
            &channels,
            "-c:a",
            "aac",
            "-b:a",
            "96k",
            text(&path),
        ],
    );
    path
}

pub(crate) fn adts_frames(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).expect("bytes");
    let (mut frames, mut at) = (Vec::new(), 0);
    while at + 7 <= bytes.len() {
        let length =
            usize::from(bytes[at + 3] & 3) << 11 | usize::from(bytes[at + 4]) << 3 | usize::from(bytes[at + 5] >> 5);
        frames.push(bytes[at..at + length].to_vec());
        at += length;
    }
    frames
}

pub(crate) fn recording(parent: &Path) -> Recording {
    let config =
        RecordingConfig { enabled: true, folder: parent.to_owned(), min_free_bytes: 0, ..RecordingConfig::default() };
    let clock = Clock::system();
    let with = Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() };
    let recording = Recording::create(&config, ShowFact { show: "night".into(), ..ShowFact::default() }, with)
        .expect("a recording");
    recording.session(SessionFact {
        session: SESSION.into(),
        title: Some("A <b>title</b> & more".into()),
        host: Some("somebody".into()),
        started_at: "2026-01-02T23:30:00Z".parse().ok(),
        ..SessionFact::default()
    });
    recording
}

pub(crate) fn segment(number: usize, bytes: Vec<u8>, media_time: i64, duration: u64) -> NewSegment {
    NewSegment {
        session: SESSION.into(),
        sequence: number as u64,
        name: format!("chunk_{number}.aac"),
        bytes: Bytes::from(bytes),
        media_time,
        duration,
        program_date_time: None,
        listed_at: "2026-01-02T23:30:00Z".parse().expect("a time"),
        discontinuity: false,
        origin: Origin::Live,
        facts: Vec::new(),
    }
}

fn tag(claims: u32, there: usize) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (claims >> shift) as u8 & 0x7F);
    [&b"ID3\x04\0\0"[..], &size, &vec![b'x'; there]].concat()
}

/// Records all frames but those of the segments in `lost`, each segment behind `tag`.
pub(crate) fn feed(recording: &Recording, frames: &[Vec<u8>], tag: &[u8], lost: &[usize]) {
    for (number, chunk) in frames.chunks(FRAMES).enumerate().filter(|(number, _)| !lost.contains(number)) {
        let bytes = [tag, &chunk.concat()].concat();
        recording.segment(segment(number, bytes, (number * FRAMES * 1024) as i64, chunk.len() as u64 * 1024));
    }
}

async fn finish(recording: &Recording, meta: EpisodeMeta) -> (Finished, PathBuf) {
    let finished = episode::finish(recording, meta).await.expect("files");
    recording.close(Closing::Ended).await.expect("an end");
    let path = recording.folder().join(&finished.files[0].file);
    assert_eq!(hidden(recording.folder()), Vec::<String>::new(), "nothing half-made is left");
    (finished, path)
}

pub(crate) fn hidden(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with('.')).collect()
}

/// Time (in samples, where the container counts them) and hash of every access unit.
pub(crate) fn hashes(path: &Path) -> Vec<(i64, String)> {
    let is_adts = path.extension().is_some_and(|e| e == "aac");
    let filter: &[&str] = if is_adts { &["-bsf:a", "aac_adtstoasc"] } else { &[] };
    let mut args = vec!["-v", "error", "-i", text(path), "-map", "0:a", "-c", "copy"];
    args.extend(filter);
    args.extend(["-f", "framemd5", "-"]);
    let field = |line: &str, n: usize| line.split(',').nth(n).expect("a field").trim().to_owned();
    let lines = run("ffmpeg", &args);
    let frames = lines.lines().filter(|l| !l.starts_with('#')).enumerate();
    let time = |n: usize, l: &str| if is_adts { n as i64 * 1024 } else { field(l, 2).parse().expect("a time") };
    frames.map(|(n, l)| (time(n, l), field(l, 5))).collect()
}

/// Without printing thousands of hashes.
pub(crate) fn assert_same(found: &[(i64, String)], wanted: &[(i64, String)]) {
    let differs = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    assert_eq!((found.len(), differs), (wanted.len(), None), "frames, and the first that differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn contiguous_segments_have_the_frame_hashes_of_the_source() {
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 30, 48_000, 2);
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source), &tag(63, 63), &[]);
    let (finished, path) = finish(&recording, EpisodeMeta::default()).await;
    let (wanted, found) = (hashes(&source), hashes(&path));
    assert_same(&found, &wanted);
    assert!(found.iter().enumerate().all(|(n, (time, _))| *time == n as i64 * 1024), "every frame lies at its sample");
    assert_eq!((finished.files.len(), finished.files[0].filled_seconds, finished.notes.len()), (1, 0.0, 0));
    assert_eq!(finished.files[0].file, format!("night-{SESSION}.m4a"));
    let bytes = std::fs::read(&path).expect("a file");
    let place = |atom: &[u8]| bytes.windows(4).position(|window| window == atom).expect("an atom");
    assert!(place(b"moov") < place(b"mdat"), "the index stands in front");
    let archive = Archive::read(recording.folder()).expect("an archive");
    let kept: Vec<&EpisodeFact> = archive.episodes.values().collect();
    assert_eq!(kept, finished.files.iter().collect::<Vec<_>>());
    let sum = run("sha256sum", &[text(&path)]);
    assert!(sum.starts_with(&kept[0].sha256) && kept[0].bytes == bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_segment_with_too_little_room_takes_no_frame_of_what_was_heard() {
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 8, 48_000, 2);
    let recording = recording(temp.path());
    let frames = adts_frames(&source);
    let [first, second, third] = [0, 1, 2].map(|n| frames[n * 100..(n + 1) * 100].concat());
    let at = |frame: i64| frame * 1024;
    recording.segment(segment(0, first, at(0), at(100) as u64));
    recording.segment(segment(2, third, at(160), at(100) as u64));
    recording.segment(NewSegment { origin: Origin::Replay, ..segment(1, second, at(100), at(60) as u64) });
    let (_, path) = finish(&recording, EpisodeMeta::default()).await;
    let wanted: Vec<String> = hashes(&source).into_iter().map(|(_, hash)| hash).collect();
    let found: Vec<String> = hashes(&path).into_iter().map(|(_, hash)| hash).collect();
    assert_eq!(found, [&wanted[..160], &wanted[200..300]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_shifts_nothing_after_it() {
    for (rate, channels) in [(48_000, 2), (44_100, 1)] {
        let temp = tempfile::tempdir().expect("a folder");
        let source = source(temp.path(), "source.aac", 30, rate, channels);
        let recording = recording(temp.path());
        let frames = adts_frames(&source);
        let scale = |frame: usize| (frame as u64 * 1024 * 48_000 / u64::from(rate)) as i64;
        for (number, chunk) in frames.chunks(FRAMES).enumerate().filter(|(n, _)| ![2, 3, 5].contains(n)) {
            let (start, end) = (scale(number * FRAMES), scale(number * FRAMES + chunk.len()));
            recording.segment(segment(number, chunk.concat(), start, (end - start) as u64));
        }
        let (finished, path) = finish(&recording, EpisodeMeta::default()).await;
        let (wanted, found) = (hashes(&source), hashes(&path));
        assert_eq!(found.len(), wanted.len());
        let silent = &found[2 * FRAMES].1;
        for (n, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            let lost = [2, 3, 5].contains(&(n / FRAMES));
            assert_eq!(&found.1, if lost { silent } else { &wanted.1 }, "frame {n} at {rate} Hz");
            assert_eq!(found.0, n as i64 * 1024);
        }
        let filled = (3 * FRAMES * 1024) as f64 / f64::from(rate);
        assert!((finished.files[0].filled_seconds - filled).abs() < 1e-6);
        let at = |n: usize| (n * FRAMES * 1024) as f64 / f64::from(rate);
        assert!(loudness(&path, at(2) + 0.1, at(4) - at(2) - 0.2) < -90.0, "the gap is silent");
        assert!(loudness(&path, at(4) + 0.1, at(5) - at(4) - 0.2) > -20.0, "what follows is not");
        let gaps = recording.archive().gaps();
        assert_eq!(gaps.iter().map(|gap| gap.cause.as_str()).collect::<Vec<_>>(), ["not received"; 2]);
    }
}

/// Mean level of a stretch, decoded, in dB.
fn loudness(path: &Path, start: f64, seconds: f64) -> f64 {
    let filter = format!("atrim=start={start}:duration={seconds},astats=metadata=0:measure_perchannel=none");
    let output =
        Command::new("ffmpeg").args(["-i", text(path), "-af", &filter, "-f", "null", "-"]).output().expect("ffmpeg");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find_map(|line| line.split("RMS level dB:").nth(1)).expect("a level");
    line.trim().parse().unwrap_or(f64::NEG_INFINITY)
}

fn cover(folder: &Path) -> PathBuf {
    let path = folder.join("cover.png");
    run("ffmpeg", &["-v", "error", "-f", "lavfi", "-i", "color=c=red:s=64x64", "-frames:v", "1", text(&path)]);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn cover_and_tags_are_read_by_ffprobe() {
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 6, 48_000, 2);
    let cover = cover(temp.path());
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source), &[], &[]);
    let timezone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
    let meta = EpisodeMeta { cover: Some(cover), timezone, ..EpisodeMeta::default() };
    let (finished, path) = finish(&recording, meta).await;
    assert_eq!(finished.notes, Vec::<String>::new());
    let probe = run("ffprobe", &["-v", "error", "-of", "json", "-show_format", "-show_streams", text(&path)]);
    let probe: serde_json::Value = serde_json::from_str(&probe).expect("JSON");
    let tags = &probe["format"]["tags"];
    assert_eq!(tags["title"], "A <b>title</b> & more");
    assert_eq!(tags["artist"], "somebody");
    assert_eq!(tags["date"], "2026-01-03", "the date is that of the operator's time zone");
    let streams = probe["streams"].as_array().expect("streams");
    let cover = streams.iter().find(|stream| stream["codec_type"] == "video").expect("a cover");
    assert_eq!((cover["codec_name"].as_str(), cover["disposition"]["attached_pic"].as_i64()), (Some("png"), Some(1)));
    assert_eq!(cover["width"], 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_or_missing_cover_stops_no_file() {
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 3, 48_000, 2);
    let cover = temp.path().join("cover.png");
    std::fs::write(&cover, vec![0x89; 11 << 20]).expect("a file");
    for cover in [cover, temp.path().join("nowhere.png"), source.clone()] {
        let recording = recording(temp.path());
        feed(&recording, &adts_frames(&source), &[], &[]);
        let (finished, path) = finish(&recording, EpisodeMeta { cover: Some(cover), ..EpisodeMeta::default() }).await;
        assert!(path.exists() && finished.notes[0].contains("was left out"), "{:?}", finished.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_id3_does_not_stop_the_remux() {
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 12, 48_000, 2);
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source), &tag(16 << 20, 500), &[]);
    let (_, path) = finish(&recording, EpisodeMeta::default()).await;
    assert_same(&hashes(&path), &hashes(&source));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_sample_rate_begins_a_second_file_and_says_so() {
    let temp = tempfile::tempdir().expect("a folder");
    let sources = [source(temp.path(), "a.aac", 6, 48_000, 2), source(temp.path(), "b.aac", 6, 44_100, 2)];
    let recording = recording(temp.path());
    for (number, path) in sources.iter().enumerate() {
        recording.segment(segment(number, std::fs::read(path).expect("bytes"), number as i64 * 288_000, 288_000));
    }
    let (finished, path) = finish(&recording, EpisodeMeta::default()).await;
    assert_same(&hashes(&path), &hashes(&sources[0]));
    let second = recording.folder().join(format!("night-{SESSION}-2.m4a"));
    assert_same(&hashes(&second), &hashes(&sources[1]));
    assert!(finished.notes[0].contains("another file at 6.0 s"), "{:?}", finished.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_and_removed_segments_are_named_and_the_rest_keeps_its_place() {
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 15, 48_000, 2);
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source), &[], &[]);
    episode::finish(&recording, EpisodeMeta::default()).await.expect("files");
    let file = |n: usize| recording.folder().join(format!("segments/{SESSION}/{n:08}.aac"));
    std::fs::remove_file(file(1)).expect("a file");
    std::fs::write(file(2), b"junk").expect("a file");
    let (finished, path) = finish(&recording, EpisodeMeta::default()).await;
    let (wanted, found) = (hashes(&source), hashes(&path));
    assert_same(&found[3 * FRAMES..], &wanted[3 * FRAMES..]);
    assert_same(&found[..FRAMES], &wanted[..FRAMES]);
    let notes = finished.notes.join(" ");
    assert!(notes.contains("00000001.aac cannot be read") && notes.contains("00000002.aac was altered"), "{notes}");
}

/// A Matroska stream as a source captures it: without duration or index.
fn captured(folder: &Path, codec: &[&str]) -> Vec<u8> {
    let path = folder.join("capture.mka");
    let tone = "aevalsrc=0.4*sin(2*PI*(200+40*t)*t):s=48000:d=12";
    let mut args = vec!["-v", "error", "-y", "-f", "lavfi", "-i", tone, "-ac", "2"];
    args.extend(codec);
    args.extend(["-f", "matroska", "-live", "1", text(&path)]);
    run("ffmpeg", &args);
    std::fs::read(path).expect("bytes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_capture_becomes_a_file_with_a_duration() {
    let cases: [(&[&str], &str); 2] = [(&["-c:a", "aac"], "m4a"), (&["-c:a", "libopus"], "mka")];
    for (codec, extension) in cases {
        let temp = tempfile::tempdir().expect("a folder");
        let bytes = captured(temp.path(), codec);
        let torn = temp.path().join("torn.mka");
        std::fs::write(&torn, &bytes[..bytes.len() - 100]).expect("a file");
        let recording = recording(temp.path());
        for piece in bytes[..bytes.len() - 100].chunks(4000) {
            recording.capture(SESSION, Bytes::copy_from_slice(piece), None);
        }
        let cover = Some(cover(temp.path()));
        let (finished, path) = finish(&recording, EpisodeMeta { cover, ..EpisodeMeta::default() }).await;
        assert_eq!(path.file_name().and_then(|n| n.to_str()), Some(&*format!("night-{SESSION}.{extension}")));
        let units = |path: &Path| hashes(path).into_iter().map(|(_, hash)| (0, hash)).collect::<Vec<_>>();
        let (wanted, found) = (units(&torn), units(&path));
        assert!(found.len() + 2 >= wanted.len(), "{} of {} {extension}", found.len(), wanted.len());
        assert_same(&found, &wanted[..found.len()]);
        let probe = run("ffprobe", &["-v", "error", "-of", "json", "-show_format", "-show_streams", text(&path)]);
        let probe: serde_json::Value = serde_json::from_str(&probe).expect("JSON");
        let format = &probe["format"];
        let seconds: f64 = format["duration"].as_str().and_then(|text| text.parse().ok()).expect("a duration");
        assert!((11.5..12.2).contains(&seconds), "{seconds} {extension}");
        let tag = |name: &str| [name, &name.to_uppercase()].iter().find_map(|name| format["tags"][name].as_str());
        assert_eq!(tag("title"), Some("A <b>title</b> & more"), "{probe}");
        assert_eq!(tag("artist"), Some("somebody"), "{probe}");
        let streams = probe["streams"].as_array().expect("streams");
        let has_cover = streams.iter().any(|stream| stream["codec_name"] == "png");
        assert_eq!(has_cover, finished.notes.is_empty(), "a cover or a word about it: {:?}", finished.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_checks_what_it_says() {
    let manual = include_str!("../../docs/recordings.md");
    let scripts: Vec<&str> = manual.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(scripts.len(), 4);
    let temp = tempfile::tempdir().expect("a folder");
    let source = source(temp.path(), "source.aac", 9, 48_000, 2);
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source), &tag(63, 63), &[1]);
    recording.missing(MissingFact {
        session: SESSION.into(),
        first_sequence: 1,
        last_sequence: 1,
        media_time: 144_384,
        duration: 144_384,
        cause: "segment answered 404, \",\"check\":\"".into(),
        ..MissingFact::default()
    });
    let (_, path) = finish(&recording, EpisodeMeta::default()).await;
    let shell = |script: &str| {
        let output =
            Command::new("sh").args(["-ec", script]).current_dir(recording.folder()).output().expect("a shell");
        let out = [output.stdout, output.stderr].concat();
        String::from_utf8(out).expect("text")
    };
    let answers: Vec<String> = scripts.iter().map(|script| shell(script)).collect();
    assert_eq!(answers[..2], ["", ""]);
    assert!(answers[2].starts_with("3.008 s: 3.008 s, segment answered 404"), "{}", answers[2]);
    assert_eq!(answers[3], "");
    std::fs::write(path, "altered").expect("a write");
    assert!(shell(scripts[1]).contains("FAILED"));
    let journal = recording.folder().join("journal.jsonl");
    let altered = std::fs::read_to_string(&journal).expect("lines").replace("404", "403");
    std::fs::write(journal, altered).expect("a write");
    assert!(shell(scripts[0]).starts_with("bad line: "));
}
