//! Live audio at addresses: real servers and files, heard second by second.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use futures_util::future::join_all;
use spacebridge::clock::Clock;
use spacebridge::gst;
use spacebridge::media::StereoSample;
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::ruler;
use spacebridge::source::uri::UriSource;
use spacebridge::source::{Source, SourceContext, SourceEnd, SourceError, SourceEvent, SourceFault};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::support::measure::{assert_every_second, ruler_of};
use super::support::nginx::Nginx;
use super::support::process::{self, Process};
use super::support::{free_port, turn, turn_to_hear};

const PATIENCE: Duration = Duration::from_secs(40);

/// What an attempt told.
struct Heard {
    /// Every event but the audio.
    session: Option<String>,
    capture: Vec<u8>,
    samples: Vec<StereoSample>,
    /// Samples at another place than right behind those before.
    jumps: Vec<i64>,
    /// When the first and the last audio came.
    times: Option<(Instant, Instant)>,
    result: Result<SourceEnd, SourceError>,
}

impl Heard {
    fn seconds(&self) -> Vec<u32> {
        ruler::decode(&ruler::mono(&self.samples)).iter().map(|mark| mark.index).collect()
    }

    fn error(self) -> SourceError {
        self.result.expect_err("an error")
    }

    /// Fails unless these seconds follow each other in what was heard and in what was recorded.
    fn assert_whole(&self, count: usize) {
        let seconds = self.seconds();
        assert!(seconds.len() >= count, "{seconds:?} of {} samples", self.samples.len());
        assert!(seconds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seconds:?}");
        assert_eq!(self.jumps, Vec::<i64>::new());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("capture.mka");
        std::fs::write(&file, &self.capture).expect("a file");
        assert_every_second(&ruler_of(&file), count);
    }
}

/// Listens until `enough` seconds were heard, or the attempt is over.
async fn listen(uri: &str, enough: f64) -> Heard {
    gst::init().expect("GStreamer");
    let uri = Url::parse(uri).expect("an address");
    let settings = HttpSettings { operator_urls: vec![uri.clone()], ..HttpSettings::default() };
    let mut source = UriSource::new(uri, HttpClient::new(settings).expect("a client"));
    let (events, mut receiver) = mpsc::channel(64);
    let token = CancellationToken::new();
    let context = SourceContext::new(events, token.clone(), Clock::system());
    let attempt = tokio::spawn(async move { source.run(context).await });
    let mut heard = Heard {
        session: None,
        capture: Vec::new(),
        samples: Vec::new(),
        jumps: Vec::new(),
        times: None,
        result: Ok(SourceEnd::Cancelled),
    };
    while let Some(event) = tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("events go on") {
        match event {
            SourceEvent::Session(info) => heard.session = info.title,
            SourceEvent::Capture(bytes) => heard.capture.extend_from_slice(&bytes),
            SourceEvent::Audio(block) => {
                let now = Instant::now();
                heard.times = Some((heard.times.map_or(now, |(first, _)| first), now));
                if block.media_time != heard.samples.len() as i64 {
                    heard.jumps.push(block.media_time);
                }
                heard.samples.extend(block.samples);
                if heard.samples.len() as f64 > enough * 48_000.0 {
                    token.cancel();
                }
            }
            other => panic!("{other:?}"),
        }
    }
    heard.result = attempt.await.expect("no panic");
    heard
}

/// The ruler in a file of ffmpeg's making.
pub(crate) fn ruler_file(folder: &Path, name: &str, seconds: u32, arguments: &[&str]) -> PathBuf {
    let raw = folder.join("ruler.f32");
    let samples: Vec<u8> = (0..seconds).flat_map(ruler::second).flat_map(f32::to_le_bytes).collect();
    std::fs::write(&raw, samples).expect("a file");
    let path = folder.join(name);
    let input = ["-v", "error", "-y", "-f", "f32le", "-ar", "48000", "-ac", "1", "-i", raw.to_str().expect("a path")];
    let all: Vec<&str> = input.iter().chain(arguments).copied().chain([path.to_str().expect("a path")]).collect();
    process::run("ffmpeg", &all);
    path
}

pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A server that greets with `burst` bytes and goes on at `rate` bytes per second, without a length.
pub(crate) fn radio(file: &Path, content_type: &'static str, burst: usize, rate: usize) -> Router {
    let bytes = Bytes::from(std::fs::read(file).expect("a file"));
    let handler = move || async move {
        let pieces = futures_util::stream::unfold(0_usize, move |at| {
            let bytes = bytes.clone();
            async move {
                let size = if at == 0 { burst } else { rate / 10 };
                if at >= bytes.len() {
                    return None;
                }
                if at > 0 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                let end = (at + size).min(bytes.len());
                Some((Ok::<_, std::io::Error>(bytes.slice(at..end)), end))
            }
        });
        (
            [(header::CONTENT_TYPE, content_type), (header::HeaderName::from_static("icy-name"), "Radio Ruler")],
            Body::from_stream(pieces),
        )
    };
    Router::new().route("/live", get(handler))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_radio_is_heard_and_recorded_without_a_hole_though_it_greets_with_a_burst() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut radios = Vec::new();
    for (name, kind, arguments) in [
        ("live.mp3", "audio/mpeg", &["-c:a", "libmp3lame", "-b:a", "128k"][..]),
        ("live.aac", "audio/aac", &["-c:a", "aac", "-b:a", "128k", "-f", "adts"]),
        ("live.ogg", "application/ogg", &["-c:a", "libopus", "-b:a", "128k"]),
    ] {
        radios.push((name, ruler_file(folder.path(), name, 8, arguments), kind));
    }
    // All at the same time: each takes as long as it plays.
    let hear = |(name, file, kind): (&'static str, PathBuf, &'static str)| async move {
        let base = serve(radio(&file, kind, 48_000, 16_000)).await;
        (name, listen(&format!("{base}/live"), 7.5).await)
    };
    for (name, heard) in join_all(radios.into_iter().map(hear)).await {
        assert_eq!(heard.session.as_deref(), Some("Radio Ruler"), "{name}: {:?}", heard.result);
        heard.assert_whole(6);
        let (first, last) = heard.times.expect("audio");
        assert!(last - first > Duration::from_secs(6), "{name}: the burst was not paced: {:?}", last - first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_any_known_kind_is_played_in_real_time_to_its_end() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (name, arguments) in [
        ("a b.mp3", &["-c:a", "libmp3lame"][..]),
        ("a.flac", &["-c:a", "flac"]),
        ("a.wav", &["-c:a", "pcm_s24le"]),
        ("a.m4a", &["-c:a", "aac", "-b:a", "128k"]),
        ("a.ogg", &["-c:a", "libvorbis", "-ac", "2"]),
        ("a.mka", &["-c:a", "libopus"]),
        ("a.ts", &["-c:a", "aac", "-b:a", "128k"]),
    ] {
        files.push((name, ruler_file(folder.path(), name, 4, arguments)));
    }
    let hear = |(name, file): (&'static str, PathBuf)| async move {
        let start = Instant::now();
        let heard = listen(Url::from_file_path(&file).expect("a path").as_str(), 60.0).await;
        (name, heard, start.elapsed())
    };
    for (name, heard, took) in join_all(files.into_iter().map(hear)).await {
        assert!(matches!(heard.result, Ok(SourceEnd::SessionEnded)), "{name}: {:?}", heard.result);
        heard.assert_whole(4);
        assert!(took > Duration::from_millis(3500), "{name}: played in {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_of_another_platform_is_heard_from_its_first_segment_to_its_end() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sound = ["-c:a", "aac", "-b:a", "128k", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0"];
    ruler_file(folder.path(), "live.m3u8", 7, &sound);
    let path = folder.path().to_owned();
    let file = move |axum::extract::Path(name): axum::extract::Path<String>| async move {
        let kind = if name.ends_with("m3u8") { "application/vnd.apple.mpegurl" } else { "video/mp2t" };
        std::fs::read(path.join(name))
            .map(|bytes| ([(header::CONTENT_TYPE, kind)], bytes))
            .map_err(|_| StatusCode::NOT_FOUND)
    };
    let base = serve(Router::new().route("/{name}", get(file))).await;
    let heard = listen(&format!("{base}/live.m3u8"), 60.0).await;
    assert!(matches!(heard.result, Ok(SourceEnd::SessionEnded)), "{:?}", heard.result);
    heard.assert_whole(7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_http_ends_and_a_radio_that_ends_is_tried_again() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = ruler_file(folder.path(), "a.mp3", 3, &["-c:a", "libmp3lame"]);
    let bytes = std::fs::read(&file).expect("a file");
    let base =
        serve(Router::new().route("/a.mp3", get(|| async { bytes })).merge(radio(&file, "audio/mpeg", 48_000, 16_000)))
            .await;
    let whole = listen(&format!("{base}/a.mp3"), 60.0).await;
    assert!(matches!(whole.result, Ok(SourceEnd::SessionEnded)), "{:?}", whole.result);
    whole.assert_whole(3);
    let radio = listen(&format!("{base}/live"), 60.0).await;
    assert_eq!(radio.seconds(), [0, 1, 2]);
    let error = radio.error();
    assert_eq!(error.class, SourceFault::Transient);
    assert!(error.message.ends_with("ended its stream"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rtmp_stream_with_a_picture_gives_its_sound() {
    let _turn = turn().await;
    let folder = tempfile::tempdir().expect("a folder");
    let nginx = Nginx::start("live").await;
    let file = ruler_file(folder.path(), "a.m4a", 20, &["-c:a", "aac", "-b:a", "128k"]);
    let uri = format!("rtmp://127.0.0.1:{}/live/show", nginx.port);
    let arguments = [
        "-v",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25",
        "-re",
        "-i",
        file.to_str().expect("a path"),
        "-shortest",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "50",
        "-c:a",
        "copy",
        "-f",
        "flv",
        &uri,
    ];
    let _publisher = Process::start("ffmpeg", &arguments, folder.path());
    nginx.grows(30_000).await;
    let heard = listen(&uri, 6.0).await;
    assert!(heard.result.is_ok(), "{:?}", heard.result);
    heard.assert_whole(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_srt_stream_is_heard_and_its_end_is_no_end_of_the_session() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = ruler_file(folder.path(), "a.m4a", 7, &["-c:a", "aac", "-b:a", "128k"]);
    let uri = format!("srt://127.0.0.1:{}", free_port());
    let listener = format!("{uri}?mode=listener");
    let arguments =
        ["-v", "error", "-re", "-i", file.to_str().expect("a path"), "-c", "copy", "-f", "mpegts", &listener];
    let mut server = Process::start("ffmpeg", &arguments, folder.path());
    let heard = loop {
        // The listener is not there at once: what cannot be reached is tried again, as a session does.
        let heard = listen(&uri, 60.0).await;
        if heard.times.is_some() || !server.is_running() {
            break heard;
        }
    };
    heard.assert_whole(5);
    assert_eq!(heard.error().class, SourceFault::Transient);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_audio_is_refused_with_what_to_do() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "This is no audio, only a text.\n".repeat(500)).expect("a file");
    let page = "<html><body>not a radio</body></html>\n".repeat(200);
    let router = Router::new()
        .route("/page", get(|| async { ([(header::CONTENT_TYPE, "text/html")], page) }))
        .route("/text", get(|| async { "no audio, only a text\n".repeat(500) }))
        .route("/closed", get(|| async { StatusCode::FORBIDDEN }))
        .route("/away", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/secret")]) }));
    let base = serve(router).await;
    let file = |path: &Path| Url::from_file_path(path).expect("a path").to_string();
    let gone = free_port();
    for (uri, class, words) in [
        (file(&text), SourceFault::Operator, "holds no audio that can be played; use MP3"),
        (file(&folder.path().join("none.mp3")), SourceFault::Operator, "check the path"),
        (file(folder.path()), SourceFault::Operator, "name a file of audio"),
        (format!("{base}/page"), SourceFault::Operator, "answers with a web page"),
        (format!("{base}/text"), SourceFault::Operator, "holds no audio that can be played; use MP3"),
        (format!("{base}/none?token=canary"), SourceFault::Transient, "404: nothing is on the air"),
        (format!("{base}/closed?token=canary"), SourceFault::Operator, "without a login"),
        (format!("{base}/away"), SourceFault::Operator, "only an address in your own configuration"),
        (format!("http://127.0.0.1:{gone}/canary"), SourceFault::Transient, "refused"),
        (format!("rtmp://127.0.0.1:{gone}/live/canary"), SourceFault::Transient, "cannot be reached"),
        (format!("rtsp://127.0.0.1:{gone}/canary"), SourceFault::Transient, "cannot be reached"),
    ] {
        let heard = listen(&uri, 1.0).await;
        assert!(heard.session.is_none(), "{uri} was taken for a session");
        let error = heard.error();
        assert_eq!(error.class, class, "{uri}: {error}");
        assert!(error.message.contains(words) && !error.message.contains("canary"), "{uri}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_is_told_and_tried_again() {
    let _turn = turn_to_hear().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = ruler_file(folder.path(), "a.mp3", 2, &["-c:a", "libmp3lame"]);
    let bytes = Bytes::from(std::fs::read(file).expect("a file"));
    let handler = move || async move {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
        Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()))
    };
    let base = serve(Router::new().route("/live", get(handler))).await;
    let heard = listen(&format!("{base}/live"), 60.0).await;
    let error = heard.error();
    assert_eq!(error.class, SourceFault::Transient);
    assert!(error.message.contains("sends nothing any more"), "{error}");
}
