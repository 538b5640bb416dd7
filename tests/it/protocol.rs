//! A bridge's protocol over its real socket.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like the tests they help")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use spacebridge::alert::Events;
use spacebridge::bridge::client::{BridgeClient, ClientError, EventStream};
use spacebridge::bridge::listen::Heard;
use spacebridge::bridge::protocol::live::{LiveAnswer, LiveOrder, NewOutput};
use spacebridge::bridge::protocol::{BridgeCommand, BridgeService, EventPlace, OutputAction, Update};
use spacebridge::bridge::socket;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::clock::Clock;
use spacebridge::encode::audio::AudioFeed;
use spacebridge::media::AudioFormat;
use spacebridge::secret::Secret;
use spacebridge::status::{ShowState, ShowStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn a_status(show: &str) -> ShowStatus {
    serde_json::from_value(json!({
        "protocol": 1, "show": show, "state": "live", "words": "Live", "slate": "Live",
        "bridge": {"pid": std::process::id(), "version": "0.1.0", "started_at": "2026-08-01T20:00:00Z", "resumes": 0},
        "session": null,
        "program": {"seconds": 1.0, "buffered_ms": 0, "holding": false, "peak_dbfs": -6.0, "rms_dbfs": -20.0,
            "short_term_lufs": -18.0, "late_ms": 0, "skipped_ms": 0},
        "outputs": [{"name": "youtube", "server": "rtmps://a.example/live2", "state": "live", "state_seconds": 5,
            "connections": 1, "failures": 0, "bytes_out": 100, "kbps": 3000, "dropped_frames": 0,
            "last_error": null, "retry_in_seconds": null}],
        "recording": {"folder": null, "seconds": 0.0, "bytes": 0, "segments": 0, "gaps": [], "error": null, "files": []},
        "events": []
    }))
    .expect("the status is the protocol's contract")
}

/// What a bridge gives to those who listen, with nobody who speaks.
pub(crate) fn unheard() -> Heard {
    let format = AudioFormat { config: bytes::Bytes::from_static(&[0x11, 0x90]), sample_rate: 48_000 };
    let audio = AudioFeed { frames: broadcast::channel(256).0, format, encoded: Arc::default() };
    Heard { levels: broadcast::channel(32).0, audio, slate: watch::channel(None).1 }
}

struct Bridge {
    folder: StateFolder,
    events: Events,
    status: watch::Sender<Arc<ShowStatus>>,
    commands: mpsc::Receiver<BridgeCommand>,
    token: CancellationToken,
    server: JoinHandle<()>,
}

impl Bridge {
    async fn start(root: &Path, show: &str) -> Self {
        let folder = StateFolder::open_in(root, show).unwrap();
        let events = Events::new(Clock::system());
        let (status, reader) = watch::channel(Arc::new(a_status(show)));
        let (sender, commands) = mpsc::channel(8);
        let token = CancellationToken::new();
        let service = BridgeService { status: reader, events: events.clone(), commands: sender, heard: unheard() };
        let (serving, ending) = (folder.clone(), token.clone());
        let server = tokio::spawn(async move { socket::serve(&serving, service, ending).await.unwrap() });
        let bridge = Self { folder, events, status, commands, token, server };
        tokio::time::timeout(PATIENCE, async {
            while bridge.client().hello().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the bridge serves");
        bridge
    }

    fn client(&self) -> BridgeClient {
        BridgeClient::new(self.folder.clone())
    }
}

async fn next_event_ids(stream: &mut EventStream, count: usize) -> Vec<u64> {
    let read = async {
        let mut ids = Vec::new();
        while ids.len() < count {
            if let Some(Update::Event(event)) = stream.next().await.unwrap() {
                ids.push(event.id);
            }
        }
        ids
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the events come")
}

#[tokio::test]
async fn socket_and_folder_are_closed_to_other_users() {
    let root = tempfile::tempdir().unwrap();
    let bridge = Bridge::start(root.path(), "night").await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(bridge.folder.path()), 0o700);
    assert_eq!(mode(&bridge.folder.socket().path()), 0o600);
}

#[tokio::test]
async fn another_user_is_refused_even_when_the_folder_was_opened_by_mistake() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become another user; the rule itself has a unit test.
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let bridge = Bridge::start(root.path(), "night").await;
    let socket = bridge.folder.socket().path();
    let shows = root.path().join("shows");
    for open in [root.path(), &shows, bridge.folder.path(), &socket] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let script = "my $s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s \"GET /v1/status HTTP/1.0\\r\\n\\r\\n\"; \
                  print <$s>";
    let answer_to = |uid: u32| {
        let socket = socket.clone();
        tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new("perl");
            command.args(["-MIO::Socket::UNIX", "-e", script]).arg(&socket).uid(uid).gid(uid);
            String::from_utf8(command.output().expect("perl-base is installed").stdout).unwrap()
        })
    };
    assert_eq!(answer_to(65_534).await.unwrap(), "");
    assert!(answer_to(0).await.unwrap().contains("\"show\":\"night\""));
}

