//! Exported files: the received frames, judged by ffmpeg, and a video, judged by a browser. The command around them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use spacebridge::episode::reel::Range;
use spacebridge::episode::{self, EpisodeError, ExportRequest, Exported, Format, Made, Progress, Words};
use spacebridge::gst;
use spacebridge::recording::{Archive, Closing, MarkFact, Recording};

use crate::recording::{FRAMES, SESSION, adts_frames, assert_same, feed, hashes, hidden, recording, run, source, text};
use crate::support::show::PROGRAM;

/// A recording of 30 s whose third segment is missing, closed; its folder, and the source's frames.
async fn recorded(parent: &Path) -> (PathBuf, PathBuf) {
    let source = source(parent, "source.aac", 30, 48_000, 2);
    let recording = recording(parent);
    feed(&recording, &adts_frames(&source), &[], &[2]);
    close(recording).await;
    (newest(parent), source)
}

async fn close(recording: Recording) {
    recording.close(Closing::Ended).await.expect("an end");
}

fn newest(parent: &Path) -> PathBuf {
    let entries = std::fs::read_dir(parent).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.join("journal.jsonl").is_file()).max().expect("a recording")
}

fn export(request: ExportRequest) -> Result<Exported, EpisodeError> {
    gst::init().expect("GStreamer");
    episode::export(&request, &Progress::default())
}

