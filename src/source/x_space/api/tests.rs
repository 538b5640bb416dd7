//! Over real sockets: a server on loopback that answers as X does, and refuses as X does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as StdMutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

use super::*;
use crate::net::HttpSettings;
use crate::source::SourceFault;

const RUNNING: &str = include_str!("../../../../tests/fixtures/x/audio_space_running.json");
const STATUS: &str = include_str!("../../../../tests/fixtures/x/stream_status.json");

/// Answers in order (the last one for ever), and what was asked.
#[derive(Default)]
struct Script {
    answers: VecDeque<(u16, String)>,
    asked: Vec<(String, HeaderMap)>,
    tokens: u32,
}

type Shared = Arc<StdMutex<Script>>;

async fn answer(State(script): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let mut script = script.lock().expect("a lock");
    script.asked.push((uri.to_string(), headers));
    let next = if script.answers.len() > 1 { script.answers.pop_front() } else { script.answers.front().cloned() };
    let (status, body) = next.expect("an answer");
    let reset = Timestamp::now().as_second() + 120;
    (StatusCode::from_u16(status).expect("a status"), [("x-rate-limit-reset", reset.to_string())], body).into_response()
}

async fn activate(State(script): State<Shared>) -> String {
    let mut script = script.lock().expect("a lock");
    script.tokens += 1;
    json!({"guest_token": format!("{}", script.tokens)}).to_string()
}

