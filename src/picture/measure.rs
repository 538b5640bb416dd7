//! Measures texts as they will be drawn, and splits lines into runs that the renderer draws without guessing.
//!
//! Left alone, the renderer takes one font for a whole line where it can, and mixes glyphs of several by their number,
//! which goes wrong where scripts are mixed (usvg 0.49). So every run here has one direction, one script and one font,
//! and a place of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use resvg::usvg::{Options, Tree};
use unicode_bidi::{BidiInfo, Level};
use unicode_segmentation::UnicodeSegmentation;

use super::fonts::{self, Fallbacks, Families};
use super::template::escape;

/// Size at which texts are measured; widths scale.
const MEASURED_AT: f32 = 100.0;

/// Part of a line with one direction, one script and one font. Its spaces are in the gaps.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Run {
    pub(super) text: String,
    /// The font, where the text's own one lacks it.
    pub(super) family: Option<String>,
    pub(super) rtl: bool,
    /// Spaces to the left and to the right.
    gaps: (usize, usize),
}

/// How one text is drawn.
#[derive(Debug)]
pub(super) struct Hand<'a> {
    /// SVG attributes without the font size.
    attributes: &'a str,
    families: Families,
    base: Level,
    /// Width of a space, per unit of font size.
    pub(super) space: f32,
}

impl<'a> Hand<'a> {
    /// Looks up fonts for everything in `text`, which is drawn with the SVG attributes `attributes`.
    pub(super) fn new(text: &str, attributes: &'a str) -> Self {
        let base = BidiInfo::new(text, None).paragraphs.first().map_or(Level::ltr(), |paragraph| paragraph.level);
        let mut hand = Self { attributes, families: Families::new(), base, space: 0.0 };
        // Every font has these, and most titles have nothing else.
        let common = |c: &char| !matches!(c, ' '..='~' | '\u{a0}'..='\u{17f}' | '\u{200d}' | '\u{fe0f}');
        let asked: BTreeSet<char> = text.chars().filter(common).collect();
        if !asked.is_empty() {
            let fallbacks = Fallbacks::default();
            let runs: Vec<Run> = asked.iter().map(|c| Run { text: c.to_string(), ..Run::default() }).collect();
            hand.draw(&runs, &fallbacks);
            hand.families = fallbacks.take();
        }
        let widths = hand.widths(&["n\u{a0}n", "nn"]);
        hand.space = widths[0] - widths[1];
        hand
    }

    /// Whether no font has the character.
    pub(super) fn lacks(&self, c: char) -> bool {
        self.families.get(&c).is_some_and(Option::is_none)
    }

    /// Widths of texts, per unit of font size.
    pub(super) fn widths(&self, texts: &[&str]) -> Vec<f32> {
        let runs: Vec<Vec<Run>> = texts.iter().map(|text| self.runs(text)).collect();
        let flat: Vec<Run> = runs.iter().flatten().cloned().collect();
        let mut widths = self.draw(&flat, &Fallbacks::default()).into_iter();
        let of_run = |run: &Run| (run.gaps.0 + run.gaps.1) as f32 * self.space + widths.next().unwrap_or_default();
        let mut of_run = of_run;
        runs.iter().map(|runs| runs.iter().map(&mut of_run).sum()).collect()
    }

    /// The runs of `line` from left to right, each with its distance from the line's start, and the line's width; per
    /// unit of font size.
    pub(super) fn place(&self, line: &str) -> (Vec<(f32, Run)>, f32) {
        let runs = self.runs(line);
        let widths = self.draw(&runs, &Fallbacks::default());
        let mut at = 0.0;
        let mut placed = Vec::new();
        for (run, width) in runs.into_iter().zip(widths) {
            let (left, right) = run.gaps;
            placed.push((at + left as f32 * self.space, run));
            at += width + (left + right) as f32 * self.space;
        }
        (placed, at)
    }

    fn runs(&self, line: &str) -> Vec<Run> {
        let bidi = BidiInfo::new(line, Some(self.base));
        let Some(paragraph) = bidi.paragraphs.first() else { return Vec::new() };
        let (levels, visual) = bidi.visual_runs(paragraph, paragraph.range.clone());
        let mut runs = Vec::new();
        for range in visual {
            let rtl = levels[range.start].is_rtl();
            let mut parts = self.split(&line[range], rtl);
            if rtl {
                parts.reverse();
            }
            runs.append(&mut parts);
        }
        runs
    }

    /// Parts of one direction by font and script, in the order of reading.
    fn split(&self, text: &str, rtl: bool) -> Vec<Run> {
        let mut parts: Vec<(Option<&str>, u8, String)> = Vec::new();
        for cluster in text.graphemes(true) {
            let family = cluster.chars().find_map(|c| self.families.get(&c)?.as_deref());
            let script = cluster.chars().map(script).max().unwrap_or_default();
            match parts.last_mut() {
                Some((_, _, part)) if cluster == " " => part.push_str(cluster),
                Some((last, of, part)) if *last == family && (*of == script || script == 0) => part.push_str(cluster),
                _ => parts.push((family, script, cluster.to_owned())),
            }
        }
        let run = |(family, _, text): (Option<&str>, u8, String)| {
            let trimmed = text.trim_matches(' ');
            let before = text.len() - text.trim_start_matches(' ').len();
            // A run of spaces only has all of them on one side.
            let after = if trimmed.is_empty() { 0 } else { text.len() - text.trim_end_matches(' ').len() };
            let gaps = if rtl { (after, before) } else { (before, after) };
            Run { text: trimmed.to_owned(), family: family.map(str::to_owned), rtl, gaps }
        };
        parts.into_iter().map(run).collect()
    }

    /// Lets the renderer lay out each run, and returns the widths.
    fn draw(&self, runs: &[Run], fallbacks: &Fallbacks) -> Vec<f32> {
        let mut svg = String::from("<svg xmlns='http://www.w3.org/2000/svg' width='100' height='100'>");
        for (n, run) in runs.iter().enumerate() {
            write!(svg, "<text id='t{n}' font-size='{MEASURED_AT}' {}>{}</text>", self.attributes, markup(run, ""))
                .expect("writing to a string cannot fail");
        }
        svg.push_str("</svg>");
        let options = Options {
            fontdb: fonts::database(),
            font_family: fonts::DEFAULT_FAMILY.to_owned(),
            font_resolver: fallbacks.resolver(),
            ..Options::default()
        };
        let tree = Tree::from_str(&svg, &options).ok();
        let width = |n: usize| Some(tree.as_ref()?.node_by_id(&format!("t{n}"))?.bounding_box().width() / MEASURED_AT);
        (0..runs.len()).map(|n| width(n).unwrap_or_default()).collect()
    }
}

/// Scripts that join or mirror in their own way must not be shaped as one: Hebrew, other right-to-left ones, the rest.
fn script(c: char) -> u8 {
    match c {
        '\u{590}'..='\u{5ff}' | '\u{fb1d}'..='\u{fb4f}' => 1,
        '\u{600}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => 2,
        _ => 0,
    }
}

/// The run as an SVG `tspan` with these attributes.
pub(super) fn markup(run: &Run, attributes: &str) -> String {
    let family = run.family.as_deref().map(|name| format!(" font-family=\"'{}'\"", escape(&name.replace('\'', ""))));
    // An isolate of its own: marks at its ends stay with their neighbours.
    let (open, close) = if run.rtl { ("\u{2067}", "\u{2069}") } else { ("", "") };
    format!("<tspan {attributes}{}>{open}{}{close}</tspan>", family.unwrap_or_default(), escape(&run.text))
}
