//! Bounded HTTP: every body has a limit in bytes and every request one in time, redirects are checked one by one.
//!
//! What the network names may not lead to loopback, link-local or private addresses (see `guard`). Secrets travel only
//! over https to hosts on the caller's list and never across a redirect. This module knows no platform.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use native_tls::TlsConnector;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use url::Url;

use crate::secret::Secret;
use guard::{Guard, NoPublicAddress, PublicOnly, Trust};

mod guard;
mod socket;
mod stream;
mod tls;

pub use socket::Socket;
pub use stream::Incoming;

/// Redirects that are followed: more is a loop.
const MAX_REDIRECTS: usize = 5;

/// Time for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time without any byte after which a body is given up, whatever its own limit is.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Who a client is and whom it may speak to.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Whether every address may be private. A rehearsal sets it.
    pub allow_private_addresses: bool,
    /// Addresses that the operator's own configuration names: their host and port may be private.
    pub operator_urls: Vec<Url>,
    /// Hosts, with their subdomains, that may get secrets; https only.
    pub secret_hosts: Vec<String>,
    /// Time without any byte after which a request is given up; 10 s where none is said. Only a long poll wants more.
    pub patience: Option<Duration>,
}

/// An HTTP client with limits. Clones share connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    /// For what the network names: names resolve to public addresses only.
    public: reqwest::Client,
    /// For what the operator names.
    operator: reqwest::Client,
    guard: Guard,
    settings: HttpSettings,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where.
    pub url: Url,
    /// POST instead of GET, with an empty body where there is no `json`.
    pub post: bool,
    /// DELETE instead of GET.
    pub delete: bool,
    /// What to post, of the type that a header says. A request that carries some is not sent on: a redirect is its answer.
    pub body: Option<Bytes>,
    /// POST with this JSON, which may hold a secret: it goes over https only and follows no redirect.
    pub secret_json: Option<Secret>,
    /// Plain headers.
    pub headers: Vec<(&'static str, String)>,
    /// Headers with secrets, such as cookies. A request that has some follows no redirect.
    pub secrets: Vec<(&'static str, Secret)>,
    /// Largest body, in bytes, after decompression.
    pub max_bytes: usize,
    /// Time for everything: connection, redirects and body.
    pub time_limit: Duration,
}

/// A whole answer of any status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: Url,
    /// `Content-Type`, in lower case.
    pub content_type: String,
    /// `Location`, as it was written: hostile text.
    pub location: Option<String>,
    /// What the server says of its limit.
    pub rate: RateLimit,
    /// The body.
    pub body: Bytes,
}

/// The `x-rate-limit-*` and `Retry-After` headers of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Calls left until the reset.
    pub remaining: Option<u64>,
    /// When the count starts again, in Unix seconds.
    pub reset: Option<i64>,
    /// `Retry-After`, counted from the answer.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer. No message holds a header, a query or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Something else than http or https.
    #[error("an address with the scheme `{0}` was refused: only http and https are read")]
    Scheme(String),
    /// Not an address that can be asked.
    #[error("an address without a host was refused")]
    BadUrl,
    /// An address of this machine or its network, which only the configuration may name.
    #[error(
        "the address {0} leads into this machine or a private network and was refused: only an address in your own \
         configuration may do that"
    )]
    PrivateAddress(String),
    /// Secrets would have gone to a host that is not on the list, or unencrypted.
    #[error("cookies were not sent to {0}: it is not https on a host of `cookie_hosts`")]
    SecretHost(String),
    /// A request with secrets was redirected.
    #[error("the request was redirected to {0}, where the cookies do not go")]
    RedirectWithSecrets(String),
    /// A loop.
    #[error("more than {MAX_REDIRECTS} redirects")]
    TooManyRedirects,
    /// The body is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The time for the request is over.
    #[error("no complete answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The connection failed: a word on why.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The client could not be made, or a header holds something that cannot be sent.
    #[error("the request could not be made: {0}")]
    Setup(String),
}

