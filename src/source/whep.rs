//! An endpoint of WHEP: one stream by WebRTC, asked for and left over HTTP.
//!
//! As `draft-ietf-wish-whep` has it: our offer is posted whole (nobody trickles), the answer comes with the address of
//! the session, and that is deleted at the end. Only sound is asked for.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::id;
use super::webrtc::line::Line;
use super::webrtc::room::{self, Room, WEBRTC_DELAY};
use super::webrtc::zero::Zero;
use super::{
    Attempt, SessionInfo, SessionPhase, Source, SourceContext, SourceEnd, SourceError, SourceEvent, SourceFault,
    Speaker,
};
use crate::gst::webrtc::{RtcEvent, RtcListener, RtcState, SDP_MAX, SdpKind};
use crate::net::{Answer, HttpClient, NetError, Request};
use crate::secret::Secret;

/// The mix is made this often.
const TICK: Duration = Duration::from_millis(20);

/// The endpoint owes an answer within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leaving takes no longer than this.
const GOODBYE: Duration = Duration::from_secs(2);

/// Endpoints that send us on to others: more is a loop.
const MOVES: usize = 3;

/// Who speaks: WHEP does not say.
const SPEAKER: &str = "stream";

/// Listens to one endpoint.
#[derive(Debug, Clone)]
pub struct WhepSource {
    endpoint: Url,
    token: Option<Secret>,
    client: HttpClient,
    id: String,
    zero: Zero,
}

/// A session at an endpoint.
struct Session {
    /// What is deleted at the end; none where the server did not say.
    url: Option<Url>,
    answer: String,
}

impl WhepSource {
    /// A source of `endpoint`. `client` must trust its host.
    pub fn new(endpoint: Url, token: Option<Secret>, client: HttpClient) -> Self {
        let id = id::hashed("whep", endpoint.as_str(), 6);
        Self { endpoint, token, client, id, zero: Zero::default() }
    }

    async fn listen(&self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        let operator = |error: crate::gst::GstError| SourceError::operator(error.to_string());
        let (sender, mut media) = mpsc::channel(1024);
        let listener = RtcListener::new(room::latency_ms(&context), sender).map_err(operator)?;
        listener.play().await.map_err(operator)?;
        let end = self.attend(&listener, &mut media, &context).await;
        if let Err(error) = listener.stop().await {
            tracing::warn!(%error, "A connection did not end in time.");
        }
        end
    }

    async fn attend(
        &self,
        listener: &RtcListener,
        media: &mut mpsc::Receiver<RtcEvent>,
        context: &SourceContext,
    ) -> Result<SourceEnd, SourceError> {
        let open = async {
            listener.offer(1).map_err(|error| SourceError::operator(error.to_string()))?;
            self.ask(&own_offer(media).await?).await
        };
        let session = tokio::select! {
            () = context.token.cancelled() => return Ok(SourceEnd::Cancelled),
            session = open => session?,
        };
        let end = match listener.accept(&session.answer) {
            Ok(()) => self.hear(listener, media, context).await,
            Err(error) => Err(SourceError::transient(format!("the endpoint's answer is no description: {error}"))),
        };
        self.leave(session.url).await;
        end
    }

    /// Gives our offer to the endpoint, wherever it sends us on to.
    async fn ask(&self, offer: &str) -> Result<Session, SourceError> {
        let mut endpoint = self.endpoint.clone();
        for _ in 0..=MOVES {
            let request =
                Request::post(endpoint.clone(), "application/sdp", offer.to_owned().into(), SDP_MAX, PATIENCE);
            let request = self.signed(request.header("accept", "application/sdp"));
            let answer = self.client.send(request).await.map_err(unreachable)?;
            if !matches!(answer.status, 307 | 308) {
                return session(&endpoint, answer);
            }
            let next = answer.location.as_deref().and_then(|location| endpoint.join(location).ok());
            let next = next.ok_or_else(|| SourceError::transient("the endpoint sends us on to nowhere"))?;
            if self.token.is_some() && next.origin() != endpoint.origin() {
                let host = next.host_str().unwrap_or_default();
                return Err(SourceError::operator(format!(
                    "the endpoint sends us on to {host}, where the token does not go: write that address as url"
                )));
            }
            endpoint = next;
        }
        Err(SourceError::transient("the endpoint sends us on and on"))
    }

    fn signed(&self, request: Request) -> Request {
        match &self.token {
            Some(token) => request.secret("authorization", Secret::new(format!("Bearer {}", token.expose()))),
            None => request,
        }
    }

    async fn leave(&self, url: Option<Url>) {
        let Some(url) = url else { return };
        if let Err(error) = self.client.send(self.signed(Request::delete(url, GOODBYE))).await {
            tracing::debug!(%error, "An endpoint did not answer to a goodbye.");
        }
    }

    async fn hear(
        &self,
        listener: &RtcListener,
        media: &mut mpsc::Receiver<RtcEvent>,
        context: &SourceContext,
    ) -> Result<SourceEnd, SourceError> {
        let info = SessionInfo {
            id: self.id.clone(),
            title: Some(format!("Stream of {}", self.endpoint.host_str().unwrap_or_default())),
            phase: SessionPhase::Live,
            ..SessionInfo::default()
        };
        context.send(SourceEvent::Session(info)).await?;
        let mut room = Room::enter(context, &self.id, &self.zero)?;
        let end = attend_to(&mut room, listener, media, &context.token).await;
        room.end().await;
        end
    }
}

