//! One track of a listening connection: its packets as received.

use std::time::Instant;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_webrtc::WebRTCRTPTransceiver;

use super::{RtcEvent, Teller, stamp};
use crate::gst::samples::sample_count;

const TEXT: &str = include_str!("../../../pipelines/webrtc_track.launch");

/// Longest packet of Opus that is taken, in bytes: 120 ms at its highest rate come to less (RFC 6716 §3.2).
const PACKET_MAX: usize = 8 << 10;

/// Links a pad of the connection to a chain of its own. A pad that is no Opus is left to fall on the floor.
pub(super) fn attach(rtc: &gst::Element, pad: &gst::Pad, teller: &Teller) -> Result<(), glib::BoolError> {
    let parent = rtc.parent().and_downcast::<gst::Bin>().ok_or_else(|| glib::bool_error!("no pipeline"))?;
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let is_opus = caps.structure(0).and_then(|caps| caps.get::<&str>("encoding-name").ok()) == Some("OPUS");
    if !is_opus {
        let floor = gst::ElementFactory::make("fakesink").property("sync", false).property("async", false).build()?;
        return enter(&parent, pad, &floor, "sink");
    }
    let number = pad.property::<WebRTCRTPTransceiver>("transceiver").mlineindex();
    let text: String = TEXT.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
    let chain = gst::parse::bin_from_description_with_name(&text, false, "")
        .map_err(|error| glib::bool_error!("the chain of a track does not build: {error}"))?;
    let no_entry = || glib::bool_error!("the chain of a track has no entry");
    let depayloader = chain.by_name("in").ok_or_else(no_entry)?;
    let told = teller.clone();
    stamp::by_the_sender(&depayloader, move |packet| tell_packet(&told, number, packet)).ok_or_else(no_entry)?;
    let input = depayloader.static_pad("sink").ok_or_else(no_entry)?;
    chain.add_pad(&gst::GhostPad::builder_with_target(&input)?.name("sink").build())?;
    teller.tell(RtcEvent::Track(number));
    enter(&parent, pad, chain.upcast_ref(), "sink")
}

fn enter(parent: &gst::Bin, pad: &gst::Pad, element: &gst::Element, sink: &str) -> Result<(), glib::BoolError> {
    parent.add(element)?;
    element.sync_state_with_parent()?;
    let sink = element.static_pad(sink).ok_or_else(|| glib::bool_error!("no entry"))?;
    pad.link(&sink).map_err(|error| glib::bool_error!("a track cannot be linked: {error}"))?;
    Ok(())
}

/// Tells a packet as it was received.
fn tell_packet(teller: &Teller, track: u32, packet: &gst::Buffer) {
    // The depayloader's segment begins at zero: what it stamps is running time.
    let Some(at) = packet.pts().filter(|_| packet.size() <= PACKET_MAX) else { return };
    let Ok(bytes) = packet.map_readable() else { return };
    teller.tell(RtcEvent::Packet {
        track,
        at: sample_count(at),
        came: Instant::now(),
        data: Bytes::copy_from_slice(&bytes),
    });
}
