//! What goes wrong around a daemon: a clear word or an alert, and nothing else is affected.

use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::daemon::{Daemon, House};
use crate::support::show::{send, write_secret};
use crate::support::{eventually_async, free_port, turn};

const TONE: &str = "[[source]]\nkind = \"tone\"\n";

/// Longest time that any answer may take while something is wrong, on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn alerts_of(daemon: &Daemon) -> Vec<(String, String)> {
    let alerts = daemon.get("/api/v1/alerts").await;
    let word = |alert: &Value, key: &str| alert[key].as_str().unwrap_or_default().to_owned();
    alerts.as_array().expect("a list").iter().map(|alert| (word(alert, "show"), word(alert, "code"))).collect()
}

async fn until_alert(daemon: &Daemon, show: &str, code: &str) {
    let wanted = (show.to_owned(), code.to_owned());
    let look = || async { alerts_of(daemon).await.contains(&wanted).then_some(()) };
    eventually_async(&format!("{code} of {show} is told"), Duration::from_secs(20), look).await;
}

/// Reads one request of a webhook: its head in lower case, and its body.
async fn one_request(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.expect("bytes");
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or_default() {
            return (head, body.to_owned());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).expect("a header")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_delays_nobody_and_gets_what_it_missed_from_the_next_daemon() {
    let house = House::new();
    fs::write(house.path("shows/broken.toml"), "[show]\nname = \"broken\"\n").expect("a file");
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let works = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (hangs_at, works_at) = (hanging.local_addr().expect("an address"), works.local_addr().expect("an address"));
    write_secret(&house.path("hook.secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let config = format!(
        "[[alert]]\nname = \"hangs\"\nwebhook = \"http://{hangs_at}/\"\nsecret_file = \"hook.secret\"\n\n[[alert]]\nname = \
         \"works\"\ncodes = [\"daemon.*\"]\nwebhook = \"http://{works_at}/\"\n"
    );
    fs::write(house.path("serve.toml"), config).expect("a file");
    let options = ["--config", &house.path("serve.toml").display().to_string()];
    let mut daemon = house.serve(&options).await;
    let (mut stream, _) = works.accept().await.expect("a connection");
    let (_, body) = one_request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("an answer");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&body["show"], &body["code"]), (&"broken".into(), &"daemon.show_faulty".into()));
    let (hung, _) = hanging.accept().await.expect("a connection");
    let began = Instant::now();
    let receivers = daemon.get("/api/v1/webhooks").await;
    assert_eq!((&receivers[0]["pending"], &receivers[0]["signed"]), (&json!(1), &json!(true)), "{receivers}");
    until_alert(&daemon, "broken", "daemon.show_faulty").await;
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(9), "nobody waits for the receiver");
    drop(hung);
    // The next daemon finds what waited, beside the news that are its own.
    let _daemon = house.serve(&options).await;
    let (mut stream, _) = hanging.accept().await.expect("a connection");
    let (head, body) = one_request(&mut stream).await;
    let (id, at) = (header(&head, "webhook-id"), header(&head, "webhook-timestamp"));
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
    let mac: Hmac<Sha256> = KeyInit::new_from_slice(&key).expect("a key");
    let signature = STANDARD.encode(mac.chain_update(format!("{id}.{at}.{body}")).finalize().into_bytes());
    // The head was made lower case, base64 with it.
    assert_eq!(header(&head, "webhook-signature"), format!("v1,{signature}").to_ascii_lowercase());
    assert!(body.contains("daemon.show_faulty"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_that_no_longer_loads_after_an_upgrade_goes_on_is_told_and_harms_no_other() {
    let _turn = turn().await;
    let house = House::new();
    house.show("night", TONE);
    let mut daemon = house.serve(&[]).await;
    let live = |show: &Value| show["status"]["state"] == "live";
    let pid = daemon.until("night", "is live", 30, live).await["status"]["bridge"]["pid"].clone();
    daemon.stop(Signal::KILL).await;
    house.show("night", "[[source]]\nkind = \"telepathy\"\n");
    house.show("day", "[[source]]\nkind = \"tone\"\n[[output]]\nname = \"a\"\n");
    let daemon = house.serve(&[]).await;
    let show = daemon.until("night", "is found", 20, live).await;
    assert_eq!(show["status"]["bridge"]["pid"], pid, "{show}");
    assert!(show["faults"][0]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{show}");
    for (show, code) in
        [("night", "daemon.show_faulty"), ("night", "daemon.show_unsupervised"), ("day", "daemon.show_faulty")]
    {
        until_alert(&daemon, show, code).await;
    }
    // Mended and read again it is well, without an interruption.
    house.show("day", TONE);
    send(daemon.pid(), Signal::HUP);
    let look = || async { (!alerts_of(&daemon).await.iter().any(|(show, _)| show == "day")).then_some(()) };
    eventually_async("the mended show is well", Duration::from_secs(20), look).await;
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "is over", 30, |show| show["on_the_air"] == false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_slow_or_silent_keep_nobody_out() {
    let house = House::new();
    let daemon = house.serve(&[]).await;
    let address = daemon.url.trim_start_matches("http://").to_owned();
    let mut clients = Vec::new();
    let mut open = async |bytes: String| {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(bytes.as_bytes()).await.expect("written");
        clients.push(stream);
    };
    let operate = &daemon.operate;
    for _ in 0..300 {
        open("GET /healthz HTTP/1.1\r\nHost: loc".to_owned()).await;
    }
    for _ in 0..50 {
        let head = format!("Host: localhost\r\nAuthorization: Bearer {operate}\r\n");
        open(format!(
            "POST /api/v1/shows HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"
        ))
        .await;
        // Readers of events who never read.
        open(format!("GET /api/v1/events?all=true HTTP/1.1\r\n{head}\r\n")).await;
    }
    for path in ["/healthz", "/api/v1/shows", "/api/v1/alerts", "/metrics"] {
        let began = Instant::now();
        daemon.ask(Method::GET, path).send().await.expect("an answer").error_for_status().expect("it is well");
        assert!(began.elapsed() < AT_ONCE, "{path} took {:?}", began.elapsed());
    }
    // An order that changes something does not wait for a body that never comes.
    let began = Instant::now();
    let (status, said) = daemon.post("/api/v1/shows", &json!({"link": "tone", "name": "mine"})).await;
    assert!(status.is_success() && began.elapsed() < AT_ONCE, "{said} {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn slow_clients_are_cut_off_in_the_end() {
    let house = House::new();
    let daemon = house.serve(&[]).await;
    let address = daemon.url.trim_start_matches("http://").to_owned();
    let cut = async |bytes: String, within: u64| {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(bytes.as_bytes()).await.expect("written");
        let mut said = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(within), stream.read_to_end(&mut said)).await;
        assert!(read.is_ok(), "it is still open: {bytes}");
        String::from_utf8_lossy(&said).into_owned()
    };
    let head = format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", daemon.operate);
    let body =
        format!("POST /api/v1/shows HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{");
    let (half, body) = tokio::join!(cut("GET / HTTP/1.1\r\nHost: loc".to_owned(), 90), cut(body, 90));
    assert!(!half.contains("200 OK") && body.contains("\"timeout\""), "{half} {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_state_is_told_refuses_what_is_new_and_leaves_the_shows_alone() {
    let _turn = turn().await;
    let house = House::new();
    house.show("night", TONE);
    let port = free_port();
    fs::write(
        house.path("serve.toml"),
        format!("[[alert]]\nname = \"nobody\"\nlevel = \"info\"\nwebhook = \"http://127.0.0.1:{port}/\"\n"),
    )
    .expect("a file");
    let config = house.path("serve.toml").display().to_string();
    let mut daemon = house.serve_on_small_disk(&["--config", &config], 2).await;
    let live = |show: &Value| show["status"]["state"] == "live";
    let pid = daemon.until("night", "is live", 30, live).await["status"]["bridge"]["pid"].clone();
    // A disk of 2 MB is nearly full from the beginning.
    until_alert(&daemon, "", "daemon.disk_low").await;
    house.fill(&daemon);
    let (status, said) = daemon.post("/api/v1/shows", &json!({"link": "tone", "name": "mine"})).await;
    assert_eq!((status.as_u16(), &said["code"]), (507, &"no-room".into()), "{said}");
    assert_eq!(daemon.get("/api/v1/shows").await.as_array().expect("a list").len(), 1, "nothing half made");
    assert_eq!(daemon.get("/api/v1/shows/night").await["status"]["bridge"]["pid"], pid);
    house.empty(&daemon);
    let (status, said) = daemon.post("/api/v1/shows", &json!({"link": "tone", "name": "mine"})).await;
    assert_eq!(status.as_u16(), 201, "{said}");
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "is over", 30, |show| show["on_the_air"] == false).await;
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0));
}