/// Gives out what comes, until nothing more does.
async fn attend_to(
    room: &mut Room<'_>,
    listener: &RtcListener,
    media: &mut mpsc::Receiver<RtcEvent>,
    token: &CancellationToken,
) -> Result<SourceEnd, SourceError> {
    let axis = room.axis(listener, 0);
    let mut line = Line::new("the endpoint");
    line.begin(Instant::now());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(SourceEnd::Cancelled),
            _ = tick.tick() => {}
        }
        while let Ok(event) = media.try_recv() {
            line.on_event(&event, Instant::now())?;
            match event {
                RtcEvent::Track(track) => room.seat(track, whoever()),
                // A stream that is offered is sent.
                RtcEvent::State(RtcState::Connected) => line.expect_packets(Instant::now()),
                _ => {}
            }
            room.take(axis, event).await?;
        }
        room.tick(line.is_well(Instant::now())?).await?;
    }
}

fn whoever() -> Speaker {
    Speaker { id: SPEAKER.to_owned(), name: SPEAKER.to_owned(), muted: None, talking: false }
}

/// Our own description, once every candidate is in it.
async fn own_offer(media: &mut mpsc::Receiver<RtcEvent>) -> Result<String, SourceError> {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            match media.recv().await {
                Some(RtcEvent::Local { kind: SdpKind::Offer, sdp }) => return Ok(sdp),
                Some(RtcEvent::Failed(reason)) => return Err(SourceError::transient(reason)),
                Some(_) => {}
                None => return Err(SourceError::transient("the connection ended before it began")),
            }
        }
    });
    found.await.unwrap_or_else(|_| Err(SourceError::transient("this machine's own network addresses were not found")))
}

fn session(endpoint: &Url, answer: Answer) -> Result<Session, SourceError> {
    if answer.status != 201 {
        return Err(refused(&answer));
    }
    if !answer.content_type.starts_with("application/sdp") {
        return Err(SourceError::operator("the endpoint does not answer as WHEP does: check url"));
    }
    let sdp = String::from_utf8(answer.body.to_vec());
    let sdp = sdp.map_err(|_| SourceError::transient("the endpoint's answer is no description"))?;
    let url = answer.location.as_deref().and_then(|location| endpoint.join(location).ok());
    // The token goes to the endpoint that the operator named, and to no other.
    let url = url.filter(|url| url.origin() == endpoint.origin());
    if url.is_none() {
        tracing::debug!("An endpoint does not say where its session is left.");
    }
    Ok(Session { url, answer: sdp })
}

/// A status that is no success, in words.
fn refused(answer: &Answer) -> SourceError {
    let (status, wait) = (answer.status, answer.rate.retry_after);
    match status {
        401 | 403 => SourceError::operator(format!("the endpoint answered {status}: check the token")),
        404 | 410 => {
            SourceError::transient(format!("the endpoint answered {status}: nobody sends there now, or url is wrong"))
        }
        405 | 406 | 415 => {
            SourceError::operator(format!("the endpoint answered {status}: check that url is one of WHEP"))
        }
        400 | 422 => SourceError::operator(format!(
            "the endpoint answered {status}: it does not send Opus, or does not take an offer of ours"
        )),
        429 | 503 => SourceError {
            message: format!("the endpoint answered {status}: it is busy, or nobody sends there now"),
            class: wait.map_or(SourceFault::Transient, SourceFault::RateLimited),
        },
        _ => SourceError::transient(format!("the endpoint answered {status}")),
    }
}

fn unreachable(error: NetError) -> SourceError {
    let message = format!("the endpoint cannot be asked: {error}");
    match error {
        NetError::SecretHost(_) => {
            SourceError::operator("the token is not sent unencrypted: write a url that begins with https://")
        }
        error if error.is_permanent() => SourceError::operator(message),
        _ => SourceError::transient(message),
    }
}

impl Source for WhepSource {
    fn describe(&self) -> String {
        format!("WHEP at {}", self.endpoint.host_str().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do_and_how_soon_to_come_back() {
        let answer = |status, retry: Option<u64>| Answer {
            status,
            url: "https://media.example.com/whep".parse().expect("an address"),
            content_type: String::new(),
            location: None,
            rate: crate::net::RateLimit { retry_after: retry.map(Duration::from_secs), ..Default::default() },
            body: bytes::Bytes::new(),
        };
        for (status, retry, class) in [
            (401, None, SourceFault::Operator),
            (404, None, SourceFault::Transient),
            (406, None, SourceFault::Operator),
            (503, None, SourceFault::Transient),
            (503, Some(7), SourceFault::RateLimited(Duration::from_secs(7))),
            (500, Some(7), SourceFault::Transient),
        ] {
            assert_eq!(refused(&answer(status, retry)).class, class, "{status}");
        }
    }

    #[test]
    fn a_session_on_another_host_is_not_given_the_token() {
        let endpoint: Url = "https://media.example.com/whep/a".parse().expect("an address");
        for (location, expected) in [
            (Some("/whep/a/1"), Some("https://media.example.com/whep/a/1")),
            (Some("https://media.example.com/x"), Some("https://media.example.com/x")),
            (Some("https://evil.example.net/x"), None),
            (None, None),
        ] {
            let answer = Answer {
                status: 201,
                url: endpoint.clone(),
                content_type: "application/sdp".into(),
                location: location.map(str::to_owned),
                rate: Default::default(),
                body: bytes::Bytes::from_static(b"v=0"),
            };
            let session = session(&endpoint, answer).expect("a session");
            assert_eq!(session.url.map(String::from).as_deref(), expected, "{location:?}");
        }
    }
}
