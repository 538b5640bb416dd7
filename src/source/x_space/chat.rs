//! The Space's chat, read only: how many listen, who comes to the stage, and that the Space is over. Says nothing itself and fails nobody.
//!
//! Calls and messages as observed by twspace-crawler and elizaOS's agent-twitter-client. What the chat says is one sign
//! of an end among others: its messages come from strangers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::message::Heard;
use self::pace::Pace;
use super::api::{XApi, extended};
use crate::backoff::Backoff;
use crate::net::{NetError, Request, Socket};
use crate::secret::Secret;
use crate::source::Caption;

mod caption;
mod message;
mod pace;
mod stage;

pub use stage::{StageChange, StageSign};

/// Largest message and largest answer, in bytes: a chat message has about 1 KB.
const MAX_MESSAGE: usize = 64 << 10;

/// Time for the call, and for opening the socket.
const CALL_TIME: Duration = Duration::from_secs(15);

/// First and longest pause before the chat is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// A Space's chat may answer 404 in its first minute (twikit); our listening may begin with it.
const YOUNG: Duration = Duration::from_secs(90);

/// A visit that lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(60);

/// Pause between signs of life that we ask for.
const PING: Duration = Duration::from_secs(25);

/// Time without a sign of life after which the chat is taken for lost.
const SILENCE: Duration = Duration::from_secs(75);

/// What the chat tells.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatFact {
    /// We hear it.
    Joined,
    /// So many listen.
    Occupancy(u64),
    /// Something changed on stage.
    Stage(StageSign),
    /// Something was said; told while there is room.
    Caption(Caption),
    /// Somebody says that the Space is over.
    SpaceEnded,
    /// We do not hear it any more, and why; told once until it is heard again.
    Lost(String),
}

/// Why a visit to the chat is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ChatError {
    #[error("the chat cannot be reached: {0}")]
    Net(NetError),
    #[error("the chat is not open (status {0})")]
    Closed(u16),
    #[error("the chat's answer cannot be read")]
    Unreadable,
    #[error("the chat closed the connection{0}")]
    Left(String),
    #[error("the chat gave no sign of life for {} s", SILENCE.as_secs())]
    Silent,
    /// Nobody wants to know any more.
    #[error("nobody listens")]
    Unwanted,
}

/// Where the chat is, and what lets us in.
struct Access {
    endpoint: Url,
    room: String,
    token: Secret,
}

/// Reads the chat that `chat_token` belongs to, until `token` is cancelled or `facts` is closed. Comes back by itself
/// after every trouble; does nothing where the configuration wants no chat.
pub async fn listen(api: Arc<XApi>, chat_token: Secret, facts: mpsc::Sender<ChatFact>, token: CancellationToken) {
    if api.config.chat {
        let listener = Listener { api, chat_token, facts, joined: false, occupancy: None };
        token.run_until_cancelled(listener.run()).await;
    }
}

struct Listener {
    api: Arc<XApi>,
    chat_token: Secret,
    facts: mpsc::Sender<ChatFact>,
    joined: bool,
    occupancy: Option<u64>,
}

