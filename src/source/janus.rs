//! A videoroom of a Janus gateway: every speaker over one connection, mixed here.
//!
//! Listens only. One attempt is one session at the gateway; whatever breaks ends it, and it leaves as it should.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use super::id;
use super::webrtc::line::Line;
use super::webrtc::room::{LATENCY_MS, Room, WEBRTC_DELAY};
use super::{Attempt, Notice, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError, SourceEvent};
use crate::gst::webrtc::{RtcEvent, RtcListener, SdpKind};
use crate::net::HttpClient;
use crate::secret::Secret;
use client::{JanusError, Login, Message, Session};
use dialogue::{Dialogue, Requests};
use videoroom::Videoroom;

pub mod client;
mod dialogue;
pub mod videoroom;

/// The mix is made this often.
const TICK: Duration = Duration::from_millis(20);

/// A gateway owes the answer to a request within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leaving takes no longer than this.
const GOODBYE: Duration = Duration::from_secs(2);

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
}

impl JanusSource {
    /// A source of the room `room` at `gateway`, such as `https://host/janus`. `client` must trust the gateway's host and
    /// wait for [`client::POLL_PATIENCE`].
    pub fn new(gateway: Url, room: &str, pin: Option<Secret>, login: Login, client: HttpClient) -> Self {
        let id = id::hashed("janus", &format!("{gateway} {room}"), 6);
        Self { gateway, room: room.to_owned(), pin, login, client, id, member: None }
    }

    /// The same for a gateway of X: its session is the Space `id`, and every request names the account `user`.
    #[must_use]
    pub fn as_member(self, id: &str, user: &str) -> Self {
        Self { id: id.to_owned(), member: Some(user.to_owned()), ..self }
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
        let (watching, hearing) = (session.attach().await.map_err(told)?, session.attach().await.map_err(told)?);
        let mut dialogue = Dialogue::begin(session);
        let pin = self.pin.as_ref().map(|pin| pin.expose().to_owned());
        let (sender, mut media) = mpsc::channel(1024);
        let listener = listener(sender).await?;
        let info = SessionInfo {
            id: self.id.clone(),
            title: Some(format!("Room {}", self.room)),
            phase: SessionPhase::Live,
            ..SessionInfo::default()
        };
        context.send(SourceEvent::Session(info)).await?;
        let mut room = Room::enter(context, &self.id, false)?;
        room.hear(&listener);
        let mut hall = Hall {
            requests: dialogue.requests(),
            watching,
            hearing,
            listener: &listener,
            videoroom: match &self.member {
                Some(user) => Videoroom::of_x(&self.room, user),
                None => Videoroom::new(&self.room, pin),
            },
            room,
            asked: Instant::now(),
            line: Line::new("the gateway"),
            pictures_told: false,
            context,
            answering: false,
            offer: None,
        };
        hall.say(watching, hall.videoroom.enter("spacebridge"), None)?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let end = loop {
            let done = tokio::select! {
                () = context.token.cancelled() => break Ok(SourceEnd::Cancelled),
                message = dialogue.next() => match message {
                    Some(message) => hall.on_message(message).await,
                    None => Err(SourceError::transient("the gateway is not asked any more")),
                },
                // What came waits for its turn anyway. A full room that woke us for each packet cost a fifth more.
                _ = tick.tick() => hall.on_tick(&mut media).await,
            };
            if let Err(error) = done {
                break Err(error);
            }
        };
        drop(hall);
        if let Err(error) = listener.stop().await {
            tracing::warn!(%error, "A connection did not end in time.");
        }
        end
    }
}

async fn listener(sender: mpsc::Sender<RtcEvent>) -> Result<RtcListener, SourceError> {
    let operator = |error: crate::gst::GstError| SourceError::operator(error.to_string());
    let listener = RtcListener::new(LATENCY_MS, sender).map_err(operator)?;
    listener.play().await.map_err(operator)?;
    Ok(listener)
}

