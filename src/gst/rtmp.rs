//! One connection to one RTMP(S) server: encoded units in, bytes on a socket out.
//!
//! Owns the address, the muxer's timestamps and the classes of faults. Does not know when to connect, what to send, or
//! what a platform is.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use tokio::sync::oneshot;
use url::Url;

use super::{BusEvent, GstError, Pipeline, Template};
use crate::media::{AudioFormat, EncodedLoop};
use crate::secret::Secret;

pub use super::rtmp_fault::RtmpFault;

const TEMPLATE: Template = Template::new("rtmp_output", include_str!("../../pipelines/rtmp_output.launch"));

/// How long a pipeline may take to come down. Measured ones take milliseconds, in the middle of a blocked write too.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// Where to publish, split as RTMP has it.
#[derive(Debug, Clone)]
pub struct RtmpTarget {
    tls: bool,
    host: String,
    port: u16,
    application: String,
    stream: Secret,
    login: Option<(String, Secret)>,
}

/// An address that cannot be published to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `rtmp` nor `rtmps`.
    #[error("the address must begin with rtmp:// or rtmps://")]
    Scheme,
    /// No host in it.
    #[error("the address names no server")]
    Host,
    /// Neither a key nor a last part of the path that could be one.
    #[error("there is no stream key: set one for this output")]
    Key,
}

impl RtmpTarget {
    /// Splits `url`. With a key, the whole path and query is the application (`live2?backup=1`), since platforms put
    /// the key behind the query; without one, the last part of the path is the stream.
    ///
    /// # Errors
    /// When the address is no RTMP address, or there is nothing to name the stream.
    pub fn new(url: &Url, key: Option<&Secret>) -> Result<Self, AddressError> {
        let tls = match url.scheme() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(AddressError::Scheme),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressError::Host)?;
        let path = url.path().trim_matches('/');
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (application, stream) = match (key.filter(|key| !key.is_empty()), path.rsplit_once('/')) {
            (Some(key), _) => (format!("{path}{query}"), key.clone()),
            (None, Some((application, stream))) => (application.to_owned(), Secret::new(format!("{stream}{query}"))),
            (None, None) => return Err(AddressError::Key),
        };
        let login = (!url.username().is_empty())
            .then(|| (url.username().to_owned(), Secret::new(url.password().unwrap_or_default())));
        Ok(Self {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(if tls { 443 } else { 1935 }),
            application,
            stream,
            login,
        })
    }

    /// Scheme, host and port: what may be shown to anybody.
    pub fn server(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let bracket = if self.host.contains(':') { ["[", "]"] } else { ["", ""] };
        format!("{scheme}://{}{}{}:{}", bracket[0], self.host, bracket[1], self.port)
    }

    /// `text` without the key and the password, should a library have quoted them.
    pub fn redact(&self, text: &str) -> String {
        let text = self.stream.redact(text);
        self.login.as_ref().map_or(text.clone(), |(_, password)| password.redact(&text))
    }

    fn apply(&self, sink: &gst::Element) {
        sink.set_property_from_str("scheme", if self.tls { "rtmps" } else { "rtmp" });
        sink.set_property("host", &self.host);
        sink.set_property("port", i32::from(self.port));
        sink.set_property("application", &self.application);
        sink.set_property("stream", self.stream.expose());
        if let Some((user, password)) = &self.login {
            sink.set_property("username", user);
            sink.set_property("password", password.expose());
        }
    }
}

/// An encoded unit with its place on the connection's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Time since the join, in ns: presentation and decoding time, there being no B-frames.
    pub at_ns: u64,
    /// Length, in ns.
    pub duration_ns: u64,
    /// Whether decoding can start here; true of all audio.
    pub key: bool,
    /// The access unit.
    pub data: Bytes,
}

/// A pipeline that publishes to one server. Dropping it stops it.
#[derive(Debug)]
pub struct RtmpPipeline {
    audio: AppSrc,
    video: AppSrc,
    sink: gst::Element,
    mux: gst::Element,
    pipeline: Pipeline,
}

