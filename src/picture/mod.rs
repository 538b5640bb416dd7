//! The slate: from the show's settings and what is to be said to the frames of a seamless loop.
//!
//! Renders once per picture and draws only what moves in each frame. Knows no encoder, no program time and no show;
//! everything that it is told to write is hostile text. Rendering blocks: call it from a thread that may.

mod artwork;
mod clean;
mod drawing;
mod fit;
mod fonts;
mod measure;
mod motion;
mod template;
mod yuv;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use resvg::tiny_skia::{Color, IntRect, Pixmap, Transform};
use resvg::usvg::Tree;

use crate::config::SlateConfig;
use crate::gst::picture_encode;
use crate::media::VideoFormat;
pub use drawing::{png, svg_text};
use motion::Motion;

const DEFAULT_TEMPLATE: &str = include_str!("../../assets/slate.svg");

/// What the slate says. Any text may come from strangers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SlateContent {
    /// The show's or session's title.
    pub title: String,
    /// Who hosts it; empty for nobody.
    pub host: String,
    /// What is happening, such as `Starts at 20:00 UTC`.
    pub line: String,
    /// Who is speaking; empty for nobody.
    pub speaking: String,
    /// Whether space audio is on the air: a red light and a livelier waveform; amber and calm if not.
    pub live: bool,
    /// Time of day, to the minute: every change of it is a new picture.
    pub clock: Option<String>,
    /// On what ground the mirror runs; empty for nothing.
    pub consent: String,
}

/// Why a slate cannot be made of the operator's files.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// No video encoder takes pictures of that size.
    #[error("a slate of {width}x{height} cannot be encoded: take even numbers, such as 1280x720 or 1920x1080")]
    BadSize {
        /// Pixels per line.
        width: u32,
        /// Lines.
        height: u32,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read ({error}): check the path and its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The file is larger than anything that makes sense on a slate.
    #[error("{path} has more than {limit}: make it smaller, the slate is at most 1920x1080")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound that it passes.
        limit: &'static str,
    },
    /// The file is no PNG, JPEG or WebP, or a broken one.
    #[error("{path} is not a usable image ({reason}): give a PNG, JPEG or WebP")]
    BadImage {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// The template is not an SVG that can be drawn.
    #[error(
        "{path} is not a usable SVG template ({reason}): start from assets/slate.svg, save as plain SVG without DTD"
    )]
    BadTemplate {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        reason: String,
    },
}

impl PictureError {
    /// Whether trying again cannot help: always, the operator's files must change.
    pub fn is_permanent(&self) -> bool {
        true
    }
}

/// The show's slate, ready to be filled. Its files were read when it was made; they are not looked at again.
#[derive(Debug, Clone)]
pub struct Slate {
    look: Look,
    format: VideoFormat,
    flash: bool,
}

#[derive(Debug, Clone)]
enum Look {
    Template { text: Arc<str>, artwork: Option<Arc<Vec<u8>>> },
    Image(Arc<Pixmap>),
}

impl Slate {
    /// Reads and tries the operator's files.
    ///
    /// # Errors
    /// [`PictureError`] with the file and what to do, for the first one that cannot be used.
    pub fn load(config: &SlateConfig) -> Result<Self, PictureError> {
        let format = config.format;
        if !picture_encode::fits(format) {
            return Err(PictureError::BadSize { width: format.width, height: format.height });
        }
        let look = if let Some(path) = &config.image {
            let image = artwork::full_slate(&artwork::read_image(path)?, format.width, format.height);
            Look::Image(Arc::new(pixmap(format, image.into_raw())))
        } else {
            let artwork = config.artwork.as_deref().map(artwork::artwork).transpose()?;
            let text = config.template.as_deref().map(read_template).transpose()?;
            Look::Template { text: text.unwrap_or_else(|| DEFAULT_TEMPLATE.into()), artwork }
        };
        let slate = Self { look, format, flash: config.flash };
        if let (Some(path), Look::Template { text, artwork }) = (&config.template, &slate.look) {
            let sample = SlateContent { title: "Title".into(), line: "Live".into(), ..SlateContent::default() };
            parse(text, artwork.as_ref(), &sample)
                .map_err(|reason| PictureError::BadTemplate { path: path.clone(), reason })?;
        }
        Ok(slate)
    }

