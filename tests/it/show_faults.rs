//! Whole shows on bad nights: what is wrong is told once with what to do, harms nothing else, and loses nothing.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use rustix::process::Signal;
use spacebridge::rehearsal::space::control::{ApiFault, LocationShape};
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use spacebridge::status::OutputState;
use tokio::net::TcpListener;

use crate::support::measure::{assert_every_second, ruler_of};
use crate::support::media::Tracks;
use crate::support::nginx::Nginx;
use crate::support::show::{Run, Space, Stage, output};
use crate::support::{eventually, process, turn, turn_to_hear};

/// How long an operator waits for the word on what is wrong.
const SOON: u64 = 25;

/// Fails unless the words are there, and the first of them once.
fn assert_said_once(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not said: {said}");
    }
    assert_eq!(said.matches(words[0]).count(), 1, "{:?} is not said once: {said}", words[0]);
}

/// A show that cannot begin ends by itself.
async fn refused(space: &Space, words: &[&str]) {
    let stage = Stage::new(&space.config());
    let said = stage.run(&[]).ended(SOON).await;
    assert_eq!(said.code, Some(1), "{}", said.all());
    assert_said_once(&said.all(), words);
    // The show says it itself; nobody has to read a log.
    assert!(!said.all().contains("last lines"), "{}", said.all());
}

/// A show that waits for better times, and is ended.
async fn waits(stage: &Stage, words: &[&str]) -> Run {
    let run = stage.run(&[]);
    eventually("the trouble is told", Duration::from_secs(SOON), || run.said().contains(words[0]).then_some(())).await;
    assert_said_once(&run.said(), words);
    run
}

