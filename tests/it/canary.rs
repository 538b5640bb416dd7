//! Secrets never leave: stream keys and cookies are random words that are looked for wherever a person or a program
//! could come across them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use rustix::process::Signal;
use spacebridge::rehearsal::space::Order;
use spacebridge::rehearsal::space::control::ApiFault;
use spacebridge::status::OutputState;
use tokio::net::TcpListener;

use crate::support::nginx::Nginx;
use crate::support::show::{PROGRAM, SHOW, Space, Stage, send};
use crate::support::{eventually, free_port, turn};

/// A variable whose beginning a bridge gets: it must not get this one.
const KEY_VARIABLE: &str = "SPACEBRIDGE_TEST_KEY";

/// A random word of some length.
pub(crate) fn canary(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}

/// The secrets of a test by what they are.
pub(crate) struct Canaries(pub(crate) BTreeMap<&'static str, String>);

impl Canaries {
    pub(crate) fn get(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// Fails if any of them, or the greater part of one, is in `bytes`.
    pub(crate) fn assert_absent(&self, place: &str, bytes: &[u8]) {
        for (name, canary) in &self.0 {
            let part = &canary.as_bytes()[..16];
            let at = bytes.windows(part.len()).position(|window| window == part);
            assert!(at.is_none(), "{name} is in {place}, at byte {at:?}");
        }
    }

    /// Looks into every file below `folder`, and at every file's name.
    pub(crate) fn assert_absent_below(&self, folder: &Path, except: &[&str]) -> usize {
        let mut files = 0;
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            self.assert_absent("a file's name", name.as_bytes());
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                files += self.assert_absent_below(&path, except);
            } else if kind.is_file() && !except.contains(&name.as_str()) {
                self.assert_absent(&path.display().to_string(), &fs::read(&path).expect("a file"));
                files += 1;
            }
        }
        files
    }

    pub(crate) fn assert_absent_in_process(&self, what: &str, pid: u32, looks: &[&str]) {
        for look in looks {
            let bytes = fs::read(format!("/proc/{pid}/{look}")).expect("a running process");
            assert!(!bytes.is_empty(), "{what} has no {look}");
            self.assert_absent(&format!("{look} of {what}"), &bytes);
        }
    }
}

