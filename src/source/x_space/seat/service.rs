//! Asks the services around a speaker's seat: what every call carries, and what their refusals mean.
//!
//! Headers as observed by twifork (`twikit/spaces.py`, August 2026): without those of a browser the services answer 400
//! or 401. Bodies hold secrets, so they go over https only and follow no redirect.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::config::XApiConfig;
use crate::net::{HttpClient, HttpSettings, NetError, Request};
use crate::secret::Secret;
use crate::source::janus::client::POLL_PATIENCE;
use crate::source::x_space::api::extended;
use crate::source::x_space::error::ApiError;

/// Largest answer: the sessions of a full stage.
const ANSWER_MAX: usize = 256 << 10;

/// Time for one call.
const CALL_TIME: Duration = Duration::from_secs(10);

/// What the browser of the default user agent says of itself.
const BRANDS: &str = r#""Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140""#;

/// Why a seat cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    /// X itself refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No answer.
    #[error("the service for speakers cannot be asked: {0}")]
    Net(#[from] NetError),
    /// A refusal.
    #[error("the service for speakers refused the call {call} (status {status}{said})")]
    Refused {
        /// Which.
        call: &'static str,
        /// Status of HTTP.
        status: u16,
        /// Its words, cleaned, after a comma.
        said: String,
    },
    /// An answer without what it should hold.
    #[error("the answer of the service for speakers to {0} is not understood: X may have changed it")]
    Odd(&'static str),
}

/// Asks the services.
#[derive(Debug, Clone)]
pub(super) struct Services {
    client: HttpClient,
    config: XApiConfig,
}

impl Services {
    /// Asks as `config` says; the same client serves the gateway.
    ///
    /// # Errors
    /// When the system has no TLS.
    pub(super) fn new(config: &XApiConfig) -> Result<Self, NetError> {
        let bases = [config.login_base.clone(), config.stage_base.clone()];
        let own = bases.iter().filter_map(|base| base.host_str().map(str::to_owned));
        let settings = HttpSettings {
            user_agent: config.user_agent.clone(),
            allow_private_addresses: config.allow_private_addresses,
            secret_hosts: own.chain(config.gateway_hosts.iter().cloned()).collect(),
            operator_urls: bases.to_vec(),
            patience: Some(POLL_PATIENCE),
        };
        Ok(Self { client: HttpClient::new(settings)?, config: config.clone() })
    }

    /// The client, for the gateway.
    pub(super) fn client(&self) -> HttpClient {
        self.client.clone()
    }

    /// Calls the service that signs in and counts who is there.
    ///
    /// # Errors
    /// [`SeatError`].
    pub(super) async fn login(&self, call: &'static str, body: &Value) -> Result<Value, SeatError> {
        let url = extended(&self.config.login_base, &["api", "v2", call])?;
        self.send(call, url, body, None).await
    }

    /// Calls the service that gives seats; `call` is its path, such as `audiospace/join`.
    ///
    /// # Errors
    /// [`SeatError`].
    pub(super) async fn stage(
        &self,
        call: &'static str,
        body: &Value,
        authorization: &Secret,
    ) -> Result<Value, SeatError> {
        let parts: Vec<&str> = ["api", "v1"].into_iter().chain(call.split('/')).collect();
        let url = extended(&self.config.stage_base, &parts)?;
        self.send(call, url, body, Some(authorization)).await
    }

    async fn send(
        &self,
        call: &'static str,
        url: Url,
        body: &Value,
        authorization: Option<&Secret>,
    ) -> Result<Value, SeatError> {
        let mut request = Request::get(url, ANSWER_MAX, CALL_TIME)
            .header("accept", "*/*")
            .header("referer", self.config.referer.as_str())
            .header("origin", self.config.referer.origin().ascii_serialization())
            .header("sec-ch-ua", BRANDS)
            .header("sec-ch-ua-mobile", "?0")
            .header("sec-ch-ua-platform", "\"Windows\"")
            .header("x-periscope-user-agent", "Twitter/m5")
            .header("x-idempotence", format!("{:032x}", fastrand::u128(..)))
            .header("x-attempt", "1");
        if let Some(authorization) = authorization {
            request = request.secret("authorization", authorization.clone());
        }
        let secret_json = Some(Secret::new(body.to_string()));
        let answer = self.client.send(Request { secret_json, ..request }).await?;
        tracing::debug!(call, status = answer.status, "The service for speakers answered.");
        let body = serde_json::from_slice::<Value>(&answer.body);
        if answer.status != 200 {
            let said = body.ok().and_then(|body| words_of(&body)).map(|said| format!(", {said}"));
            return Err(SeatError::Refused { call, status: answer.status, said: said.unwrap_or_default() });
        }
        body.map_err(|_| SeatError::Odd(call))
    }
}

/// What a refusal says, in its own words.
fn words_of(body: &Value) -> Option<String> {
    let places = ["/errors/0/message", "/message", "/error", "/reason"];
    let said = places.iter().find_map(|place| body.pointer(place)?.as_str())?;
    Some(crate::text::plain(said, 120)).filter(|said| !said.is_empty())
}

/// A text of an answer that becomes part of a later call.
pub(super) fn text<'a>(answer: &'a Value, call: &'static str, name: &str) -> Result<&'a str, SeatError> {
    const LONGEST: usize = 8192;
    let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if plain && (1..=LONGEST).contains(&text.len()) { Ok(text) } else { Err(SeatError::Odd(call)) }
}

/// The broadcaster's times that the services want to see and do not check (twifork).
pub(super) fn with_times(mut body: Value) -> Value {
    body["ntpForBroadcasterFrame"] = json!("2208988800024000300");
    body["ntpForLiveFrame"] = json!("2208988800024000300");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_could_break_out_of_a_header_is_no_token() {
        let table = [("abc.DEF-1", true), ("", false), ("a b", false), ("a\nb", false), ("a\"b", false), ("ä", false)];
        for (value, fits) in table {
            assert_eq!(text(&json!({"cookie": value}), "call", "cookie").is_ok(), fits, "{value:?}");
        }
        assert!(text(&json!({"cookie": 5}), "call", "cookie").is_err());
        assert!(text(&json!({"cookie": "x".repeat(9000)}), "call", "cookie").is_err());
    }

    #[test]
    fn a_refusal_is_told_in_one_clean_line() {
        let said = words_of(&json!({"errors": [{"message": "no\n\u{202e}way"}]}));
        assert_eq!(said.as_deref(), Some("no way"));
        assert_eq!(words_of(&json!({"success": false})), None);
    }
}
