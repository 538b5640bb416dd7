//! The WHEP server that tests/it/whep.rs listens to: `whepserversink` of gst-plugins-rs. Not part of the program.
//!
//! `whep-server ADDRESS FILE`: serves the sound of FILE at http://ADDRESS/whep/endpoint until it is killed.

use gstreamer as gst;
use gstreamer::prelude::*;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, file] = &arguments[..] else { panic!("whep-server ADDRESS FILE") };
    gst::init().expect("GStreamer");
    gstrswebrtc::plugin_register_static().expect("the plugin of WebRTC");
    gstrsrtp::plugin_register_static().expect("the plugin of RTP");
    let text = "filesrc name=file ! wavparse ! clocksync ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 \
                ! whepserversink name=sink";
    let pipeline = gst::parse::launch(text).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    pipeline.by_name("file").expect("the file").set_property("location", file);
    let sink = pipeline.by_name("sink").expect("the sink");
    sink.set_property("stun-server", None::<&str>);
    sink.set_property_from_str("congestion-control", "disabled");
    let signaller = sink.property::<gst::glib::Object>("signaller");
    signaller.set_property("host-addr", format!("http://{address}"));
    pipeline.set_state(gst::State::Playing).expect("it starts");
    let bus = pipeline.bus().expect("a bus");
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Error(error) => panic!("{error:?}"),
            gst::MessageView::Eos(_) => return,
            _ => {}
        }
    }
}