impl RtmpPipeline {
    /// Builds the pipeline; nothing is connected before [`RtmpPipeline::play`].
    ///
    /// # Errors
    /// When an element is missing (with its package).
    pub fn new(target: &RtmpTarget, audio: &AudioFormat, picture: &EncodedLoop) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[])?;
        let sink: gst::Element = pipeline.element("out")?;
        target.apply(&sink);
        let this = Self {
            audio: pipeline.element("audio")?,
            video: pipeline.element("video")?,
            sink,
            mux: pipeline.element("mux")?,
            pipeline,
        };
        this.audio.set_caps(Some(&audio_caps(audio)));
        this.show(picture);
        Ok(this)
    }

    /// Tells the decoder what the pictures are from the next unit on.
    pub fn show(&self, picture: &EncodedLoop) {
        self.video.set_caps(Some(&video_caps(picture)));
    }

    /// Lets every step of the connection take so long, in whole seconds. Before [`RtmpPipeline::play`].
    pub fn set_patience(&self, patience: Duration) {
        self.sink.set_property("timeout", u32::try_from(patience.as_secs()).unwrap_or(u32::MAX));
    }

    /// Lets what leaves carry timestamps that are `milliseconds` later than those pushed. Before the first push.
    ///
    /// The muxer counts from the first unit it sees, whatever time that has (measured, GStreamer 1.22): a second join
    /// of a group that keeps its zero needs the difference put back, in the header of each FLV tag.
    pub fn shift(&self, milliseconds: u32) {
        if milliseconds == 0 {
            return;
        }
        let Some(pad) = self.mux.static_pad("src") else { return };
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer_mut()
                && let Ok(mut map) = buffer.make_mut().map_writable()
            {
                shift_tag(&mut map, milliseconds);
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Gives it an audio unit. Never blocks; false when the pipeline takes nothing any more.
    pub fn push_audio(&self, unit: Unit) -> bool {
        self.audio.push_buffer(buffer(unit)).is_ok()
    }

    /// Gives it a video unit. Never blocks; false when the pipeline takes nothing any more.
    pub fn push_video(&self, unit: Unit) -> bool {
        self.video.push_buffer(buffer(unit)).is_ok()
    }

    /// Media that was pushed and waits to be muxed and sent.
    pub fn level(&self) -> Duration {
        let level = |source: &AppSrc| Duration::from_nanos(source.current_level_time().nseconds());
        level(&self.audio).max(level(&self.video))
    }

    /// Bytes given to the socket on this connection, commands included; 0 until the server has accepted the stream.
    pub fn bytes_out(&self) -> u64 {
        let stats = self.sink.property::<Option<gst::Structure>>("stats");
        stats.and_then(|stats| stats.get::<u64>("out-bytes-total").ok()).unwrap_or(0)
    }

    /// What the pipeline reports from now on. One consumer.
    pub fn events(&self) -> impl Stream<Item = BusEvent> + Send + use<> {
        self.pipeline.events()
    }

    /// Starts connecting.
    ///
    /// # Errors
    /// See [`Pipeline::play`].
    pub async fn play(&self) -> Result<(), GstError> {
        self.pipeline.play().await
    }

    /// Says that nothing more comes: what was pushed is sent, then the stream is closed in RTMP's own words, and
    /// [`BusEvent::Eos`] reported.
    pub fn finish(&self) {
        for source in [&self.audio, &self.video] {
            if source.end_of_stream().is_err() {
                tracing::debug!("Output was over before its end.");
            }
        }
    }

    /// Closes the connection on a thread of its own, which may wait for ever for a pipeline that does not come down;
    /// the caller does not, and neither does the end of the process. False when the pipeline had to be abandoned.
    pub async fn close(self) -> bool {
        let (done, down) = oneshot::channel();
        let closing = move || {
            // Stops it.
            drop(self);
            if done.send(()).is_err() {
                tracing::info!("An abandoned connection came down after all.");
            }
        };
        let thread = std::thread::Builder::new().name("rtmp-close".to_owned()).spawn(closing);
        thread.is_ok() && tokio::time::timeout(CLOSE_DEADLINE, down).await.is_ok_and(|down| down.is_ok())
    }
}

fn audio_caps(format: &AudioFormat) -> gst::Caps {
    gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .field("framed", true)
        .field("rate", i32::try_from(format.sample_rate).unwrap_or(48_000))
        .field("channels", 2)
        .field("codec_data", gst::Buffer::from_slice(format.config.clone()))
        .build()
}

fn video_caps(picture: &EncodedLoop) -> gst::Caps {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("width", number(picture.format.width))
        .field("height", number(picture.format.height))
        .field("framerate", gst::Fraction::new(number(picture.format.fps), 1))
        .field("codec_data", gst::Buffer::from_slice(picture.codec_data.clone()))
        .build()
}

fn buffer(unit: Unit) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(unit.data);
    {
        let buffer = buffer.get_mut().expect("a new buffer has one owner");
        let at = gst::ClockTime::from_nseconds(unit.at_ns);
        buffer.set_pts(at);
        buffer.set_dts(at);
        buffer.set_duration(gst::ClockTime::from_nseconds(unit.duration_ns));
        if !unit.key {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
    }
    buffer
}

/// Adds to the timestamp of an FLV audio (8) or video (9) tag: bytes 4 to 6 hold its low 24 bits, byte 7 the rest
/// (Adobe Flash Video File Format Specification 10.1, E.4.1).
fn shift_tag(tag: &mut [u8], milliseconds: u32) {
    if let [8 | 9, _, _, _, high, middle, low, top, ..] = tag {
        let shifted = u32::from_be_bytes([*top, *high, *middle, *low]).wrapping_add(milliseconds);
        [*top, *high, *middle, *low] = shifted.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, key: Option<&str>) -> Result<(String, String, String), AddressError> {
        let key = key.map(Secret::new);
        RtmpTarget::new(&Url::parse(url).expect("a URL"), key.as_ref())
            .map(|target| (target.server(), target.application, target.stream.expose().to_owned()))
    }

    #[test]
    fn an_address_is_split_as_each_platform_wants_it() {
        let cases = [
            ("rtmp://a.rtmp.youtube.com/live2", Some("K-1"), "rtmp://a.rtmp.youtube.com:1935", "live2", "K-1"),
            ("rtmps://b.example:443/live2?backup=1", Some("K"), "rtmps://b.example:443", "live2?backup=1", "K"),
            (
                "rtmps://rtmp-api.facebook.com/rtmp/",
                Some("FB-1?a=b"),
                "rtmps://rtmp-api.facebook.com:443",
                "rtmp",
                "FB-1?a=b",
            ),
            ("rtmp://[::1]:1936/app/inst/name?sig=x", None, "rtmp://[::1]:1936", "app/inst", "name?sig=x"),
        ];
        for (url, key, server, application, stream) in cases {
            let wanted = (server.to_owned(), application.to_owned(), stream.to_owned());
            assert_eq!(target(url, key), Ok(wanted), "{url}");
        }
        assert_eq!(target("rtmp://host/live", None), Err(AddressError::Key));
        assert_eq!(target("https://host/live", Some("K")), Err(AddressError::Scheme));
    }

    #[test]
    fn what_may_be_shown_of_a_target_holds_neither_key_nor_password() {
        let url = Url::parse("rtmp://user:hunter22@host/live").expect("a URL");
        let target = RtmpTarget::new(&url, Some(&Secret::new("k3y-k3y"))).expect("a target");
        let shown = format!("{target:?} {} {}", target.server(), target.redact("failed: live/k3y-k3y hunter22"));
        assert!(!shown.contains("k3y-k3y") && !shown.contains("hunter22"), "{shown}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_pipeline_that_does_not_come_down_is_abandoned_and_another_one_works() {
        super::super::init().expect("GStreamer");
        // Its backlog takes the connection, and nobody ever speaks.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("rtmp://{}/app", silent.local_addr().expect("an address"));
        let target = RtmpTarget::new(&Url::parse(&url).expect("a URL"), Some(&Secret::new("k"))).expect("a target");
        let audio = AudioFormat { sample_rate: 48_000, config: Bytes::from_static(&[0x11, 0x90]) };
        let format = crate::media::VideoFormat { width: 16, height: 16, fps: 30 };
        let picture = EncodedLoop { codec_data: Bytes::from_static(b"c"), frames: Vec::new(), format, still: None };
        let build = || RtmpPipeline::new(&target, &audio, &picture).expect("a pipeline");
        let frozen = build();
        let (release, stuck) = std::sync::mpsc::channel::<()>();
        let (entered, is_stuck) = std::sync::mpsc::channel();
        let stuck = std::sync::Mutex::new(stuck);
        frozen.audio.static_pad("src").expect("a pad").add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if entered.send(()).is_ok() {
                stuck.lock().expect("one thread").recv().expect_err("nobody says anything");
            }
            gst::PadProbeReturn::Remove
        });
        frozen.play().await.expect("it starts");
        let unit = Unit { at_ns: 0, duration_ns: 1, key: true, data: Bytes::from_static(b"a") };
        assert!(frozen.push_audio(unit));
        is_stuck.recv_timeout(Duration::from_secs(10)).expect("its streaming thread is stuck");
        let began = std::time::Instant::now();
        assert!(!frozen.close().await, "it cannot have come down");
        assert!(began.elapsed() < CLOSE_DEADLINE + Duration::from_secs(1));
        let healthy = build();
        healthy.play().await.expect("it starts");
        assert!(healthy.close().await);
        drop(release);
    }

    #[test]
    fn a_shifted_tag_carries_into_the_extended_byte() {
        let mut tag = [9, 0, 0, 1, 0xFF, 0xFF, 0xFE, 0, 0, 0, 0];
        shift_tag(&mut tag, 3);
        assert_eq!(tag[4..8], [0, 0, 1, 1]);
        let mut script = [18, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        shift_tag(&mut script, 3);
        assert_eq!(script[4..8], [0; 4], "only media is shifted");
    }
}
