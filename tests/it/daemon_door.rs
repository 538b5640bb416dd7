//! The daemon's door: who gets in, what is refused, and what never gets out.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::daemon::{Daemon, House};
use crate::support::process;

const TONE: &str = "[[source]]\nkind = \"tone\"\n";

/// A house whose show was over before, so that nothing goes on the air.
fn quiet_house() -> House {
    let house = House::new();
    house.show("night", TONE);
    let wishes = house.state().join("serve/wishes");
    std::fs::create_dir_all(&wishes).expect("a folder");
    std::fs::write(wishes.join("night"), r#"{"wish": "off", "at": "2026-08-01T20:00:00Z"}"#).expect("a file");
    house
}

async fn code_of(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    let (status, kind) = (answer.status(), answer.headers().get("content-type").cloned());
    let headers = answer.headers().clone();
    for name in ["content-security-policy", "x-content-type-options", "x-frame-options", "cache-control"] {
        assert!(headers.contains_key(name), "{status} without {name}");
    }
    if status.is_success() {
        return (status.as_u16(), String::new());
    }
    assert_eq!(kind.as_ref().and_then(|kind| kind.to_str().ok()), Some("application/problem+json"), "{status}");
    let problem: Value = answer.json().await.expect("a problem");
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["type"], format!("urn:spacebridge:{}", problem["code"].as_str().expect("a code")));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    (status.as_u16(), problem["code"].as_str().expect("a code").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_who_should_not() {
    let house = quiet_house();
    let daemon = house.serve(&["--name", "studio.example"]).await;
    let port = daemon.url.rsplit(':').next().expect("a port").to_owned();
    let shows = "/api/v1/shows";
    let start = "/api/v1/shows/nobody/start";
    let bearer = |method, path, token: &str| daemon.bare(method, path).bearer_auth(token);
    // Without a token, with a wrong one, by role.
    for path in [shows, "/api/v1/shows/night", "/api/v1/events", "/metrics", "/api/v1/shows/night/outputs"] {
        assert_eq!(code_of(daemon.bare(Method::GET, path)).await, (401, "unauthorized".into()), "{path}");
    }
    for path in ["/healthz", "/readyz", "/api/v1/openapi.json"] {
        assert_eq!(code_of(daemon.bare(Method::GET, path)).await.0, 200, "{path}");
    }
    assert_eq!(code_of(bearer(Method::GET, shows, "wrong")).await, (401, "unauthorized".into()));
    assert_eq!(code_of(bearer(Method::GET, shows, &daemon.view)).await.0, 200);
    assert_eq!(code_of(bearer(Method::POST, start, &daemon.view)).await, (403, "forbidden".into()));
    assert_eq!(code_of(bearer(Method::DELETE, "/api/v1/shows/night", &daemon.view)).await, (403, "forbidden".into()));
    assert_eq!(code_of(bearer(Method::POST, start, &daemon.operate)).await, (404, "no-show".into()));
    // A name that is not the daemon's: DNS rebinding.
    let named = |host: &str| daemon.ask(Method::GET, shows).header("host", host);
    for host in ["evil.example".to_owned(), format!("127.0.0.1.evil.example:{port}"), "studio.example.evil".into()] {
        assert_eq!(code_of(named(&host)).await, (421, "wrong-host".into()), "{host}");
    }
    for host in [format!("127.0.0.1:{port}"), "localhost".into(), "[::1]:9".into(), "studio.example".into()] {
        assert_eq!(code_of(named(&host)).await.0, 200, "{host}");
    }
    // A foreign page, with a token or a session.
    let origin = |value: &str| daemon.ask(Method::GET, shows).header("origin", value);
    for value in ["http://evil.example", "null", "https://studio.example"] {
        assert_eq!(code_of(origin(value)).await, (403, "foreign-origin".into()), "{value}");
    }
    assert_eq!(code_of(origin(&daemon.url)).await.0, 200);
    a_session(&daemon, shows, start).await;
    // Guessing has to wait, and so does then whoever knows: the address is the same.
    for _ in 0..10 {
        drop(code_of(bearer(Method::GET, shows, "guess")).await);
    }
    assert_eq!(code_of(bearer(Method::GET, shows, "guess")).await, (429, "too-many-failures".into()));
    let said = daemon.said();
    assert!(!said.contains(&daemon.operate) && !said.contains(&daemon.view), "{said}");
}

async fn a_session(daemon: &Daemon, shows: &str, start: &str) {
    let session = "/api/v1/session";
    let wrong = daemon.bare(Method::POST, session).json(&json!({"token": "wrong"}));
    assert_eq!(code_of(wrong).await, (401, "unauthorized".into()));
    let foreign = daemon.bare(Method::POST, session).header("origin", "http://evil.example");
    assert_eq!(code_of(foreign.json(&json!({"token": daemon.operate}))).await, (403, "foreign-origin".into()));
    let opened = daemon.bare(Method::POST, session).json(&json!({"token": daemon.operate})).send().await;
    let opened = opened.expect("an answer");
    let cookie = opened.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(&daemon.operate), "the token itself goes nowhere");
    let cookie = cookie.split(';').next().expect("a pair");
    let with = |method, path| daemon.bare(method, path).header("cookie", format!("a=b; {cookie}"));
    assert_eq!(code_of(with(Method::GET, shows)).await.0, 200);
    assert_eq!(code_of(with(Method::POST, start)).await, (403, "foreign-origin".into()), "an order without an origin");
    assert_eq!(code_of(with(Method::POST, start).header("origin", &daemon.url)).await, (404, "no-show".into()));
    let who: Value = with(Method::GET, session).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(who["role"], "operate");
    let forged = daemon.bare(Method::GET, shows).header("cookie", format!("{cookie}0"));
    assert_eq!(code_of(forged).await, (401, "unauthorized".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_request_is_a_problem_with_a_code_and_changes_nothing() {
    let house = quiet_house();
    let daemon = house.serve(&[]).await;
    let shows = "/api/v1/shows";
    let create = |body: Value| code_of(daemon.ask(Method::POST, shows).json(&body));
    let raw = |kind: &str, body: Vec<u8>| {
        code_of(daemon.ask(Method::POST, shows).header("content-type", kind.to_owned()).body(body))
    };
    let json = "application/json";
    for (expected, got) in [
        ((404, "no-route"), code_of(daemon.ask(Method::GET, "/api/v1/nothing")).await),
        ((404, "no-route"), code_of(daemon.ask(Method::POST, "/api/v1/shows/night/outputs/a/kick")).await),
        ((405, "wrong-method"), code_of(daemon.ask(Method::PATCH, shows)).await),
        ((415, "wrong-media-type"), raw("text/plain", b"tone".to_vec()).await),
        ((400, "bad-request"), raw(json, b"{".to_vec()).await),
        ((400, "bad-request"), raw(json, b"\xff\xfe".to_vec()).await),
        ((400, "bad-request"), raw(json, vec![b'['; 200_000]).await),
        ((413, "too-large"), raw(json, vec![b' '; 3 << 20]).await),
        ((400, "bad-request"), create(json!({"link": "tone", "lnik": 1})).await),
        ((400, "bad-request"), create(json!({"link": "tone", "toml": ""})).await),
        ((400, "bad-request"), create(json!({})).await),
        ((422, "bad-configuration"), create(json!({"link": "gopher://x"})).await),
        ((422, "bad-configuration"), create(json!({"link": "tone", "name": "../etc"})).await),
        ((422, "bad-configuration"), create(json!({"link": "file:///etc/passwd"})).await),
        ((422, "bad-configuration"), create(json!({"link": "tone", "outputs": [{"preset": "youtube"}]})).await),
        ((409, "show-exists"), create(json!({"link": "tone", "name": "night"})).await),
        ((400, "bad-request"), code_of(daemon.ask(Method::GET, "/api/v1/events?limit=1")).await),
        ((404, "no-show"), code_of(daemon.ask(Method::GET, "/api/v1/shows/..%2Fnight")).await),
        ((400, "bad-request"), code_of(daemon.ask(Method::GET, "/api/v1/shows/%ff")).await),
        ((409, "off-the-air"), code_of(daemon.ask(Method::POST, "/api/v1/shows/night/end")).await),
        ((409, "off-the-air"), code_of(daemon.ask(Method::GET, "/api/v1/shows/night/outputs")).await),
        ((409, "not-ours"), code_of(daemon.ask(Method::DELETE, "/api/v1/shows/night")).await),
    ] {
        assert_eq!(got, (expected.0, expected.1.to_owned()));
    }
    // Whatever of a configuration names something of the machine is the operator's.
    for sections in [
        "[[source]]\nkind = \"tone\"\n[slate]\nartwork = \"/etc/hostname\"\n",
        "[[source]]\nkind = \"tone\"\n[program]\nhold_audio = \"/etc/hostname\"\n",
        "[[source]]\nkind = \"tone\"\n[recording]\nfolder = \"/tmp\"\n",
        "[[source]]\nkind = \"tone\"\n[[alert]]\nlevel = \"info\"\ncommand = [\"/bin/true\"]\n",
        "[[source]]\nkind = \"tone\"\n[[alert]]\nlevel = \"info\"\nwebhook = \"http://127.0.0.1/\"\n",
        "[[source]]\nkind = \"tone\"\n[x]\nallow_private_addresses = true\n",
        "[[source]]\nkind = \"tone\"\n[[output]]\nname = \"a\"\nurl = \"rtmp://a.example/l\"\nkey_env = \"HOME\"\n",
        "[[source]]\nkind = \"uri\"\nuri = \"file:///etc/hostname\"\n",
    ] {
        let toml = format!("[show]\nname = \"new\"\n{sections}");
        assert_eq!(
            raw("application/toml", toml.clone().into_bytes()).await,
            (422, "bad-configuration".into()),
            "{toml}"
        );
    }
    let names: Vec<_> =
        daemon.get(shows).await.as_array().expect("a list").iter().map(|show| show["name"].clone()).collect();
    assert_eq!(names, [json!("night")]);
    half_a_request_and_rubbish(&daemon).await;
}

/// What does not even speak HTTP harms nobody.
async fn half_a_request_and_rubbish(daemon: &Daemon) {
    let address = daemon.url.trim_start_matches("http://");
    let mut half = tokio::net::TcpStream::connect(address).await.expect("a connection");
    half.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.expect("written");
    let mut rubbish = tokio::net::TcpStream::connect(address).await.expect("a connection");
    rubbish.write_all(b"\x16\x03\x01\x02\x00\r\n\r\n").await.expect("written");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), rubbish.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it is closed");
    assert_eq!(code_of(daemon.bare(Method::GET, "/healthz")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_written_and_never_read_and_belong_to_one_server() {
    let house = quiet_house();
    let daemon = house.serve(&[]).await;
    let key: String = (0..24).map(|_| fastrand::alphanumeric()).collect();
    let draft = |url: &str, key: Option<&str>| {
        let mut output = json!({"name": "out", "url": url});
        if let Some(key) = key {
            output["key"] = json!(key);
        }
        json!({"link": "tone", "name": "mine", "closing": "1s", "outputs": [output]})
    };
    let create = |body: Value| daemon.ask(Method::POST, "/api/v1/shows").header("idempotency-key", "one").json(&body);
    let first = draft("rtmp://127.0.0.1:9/live", Some(&key));
    let answer = create(first.clone()).send().await.expect("an answer");
    assert_eq!(
        (answer.status(), answer.headers()["location"].to_str().expect("text")),
        (StatusCode::CREATED, "/api/v1/shows/mine")
    );
    let again = create(first.clone()).send().await.expect("an answer");
    assert_eq!(
        (again.status(), &again.headers()["idempotency-replayed"]),
        (StatusCode::CREATED, &"true".parse().expect("a header"))
    );
    assert_eq!(code_of(create(draft("rtmp://127.0.0.1:9/other", Some(&key)))).await, (422, "key-reused".into()));
    let put = |body: Value| code_of(daemon.ask(Method::PUT, "/api/v1/shows/mine").json(&body));
    let mut renamed = draft("rtmp://127.0.0.1:9/live", None);
    renamed["title"] = json!("Another title");
    assert_eq!(put(renamed).await.0, 200, "the key is kept for the same server");
    assert_eq!(put(draft("rtmp://127.0.0.1:10/live", None)).await, (422, "bad-configuration".into()));
    assert_eq!(daemon.get("/api/v1/shows/mine").await["configured_outputs"][0]["url"], "rtmp://127.0.0.1:9/live");
    // Every answer, as both roles, and every file but the key's own.
    let document = daemon.get("/api/v1/openapi.json").await;
    // Without those that never end.
    let ends = |path: &&String| !path.ends_with("events") && path.as_str() != "/api/v1/levels";
    let paths: Vec<_> = document["paths"].as_object().expect("paths").keys().filter(ends).collect();
    assert!(paths.len() >= 12, "{paths:?}");
    for path in paths {
        for token in [&daemon.operate, &daemon.view] {
            let path = path.replace("{show}", "mine");
            let text = daemon.bare(Method::GET, &path).bearer_auth(token).send().await.expect("an answer").text().await;
            let text = text.expect("text");
            assert!(!text.contains(&key) && !text.contains(&daemon.operate) && !text.contains(&daemon.view), "{path}");
        }
    }
    let file = house.state().join("serve/keys/mine/out");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let toml = std::fs::read_to_string(house.state().join("serve/shows/mine.toml")).expect("a file");
    assert!(!toml.contains(&key) && !daemon.said().contains(&key), "{toml}");
    assert_eq!(code_of(daemon.ask(Method::DELETE, "/api/v1/shows/mine")).await.0, 204);
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_a_taken_port_and_an_open_door_are_refused_with_a_remedy() {
    let house = quiet_house();
    let first = house.serve(&[]).await;
    let refused = async |house: &House, options: &[&str], words: &str| {
        let mut daemon = house.spawn(options);
        assert_eq!(daemon.ended(20).await, Some(1));
        assert!(daemon.said().contains(words), "{}", daemon.said());
    };
    refused(&house, &[], &format!("another daemon (process {})", first.pid())).await;
    let other = quiet_house();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    refused(&other, &["--listen", &address], "cannot listen at").await;
    refused(&other, &["--listen", "0.0.0.0:0"], "--behind-proxy").await;
    assert_eq!(code_of(first.ask(Method::GET, "/api/v1/shows")).await.0, 200);
    // With TLS it may be open; nobody but us trusts this certificate.
    let (cert, key) = (other.path("cert.pem"), other.path("key.pem"));
    let (cert, key) = (cert.to_str().expect("a path"), key.to_str().expect("a path"));
    process::run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-days",
            "1",
            "-keyout",
            key,
            "-out",
            cert,
        ],
    );
    let mut tls = other.serve(&["--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key]).await;
    tls.url = tls.url.replace("0.0.0.0", "127.0.0.1");
    let answer = tls.ask(Method::GET, "/api/v1/shows").send().await.expect("an answer");
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(tls.stop(Signal::TERM).await, Some(0));
}