#[tokio::test]
async fn a_reader_that_was_away_resumes_by_id_and_a_restarted_bridge_tells_all() {
    let root = tempfile::tempdir().unwrap();
    let bridge = Bridge::start(root.path(), "night").await;
    (1..=3).for_each(|index| bridge.events.info("test", "show", format!("Event {index}.")));
    let mut stream = bridge.client().events(None).await.unwrap();
    assert_eq!(next_event_ids(&mut stream, 2).await, [1, 2]);
    let place = stream.place();
    drop(stream);
    bridge.events.info("test", "show", "While away.");
    let mut resumed = bridge.client().events(place).await.unwrap();
    assert_eq!(next_event_ids(&mut resumed, 2).await, [3, 4]);
    let elsewhere = EventPlace { pid: Some(1), id: 4 };
    let mut restarted = bridge.client().events(Some(elsewhere)).await.unwrap();
    assert_eq!(next_event_ids(&mut restarted, 4).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_last_status_reaches_readers_before_the_stream_ends() {
    let root = tempfile::tempdir().unwrap();
    let bridge = Bridge::start(root.path(), "night").await;
    let mut stream = bridge.client().events(None).await.unwrap();
    stream.next().await.unwrap();
    bridge.status.send_modify(|status| Arc::make_mut(status).state = ShowState::Ended);
    bridge.token.cancel();
    let mut last = None;
    while let Some(Update::Status(status)) = stream.next().await.unwrap() {
        last = Some(status.state);
    }
    assert_eq!(last, Some(ShowState::Ended));
    drop(stream);
    tokio::time::timeout(PATIENCE, bridge.server).await.expect("the server ends").unwrap();
    assert!(!bridge.folder.socket().path().exists());
}

#[tokio::test]
async fn orders_reach_the_show_and_refusals_reach_the_operator() {
    let root = tempfile::tempdir().unwrap();
    let mut bridge = Bridge::start(root.path(), "night").await;
    let client = bridge.client();
    client.end().await.unwrap();
    assert!(matches!(bridge.commands.recv().await, Some(BridgeCommand::End)));

    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.output("youtube", OutputAction::Restart).await }
    });
    let Some(BridgeCommand::Output { name, action, reply }) = bridge.commands.recv().await else { panic!("an order") };
    assert_eq!((name.as_str(), action), ("youtube", OutputAction::Restart));
    reply.send(Err("It is stopped: start it.".into())).unwrap();
    let error = asking.await.unwrap().expect_err("refused");
    assert!(matches!(&error, ClientError::Refused(problem) if problem.status == 409));
    assert!(error.to_string().contains("It is stopped: start it."), "{error}");

    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.set_source("https://x.com/i/spaces/1DXxyRYNejbKM?a=\"b\"").await }
    });
    let Some(BridgeCommand::Source { url, reply }) = bridge.commands.recv().await else { panic!("an order") };
    assert_eq!(url, "https://x.com/i/spaces/1DXxyRYNejbKM?a=\"b\"");
    reply.send(Ok("Space 1DXxyRYNejbKM".into())).unwrap();
    assert_eq!(asking.await.unwrap().unwrap(), "Space 1DXxyRYNejbKM");
    let error = client.set_source(&"x".repeat(1 << 20)).await.expect_err("too long");
    assert!(matches!(&error, ClientError::Refused(_) | ClientError::Broken(_)), "{error}");

    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.mark("Climate \"and\" more").await }
    });
    let Some(BridgeCommand::Mark { title, reply }) = bridge.commands.recv().await else { panic!("an order") };
    assert_eq!(title, "Climate \"and\" more");
    reply.send(Err("Nothing of the space has been heard yet.".into())).unwrap();
    let error = asking.await.unwrap().expect_err("refused").to_string();
    assert!(error.contains("Nothing was marked.") && error.contains("heard yet"), "{error}");

    let error = client.output("you/tube?", OutputAction::Stop).await.expect_err("unknown").to_string();
    assert!(error.contains("youtube"), "names the outputs there are: {error}");
}

