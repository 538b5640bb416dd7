//! What every request goes through before a handler sees it: names and origins (DNS rebinding, foreign pages), tokens and
//! sessions, bounds of time; and what every answer carries.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::Role;
use super::listen::Peer;
use super::page;
use super::problem::Problem;
use super::reference;
use super::{COOKIE, Door};

/// Time from a request to its answer; streams have begun theirs by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What every answer says to browsers. The page may load nothing from elsewhere and be shown in no other.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// Paths that need no token: they tell nothing of any show.
fn is_public(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/api/v1/openapi.json" | "/api/v1/session")
        || page::is_page(path)
        || reference::is_part(path)
}

/// Lets a request in, and gives every answer its headers and its form.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let address = client_address(&door, &request);
    let asked = (Instant::now(), door.traffic.template_of(request.uri().path()), request.method().clone());
    let answered = match admit(&door, &request, address) {
        Ok(()) => {
            request.extensions_mut().insert(Admitted { address });
            tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await
        }
        Err(problem) => Ok(problem.into_response()),
    };
    let answer = answered.unwrap_or_else(|_| Problem::new("timeout", "Try again.").into_response());
    let mut answer = in_form(answer).await;
    let (begun, route, method) = asked;
    door.traffic.note(&route, &method, answer.status(), begun.elapsed());
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if door.secure {
        let year = HeaderValue::from_static("max-age=31536000");
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    answer
}

/// Who was let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    /// Where it comes from.
    pub(super) address: IpAddr,
}

fn client_address(door: &Door, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    if !door.behind_proxy {
        return peer;
    }
    // The last one was written by our own proxy; what stands before it anybody can have written.
    let forwarded = request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok()).unwrap_or(peer)
}

fn admit(door: &Door, request: &Request, address: IpAddr) -> Result<(), Problem> {
    let headers = request.headers();
    let host = host_of(request).filter(|host| door.is_ours(host.host()));
    let host = host.ok_or_else(|| {
        Problem::new("wrong-host", "Use its own name or address, or add the name with --name when it is started.")
    })?;
    let origin = check_origin(headers, &host)?;
    if is_public(request.uri().path()) {
        return Ok(());
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let role = role_of(door, headers, changes, origin, address)?;
    if changes && role < Role::Operate {
        return Err(Problem::new("forbidden", "Use the token of the role operate."));
    }
    Ok(())
}

fn role_of(door: &Door, headers: &HeaderMap, changes: bool, origin: bool, address: IpAddr) -> Result<Role, Problem> {
    let now = Instant::now();
    if let Some(seconds) = door.failures.wait(address, now) {
        return Err(Problem::new("too-many-failures", "Wait a minute.").retry_after(seconds));
    }
    if let Some(bearer) = bearer(headers) {
        return door.tokens.role_of(bearer).ok_or_else(|| {
            door.failures.note(address, now);
            Problem::new("unauthorized", "The token is wrong.")
        });
    }
    let role = session(headers).and_then(|cookie| door.tokens.role_of_session(cookie));
    let detail =
        "Send Authorization: Bearer TOKEN, or open a session. The tokens lie in the folder serve of the state.";
    let role = role.ok_or_else(|| Problem::new("unauthorized", detail))?;
    // Browsers say where an order comes from, and send a session's cookie by themselves.
    if changes && !origin {
        return Err(Problem::new("foreign-origin", "An order by a session's cookie needs the header Origin."));
    }
    Ok(role)
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session's cookie, if there is one.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|list| list.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

/// Where the client says that it has gone to.
fn host_of(request: &Request) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    let host = hosts.next()?.to_str().ok()?.parse::<Authority>().ok()?;
    let alone = hosts.next().is_none() && !host.as_str().contains('@');
    let agrees = request.uri().authority().is_none_or(|authority| *authority == host);
    (alone && agrees).then_some(host)
}

/// Whether an origin was named; one that is not this very page is refused.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<bool, Problem> {
    let foreign = || Problem::new("foreign-origin", "Only the daemon's own page may ask it from a browser.");
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
        return Err(foreign());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(false) };
    let origin = origin.to_str().ok().and_then(|origin| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
        rest.parse::<Authority>().ok()
    });
    if origin.is_some_and(|origin| origin == *host) { Ok(true) } else { Err(foreign()) }
}

/// An error of the library becomes one of ours.
async fn in_form(answer: Response) -> Response {
    let status = answer.status();
    let is_ours = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let allow = answer.headers().get(header::ALLOW).cloned();
    let detail = match status {
        StatusCode::NOT_FOUND => "Everything that there is stands in /api/v1/openapi.json.".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "See /api/v1/openapi.json.".to_owned(),
        _ => {
            let bytes = axum::body::to_bytes(answer.into_body(), 2000).await.unwrap_or_default();
            crate::text::plain(&String::from_utf8_lossy(&bytes), 300)
        }
    };
    let mut answer = Problem::of_status(status, detail).into_response();
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_foreign_unless_it_is_the_page_itself() {
        let host: Authority = "127.0.0.1:8480".parse().unwrap();
        let check = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            check_origin(&headers, &host).map_err(|problem| problem.code)
        };
        assert_eq!(check("accept", "text/html"), Ok(false));
        assert_eq!(check("origin", "http://127.0.0.1:8480"), Ok(true));
        assert_eq!(check("sec-fetch-site", "same-origin"), Ok(false));
        for (name, value) in [
            ("origin", "http://127.0.0.1:8481"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:8480.evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            assert_eq!(check(name, value), Err("foreign-origin"), "{name}: {value}");
        }
    }

    #[test]
    fn a_request_with_two_hosts_or_a_host_and_another_target_has_none() {
        let request = |target: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            host_of(&request.body(axum::body::Body::empty()).unwrap()).map(|host| host.to_string())
        };
        assert_eq!(request("/x", &["localhost:1"]), Some("localhost:1".to_owned()));
        for (target, hosts) in
            [("/x", &["a", "b"][..]), ("/x", &[]), ("http://b/x", &["a"]), ("/x", &["user@a"]), ("/x", &["a b"])]
        {
            assert_eq!(request(target, hosts), None, "{target} {hosts:?}");
        }
    }
}
