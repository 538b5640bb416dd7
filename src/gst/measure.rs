//! Encoded pictures into the mean brightness of each, for a rehearsal's flash. Nothing of a picture is kept.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::{GstError, Pipeline, Template};

const TEMPLATE: Template = Template::new("measure_video", include_str!("../../pipelines/measure_video.launch"));

/// Pictures that may wait for the decoder; more are not measured.
const WAITING: u64 = 300;
/// Every so many lines and columns are looked at: enough for a flash that fills the picture.
const STEP: usize = 8;

/// Measures pictures of one stream.
#[derive(Debug)]
pub struct LumaMeter {
    input: AppSrc,
    skipping: bool,
    _pipeline: Pipeline,
}

impl LumaMeter {
    /// Starts a meter for a stream with this AVCDecoderConfigurationRecord. It calls `output` with the timestamp in ms
    /// and the mean luma (0 to 255) of each picture, on one of GStreamer's threads.
    ///
    /// # Errors
    /// When an element is missing (with its package) or refuses to start.
    pub fn new(codec_data: &Bytes, mut output: impl FnMut(u64, u8) + Send + 'static) -> Result<Self, GstError> {
        let pipeline = TEMPLATE.build(&[])?;
        let input: AppSrc = pipeline.element("in")?;
        let caps = gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("codec_data", gst::Buffer::from_slice(codec_data.clone()))
            .build();
        input.set_caps(Some(&caps));
        let sink: AppSink = pipeline.element("out")?;
        let measure = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some((millis, luma)) = luma_of(&sample) {
                output(millis, luma);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(measure).build());
        pipeline.play_blocking()?;
        Ok(Self { input, skipping: false, _pipeline: pipeline })
    }

    /// Gives it one access unit in AVC form with its timestamp in ms. Never blocks: when the decoder is behind,
    /// pictures are left out up to the next key frame.
    pub fn push(&mut self, millis: u64, key_frame: bool, access_unit: Bytes) {
        if self.input.current_level_buffers() > WAITING {
            self.skipping = true;
        } else if key_frame {
            self.skipping = false;
        }
        if self.skipping {
            return;
        }
        let mut buffer = gst::Buffer::from_slice(access_unit);
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            buffer.set_pts(gst::ClockTime::from_mseconds(millis));
            buffer.set_dts(gst::ClockTime::from_mseconds(millis));
        }
        if self.input.push_buffer(buffer).is_err() {
            tracing::debug!("Picture meter takes no more pictures.");
        }
    }
}

fn luma_of(sample: &gst::Sample) -> Option<(u64, u8)> {
    let caps = sample.caps()?.structure(0)?;
    let width = usize::try_from(caps.get::<i32>("width").ok()?).ok()?;
    let height = usize::try_from(caps.get::<i32>("height").ok()?).ok()?;
    let buffer = sample.buffer()?;
    let millis = buffer.pts()?.mseconds();
    let map = buffer.map_readable().ok()?;
    // The default layout of I420: luma first, lines padded to four bytes.
    let stride = width.div_ceil(4) * 4;
    let lines = map.get(..stride * height)?.chunks_exact(stride).step_by(STEP);
    let (sum, count) = lines
        .flat_map(|line| line[..width].iter().step_by(STEP))
        .fold((0_u64, 0_u64), |(sum, count), value| (sum + u64::from(*value), count + 1));
    u8::try_from(sum / count.max(1)).ok().map(|luma| (millis, luma))
}
