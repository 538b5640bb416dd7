//! Live audio at an address that GStreamer reads: encoded audio for the recording, samples for the program.
//!
//! Autoplugging is limited to a list of parsers, demultiplexers and audio decoders: what a stranger sends must not
//! choose which code reads it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use tokio::sync::mpsc;

use super::samples::{from_bytes, sample_count};
use super::{BusEvent, GstError, Pipeline, Template};
use crate::media::PcmBlock;

const BYTES: Template = Template::new("uri_bytes", include_str!("../../pipelines/uri_bytes.launch"));
const FILE: Template = Template::new("uri_file", include_str!("../../pipelines/uri_file.launch"));
const RTMP: Template = Template::new("uri_rtmp", include_str!("../../pipelines/uri_rtmp.launch"));
const SRT: Template = Template::new("uri_srt", include_str!("../../pipelines/uri_srt.launch"));
const RTSP: Template = Template::new("uri_rtsp", include_str!("../../pipelines/uri_rtsp.launch"));

/// What may read a stream's bytes.
pub(super) const READERS: &[&str] = &[
    "aacparse",
    "ac3parse",
    "aiffparse",
    "flacparse",
    "flvdemux",
    "icydemux",
    "id3demux",
    "matroskademux",
    "mpegaudioparse",
    "oggdemux",
    "oggparse",
    "opusparse",
    "qtdemux",
    "rtpL16depay",
    "rtpjitterbuffer",
    "rtpmp4adepay",
    "rtpmp4gdepay",
    "rtpmpadepay",
    "rtpopusdepay",
    "rtppcmadepay",
    "rtppcmudepay",
    "tsdemux",
    "typefind",
    "vorbisparse",
    "wavparse",
];

/// What may decode its audio.
pub(super) const DECODERS: &[&str] = &[
    "aacparse",
    "ac3parse",
    "alawdec",
    "avdec_aac",
    "avdec_ac3",
    "avdec_mp3",
    "faad",
    "flacdec",
    "flacparse",
    "mpegaudioparse",
    "mpg123audiodec",
    "mulawdec",
    "opusdec",
    "opusparse",
    "vorbisdec",
    "vorbisparse",
];

/// How the address is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriKind {
    /// Bytes that the caller reads and pushes.
    Bytes,
    /// A file, as fast as it is taken.
    File,
    /// `rtmp` or `rtmps`.
    Rtmp,
    /// `srt`.
    Srt,
    /// `rtsp` or `rtsps`.
    Rtsp,
}

/// What comes out.
#[derive(Debug, Clone)]
pub enum UriOutput {
    /// A piece of the encoded audio as a Matroska byte stream, from its first byte on.
    Capture(Bytes),
    /// Samples; media time counts from the first one.
    Audio(PcmBlock),
}

/// A running reader of one address.
#[derive(Debug)]
pub struct UriReader {
    pipeline: Pipeline,
    input: Option<AppSrc>,
}

impl UriReader {
    /// Builds a reader; `location` is an address or, for files, a path. Nothing runs before [`UriReader::play`].
    ///
    /// # Errors
    /// When an element is missing (with its package).
    pub fn new(kind: UriKind, location: &str, output: mpsc::Sender<UriOutput>) -> Result<Self, GstError> {
        let template = match kind {
            UriKind::Bytes => BYTES,
            UriKind::File => FILE,
            UriKind::Rtmp => RTMP,
            UriKind::Srt => SRT,
            UriKind::Rtsp => RTSP,
        };
        let pipeline = template.build(&[])?;
        let mut input = None;
        match kind {
            UriKind::Bytes => input = Some(pipeline.element::<AppSrc>("in")?),
            UriKind::Srt => pipeline.element::<gst::Element>("src")?.set_property("uri", location),
            UriKind::File => pipeline.element::<gst::Element>("src")?.set_property("location", Path::new(location)),
            UriKind::Rtmp | UriKind::Rtsp => {
                pipeline.element::<gst::Element>("src")?.set_property("location", location)
            }
        }
        let parse: gst::Element = pipeline.element("parse")?;
        if kind == UriKind::Rtsp {
            let source = pipeline.element("src")?;
            only_audio(&source);
            link_first(&source, &parse, "application/x-rtp");
        }
        let decode: gst::Element = pipeline.element("decode")?;
        allow_only(&parse, &[READERS]);
        allow_only(&decode, &[DECODERS]);
        link_parsed(&parse, &pipeline.element("entry")?);
        link_first(&decode, &pipeline.element("pcm")?, "audio/x-raw");
        connect_sinks(&pipeline, output)?;
        Ok(Self { pipeline, input })
    }

    /// Starts it.
    ///
    /// # Errors
    /// When an element refuses, or the change of state does not end.
    pub async fn play(&self) -> Result<(), GstError> {
        self.pipeline.play().await
    }

