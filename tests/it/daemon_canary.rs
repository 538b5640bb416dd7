//! Every operation of the daemon's document as both roles and as nobody: whatever routes there are, none answers 500, none
//! tells a secret or where something lies on the machine, and who may look changes nothing.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, House};
use crate::support::show::write_secret;
use crate::support::turn;

/// How much of an answer is read: streams never end.
const READ_MAX: usize = 256 << 10;

/// How long a stream is listened to.
const LISTEN: Duration = Duration::from_millis(300);

fn canary(what: &str) -> String {
    let random: String = (0..20).map(|_| fastrand::alphanumeric()).collect();
    format!("canary-{what}-{random}")
}

/// One operation of the document.
pub(crate) struct Operation {
    pub(crate) method: Method,
    path: String,
    /// Whether it needs no token.
    is_public: bool,
    takes_body: bool,
}

impl Operation {
    pub(crate) fn all(document: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                found.push(Self {
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    is_public: operation["security"] == json!([{}]) || path == "/api/v1/session",
                    takes_body: operation.get("requestBody").is_some(),
                });
            }
        }
        found
    }

    pub(crate) fn only_looks(&self) -> bool {
        self.method == Method::GET
    }

    /// The path with what there is, or with `other` in every place.
    pub(crate) fn at(&self, other: Option<&str>) -> String {
        let names = [("{show}", "night"), ("{output}", "dead"), ("{action}", "stop"), ("{webhook}", "pager")];
        let mut path = self.path.clone();
        for (place, name) in names {
            path = path.replace(place, other.unwrap_or(name));
        }
        let parts = path.split('/').map(|part| if part.starts_with('{') { other.unwrap_or("one") } else { part });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// An answer: its status, and everything that came with it as text.
pub(crate) async fn answer(
    daemon: &Daemon,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&str>,
) -> (u16, String) {
    let mut request = daemon.bare(method.clone(), path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let mut answer = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let mut text = format!("{:?}", answer.headers());
    let status = answer.status().as_u16();
    let read = async {
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            bytes.extend_from_slice(&chunk);
            text.push_str(&String::from_utf8_lossy(&chunk));
            if bytes.len() > READ_MAX {
                break;
            }
        }
    };
    drop(tokio::time::timeout(LISTEN, read).await);
    (status, text)
}

/// A daemon with a secret of every kind, a show on the air, one that is over and one that does not load.
async fn daemon_with(house: &House, secrets: &mut Vec<String>) -> Daemon {
    let output = "[[source]]\nkind = \"tone\"\n[[output]]\nname = \"dead\"\nurl = \"rtmp://127.0.0.1:9/live\"\nkey_file = \
                  \"night.key\"\n";
    house.show("night", output);
    fs::write(house.path("shows/broken.toml"), "[show]\nname = \"broken\"\n[nothing]\n").expect("a file");
    let mut plant = |what: &str| {
        let secret = canary(what);
        secrets.push(secret.clone());
        secret
    };
    write_secret(&house.path("shows/night.key"), &plant("key"));
    write_secret(&house.path("hook.url"), &format!("http://127.0.0.1:9/{}", plant("hook")));
    write_secret(&house.path("hook.secret"), &plant("secret"));
    let cookies = format!(
        "# Netscape HTTP Cookie File\n.x.com\tTRUE\t/\tTRUE\t0\tauth_token\t{}\n.x.com\tTRUE\t/\tTRUE\t0\tct0\t{}\n",
        plant("auth"),
        plant("csrf")
    );
    write_secret(&house.path("cookies.txt"), &cookies);
    let alert =
        "[[alert]]\nname = \"pager\"\nlevel = \"info\"\nwebhook_file = \"hook.url\"\nsecret_file = \"hook.secret\"\n";
    fs::write(house.path("serve.toml"), alert).expect("a file");
    let (config, cookies) = (house.path("serve.toml"), house.path("cookies.txt"));
    let options = ["--config", config.to_str().expect("a path"), "--cookies", cookies.to_str().expect("a path")];
    let daemon = house.serve(&options).await;
    let mine = json!({"link": "tone", "name": "mine", "outputs": [
        {"name": "out", "url": "rtmp://127.0.0.1:9/live", "key": plant("sent")}
    ]});
    // Secrets that lie in files of their own only once the show is made.
    let room = json!({"link": "https://127.0.0.1:9/janus", "name": "room", "kind": "janus", "room": "1234",
        "pin": plant("pin"), "token": plant("token"), "api_secret": plant("gateway")});
    let seat = json!({"link": "https://x.com/i/spaces/1DXxyRYNejbKM", "name": "seat", "seat": "speaker",
        "listen_too": true, "failover": "low-latency", "auth_token": plant("cookie"), "ct0": plant("ct0")});
    for show in [mine, room, seat] {
        let (status, said) = daemon.post("/api/v1/shows", &show).await;
        assert!(status.is_success(), "{said}");
    }
    secrets.extend([daemon.operate.clone(), daemon.view.clone()]);
    daemon.until("night", "is on the air", 20, |show| show["status"]["outputs"][0]["state"] == "backoff").await;
    daemon
}

fn assert_tells_nothing(house: &House, secrets: &[String], what: &str, text: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{what} tells a secret: {text}");
    }
    for folder in [house.path("x").parent().expect("a folder"), std::path::Path::new(env!("CARGO_MANIFEST_DIR"))] {
        assert!(!text.contains(folder.to_str().expect("a path")), "{what} tells a path of the machine: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_fails_tells_a_secret_or_a_path_and_a_looker_changes_nothing() {
    let _turn = turn().await;
    let (house, mut secrets) = (House::new(), Vec::new());
    let mut daemon = daemon_with(&house, &mut secrets).await;
    let document = daemon.get("/api/v1/openapi.json").await;
    let operations = Operation::all(&document);
    assert!(operations.len() > 25, "the document is short");
    let standing = async || {
        let shows = daemon.get("/api/v1/shows").await;
        let names = shows.as_array().expect("a list").iter().map(|show| json!([show["name"], show["standing"]]));
        let outputs = daemon.get("/api/v1/shows/night/outputs").await;
        let states = outputs.as_array().expect("a list").iter().map(|one| one["state"] == "stopped");
        json!([names.collect::<Vec<_>>(), states.collect::<Vec<_>>()])
    };
    let before = standing().await;
    let roles = [None, Some(daemon.view.as_str()), Some(daemon.operate.as_str())];
    for operation in &operations {
        for token in roles {
            // An operator's orders come below.
            if token == Some(daemon.operate.as_str()) && !operation.only_looks() {
                continue;
            }
            for path in [operation.at(None), operation.at(Some("nobody"))] {
                let what = format!("{} {path}", operation.method);
                let body = operation.takes_body.then_some("{}");
                let (status, text) = answer(&daemon, operation.method.clone(), &path, token, body).await;
                assert!(status < 500, "{what}: {status} {text}");
                assert_tells_nothing(&house, &secrets, &what, &text);
                let expected = match token {
                    None if !operation.is_public => Some(401),
                    Some(token) if token == daemon.view && !operation.only_looks() && !operation.is_public => Some(403),
                    _ => None,
                };
                assert!(expected.is_none_or(|expected| expected == status), "{what} as {token:?}: {status} {text}");
            }
        }
    }
    assert_eq!(standing().await, before, "who may look changed something");
    rubbish_harms_nothing(&house, &daemon, &operations, &secrets).await;
    assert!(!daemon.said().contains("panicked"), "{}", daemon.said());
    assert_tells_nothing(
        &house,
        &secrets[..secrets.len() - 2],
        "the log",
        &daemon.said().replace(&*house.path("").to_string_lossy(), ""),
    );
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0));
}