fn fail_api(fault: ApiFault) -> Order {
    Order::FailApi { fault, times: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_space_that_cannot_be_had_ends_the_show_with_what_to_do() {
    let _turn = turn_to_hear().await;
    let space = Space::running_for(20).await;
    space.order(fail_api(ApiFault::EmptySpace)).await;
    refused(&space, &["there is no Space with this id, or it is private", "check the link"]).await;
    for status in [401, 403] {
        space.order(fail_api(ApiFault::Status { status })).await;
        refused(&space, &["X does not accept the cookies", "log in"]).await;
    }
    space.order(fail_api(ApiFault::StaleQueryId)).await;
    refused(&space, &["by the configured query ids", "x.audio_space_by_id", "dynamic_playlist.m3u8"]).await;
    space.order(Order::Heal).await;
    space.order(Order::End { replay: false }).await;
    refused(&space, &["the Space ended at", "only live Spaces are carried"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_geoblocked_space_is_told_once_and_the_show_can_be_ended() {
    let _turn = turn_to_hear().await;
    let space = Space::running_for(20).await;
    space.order(Order::Location { shape: LocationShape::Geoblocked }).await;
    let stage = Stage::new(&space.config());
    let mut run = waits(&stage, &["in the country of this machine's network", "run the bridge elsewhere"]).await;
    run.signal(Signal::INT);
    let said = run.ended(SOON).await;
    assert_said_once(&said.all(), &["in the country of this machine's network"]);
    assert_eq!(said.code, Some(0), "{}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_in_trouble_is_told_once_and_joined_when_it_is_well() {
    let _turn = turn_to_hear().await;
    let space = Space::running_for(20).await;
    space.order(fail_api(ApiFault::Html)).await;
    let stage = Stage::new(&space.config());
    let mut run = waits(&stage, &["X answered with a page instead of data"]).await;
    // An unknown feature is answered by naming it.
    let name = "spaces_2031_brand_new_enabled".to_owned();
    space.order(fail_api(ApiFault::MissingFeature { name })).await;
    stage.until("something is kept", SOON, |status| status.recording.segments >= 5).await;
    run.signal(Signal::INT);
    let said = run.ended(SOON).await;
    assert_said_once(&said.all(), &["X answered with a page instead of data"]);
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_every_second(&ruler_of(&stage.finished()), 12);
}

/// Everything that could harm a terminal, a file name, a picture, a log or a tag, around a word to find it by.
const HOSTILE: &str = "evil</text><image href=\"file:///etc/passwd\"/>&lt;<script>x</script>&\u{202e}gnp.exe\u{1b}[2J\u{1b}]0;own\u{7}\
                       \r\nfake line ../../../etc/passwd $(reboot) %s {time} ';--\u{200b}\u{feff}\u{9b}31m";

fn assert_harmless(what: &str, text: &str) {
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let found: Vec<String> = text.chars().filter(|c| bad(*c)).map(|c| format!("{c:?}")).collect();
    assert!(found.is_empty(), "{what} holds {found:?}: {text:?}");
    let broken = text.lines().any(|line| line.starts_with("fake line"));
    assert!(!broken, "{what}: the title broke a line: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_title_is_only_text() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space =
        Space::start(&SpaceArgs { title: HOSTILE.to_owned(), host: HOSTILE.to_owned(), ..SpaceArgs::default() }).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let mut run = stage.run(&["-v"]);
    let status = stage.until_live().await;
    let session = status.session.expect("a session");
    assert!(session.title.expect("a title").contains("evil") && session.host.expect("a host").contains("evil"));
    let verb = stage.verb(&["status"]).await;
    assert_harmless("status", &String::from_utf8_lossy(&verb.stdout));
    let json = stage.verb(&["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON object");
    assert_harmless("status --json", &json.to_string());
    assert_harmless("a text in the status", json["session"]["title"].as_str().expect("a title"));
    nginx.grows(800_000).await;
    run.signal(Signal::INT);
    let said = run.ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(!said.all().contains("slate:"), "the slate is at fault: {}", said.all());
    assert_harmless("the terminal", &said.all());
    let log = fs::read_to_string(stage.path("state/shows/night/bridge.log")).expect("a log");
    assert!(log.contains("evil"), "the log tells what was found: {log}");
    assert_harmless("the log", &log);
    for line in stage.journal() {
        assert_harmless("the journal", &line.to_string());
        assert_harmless("a title in the journal", line["title"].as_str().unwrap_or_default());
    }
    for name in names_below(&stage.path("recordings")) {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        assert!(plain && !name.contains("evil"), "a file is named {name:?}");
    }
    let finished = stage.finished();
    let tags = ["-v", "error", "-show_entries", "format_tags", "-of", "json", finished.to_str().expect("a path")];
    let tags: serde_json::Value = serde_json::from_slice(&process::run("ffprobe", &tags).stdout).expect("JSON");
    let tags = &tags["format"]["tags"];
    for name in ["title", "artist"] {
        let text = tags[name].as_str().unwrap_or_else(|| panic!("no {name}: {tags}"));
        assert!(text.contains("evil"), "{name} is {text:?}");
        assert_harmless(name, text);
        assert!(!text.contains('\n'), "{name} has lines: {text:?}");
    }
    Tracks::of(&nginx.recordings()[0]).assert_continuous_from(0);
}

fn names_below(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        names.push(entry.file_name().to_string_lossy().into_owned());
        if entry.path().is_dir() {
            names.extend(names_below(&entry.path()));
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playlist_that_points_at_files_or_private_addresses_is_refused() {
    let _turn = turn_to_hear().await;
    // A stranger's service on this machine, which must never be asked.
    let trap = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = trap.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let trapped = tokio::spawn(async move {
        while trap.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut playlist = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:1\n");
    for address in [
        "file:///etc/passwd".to_owned(),
        format!("http://127.0.0.1:{port}/chunk_2_a.aac"),
        format!("http://localhost:{port}/chunk_3_a.aac"),
        format!("http://[::ffff:127.0.0.1]:{port}/chunk_4_a.aac"),
        "http://169.254.169.254/latest/meta-data/chunk_5_a.aac".to_owned(),
        "chunk_6_a.aac".to_owned(),
    ] {
        playlist.push_str(&format!("#EXTINF:3.000,\n{address}\n"));
    }
    let redirect = format!("http://127.0.0.1:{port}/secret");
    let router = Router::new()
        .route(
            "/space/dynamic_playlist.m3u8",
            get(async move || ([(header::CONTENT_TYPE, "application/x-mpegURL")], playlist)),
        )
        .route("/space/chunk_6_a.aac", get(async move || (StatusCode::FOUND, [(header::LOCATION, redirect)])));
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    let serving = tokio::spawn(async move { axum::serve(server, router).await });
    let url = format!("http://{address}/space/dynamic_playlist.m3u8?type=live");
    let stage = Stage::new(&format!("[[source]]\nkind = \"x-space\"\nurl = \"{url}\"\n\n"));
    let run = stage.run(&["--json"]);
    // All six in one gap, or in several.
    let status = stage
        .until("every segment is given up", 30, |status| {
            let missing: f64 = status.recording.gaps.iter().map(|gap| gap.end_seconds - gap.start_seconds).sum();
            missing > 17.0
        })
        .await;
    let said = run.interrupt().await;
    let causes: Vec<_> = status.recording.gaps.iter().map(|gap| gap.cause.as_str()).collect();
    let causes = causes.join("; ");
    for word in ["`file`", "private network", "169.254.169.254"] {
        assert!(causes.contains(word) || said.all().contains(word), "{word} is not told: {causes}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the stranger's service was asked");
    assert_eq!(status.recording.segments, 0);
    for name in ["run-1.out", "run-1.err", "state/shows/night/bridge.log"] {
        assert!(!fs::read_to_string(stage.path(name)).expect("text").contains("root:"), "{name} holds the file");
    }
    trapped.abort();
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_recording_folder_keeps_the_mirrors_up() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(30).await;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    fs::create_dir(stage.path("recordings")).expect("a folder");
    let mut run =
        stage.run_behind_mounts(&format!("mount -t tmpfs -o ro none '{}'", stage.path("recordings").display()));
    let status = stage
        .until("the trouble is told while the output is live", 40, |status| {
            status.recording.error.is_some() && status.outputs[0].state == OutputState::Live
        })
        .await;
    let error = status.recording.error.expect("an error");
    assert!(error.contains("make it writable"), "{error}");
    nginx.grows(1_500_000).await;
    let status = stage.status().await.expect("a status");
    assert_eq!(status.outputs[0].state, OutputState::Live);
    assert!(!status.program.holding, "the space is heard all the same");
    run.signal(Signal::INT);
    let said = run.ended(60).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_eq!(said.lines("notice").len(), 1, "the bridge lived through it: {}", said.all());
    let [file] = &nginx.recordings()[..] else { panic!("{:?}", nginx.recordings()) };
    Tracks::of(file).assert_continuous_from(0);
    assert_every_second(&ruler_of(file), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_space_that_never_starts_is_given_up_in_the_time_that_was_given() {
    let _turn = turn_to_hear().await;
    let space = Space::start(&SpaceArgs { not_started: true, ..SpaceArgs::default() }).await;
    let stage = Stage::new(&format!("give_up_after = \"3s\"\n\n{}", space.config()));
    let said = stage.run(&["--json"]).ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(said.all().contains("show.gave_up"), "{}", said.all());
    assert_eq!(stage.journal().last().expect("lines")["type"], "ended");
}
