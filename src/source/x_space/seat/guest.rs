//! The service that gives seats: joining, asking to speak, the way to the media gateway, leaving.
//!
//! As observed by twifork (`twikit/spaces.py`) and elizaOS's agent-twitter-client (`src/spaces/utils.ts`).

use serde_json::{Value, json};
use url::Url;

use super::service::{SeatError, Services, text, with_times};
use super::sign_in::Account;
use crate::secret::Secret;
use crate::source::x_space::url::SpaceId;

/// Sessions of guests that an answer is searched for.
const SESSIONS_MAX: usize = 500;

/// The state of a session whose guest is on stage (twifork).
const ON_STAGE: i64 = 4;

/// Asks for one account's seat in one Space.
#[derive(Debug, Clone)]
pub(super) struct Usher {
    pub(super) services: Services,
    pub(super) account: Account,
    pub(super) space: SpaceId,
    pub(super) chat_token: Secret,
}

/// What joining gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    /// Whether everybody may sit down.
    pub(super) is_open: bool,
    /// The session, where one was made at once.
    pub(super) session: Option<String>,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// On stage.
    OnStage,
    /// Known, and not on stage.
    Waiting,
    /// Not known any more.
    Unknown,
}

/// The way to the media.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Where the gateway is.
    pub(super) gateway: Url,
    /// What lets the account in.
    pub(super) token: Secret,
}

impl Usher {
    /// Joins the Space; sits down at once where everybody may.
    pub(super) async fn join(&self) -> Result<Joined, SeatError> {
        let body = self.body(json!({"join_as_admin": false, "should_auto_join": true}));
        let answer = self.ask("audiospace/join", &body).await?;
        let session = text(&answer, "audiospace/join", "session_uuid").ok().map(str::to_owned);
        Ok(Joined { is_open: answer["can_auto_join"] == true, session })
    }

    /// Asks the host for the floor; gives the session.
    pub(super) async fn submit(&self) -> Result<String, SeatError> {
        let answer = self.ask("audiospace/request/submit", &self.body(json!({}))).await?;
        text(&answer, "audiospace/request/submit", "session_uuid").map(str::to_owned)
    }

    /// Takes the request back.
    pub(super) async fn cancel(&self, session: &str) -> Result<(), SeatError> {
        self.ask("audiospace/request/cancel", &self.body(json!({"session_uuid": session}))).await.map(drop)
    }

    /// Where the session stands.
    pub(super) async fn standing(&self, session: &str) -> Result<Standing, SeatError> {
        let body = json!({"broadcast_id": self.space.as_str(), "include_non_active_sessions": false});
        let answer = self.ask("audiospace/call/status", &body).await?;
        standing(&answer, session).ok_or(SeatError::Odd("audiospace/call/status"))
    }

    /// The way to the gateway.
    pub(super) async fn negotiate(&self, session: &str) -> Result<Way, SeatError> {
        const CALL: &str = "audiospace/stream/negotiate";
        let body = json!({"session_uuid": session, "chat_token": self.chat_token.expose()});
        let answer = self.ask(CALL, &body).await?;
        let gateway = Url::parse(text(&answer, CALL, "webrtc_gw_url")?).map_err(|_| SeatError::Odd(CALL))?;
        Ok(Way { gateway, token: Secret::new(text(&answer, CALL, "janus_jwt")?) })
    }

    /// Shows everybody that this account says nothing.
    pub(super) async fn mute(&self, session: &str) -> Result<(), SeatError> {
        self.ask("audiospace/muteSpeaker", &self.body(json!({"session_uuid": session}))).await.map(drop)
    }

    /// Says that something is sent from the seat.
    pub(super) async fn publish(&self, session: &str) -> Result<(), SeatError> {
        self.ask("audiospace/stream/publish", &self.body(json!({"session_uuid": session}))).await.map(drop)
    }

    /// Leaves the seat.
    pub(super) async fn leave(&self, session: &str) -> Result<(), SeatError> {
        self.ask("audiospace/stream/end", &self.body(json!({"session_uuid": session}))).await.map(drop)
    }

    fn body(&self, mut body: Value) -> Value {
        body["broadcast_id"] = json!(self.space.as_str());
        body["chat_token"] = json!(self.chat_token.expose());
        with_times(body)
    }

    async fn ask(&self, call: &'static str, body: &Value) -> Result<Value, SeatError> {
        self.services.stage(call, body, &self.account.authorization).await
    }
}

fn standing(answer: &Value, session: &str) -> Option<Standing> {
    let sessions = answer["guest_sessions"].as_array()?;
    let ours = sessions.iter().take(SESSIONS_MAX).find(|one| one["session_uuid"] == session);
    Some(match ours.map(|ours| ours["session_state"].as_i64()) {
        None => Standing::Unknown,
        Some(Some(ON_STAGE)) => Standing::OnStage,
        Some(_) => Standing::Waiting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_session_tells_where_we_stand() {
        let answer = json!({"guest_sessions": [
            {"session_uuid": "theirs", "session_state": 4},
            {"session_uuid": "asked", "session_state": 1},
            {"session_uuid": "odd", "session_state": "4"},
        ]});
        for (session, expected) in [
            ("theirs", Standing::OnStage),
            ("asked", Standing::Waiting),
            ("odd", Standing::Waiting),
            ("ours", Standing::Unknown),
        ] {
            assert_eq!(standing(&answer, session), Some(expected), "{session}");
        }
        assert_eq!(standing(&json!({"error": 1}), "ours"), None);
    }
}
