//! Alerts and the incident file of a real show: what a command and a webhook are given, and what is left the morning
//! after.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use spacebridge::incident;
use spacebridge::status::{OutputState, ShowState};
use tokio::net::TcpListener;

use crate::support::show::{Stage, send};
use crate::support::{eventually, free_port, turn};

type Got = Arc<Mutex<Vec<Value>>>;

/// A server that takes every POST; its address and what it got.
async fn webhook() -> (String, Got) {
    let got = Got::default();
    let take = async |State(got): State<Got>, body: Bytes| {
        got.lock().expect("no panic").push(serde_json::from_slice(&body).expect("JSON"));
    };
    let router = Router::new().fallback(take).with_state(got.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook?token=abc", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    (url, got)
}

/// A show of a test sound with one output where nobody listens, and `alerts`.
fn show(alerts: &str) -> Stage {
    let port = free_port();
    Stage::new(&format!(
        "[[source]]\nkind = \"tone\"\n\n[[output]]\nname = \"dead\"\nurl = \"rtmp://127.0.0.1:{port}/live\"\n\
         key_file = \"dead.key\"\n\n{alerts}\n"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trouble_reaches_the_command_and_the_webhook_and_the_morning_after() {
    let _turn = turn().await;
    let (url, got) = webhook().await;
    let stage = show(
        "[[alert]]\nlevel = \"info\"\ncommand = [\"./tell\"]\n\n[[alert]]\ncodes = [\"output.*\"]\nwebhook_file = \
         \"hook.url\"\n\n[[alert]]\nlevel = \"info\"\ncommand = [\"/bin/false\"]\n",
    );
    stage.secret("hook.url", &url);
    let told = stage.path("told");
    fs::write(stage.path("tell"), format!("#!/bin/sh\ncat >> {0}; echo >> {0}\n", told.display())).expect("a script");
    fs::set_permissions(stage.path("tell"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut run = stage.run(&["--json"]);
    stage
        .until("the show is live and its output waits", 30, |status| {
            status.state == ShowState::Live && status.outputs[0].state == OutputState::Backoff
        })
        .await;
    let posted = eventually("the webhook was called", Duration::from_secs(20), || {
        got.lock().expect("no panic").first().cloned()
    })
    .await;
    assert_eq!(
        (&posted["show"], &posted["v"], &posted["subject"]),
        (&"night".into(), &1.into(), &"output dead".into())
    );
    assert!(posted["code"].as_str().is_some_and(|code| code.starts_with("output.")), "{posted}");
    eventually("the command was run", Duration::from_secs(20), || {
        let text = fs::read_to_string(&told).unwrap_or_default();
        text.contains("output dead").then_some(())
    })
    .await;
    // A report can be drawn while the show runs.
    let report = stage.verb(&["show", "report", "--json"]).await;
    let story: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!(story["is_over"], false, "{story}");
    run.signal(rustix::process::Signal::INT);
    let said = run.ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let failed: Vec<Value> = said.lines("event").into_iter().filter(|event| event["code"] == "alert.failed").collect();
    assert_eq!(failed.len(), 1, "a failing alert is told once: {failed:?}");
    assert_eq!(failed[0]["subject"], "alert 3");
    let command: Vec<Value> = fs::read_to_string(&told)
        .expect("what was told")
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(command.iter().all(|event| event["code"] != "alert.failed"), "an alert is told of no alert");
    assert!(got.lock().expect("no panic").iter().all(|event| event["subject"] == "output dead"));
    the_morning_after(&stage).await;
}

/// The incident file beside the recording, and the report in its three forms.
async fn the_morning_after(stage: &Stage) {
    let file = stage.archive().join(incident::NAME);
    let read = incident::read(&file).expect("an incident file");
    assert_eq!((read.damaged, read.newer), (0, 0));
    let kinds: Vec<String> = fs::read_to_string(&file)
        .expect("lines")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!((kinds.first().map(String::as_str), kinds.last().map(String::as_str)), (Some("begin"), Some("end")));
    for kind in ["state", "output", "session", "slate", "figures", "event"] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} in {kinds:?}");
    }
    let page = stage.path("report.html");
    for name in [None, Some("night".to_owned()), Some(stage.archive().display().to_string())] {
        let mut arguments = vec!["show", "report", "--html", page.to_str().expect("a path")];
        arguments.extend(name.as_deref());
        let report = stage.verb(&arguments).await;
        let text = String::from_utf8_lossy(&report.stdout).into_owned();
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
        for expected in ["Ended in order.", "show live for", "output dead backoff for", "recording: 0:"] {
            assert!(text.contains(expected), "{expected:?} is not in {text}");
        }
    }
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("<h1>night</h1>") && page.contains("Everything that was told"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill9_the_incident_file_goes_on_and_shows_the_break() {
    let _turn = turn().await;
    let stage = show("");
    let run = stage.run(&["--json"]);
    let status = stage.until("the show is live", 30, |status| status.state == ShowState::Live).await;
    let first = status.bridge.pid;
    send(first, rustix::process::Signal::KILL);
    stage
        .until("the show is live again", 30, |status| {
            status.bridge.pid != first && status.state == ShowState::Live && status.bridge.resumes == 1
        })
        .await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let read = incident::read(&stage.archive().join(incident::NAME)).expect("one file for both processes");
    let story = incident::Story::of(read, None);
    assert_eq!((story.resumed.len(), story.is_over), (1, true));
    let states: Vec<&str> = story.lanes[0].spans.iter().map(|span| span.state.as_str()).collect();
    assert!(states.contains(&"down") && states.last() == Some(&"ended"), "{states:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_without_a_recording_leaves_its_incident_file_in_its_state() {
    let _turn = turn().await;
    let stage = Stage::new("[[source]]\nkind = \"tone\"\nduration = \"2s\"\n\n");
    let config = fs::read_to_string(stage.path("show.toml")).expect("a configuration");
    let port = free_port();
    let output = format!(
        "[[output]]\nname = \"dead\"\nurl = \"rtmp://127.0.0.1:{port}/live\"\nkey_file = \"dead.key\"\n\n[recording]\nenabled \
         = false"
    );
    fs::write(stage.path("show.toml"), config.replace("[recording]", &output)).expect("a configuration");
    stage.secret("dead.key", "abcdefgh");
    let said = stage.run(&["--json"]).ended(40).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let file = stage.path("state/shows/night").join(incident::NAME);
    assert!(file.exists());
    let report = stage.verb(&["show", "report"]).await;
    assert!(String::from_utf8_lossy(&report.stdout).contains("Ended in order."), "{report:?}");
}
