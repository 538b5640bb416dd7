//! The frames of one picture into an [`EncodedLoop`], once per picture.
//!
//! The same format and rate always give the same codec configuration, so that pictures can follow each other at any
//! grid point without a word to the decoder.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::{GstError, Hole, Pipeline, Template};
use crate::media::{EncodedLoop, VideoFormat};

const TEMPLATE: Template = Template::new("picture", include_str!("../../pipelines/picture.launch"));

/// Measured: under 2 s for 1920x1080 on one slow core. A machine that is busy elsewhere gets its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the planes of a 4:2:0 frame lie in memory: luma, blue, red, each row padded to four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planes {
    /// Bytes from one row of luma to the next.
    pub luma_stride: usize,
    /// Bytes from one row of either chroma to the next.
    pub chroma_stride: usize,
    /// Rows of luma; chroma has half of them.
    pub rows: usize,
}

impl Planes {
    /// The planes of a frame of `width` x `height` pixels, both even.
    pub fn new(width: u32, height: u32) -> Self {
        let padded = |bytes: u32| bytes.next_multiple_of(4) as usize;
        Self { luma_stride: padded(width), chroma_stride: padded(width / 2), rows: height as usize }
    }

    /// Bytes of the luma plane.
    pub fn luma(&self) -> usize {
        self.luma_stride * self.rows
    }

    /// Bytes of either chroma plane.
    pub fn chroma(&self) -> usize {
        self.chroma_stride * self.rows / 2
    }

    /// Bytes of a frame.
    pub fn frame(&self) -> usize {
        self.luma() + 2 * self.chroma()
    }
}

/// Whether frames of this size and rate can be encoded.
pub fn fits(format: VideoFormat) -> bool {
    let side = |pixels: u32| (16..=4096).contains(&pixels) && pixels.is_multiple_of(2);
    side(format.width) && side(format.height) && (1..=60).contains(&format.fps)
}

/// Encodes a loop whose frame `index` (0 to [`VideoFormat::loop_frames`]) is `frame(index)`: BT.709 in limited
/// range, as [`Planes`] says. `video_kbps` is a constant bitrate held by filler; 0 lets a quiet
/// picture be small. Blocks until done; one frame at a time is asked for, and at most a few are in memory.
///
/// # Errors
/// When an element is missing (with its package), or the encoder fails or does not end.
pub fn encode_loop(
    format: VideoFormat,
    video_kbps: u32,
    frame: impl FnMut(usize) -> Vec<u8>,
) -> Result<EncodedLoop, GstError> {
    encode_group(format, format.loop_frames(), video_kbps, frame)
}

/// Encodes one frame as a closed group of `count` pictures that all show it: a large first one and tiny others. Blocks.
///
/// # Errors
/// As [`encode_loop`].
pub fn encode_still(format: VideoFormat, count: usize, frame: &[u8]) -> Result<EncodedLoop, GstError> {
    encode_group(format, count, 0, |_| frame.to_vec())
}

fn encode_group(
    format: VideoFormat,
    count: usize,
    video_kbps: u32,
    mut frame: impl FnMut(usize) -> Vec<u8>,
) -> Result<EncodedLoop, GstError> {
    let pipeline = build(format, count, video_kbps)?;
    let input: AppSrc = pipeline.element("in")?;
    let collected = collect(&pipeline.element("out")?);
    pipeline.play_blocking()?;
    let frame_size = Planes::new(format.width, format.height).frame();
    for index in 0..count {
        let data = frame(index);
        if data.len() != frame_size {
            return Err(failed(&pipeline, format!("frame {index} has {} bytes, not {frame_size}", data.len())));
        }
        wait_for_room(&pipeline, &input)?;
        if input.push_buffer(buffer(data, index as u64, format.fps)).is_err() {
            // The bus knows why.
            break;
        }
    }
    if input.end_of_stream().is_err() {
        tracing::debug!("Encoder was over before its end.");
    }
    pipeline.wait_for_end(PATIENCE)?;
    let collected = std::mem::take(&mut *collected.lock().map_err(|_| failed(&pipeline, "the sink panicked".into()))?);
    checked(&pipeline, collected, format, count)
}

