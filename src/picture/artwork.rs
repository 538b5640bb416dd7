//! The operator's own pictures: read with bounds, shrunk to what the slate shows.

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgba, RgbaImage};

use super::PictureError;

/// Size of a picture or template file. Covers for podcasts are at most 3000 x 3000 and rarely above 2 MB.
const MAX_FILE_BYTES: u64 = 20 * 1024 * 1024;

/// Pixels of a picture: 40 million, as in a large camera's.
const MAX_PIXELS: u64 = 40_000_000;

/// Pixels of a picture that is sent to a live show: 10 million, or 40 MB while it is shrunk.
const MAX_SENT_PIXELS: u64 = 10_000_000;

/// Longer side at which artwork is kept: what it takes at most on a slate of 1920 x 1080.
const ARTWORK_SIDE: u32 = 720;

/// What shows through transparent artwork: the middle of the default slate's background.
const BACKDROP: Rgba<u8> = Rgba([18, 22, 46, 255]);

/// Reads a file of the operator's, at most 20 MB.
///
/// # Errors
/// [`PictureError::Unreadable`] or [`PictureError::TooLarge`].
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, PictureError> {
    let unreadable = |error: std::io::Error| PictureError::Unreadable { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // The size in the folder is no bound: it may be a pipe, a device, or growing.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PictureError::TooLarge { path: path.to_owned(), limit: "20 MB" });
    }
    Ok(bytes)
}

/// Reads a PNG, JPEG or WebP.
///
/// # Errors
/// As [`read_file`], and [`PictureError::BadImage`] for what is none of these, or broken.
pub(super) fn read_image(path: &Path) -> Result<DynamicImage, PictureError> {
    decode(path, read_file(path)?, MAX_PIXELS)
}

/// The picture that a client sent while the show is on the air.
///
/// # Errors
/// [`PictureError::BadImage`], and [`PictureError::TooLarge`] for one that would take memory that shows beside it need.
pub(super) fn sent(bytes: Vec<u8>) -> Result<DynamicImage, PictureError> {
    decode(Path::new("the picture"), bytes, MAX_SENT_PIXELS)
}

fn decode(path: &Path, bytes: Vec<u8>, max_pixels: u64) -> Result<DynamicImage, PictureError> {
    let bad = |error: image::ImageError| match error {
        image::ImageError::Limits(_) => too_many_pixels(path, max_pixels),
        other => PictureError::BadImage { path: path.to_owned(), reason: other.to_string() },
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| PictureError::Unreadable { path: path.to_owned(), error })?;
    let mut limits = Limits::default();
    // Room for 8 bytes per pixel: 16-bit PNG.
    limits.max_alloc = Some(max_pixels * 8);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(bad)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(too_many_pixels(path, max_pixels));
    }
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(bad)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn too_many_pixels(path: &Path, max_pixels: u64) -> PictureError {
    let limit = if max_pixels == MAX_PIXELS { "40 million pixels" } else { "10 million pixels" };
    PictureError::TooLarge { path: path.to_owned(), limit }
}

/// Artwork for a template: opaque, at most 720 pixels a side, as PNG.
pub(super) fn artwork(path: &Path) -> Result<Arc<Vec<u8>>, PictureError> {
    let image = read_image(path)?;
    let image = if image.width().max(image.height()) > ARTWORK_SIDE {
        image.resize(ARTWORK_SIDE, ARTWORK_SIDE, FilterType::Lanczos3)
    } else {
        image
    };
    let mut opaque = RgbaImage::from_pixel(image.width(), image.height(), BACKDROP);
    imageops::overlay(&mut opaque, &image.into_rgba8(), 0, 0);
    let mut png = Cursor::new(Vec::new());
    DynamicImage::ImageRgba8(opaque)
        .into_rgb8()
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|error| PictureError::BadImage { path: path.to_owned(), reason: error.to_string() })?;
    Ok(Arc::new(png.into_inner()))
}

/// A still image as a whole slate of `width` x `height`: all of it visible, over a dim enlargement of itself where its
/// shape leaves room.
pub(super) fn full_slate(image: &DynamicImage, width: u32, height: u32) -> RgbaImage {
    // Forty pixels across and enlarged again: a blur that costs nothing.
    let small = image.resize_to_fill(40, 40 * height / width, FilterType::Triangle).into_rgba8();
    let mut slate = imageops::resize(&small, width, height, FilterType::CatmullRom);
    for pixel in slate.pixels_mut() {
        let alpha = u32::from(pixel[3]);
        for n in 0..3 {
            let over = u32::from(pixel[n]) * alpha + u32::from(BACKDROP[n]) * (255 - alpha);
            pixel[n] = (over * 2 / 5 / 255) as u8;
        }
        pixel[3] = 255;
    }
    let image = image.resize(width, height, FilterType::Lanczos3).into_rgba8();
    let place = |outer: u32, inner: u32| i64::from(outer.saturating_sub(inner) / 2);
    imageops::overlay(&mut slate, &image, place(width, image.width()), place(height, image.height()));
    slate
}
