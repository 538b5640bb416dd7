//! The parts of a rehearsal on their own: does the simulated space run in real time, and does the stand-in ingest tell
//! a good stream from a bad one. The other side is always somebody else's program: curl-like HTTP, ffmpeg.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use spacebridge::clock::Clock;
use spacebridge::rehearsal::ingest::{ConnectionReport, IngestArgs, IngestReport, IngestServer};
use spacebridge::rehearsal::space::control::{SpaceReport, SpaceStarted};
use spacebridge::rehearsal::space::{SpaceArgs, SpaceServer};
use spacebridge::ruler;
use spacebridge::secret::Secret;
use tokio_util::sync::CancellationToken;

const KEY: &str = "rehearsal-key-4711";

async fn start_space(args: SpaceArgs) -> (SpaceStarted, tokio_util::sync::DropGuard) {
    let server = SpaceServer::bind(args, Clock::system()).await.expect("a space");
    let started = server.started();
    let token = CancellationToken::new();
    tokio::spawn(server.serve(token.clone().cancelled_owned()));
    (started, token.drop_guard())
}

/// Names in the live playlist and the number of the first one; none while there is no playlist.
async fn playlist(client: &reqwest::Client, url: &str) -> Option<(u64, Vec<String>)> {
    let answer = client.get(url).send().await.expect("an answer");
    let text = answer.error_for_status().ok()?.text().await.expect("a text");
    let sequence = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))?.parse().ok()?;
    Some((sequence, text.lines().filter(|line| line.starts_with("chunk_")).map(str::to_owned).collect()))
}