/// Waits until few frames lie before the encoder. An input that blocks would do so for ever once the encoder failed.
fn wait_for_room(pipeline: &Pipeline, input: &AppSrc) -> Result<(), GstError> {
    let step = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while input.current_level_buffers() >= 2 {
        match pipeline.wait_for_end(step) {
            Err(GstError::Frozen { .. }) if waited < PATIENCE => waited += step,
            Err(error) => return Err(error),
            Ok(()) => return Err(failed(pipeline, "the encoder ended early".to_owned())),
        }
    }
    Ok(())
}

fn build(format: VideoFormat, count: usize, video_kbps: u32) -> Result<Pipeline, GstError> {
    if !fits(format) {
        let reason = format!("frames of {}x{} at {}/s cannot be encoded", format.width, format.height, format.fps);
        return Err(GstError::Build { name: "picture", reason });
    }
    let pipeline = TEMPLATE.build(&[
        ("width", Hole::Int(i64::from(format.width))),
        ("height", Hole::Int(i64::from(format.height))),
        ("rate", Hole::Fraction(format.fps, 1)),
        ("frames", Hole::Int(count as i64)),
    ])?;
    let encoder: gst::Element = pipeline.element("encoder")?;
    if video_kbps > 0 {
        encoder.set_property_from_str("pass", "cbr");
        encoder.set_property("bitrate", video_kbps);
        encoder.set_property("vbv-buf-capacity", 1000_u32);
        // A buffer that is full at the start is as full at the end of the loop: every loop then has just the rate that
        // was asked for. With the default of 0.9 it would be 5 % less, and YouTube's minimum would be missed.
        encoder.set_property("option-string", "scenecut=0:open-gop=0:nal-hrd=cbr:vbv-init=1.0");
    } else {
        encoder.set_property_from_str("pass", "qual");
        encoder.set_property("quantizer", 18_u32);
        encoder.set_property("option-string", "scenecut=0:open-gop=0");
    }
    Ok(pipeline)
}

#[derive(Debug, Default)]
struct Collected {
    codec_data: Bytes,
    frames: Vec<Bytes>,
    starts_with_key_frame: bool,
}

fn collect(sink: &AppSink) -> Arc<Mutex<Collected>> {
    let collected = Arc::new(Mutex::new(Collected::default()));
    let shared = collected.clone();
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
        let mut collected = shared.lock().map_err(|_| gst::FlowError::Error)?;
        if collected.frames.is_empty() {
            collected.codec_data = codec_data(&sample).unwrap_or_default();
            collected.starts_with_key_frame = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        }
        let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
        collected.frames.push(Bytes::copy_from_slice(&map));
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
    collected
}

fn codec_data(sample: &gst::Sample) -> Option<Bytes> {
    let buffer = sample.caps()?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let map = buffer.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}

fn buffer(data: Vec<u8>, index: u64, fps: u32) -> gst::Buffer {
    let time = |index: u64| gst::ClockTime::from_nseconds(index * 1_000_000_000 / u64::from(fps.max(1)));
    let mut buffer = gst::Buffer::from_mut_slice(data);
    {
        let buffer = buffer.get_mut().expect("a new buffer has one owner");
        buffer.set_pts(time(index));
        buffer.set_duration(time(index + 1) - time(index));
    }
    buffer
}

/// Holds the encoder to what every output relies on.
fn checked(
    pipeline: &Pipeline,
    collected: Collected,
    format: VideoFormat,
    wanted: usize,
) -> Result<EncodedLoop, GstError> {
    let Collected { codec_data, frames, starts_with_key_frame } = collected;
    if frames.len() != wanted || !starts_with_key_frame || codec_data.is_empty() {
        let count = frames.len();
        return Err(failed(
            pipeline,
            format!(
                "the encoder gave {count} frames of {wanted}, key frame first: {starts_with_key_frame}, {} bytes of configuration",
                codec_data.len()
            ),
        ));
    }
    Ok(EncodedLoop { codec_data, frames, format, still: None })
}