async fn serve(auth: Auth, answers: &[(u16, &str)]) -> (Shared, XApi) {
    let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
    let script = Arc::new(StdMutex::new(Script { answers, ..Script::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let router = Router::new()
        .route("/1.1/guest/activate.json", post(activate))
        .route("/i/api/{*path}", get(answer))
        .with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = XApiConfig {
        api_base: Url::parse(&format!("{base}/i/api")).expect("a url"),
        guest_base: Url::parse(&base).expect("a url"),
        lookup_interval: Duration::from_millis(20),
        ..XApiConfig::default()
    };
    let settings = HttpSettings { allow_private_addresses: true, ..HttpSettings::default() };
    let client = HttpClient::new(settings).expect("a client");
    (script, XApi::new(client, Clock::system(), config, auth))
}

fn account() -> Auth {
    Auth::LoggedIn { auth_token: Secret::new("canary-token"), ct0: Secret::new("canary-ct0") }
}

fn id() -> SpaceId {
    SpaceId::new("1DXxyRYNejbKM").expect("an id")
}

fn error(code: i64, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

#[tokio::test]
async fn a_logged_in_listener_is_asked_for_as_the_page_does() {
    let (script, api) = serve(account(), &[(200, RUNNING)]).await;
    assert_eq!(api.space(&id()).await.expect("a space").host.as_deref(), Some("thehost"));
    let script = script.lock().expect("a lock");
    let (uri, headers) = &script.asked[0];
    assert!(
        uri.starts_with(&format!(
            "/i/api/graphql/{}/AudioSpaceById?variables=",
            XApiConfig::default().audio_space_by_id
        ))
    );
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("cookie"), "auth_token=canary-token; ct0=canary-ct0");
    assert_eq!((header("x-csrf-token"), header("x-twitter-auth-type")), ("canary-ct0", "OAuth2Session"));
    assert!(header("authorization").starts_with("Bearer AAAA"));
    assert_eq!((script.tokens, header("x-guest-token")), (0, ""));
}

#[tokio::test]
async fn a_feature_that_x_newly_demands_is_added_as_false() {
    let demand = error(336, "The following features cannot be null: brand_new, other_new");
    let (script, api) = serve(account(), &[(400, &demand), (200, RUNNING)]).await;
    api.space(&id()).await.expect("a space");
    let asked = script.lock().expect("a lock").asked[1].0.clone();
    let url = Url::parse(&format!("http://h{asked}")).expect("a url");
    let features = url.query_pairs().find(|(name, _)| name == "features").expect("features").1.into_owned();
    let features: Value = serde_json::from_str(&features).expect("json");
    assert_eq!((&features["brand_new"], &features["other_new"]), (&json!(false), &json!(false)));
    // It is remembered, and one that is demanded for ever ends in words.
    let (_, api) = serve(account(), &[(200, &demand)]).await;
    assert!(api.space(&id()).await.expect_err("for ever").to_string().contains("brand_new"));
}

#[tokio::test]
async fn a_stale_query_id_falls_back_and_then_says_which_key_to_change() {
    let other = RUNNING.replace("audioSpace", "audio_space_by_rest_id");
    let (script, api) = serve(account(), &[(404, ""), (200, &other)]).await;
    api.space(&id()).await.expect("a space");
    let uri = script.lock().expect("a lock").asked[1].0.clone();
    assert!(uri.contains("/AudiospaceByRestId?") && uri.contains("audio_space_id"), "{uri}");
    let (_, api) = serve(account(), &[(404, "")]).await;
    let error = api.space(&id()).await.expect_err("stale");
    assert!(error.to_string().contains("x.audio_space_by_id") && error.class() == SourceFault::Operator);
}

#[tokio::test]
async fn an_empty_answer_is_asked_again_before_the_space_counts_as_missing() {
    let empty = r#"{"data":{"audioSpace":{}}}"#;
    let (_, api) = serve(account(), &[(200, empty), (200, RUNNING)]).await;
    api.space(&id()).await.expect("a space at the second time");
    let (script, api) = serve(Auth::Guest, &[(200, empty)]).await;
    let error = api.space(&id()).await.expect_err("no space");
    assert_eq!((error.clone(), error.class()), (ApiError::NotFound(" (asked as a guest)"), SourceFault::Gone));
    assert_eq!(script.lock().expect("a lock").asked.len(), 4);
}

#[tokio::test]
async fn every_refusal_says_what_to_do_and_holds_no_secret() {
    let csrf = error(353, "This request requires a matching csrf cookie and header.");
    let transaction = error(0, "missing header x-client-transaction-id");
    for (status, body, words, class) in [
        (401, error(32, "Could not authenticate you."), "export cookies.txt again", SourceFault::Operator),
        (403, csrf, "different logins", SourceFault::Operator),
        (403, transaction, "dynamic_playlist.m3u8", SourceFault::Operator),
        (200, error(214, "BadRequest: invalid broadcast_ids"), "check the link", SourceFault::Gone),
        (200, error(131, "Internal error"), "Internal error", SourceFault::Transient),
        (503, String::new(), "out of order (status 503)", SourceFault::Transient),
        (200, "<html>".to_owned(), "page instead of data", SourceFault::Transient),
        (418, String::new(), "status 418", SourceFault::Transient),
    ] {
        let (_, api) = serve(account(), &[(status, &body)]).await;
        let error = api.space(&id()).await.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?} {api:?}").contains("canary"), "{error:?}");
        assert_eq!(error.class(), class, "{error}");
    }
    let (_, api) = serve(account(), &[(429, &error(88, "Rate limit exceeded."))]).await;
    let limited = api.space(&id()).await.expect_err("limited");
    assert!(matches!(limited, ApiError::RateLimited(wait) if (110..=121).contains(&wait.as_secs())), "{limited}");
}

#[tokio::test]
async fn a_limited_call_is_not_made_again_before_its_time_and_look_ups_keep_their_distance() {
    let (script, api) = serve(account(), &[(429, "")]).await;
    for _ in 0..3 {
        let error = api.space(&id()).await.expect_err("limited");
        assert!(matches!(error, ApiError::RateLimited(wait) if (100..=121).contains(&wait.as_secs())), "{error}");
    }
    assert_eq!(script.lock().expect("a lock").asked.len(), 1);
    let (script, api) = serve(account(), &[(503, "")]).await;
    let start = Instant::now();
    for _ in 0..6 {
        assert_eq!(api.space(&id()).await, Err(ApiError::Server(503)));
    }
    assert!(start.elapsed() >= 5 * Duration::from_millis(20), "{:?}", start.elapsed());
    assert_eq!(script.lock().expect("a lock").asked.len(), 6);
}

#[tokio::test]
async fn a_guest_token_is_renewed_once_and_then_a_login_is_asked_for() {
    let refused = error(239, "Bad guest token.");
    let (script, api) = serve(Auth::Guest, &[(200, RUNNING), (403, &refused), (200, RUNNING), (403, &refused)]).await;
    api.space(&id()).await.expect("a space");
    api.space(&id()).await.expect("with a new token");
    assert_eq!(script.lock().expect("a lock").tokens, 2);
    let error = api.space(&id()).await.expect_err("no guests");
    assert!(error.to_string().contains("log in"), "{error}");
    let script = script.lock().expect("a lock");
    assert_eq!(script.tokens, 3);
    assert!(script.asked.last().is_some_and(|(uri, _)| uri.contains("/AudiospaceByRestId?")));
    assert!(
        script
            .asked
            .iter()
            .all(|(_, headers)| headers.contains_key("x-guest-token") && !headers.contains_key("cookie"))
    );
}

#[tokio::test]
async fn the_stream_is_asked_for_with_the_same_login() {
    let (script, api) = serve(account(), &[(200, STATUS), (404, ""), (200, "<html>")]).await;
    assert!(api.stream("28_123").await.expect("a playlist").path().contains("/audio-space/"));
    assert_eq!(api.stream("28_123").await, Err(ApiError::NoStream));
    assert_eq!(api.stream("28_123").await, Err(ApiError::NotJson(200)));
    let script = script.lock().expect("a lock");
    assert!(script.asked[0].0.starts_with("/i/api/1.1/live_video_stream/status/28_123?client=web"));
    assert!(script.asked[0].1.contains_key("cookie"));
}
