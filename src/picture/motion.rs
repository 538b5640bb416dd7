//! The moving parts of a slate, drawn over its still base: a calm waveform and a breathing light.
//!
//! Everything runs through whole cycles in one loop, so that the frame after the last one is the first one again.

use std::f32::consts::TAU;

use resvg::tiny_skia::{
    Color, FillRule, GradientStop, IntRect, LinearGradient, Paint, PathBuilder, Pixmap, PixmapMut, Point,
    PremultipliedColorU8, RadialGradient, Rect, Shader, SpreadMode, Transform,
};
use resvg::usvg::{self, Node, Tree};

const LIVE: (u8, u8, u8) = (255, 77, 90);
const NOT_LIVE: (u8, u8, u8) = (255, 184, 77);

/// The light's glow reaches this many times its radius.
const HALO: f32 = 2.8;

/// What moves, and where; in pixels of the frame.
#[derive(Debug, Default)]
pub(super) struct Motion {
    waveform: Option<Waveform>,
    light: Option<Light>,
}

#[derive(Debug)]
struct Waveform {
    place: Rect,
    /// Where each bar stands, and its colour.
    bars: Vec<(f32, PremultipliedColorU8)>,
    /// Half the width of a bar.
    radius: f32,
    /// Tallest bar, as a part of the place's height.
    reach: f32,
}

#[derive(Debug)]
struct Light {
    centre: Point,
    radius: f32,
    colour: (u8, u8, u8),
}

impl Motion {
    /// The places that a template marks; `scale` takes the template's units to pixels.
    pub(super) fn of_template(tree: &Tree, scale: Transform, live: bool) -> Self {
        let waveform = tree.node_by_id("waveform").and_then(|node| Waveform::new(node, scale, live));
        let light = tree.node_by_id("light").and_then(|node| {
            let place = node.abs_bounding_box().transform(scale)?;
            let centre = Point::from_xy(place.x() + place.width() / 2.0, place.y() + place.height() / 2.0);
            Some(Light { centre, radius: place.width().min(place.height()) / 2.0, colour: colour_of(live) })
        });
        Self { waveform, light }
    }

    /// A small light in the upper right corner of a still image.
    pub(super) fn of_image(width: u32, height: u32, live: bool) -> Self {
        let unit = height as f32 / 72.0;
        let centre = Point::from_xy(width as f32 - 4.0 * unit, 4.0 * unit);
        Self { waveform: None, light: Some(Light { centre, radius: 0.8 * unit, colour: colour_of(live) }) }
    }

    /// Where anything moves, within a frame of this size; corners and sizes are even.
    pub(super) fn places(&self, width: u32, height: u32) -> Vec<IntRect> {
        let waveform = self.waveform.as_ref().map(|waveform| waveform.place);
        let light = self.light.as_ref().and_then(|light| {
            let halo = light.radius * HALO;
            Rect::from_xywh(light.centre.x - halo, light.centre.y - halo, 2.0 * halo, 2.0 * halo)
        });
        // Soft edges reach one pixel further.
        let even = |low: f32, high: f32, end: u32| {
            let low = (low.floor().max(1.0) as u32 - 1).min(end) / 2 * 2;
            (low, (high.ceil().max(0.0) as u32 + 1).min(end).div_ceil(2) * 2)
        };
        let grown = |place: Rect| {
            let ((left, right), (top, bottom)) =
                (even(place.left(), place.right(), width), even(place.top(), place.bottom(), height));
            IntRect::from_ltrb(left as i32, top as i32, right as i32, bottom as i32)
        };
        waveform.into_iter().chain(light).filter_map(grown).collect()
    }

    /// Draws the moment `phase` of the loop, 0 to 1, on pixels whose corner lies at `corner` of the frame.
    pub(super) fn draw(&self, pixels: &mut PixmapMut<'_>, corner: (i32, i32), phase: f32) {
        if let Some(waveform) = &self.waveform {
            waveform.draw(pixels, corner, phase);
        }
        if let Some(light) = &self.light {
            light.draw(pixels, Transform::from_translate(-corner.0 as f32, -corner.1 as f32), phase);
        }
    }
}