    /// Stops it.
    ///
    /// # Errors
    /// When the change of state does not end; the pipeline is then abandoned.
    pub async fn stop(&self) -> Result<(), GstError> {
        self.pipeline.stop().await
    }

    /// What it reports.
    pub fn events(&self) -> impl futures_util::Stream<Item = BusEvent> + Send + use<> {
        self.pipeline.events()
    }

    /// Where its bytes go in; only for [`UriKind::Bytes`].
    pub fn input(&self) -> Option<UriInput> {
        self.input.clone().map(UriInput)
    }
}

/// The way into a reader of bytes.
#[derive(Debug, Clone)]
pub struct UriInput(AppSrc);

impl UriInput {
    /// Pushes bytes, less than 4 MB at once. False when the reader is full or over: wait and push again, or give up.
    pub fn push(&self, bytes: &Bytes) -> bool {
        if self.0.current_level_bytes() + bytes.len() as u64 > self.0.max_bytes() {
            return false;
        }
        self.0.push_buffer(gst::Buffer::from_slice(bytes.clone())).is_ok()
    }

    /// No more bytes will come.
    pub fn end_of_bytes(&self) {
        if self.0.end_of_stream().is_err() {
            tracing::debug!("Reader was over before its end.");
        }
    }
}

/// Links the first pad of `from` whose caps start with `media` to `to`; others stay unlinked.
pub(super) fn link_first(from: &gst::Element, to: &gst::Element, media: &'static str) {
    let target = to.downgrade();
    from.connect_pad_added(move |_, pad| {
        let Some(to) = target.upgrade() else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if caps.structure(0).is_some_and(|structure| structure.name().starts_with(media)) {
            link(pad, &to);
        }
    });
}

/// Links the first audio that was parsed. Matroska holds AAC without the headers that it has on a stream of its own.
fn link_parsed(parse: &gst::Element, entry: &gst::Element) {
    let target = entry.downgrade();
    parse.connect_pad_added(move |_, pad| {
        let Some(entry) = target.upgrade() else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let Some(structure) = caps.structure(0).filter(|structure| structure.name().starts_with("audio/")) else {
            return;
        };
        let format = structure.get::<&str>("stream-format").unwrap_or("raw");
        if structure.name() == "audio/mpeg" && format != "raw" {
            match strip_headers(&entry) {
                Ok(strip) => link(pad, &strip),
                Err(error) => tracing::warn!(%error, "The headers of an AAC stream cannot be taken off."),
            }
        } else {
            link(pad, &entry);
        }
    });
}

/// A parser in front of `entry`, which agrees with Matroska on raw access units.
fn strip_headers(entry: &gst::Element) -> Result<gst::Element, glib::BoolError> {
    let strip = gst::ElementFactory::make("aacparse").build()?;
    let parent = entry.parent().and_downcast::<gst::Bin>().ok_or_else(|| glib::bool_error!("no pipeline"))?;
    parent.add(&strip)?;
    strip.link(entry)?;
    strip.sync_state_with_parent()?;
    Ok(strip)
}

fn link(pad: &gst::Pad, to: &gst::Element) {
    let sink = to.static_pad("sink").or_else(|| to.request_pad_simple("sink")).filter(|sink| !sink.is_linked());
    if let Some(sink) = sink
        && let Err(error) = pad.link(&sink)
    {
        tracing::warn!(%error, "An audio pad could not be linked.");
    }
}

/// Lets an RTSP server send its audio and nothing else.
fn only_audio(source: &gst::Element) {
    source.connect("select-stream", false, |values| {
        let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let media = caps.and_then(|caps| caps.structure(0).and_then(|s| s.get::<String>("media").ok()));
        Some((media.as_deref() == Some("audio")).to_value())
    });
}

/// Lets the bin plug only elements of the lists.
pub(super) fn allow_only(bin: &gst::Element, lists: &'static [&'static [&'static str]]) {
    const TRY: i32 = 0;
    const SKIP: i32 = 2;
    bin.connect("autoplug-select", false, move |values| {
        let name =
            values.get(3).and_then(|value| value.get::<gst::ElementFactory>().ok()).map(|factory| factory.name());
        let answer =
            if name.is_some_and(|name| lists.iter().any(|list| list.contains(&name.as_str()))) { TRY } else { SKIP };
        let kind = glib::Type::from_name("GstAutoplugSelectResult")?;
        glib::EnumClass::with_type(kind)?.to_value(answer)
    });
}

fn connect_sinks(pipeline: &Pipeline, output: mpsc::Sender<UriOutput>) -> Result<(), GstError> {
    let capture: AppSink = pipeline.element("capture")?;
    let sender = output.clone();
    let on_capture = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
        let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
        // Waits while the reader's task is busy: a drop would be a hole in the recording.
        sender.blocking_send(UriOutput::Capture(Bytes::copy_from_slice(&map))).map_err(|_| gst::FlowError::Eos)?;
        Ok(gst::FlowSuccess::Ok)
    };
    capture.set_callbacks(AppSinkCallbacks::builder().new_sample(on_capture).build());
    let out: AppSink = pipeline.element("out")?;
    let timeline = Arc::new(Mutex::new(Timeline::default()));
    let on_audio = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
        let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
        let samples = from_bytes(&map);
        let media_time = timeline.lock().unwrap_or_else(PoisonError::into_inner).place(buffer.pts(), samples.len());
        let block = PcmBlock { media_time, samples };
        output.blocking_send(UriOutput::Audio(block)).map_err(|_| gst::FlowError::Eos)?;
        Ok(gst::FlowSuccess::Ok)
    };
    out.set_callbacks(AppSinkCallbacks::builder().new_sample(on_audio).build());
    Ok(())
}

