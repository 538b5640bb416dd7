//! Any SVG of our own as a PNG, with the slate's fonts. Nothing outside the text is ever read.

use std::io::Cursor;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, ImageKind, Options, Tree};

use super::{clean, fonts, template};

/// Largest picture, in pixels.
const MOST_PIXELS: f32 = 40e6;

/// Hostile text as the content of an SVG text node or attribute: one line, escaped.
pub fn svg_text(text: &str) -> String {
    template::escape(&clean::one_line(text))
}

/// How every SVG here is read: with our own fonts, and with nothing from outside but the `artwork` that was loaded.
pub(super) fn options(artwork: Option<Arc<Vec<u8>>>) -> Options<'static> {
    Options {
        fontdb: fonts::database(),
        font_family: fonts::DEFAULT_FAMILY.to_owned(),
        font_resolver: fonts::Fallbacks::default().resolver(),
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(move |name, _| artwork.clone().filter(|_| name == "artwork").map(ImageKind::PNG)),
        },
        ..Options::default()
    }
}

/// Draws `svg`. Blocks for some tenths of a second.
///
/// # Errors
/// In words, when it is no SVG or too large.
pub fn png(svg: &str) -> Result<Vec<u8>, String> {
    let options = options(None);
    let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size();
    if size.width() * size.height() > MOST_PIXELS {
        return Err("the picture is too large".to_owned());
    }
    let size = size.to_int_size();
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("the picture does not fit into memory")?;
    resvg::render(&tree, Transform::default(), &mut pixels.as_mut());
    encode(size.width(), size.height(), pixels.take())
}

/// Rows of opaque RGBA as a PNG.
///
/// # Errors
/// In words, when they are not as many as they should be.
pub(super) fn encode(width: u32, height: u32, rgba: Vec<u8>) -> Result<Vec<u8>, String> {
    let image = image::RgbaImage::from_raw(width, height, rgba).ok_or("the picture has no pixels")?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).map_err(|error| error.to_string())?;
    Ok(png.into_inner())
}
