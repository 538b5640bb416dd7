//! A videoroom of a Janus gateway: every speaker over one connection where the gateway allows it, mixed here.
//!
//! Listens only. One attempt is one session at the gateway; whatever breaks ends it, and it leaves as it should.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use url::Url;

use super::id;
use super::webrtc::room::{Room, WEBRTC_DELAY};
use super::webrtc::zero::Zero;
use super::{Attempt, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError, SourceEvent};
use crate::net::HttpClient;
use crate::secret::Secret;
use client::{JanusError, Login, Session};
use dialogue::Dialogue;
use ear::Connection;
use hall::Hall;
use videoroom::Videoroom;

pub mod client;
mod dialogue;
mod ear;
mod hall;
mod hearing;
mod rests;
mod roll;
pub mod videoroom;

/// The mix is made this often.
const TICK: Duration = Duration::from_millis(20);

/// Leaving takes no longer than this.
const GOODBYE: Duration = Duration::from_secs(1);

/// Listens to one room.
#[derive(Debug, Clone)]
pub struct JanusSource {
    gateway: Url,
    room: String,
    pin: Option<Secret>,
    login: Login,
    client: HttpClient,
    id: String,
    member: Option<String>,
    /// Whether everybody is known to be muted, by whoever knows more than the gateway.
    muted: Arc<AtomicBool>,
    zero: Zero,
}

impl JanusSource {
    /// A source of the room `room` at `gateway`, such as `https://host/janus`. `client` must trust the gateway's host and
    /// wait for [`client::POLL_PATIENCE`].
    pub fn new(gateway: Url, room: &str, pin: Option<Secret>, login: Login, client: HttpClient) -> Self {
        let id = id::hashed("janus", &format!("{gateway} {room}"), 6);
        let (room, muted, zero) = (room.to_owned(), Arc::default(), Zero::default());
        Self { gateway, room, pin, login, client, id, member: None, muted, zero }
    }

    /// The same for a gateway of X: its session is the Space `id`, whose media time lies as `zero` says, and every request
    /// names the account `user`.
    #[must_use]
    pub fn as_member(self, id: &str, zero: Zero, user: &str) -> Self {
        Self { id: id.to_owned(), zero, member: Some(user.to_owned()), ..self }
    }

    /// To be set while everybody in the room is known to be muted: such a room may send nothing at all.
    pub fn muted(&self) -> Arc<AtomicBool> {
        self.muted.clone()
    }

    async fn listen(&self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        let open = Session::open(self.client.clone(), &self.gateway, self.login.clone());
        let session = tokio::select! {
            () = context.token.cancelled() => return Ok(SourceEnd::Cancelled),
            session = open => session.map_err(told)?,
        };
        let end = self.attend(&session, &context).await;
        if tokio::time::timeout(GOODBYE, session.close()).await.is_err() {
            tracing::debug!("A gateway did not answer to a goodbye.");
        }
        end
    }

    async fn attend(&self, session: &Session, context: &SourceContext) -> Result<SourceEnd, SourceError> {
        let watching = session.attach().await.map_err(told)?;
        let first = Connection::open(session.clone(), context.clone()).await?;
        let info = SessionInfo {
            id: self.id.clone(),
            title: Some(format!("Room {}", self.room)),
            phase: SessionPhase::Live,
            ..SessionInfo::default()
        };
        context.send(SourceEvent::Session(info)).await?;
        let pin = self.pin.as_ref().map(|pin| pin.expose().to_owned());
        let videoroom = match &self.member {
            Some(user) => Videoroom::of_x(&self.room, user),
            None => Videoroom::new(&self.room, pin),
        };
        let mut dialogue = Dialogue::begin(session);
        let room = Room::enter(context, &self.id, &self.zero)?;
        let mut hall = Hall::enter(session, dialogue.requests(), watching, (videoroom, room), first)?;
        hall.trust(&self.muted);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let end = loop {
            let done = tokio::select! {
                () = context.token.cancelled() => break Ok(SourceEnd::Cancelled),
                message = dialogue.next() => match message {
                    Some(Ok(message)) => hall.on_message(message).await,
                    Some(Err(error)) => Err(told(error)),
                    None => Err(SourceError::transient("the gateway is not asked any more")),
                },
                // What came waits for its turn anyway. A full room that woke us for each packet cost a fifth more.
                _ = tick.tick() => hall.on_tick().await,
            };
            if let Err(error) = done {
                break Err(error);
            }
        };
        hall.leave().await;
        end
    }
}

fn told(error: JanusError) -> SourceError {
    match error {
        JanusError::Refused { code, reason } => videoroom::refused(code, &reason),
        JanusError::Unencrypted => {
            SourceError::operator(format!("{error}: write an address that begins with https://"))
        }
        JanusError::Net(ref cause) if cause.is_permanent() => SourceError::operator(error.to_string()),
        JanusError::Status(401 | 403) => SourceError::operator(format!("{error}: check token and api_secret")),
        JanusError::Status(404) => SourceError::operator(format!("{error}: check url, which ends in /janus mostly")),
        error => SourceError::transient(error.to_string()),
    }
}

impl Source for JanusSource {
    fn describe(&self) -> String {
        format!("room {} at {}", crate::text::plain(&self.room, 40), self.gateway.host_str().unwrap_or_default())
    }

    fn default_delay(&self) -> Duration {
        WEBRTC_DELAY
    }

    fn is_continuous(&self) -> bool {
        true
    }

    fn session_id(&self) -> Option<String> {
        Some(self.id.clone())
    }

    fn run(&mut self, context: SourceContext) -> Attempt<'_> {
        Box::pin(self.listen(context))
    }
}