fn colour_of(live: bool) -> (u8, u8, u8) {
    if live { LIVE } else { NOT_LIVE }
}

impl Waveform {
    fn new(node: &Node, scale: Transform, live: bool) -> Option<Self> {
        let Node::Path(path) = node else { return None };
        let place = path.abs_bounding_box().transform(scale)?;
        let colours = Colours::new(path.fill()?, scale.pre_concat(path.abs_transform()), place)?;
        let pitch = scale.get_scale().0.abs().max(0.1) * 11.0;
        let count = (place.width() / pitch).floor().max(1.0) as usize;
        let left = place.x() + (place.width() - (count - 1) as f32 * pitch) / 2.0;
        let bar = |n: usize| {
            let x = left + n as f32 * pitch;
            (x, colours.at(x))
        };
        // A space that nobody speaks in is calmer than one on the air.
        let reach = if live { 1.0 } else { 0.42 };
        Some(Self { place, bars: (0..count).map(bar).collect(), radius: pitch * 0.21, reach })
    }

    fn draw(&self, pixels: &mut PixmapMut<'_>, corner: (i32, i32), phase: f32) {
        let middle = self.place.y() + self.place.height() / 2.0 - corner.1 as f32;
        let last = self.bars.len().saturating_sub(1).max(1) as f32;
        for (n, (x, colour)) in self.bars.iter().enumerate() {
            let tall = self.place.height() * self.reach * height(n as f32, n as f32 / last, phase) / 2.0;
            draw_bar(pixels, (x - corner.0 as f32, middle), self.radius, (tall - self.radius).max(0.0), *colour);
        }
    }
}

/// An upright bar with round ends: all points nearer than `radius` to a line of `reach` up and down from its middle.
/// Filling paths would take ten times as long, and this is done for a hundred bars in each of sixty frames.
fn draw_bar(pixels: &mut PixmapMut<'_>, middle: (f32, f32), radius: f32, reach: f32, colour: PremultipliedColorU8) {
    let (width, height) = (pixels.width() as f32, pixels.height() as f32);
    let range = |centre: f32, reach: f32, end: f32| {
        let (low, high) = ((centre - reach).floor().clamp(0.0, end), (centre + reach).ceil().clamp(0.0, end));
        low as usize..high as usize
    };
    let columns = range(middle.0, radius + 1.0, width);
    for row in range(middle.1, radius + reach + 1.0, height) {
        let beyond = ((row as f32 + 0.5 - middle.1).abs() - reach).max(0.0);
        for column in columns.clone() {
            let aside = column as f32 + 0.5 - middle.0;
            let covered = radius + 0.5 - (aside * aside + beyond * beyond).sqrt();
            if covered > 0.0 {
                let at = row * width as usize + column;
                blend(&mut pixels.pixels_mut()[at], colour, covered.min(1.0));
            }
        }
    }
}

/// Lays `colour` over an opaque pixel.
fn blend(pixel: &mut PremultipliedColorU8, colour: PremultipliedColorU8, covered: f32) {
    let rest = 1.0 - covered * f32::from(colour.alpha()) / 255.0;
    let mix = |over: u8, under: u8| (f32::from(over) * covered + f32::from(under) * rest + 0.5).min(255.0) as u8;
    let (r, g, b) =
        (mix(colour.red(), pixel.red()), mix(colour.green(), pixel.green()), mix(colour.blue(), pixel.blue()));
    *pixel = PremultipliedColorU8::from_rgba(r, g, b, 255).unwrap_or(*pixel);
}

/// The marker's fill along its middle line.
struct Colours {
    line: Pixmap,
    left: f32,
}

impl Colours {
    fn new(fill: &usvg::Fill, to_pixels: Transform, place: Rect) -> Option<Self> {
        let mut line = Pixmap::new(place.width().ceil().max(1.0) as u32, 1)?;
        let paint = Paint { shader: shader(fill, to_pixels)?, ..Paint::default() };
        let middle = place.y() + place.height() / 2.0;
        let all = Rect::from_xywh(place.x(), middle - 0.5, place.width().ceil().max(1.0), 1.0)?;
        line.fill_rect(all, &paint, Transform::from_translate(-place.x(), 0.5 - middle), None);
        Some(Self { line, left: place.x() })
    }