#[tokio::test]
async fn a_live_order_is_understood_whole_or_refused_and_no_refusal_quotes_a_key() {
    let root = tempfile::tempdir().unwrap();
    let mut bridge = Bridge::start(root.path(), "night").await;
    let client = bridge.client();
    let new = NewOutput {
        name: Some("church".into()),
        url: Some("rtmp://live.example.com/app".into()),
        key: Some(Secret::new("hush-hush")),
        ..NewOutput::default()
    };
    let asking = tokio::spawn(async move { client.add_output(&new).await });
    let Some(BridgeCommand::Live { order: LiveOrder::AddOutput(output), reply }) = bridge.commands.recv().await else {
        panic!("an order")
    };
    assert!(!format!("{output:?}").contains("hush"), "{output:?}");
    assert_eq!(output.key.as_ref().map(Secret::expose), Some("hush-hush"));
    reply.send(Ok(LiveAnswer { outputs: vec!["church".into()], ..LiveAnswer::default() })).unwrap();
    assert_eq!(asking.await.unwrap().unwrap().outputs, ["church"]);

    let client = bridge.client();
    for seconds in [-1.0, 60.1, f64::MAX] {
        assert!(matches!(client.delay(seconds).await, Err(ClientError::Refused(problem)) if problem.status == 400));
        assert!(matches!(client.cut(Some(seconds)).await, Err(ClientError::Refused(problem)) if problem.status == 400));
    }
    let long = "x".repeat(201);
    assert!(
        matches!(client.slate_text(Some(&long)).await, Err(ClientError::Refused(problem)) if problem.status == 400)
    );
    let error = client.slate_picture(vec![0; 11 << 20]).await.expect_err("too large");
    assert!(matches!(&error, ClientError::Refused(_) | ClientError::Broken(_)), "{error}");
    let error = client.remove_output("nowhere").await.expect_err("unknown").to_string();
    assert!(error.contains("youtube"), "names the outputs there are: {error}");
    assert!(bridge.commands.try_recv().is_err(), "none of it reaches the show");
}

#[tokio::test]
async fn a_bridge_of_another_time_is_told_from_a_broken_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open_in(root.path(), "night").unwrap();
    let listener = UnixListener::bind(folder.socket().path()).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let answer = "HTTP/1.1 200 OK\r\nspacebridge-protocol: 7\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let error = BridgeClient::new(folder).status().await.expect_err("too new");
    assert!(matches!(error, ClientError::Version { theirs: 7 }));
    assert!(error.to_string().contains("use the spacebridge that started the show"), "{error}");
}

#[tokio::test]
async fn a_wrong_show_name_is_answered_with_the_shows_there_are() {
    let root = tempfile::tempdir().unwrap();
    let _bridge = Bridge::start(root.path(), "night").await;
    let other = StateFolder::open_in(root.path(), "nigth").unwrap();
    let error = BridgeClient::new(other).status().await.expect_err("not on the air").to_string();
    assert_eq!(error, "no show named nigth is on the air; shows: night");
}

#[tokio::test]
async fn a_state_folder_too_deep_for_a_socket_address_works_all_the_same() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("d".repeat(60)).join("e".repeat(60));
    let bridge = Bridge::start(&deep, "night").await;
    assert_eq!(bridge.client().hello().await.unwrap().show, "night");
    assert!(bridge.folder.is_on_the_air());
}

#[tokio::test]
async fn the_verbs_of_the_command_line_are_clients_of_the_bridge() {
    let root = tempfile::tempdir().unwrap();
    let mut bridge = Bridge::start(root.path(), "night").await;
    let verb = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_spacebridge"));
        command.args(arguments).env("SPACEBRIDGE_STATE", root.path()).kill_on_drop(true).output()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let status = verb(&["status", "--json"]).await.unwrap();
    let status: ShowStatus = serde_json::from_slice(&status.stdout).expect("one JSON object");
    assert_eq!(status.show, "night");
    assert!(text(&verb(&["output", "list"]).await.unwrap().stdout).starts_with("youtube"));
    assert!(verb(&["end"]).await.unwrap().status.success());
    assert!(matches!(bridge.commands.recv().await, Some(BridgeCommand::End)));

    let wrong = verb(&["status", "nigth"]).await.unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("shows: night"), "{}", text(&wrong.stderr));
    assert_eq!(verb(&["run"]).await.unwrap().status.code(), Some(64));
}
