//! The picture of a file: waveform, gaps, repairs, chapters, speakers, time, and a legend of what is drawn.
//!
//! Draws what a [`Scene`] holds and reads nothing. Its size does not grow with the length of the file.

mod lanes;
mod text;

use std::fmt::Write as _;

use super::error::EpisodeError;
use super::scene::{Scene, Span};
use crate::picture::{png as draw, svg_text};
use lanes::{Lane, covered, lanes};
use text::{clock, fitted, step};

/// Lines of the wave's place, and where it begins.
const WAVE_TOP: f64 = 66.0;
const WAVE_HEIGHT: f64 = 160.0;

/// Height of the edges of what is marked in the wave.
const EDGE: f64 = 4.0;

/// Height of a speaker's lane, with the space to the next one.
const LANE: f64 = 14.0;

/// Left and right of everything.
const MARGIN: f64 = 16.0;

/// What lies below the lanes: time and legend.
const FOOT: f64 = 62.0;

/// A recording that is quieter than this share of full scale is drawn as what it is: quiet.
const QUIETEST: f64 = 0.08;

/// Labels of chapters need so much room, in pixels.
const LABEL: f64 = 44.0;

const BACKGROUND: &str = "#14161d";
const QUIET_TEXT: &str = "#a9b1c2";
const LOUD_TEXT: &str = "#f2f4f8";
const WAVE: &str = "#5fd0c0";
const GAP: &str = "#e5484d";
const REPAIR: &str = "#4c8dff";
const CHAPTER: &str = "#f5c451";

/// The default width, in pixels.
pub const WIDTH: u32 = 1800;

/// Narrowest and widest picture, in pixels.
const WIDTHS: (u32, u32) = (600, 8000);

/// Draws a scene, `width` pixels wide, as a PNG.
///
/// # Errors
/// When the picture cannot be drawn: a fault of this program.
pub fn png(scene: &Scene<'_>, width: u32) -> Result<Vec<u8>, EpisodeError> {
    draw(&svg(scene, width)).map_err(|reason| {
        EpisodeError::Unsuitable(format!("the waveform cannot be drawn ({reason}); please report this"))
    })
}

/// The canvas of one picture.
struct Canvas<'a> {
    scene: &'a Scene<'a>,
    lanes: Vec<Lane<'a>>,
    /// Width of the wave's place.
    inner: f64,
    out: String,
}

/// The picture as SVG.
fn svg(scene: &Scene<'_>, width: u32) -> String {
    let width = f64::from(width.clamp(WIDTHS.0, WIDTHS.1));
    let lanes = lanes(&scene.turns);
    let height = WAVE_TOP + WAVE_HEIGHT + lanes.len() as f64 * LANE + FOOT;
    let mut canvas = Canvas { scene, lanes, inner: width - 2.0 * MARGIN, out: String::with_capacity(200_000) };
    canvas.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"Inter\">\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{BACKGROUND}\"/>"
    ));
    canvas.head();
    canvas.spans(&scene.repairs, REPAIR, 0.28);
    canvas.wave();
    canvas.spans(&scene.gaps, GAP, 0.55);
    canvas.chapters();
    canvas.speakers();
    canvas.time(height);
    canvas.legend(height);
    canvas.put(format_args!("</svg>"));
    canvas.out
}

