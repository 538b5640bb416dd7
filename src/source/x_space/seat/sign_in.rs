//! Signs an account in where speakers are known: three calls, each of which gives what the next one wants.
//!
//! As observed by elizaOS's agent-twitter-client (`src/spaces/utils.ts`) and twifork (`twikit/spaces.py`).

use serde_json::{Value, json};

use super::service::{SeatError, Services, text};
use crate::secret::Secret;
use crate::source::x_space::api::XApi;
use crate::source::x_space::error::ApiError;
use crate::source::x_space::metadata::{self, periscope_id};

/// What X's own page says of itself when it signs in.
const VENDOR: &str = "m5-proxsee-login-a2011357b73e";

/// An account that is signed in.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// What it is known by in the room and in the chat.
    pub(super) id: String,
    /// Its number at X.
    pub(super) number: Option<String>,
    /// Its handle, cleaned; what a host sees in the list of requests.
    pub(super) handle: String,
    /// Lets it say that it is there.
    pub(super) cookie: Secret,
    /// Lets it ask for a seat.
    pub(super) authorization: Secret,
}

impl Account {
    /// Whether one of `ids` is this account's.
    pub(super) fn is_among(&self, ids: &[String]) -> bool {
        ids.iter().any(|id| *id == self.id || self.number.as_ref() == Some(id))
    }
}

/// Signs in as whom `api` asks.
///
/// # Errors
/// [`SeatError`], with what to do.
pub(super) async fn sign_in(api: &XApi, services: &Services) -> Result<Account, SeatError> {
    let jwt = api.authenticate_periscope().await?;
    // A key `direct`, which older clients send, makes it answer 400 (twifork).
    let body = json!({"jwt": jwt.expose(), "vendor_id": VENDOR, "create_user": true});
    let login = services.login("loginTwitterToken", &body).await?;
    let cookie = text(&login, "loginTwitterToken", "cookie")?;
    let body = json!({"service": "guest", "cookie": cookie});
    let token = services.login("authorizeToken", &body).await?;
    account(&login, cookie, text(&token, "authorizeToken", "authorization_token")?)
}

fn account(login: &Value, cookie: &str, authorization: &str) -> Result<Account, SeatError> {
    let user = &login["user"];
    let handle = ["twitter_screen_name", "username"].iter().find_map(|name| user[*name].as_str());
    Ok(Account {
        id: periscope_id(&user["id"]).ok_or(SeatError::Odd("loginTwitterToken"))?,
        number: periscope_id(&user["twitter_id"]),
        handle: crate::text::plain(handle.unwrap_or("the account"), 40),
        cookie: Secret::new(cookie),
        authorization: Secret::new(authorization),
    })
}

impl XApi {
    /// What the account proves itself with to the services for speakers.
    ///
    /// # Errors
    /// [`ApiError`], with what to do.
    pub(super) async fn authenticate_periscope(&self) -> Result<Secret, ApiError> {
        let mut url = self.url(&["graphql", &self.config.authenticate_periscope, "AuthenticatePeriscope"])?;
        url.query_pairs_mut().append_pair("variables", "{}");
        let answer = self.call(url).await?;
        if answer.status == 404 {
            return Err(ApiError::StaleAuthenticate);
        }
        let body = serde_json::from_slice::<Value>(&answer.body).map_err(|_| ApiError::NotJson(answer.status))?;
        let jwt = body.pointer("/data/authenticate_periscope").and_then(Value::as_str);
        match jwt.filter(|jwt| is_jwt(jwt)) {
            Some(jwt) => Ok(Secret::new(jwt)),
            None => Err(refusal(&answer.body)),
        }
    }
}

fn refusal(body: &[u8]) -> ApiError {
    let errors = metadata::errors_of(body);
    if errors.iter().any(|(code, _)| matches!(code, 64 | 326)) {
        return ApiError::Suspended;
    }
    let said = errors.first().map(|(code, message)| format!(": {} (code {code})", crate::text::plain(message, 120)));
    ApiError::Refused(format!("the account is not let in where speakers are{}", said.unwrap_or_default()))
}

fn is_jwt(text: &str) -> bool {
    (1..=8192).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_id_and_its_number() {
        let login = json!({"cookie": "c", "user": {"id": "1abc", "twitter_id": "4711", "username": "a\nb"}});
        let account = account(&login, "c", "t").expect("an account");
        assert_eq!((account.handle.as_str(), account.is_among(&["4711".into()])), ("a b", true));
        assert!(account.is_among(&["2".into(), "1abc".into()]) && !account.is_among(&["1abd".into()]));
        assert!(super::account(&json!({"user": {"id": "../x"}}), "c", "t").is_err());
    }

    #[test]
    fn a_suspended_account_is_told_from_another_refusal() {
        let body = |code: u32| json!({"errors": [{"code": code, "message": "no"}]}).to_string();
        assert_eq!(refusal(body(64).as_bytes()), ApiError::Suspended);
        assert!(matches!(refusal(body(37).as_bytes()), ApiError::Refused(words) if words.contains("code 37")));
        assert!(matches!(refusal(b"{}"), ApiError::Refused(_)));
    }
}