    /// A slate that is one picture, of the bytes of a PNG, JPEG or WebP that somebody sent. `config` says its size.
    ///
    /// # Errors
    /// [`PictureError::BadImage`] or [`PictureError::TooLarge`], with what to do.
    pub fn of_picture(bytes: Vec<u8>, config: &SlateConfig) -> Result<Self, PictureError> {
        let format = config.format;
        let image = artwork::full_slate(&artwork::sent(bytes)?, format.width, format.height);
        Ok(Self { look: Look::Image(Arc::new(pixmap(format, image.into_raw()))), format, flash: config.flash })
    }

    /// The slate for a show that must go on: without the operator's files where one of them cannot be used, and why. The
    /// size must have been checked: one that cannot be encoded fails later.
    pub fn load_or_default(config: &SlateConfig) -> (Self, Option<PictureError>) {
        let error = match Self::load(config) {
            Ok(slate) => return (slate, None),
            Err(error) => error,
        };
        let look = Look::Template { text: DEFAULT_TEMPLATE.into(), artwork: None };
        (Self { look, format: config.format, flash: config.flash }, Some(error))
    }

    /// Size and rate of the frames.
    pub fn format(&self) -> VideoFormat {
        self.format
    }

    /// Renders what does not move, once, and gives the frames of the loop one by one.
    pub fn frames(&self, content: &SlateContent) -> SlateFrames {
        let (base, motion) = match &self.look {
            Look::Image(image) => {
                (image.as_ref().clone(), Motion::of_image(self.format.width, self.format.height, content.live))
            }
            Look::Template { text, artwork } => self.render(text, artwork.as_ref(), content),
        };
        let places = motion.places(base.width(), base.height());
        let still = yuv::frame(&base);
        SlateFrames { base, still, motion, places, count: self.format.loop_frames(), flash: self.flash }
    }

    fn render(&self, text: &str, artwork: Option<&Arc<Vec<u8>>>, content: &SlateContent) -> (Pixmap, Motion) {
        let mut base = pixmap(self.format, Vec::new());
        // Loading has drawn this template; should these words break it all the same, the default must do.
        let tree = parse(text, artwork, content).or_else(|reason| {
            tracing::warn!(reason, "Slate template failed on these words; the default is shown.");
            parse(DEFAULT_TEMPLATE, artwork, content)
        });
        match tree {
            Ok(tree) => {
                let scale = fit_transform(&tree, self.format);
                resvg::render(&tree, scale, &mut base.as_mut());
                let motion = Motion::of_template(&tree, scale, content.live);
                (base, motion)
            }
            Err(reason) => {
                tracing::error!(reason, "Slate could not be drawn; only its light is shown.");
                (base, Motion::of_image(self.format.width, self.format.height, content.live))
            }
        }
    }
}

/// The frames of one picture's loop.
#[derive(Debug)]
pub struct SlateFrames {
    base: Pixmap,
    /// The base as the encoder takes it.
    still: Vec<u8>,
    motion: Motion,
    places: Vec<IntRect>,
    count: usize,
    flash: bool,
}

impl SlateFrames {
    /// How many there are in the loop.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Frame `index` (it wraps around) as [`picture_encode::encode_loop`] takes it.
    pub fn frame(&self, index: usize) -> Vec<u8> {
        let planes = picture_encode::Planes::new(self.base.width(), self.base.height());
        if self.flashes(index) {
            return yuv::white(planes);
        }
        let mut frame = self.still.clone();
        for place in &self.places {
            if let Some(mut part) = self.base.clone_rect(*place) {
                self.motion.draw(&mut part.as_mut(), (place.x(), place.y()), self.phase(index));
                yuv::write(&part, *place, planes, &mut frame);
            }
        }
        frame
    }

