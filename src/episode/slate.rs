//! The picture of an exported video: one still, encoded once, shown from start to end.

use super::error::EpisodeError;
use super::request::ExportRequest;
use crate::config::SlateConfig;
use crate::gst::picture_encode;
use crate::media::{EncodedLoop, VideoFormat};
use crate::picture::{Slate, SlateContent};

/// Enough for a picture that does not move, and a rate that platforms take.
const FPS: u32 = 5;

/// Seconds from one key frame to the next: a player that seeks decodes at most so much, and three hours of the default
/// slate in 720p have about 70 MB of key frames.
const KEY_SECONDS: usize = 30;

/// What stands on the slate below the title.
const LINE: &str = "Recording";

/// The default slate, in 720p.
pub fn default_slate() -> SlateConfig {
    SlateConfig { format: VideoFormat { width: 1280, height: 720, fps: FPS }, ..SlateConfig::default() }
}

/// The group of pictures that a video of a session with this title and host repeats; both are hostile text. Blocks for a
/// second or so.
pub(super) fn encode(request: &ExportRequest, title: &str, host: &str) -> Result<EncodedLoop, EpisodeError> {
    let format = VideoFormat { fps: FPS, ..request.slate.format };
    let image = request.picture.clone().or_else(|| request.slate.image.clone());
    let config = SlateConfig { format, image, flash: false, ..request.slate.clone() };
    let slate = Slate::load(&config).map_err(|error| EpisodeError::Unsuitable(error.to_string()))?;
    let (title, host, line) = (title.to_owned(), host.to_owned(), LINE.to_owned());
    let content = SlateContent { title, host, line, live: false, ..SlateContent::default() };
    let frame = slate.frames(&content).frame(0);
    Ok(picture_encode::encode_still(format, FPS as usize * KEY_SECONDS, &frame)?)
}
