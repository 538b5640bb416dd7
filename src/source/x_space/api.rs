//! X's undocumented API as far as a listener needs it: who asks, what is asked, what refusals mean.
//!
//! Paths, headers and errors as observed by yt-dlp, twspace-crawler and twspace-dl; everything that changes with X's
//! page is configuration. Cookies go where [`HttpClient`] lets them go, and nowhere else.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use url::Url;

use super::auth::Auth;
use super::error::ApiError;
use super::limits::Limits;
use super::metadata::{self, GraphqlAnswer, Metadata, StreamAnswer};
use super::url::SpaceId;
use crate::clock::Clock;
use crate::config::XApiConfig;
use crate::net::{Answer, HttpClient, Request};
use crate::secret::Secret;

/// Largest answer, in bytes: metadata of a Space with a full stage has about 100 KB.
const MAX_ANSWER: usize = 2 << 20;

/// Time for one call.
const CALL_TIME: Duration = Duration::from_secs(15);

/// A guest token is renewed after this long, as twspace-crawler does.
const GUEST_TOKEN_AGE: Duration = Duration::from_secs(30 * 60);

/// Rounds of adding the features that error 336 names.
pub(super) const FEATURE_ROUNDS: usize = 5;

/// Times that an empty answer is asked again: X gives some for Spaces that exist (yt-dlp).
const EMPTY_RETRIES: u32 = 3;

/// Asks X.
#[derive(Debug)]
pub struct XApi {
    pub(super) client: HttpClient,
    pub(super) clock: Clock,
    pub(super) config: XApiConfig,
    auth: Auth,
    guest: Mutex<Option<(Secret, Instant)>>,
    /// Features that X demanded by error 336.
    demanded: Mutex<BTreeSet<String>>,
    limits: Limits,
    /// What the last answer on the stream gave for the chat.
    chat: Mutex<Option<Secret>>,
    /// The same for who says that they are there.
    lifecycle: Mutex<Option<Secret>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    ById,
    ByRestId,
}

impl XApi {
    /// Asks as `auth` through `client`.
    pub fn new(client: HttpClient, clock: Clock, config: XApiConfig, auth: Auth) -> Self {
        Self {
            client,
            clock,
            config,
            auth,
            guest: Mutex::default(),
            demanded: Mutex::default(),
            limits: Limits::default(),
            chat: Mutex::default(),
            lifecycle: Mutex::default(),
        }
    }

    /// Whether the operator's account asks.
    pub fn is_logged_in(&self) -> bool {
        self.auth != Auth::Guest
    }

    /// What is known of a Space. Waits until the configured pause since the last look-up is over.
    ///
    /// # Errors
    /// [`ApiError`], with what to do.
    pub async fn space(&self, id: &SpaceId) -> Result<Metadata, ApiError> {
        let mut operation = Operation::ById;
        let mut empty = 0;
        let mut rounds = 0;
        let mut refusal = None;
        self.pace().await;
        loop {
            let url = self.graphql_url(operation, id)?;
            let answer = match self.call_with(url, operation == Operation::ById).await {
                // What guests may not ask in one way they may still ask in the other.
                Err(error @ ApiError::Guest(_)) if operation == Operation::ById => {
                    refusal = Some(error);
                    operation = Operation::ByRestId;
                    continue;
                }
                answer => answer.map_err(|error| refusal.take().unwrap_or(error))?,
            };
            if answer.status == 404 {
                if operation == Operation::ByRestId {
                    return Err(refusal.unwrap_or(ApiError::StaleQueryId));
                }
                operation = Operation::ByRestId;
                continue;
            }
            // 400 brings error 336 and 214 as well (yt-dlp).
            match metadata::graphql(&answer.body) {
                GraphqlAnswer::Space(metadata) => {
                    if operation == Operation::ByRestId && refusal.is_none() {
                        tracing::warn!(
                            "X does not know AudioSpaceById any more; set x.audio_space_by_id to the new query id."
                        );
                    }
                    return Ok(*metadata);
                }
                GraphqlAnswer::MissingFeatures(names) if rounds < FEATURE_ROUNDS && self.demand(&names) => rounds += 1,
                GraphqlAnswer::MissingFeatures(names) => {
                    let names = crate::text::plain(&names.join(", "), 200);
                    return Err(ApiError::Refused(format!("it demands features that it does not accept: {names}")));
                }
                GraphqlAnswer::InvalidId => return Err(ApiError::InvalidId),
                GraphqlAnswer::Errors(words) => return Err(ApiError::Refused(words)),
                GraphqlAnswer::Unreadable => return Err(ApiError::NotJson(answer.status)),
                GraphqlAnswer::Empty if empty == EMPTY_RETRIES => return Err(ApiError::NotFound(self.as_whom())),
                GraphqlAnswer::Empty => {
                    empty += 1;
                    self.pace().await;
                }
            }
        }
    }