fn failed(pipeline: &Pipeline, reason: String) -> GstError {
    GstError::Failed { name: pipeline.name(), reason }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const SMALL: VideoFormat = VideoFormat { width: 320, height: 180, fps: 30 };

    /// A gradient in which a bar wanders through whole cycles.
    fn frames(format: VideoFormat, tint: u8) -> impl FnMut(usize) -> Vec<u8> {
        move |index| {
            let bar = index as u32 * format.width / format.loop_frames() as u32;
            let luma = |n: u32| {
                let (x, y) = (n % format.width, n / format.width);
                if x.abs_diff(bar) < 6 { 220 } else { 16 + (x / 16 + y / 8) as u8 }
            };
            let pixels = format.width * format.height;
            (0..pixels).map(luma).chain((0..pixels / 2).map(|_| tint)).collect()
        }
    }

    /// The loops one after the other as an H.264 byte stream, with the parameter sets in front.
    fn byte_stream(loops: &[&EncodedLoop]) -> Vec<u8> {
        let start = [0, 0, 0, 1];
        let config = &loops[0].codec_data;
        let sps = usize::from(config[6]) << 8 | usize::from(config[7]);
        let pps_at = 8 + sps + 3;
        let mut stream = [&start[..], &config[8..8 + sps], &start[..], &config[pps_at..]].concat();
        for frame in loops.iter().flat_map(|picture| &picture.frames) {
            let mut rest = &frame[..];
            while let Some((length, after)) = rest.split_at_checked(4) {
                let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
                stream.extend_from_slice(&start);
                stream.extend_from_slice(&after[..length]);
                rest = &after[length..];
            }
        }
        stream
    }

    fn types(frame: &Bytes) -> Vec<u8> {
        let mut types = Vec::new();
        let mut rest = &frame[..];
        while let Some((length, after)) = rest.split_at_checked(4) {
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
            types.push(after[0] & 0x1F);
            rest = &after[length..];
        }
        types
    }

    fn decoded_frames(stream: &[u8]) -> (usize, String) {
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-v", "warning", "-f", "h264", "-i", "-", "-f", "framemd5", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ffmpeg is there (package ffmpeg)");
        ffmpeg.stdin.take().expect("a pipe").write_all(stream).expect("ffmpeg reads");
        let output = ffmpeg.wait_with_output().expect("ffmpeg ends");
        let frames = String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count();
        (frames, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn pictures_follow_each_other_without_a_word_to_the_decoder() {
        for (kbps, fps) in [(500, 30), (0, 25)] {
            let format = VideoFormat { fps, ..SMALL };
            let one = encode_loop(format, kbps, frames(format, 30)).expect("a loop");
            let other = encode_loop(format, kbps, frames(format, 200)).expect("a loop");
            assert_eq!(one.codec_data, other.codec_data);
            let (count, complaints) = decoded_frames(&byte_stream(&[&one, &other, &one]));
            assert_eq!((count, complaints.as_str()), (3 * format.loop_frames(), ""));
        }
    }

    #[test]
    fn a_loop_is_one_closed_group_of_pictures() {
        let picture = encode_loop(SMALL, 500, frames(SMALL, 90)).expect("a loop");
        assert_eq!(picture.frames.len(), 60);
        let keys: Vec<bool> = picture.frames.iter().map(|frame| types(frame).contains(&5)).collect();
        assert!(keys[0] && !keys[1..].contains(&true), "{keys:?}");
        // Profile main, as every platform takes it.
        assert_eq!(picture.codec_data[1], 77);
    }

    #[test]
    fn the_constant_rate_is_held_by_filler() {
        for (format, kbps) in [(SMALL, 500), (VideoFormat { width: 1280, height: 720, fps: 30 }, 3000)] {
            let picture = encode_loop(format, kbps, frames(format, 90)).expect("a loop");
            let bits = picture.frames.iter().map(Bytes::len).sum::<usize>() * 8;
            let rate = bits as f64 / 2.0 / 1000.0;
            assert!((0.995..1.02).contains(&(rate / f64::from(kbps))), "{rate} kbit/s of {kbps}");
        }
    }

    #[test]
    fn widths_that_need_padding_are_encoded_as_they_are() {
        let format = VideoFormat { width: 854, height: 482, fps: 30 };
        let size = Planes::new(854, 482).frame();
        let picture = encode_loop(format, 0, |_| vec![100; size]).expect("a loop");
        let (count, complaints) = decoded_frames(&byte_stream(&[&picture]));
        assert_eq!((count, complaints.as_str()), (60, ""));
    }

    #[test]
    fn a_frame_of_the_wrong_size_is_refused() {
        let error = encode_loop(SMALL, 0, |_| vec![0; 12]).expect_err("an error");
        assert!(error.to_string().contains("12 bytes"), "{error}");
    }
}