/// A platform that takes no key.
async fn refusing() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(any(async || StatusCode::FORBIDDEN));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    (url, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_never_leave() {
    let _turn = turn().await;
    let (url, refuses) = refusing().await;
    let (good, bad) = (Nginx::start("live").await, Nginx::start_asking("live", &url).await);
    let space = Space::running_for(30).await;
    let secrets =
        [("good key", 24), ("bad key", 24), ("auth_token", 40), ("ct0", 160), ("webhook", 40), ("written", 40)];
    let canaries = Canaries(secrets.into_iter().map(|(name, length)| (name, canary(length))).collect());
    let outputs = format!(
        "[[output]]\nname = \"good\"\nurl = \"rtmp://127.0.0.1:{}/live\"\nkey_env = \"{KEY_VARIABLE}\"\n\n\
         [[output]]\nname = \"bad\"\nurl = \"rtmp://127.0.0.1:{}/live\"\nkey_file = \"bad.key\"\n\n",
        good.port, bad.port
    );
    // One webhook that answers 403, one where nobody listens; the second is in the operator's own file.
    let alerts = format!(
        "[[alert]]\nlevel = \"info\"\nwebhook_file = \"hook.url\"\n\n[[alert]]\nlevel = \"info\"\nwebhook = \
         \"http://127.0.0.1:{}/{}\"\n\n",
        free_port(),
        canaries.get("written")
    );
    let stage = Stage::new(&format!("{}{outputs}{alerts}", space.config()));
    stage.secret("hook.url", &format!("{url}hook/{0}?token={0}", canaries.get("webhook")));
    for (file, secret) in [("bad.key", "bad key"), ("auth_token", "auth_token"), ("ct0", "ct0")] {
        stage.secret(file, canaries.get(secret));
    }
    // Everything that can be logged is.
    let loud = |mut command: std::process::Command| {
        command.env(KEY_VARIABLE, canaries.get("good key")).env("RUST_LOG", "trace");
        command
    };
    let run = stage.run_with(&["--json", "-vv"], loud);
    let status = stage
        .until("one output is live and the other refused", 40, |status| {
            let [good, bad] = &status.outputs[..] else { return false };
            good.state == OutputState::Live && bad.failures > 0 && status.recording.segments > 4
        })
        .await;
    assert!(status.outputs[1].last_error.as_ref().is_some_and(|error| error.contains("key")), "{status:?}");
    look_at_the_running_show(&stage, run.pid(), status.bridge.pid, &canaries).await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    // The keys really were those: what the ingest got names its file.
    let recorded = good.recordings();
    assert!(recorded[0].to_string_lossy().contains(canaries.get("good key")), "{recorded:?}");
    space.order(Order::FailApi { fault: ApiFault::Status { status: 403 }, times: None }).await;
    let said = stage.run_with(&["-vv"], loud).ended(30).await;
    assert_eq!(said.code, Some(1), "{}", said.all());
    let log = fs::read_to_string(stage.path("state/shows/night/bridge.log")).expect("a log");
    assert!(log.contains("X answered."), "the log is not as loud as it can be: {log}");
    let failed = said_of_alerts(&log);
    assert!(failed >= 2, "both webhooks were called, and failed: {failed}");
    let own = ["bad.key", "auth_token", "ct0", "hook.url", "show.toml"];
    let files = canaries.assert_absent_below(&stage.path(""), &own);
    assert!(files >= 12, "only {files} files were looked at");
    refuses.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_pins_of_gateways_never_leave() {
    let _turn = turn().await;
    let names = ["endpoint token", "pin", "gateway token", "api secret"];
    let canaries = Canaries(names.into_iter().map(|name| (name, canary(32))).collect());
    // Nobody listens there: what is said of every attempt holds an address, and must hold nothing else.
    let gateway = format!("https://127.0.0.1:{}", free_port());
    let stage = Stage::new(&format!(
        "[[source]]\nkind = \"whep\"\nurl = \"{gateway}/whep\"\ntoken_env = \"{KEY_VARIABLE}\"\n\n[[source]]\nkind = \
         \"janus\"\nurl = \"{gateway}/janus\"\nroom = \"1234\"\npin_file = \"pin\"\ntoken_file = \"token\"\n\
         api_secret_file = \"secret\"\nstandby = \"warm\"\n\n"
    ));
    for (file, secret) in [("pin", "pin"), ("token", "gateway token"), ("secret", "api secret")] {
        stage.secret(file, canaries.get(secret));
    }
    let loud = |mut command: std::process::Command| {
        command.env(KEY_VARIABLE, canaries.get("endpoint token")).env("RUST_LOG", "trace");
        command
    };
    let run = stage.run_with(&["--json", "-vv"], loud);
    let told = |status: &spacebridge::status::ShowStatus| {
        status.events.iter().any(|event| event.code.starts_with("source.") && event.message.contains("endpoint"))
    };
    let status = stage.until("an attempt failed", 30, told).await;
    look_at_the_running_show(&stage, run.pid(), status.bridge.pid, &canaries).await;
    let said = run.interrupt().await;
    canaries.assert_absent("what the program says", said.all().as_bytes());
    let own = ["pin", "token", "secret", "auth_token", "ct0", "show.toml"];
    let files = canaries.assert_absent_below(&stage.path(""), &own);
    assert!(files >= 4, "only {files} files were looked at");
}

/// How often a log tells of an alert that failed.
fn said_of_alerts(log: &str) -> usize {
    log.lines().filter(|line| line.contains("Event.") && line.contains("alert.failed")).count()
}

/// Processes, protocol, verbs and the bundle of a show that is on the air.
async fn look_at_the_running_show(stage: &Stage, parent: u32, bridge: u32, canaries: &Canaries) {
    canaries.assert_absent_in_process("the bridge", bridge, &["cmdline", "environ"]);
    canaries.assert_absent_in_process("the parent", parent, &["cmdline"]);
    let config = stage.path("show.toml");
    let (config, bundle) = (config.to_str().expect("a path"), stage.path("bundle.txt"));
    let save = bundle.to_str().expect("a path");
    for verb in [
        &["status"][..],
        &["status", "--json"],
        &["output", "list", "--json"],
        &["check", config],
        &["show", "report"],
        &["show", "report", "--json"],
        &["doctor", "--config", config, "--save", save],
    ] {
        let output = stage.verb(verb).await;
        assert!(!output.stdout.is_empty(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
        canaries.assert_absent(&format!("{verb:?}"), &[output.stdout, output.stderr].concat());
    }
    assert!(bundle.exists(), "doctor saved no bundle");
    let socket = stage.path("state").join("shows").join(SHOW).join("socket");
    for route in ["hello", "status", "outputs", "events"] {
        // The stream of events never ends: a second of it has all that is remembered.
        let mut asking = tokio::process::Command::new("curl");
        asking.args(["-s", "-m", "1", "-H", "spacebridge-protocol: 1", "--unix-socket"]).arg(&socket);
        let answer = asking.arg(format!("http://bridge/v1/{route}")).output().await.expect("curl is installed");
        assert!(!answer.stdout.is_empty(), "{route} answers nothing");
        canaries.assert_absent(route, &answer.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_of_a_rehearsal_do_not_get_the_operators_environment() {
    let _turn = turn().await;
    let folder = tempfile::tempdir().expect("a folder");
    let canaries = Canaries([("YT_KEY", canary(24)), ("AWS_SECRET_ACCESS_KEY", canary(40))].into());
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(["rehearse", "--json", "--folder"]).arg(folder.path()).envs(&canaries.0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut rehearsal = command.spawn().expect("the program starts");
    let parent = rehearsal.id().expect("a pid");
    let children = eventually("space, ingests and bridge run", Duration::from_secs(30), || {
        let children = children_of(parent);
        (children.len() == 4).then_some(children)
    })
    .await;
    for (pid, name) in &children {
        canaries.assert_absent_in_process(name, *pid, &["cmdline", "environ"]);
    }
    rehearsal.kill().await.expect("it is killed");
    // The bridge outlives its parent on purpose.
    for (pid, _) in children.iter().filter(|(_, line)| line.contains(" bridge ")) {
        send(*pid, Signal::KILL);
    }
    let gone = || children.iter().all(|(pid, line)| command_line(*pid) != *line).then_some(());
    eventually("the others end with the rehearsal", Duration::from_secs(15), gone).await;
}

/// Process ids and command lines of the children of `parent`, without one that is not what it is to be yet: between its
/// birth and its program it is its parent's image, environment included.
fn children_of(parent: u32) -> Vec<(u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).expect("a running process");
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let pids: Vec<u32> =
        lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    let own = command_line(parent);
    pids.into_iter().map(|pid| (pid, command_line(pid))).filter(|(_, line)| *line != own).collect()
}

fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
