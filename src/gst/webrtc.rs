//! Peer connections: one that only listens, and one that only sends.
//!
//! Descriptions are exchanged whole, with every candidate inside: nobody here sends or takes single candidates. What is
//! said to whom over which protocol is the caller's. Times of packets and samples are 48 kHz samples since the pipeline
//! started: a track's first one lies where it arrived by the pipeline's clock, the same zero for every track, and the
//! others behind it as their sender counts.

mod feedback;
mod listen;
mod publish;
mod sections;
mod stamp;
mod track;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_sdp::SDPMessage;
use gstreamer_webrtc::{WebRTCPeerConnectionState, WebRTCSDPType, WebRTCSessionDescription};
use tokio::sync::mpsc;

use super::GstError;
pub use listen::RtcListener;
pub use publish::{PublishFormat, RtcPublisher};

/// Largest description that is read, in bytes: thirteen speakers take some ten thousand.
pub const SDP_MAX: usize = 256 << 10;

/// What a peer connection reports.
#[derive(Debug, Clone)]
pub enum RtcEvent {
    /// Our own description, complete: to be given to the other side.
    Local {
        /// Whether it is an offer or the answer to one.
        kind: SdpKind,
        /// Its text.
        sdp: String,
    },
    /// Where the connection stands.
    State(RtcState),
    /// A track began: its number is the place of its section in the description.
    Track(u32),
    /// One Opus packet of a track, as received.
    Packet {
        /// The track.
        track: u32,
        /// When its first sample is to be heard.
        at: u64,
        /// When it came.
        came: Instant,
        /// The packet.
        data: Bytes,
    },
    /// Something that was asked cannot be done: the connection is of no use any more.
    Failed(String),
}

/// Which half of an exchange a description is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdpKind {
    /// Says what is offered.
    Offer,
    /// Says what is taken of it.
    Answer,
}

/// Where a connection stands, DTLS included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcState {
    /// Not there yet.
    Connecting,
    /// Media can flow.
    Connected,
    /// Lost for now; it may come back by itself.
    Disconnected,
    /// Lost for good.
    Failed,
    /// Ended by the other side.
    Closed,
}

impl From<WebRTCPeerConnectionState> for RtcState {
    fn from(state: WebRTCPeerConnectionState) -> Self {
        match state {
            WebRTCPeerConnectionState::Connected => Self::Connected,
            WebRTCPeerConnectionState::Disconnected => Self::Disconnected,
            WebRTCPeerConnectionState::Failed => Self::Failed,
            WebRTCPeerConnectionState::Closed => Self::Closed,
            _ => Self::Connecting,
        }
    }
}

/// Gives events away; what does not fit is dropped, since a streaming thread never waits.
#[derive(Debug, Clone)]
struct Teller {
    events: mpsc::Sender<RtcEvent>,
    /// Sections of the other side's description in which nothing is sent for now.
    idle: Arc<Mutex<Vec<usize>>>,
}

impl Teller {
    fn new(events: mpsc::Sender<RtcEvent>) -> Self {
        Self { events, idle: Arc::default() }
    }

    /// Tells our description. What is not sent is not received either (RFC 3264 §6.1).
    fn tell_local(&self, kind: SdpKind, sdp: &str) {
        let sdp = sections::with_idle(sdp, &lock(&self.idle));
        self.tell(RtcEvent::Local { kind, sdp });
    }

    fn tell(&self, event: RtcEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            tracing::debug!("A peer connection's reader is behind.");
        }
    }

    fn failed(&self, why: impl Into<String>) {
        self.tell(RtcEvent::Failed(why.into()));
    }
}

