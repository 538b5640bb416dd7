//! One handle that hears, with its connection.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::client::{Message, Session};
use super::hearing::Hearing;
use super::told;
use crate::gst::webrtc::{RtcEvent, RtcListener};
use crate::source::webrtc::line::Line;
use crate::source::webrtc::room::{Axis, Room, latency_ms};
use crate::source::{SourceContext, SourceError};

/// A gateway owes the answer to a request within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// A handle at the gateway and the connection that belongs to it.
pub(super) struct Connection {
    pub(super) handle: u64,
    listener: RtcListener,
    media: mpsc::Receiver<RtcEvent>,
}

impl Connection {
    /// Makes one.
    ///
    /// # Errors
    /// When the gateway gives no handle, or an element is missing.
    pub(super) async fn open(session: Session, context: SourceContext) -> Result<Self, SourceError> {
        let operator = |error: crate::gst::GstError| SourceError::operator(error.to_string());
        let (sender, media) = mpsc::channel(1024);
        let listener = RtcListener::new(latency_ms(&context), sender).map_err(operator)?;
        listener.play().await.map_err(operator)?;
        Ok(Self { handle: session.attach().await.map_err(told)?, listener, media })
    }

    /// Ends it, and gives the handle back.
    pub(super) async fn let_go(self, session: Session) {
        let handle = self.handle;
        self.close().await;
        session.detach(handle).await;
    }

    /// Ends it.
    pub(super) async fn close(self) {
        if let Err(error) = self.listener.stop().await {
            tracing::warn!(%error, "A connection did not end in time.");
        }
    }
}

/// A handle that hears.
pub(super) struct Ear {
    pub(super) connection: Connection,
    pub(super) hearing: Hearing,
    /// Where what it hears lies in the room.
    pub(super) axis: Axis,
    /// Its connection. No packet is owed by it: whoever is muted may send none.
    line: Line,
    /// When the gateway was last asked for something, or said something about it.
    asked: Instant,
    /// Whether a description of ours is being made, and the offer that came meanwhile.
    answering: bool,
    offer: Option<String>,
}

impl Ear {
    /// Hears `hearing` by `connection`, the one with this number.
    pub(super) fn new(connection: Connection, hearing: Hearing, room: &Room<'_>, number: u32) -> Self {
        let axis = room.axis(&connection.listener, number);
        let line = Line::new("the gateway");
        Self { connection, hearing, axis, line, asked: Instant::now(), answering: false, offer: None }
    }

    /// The gateway was asked for something.
    pub(super) fn asks(&mut self) {
        self.asked = Instant::now();
    }

    /// Whether the gateway has owed an answer for too long.
    pub(super) fn waits_in_vain(&self) -> bool {
        self.hearing.is_waiting() && self.asked.elapsed() > PATIENCE
    }

    /// Takes what the gateway says to the handle.
    ///
    /// # Errors
    /// When its offer is none.
    pub(super) fn on_message(&mut self, message: Message) -> Result<(), SourceError> {
        self.asks();
        let offer = message.jsep.filter(|(kind, _)| kind == "offer").map(|(_, sdp)| sdp);
        self.hearing.on_message(&message.data, offer.is_some());
        match offer {
            Some(offer) if self.answering => self.offer = Some(offer),
            Some(offer) => self.answer(&offer)?,
            None => {}
        }
        Ok(())
    }

    fn answer(&mut self, offer: &str) -> Result<(), SourceError> {
        self.answering = true;
        self.connection.listener.answer(offer).map_err(|error| SourceError::transient(error.to_string()))
    }

    /// What the connection reports next.
    pub(super) fn next_event(&mut self) -> Option<RtcEvent> {
        self.connection.media.try_recv().ok()
    }

    /// Takes notice of what its connection reports; whether that is of no use any more.
    pub(super) fn is_cut_by(&mut self, event: &RtcEvent) -> bool {
        !matches!(event, RtcEvent::Packet { .. }) && self.line.on_event(event, Instant::now()).is_err()
    }

    /// Whether its connection was not made in time, or did not come back.
    pub(super) fn is_dead(&self) -> bool {
        self.line.is_well(Instant::now()).is_err()
    }

    /// Our answer is made; false if none was asked for. The offer that came meanwhile is next.
    ///
    /// # Errors
    /// When that offer is none.
    pub(super) fn has_answered(&mut self) -> Result<bool, SourceError> {
        let awaited = std::mem::replace(&mut self.answering, false);
        if awaited {
            self.line.begin(Instant::now());
        }
        if let Some(offer) = self.offer.take() {
            self.answer(&offer)?;
        }
        Ok(awaited)
    }
}