fn probe(path: &Path, entries: &str, stream: &str) -> String {
    let mut args = vec!["-v", "error", "-show_entries", entries, "-of", "csv=p=0"];
    if !stream.is_empty() {
        args.extend(["-select_streams", stream]);
    }
    args.push(text(path));
    run("ffprobe", &args).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_and_video_in_one_pass_hold_the_received_frames() {
    let _turn = crate::support::turn_to_hear().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (folder, source) = recorded(temp.path()).await;
    let words = Words { album: Some("An album".into()), comment: Some("Said \"so\"".into()), ..Words::default() };
    let request = ExportRequest { words, ..ExportRequest::new(&folder, [Format::M4a, Format::Mp4]) };
    let made = tokio::task::spawn_blocking(|| export(request)).await.expect("a thread").expect("files");
    let [m4a, mp4] = &made.files[..] else { panic!("{made:?}") };
    assert_eq!(m4a.file, folder.join(format!("export/night-{SESSION}.m4a")));
    let (wanted, audio, video) = (hashes(&source), hashes(&m4a.file), hashes(&mp4.file));
    assert_same(&audio, &video);
    assert_eq!(audio.len(), wanted.len(), "the gap is filled");
    let lost = 2 * FRAMES..3 * FRAMES;
    let differs = |n: &usize| audio[*n] != wanted[*n];
    assert!((0..audio.len()).filter(differs).all(|n| lost.contains(&n)), "every received frame lies at its place");
    for made in [m4a, mp4] {
        run("ffmpeg", &["-v", "error", "-xerror", "-i", text(&made.file), "-f", "null", "-"]);
        assert!((made.seconds - 30.0).abs() < 0.1 && (made.filled_seconds - 3.008).abs() < 0.01, "{made:?}");
        assert_eq!(
            probe(&made.file, "format_tags=title,artist,album,comment", ""),
            "A <b>title</b> & more,somebody,An album,\"Said \"\"so\"\"\""
        );
    }
    let picture = probe(
        &mp4.file,
        "stream=codec_name,profile,width,height,pix_fmt,r_frame_rate,avg_frame_rate,has_b_frames",
        "v",
    );
    assert_eq!(picture, "h264,Main,1280,720,0,yuv420p,5/1,5/1");
    let length = |stream: &str| probe(&mp4.file, "stream=duration", stream).parse::<f64>().expect("a duration");
    assert!((length("a") - length("v")).abs() < 0.25, "both tracks are as long");
    let bytes = std::fs::read(&mp4.file).expect("a file");
    let place = |name: &[u8]| bytes.windows(4).position(|window| window == name).expect("a box");
    assert!(place(b"moov") < place(b"mdat"), "the index stands in front");
    assert_eq!(hidden(&folder.join("export")), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_said_before_anything_is_written() {
    let temp = tempfile::tempdir().expect("a folder");
    let (folder, _) = recorded(temp.path()).await;
    let asked = || ExportRequest::new(&folder, [Format::M4a]);
    let refusals = [
        (ExportRequest { min_free: u64::MAX / 2, ..asked() }, "no room"),
        (ExportRequest { sessions: vec!["other".into()], ..asked() }, SESSION),
        (ExportRequest { name: Some("../x".into()), ..asked() }, "cannot name a file"),
        (ExportRequest { folder: Some(folder.join("journal.jsonl")), ..asked() }, "cannot be used"),
    ];
    for (request, words) in refusals {
        let error = export(request).expect_err("a refusal").to_string();
        assert!(error.contains(words), "{error}");
    }
    let stopped = Progress::default();
    stopped.cancel();
    assert!(matches!(episode::export(&asked(), &stopped), Err(EpisodeError::Cancelled)));
    let target = folder.join("export");
    assert_eq!(std::fs::read_dir(&target).expect("a folder").count(), 0, "nothing is left of what was not made");
    let mine = target.join(format!("night-{SESSION}.m4a"));
    std::fs::write(&mine, "something of mine").expect("a file");
    assert!(matches!(export(asked()), Err(EpisodeError::Exists(path)) if path == mine));
    assert_eq!(std::fs::read_to_string(&mine).expect("a file"), "something of mine");
    export(ExportRequest { force: true, ..asked() }).expect("a file");
    let first = std::fs::read(&mine).expect("a file");
    std::fs::remove_file(&mine).expect("removed");
    export(asked()).expect("a file");
    assert!(std::fs::read(&mine).expect("a file") == first, "the same recording gives the same file");
}

fn spacebridge(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().expect("the program")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_finds_a_recording_by_its_show_and_lists_what_it_made() {
    let temp = tempfile::tempdir().expect("a folder");
    let (folder, _) = recorded(temp.path()).await;
    let place = ["--folder", text(temp.path())];
    let ask = |name: &str, rest: &[&str]| spacebridge(&[&["recordings", "export", name][..], &place, rest].concat());
    let done = ask("night", &["--format", "m4a", "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&answer["files"][0]["format"], &answer["not_listed"]), (&"m4a".into(), &serde_json::Value::Null));
    let archive = Archive::read(&folder).expect("an archive");
    assert_eq!(archive.exports.len(), 1);
    assert_eq!(archive.exports[0].file, format!("export/night-{SESSION}.m4a"));
    assert!(archive.ended, "an export does not begin the show again");
    let unknown = ask("night", &["--format", "ogg"]);
    let words = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(64) && words.contains("m4a, mp3, opus"), "{words}");
    let nobody = ask("nigth", &["--format", "m4a"]);
    let words = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(!nobody.status.success() && words.contains("night-"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_writes_the_recording_does_not_stop_an_export() {
    let temp = tempfile::tempdir().expect("a folder");
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source(temp.path(), "source.aac", 12, 48_000, 2)), &[], &[]);
    recording.flush().await;
    let done = spacebridge(&["recordings", "export", "night", "--folder", text(temp.path()), "--format", "m4a"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("does not list these files"), "{said}");
    close(recording).await;
    assert!(Archive::read(&newest(temp.path())).expect("an archive").exports.is_empty());
}

/// Opens the file in a browser that plays it to its end and seeks in it; what the page reports of it.
fn in_the_browser(folder: &Path, video: &Path) -> serde_json::Value {
    let reports = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = reports.local_addr().expect("an address");
    let page = include_str!("support/play.html")
        .replace("@VIDEO@", &format!("file://{}", text(video)))
        .replace("@REPORT@", &format!("http://{address}/"));
    let file = folder.join("play.html");
    std::fs::write(&file, page).expect("a page");
    let profile = format!("--user-data-dir={}", text(&folder.join("profile")));
    let mut browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--allow-file-access-from-files"])
        .args(["--autoplay-policy=no-user-gesture-required", "--no-first-run", &profile])
        .arg(format!("file://{}", text(&file)))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("chromium of the package chromium");
    let answer = report(&reports, Duration::from_secs(60));
    browser.kill().expect("a kill");
    browser.wait().expect("an end");
    let query = answer.expect("the page's report");
    let json = url::Url::parse(&format!("http://x{query}")).expect("an address");
    let (_, json) = json.query_pairs().next().expect("a report");
    serde_json::from_str(&json).expect("JSON")
}

/// The target of the first request.
fn report(listener: &TcpListener, patience: Duration) -> Option<String> {
    listener.set_nonblocking(true).expect("a listener");
    let start = Instant::now();
    while start.elapsed() < patience {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        stream.set_nonblocking(false).expect("a stream");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").expect("an answer");
        return line.split(' ').nth(1).map(str::to_owned);
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_plays_the_video_from_start_to_end_and_seeks_in_it() {
    let _turn = crate::support::turn().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (folder, _) = recorded(temp.path()).await;
    let made = export(ExportRequest::new(&folder, [Format::Mp4])).expect("a video");
    let path = temp.path().to_owned();
    let video = made.files[0].file.clone();
    let seen = tokio::task::spawn_blocking(move || in_the_browser(&path, &video)).await.expect("a thread");
    assert_eq!(seen["error"], serde_json::Value::Null, "{seen}");
    assert_eq!((&seen["width"], &seen["height"]), (&1280.into(), &720.into()), "{seen}");
    let number = |name: &str| seen[name].as_f64().unwrap_or_default();
    assert!((number("duration") - 30.0).abs() < 0.25, "{seen}");
    assert!(number("ended_at") > number("duration") - 0.25, "it plays to its end: {seen}");
    assert_eq!(seen["sought"], serde_json::json!([25, 3, 14]), "{seen}");
    assert!(number("frames") > 50.0 && number("audio_bytes") > 10_000.0, "both tracks are decoded: {seen}");
}

fn mark(seconds: i64, title: &str) -> MarkFact {
    MarkFact { session: SESSION.into(), media_time: seconds * 48_000, title: title.into() }
}

fn made(exported: &Exported, ending: &str) -> PathBuf {
    let path = |made: &Made| made.file.to_str().is_some_and(|path| path.ends_with(ending)).then(|| made.file.clone());
    exported.files.iter().find_map(path).unwrap_or_else(|| panic!("no {ending} in {exported:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_comes_out_of_one_export_with_the_marks_as_chapters() {
    let _turn = crate::support::turn().await;
    let temp = tempfile::tempdir().expect("a folder");
    let recording = recording(temp.path());
    feed(&recording, &adts_frames(&source(temp.path(), "source.aac", 36, 48_000, 2)), &[], &[2]);
    [mark(12, "Climate"), mark(24, "Sea & <ice>")].into_iter().for_each(|mark| recording.mark(mark));
    close(recording).await;
    let request = ExportRequest::new(newest(temp.path()), Format::ALL);
    let done = tokio::task::spawn_blocking(|| export(request)).await.expect("a thread").expect("files");
    for ending in [".m4a", ".mp4", ".mp3", ".opus", ".flac", ".wav"] {
        let file = made(&done, ending);
        let length: f64 = probe(&file, "format=duration", "").parse().expect("a duration");
        assert!((length - 36.0).abs() < 0.1, "{ending} has {length} s");
        let chapters = run("ffprobe", &["-v", "error", "-show_chapters", "-of", "json", text(&file)]);
        let chapters: serde_json::Value = serde_json::from_str(&chapters).expect("JSON");
        let titles: Vec<&str> = chapters["chapters"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["tags"]["title"].as_str())
            .collect();
        // ffprobe reads no chapters of a WAV file.
        if ending != ".wav" {
            assert_eq!(titles, ["A <b>title</b> & more", "Climate", "Sea & <ice>"], "{ending}");
        }
    }
    let read = |ending: &str| std::fs::read(made(&done, ending)).expect("a file");
    let lines = String::from_utf8(read(".youtube.txt")).expect("text");
    assert!(lines.starts_with("0:00 ") && lines.contains("\n0:12 Climate\n") && !lines.contains('<'), "{lines}");
    assert!(read(".waveform.png").starts_with(b"\x89PNG") && read(".vtt").starts_with(b"WEBVTT"));
    for ending in [".peaks.json", ".speakers.json", ".chapters.json"] {
        serde_json::from_slice::<serde_json::Value>(&read(ending)).expect("JSON");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_holds_just_its_frames() {
    let temp = tempfile::tempdir().expect("a folder");
    let (folder, source) = recorded(temp.path()).await;
    let frame = |n: i64| n * 1024;
    let range = Range { start: Some(frame(500)), end: Some(frame(900)) };
    let done = export(ExportRequest { range, ..ExportRequest::new(&folder, [Format::M4a]) }).expect("a file");
    let bare = |hashes: Vec<(i64, String)>| hashes.into_iter().map(|(_, hash)| hash).collect::<Vec<_>>();
    let (found, wanted) = (bare(hashes(&done.files[0].file)), bare(hashes(&source)));
    assert!(found[..] == wanted[500..900], "{} frames", found.len());
    assert_eq!(done.files[0].media_time, frame(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill9_of_an_export_leaves_nothing_that_stops_the_next() {
    let _turn = crate::support::turn_to_hear().await;
    let temp = tempfile::tempdir().expect("a folder");
    let (folder, _) = recorded(temp.path()).await;
    let before = std::fs::read(folder.join("journal.jsonl")).expect("a journal");
    for round in 0..6 {
        let mut child = Command::new(PROGRAM)
            .args(["recordings", "export", text(&folder), "--format", "m4a,mp4"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("the program");
        // Somewhere else within the export each time.
        std::thread::sleep(Duration::from_millis(150 * round));
        child.kill().expect("a kill");
        child.wait().expect("an end");
    }
    let journal = std::fs::read(folder.join("journal.jsonl")).expect("a journal");
    assert!(journal.starts_with(&before), "what was recorded stands as it stood");
    let done = spacebridge(&["recordings", "export", text(&folder), "--format", "m4a,mp4"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(hidden(&folder.join("export")), Vec::<String>::new());
}