    /// Where the live playlist of the stream `media_key` is.
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::NoStream`] before the first sound and after the end.
    pub async fn stream(&self, media_key: &str) -> Result<Url, ApiError> {
        let mut url = self.url(&["1.1", "live_video_stream", "status", media_key])?;
        url.query_pairs_mut()
            .append_pair("client", "web")
            .append_pair("use_syndication_guest_id", "false")
            .append_pair("cookie_set_host", "x.com");
        let answer = self.call(url).await?;
        if answer.status == 404 {
            return Err(ApiError::NoStream);
        }
        if let Some(chat) = metadata::chat_token(&answer.body) {
            *self.chat.lock().unwrap_or_else(PoisonError::into_inner) = Some(chat);
        }
        if let Some(lifecycle) = metadata::lifecycle_token(&answer.body) {
            *self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner) = Some(lifecycle);
        }
        match metadata::stream(&answer.body) {
            StreamAnswer::Playlist(url) => Ok(url),
            StreamAnswer::Geoblocked => Err(ApiError::Geoblocked),
            StreamAnswer::Video => Err(ApiError::Video),
            StreamAnswer::Nothing => Err(ApiError::NoStream),
            StreamAnswer::Unreadable => Err(ApiError::NotJson(answer.status)),
        }
    }

    /// The newest token for the space's chat, once the stream's place is known.
    pub fn chat_token(&self) -> Option<Secret> {
        self.chat.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest token to say with that somebody listens, once the stream's place is known.
    pub(super) fn lifecycle_token(&self) -> Option<Secret> {
        self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One call, with a fresh guest token if the old one is refused. Gives statuses 200, 400 and 404 only.
    pub(super) async fn call(&self, url: Url) -> Result<Answer, ApiError> {
        self.call_with(url, true).await
    }

    /// [`XApi::call`]; `renew` tells whether a refused guest token may be renewed.
    async fn call_with(&self, url: Url, renew: bool) -> Result<Answer, ApiError> {
        if let Some(left) = self.limits.left(&url, self.clock.now()) {
            return Err(ApiError::RateLimited(left));
        }
        let answer = self.send(url.clone()).await?;
        let expired = renew && self.auth == Auth::Guest && matches!(answer.status, 401 | 403);
        let answer = if expired && self.forget_guest() { self.send(url.clone()).await? } else { answer };
        match answer.status {
            200 | 400 | 404 => Ok(answer),
            429 => Err(self.rate_limited(&url, &answer)),
            401 | 403 => Err(self.refusal(&answer)),
            status @ 500.. => Err(ApiError::Server(status)),
            status => Err(ApiError::Refused(format!("status {status}"))),
        }
    }

    async fn send(&self, url: Url) -> Result<Answer, ApiError> {
        let mut request = self.request(url.clone());
        match &self.auth {
            Auth::LoggedIn { auth_token, ct0 } => {
                let cookie = format!("auth_token={}; ct0={}", auth_token.expose(), ct0.expose());
                request = request
                    .secret("cookie", Secret::new(cookie))
                    .secret("x-csrf-token", ct0.clone())
                    .header("x-twitter-auth-type", "OAuth2Session");
            }
            Auth::Guest => request = request.header("x-guest-token", self.guest_token().await?.expose()),
        }
        let answer = self.client.send(request).await.map_err(ApiError::Net)?;
        tracing::debug!(status = answer.status, remaining = answer.rate.remaining, "X answered.");
        match &self.auth {
            // A guest's limit counts per token.
            Auth::Guest if answer.rate.remaining == Some(0) => _ = self.forget_guest(),
            Auth::Guest => {}
            _ => self.limits.answered(&url, &answer.rate, self.clock.wall().as_second(), self.clock.now()),
        }
        Ok(answer)
    }

    fn request(&self, url: Url) -> Request {
        Request::get(url, MAX_ANSWER, CALL_TIME)
            .header("authorization", format!("Bearer {}", self.config.bearer))
            .header("accept", "*/*")
            .header("referer", self.config.referer.as_str())
            .header("x-twitter-active-user", "yes")
            .header("x-twitter-client-language", "en")
    }

    async fn guest_token(&self) -> Result<Secret, ApiError> {
        let known = self.guest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, since)) = known
            && self.clock.now().saturating_duration_since(since) < GUEST_TOKEN_AGE
        {
            return Ok(token);
        }
        let url = extended(&self.config.guest_base, &["1.1", "guest", "activate.json"])?;
        let request = Request { post: true, ..self.request(url) };
        let answer = self.client.send(request).await.map_err(ApiError::Net)?;
        match answer.status {
            200 => {}
            429 => return Err(self.rate_limited(&answer.url, &answer)),
            status @ 500.. => return Err(ApiError::Server(status)),
            status => return Err(ApiError::Guest(format!(" (activation answers {status})"))),
        }
        let body: Value = serde_json::from_slice(&answer.body).map_err(|_| ApiError::NotJson(answer.status))?;
        let token = body.get("guest_token").and_then(Value::as_str).filter(|token| is_token(token));
        let token = Secret::new(token.ok_or_else(|| ApiError::Guest(" (activation gives no token)".to_owned()))?);
        *self.guest.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), self.clock.now()));
        Ok(token)
    }

    /// Whether there was a token to forget.
    fn forget_guest(&self) -> bool {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn rate_limited(&self, url: &Url, answer: &Answer) -> ApiError {
        // A guest's limit counts per token: the next one begins anew, when the time has come.
        self.forget_guest();
        let wall = self.clock.wall().as_second();
        ApiError::RateLimited(self.limits.refused(url, &answer.rate, wall, self.clock.now()))
    }

    /// Waits for the turn of the next look-up.
    async fn pace(&self) {
        let at = self.limits.next_lookup(self.config.lookup_interval, self.clock.now());
        self.clock.sleep(at.saturating_duration_since(self.clock.now())).await;
    }

    fn refusal(&self, answer: &Answer) -> ApiError {
        let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(4096)]).to_ascii_lowercase();
        if body.contains("transaction-id") || body.contains("transaction_id") {
            return ApiError::TransactionId;
        }
        let errors = metadata::errors_of(&answer.body);
        // X's codes for an account that is suspended, and for one that is locked until somebody confirms it.
        if self.is_logged_in() && errors.iter().any(|(code, _)| matches!(code, 64 | 326)) {
            return ApiError::Suspended;
        }
        let said = errors.into_iter().next();
        let said = said.map(|(code, message)| format!(", {} (code {code})", crate::text::plain(&message, 120)));
        let words = format!(" (status {}{})", answer.status, said.unwrap_or_default());
        if self.is_logged_in() { ApiError::Login(words) } else { ApiError::Guest(words) }
    }

    fn as_whom(&self) -> &'static str {
        if self.is_logged_in() { "" } else { " (asked as a guest)" }
    }

    fn graphql_url(&self, operation: Operation, id: &SpaceId) -> Result<Url, ApiError> {
        let (query_id, name, variable) = match operation {
            Operation::ById => (&self.config.audio_space_by_id, "AudioSpaceById", "id"),
            Operation::ByRestId => (&self.config.audiospace_by_rest_id, "AudiospaceByRestId", "audio_space_id"),
        };
        let mut variables = json!({"isMetatagsQuery": true, "withReplays": true, "withListeners": true});
        variables[variable] = json!(id.as_str());
        let mut url = self.url(&["graphql", query_id, name])?;
        url.query_pairs_mut()
            .append_pair("variables", &variables.to_string())
            .append_pair("features", &self.features().to_string());
        Ok(url)
    }

    pub(super) fn features(&self) -> Value {
        let demanded = self.demanded.lock().unwrap_or_else(PoisonError::into_inner);
        let off = demanded.iter().chain(&self.config.features_false).map(|name| (name.clone(), Value::Bool(false)));
        let on = self.config.features_true.iter().map(|name| (name.clone(), Value::Bool(true)));
        Value::Object(off.chain(on).collect::<Map<_, _>>())
    }

    /// Adds demanded features; whether any of them is new.
    pub(super) fn demand(&self, names: &[String]) -> bool {
        let mut demanded = self.demanded.lock().unwrap_or_else(PoisonError::into_inner);
        let before = demanded.len();
        demanded.extend(names.iter().cloned());
        demanded.len() > before
    }

    pub(super) fn url(&self, parts: &[&str]) -> Result<Url, ApiError> {
        extended(&self.config.api_base, parts)
    }
}

pub(super) fn extended(base: &Url, parts: &[&str]) -> Result<Url, ApiError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| ApiError::Configuration("a base address has no path".to_owned()))?
        .pop_if_empty()
        .extend(parts);
    Ok(url)
}

fn is_token(token: &str) -> bool {
    (1..=200).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