impl NetError {
    /// Whether asking again cannot help.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::TimedOut(_) | Self::Connection(_) | Self::TooLarge(_) | Self::TooManyRedirects)
    }
}

impl Request {
    /// A GET of `url` with limits.
    pub fn get(url: Url, max_bytes: usize, time_limit: Duration) -> Self {
        Self {
            url,
            post: false,
            delete: false,
            body: None,
            secret_json: None,
            headers: Vec::new(),
            secrets: Vec::new(),
            max_bytes,
            time_limit,
        }
    }

    /// A POST of JSON to `url` with limits; it follows no redirect.
    pub fn post_json(url: Url, json: Bytes, max_bytes: usize, time_limit: Duration) -> Self {
        Self::post(url, "application/json", json, max_bytes, time_limit)
    }

    /// A POST of `body` to `url` with limits; it follows no redirect.
    pub fn post(url: Url, content_type: &str, body: Bytes, max_bytes: usize, time_limit: Duration) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { post: true, body: Some(body), headers, ..Self::get(url, max_bytes, time_limit) }
    }

    /// A DELETE of `url` with a limit; what the server says to it does not matter.
    pub fn delete(url: Url, time_limit: Duration) -> Self {
        Self { delete: true, ..Self::get(url, 1 << 16, time_limit) }
    }

    /// With a plain header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a header that is secret.
    #[must_use]
    pub fn secret(mut self, name: &'static str, value: Secret) -> Self {
        self.secrets.push((name, value));
        self
    }
}

impl HttpClient {
    /// A client.
    ///
    /// # Errors
    /// When the system's TLS cannot be had.
    pub fn new(settings: HttpSettings) -> Result<Self, NetError> {
        let guard = Guard::new(settings.allow_private_addresses, &settings.operator_urls);
        let tls = tls::connector()?;
        let operator = builder(&settings, &tls).build().map_err(|error| NetError::Setup(error.to_string()))?;
        let public = builder(&settings, &tls).dns_resolver(PublicOnly);
        let public = public.build().map_err(|error| NetError::Setup(error.to_string()))?;
        Ok(Self { public, operator, guard, settings })
    }

    /// Sends `request` and reads the answer, following redirects.
    ///
    /// # Errors
    /// [`NetError`] when there is no complete answer; every status is an answer.
    pub async fn send(&self, request: Request) -> Result<Answer, NetError> {
        let limit = request.time_limit;
        tokio::time::timeout(limit, self.follow(request)).await.unwrap_or(Err(NetError::TimedOut(limit)))
    }

    async fn follow(&self, request: Request) -> Result<Answer, NetError> {
        let max_bytes = request.max_bytes;
        let (response, url) = self.head(request).await?;
        read(response, url, max_bytes).await
    }

