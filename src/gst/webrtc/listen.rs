//! A peer connection that only listens: any number of Opus tracks, each with its packets and its samples.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_webrtc::{WebRTCKind, WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection as Direction};
use tokio::sync::mpsc;

use super::{RtcEvent, SdpKind, Teller, describe, feedback, take_remote, track, watch};
use crate::gst::{GstError, Hole, Pipeline, Template};

const TEMPLATE: Template = Template::new("webrtc", include_str!("../../../pipelines/webrtc.launch"));

/// What we can take: Opus, at the one clock rate that it has.
const OPUS: &str = "application/x-rtp,media=audio,encoding-name=OPUS,encoding-params=(string)2,clock-rate=48000,\
    payload=111,rtcp-fb-nack=true";

/// A peer connection that only listens. Dropping it ends it.
#[derive(Debug)]
pub struct RtcListener {
    pipeline: Pipeline,
    rtc: gst::Element,
    teller: Teller,
}

impl RtcListener {
    /// A connection whose jitter buffers hold `latency_ms`. It reports to `events`; what does not fit there is dropped.
    ///
    /// # Errors
    /// When an element is missing (with its package).
    pub fn new(latency_ms: u32, events: mpsc::Sender<RtcEvent>) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[("latency", Hole::Int(i64::from(latency_ms)))])?;
        let rtc: gst::Element = pipeline.element("rtc")?;
        let teller = Teller::new(events);
        watch(&rtc, &teller);
        rtc.connect("on-new-transceiver", false, |values| {
            let transceiver = values.get(1)?.get::<WebRTCRTPTransceiver>().ok()?;
            // A picture that the other side offers is refused before a byte of it comes.
            let is_audio = transceiver.kind() == WebRTCKind::Audio;
            transceiver.set_property("direction", if is_audio { Direction::Recvonly } else { Direction::Inactive });
            transceiver.set_property("do-nack", true);
            None
        });
        prepare_parts(&rtc);
        let told = teller.clone();
        rtc.connect_pad_added(move |rtc, pad| {
            if pad.direction() == gst::PadDirection::Src
                && let Err(error) = track::attach(rtc, pad, &told)
            {
                told.failed(format!("a track cannot be heard: {error}"));
            }
        });
        Ok(Self { pipeline, rtc, teller })
    }

    /// Starts it; descriptions are exchanged afterwards.
    ///
    /// # Errors
    /// When an element refuses, or the change of state does not end.
    pub async fn play(&self) -> Result<(), GstError> {
        self.pipeline.play().await
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the change of state does not end; the connection is then abandoned.
    pub async fn stop(&self) -> Result<(), GstError> {
        self.pipeline.stop().await
    }

    /// Takes the other side's offer, the first or a later one; the answer is told as [`RtcEvent::Local`].
    ///
    /// # Errors
    /// When it is no description.
    pub fn answer(&self, offer: &str) -> Result<(), GstError> {
        take_remote(&self.rtc, SdpKind::Offer, offer, &self.teller, |rtc, teller| {
            describe(rtc, SdpKind::Answer, teller);
        })
    }

    /// Offers to hear `tracks` tracks; the offer is told as [`RtcEvent::Local`].
    ///
    /// # Errors
    /// When the connection cannot take a track.
    pub fn offer(&self, tracks: usize) -> Result<(), GstError> {
        let caps: gst::Caps = OPUS.parse().map_err(|_| self.refused("Opus"))?;
        for _ in 0..tracks {
            let made = self
                .rtc
                .emit_by_name::<Option<WebRTCRTPTransceiver>>("add-transceiver", &[&Direction::Recvonly, &caps]);
            made.ok_or_else(|| self.refused("a track"))?;
        }
        describe(&self.rtc, SdpKind::Offer, &self.teller);
        Ok(())
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// When it is no description.
    pub fn accept(&self, answer: &str) -> Result<(), GstError> {
        take_remote(&self.rtc, SdpKind::Answer, answer, &self.teller, |_, _| {})
    }

    /// Samples since the pipeline started, by the clock that every track lies on.
    pub fn now(&self) -> u64 {
        self.rtc.current_running_time().map_or(0, crate::gst::samples::sample_count)
    }

    fn refused(&self, what: &str) -> GstError {
        GstError::Failed { name: self.pipeline.name(), reason: format!("it does not take {what}") }
    }
}

/// Every jitter buffer gives its first packets out as soon as two follow each other; what is lost is asked for at once.
fn prepare_parts(rtc: &gst::Element) {
    let Some(bin) = rtc.downcast_ref::<gst::Bin>() else { return };
    bin.connect_deep_element_added(|_, _, element| match element.factory().map(|factory| factory.name()).as_deref() {
        Some("rtpjitterbuffer") => {
            element.set_property("faststart-min-packets", 2_u32);
            // What is lost is known when the next packet comes. Expecting each by the clock wakes a thread for each.
            element.set_property("rtx-next-seqnum", false);
        }
        Some("rtpsession") => feedback::at_once(element),
        _ => {}
    });
}
