//! Sends silence from a seat, for gateways that let nobody sit who sends nothing. Off unless the configuration says so.
//!
//! The connection has no microphone behind it: nothing but zeros can ever go through. The seat is shown as muted before
//! it begins. Requests as observed by twifork (`twikit/spaces.py`): only one that sends, and only a sending description.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::guest::{Usher, Way};
use crate::gst::webrtc::{PublishFormat, RtcEvent, RtcPublisher, RtcState};
use crate::media::StereoSample;
use crate::net::HttpClient;
use crate::source::janus::client::{JanusError, Login, Message, Session};

/// A block of silence, in samples and in time.
const BLOCK: usize = 960;
const BLOCK_TIME: Duration = Duration::from_millis(20);

/// The gateway owes its answers within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leaving takes no longer than this.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why no silence is sent any more.
#[derive(Debug, thiserror::Error)]
enum SilenceError {
    #[error(transparent)]
    Janus(#[from] JanusError),
    #[error(transparent)]
    Media(#[from] crate::gst::GstError),
    #[error("{0}")]
    Broken(&'static str),
}

/// Sends silence until `token` is cancelled; what goes wrong is logged, for the seat may be kept all the same.
pub(super) async fn send(way: Way, client: HttpClient, usher: Usher, seat: String, token: CancellationToken) {
    let login = Login { authorization: Some(way.token.clone()), ..Login::default() };
    let Some(session) = token.run_until_cancelled(Session::open(client, &way.gateway, login)).await else { return };
    let session = match session {
        Ok(session) => session,
        Err(error) => return tracing::warn!(%error, "No silence can be sent from the seat."),
    };
    if let Some(Err(error)) = token.run_until_cancelled(speak(&session, &way, &usher, &seat)).await {
        tracing::warn!(%error, "Silence is not sent from the seat any more.");
    }
    if tokio::time::timeout(GOODBYE, session.close()).await.is_err() {
        tracing::debug!("A gateway did not answer to a goodbye.");
    }
}

async fn speak(
    session: &Session,
    way: &Way,
    usher: &Usher,
    seat: &str,
) -> Result<std::convert::Infallible, SilenceError> {
    let (sender, mut events) = mpsc::channel(256);
    let publisher =
        RtcPublisher::new(PublishFormat { channels: 1, bitrate: 16_000, dtx: true, camera: false }, sender)?;
    let made = tokio::time::timeout(PATIENCE, connect(session, way, usher, seat, &publisher, &mut events)).await;
    let _poll = made.map_err(|_| SilenceError::Broken("the gateway did not answer in time"))??;
    if let Err(error) = usher.publish(seat).await {
        tracing::debug!(%error, "X was not told that silence is sent.");
    }
    let zeros: Vec<StereoSample> = vec![[0.0; 2]; BLOCK];
    let mut blocks = tokio::time::interval(BLOCK_TIME);
    for block in 0_u64.. {
        tokio::select! {
            _ = blocks.tick() => publisher.push(&zeros, block * BLOCK as u64),
            event = events.recv() => match event {
                Some(RtcEvent::Failed(_) | RtcEvent::State(RtcState::Failed | RtcState::Closed)) | None => break,
                Some(_) => {}
            },
        }
    }
    Err(SilenceError::Broken("the connection broke"))
}

/// Enters the room as one who speaks; gives the task that keeps the session alive.
async fn connect(
    session: &Session,
    way: &Way,
    usher: &Usher,
    seat: &str,
    publisher: &RtcPublisher,
    events: &mut mpsc::Receiver<RtcEvent>,
) -> Result<AbortOnDropHandle<()>, SilenceError> {
    let handle = session.attach().await?;
    let (sender, mut answers) = mpsc::channel(8);
    let poll = AbortOnDropHandle::new(tokio::spawn(poll(session.clone(), sender)));
    let (room, user) = (usher.space.as_str(), usher.account.id.as_str());
    let join =
        json!({"request": "join", "room": room, "ptype": "publisher", "display": user, "periscope_user_id": user});
    session.say(handle, join, None).await?;
    publisher.play().await?;
    let offer = loop {
        match events.recv().await {
            Some(RtcEvent::Local { sdp, .. }) => break sdp,
            Some(RtcEvent::Failed(_)) | None => return Err(SilenceError::Broken("no description could be made")),
            Some(_) => {}
        }
    };
    let configure = json!({"request": "configure", "room": room, "periscope_user_id": user, "session_uuid": seat,
        "stream_name": room, "vidman_token": way.token.expose()});
    session.offer(handle, configure, &offer).await?;
    let answer = answers.recv().await.ok_or(SilenceError::Broken("the gateway gave no answer"))?;
    publisher.accept(&answer)?;
    Ok(poll)
}

async fn poll(session: Session, answers: mpsc::Sender<String>) {
    while let Ok(messages) = session.poll().await {
        let answer = |message: Message| message.jsep.filter(|(kind, _)| kind == "answer").map(|(_, sdp)| sdp);
        for sdp in messages.into_iter().filter_map(answer) {
            // Only the first one matters.
            drop(answers.try_send(sdp));
        }
    }
}