/// Reads a description of the other side.
fn description(kind: SdpKind, sdp: &str) -> Result<WebRTCSessionDescription, String> {
    if sdp.len() > SDP_MAX {
        return Err(format!("a description of {} bytes is too large", sdp.len()));
    }
    // The library takes an empty text for a mistake of ours.
    let none = || "a description that is none".to_owned();
    let sdp = sections::for_voices(sdp);
    let message = SDPMessage::parse_buffer(Some(&sdp).filter(|sdp| !sdp.is_empty()).ok_or_else(none)?.as_bytes());
    let message = message.map_err(|_| none())?;
    let kind = match kind {
        SdpKind::Offer => WebRTCSDPType::Offer,
        SdpKind::Answer => WebRTCSDPType::Answer,
    };
    Ok(WebRTCSessionDescription::new(kind, message))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Tells states, and our description once every candidate is in it.
fn watch(rtc: &gst::Element, teller: &Teller) {
    let states = teller.clone();
    rtc.connect_notify(Some("connection-state"), move |rtc, _| {
        states.tell(RtcEvent::State(rtc.property::<WebRTCPeerConnectionState>("connection-state").into()));
    });
    let (locals, told) = (teller.clone(), Mutex::new(String::new()));
    rtc.connect_notify(Some("ice-gathering-state"), move |rtc, _| {
        let Some((kind, sdp)) = complete(rtc) else { return };
        let mut told = lock(&told);
        if *told != sdp {
            locals.tell_local(kind, &sdp);
            *told = sdp;
        }
    });
}

/// Our description, if it has every candidate.
fn complete(rtc: &gst::Element) -> Option<(SdpKind, String)> {
    use gstreamer_webrtc::WebRTCICEGatheringState as Gathering;
    if rtc.property::<Gathering>("ice-gathering-state") != Gathering::Complete {
        return None;
    }
    let local = rtc.property::<Option<WebRTCSessionDescription>>("local-description")?;
    let kind = match local.type_() {
        WebRTCSDPType::Offer => SdpKind::Offer,
        _ => SdpKind::Answer,
    };
    Some((kind, local.sdp().as_text().ok()?))
}

/// Asks for a description of ours and takes it; it is told when it is complete.
fn describe(rtc: &gst::Element, kind: SdpKind, teller: &Teller) {
    let (signal, field) = match kind {
        SdpKind::Offer => ("create-offer", "offer"),
        SdpKind::Answer => ("create-answer", "answer"),
    };
    let (weak, teller) = (rtc.downgrade(), teller.clone());
    let promise = gst::Promise::with_change_func(move |reply| {
        let made = reply.ok().flatten().and_then(|reply| reply.get::<WebRTCSessionDescription>(field).ok());
        let (Some(rtc), Some(made)) = (weak.upgrade(), made) else {
            return teller.failed(format!("no {field} could be made"));
        };
        let (again, told) = (rtc.downgrade(), teller.clone());
        let taken = gst::Promise::with_change_func(move |reply| {
            if is_refused(reply.ok().flatten()) {
                return told.failed("our own description was not taken");
            }
            // A second exchange gathers nothing anew: its description is complete at once.
            if let Some((kind, sdp)) = again.upgrade().and_then(|rtc| complete(&rtc)) {
                told.tell_local(kind, &sdp);
            }
        });
        rtc.emit_by_name::<()>("set-local-description", &[&made, &taken]);
    });
    rtc.emit_by_name::<()>(signal, &[&None::<gst::Structure>, &promise]);
}

fn is_refused(reply: Option<&gst::StructureRef>) -> bool {
    reply.is_some_and(|reply| reply.has_field("error"))
}

/// Takes the other side's description, then goes on.
fn take_remote(
    rtc: &gst::Element,
    kind: SdpKind,
    sdp: &str,
    teller: &Teller,
    then: impl FnOnce(&gst::Element, &Teller) + Send + 'static,
) -> Result<(), GstError> {
    *lock(&teller.idle) = sections::idle(sdp);
    let remote = description(kind, sdp).map_err(|reason| GstError::Failed { name: "webrtc", reason })?;
    let (weak, teller) = (rtc.downgrade(), teller.clone());
    let promise = gst::Promise::with_change_func(move |reply| match (reply, weak.upgrade()) {
        (Ok(reply), Some(rtc)) if !is_refused(reply) => then(&rtc, &teller),
        (_, Some(_)) => teller.failed("the other side's description was not understood"),
        _ => {}
    });
    rtc.emit_by_name::<()>("set-remote-description", &[&remote, &promise]);
    Ok(())
}