/// Orders of an operator that make no sense are refused, and whatever is refused repeats no secret of its own body.
async fn rubbish_harms_nothing(house: &House, daemon: &Daemon, operations: &[Operation], secrets: &[String]) {
    let secret = canary("body");
    let secrets = [secrets, std::slice::from_ref(&secret)].concat();
    let bodies = [
        format!("{{\"key\": \"{secret}\", \"token\": \"{secret}\", \"toml\": \"{secret}\""),
        format!(
            "{{\"link\": \"tone\", \"key\": [\"{secret}\"], \"url\": 5, \"seconds\": \"{secret}\", \"title\": {{}}}}"
        ),
        "[[[[[[".to_owned(),
        "null".to_owned(),
    ];
    for operation in
        operations.iter().filter(|operation| !operation.only_looks() && operation.path != "/api/v1/session")
    {
        let path = operation.at(None);
        // A body is nothing to an order that takes none: it would be carried out.
        for body in bodies.iter().filter(|_| operation.takes_body) {
            let what = format!("{} {path} with {body}", operation.method);
            let (status, text) =
                answer(daemon, operation.method.clone(), &path, Some(&daemon.operate), Some(body)).await;
            assert!((400..500).contains(&status), "{what}: {status} {text}");
            assert_tells_nothing(house, &secrets, &what, &text);
        }
        let what = format!("{} of nobody", operation.path);
        let nobody = operation.at(Some("nobody"));
        if nobody != path {
            let body = operation.takes_body.then_some("{}");
            let (status, text) = answer(daemon, operation.method.clone(), &nobody, Some(&daemon.operate), body).await;
            assert!((400..500).contains(&status), "{what}: {status} {text}");
            assert_tells_nothing(house, &secrets, &what, &text);
        }
    }
}