impl Canvas<'_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a string cannot fail");
    }

    /// One line of text with its foot at `y`; `anchor` is SVG's.
    fn text(&mut self, x: f64, y: f64, size: f64, fill: &str, anchor: &str, text: &str) {
        let text = svg_text(text);
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn rect(&mut self, x: f64, y: f64, size: (f64, f64), fill: &str, opacity: f64) {
        let (width, height) = size;
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\" \
             fill-opacity=\"{opacity}\"/>"
        ));
    }

    /// The column of a second of the file.
    fn x(&self, seconds: f64) -> f64 {
        MARGIN + self.inner * (seconds / self.scene.seconds().max(1e-9)).clamp(0.0, 1.0)
    }

    fn head(&mut self) {
        let length = clock(self.scene.seconds(), self.scene.seconds());
        self.text(MARGIN + self.inner, 28.0, 18.0, QUIET_TEXT, "end", &length);
        let title = fitted(&self.scene.title, self.inner - 140.0, 18.0);
        self.text(MARGIN, 28.0, 18.0, LOUD_TEXT, "start", &title);
    }

    fn spans(&mut self, spans: &[Span], fill: &str, opacity: f64) {
        let places = spans.iter().map(|span| (self.x(span.start), self.x(span.end)));
        for (x, end) in covered(places.collect()) {
            self.rect(x, WAVE_TOP, (end - x, WAVE_HEIGHT), fill, opacity);
            // Seen where the wave is dense, too.
            self.rect(x, WAVE_TOP, (end - x, EDGE), fill, 1.0);
            self.rect(x, WAVE_TOP + WAVE_HEIGHT - EDGE, (end - x, EDGE), fill, 1.0);
        }
    }

    fn wave(&mut self) {
        let count = self.inner as usize;
        let peaks = self.scene.measurement.peaks(&self.scene.range, count);
        let highest = peaks.iter().flatten().map(|(low, high)| low.unsigned_abs().max(high.unsigned_abs())).max();
        let full = (f64::from(highest.unwrap_or(0)) / 127.0).max(QUIETEST);
        let middle = WAVE_TOP + WAVE_HEIGHT / 2.0;
        let scale = WAVE_HEIGHT / 2.0 * 0.96 / (127.0 * full);
        let mut path = String::with_capacity(count * 24);
        for (column, peak) in peaks.into_iter().enumerate() {
            let Some((low, high)) = peak else { continue };
            let (top, bottom) = (middle - f64::from(high) * scale, middle - f64::from(low) * scale);
            let x = MARGIN + column as f64 + 0.5;
            // Silence is a thin line: something is there.
            write!(path, "M{x:.1} {:.1}V{:.1}", top.min(middle - 0.5), bottom.max(middle + 0.5))
                .expect("writing to a string cannot fail");
        }
        self.put(format_args!("<path d=\"{path}\" stroke=\"{WAVE}\" stroke-width=\"1\" fill=\"none\"/>"));
    }

    fn chapters(&mut self) {
        let scene = self.scene;
        let mut free_from = 0.0;
        let mut drawn = f64::MIN;
        for (index, chapter) in scene.chapters.iter().enumerate() {
            let x = self.x(chapter.start);
            if x - drawn < 2.0 {
                continue;
            }
            drawn = x;
            self.rect(x, WAVE_TOP - 20.0, (1.5, WAVE_HEIGHT + 20.0), CHAPTER, 0.8);
            let next = scene.chapters.get(index + 1).map_or(MARGIN + self.inner, |next| self.x(next.start));
            let room = next - x - 12.0;
            if x >= free_from && room >= LABEL {
                self.text(x + 6.0, WAVE_TOP - 8.0, 13.0, CHAPTER, "start", &fitted(&chapter.title, room, 13.0));
                free_from = next;
            }
        }
    }

    fn speakers(&mut self) {
        let lanes = std::mem::take(&mut self.lanes);
        for (index, lane) in lanes.iter().enumerate() {
            let y = WAVE_TOP + WAVE_HEIGHT + 6.0 + index as f64 * LANE;
            self.rect(MARGIN, y, (self.inner, LANE - 4.0), "#ffffff", 0.05);
            let places = lane.turns.iter().map(|turn| (self.x(turn.start), self.x(turn.end)));
            for (x, end) in covered(places.collect()) {
                self.rect(x, y, (end - x, LANE - 4.0), lane.colour, 0.95);
            }
        }
        self.lanes = lanes;
    }

    fn time(&mut self, height: f64) {
        let seconds = self.scene.seconds();
        let (step, y) = (step(seconds, self.inner), height - FOOT + 6.0);
        let mut at = 0.0;
        while at <= seconds {
            let x = self.x(at);
            self.rect(x, y, (1.0, 6.0), QUIET_TEXT, 1.0);
            // The end's time stands beside the title.
            if x < MARGIN + self.inner - 50.0 {
                self.text(x + 4.0, y + 15.0, 12.0, QUIET_TEXT, "start", &clock(at, seconds));
            }
            at += step;
        }
    }

    fn legend(&mut self, height: f64) {
        let y = height - 14.0;
        let total = |spans: &[Span]| spans.iter().map(|span| span.end - span.start).sum::<f64>();
        let scene = self.scene;
        let mut entries = Vec::new();
        if !scene.gaps.is_empty() {
            entries.push((GAP, format!("missing {}", text::length(total(&scene.gaps)))));
        }
        if !scene.repairs.is_empty() {
            entries.push((REPAIR, format!("repaired {}", text::length(total(&scene.repairs)))));
        }
        if !scene.chapters.is_empty() {
            entries.push((CHAPTER, format!("chapters {}", scene.chapters.len())));
        }
        for lane in &self.lanes {
            entries.push((lane.colour, format!("{} {}", fitted(&lane.name, 150.0, 13.0), text::length(lane.seconds))));
        }
        if entries.is_empty() {
            entries.push((WAVE, "sound as it was received, nothing is missing".to_owned()));
        }
        let mut x = MARGIN;
        for (colour, words) in entries {
            let width = text::width(&words, 13.0);
            if x + 18.0 + width > MARGIN + self.inner {
                break;
            }
            self.rect(x, y - 10.0, (11.0, 11.0), colour, 1.0);
            self.text(x + 17.0, y, 13.0, LOUD_TEXT, "start", &words);
            x += 17.0 + width + 26.0;
        }
    }
}

#[cfg(test)]
mod tests;