async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_space_moves_in_real_time() {
    let args = SpaceArgs { running_for_seconds: 18, first_sequence: 1704, ..SpaceArgs::default() };
    let (started, _guard) = start_space(args).await;
    let client = reqwest::Client::new();
    let (first, names) = playlist(&client, &started.playlist_url).await.expect("a running space has a playlist");
    assert_eq!((first, names.len()), (1706, 4), "18 s hold six chunks, of which four are listed");
    let began = Instant::now();
    let look =
        || async { playlist(&client, &started.playlist_url).await.filter(|(sequence, _)| *sequence >= first + 2) };
    eventually("two more chunks", Duration::from_secs(15), look).await;
    assert!(began.elapsed() > Duration::from_secs(2), "two chunks came within {:?}", began.elapsed());
    // The oldest has left the window and is still there.
    let folder = started.playlist_url.rsplit_once('/').expect("a folder").0;
    let chunk = client.get(format!("{folder}/{}", names[0])).send().await.expect("an answer");
    let bytes = chunk.error_for_status().expect("a chunk").bytes().await.expect("bytes");
    assert_eq!(&bytes[..4], b"ID3\x04");
    let base = &started.guest_base;
    let report: SpaceReport =
        client.get(format!("{base}/control/report")).send().await.expect("an answer").json().await.expect("a report");
    let story = report.chunks.iter().find(|chunk| chunk.sequence == first).expect("a story");
    assert!(story.announced && story.served == 1 && story.spoiled == 0, "{story:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_host_takes_the_playlist_but_not_the_state() {
    let (started, _guard) = start_space(SpaceArgs::default()).await;
    let client = reqwest::Client::new();
    order(&client, &started, r#"{"do":"host_drop"}"#).await;
    assert!(playlist(&client, &started.playlist_url).await.is_none());
    assert_eq!(metadata(&client, &started).await["state"], "Running");
    order(&client, &started, r#"{"do":"end","replay":true}"#).await;
    let metadata = metadata(&client, &started).await;
    assert_eq!(metadata["state"], "Ended");
    assert!(metadata["ended_at"].is_string(), "the platform writes this time as a string");
    let url =
        format!("{}/1.1/live_video_stream/status/{}", started.api_base, metadata["media_key"].as_str().expect("a key"));
    let status: serde_json::Value =
        sign_in(client.get(url)).send().await.expect("an answer").json().await.expect("json");
    let replay = status["source"]["noRedirectPlaybackUrl"].as_str().expect("a replay").to_owned();
    let text = client.get(replay).send().await.expect("an answer").text().await.expect("a text");
    assert!(text.matches("#EXTINF").count() >= 9 && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunk_faults_come_as_ordered_and_end() {
    let (started, _guard) = start_space(SpaceArgs::default()).await;
    let client = reqwest::Client::new();
    let (_, names) = playlist(&client, &started.playlist_url).await.expect("a playlist");
    let folder = started.playlist_url.rsplit_once('/').expect("a folder").0.to_owned();
    let fetch = |name: &str| client.get(format!("{folder}/{name}")).send();
    order(&client, &started, r#"{"do":"fail_chunks","fault":{"kind":"status","status":404},"times":1}"#).await;
    assert_eq!(fetch(&names[0]).await.expect("an answer").status(), 404);
    assert_eq!(fetch(&names[0]).await.expect("an answer").status(), 200);
    order(&client, &started, r#"{"do":"heal"}"#).await;
    order(&client, &started, r#"{"do":"fail_chunks","fault":{"kind":"truncated"}}"#).await;
    assert!(fetch(&names[1]).await.expect("headers").bytes().await.is_err(), "a truncated body is an error");
    order(&client, &started, r#"{"do":"heal"}"#).await;
    let junk = r#"{"do":"fail_chunks","fault":{"kind":"junk"}}"#;
    order(&client, &started, junk).await;
    let bytes = fetch(&names[1]).await.expect("an answer").bytes().await.expect("bytes");
    assert_eq!(bytes[0], 0x47);
}

async fn order(client: &reqwest::Client, started: &SpaceStarted, json: &'static str) {
    let request = client.post(format!("{}/control", started.guest_base)).header("content-type", "application/json");
    request.body(json).send().await.expect("an answer").error_for_status().expect("obeyed");
}

async fn metadata(client: &reqwest::Client, started: &SpaceStarted) -> serde_json::Value {
    let variables = serde_json::json!({"id": started.space_id}).to_string();
    let mut url = reqwest::Url::parse(&format!("{}/graphql/QueryId/AudioSpaceById", started.api_base)).expect("a url");
    url.query_pairs_mut().append_pair("variables", &variables).append_pair("features", "{}");
    let answer = sign_in(client.get(url)).send().await.expect("an answer").error_for_status().expect("200");
    let body: serde_json::Value = answer.json().await.expect("json");
    body["data"]["audioSpace"]["metadata"].clone()
}

fn sign_in(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let request = request.bearer_auth("AAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    request.header("cookie", "auth_token=a; ct0=b").header("x-csrf-token", "b")
}

/// Runs `ffmpeg` against a stand-in ingest and returns what the ingest says, when the connection is over.
async fn judge(args: IngestArgs, publish: impl FnOnce(String) -> Command + Send + 'static) -> IngestReport {
    let server = IngestServer::bind(args, Secret::new(KEY), Clock::system()).await.expect("an ingest");
    let url = server.started().expect("an address").server_url;
    let token = CancellationToken::new();
    let serving = tokio::spawn(server.serve(token.clone().cancelled_owned()));
    let child = tokio::task::spawn_blocking(move || {
        publish(url)
            .stdin(Stdio::null())
            .status()
            .expect("ffmpeg and gst-launch-1.0 are in the Debian packages ffmpeg and gstreamer1.0-tools")
    });
    child.await.expect("ffmpeg ended");
    token.cancel();
    serving.await.expect("no panic").expect("a report")
}

fn ruler_file(seconds: u32) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    for second in 100..100 + seconds {
        let bytes: Vec<u8> = ruler::second(second).iter().flat_map(|value| value.to_le_bytes()).collect();
        file.write_all(&bytes).expect("written");
    }
    file
}

/// A picture that flashes every 60 frames and the ruler, in real time.
fn ffmpeg(ruler: &Path, seconds: u32, gop: u32, url: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    let picture = "color=black:s=320x180:r=30,geq=lum='if(eq(mod(N,60),0),235,30)':cb=128:cr=128";
    command.args(["-v", "warning", "-re", "-f", "f32le", "-ar", "48000", "-ac", "1", "-i"]).arg(ruler);
    command.args(["-re", "-f", "lavfi", "-i", picture, "-t", &seconds.to_string()]);
    command.args(["-map", "1:v", "-map", "0:a", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]);
    command.args(["-g", &gop.to_string(), "-sc_threshold", "0", "-pix_fmt", "yuv420p"]);
    command.args(["-c:a", "aac", "-b:a", "96k", "-ac", "2", "-f", "flv", url]);
    command
}

fn only(report: &IngestReport) -> &ConnectionReport {
    assert_eq!(report.connections.len(), 1, "{report:?}");
    &report.connections[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_stream_passes_at_the_ingest() {
    let ruler = ruler_file(9);
    let path = ruler.path().to_owned();
    let publish = move |url: String| ffmpeg(&path, 9, 60, &format!("{url}/{KEY}"));
    let report = judge(IngestArgs::default(), publish).await;
    let connection = only(&report);
    assert!(connection.faults.is_empty() && connection.warnings.is_empty(), "{connection:?}");
    assert!(connection.longest_gap_ms() <= 60, "{connection:?}");
    assert_eq!(
        connection.heard.seconds.iter().map(|second| second.index).collect::<Vec<_>>(),
        (100..109).collect::<Vec<_>>()
    );
    assert_eq!(connection.flashes_ms.len(), 5, "{:?}", connection.flashes_ms);
    assert!(connection.flashes_ms.iter().all(|at| at % 2000 < 40), "{:?}", connection.flashes_ms);
    // Second 100 and the first flash belong together in this file.
    let first = connection.heard.seconds[0].at_samples / 48.0;
    assert!(first.abs() < 40.0, "the ruler starts at {first} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_stream_fails_at_the_ingest() {
    let ruler = ruler_file(7);
    let path = ruler.path().to_owned();
    let publish = move |url: String| ffmpeg(&path, 7, 600, &format!("{url}/{KEY}"));
    let report = judge(IngestArgs::default(), publish).await;
    assert!(only(&report).faults.contains(&"more than 4000 ms without a key frame".to_owned()), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_sound_fails_at_the_ingest() {
    let publish = move |url: String| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "warning", "-re", "-f", "lavfi", "-i", "testsrc=s=320x180:r=30", "-t", "3", "-g", "60"]);
        command.args(["-c:v", "libx264", "-preset", "ultrafast", "-f", "flv"]).arg(format!("{url}/{KEY}"));
        command
    };
    let report = judge(IngestArgs::default(), publish).await;
    assert!(only(&report).faults.contains(&"no audio within the first second".to_owned()), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_by_the_ingest() {
    let ruler = ruler_file(3);
    let path = ruler.path().to_owned();
    let report = judge(IngestArgs::default(), move |url| ffmpeg(&path, 3, 60, &format!("{url}/another-key"))).await;
    assert_eq!((report.connections.len(), report.refused), (0, 1), "{report:?}");
}

/// Our outputs speak through this element, so a stand-in that only ffmpeg understands would be none.
#[tokio::test(flavor = "multi_thread")]
async fn rtmp2sink_publishes_at_the_ingest() {
    let publish = move |url: String| {
        let mut command = Command::new("gst-launch-1.0");
        let text = "videotestsrc is-live=true num-buffers=120 ! video/x-raw,width=320,height=180,framerate=30/1 \
            ! x264enc key-int-max=60 bframes=0 speed-preset=ultrafast tune=zerolatency ! h264parse config-interval=0 \
            ! flvmux name=m streamable=true ! rtmp2sink name=out \
            audiotestsrc is-live=true num-buffers=187 ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! m.";
        let text = text.replace("name=out", &format!("location={url}/{KEY}"));
        command.arg("-q").args(text.split_whitespace());
        command
    };
    let report = judge(IngestArgs::default(), publish).await;
    let connection = only(&report);
    // On a busy machine the live test sources are late, and flvmux then repeats a timestamp; the rest must be right.
    assert!(connection.faults.iter().all(|fault| fault.contains("did not grow")), "{connection:?}");
    assert!(connection.video.frames >= 115 && connection.audio.frames >= 180, "{connection:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ordered_faults_of_the_ingest_happen() {
    let ruler = ruler_file(5);
    let push = || {
        let path = ruler.path().to_owned();
        move |url: String| ffmpeg(&path, 5, 60, &format!("{url}/{KEY}"))
    };
    let args = |refuse, close_after, stall_after| IngestArgs { refuse, close_after, stall_after, ..Default::default() };
    let (refused, closed, stalled) = tokio::join!(
        judge(args(1, None, None), push()),
        judge(args(0, Some(2), None), push()),
        judge(args(0, None, Some(2)), push()),
    );
    assert_eq!((refused.connections.len(), refused.refused), (0, 1), "{refused:?}");
    for report in [closed, stalled] {
        let last = only(&report).video.last_ms.expect("some pictures");
        assert!((1000..3500).contains(&last), "{report:?}");
    }
}
