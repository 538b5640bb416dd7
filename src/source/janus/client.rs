//! Speaks to a Janus gateway over plain HTTP: requests, and one long poll for everything that it says by itself.
//!
//! <https://janus.conf.meetecho.com/docs/rest.html>. Knows no plugin. Only one poll may run per session: two would take
//! each other's events.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::net::{HttpClient, NetError, Request};
use crate::secret::Secret;

/// Largest answer: a description of 64 tracks and its surroundings.
const ANSWER_MAX: usize = 1 << 20;

/// What a request is told whose session is over.
const NO_SUCH_SESSION: i64 = 458;

/// Time for a request; the gateway answers at once and does the work later.
const PATIENCE: Duration = Duration::from_secs(8);

/// The gateway ends a quiet poll after 30 s. A client needs [`crate::net::HttpSettings::patience`] of as much.
pub const POLL_PATIENCE: Duration = Duration::from_secs(40);

/// What a gateway wants to know of whoever asks. None of it is ever part of a message for people.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Of a gateway with stored or signed tokens.
    pub token: Option<Secret>,
    /// Of a gateway with one secret for all.
    pub api_secret: Option<Secret>,
    /// For a gateway that sits behind a door of its own: the header `Authorization`, as it is.
    pub authorization: Option<Secret>,
}

/// Why the gateway did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JanusError {
    /// No answer at all.
    #[error("the gateway cannot be reached: {0}")]
    Net(#[from] NetError),
    /// It answered with a status of HTTP.
    #[error("the gateway answered with status {0}")]
    Status(u16),
    /// It refused, with its own code.
    #[error("the gateway refused ({code}): {reason}")]
    Refused {
        /// Janus's code.
        code: i64,
        /// Its words, cleaned.
        reason: String,
    },
    /// It does not know the session any more.
    #[error("the gateway gave the session up")]
    Gone,
    /// It said what it never says.
    #[error("the gateway's answer is not understood: {0}")]
    Odd(&'static str),
    /// A secret would have gone over the network unencrypted.
    #[error("the login was not sent: it goes over https only")]
    Unencrypted,
}

/// Something that the gateway said.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its kind, such as `event`, `webrtcup` or `hangup`.
    pub kind: String,
    /// The handle that it belongs to.
    pub sender: Option<u64>,
    /// What the plugin says.
    pub data: Value,
    /// A description: `offer` or `answer`, and its text.
    pub jsep: Option<(String, String)>,
}

/// A session at a gateway.
#[derive(Debug, Clone)]
pub struct Session {
    http: HttpClient,
    url: Url,
    login: Login,
    /// Whether `url` is the session's own, not the gateway's.
    open: bool,
}

impl Session {
    /// Opens one at `gateway`, such as `https://host/janus`.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn open(http: HttpClient, gateway: &Url, login: Login) -> Result<Self, JanusError> {
        let is_loopback = matches!(gateway.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let has_secret = login.token.is_some() || login.api_secret.is_some() || login.authorization.is_some();
        if has_secret && gateway.scheme() != "https" && !is_loopback {
            return Err(JanusError::Unencrypted);
        }
        let mut session = Self { http, url: gateway.clone(), login, open: false };
        let id = session.ask(None, json!({"janus": "create"})).await?["data"]["id"].as_u64();
        session.url = extended(gateway, id.ok_or(JanusError::Odd("no session"))?);
        session.open = true;
        Ok(session)
    }