    /// Frame `index` as a picture for people: rows of RGBA without padding, opaque.
    pub fn rgba(&self, index: usize) -> Vec<u8> {
        if self.flashes(index) {
            return vec![255; self.base.data().len()];
        }
        let mut frame = self.base.clone();
        self.motion.draw(&mut frame.as_mut(), (0, 0), self.phase(index));
        frame.take()
    }

    /// A frame from the middle of a movement, as a PNG.
    ///
    /// # Errors
    /// In words, when it cannot be written.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        drawing::encode(self.base.width(), self.base.height(), self.rgba(self.count / 4))
    }

    fn phase(&self, index: usize) -> f32 {
        (index % self.count.max(1)) as f32 / self.count.max(1) as f32
    }

    fn flashes(&self, index: usize) -> bool {
        self.flash && index.is_multiple_of(self.count.max(1))
    }
}

/// Whether a file can be the slate's template.
///
/// # Errors
/// [`PictureError`] with what to do.
pub fn check_template(path: &Path) -> Result<(), PictureError> {
    Slate::load(&SlateConfig { template: Some(path.to_owned()), ..SlateConfig::default() }).map(drop)
}

/// Whether a file can be the slate's artwork, or a slate by itself.
///
/// # Errors
/// [`PictureError`] with what to do.
pub fn check_image(path: &Path) -> Result<(), PictureError> {
    artwork::read_image(path).map(drop)
}

fn read_template(path: &Path) -> Result<Arc<str>, PictureError> {
    let bytes = artwork::read_file(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| PictureError::BadTemplate { path: path.to_owned(), reason: error.to_string() })?;
    Ok(text.into())
}

/// The template with the content in it, as a tree that can be drawn.
fn parse(template: &str, artwork: Option<&Arc<Vec<u8>>>, content: &SlateContent) -> Result<Tree, String> {
    let (title, host) = (clean::one_line(&content.title), clean::one_line(&content.host));
    let (line, clock) = (clean::one_line(&content.line), content.clock.as_deref().map(clean::one_line));
    let (clock, consent) = (clock.unwrap_or_default(), clean::one_line(&content.consent));
    let speaking = clean::one_line(&content.speaking);
    let fields = template::Fields {
        title: &title,
        host: &host,
        line: &line,
        speaking: &speaking,
        clock: &clock,
        consent: &consent,
    };
    let svg = template::fill(template, fields)?;
    Tree::from_str(&svg, &drawing::options(artwork.cloned())).map_err(|error| error.to_string())
}

/// All of the drawing in the middle of the frame, as large as it goes.
fn fit_transform(tree: &Tree, format: VideoFormat) -> Transform {
    let (width, height) = (format.width as f32, format.height as f32);
    let size = tree.size();
    let scale = (width / size.width()).min(height / size.height());
    let (x, y) = ((width - scale * size.width()) / 2.0, (height - scale * size.height()) / 2.0);
    Transform::from_row(scale, 0.0, 0.0, scale, x, y)
}

/// A frame of these RGBA bytes, or a dark one where they do not fill it.
fn pixmap(format: VideoFormat, rgba: Vec<u8>) -> Pixmap {
    let size = resvg::tiny_skia::IntSize::from_wh(format.width.max(1), format.height.max(1)).expect("sides above zero");
    Pixmap::from_vec(rgba, size).unwrap_or_else(|| {
        let mut dark = Pixmap::new(size.width(), size.height()).expect("a frame fits into memory");
        dark.fill(Color::from_rgba8(14, 17, 36, 255));
        dark
    })
}

#[cfg(test)]
mod tests;