/// One visit to a room.
struct Hall<'a> {
    requests: Requests,
    watching: u64,
    hearing: u64,
    listener: &'a RtcListener,
    videoroom: Videoroom,
    room: Room<'a>,
    /// When the gateway was last asked for something, or said something about it.
    asked: Instant,
    line: Line,
    pictures_told: bool,
    context: &'a SourceContext,
    /// Whether a description of ours is being made, and the offer that came meanwhile.
    answering: bool,
    offer: Option<String>,
}

impl Hall<'_> {
    async fn on_message(&mut self, message: Result<Message, JanusError>) -> Result<(), SourceError> {
        let message = message.map_err(told)?;
        if let Some(JanusError::Refused { code, reason }) = client::refusal(&message.data) {
            if message.sender != Some(self.hearing) || !self.videoroom.on_refusal(code) {
                return Err(videoroom::refused(code, &reason));
            }
        } else if message.kind == "timeout" {
            return Err(SourceError::transient("the gateway gave the session up"));
        } else if message.kind == "hangup" && message.sender == Some(self.hearing) {
            return Err(SourceError::transient("the gateway hung up"));
        } else if message.sender == Some(self.watching) {
            self.videoroom.on_room(&message.data)?;
            self.tell_pictures().await?;
        } else if message.sender == Some(self.hearing) && message.kind == "event" {
            self.on_hearing(message)?;
        }
        self.take_seats();
        self.ask()
    }

    async fn tell_pictures(&mut self) -> Result<(), SourceError> {
        if self.pictures_told || !self.videoroom.offers_pictures() {
            return Ok(());
        }
        self.pictures_told = true;
        let notice = Notice::info("source.video", "the room offers pictures too; only its sound is taken");
        self.context.send(SourceEvent::Notice(notice)).await
    }

    fn on_hearing(&mut self, message: Message) -> Result<(), SourceError> {
        self.asked = Instant::now();
        let offer = message.jsep.filter(|(kind, _)| kind == "offer").map(|(_, sdp)| sdp);
        self.videoroom.on_hearing(&message.data, offer.is_some());
        match offer {
            Some(offer) if self.answering => self.offer = Some(offer),
            Some(offer) => self.answer(&offer)?,
            None => {}
        }
        Ok(())
    }

    fn answer(&mut self, offer: &str) -> Result<(), SourceError> {
        self.answering = true;
        self.listener.answer(offer).map_err(|error| SourceError::transient(error.to_string()))
    }

    fn take_seats(&mut self) {
        let seats = self.videoroom.seats();
        for track in self.room.tracks() {
            if !seats.contains_key(&track) {
                self.room.leave(track);
            }
        }
        for (track, speaker) in seats {
            self.room.seat(track, speaker);
        }
    }

    fn say(&self, handle: u64, body: Value, answer: Option<String>) -> Result<(), SourceError> {
        let said = self.requests.say(handle, body, answer);
        said.then_some(()).ok_or_else(|| SourceError::transient("the gateway takes no more requests"))
    }

    fn ask(&mut self) -> Result<(), SourceError> {
        if let Some(request) = self.videoroom.next_request() {
            self.asked = Instant::now();
            self.say(self.hearing, request, None)?;
        }
        Ok(())
    }

    async fn on_media(&mut self, event: RtcEvent) -> Result<(), SourceError> {
        match event {
            RtcEvent::Local { kind: SdpKind::Answer, sdp } if self.answering => {
                self.answering = false;
                self.say(self.hearing, self.videoroom.start(), Some(sdp))?;
                self.line.begin(Instant::now());
                if let Some(offer) = self.offer.take() {
                    self.answer(&offer)?;
                }
            }
            event => self.room.take(event).await?,
        }
        Ok(())
    }

    async fn on_tick(&mut self, media: &mut mpsc::Receiver<RtcEvent>) -> Result<(), SourceError> {
        while let Ok(event) = media.try_recv() {
            self.line.on_event(&event, Instant::now())?;
            self.on_media(event).await?;
        }
        if self.videoroom.is_waiting() && self.asked.elapsed() > PATIENCE {
            return Err(SourceError::transient("the gateway did not answer a request"));
        }
        if self.videoroom.is_empty() {
            self.line.expect_none();
        }
        let is_well = self.line.is_well(Instant::now())?;
        self.room.tick(is_well).await
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