    /// The answer behind all redirects, before its body, and its address.
    async fn head(&self, mut request: Request) -> Result<(reqwest::Response, Url), NetError> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(&request).await?;
            let target = if request.body.is_some() { None } else { redirect_target(&request.url, &response)? };
            let Some(target) = target else {
                return Ok((response, request.url));
            };
            if !request.secrets.is_empty() || request.secret_json.is_some() {
                return Err(NetError::RedirectWithSecrets(target.host_str().unwrap_or_default().to_owned()));
            }
            request.url = target;
        }
        Err(NetError::TooManyRedirects)
    }

    async fn send_once(&self, request: &Request) -> Result<reqwest::Response, NetError> {
        let client = match self.guard.check(&request.url)? {
            Trust::Operator => &self.operator,
            Trust::Network => &self.public,
        };
        if !request.secrets.is_empty() && !self.may_get_secrets(&request.url) {
            return Err(NetError::SecretHost(request.url.host_str().unwrap_or_default().to_owned()));
        }
        if request.secret_json.is_some() && !self.is_private_way(&request.url) {
            return Err(NetError::SecretHost(request.url.host_str().unwrap_or_default().to_owned()));
        }
        let posts = request.post || request.secret_json.is_some();
        let method = match () {
            () if posts => reqwest::Method::POST,
            () if request.delete => reqwest::Method::DELETE,
            () => reqwest::Method::GET,
        };
        let mut builder = client.request(method, request.url.clone()).headers(headers_of(request)?);
        builder = match (&request.secret_json, &request.body) {
            (Some(json), _) => builder.header("content-type", "application/json").body(json.expose().to_owned()),
            (None, Some(body)) => builder.body(body.clone()),
            (None, None) if posts => builder.header("content-length", "0"),
            (None, None) => builder,
        };
        builder.send().await.map_err(|error| connection_error(error, &request.url))
    }

    fn may_get_secrets(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let listed =
            |allowed: &String| host == allowed || host.strip_suffix(allowed.as_str()).is_some_and(|h| h.ends_with('.'));
        match url.scheme() {
            "https" => self.settings.secret_hosts.iter().any(listed) || self.is_rehearsal(url),
            _ => self.is_rehearsal(url),
        }
    }

    /// Whether nobody on the way can read what goes to `url`.
    fn is_private_way(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.is_rehearsal(url)
    }

    /// A rehearsal's simulated space speaks plain http on loopback.
    fn is_rehearsal(&self, url: &Url) -> bool {
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        self.settings.allow_private_addresses && loopback
    }
}

fn builder(settings: &HttpSettings, tls: &TlsConnector) -> reqwest::ClientBuilder {
    // No proxy: it would resolve names in our place, and the check of addresses would check nothing.
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(settings.user_agent.clone())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(settings.patience.unwrap_or(READ_TIMEOUT))
}

fn headers_of(request: &Request) -> Result<HeaderMap, NetError> {
    let bad = |name: &str| NetError::Setup(format!("the value of the header `{name}` cannot be sent"));
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).map_err(|_| bad(name))?);
    }
    for (name, secret) in &request.secrets {
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| bad(name))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn redirect_target(from: &Url, response: &reqwest::Response) -> Result<Option<Url>, NetError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    from.join(location).map(Some).map_err(|_| NetError::BadUrl)
}

async fn read(response: reqwest::Response, url: Url, max_bytes: usize) -> Result<Answer, NetError> {
    let status = response.status().as_u16();
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = text("content-type").to_ascii_lowercase();
    let location = Some(text("location").to_owned()).filter(|location| !location.is_empty());
    let rate = RateLimit {
        remaining: text("x-rate-limit-remaining").parse().ok(),
        reset: text("x-rate-limit-reset").parse().ok(),
        retry_after: retry_after(text("retry-after"), text("date")),
    };
    if response.content_length().is_some_and(|length| length > max_bytes as u64) {
        return Err(NetError::TooLarge(max_bytes));
    }
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| connection_error(error, &url))?;
        if body.len() + piece.len() > max_bytes {
            return Err(NetError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status, url, content_type, location, rate, body: body.freeze() })
}

/// `Retry-After` in seconds, or as a date (RFC 9110, 10.2.3) counted from the answer's own, so that no clock is trusted.
fn retry_after(value: &str, date: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp());
    Duration::try_from(time(value)?.duration_since(time(date)?)).ok()
}

/// reqwest's error without its address (which may hold a token) and with its innermost cause, which says most.
fn connection_error(error: reqwest::Error, url: &Url) -> NetError {
    let error = error.without_url();
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    loop {
        if cause.is::<NoPublicAddress>() {
            return NetError::PrivateAddress(url.host_str().unwrap_or_default().to_owned());
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    if error.is_timeout() && error.source().is_none() {
        return NetError::TimedOut(READ_TIMEOUT);
    }
    NetError::Connection(crate::text::plain(&cause.to_string(), 200))
}

#[cfg(test)]
mod tests;