impl Listener {
    async fn run(mut self) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let (began, mut told) = (Instant::now(), false);
        loop {
            let visit = Instant::now();
            let Err(error) = self.visit().await;
            if error == ChatError::Unwanted {
                return;
            }
            if visit.elapsed() > LASTING {
                backoff.reset();
            }
            let young = error == ChatError::Closed(404) && began.elapsed() < YOUNG;
            tracing::debug!(%error, "Chat is not heard.");
            told &= !std::mem::take(&mut self.joined);
            if !told && !young {
                told = true;
                if self.facts.send(ChatFact::Lost(error.to_string())).await.is_err() {
                    return;
                }
            }
            self.api.clock.sleep(backoff.next_delay()).await;
        }
    }

    /// Joins and hears the chat for as long as it goes well.
    async fn visit(&mut self) -> Result<std::convert::Infallible, ChatError> {
        let access = self.access().await?;
        let url = extended(&access.endpoint, &["chatapi", "v1", "chatnow"]).map_err(|_| ChatError::Unreadable)?;
        let origin = self.api.config.referer.as_str().trim_end_matches('/').to_owned();
        let request = Request::get(url, MAX_MESSAGE, CALL_TIME).header("origin", origin);
        let mut socket = self.api.client.socket(request).await.map_err(ChatError::Net)?;
        for text in [message::auth(access.token.expose()), message::join(&access.room)] {
            let sent = tokio::time::timeout(CALL_TIME, socket.send(Message::text(text))).await;
            sent.map_err(|_| ChatError::Silent)?.map_err(|error| left(&error))?;
        }
        self.hear(socket).await
    }

    async fn access(&self) -> Result<Access, ChatError> {
        let config = &self.api.config;
        let url = extended(&config.chat_base, &["api", "v2", "accessChatPublic"]).map_err(|_| ChatError::Unreadable)?;
        let body = serde_json::json!({"chat_token": self.chat_token.expose()}).to_string();
        // Without what X's own page sends the service answers 400 (twikit).
        let request = Request::get(url, MAX_MESSAGE, CALL_TIME)
            .header("referer", config.referer.as_str())
            .header("x-periscope-user-agent", "Twitter/m5")
            .header("x-attempt", "1");
        let answer = self.api.client.send(Request { secret_json: Some(Secret::new(body)), ..request }).await;
        let answer = answer.map_err(ChatError::Net)?;
        if answer.status != 200 {
            return Err(ChatError::Closed(answer.status));
        }
        access_of(&answer.body).ok_or(ChatError::Unreadable)
    }

    async fn hear(&mut self, mut socket: Socket) -> Result<std::convert::Infallible, ChatError> {
        let mut pings: Interval = tokio::time::interval_at(Instant::now() + PING, PING);
        let mut pace = Pace::new(Instant::now());
        let mut alive = Instant::now();
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = pings.tick() => {
                    let ping = socket.send(Message::Ping(bytes::Bytes::new()));
                    tokio::time::timeout(PING, ping).await.map_err(|_| ChatError::Silent)?.map_err(|error| left(&error))?;
                    if alive.elapsed() > SILENCE {
                        return Err(ChatError::Silent);
                    }
                    continue;
                }
                () = self.facts.closed() => return Err(ChatError::Unwanted),
            };
            alive = Instant::now();
            let size = message.as_ref().and_then(|message| message.as_ref().ok()).map_or(0, Message::len);
            match message {
                None => return Err(ChatError::Left(String::new())),
                Some(Err(error)) => return Err(left(&error)),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| format!(" (code {})", u16::from(frame.code)));
                    return Err(ChatError::Left(code.unwrap_or_default()));
                }
                Some(Ok(Message::Text(text))) => self.tell(message::read(&text)).await?,
                // Pongs are sent by the socket itself.
                Some(Ok(_)) => {}
            }
            // Whoever floods is read slowly; the rest waits in the kernel's buffers, and no message is lost.
            if let Some(rest) = pace.count(Instant::now(), size) {
                tokio::time::sleep(rest).await;
            }
        }
    }

    async fn tell(&mut self, heard: Heard) -> Result<(), ChatError> {
        if matches!(heard, Heard::Noise) {
            return Ok(());
        }
        if !std::mem::replace(&mut self.joined, true) {
            self.send(ChatFact::Joined).await?;
        }
        match heard {
            Heard::Ended => self.send(ChatFact::SpaceEnded).await,
            Heard::Stage(sign) => self.send(ChatFact::Stage(sign)).await,
            Heard::Caption(caption) => {
                // Whoever listens is busy: no caption is worth that signs of an end wait behind it.
                drop(self.facts.try_send(ChatFact::Caption(caption)));
                Ok(())
            }
            // A count that finds no room is told with the next change.
            Heard::Occupancy(count) if self.occupancy != Some(count) => {
                let told = self.facts.try_send(ChatFact::Occupancy(count)).is_ok();
                self.occupancy = told.then_some(count);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, fact: ChatFact) -> Result<(), ChatError> {
        self.facts.send(fact).await.map_err(|_| ChatError::Unwanted)
    }
}

/// A message of the library, which may quote what strangers sent.
fn left(error: &tokio_tungstenite::tungstenite::Error) -> ChatError {
    ChatError::Left(format!(": {}", crate::text::plain(&error.to_string(), 120)))
}

/// Reads the answer of `accessChatPublic`.
fn access_of(body: &[u8]) -> Option<Access> {
    let answer = serde_json::from_slice::<Value>(body).ok()?;
    let text = |name: &str, longest: usize| {
        let text = answer.get(name)?.as_str()?;
        (1..=longest).contains(&text.len()).then_some(text)
    };
    let room = text("room_id", 64).filter(|room| room.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    let mut endpoint = Url::parse(text("endpoint", 1024)?).ok()?;
    // The address of a socket may be written as one; the rest is checked where it is opened.
    match endpoint.scheme() {
        "wss" => endpoint = Url::parse(&endpoint.as_str().replacen("wss", "https", 1)).ok()?,
        "ws" => endpoint = Url::parse(&endpoint.as_str().replacen("ws", "http", 1)).ok()?,
        _ => {}
    }
    Some(Access { endpoint, room: room.to_owned(), token: Secret::new(text("access_token", 8192)?) })
}

#[cfg(test)]
mod tests;
