//! Which elements the program needs, and which Debian package has each.

use gstreamer as gst;

/// Every element that a pipeline of this program names, with its Debian 12 package.
const NEEDED: &[(&str, &str)] = &[
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
    ("audioconvert", "gstreamer1.0-plugins-base"),
    ("audioresample", "gstreamer1.0-plugins-base"),
    ("volume", "gstreamer1.0-plugins-base"),
    ("opusenc", "gstreamer1.0-plugins-base"),
    ("opusdec", "gstreamer1.0-plugins-base"),
    ("oggmux", "gstreamer1.0-plugins-base"),
    ("lamemp3enc", "gstreamer1.0-plugins-good"),
    ("flacenc", "gstreamer1.0-plugins-good"),
    ("wavenc", "gstreamer1.0-plugins-good"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("parsebin", "gstreamer1.0-plugins-base"),
    ("flvmux", "gstreamer1.0-plugins-good"),
    ("matroskamux", "gstreamer1.0-plugins-good"),
    ("matroskademux", "gstreamer1.0-plugins-good"),
    ("qtdemux", "gstreamer1.0-plugins-good"),
    ("mp4mux", "gstreamer1.0-plugins-good"),
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("aacparse", "gstreamer1.0-plugins-good"),
    ("rtmp2sink", "gstreamer1.0-plugins-bad"),
    ("rtmp2src", "gstreamer1.0-plugins-bad"),
    ("srtsrc", "gstreamer1.0-plugins-bad"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
    ("avdec_aac", "gstreamer1.0-libav"),
    ("avdec_h264", "gstreamer1.0-libav"),
    ("avenc_aac", "gstreamer1.0-libav"),
];

/// Those of a connection by WebRTC: needed where a source is one.
const WEBRTC: &[(&str, &str)] = &[
    ("webrtcbin", "gstreamer1.0-plugins-bad"),
    ("nicesrc", "gstreamer1.0-nice"),
    ("dtlsdec", "gstreamer1.0-plugins-bad"),
    ("srtpdec", "gstreamer1.0-plugins-bad"),
    ("rtpopusdepay", "gstreamer1.0-plugins-good"),
];

/// Those of a guest's camera in a rehearsal: nobody else misses them.
const CAMERA: &[(&str, &str)] = &[
    ("videotestsrc", "gstreamer1.0-plugins-base"),
    ("vp8enc", "gstreamer1.0-plugins-good"),
    ("rtpvp8pay", "gstreamer1.0-plugins-good"),
];

/// The Debian package that holds the element, if the program uses it.
pub fn package_of(element: &str) -> Option<&'static str> {
    NEEDED.iter().chain(WEBRTC).chain(CAMERA).find(|(name, _)| *name == element).map(|(_, package)| *package)
}

/// The needed elements that this machine lacks, each with its package; empty when all is well. Those of `webrtc` are
/// looked for where it is asked for.
///
/// Asks the registry for the factory: a check by version would call plugins of other projects missing.
pub fn missing(webrtc: bool) -> Vec<(&'static str, &'static str)> {
    let more = if webrtc { WEBRTC } else { &[] };
    NEEDED.iter().chain(more).copied().filter(|(name, _)| gst::ElementFactory::find(name).is_none()).collect()
}

/// Whether there is a TLS backend, without which no RTMPS output can work (package `glib-networking`).
pub fn tls_available() -> bool {
    use gio::prelude::TlsBackendExt;
    gio::TlsBackend::default().supports_tls()
}

/// The version of GStreamer that runs here, such as `GStreamer 1.22.0`.
pub fn version() -> String {
    gst::version_string().into()
}
