//! Over real sockets on loopback.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::*;

async fn serve(router: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&format!("http://{address}/")).expect("a url")
}

fn client(allow_private: bool, operator: &[Url]) -> HttpClient {
    HttpClient::new(HttpSettings {
        patience: None,
        user_agent: "test".into(),
        allow_private_addresses: allow_private,
        operator_urls: operator.to_vec(),
        secret_hosts: vec!["x.com".into()],
    })
    .expect("a client")
}

fn ask(base: &Url, path: &str) -> Request {
    Request::get(base.join(path).expect("a path"), 1000, Duration::from_secs(5))
}

#[tokio::test]
async fn an_endless_body_is_cut_at_its_limit() {
    let endless = || async {
        let pieces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 512])));
        axum::body::Body::from_stream(pieces).into_response()
    };
    let base =
        serve(Router::new().route("/endless", get(endless)).route("/big", get(|| async { vec![0_u8; 5000] }))).await;
    let client = client(true, &[]);
    for path in ["endless", "big"] {
        assert_eq!(client.send(ask(&base, path)).await.expect_err(path), NetError::TooLarge(1000));
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_only_the_time_limit() {
    let base = serve(Router::new().route("/hang", get(std::future::pending::<&'static str>))).await;
    let request = Request { time_limit: Duration::from_millis(200), ..ask(&base, "hang") };
    let error = client(true, &[]).send(request).await.expect_err("no answer");
    assert_eq!(error, NetError::TimedOut(Duration::from_millis(200)));
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn a_redirect_to_a_strangers_loopback_or_a_file_is_refused() {
    let victim = serve(Router::new().route("/", get(|| async { "secret of this machine" }))).await;
    let to_victim = victim.to_string();
    let router = Router::new()
        .route("/port", get(move || async move { (StatusCode::FOUND, [(header::LOCATION, to_victim)]) }))
        .route("/file", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "file:///etc/passwd")]) }))
        .route("/loop", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/loop")]) }))
        .route("/here", get(|| async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "end?q=1")]) }))
        .route("/end", get(|| async { "end" }));
    let base = serve(router).await;
    let client = client(false, std::slice::from_ref(&base));
    assert!(matches!(client.send(ask(&base, "port")).await, Err(NetError::PrivateAddress(_))));
    assert!(matches!(client.send(ask(&base, "file")).await, Err(NetError::Scheme(scheme)) if scheme == "file"));
    assert!(matches!(client.send(ask(&base, "loop")).await, Err(NetError::TooManyRedirects)));
    let answer = client.send(ask(&base, "here")).await.expect("followed");
    assert_eq!((answer.body.as_ref(), answer.url.query()), (b"end".as_slice(), Some("q=1")));
}

#[tokio::test]
async fn a_name_of_this_machine_is_refused_after_it_was_resolved() {
    let base = serve(Router::new().route("/", get(|| async { "here" }))).await;
    let mut named = base.clone();
    named.set_host(Some("localhost")).expect("a host");
    let refused = client(false, &[]).send(ask(&named, "")).await;
    assert!(matches!(refused, Err(NetError::PrivateAddress(_))), "{refused:?}");
    assert!(client(false, std::slice::from_ref(&named)).send(ask(&named, "")).await.is_ok());
}

#[tokio::test]
async fn cookies_go_only_to_listed_https_hosts_and_never_across_a_redirect() {
    let echo = |headers: HeaderMap| async move { headers.contains_key("cookie").to_string() };
    let router = Router::new()
        .route("/echo", get(echo))
        .route("/away", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "https://elsewhere.example/")]) }));
    let base = serve(router).await;
    let with = |url: &Url, path| ask(url, path).secret("cookie", Secret::new("auth_token=canary"));
    let operator = client(false, std::slice::from_ref(&base));
    assert!(matches!(operator.send(with(&base, "echo")).await, Err(NetError::SecretHost(_))));
    let rehearsal = client(true, &[]);
    assert_eq!(rehearsal.send(with(&base, "echo")).await.expect("loopback").body.as_ref(), b"true");
    let error = rehearsal.send(with(&base, "away")).await.expect_err("not followed");
    assert_eq!(error, NetError::RedirectWithSecrets("elsewhere.example".into()));
    for (url, allowed) in [
        ("https://x.com/i/api", true),
        ("https://api.x.com/", true),
        ("https://notx.com/", false),
        ("https://x.com.evil.example/", false),
        ("http://x.com/", false),
    ] {
        assert_eq!(operator.may_get_secrets(&Url::parse(url).expect("a url")), allowed, "{url}");
    }
}

#[tokio::test]
async fn rate_limits_and_any_status_are_answers() {
    let limited = || async {
        (StatusCode::TOO_MANY_REQUESTS, [("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1700000000")], "{}")
    };
    let base = serve(Router::new().route("/limited", post(limited))).await;
    let answer = client(true, &[]).send(Request { post: true, ..ask(&base, "limited") }).await.expect("an answer");
    assert_eq!(answer.status, 429);
    assert_eq!(answer.rate, RateLimit { remaining: Some(0), reset: Some(1_700_000_000), retry_after: None });
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_not_a_short_answer() {
    let broken = || async {
        let pieces =
            futures_util::stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("broken"))]);
        ([(header::CONTENT_LENGTH, "8")], axum::body::Body::from_stream(pieces))
    };
    let base = serve(Router::new().route("/broken", get(broken))).await;
    let error = client(true, &[]).send(ask(&base, "broken")).await.expect_err("broken");
    assert!(matches!(error, NetError::Connection(_)), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_is_said_without_the_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = Url::parse(&format!("http://{}/key?token=canary", listener.local_addr().expect("bound"))).expect("a url");
    drop(listener);
    let error = client(true, &[]).send(Request::get(url, 10, Duration::from_secs(5))).await.expect_err("closed");
    assert!(!error.to_string().contains("canary") && error.to_string().contains("refused"), "{error}");
}
