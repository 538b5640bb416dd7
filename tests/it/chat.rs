//! The read-only chat and the search for a host's next space, against the simulated space over real sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spacebridge::clock::Clock;
use spacebridge::config::XApiConfig;
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::rehearsal::space::control::{SpaceReport, SpaceStarted};
use spacebridge::rehearsal::space::{SpaceArgs, SpaceServer};
use spacebridge::secret::Secret;
use spacebridge::source::SourceFault;
use spacebridge::source::x_space::api::XApi;
use spacebridge::source::x_space::auth::Auth;
use spacebridge::source::x_space::chat::{ChatFact, listen};
use spacebridge::source::x_space::url::SpaceId;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

struct Stage {
    started: SpaceStarted,
    api: Arc<XApi>,
    client: reqwest::Client,
    _guard: DropGuard,
}

impl Stage {
    async fn open() -> Self {
        let server = SpaceServer::bind(SpaceArgs::default(), Clock::system()).await.expect("a space");
        let started = server.started();
        let token = CancellationToken::new();
        tokio::spawn(server.serve(token.clone().cancelled_owned()));
        let url = |text: &str| Url::parse(text).expect("a url");
        let config = XApiConfig {
            api_base: url(&started.api_base),
            guest_base: url(&started.guest_base),
            chat_base: url(&started.guest_base),
            allow_private_addresses: true,
            lookup_interval: Duration::from_secs(1),
            ..XApiConfig::default()
        };
        let settings = HttpSettings { allow_private_addresses: true, ..HttpSettings::default() };
        let client = HttpClient::new(settings).expect("a client");
        let auth = Auth::LoggedIn { auth_token: Secret::new("a".repeat(40)), ct0: Secret::new("b".repeat(160)) };
        let api = Arc::new(XApi::new(client, Clock::system(), config, auth));
        Self { started, api, client: reqwest::Client::new(), _guard: token.drop_guard() }
    }

    async fn order(&self, json: &'static str) -> SpaceReport {
        let url = format!("{}/control", self.started.guest_base);
        let request = self.client.post(url).header("content-type", "application/json").body(json);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).expect(json);
        answer.json().await.expect("a report")
    }

    /// The chat token of the running space, as the source learns it.
    async fn chat_token(&self) -> Secret {
        let id = SpaceId::new(&self.started.space_id).expect("an id");
        let key = self.api.space(&id).await.expect("metadata").media_key.expect("a key");
        self.api.stream(&key).await.expect("a stream");
        self.api.chat_token().expect("a chat token")
    }

    fn listen(&self, token: Secret) -> Hearing {
        let (sender, facts) = mpsc::channel(16);
        let over = CancellationToken::new();
        tokio::spawn(listen(self.api.clone(), token, sender, over.clone()));
        Hearing { facts, _guard: over.drop_guard() }
    }
}

struct Hearing {
    facts: mpsc::Receiver<ChatFact>,
    _guard: DropGuard,
}

impl Hearing {
    /// The next fact that is no count.
    async fn next(&mut self) -> ChatFact {
        loop {
            let fact = tokio::time::timeout(Duration::from_secs(20), self.facts.recv()).await;
            match fact.expect("a fact in time").expect("the chat is still read") {
                ChatFact::Occupancy(_) => {}
                fact => return fact,
            }
        }
    }

    async fn lost(&mut self) -> String {
        match self.next().await {
            ChatFact::Lost(words) => words,
            fact => panic!("{fact:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_tells_the_end_and_survives_whatever_is_said_in_it() {
    let stage = Stage::open().await;
    let token = stage.chat_token().await;
    stage.order(r#"{"do":"chat","event":"absent","times":1}"#).await;
    let mut hearing = stage.listen(token.clone());
    assert_eq!(hearing.next().await, ChatFact::Joined, "a chat that is not open in its first minute is no loss");
    stage.order(r#"{"do":"chat","event":"arrival"}"#).await;
    let mut counts = Vec::new();
    while counts.last() != Some(&5) {
        match tokio::time::timeout(Duration::from_secs(5), hearing.facts.recv()).await.expect("a count") {
            Some(ChatFact::Occupancy(count)) => counts.push(count),
            fact => panic!("{fact:?}"),
        }
    }
    for event in ["malformed", "unknown", "caption"] {
        let order = format!(r#"{{"do":"chat","event":"{event}","times":3}}"#);
        stage.order(Box::leak(order.into_boxed_str())).await;
    }
    for _ in 0..3 {
        let ChatFact::Caption(caption) = hearing.next().await else { panic!("a caption") };
        assert_eq!((&caption.text[..], caption.speaker.as_deref()), ("this is what was said", Some("alice")));
    }
    let began = Instant::now();
    stage.order(r#"{"do":"chat","event":"flood","times":4000}"#).await;
    stage.order(r#"{"do":"end"}"#).await;
    assert_eq!(hearing.next().await, ChatFact::SpaceEnded);
    assert!(began.elapsed() > Duration::from_millis(1500), "4000 messages were read within {:?}", began.elapsed());
    let report = stage.order(r#"{"do":"heal"}"#).await;
    assert_eq!((report.requests["chat_access"], report.requests["chat"]), (2, 1));
    assert!(!report.cookies_in.contains("chat") && !report.cookies_in.contains("chat_access"), "no cookie in the chat");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_breaks_off_is_joined_again_with_a_fresh_access() {
    let stage = Stage::open().await;
    let token = stage.chat_token().await;
    let mut hearing = stage.listen(token.clone());
    assert_eq!(hearing.next().await, ChatFact::Joined);
    stage.order(r#"{"do":"chat","event":"close","code":1001}"#).await;
    assert!(hearing.lost().await.contains("1001"));
    assert_eq!(hearing.next().await, ChatFact::Joined);
    let mut second = stage.listen(token.clone());
    assert_eq!(second.next().await, ChatFact::Joined);
    stage.order(r#"{"do":"chat","event":"huge"}"#).await;
    let words = second.lost().await;
    assert!(words.len() < 200, "{words}");
    assert_eq!(second.next().await, ChatFact::Joined);
    let mut stranger = stage.listen(Secret::new("not-a-token"));
    assert!(stranger.lost().await.contains("401"));
    // Told once, however often it is tried again.
    assert!(tokio::time::timeout(Duration::from_secs(3), stranger.facts.recv()).await.is_err());
    assert!(stage.order(r#"{"do":"heal"}"#).await.requests["chat_access"] >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_space_of_a_host_is_found_and_trouble_is_classed() {
    let stage = Stage::open().await;
    let host = "1470000000000004711";
    let found = stage.api.live_content_of(host).await.expect("an answer");
    assert_eq!(found.space.expect("live").as_str(), stage.started.space_id);
    assert_eq!(found.refresh, Some(Duration::from_secs(30)));
    assert_eq!(stage.api.live_space_of("12").await.expect("an answer"), None);
    assert!(stage.api.live_space_of("../12").await.is_err());
    stage.order(r#"{"do":"timeout"}"#).await;
    assert_eq!(stage.api.live_space_of(host).await.expect("an answer"), None);
    let next = stage.order(r#"{"do":"new_space"}"#).await.space_id;
    assert_eq!(stage.api.live_space_of(host).await.expect("an answer").expect("live").as_str(), next);
    stage.order(r#"{"do":"fail_api","fault":{"kind":"rate_limited","reset_in_seconds":40},"times":1}"#).await;
    let refused = stage.api.live_space_of(host).await.expect_err("a limit");
    let SourceFault::RateLimited(wait) = refused.class() else { panic!("{refused}") };
    assert!((38..=41).contains(&wait.as_secs()), "{wait:?}");
}
