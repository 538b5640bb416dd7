//! The supervisor with real processes: small shell scripts in the bridge's place.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like the tests they help")]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::clock::Clock;
use spacebridge::supervisor::{Launch, Notice, Order, Outcome, Supervisor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);
const CANARY: &str = "canary-3f9c";

struct Show {
    orders: mpsc::Sender<Order>,
    notices: mpsc::UnboundedReceiver<Notice>,
    outcome: JoinHandle<Outcome>,
}

fn start(root: &Path, script: &str) -> Show {
    let launch = Launch {
        program: "/bin/sh".into(),
        arguments: ["-c", script].map(OsString::from).to_vec(),
        secret_variables: vec![],
        state_root: root.to_owned(),
    };
    let folder = StateFolder::open_in(root, "night").unwrap();
    let (orders, orders_receiver) = mpsc::channel(4);
    let (sender, notices) = mpsc::unbounded_channel();
    let handover = format!("{{\"key\":\"{CANARY}\"}}").into_bytes();
    let supervisor = Supervisor::new(folder, launch, handover, Duration::ZERO, Clock::system(), sender);
    let outcome = tokio::spawn(async move { supervisor.run(orders_receiver).await.unwrap() });
    Show { orders, notices, outcome }
}

impl Show {
    async fn notice(&mut self) -> Notice {
        tokio::time::timeout(PATIENCE, self.notices.recv()).await.expect("a notice in time").expect("a notice")
    }

    async fn started(&mut self) -> u32 {
        match self.notice().await {
            Notice::Started { pid } => pid,
            other => panic!("{other:?}"),
        }
    }

    async fn outcome(self) -> Outcome {
        tokio::time::timeout(PATIENCE, self.outcome).await.expect("an outcome in time").unwrap()
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_killed_bridge_is_back_with_the_same_handover() {
    let root = tempfile::tempdir().unwrap();
    // The trap first: the order to leave comes as soon as the handover is there.
    let script = "trap 'exit 0' TERM; cat > $SPACEBRIDGE_STATE/handover.$$; while :; do sleep 0.05; done";
    let mut show = start(root.path(), script);
    let first = show.started().await;
    let handover_of =
        |pid: u32| std::fs::read_to_string(root.path().join(format!("handover.{pid}"))).unwrap_or_default();
    eventually("the handover arrives", || handover_of(first).contains(CANARY)).await;
    kill(first);
    let Notice::Died { how, again_in, .. } = show.notice().await else { panic!("it died") };
    assert_eq!((how.as_str(), again_in), ("signal 9", Some(Duration::ZERO)));
    let second = show.started().await;
    assert_ne!(first, second);
    eventually("the handover arrives again", || handover_of(second).contains(CANARY)).await;
    show.orders.send(Order::Leave).await.unwrap();
    assert_eq!(show.outcome().await, Outcome::Clean);
}

#[tokio::test]
async fn a_crash_loop_is_held_and_shows_the_last_lines() {
    let root = tempfile::tempdir().unwrap();
    let mut show = start(root.path(), "echo no such plugin >&2; exit 1");
    let mut deaths = 0;
    let last = loop {
        if let Notice::Died { last_lines, again_in, .. } = show.notice().await {
            deaths += 1;
            if again_in.is_none() {
                break last_lines;
            }
        }
    };
    assert_eq!((deaths, last), (5, vec!["no such plugin".to_owned()]));
    assert_eq!(show.outcome().await, Outcome::CrashLoop("exit code 1".into()));
}

#[tokio::test]
async fn secrets_are_in_neither_arguments_nor_environment_of_the_bridge() {
    let root = tempfile::tempdir().unwrap();
    let mut show = start(root.path(), "cat > $SPACEBRIDGE_STATE/handover; exec sleep 600");
    let pid = show.started().await;
    eventually("the bridge has its handover", || root.path().join("handover").metadata().is_ok_and(|m| m.len() > 0))
        .await;
    let seen =
        |name: &str| String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{name}")).unwrap()).into_owned();
    let environment = seen("environ");
    assert!(!seen("cmdline").contains(CANARY) && !environment.contains(CANARY));
    assert!(environment.contains("SPACEBRIDGE_STATE="));
    // Cargo sets it for this test, and nothing of the sort is a bridge's matter.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !environment.contains("CARGO_MANIFEST_DIR"));
    show.orders.send(Order::Leave).await.unwrap();
    assert!(matches!(show.outcome().await, Outcome::Crashed(_)));
}

#[tokio::test]
async fn a_bridge_that_ignores_sigterm_is_killed() {
    let root = tempfile::tempdir().unwrap();
    let mut show = start(root.path(), "trap '' TERM; touch $SPACEBRIDGE_STATE/up; while :; do sleep 0.05; done");
    show.started().await;
    eventually("the bridge is up", || root.path().join("up").exists()).await;
    show.orders.send(Order::Leave).await.unwrap();
    show.orders.send(Order::Leave).await.unwrap();
    assert_eq!(show.outcome().await, Outcome::GraceExceeded);
}

#[tokio::test]
async fn a_bad_configuration_is_not_tried_again() {
    let root = tempfile::tempdir().unwrap();
    let show = start(root.path(), "echo 'output[0].url is missing' >&2; exit 64");
    assert_eq!(show.outcome().await, Outcome::BadConfiguration);
}