/// Media time of a stream's buffers: sample by sample, and by their timestamps where those jump.
#[derive(Debug, Default)]
struct Timeline {
    /// What is taken from a timestamp to get its media time.
    zero: Option<i64>,
    next: i64,
}

impl Timeline {
    /// Timestamps of live streams are rounded to milliseconds: less than 50 ms is no jump.
    const JUMP: i64 = 2_400;

    /// A stream that was silent for longer than 15 s was given up: a larger jump, or one back, is a clock that was set.
    const HOLE: i64 = 15 * 48_000;

    fn place(&mut self, pts: Option<gst::ClockTime>, count: usize) -> i64 {
        if let Some(at) = pts.map(|pts| sample_count(pts) as i64) {
            let zero = *self.zero.get_or_insert(at);
            let ahead = at - zero - self.next;
            if (Self::JUMP..Self::HOLE).contains(&ahead) {
                self.next += ahead;
            } else if ahead.abs() >= Self::JUMP {
                self.zero = Some(at - self.next);
            }
        }
        let place = self.next;
        self.next += count as i64;
        place
    }
}

/// A WAV file of the ruler's first seconds.
#[cfg(test)]
pub(crate) fn wav(seconds: u32) -> Vec<u8> {
    let samples: Vec<f32> = (0..seconds).flat_map(crate::ruler::second).collect();
    let data: Vec<u8> = samples.iter().flat_map(|value| ((value * 32_000.0) as i16).to_le_bytes()).collect();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(96_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_timestamps_make_no_holes_and_real_jumps_do() {
        let mut timeline = Timeline::default();
        let ms = gst::ClockTime::from_mseconds;
        assert_eq!(timeline.place(Some(ms(5_000)), 1024), 0);
        assert_eq!(timeline.place(Some(ms(5_022)), 1024), 1024);
        assert_eq!(timeline.place(Some(ms(6_000)), 1024), 48_000);
        assert_eq!(timeline.place(None, 1024), 49_024);
        // The publisher's clock is set back, and hours ahead: neither shifts what follows.
        assert_eq!(timeline.place(Some(ms(100)), 1024), 50_048);
        assert_eq!(timeline.place(Some(ms(1_100)), 1024), 98_048);
        assert_eq!(timeline.place(Some(ms(9_000_000)), 1024), 99_072);
    }

    #[test]
    fn every_kind_of_address_has_a_pipeline_that_builds() {
        for kind in [UriKind::Bytes, UriKind::File, UriKind::Rtmp, UriKind::Srt, UriKind::Rtsp] {
            let location = match kind {
                UriKind::Srt => "srt://127.0.0.1:1",
                UriKind::Rtmp => "rtmp://127.0.0.1:1/live/x",
                UriKind::Rtsp => "rtsp://127.0.0.1:1/x",
                UriKind::File | UriKind::Bytes => "/nonexistent",
            };
            let (sender, _receiver) = mpsc::channel(1);
            UriReader::new(kind, location, sender).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_of_bytes_gives_every_second_and_something_to_record() {
        let (sender, mut receiver) = mpsc::channel(64);
        let reader = UriReader::new(UriKind::Bytes, "", sender).expect("a reader");
        reader.play().await.expect("a start");
        let input = reader.input().expect("a reader of bytes");
        assert!(input.push(&Bytes::from(wav(3))));
        input.end_of_bytes();
        let (mut samples, mut capture) = (Vec::new(), Vec::new());
        while samples.len() < 3 * 48_000 || capture.len() < 3 * 96_000 {
            let output = tokio::time::timeout(std::time::Duration::from_secs(20), receiver.recv()).await;
            match output.expect("the reader goes on").expect("an output") {
                UriOutput::Audio(block) => samples.extend(block.samples),
                UriOutput::Capture(bytes) => capture.extend_from_slice(&bytes),
            }
        }
        let marks = crate::ruler::decode(&crate::ruler::mono(&samples));
        assert_eq!(marks.iter().map(|mark| mark.index).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(capture[..4], [0x1A, 0x45, 0xDF, 0xA3], "a Matroska file starts with an EBML header");
        reader.stop().await.expect("an end");
    }
}
