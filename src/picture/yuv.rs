//! RGBA to planar 4:2:0 in BT.709 and limited range, what a video encoder takes, for a part of a frame at a time.
//!
//! Most of a slate stands still: converting only what moved costs a tenth of converting every frame.

use resvg::tiny_skia::{IntRect, Pixmap};

use crate::gst::picture_encode::Planes;

/// Luma and chroma of black in limited range.
const BLACK: i32 = 16;
const NEUTRAL: i32 = 128;

/// Luma of white in limited range.
const WHITE: u8 = 235;

/// A whole frame.
pub(super) fn frame(rgba: &Pixmap) -> Vec<u8> {
    let planes = Planes::new(rgba.width(), rgba.height());
    let mut frame = vec![0; planes.frame()];
    if let Some(place) = IntRect::from_xywh(0, 0, rgba.width(), rgba.height()) {
        write(rgba, place, planes, &mut frame);
    }
    frame
}

/// A frame that is white all over.
pub(super) fn white(planes: Planes) -> Vec<u8> {
    let mut frame = vec![WHITE; planes.frame()];
    frame[planes.luma()..].fill(NEUTRAL as u8);
    frame
}

/// Writes `part` at `place`, whose corner and size are even, into a frame.
pub(super) fn write(part: &Pixmap, place: IntRect, planes: Planes, frame: &mut [u8]) {
    let (left, top) = (place.x().max(0) as usize, place.y().max(0) as usize);
    let (luma, chroma) = frame.split_at_mut(planes.luma());
    let (blue, red) = chroma.split_at_mut(planes.chroma());
    let row_bytes = part.width() as usize * 4;
    for (n, rows) in part.data().chunks_exact(row_bytes * 2).enumerate() {
        let (upper, lower) = rows.split_at(row_bytes);
        let y = top + 2 * n;
        let at = y / 2 * planes.chroma_stride + left / 2;
        let stride = planes.luma_stride;
        let (upper_luma, lower_luma) = luma[y * stride..(y + 2) * stride].split_at_mut(stride);
        let pairs = upper.chunks_exact(8).zip(lower.chunks_exact(8));
        let lumas = upper_luma[left..].chunks_exact_mut(2).zip(lower_luma[left..].chunks_exact_mut(2));
        let chromas = blue[at..].iter_mut().zip(&mut red[at..]);
        for (((up, low), (up_luma, low_luma)), (blue, red)) in pairs.zip(lumas).zip(chromas) {
            up_luma[0] = luma_of(&up[..4]);
            up_luma[1] = luma_of(&up[4..]);
            low_luma[0] = luma_of(&low[..4]);
            low_luma[1] = luma_of(&low[4..]);
            let sum = |n: usize| i32::from(up[n]) + i32::from(up[n + 4]) + i32::from(low[n]) + i32::from(low[n + 4]);
            let (r, g, b) = (sum(0), sum(1), sum(2));
            // Of four pixels, in 65536ths.
            *blue = clamp(NEUTRAL + ((-6596 * r - 22189 * g + 28784 * b + 131_072) >> 18));
            *red = clamp(NEUTRAL + ((28784 * r - 26145 * g - 2640 * b + 131_072) >> 18));
        }
    }
}

fn luma_of(pixel: &[u8]) -> u8 {
    let [r, g, b] = [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2])];
    clamp(BLACK + ((11966 * r + 40254 * g + 4064 * b + 32_768) >> 16))
}

fn clamp(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use resvg::tiny_skia::Color;

    #[test]
    fn colours_are_those_of_bt_709() {
        let cases = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
        ];
        for ([r, g, b], expected) in cases {
            let mut pixels = Pixmap::new(2, 2).expect("pixels");
            pixels.fill(Color::from_rgba8(r, g, b, 255));
            let frame = frame(&pixels);
            let near = |n: usize, wanted: u8| frame[n].abs_diff(wanted) <= 1;
            // Rows of two pixels, padded to four bytes.
            assert!([0, 1, 4, 5].iter().all(|n| near(*n, expected[0])), "{frame:?}");
            assert!(near(8, expected[1]) && near(12, expected[2]), "{frame:?}");
        }
    }

    #[test]
    fn a_part_lands_in_its_place_and_nowhere_else() {
        let mut still = Pixmap::new(16, 8).expect("pixels");
        still.fill(Color::BLACK);
        let mut part = Pixmap::new(4, 2).expect("pixels");
        part.fill(Color::WHITE);
        let mut all = frame(&still);
        write(&part, IntRect::from_xywh(8, 4, 4, 2).expect("a place"), Planes::new(16, 8), &mut all);
        let lit: Vec<usize> = (0..128).filter(|n| all[*n] > 200).collect();
        assert_eq!(lit, [72, 73, 74, 75, 88, 89, 90, 91]);
    }
}