    /// A handle of the plugin videoroom.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn attach(&self) -> Result<u64, JanusError> {
        let answer = self.ask(None, json!({"janus": "attach", "plugin": "janus.plugin.videoroom"})).await?;
        answer["data"]["id"].as_u64().ok_or(JanusError::Odd("no handle"))
    }

    /// Gives a handle back, and ends its connection. Nothing can be done where that fails.
    pub async fn detach(&self, handle: u64) {
        if let Err(error) = self.ask(Some(handle), json!({"janus": "detach"})).await {
            tracing::debug!(%error, "A gateway's handle was not given back.");
        }
    }

    /// Says something to a handle's plugin; what comes of it comes with the poll. What the plugin can tell at once, such as
    /// that it knows no such request, is its answer and comes with no poll.
    ///
    /// # Errors
    /// When there is no answer, or the gateway's own refusal.
    pub async fn say(&self, handle: u64, body: Value, answer: Option<&str>) -> Result<Option<Message>, JanusError> {
        self.describe(handle, body, answer.map(|sdp| ("answer", sdp))).await
    }

    /// The same with an offer, of one who sends.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn offer(&self, handle: u64, body: Value, sdp: &str) -> Result<(), JanusError> {
        self.describe(handle, body, Some(("offer", sdp))).await.map(drop)
    }

    async fn describe(
        &self,
        handle: u64,
        body: Value,
        jsep: Option<(&str, &str)>,
    ) -> Result<Option<Message>, JanusError> {
        let mut message = json!({"janus": "message", "body": body});
        if let Some((kind, sdp)) = jsep {
            message["jsep"] = json!({"type": kind, "sdp": sdp});
        }
        let answer = self.ask(Some(handle), message).await?;
        if answer["plugindata"].is_null() { Ok(None) } else { read(answer).map(Some) }
    }

    /// What the gateway has to say: at once if there is something, else within half a minute.
    ///
    /// # Errors
    /// When there is no answer, or the session is gone.
    pub async fn poll(&self) -> Result<Vec<Message>, JanusError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("maxev", "10");
        for (name, secret) in [("token", &self.login.token), ("apisecret", &self.login.api_secret)] {
            if let Some(secret) = secret {
                url.query_pairs_mut().append_pair(name, secret.expose());
            }
        }
        let answer = self.send(Request::get(url, ANSWER_MAX, POLL_PATIENCE)).await?;
        let all = if let Value::Array(all) = answer { all } else { vec![answer] };
        all.into_iter().map(read).collect()
    }

    /// Leaves: every handle goes with the session. Nothing can be done where that fails.
    pub async fn close(&self) {
        if let Err(error) = self.ask(None, json!({"janus": "destroy"})).await {
            tracing::debug!(%error, "A gateway's session was not closed.");
        }
    }

    async fn ask(&self, handle: Option<u64>, mut message: Value) -> Result<Value, JanusError> {
        message["transaction"] = json!(format!("{:032x}", fastrand::u128(..)));
        for (name, secret) in [("token", &self.login.token), ("apisecret", &self.login.api_secret)] {
            if let Some(secret) = secret {
                message[name] = json!(secret.expose());
            }
        }
        let url = handle.map_or_else(|| self.url.clone(), |handle| extended(&self.url, handle));
        let bytes = message.to_string().into_bytes().into();
        let answer = self.send(Request::post_json(url, bytes, ANSWER_MAX, PATIENCE)).await?;
        match refusal(&answer) {
            Some(JanusError::Refused { code: NO_SUCH_SESSION, .. }) if self.open => Err(JanusError::Gone),
            Some(refusal) => Err(refusal),
            None => Ok(answer),
        }
    }

    async fn send(&self, mut request: Request) -> Result<Value, JanusError> {
        if let Some(authorization) = &self.login.authorization {
            request = request.secret("authorization", authorization.clone());
        }
        let answer = self.http.send(request).await?;
        match answer.status {
            200 => {}
            // A gateway that is late with the news of a session's end has nothing at its address any more.
            404 if self.open => return Err(JanusError::Gone),
            status => return Err(JanusError::Status(status)),
        }
        serde_json::from_slice(&answer.body).map_err(|_| JanusError::Odd("no JSON"))
    }
}

fn extended(url: &Url, id: u64) -> Url {
    let mut url = url.clone();
    url.set_path(&format!("{}/{id}", url.path().trim_end_matches('/')));
    url
}

/// The refusal that an answer or an event holds, the gateway's or the plugin's.
pub fn refusal(answer: &Value) -> Option<JanusError> {
    let (code, reason) = match (&answer["error"]["code"], &answer["error_code"]) {
        (Value::Number(code), _) => (code.as_i64()?, &answer["error"]["reason"]),
        (_, Value::Number(code)) => (code.as_i64()?, &answer["error"]),
        _ => return None,
    };
    Some(JanusError::Refused { code, reason: crate::text::plain(reason.as_str().unwrap_or_default(), 200) })
}

fn read(event: Value) -> Result<Message, JanusError> {
    if let Some(refusal) = refusal(&event) {
        return Err(refusal);
    }
    let jsep = match (event["jsep"]["type"].as_str(), event["jsep"]["sdp"].as_str()) {
        (Some(kind), Some(sdp)) => Some((kind.to_owned(), sdp.to_owned())),
        _ => None,
    };
    Ok(Message {
        kind: event["janus"].as_str().ok_or(JanusError::Odd("no kind"))?.to_owned(),
        sender: event["sender"].as_u64(),
        data: event["plugindata"]["data"].clone(),
        jsep,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_wherever_it_stands() {
        let table = [
            (json!({"janus": "error", "error": {"code": 458, "reason": "No such session"}}), Some(458)),
            (json!({"videoroom": "event", "error_code": 426, "error": "No such room"}), Some(426)),
            (json!({"janus": "ack"}), None),
            (json!([1, 2]), None),
        ];
        for (answer, code) in table {
            let found = refusal(&answer).map(|error| match error {
                JanusError::Refused { code, .. } => code,
                other => panic!("{other}"),
            });
            assert_eq!(found, code, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_login_never_goes_over_plain_http() {
        let http = HttpClient::new(crate::net::HttpSettings::default()).expect("a client");
        let login = Login { token: Some(Secret::new("canary")), ..Login::default() };
        let gateway = Url::parse("http://192.0.2.1:1/janus").expect("an address");
        let refused = Session::open(http, &gateway, login).await.expect_err("no session");
        assert_eq!(refused, JanusError::Unencrypted);
    }
}