    fn at(&self, x: f32) -> PremultipliedColorU8 {
        let column = ((x - self.left).max(0.0) as usize).min(self.line.width() as usize - 1);
        self.line.pixels()[column]
    }
}

/// Height of bar `n`, 0 to 1, which lies at `part` of the width: waves that travel with whole cycles in a loop, low at
/// both ends.
fn height(n: f32, part: f32, phase: f32) -> f32 {
    let slow = (TAU * (phase - n / 31.0)).sin();
    let back = (TAU * (phase + n / 12.7)).sin();
    let fast = (TAU * (2.0 * phase - n / 5.3)).sin();
    // Every bar has a temper of its own, so that it looks like a voice and not like a spring.
    let temper = 0.55 + 0.45 * (n * 2.399_963).sin().abs();
    let wave = (0.5 + 0.2 * slow + 0.18 * back + 0.12 * fast) * temper;
    let ends = (std::f32::consts::PI * part).sin().max(0.0).powf(0.6);
    (wave * ends).clamp(0.0, 1.0)
}

impl Light {
    fn draw(&self, pixels: &mut PixmapMut<'_>, shift: Transform, phase: f32) {
        // 1 at the start of the loop, 0 in its middle.
        let breath = 0.5 + 0.5 * (TAU * phase).cos();
        let (r, g, b) = self.colour;
        let alpha = |part: f32| Color::from_rgba8(r, g, b, (255.0 * part) as u8);
        let halo = self.radius * HALO;
        let stops = vec![
            GradientStop::new(0.0, alpha(0.55 * breath)),
            GradientStop::new(0.45, alpha(0.2 * breath)),
            GradientStop::new(1.0, alpha(0.0)),
        ];
        let glow =
            RadialGradient::new(self.centre, 0.0, self.centre, halo, stops, SpreadMode::Pad, Transform::identity());
        for (radius, shader) in [(halo, glow), (self.radius, Some(Shader::SolidColor(alpha(0.45 + 0.55 * breath))))] {
            let paint = shader.map(|shader| Paint { shader, anti_alias: true, ..Paint::default() });
            let circle = PathBuilder::from_circle(self.centre.x, self.centre.y, radius);
            if let (Some(paint), Some(circle)) = (paint, circle) {
                pixels.fill_path(&circle, &paint, FillRule::Winding, shift, None);
            }
        }
    }
}

/// The marker's own fill, a colour or a linear gradient, in pixels of the frame.
fn shader(fill: &usvg::Fill, to_pixels: Transform) -> Option<Shader<'static>> {
    let colour = |colour: usvg::Color, opacity: f32| {
        let alpha = (255.0 * opacity * fill.opacity().get()) as u8;
        Color::from_rgba8(colour.red, colour.green, colour.blue, alpha)
    };
    match fill.paint() {
        usvg::Paint::Color(plain) => Some(Shader::SolidColor(colour(*plain, 1.0))),
        usvg::Paint::LinearGradient(gradient) => {
            let stop =
                |stop: &usvg::Stop| GradientStop::new(stop.offset().get(), colour(stop.color(), stop.opacity().get()));
            LinearGradient::new(
                Point::from_xy(gradient.x1(), gradient.y1()),
                Point::from_xy(gradient.x2(), gradient.y2()),
                gradient.stops().iter().map(stop).collect(),
                SpreadMode::Pad,
                to_pixels.pre_concat(gradient.transform()),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_has_no_seam() {
        for n in 0..100 {
            let at = |phase| height(n as f32, n as f32 / 99.0, phase);
            assert!((at(0.0) - at(1.0)).abs() < 1e-4, "bar {n}");
            let step = (0..60).map(|k| (at(k as f32 / 60.0) - at((k + 1) as f32 / 60.0)).abs()).fold(0.0, f32::max);
            assert!(step < 0.08, "bar {n} jumps by {step}");
        }
    }
}
