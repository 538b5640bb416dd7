//! A peer connection that only sends: what a speaker of a rehearsal says, or the silence that keeps a seat.

use gstreamer as gst;
use gstreamer_app::AppSrc;
use tokio::sync::mpsc;

use super::{RtcEvent, SdpKind, Teller, describe, take_remote, watch};
use crate::gst::samples::to_buffer;
use crate::gst::{GstError, Hole, Pipeline, Template};
use crate::media::StereoSample;

const TEMPLATE: Template = Template::new("webrtc_publish", include_str!("../../../pipelines/webrtc_publish.launch"));

/// The same with a small test picture beside the sound.
const WITH_CAMERA: Template =
    Template::new("webrtc_publish_camera", include_str!("../../../pipelines/webrtc_publish_camera.launch"));

/// How a track is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishFormat {
    /// One channel or two.
    pub channels: u32,
    /// In bits a second.
    pub bitrate: u32,
    /// Whether silence is sent as nearly nothing (DTX).
    pub dtx: bool,
    /// Whether a picture is sent as well, as somebody of a rehearsal may.
    pub camera: bool,
}

/// A peer connection that only sends. Dropping it ends it.
#[derive(Debug)]
pub struct RtcPublisher {
    pipeline: Pipeline,
    rtc: gst::Element,
    input: AppSrc,
    teller: Teller,
}

impl RtcPublisher {
    /// A connection that reports to `events`.
    ///
    /// # Errors
    /// When an element is missing (with its package).
    pub fn new(format: PublishFormat, events: mpsc::Sender<RtcEvent>) -> Result<Self, GstError> {
        let sound = [
            ("channels", Hole::Int(i64::from(format.channels))),
            ("bitrate", Hole::Int(i64::from(format.bitrate))),
            // Named in the offer: a gateway cannot tell whose packets come otherwise.
            ("ssrc", Hole::Int(i64::from(fastrand::u32(1..u32::MAX)))),
            ("dtx", Hole::Word(if format.dtx { "true" } else { "false" })),
        ];
        let pipeline = if format.camera {
            let picture = [("picture_ssrc", Hole::Int(i64::from(fastrand::u32(1..u32::MAX))))];
            WITH_CAMERA.build(&[sound.as_slice(), &picture].concat())?
        } else {
            TEMPLATE.build(&sound)?
        };
        let (rtc, input) = (pipeline.element("rtc")?, pipeline.element("in")?);
        let teller = Teller::new(events);
        watch(&rtc, &teller);
        send_only(&rtc);
        Ok(Self { pipeline, rtc, input, teller })
    }

    /// Starts it, and makes the offer: it is told as [`RtcEvent::Local`].
    ///
    /// # Errors
    /// When an element refuses, or the change of state does not end.
    pub async fn play(&self) -> Result<(), GstError> {
        self.pipeline.play().await?;
        describe(&self.rtc, SdpKind::Offer, &self.teller);
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the change of state does not end; the connection is then abandoned.
    pub async fn stop(&self) -> Result<(), GstError> {
        self.pipeline.stop().await
    }

    /// Takes the answer to the offer.
    ///
    /// # Errors
    /// When it is no description.
    pub fn accept(&self, answer: &str) -> Result<(), GstError> {
        take_remote(&self.rtc, SdpKind::Answer, answer, &self.teller, |_, _| {})
    }

    /// Sends samples that begin `at` 48 kHz samples after the connection started.
    pub fn push(&self, samples: &[StereoSample], at: u64) {
        if self.input.push_buffer(to_buffer(samples, at)).is_err() {
            tracing::debug!("A connection that sends is over.");
        }
    }
}

fn send_only(rtc: &gst::Element) {
    use gstreamer::prelude::*;
    use gstreamer_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection as Direction};
    for index in 0..2_i32 {
        let one = rtc.emit_by_name::<Option<WebRTCRTPTransceiver>>("get-transceiver", &[&index]);
        if let Some(one) = one {
            one.set_property("direction", Direction::Sendonly);
        }
    }
}
