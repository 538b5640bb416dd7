//! The source `whep`: its dialogue with an endpoint that is scripted, and, as a drill, the sound of a real one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rustix::process::Signal;
use spacebridge::clock::Clock;
use spacebridge::media::{SAMPLE_RATE, StereoSample};
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::secret::Secret;
use spacebridge::source::whep::WhepSource;
use spacebridge::source::{Source as _, SourceContext, SourceEnd, SourceError, SourceEvent, SourceFault};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::namespace::Namespace;
use crate::support::{process, turn};

const TOKEN: &str = "canary-of-the-endpoint";

/// One request, as an endpoint got it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    what: String,
    token: Option<String>,
    body: String,
}

/// An endpoint that answers by the path it is asked for, and sends no media.
struct Endpoint {
    url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(answer).with_state((port, asked.clone()));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let url = format!("http://127.0.0.1:{port}/").parse().expect("an address");
        Self { url, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    fn source(&self, path: &str, token: Option<&str>) -> WhepSource {
        let settings = HttpSettings { allow_private_addresses: true, ..HttpSettings::default() };
        let client = HttpClient::new(settings).expect("a client");
        WhepSource::new(self.url.join(path).expect("an address"), token.map(Secret::new), client)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

type Book = (u16, Arc<Mutex<Vec<Asked>>>);

async fn answer(State((port, asked)): State<Book>, headers: HeaderMap, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let what = format!("{} {path}", request.method());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
    let body = String::from_utf8(body.to_vec()).expect("text");
    let token = headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
    asked.lock().expect("no panic").push(Asked { what: what.clone(), token, body: body.clone() });
    let moved = |to: String| (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response();
    match &what[..] {
        "POST /moved" => moved("/whep".into()),
        "POST /away" => moved(format!("http://localhost:{port}/whep")),
        "POST /round" => moved("/round".into()),
        "POST /busy" => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")]).into_response(),
        "POST /closed" => StatusCode::UNAUTHORIZED.into_response(),
        "POST /page" => (StatusCode::CREATED, [("content-type", "text/html")], "<p>Hello").into_response(),
        "POST /empty" => (StatusCode::CREATED, [("content-type", "application/sdp")], "").into_response(),
        "POST /whep" => {
            let headers = [("content-type", "application/sdp"), ("location", "/session/1"), ("etag", "\"1\"")];
            (StatusCode::CREATED, headers, taken(&body)).into_response()
        }
        "DELETE /session/1" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The answer of somebody who takes everything of an offer, and has no address.
fn taken(offer: &str) -> String {
    let lines = offer.lines().filter(|line| !line.starts_with("a=candidate"));
    let lines = lines.map(|line| match line.trim_end() {
        "a=recvonly" => "a=sendonly",
        "a=setup:actpass" => "a=setup:passive",
        line => line,
    });
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// A visit to an endpoint, as a session makes it.
struct Visit {
    events: mpsc::Receiver<SourceEvent>,
    token: CancellationToken,
    work: tokio::task::JoinHandle<Result<SourceEnd, SourceError>>,
    samples: Vec<StereoSample>,
    holes: usize,
}

impl Visit {
    fn start(mut source: WhepSource) -> Self {
        let (sender, events) = mpsc::channel(64);
        let token = CancellationToken::new();
        let context = SourceContext::new(sender, token.clone(), Clock::system());
        let work = tokio::spawn(async move { source.run(context).await });
        Self { events, token, work, samples: Vec::new(), holes: 0 }
    }

    /// Hears until so much was heard since it was called; false where the source ended before.
    async fn hear(&mut self, seconds: usize) -> bool {
        let wanted = self.samples.len() + seconds * SAMPLE_RATE as usize;
        let (mut next, mut first) = (None, true);
        while self.samples.len() < wanted {
            let Some(event) = self.events.recv().await else { return false };
            let SourceEvent::Audio(block) = event else { continue };
            self.holes += usize::from(!first && next != Some(block.media_time));
            first = false;
            next = Some(block.media_time + block.samples.len() as i64);
            self.samples.extend(block.samples);
        }
        true
    }

    async fn ended(mut self) -> Result<SourceEnd, SourceError> {
        while self.events.recv().await.is_some() {}
        self.work.await.expect("no panic")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_asked_for_with_the_token_and_left_with_it() {
    spacebridge::gst::init().expect("GStreamer");
    let endpoint = Endpoint::start().await;
    let mut visit = Visit::start(endpoint.source("moved", Some(TOKEN)));
    let said = tokio::time::timeout(Duration::from_secs(15), visit.events.recv()).await.expect("in time");
    let Some(SourceEvent::Session(info)) = said else { panic!("no session: {said:?}") };
    assert!(info.id.starts_with("whep-"), "{info:?}");
    visit.token.cancel();
    assert!(matches!(visit.ended().await, Ok(SourceEnd::Cancelled)));
    let asked = endpoint.asked();
    let whats: Vec<&str> = asked.iter().map(|asked| &asked.what[..]).collect();
    assert_eq!(whats, ["POST /moved", "POST /whep", "DELETE /session/1"]);
    let bearer = Some(format!("Bearer {TOKEN}"));
    assert!(asked.iter().all(|asked| asked.token == bearer), "{asked:?}");
    let offer = &asked[1].body;
    for wanted in ["a=recvonly", "a=setup:actpass", "OPUS/48000/2"] {
        assert!(offer.contains(wanted), "{wanted} is not in {offer}");
    }
    assert!(!offer.contains("m=video") && !offer.contains("a=sendrecv"), "{offer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_refuses_is_told_with_a_remedy_and_its_token_goes_nowhere_else() {
    spacebridge::gst::init().expect("GStreamer");
    let endpoint = Endpoint::start().await;
    let wait = SourceFault::RateLimited(Duration::from_secs(7));
    for (path, class, word) in [
        ("closed", SourceFault::Operator, "check the token"),
        ("busy", wait, "busy"),
        ("page", SourceFault::Operator, "check url"),
        ("empty", SourceFault::Transient, "no description"),
        ("gone", SourceFault::Transient, "404"),
        ("round", SourceFault::Transient, "on and on"),
        ("away", SourceFault::Operator, "localhost"),
    ] {
        let visit = Visit::start(endpoint.source(path, Some(TOKEN)));
        let end = tokio::time::timeout(Duration::from_secs(15), visit.ended()).await.expect("in time");
        let error = end.expect_err(path);
        assert_eq!(error.class, class, "{path}: {error}");
        assert!(error.message.contains(word) && !error.message.contains(TOKEN), "{path}: {error}");
    }
    let asked = endpoint.asked();
    let count = |what: &str| asked.iter().filter(|asked| asked.what == what).count();
    assert_eq!((count("POST /away"), count("POST /whep"), count("POST /round")), (1, 0, 4), "{asked:?}");
}

/// `whepserversink` on the other end of a virtual cable.
struct Server {
    process: process::Process,
    url: Url,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts one that plays the ruler. The first call in a checkout compiles it: some minutes.
    async fn start(far: &Namespace) -> Self {
        let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/whep-server");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/whep-server/Cargo.toml");
        process::run("cargo", &["build", "--locked", "--manifest-path", manifest, "--target-dir", target]);
        let program = format!("{target}/debug/whep-server");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ruler.wav");
        std::fs::write(&file, wav(60)).expect("a file");
        let address = format!("{}:18090", far.there());
        let file = file.to_str().expect("a path");
        let arguments = ["netns", "exec", far.name(), &program, &address, file];
        let process = process::Process::start("ip", &arguments, folder.path());
        let answers = || async { tokio::net::TcpStream::connect(&address).await.ok() };
        crate::support::eventually_async("the server listens", Duration::from_secs(10), answers).await;
        let url = format!("http://{address}/whep/endpoint").parse().expect("an address");
        Self { process, url, _folder: folder }
    }

    fn visit(&self) -> Visit {
        let settings = HttpSettings { operator_urls: vec![self.url.clone()], ..HttpSettings::default() };
        Visit::start(WhepSource::new(self.url.clone(), None, HttpClient::new(settings).expect("a client")))
    }
}

/// The ruler as a file of sound.
fn wav(seconds: u32) -> Vec<u8> {
    let samples = (0..seconds).flat_map(spacebridge::ruler::second);
    let data: Vec<u8> = samples.flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect();
    let length = data.len() as u32;
    let mut file = Vec::new();
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(length + 36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    file.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend(data);
    file
}

/// Seconds of the ruler in what was heard; none may be missing between the first and the last.
fn whole_seconds(visit: &Visit) -> usize {
    let marks = spacebridge::ruler::decode(&spacebridge::ruler::mono(&visit.samples));
    assert!(marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
    marks.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill: compiles a server of its own"]
async fn a_real_server_is_heard_and_its_death_ends_the_attempt_and_not_the_source() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let far = Namespace::new();
    let server = Server::start(&far).await;
    let mut visit = server.visit();
    assert!(visit.hear(7).await, "{:?}", visit.ended().await);
    let seconds = whole_seconds(&visit);
    assert!(seconds >= 4 && visit.holes == 0, "{seconds} s, {} holes", visit.holes);
    server.process.signal(Signal::KILL);
    let end = tokio::time::timeout(Duration::from_secs(10), visit.ended()).await.expect("within 10 s");
    assert_eq!(end.expect_err("it is dead").class, SourceFault::Transient);
    drop(server);
    let server = Server::start(&far).await;
    let mut visit = server.visit();
    assert!(visit.hear(5).await, "{:?}", visit.ended().await);
    assert!(whole_seconds(&visit) >= 2);
    visit.token.cancel();
    assert!(matches!(visit.ended().await, Ok(SourceEnd::Cancelled)));
}
