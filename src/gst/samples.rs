//! Stereo samples in and out of GStreamer's buffers.

use gstreamer as gst;

use crate::media::{SAMPLE_RATE, StereoSample};

/// Samples on a timeline as GStreamer's nanoseconds, rounded to the nearest.
pub(super) fn clock_time(samples: u64) -> gst::ClockTime {
    let nanos = (u128::from(samples) * 1_000_000_000 + u128::from(SAMPLE_RATE / 2)) / u128::from(SAMPLE_RATE);
    gst::ClockTime::from_nseconds(u64::try_from(nanos).unwrap_or(u64::MAX - 1))
}

/// GStreamer's nanoseconds as samples, rounded to the nearest: exact for what [`clock_time`] made.
pub(super) fn sample_count(time: gst::ClockTime) -> u64 {
    ((u128::from(time.nseconds()) * u128::from(SAMPLE_RATE) + 500_000_000) / 1_000_000_000) as u64
}

/// A buffer of interleaved little-endian f32 that starts at `at` samples.
pub(super) fn to_buffer(samples: &[StereoSample], at: u64) -> gst::Buffer {
    let bytes: Vec<u8> = samples.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    {
        let buffer = buffer.get_mut().expect("a new buffer has one owner");
        buffer.set_pts(clock_time(at));
        buffer.set_duration(clock_time(samples.len() as u64));
    }
    buffer
}

/// The samples of a buffer of interleaved little-endian f32.
pub(super) fn from_bytes(bytes: &[u8]) -> Vec<StereoSample> {
    let value = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    bytes.chunks_exact(8).map(|frame| [value(&frame[..4]), value(&frame[4..])]).collect()
}
