use std::collections::HashMap;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use url::Url;

use super::*;
use crate::alert::delivery::Signer;
use crate::config::{AlertAction, AlertConfig};
use crate::secret::Secret;

type Got = Arc<Mutex<Vec<(HashMap<String, String>, serde_json::Value)>>>;

/// A server that answers with these statuses in turn, the last one for ever; 0 never answers.
async fn server(statuses: &'static [u16]) -> (Url, Got) {
    let got = Got::default();
    let answer = move |Shared(got): Shared<Got>, headers: HeaderMap, body: Bytes| async move {
        let status = {
            let mut got = got.lock().unwrap();
            let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
            let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            got.push((headers, serde_json::from_slice(&body).unwrap()));
            statuses[(got.len() - 1).min(statuses.len() - 1)]
        };
        if status == 0 {
            std::future::pending::<()>().await;
        }
        StatusCode::from_u16(status).unwrap()
    };
    let router = Router::new().fallback(answer).with_state(got.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/canary", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (Url::parse(&url).unwrap(), got)
}

/// A receiver at work, for as long as the test.
struct Bench {
    hub: Arc<Hub>,
    folder: tempfile::TempDir,
    token: CancellationToken,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::system();
        let hub = Arc::new(Hub::new(clock.clone()));
        Self { hub, folder: tempfile::tempdir().unwrap(), token: CancellationToken::new(), clock }
    }

    fn receiver(&self, url: &Url, level: Level) -> Receiver {
        let signer = Signer::new(Secret::new("a secret of some length")).unwrap();
        let carrier = Carrier::webhook(url.clone(), Some(signer)).unwrap();
        let action = AlertAction::Command(vec!["unused".into()]);
        // The action says what the view shows; the carrier is what is used.
        let alert = AlertConfig { level, codes: Vec::new(), action, secret: None };
        let alert = DaemonAlert { name: "pager".into(), shows: vec!["ni*".into()], alert };
        let file = self.folder.path().join("book.json");
        let (hub, clock) = (Arc::clone(&self.hub), self.clock.clone());
        let mut receiver = Receiver::open(alert, carrier, url.as_str(), file, hub, clock);
        receiver.backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(20));
        receiver
    }

    fn start(&self, url: &Url, level: Level) -> (Arc<Desk>, tokio::task::JoinHandle<()>) {
        let receiver = self.receiver(url, level);
        (Arc::clone(receiver.desk()), tokio::spawn(receiver.run(self.token.clone())))
    }

    fn tell(&self, show: &str, level: Level, code: &str) {
        self.hub.tell(show, level, code, "It happened.".into(), None);
    }
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !check() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn codes(got: &Got) -> Vec<String> {
    got.lock().unwrap().iter().map(|(_, body)| body["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_event_that_was_not_taken_comes_again_signed_under_the_same_id() {
    let bench = Bench::new();
    let (url, got) = server(&[503, 500, 429, 503, 204]).await;
    let (desk, _task) = bench.start(&url, Level::Warning);
    bench.tell("night", Level::Info, "too.low");
    bench.tell("day", Level::Error, "another.show");
    bench.tell("night", Level::Error, "show.first");
    until("the first is taken", || desk.view().delivered == 1).await;
    assert_eq!(codes(&got), vec!["show.first"; 5]);
    let got = got.lock().unwrap().clone();
    assert!(got.iter().all(|(headers, _)| headers["webhook-id"] == got[0].0["webhook-id"]));
    assert!(got[0].0["webhook-signature"].starts_with("v1,") && got[0].0["webhook-timestamp"].parse::<i64>().is_ok());
    // Told once that it failed, once that it works; of neither it was told itself, being about another show.
    let told: Vec<String> = bench.hub.after(0, Some("")).events.iter().map(|one| one.event.code.clone()).collect();
    assert_eq!(told, ["webhook.failing", "webhook.back"]);
    assert!(bench.hub.after(0, None).events.iter().all(|one| !one.event.message.contains("canary")));
}

#[tokio::test]
async fn a_receiver_that_refuses_or_chokes_on_one_event_gets_the_others() {
    let bench = Bench::new();
    let (url, got) = server(&[404, 500, 500, 500, 500, 500, 200]).await;
    let (desk, _task) = bench.start(&url, Level::Info);
    for code in ["refused.x", "choked.x", "next.x"] {
        bench.tell("night", Level::Error, code);
    }
    until("the others are taken", || desk.view().delivered == 2).await;
    let mut expected = vec!["refused.x"];
    expected.extend(["choked.x"; 5]);
    expected.extend(["next.x", "choked.x"]);
    assert_eq!(codes(&got), expected);
    assert_eq!((desk.view().refused, desk.view().pending), (1, 0));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_until_a_test_reaches_it() {
    let bench = Bench::new();
    let (url, got) = server(&[410, 410, 200]).await;
    let (desk, task) = bench.start(&url, Level::Info);
    bench.tell("night", Level::Error, "one.x");
    until("it is gone", || desk.view().state == ReceiverState::Gone).await;
    bench.tell("night", Level::Error, "two.x");
    assert!(!desk.test().await.delivered);
    bench.token.cancel();
    task.await.unwrap();
    // A restart does not wake it either.
    let again = Bench { token: CancellationToken::new(), ..bench };
    let (desk, _task) = again.start(&url, Level::Info);
    assert_eq!(desk.view().state, ReceiverState::Gone);
    assert!(desk.test().await.delivered);
    again.tell("night", Level::Error, "three.x");
    until("it works", || desk.view().delivered == 1).await;
    assert_eq!(codes(&got), ["one.x", "webhook.test", "webhook.test", "three.x"]);
}

#[tokio::test]
async fn what_waits_survives_a_restart_and_a_receiver_that_hangs_delays_nobody() {
    let bench = Bench::new();
    let (hanging, hung) = server(&[0]).await;
    let (url, got) = server(&[200]).await;
    let (stuck, task) = bench.start(&hanging, Level::Info);
    let other = Bench { folder: tempfile::tempdir().unwrap(), token: CancellationToken::new(), ..Bench::new() };
    let other = Bench { hub: Arc::clone(&bench.hub), ..other };
    let (quick, _task) = other.start(&url, Level::Info);
    for code in ["one.x", "two.x"] {
        bench.tell("night", Level::Error, code);
    }
    until("the other has both", || quick.view().delivered == 2).await;
    until("it hangs", || hung.lock().unwrap().len() == 1).await;
    assert_eq!((codes(&got), stuck.view().pending), (vec!["one.x".to_owned(), "two.x".to_owned()], 2));
    bench.token.cancel();
    task.await.unwrap();
    // The next daemon has the address mended, and hears nothing new from its bridges.
    let again = Bench { hub: Arc::new(Hub::new(bench.clock.clone())), token: CancellationToken::new(), ..bench };
    let (desk, _task) = again.start(&url, Level::Info);
    until("both arrive", || desk.view().delivered == 2).await;
    assert_eq!(codes(&got)[2..], ["one.x".to_owned(), "two.x".to_owned()]);
}

#[tokio::test]
async fn a_disk_that_is_full_stops_no_delivery() {
    let bench = Bench::new();
    let (url, _got) = server(&[200]).await;
    let mut receiver = bench.receiver(&url, Level::Info);
    receiver.file = Path::new("/proc/nowhere/book.json").to_owned();
    let desk = Arc::clone(receiver.desk());
    let _task = tokio::spawn(receiver.run(bench.token.clone()));
    bench.tell("night", Level::Error, "one.x");
    until("it is delivered", || desk.view().delivered == 1).await;
}
