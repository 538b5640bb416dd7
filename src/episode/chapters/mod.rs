//! Chapters of an episode: one list, whatever it came from and whoever reads it.
//!
//! Pure: knows no file format of sound and opens no file. Seconds count from the first sample of the episode's file.

mod read;
mod write;

pub use read::{ChapterError, LARGEST_FILE, parse};
pub use write::{YouTube, podcast_json, vorbis_comments, youtube};

use crate::media::SAMPLE_RATE;
use crate::recording::MarkFact;
use crate::text::plain;

/// Longest title, in characters.
pub const LONGEST_TITLE: usize = 120;

/// Longest title, in bytes: what the chapter list of an MP4 file can hold.
const LONGEST_TITLE_BYTES: usize = 255;

/// Most chapters of a list: no player shows more, and a hostile file must not fill a header.
pub const MOST: usize = 1000;

/// The title of the first chapter where there is no better one.
const START: &str = "Start";

/// A chapter; it lasts until the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Where it begins, in seconds from the file's first sample.
    pub start: f64,
    /// What it is called.
    pub title: String,
}

impl Chapter {
    /// A chapter at `start` seconds.
    pub fn new(start: f64, title: impl Into<String>) -> Self {
        Self { start, title: title.into() }
    }

    /// Where it begins, in milliseconds.
    pub(super) fn millis(&self) -> u64 {
        (self.start * 1000.0).round().max(0.0) as u64
    }
}

/// The operator's marks as chapters of a file whose first sample has media time `origin`.
pub fn from_marks(marks: &[MarkFact], origin: i64) -> Vec<Chapter> {
    let seconds = |mark: &MarkFact| (mark.media_time as f64 - origin as f64) / f64::from(SAMPLE_RATE);
    marks.iter().map(|mark| Chapter::new(seconds(mark), &mark.title)).collect()
}

/// What every reader can rely on: in order, inside a file of `duration` seconds, the first at 0, one at a place, titles
/// clean and never empty. What came before the file began names its start. No chapters stay none.
pub fn tidy(chapters: Vec<Chapter>, duration: f64, title: Option<&str>) -> Vec<Chapter> {
    let mut sorted: Vec<Chapter> = chapters.into_iter().filter(|chapter| chapter.start < duration).collect();
    sorted.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut tidied: Vec<Chapter> = Vec::new();
    for chapter in sorted {
        let chapter = Chapter { start: (chapter.start.max(0.0) * 1000.0).round() / 1000.0, title: chapter.title };
        match tidied.last_mut() {
            // Two at one place: the later word counts.
            Some(last) if last.start >= chapter.start => last.title = chapter.title,
            _ => tidied.push(chapter),
        }
    }
    if tidied.first().is_some_and(|first| first.start > 0.0) {
        tidied.insert(0, Chapter::new(0.0, title.unwrap_or_default()));
    }
    tidied.truncate(MOST);
    for (index, chapter) in tidied.iter_mut().enumerate() {
        chapter.title = clean(&chapter.title);
        if chapter.title.is_empty() {
            chapter.title = if index == 0 { START.to_owned() } else { format!("Chapter {}", index + 1) };
        }
    }
    tidied
}

/// A title that fits everywhere: one line, of at most 120 characters and 255 bytes.
fn clean(title: &str) -> String {
    let mut chars = LONGEST_TITLE;
    loop {
        let text = plain(title, chars);
        if text.len() <= LONGEST_TITLE_BYTES || chars == 0 {
            return text;
        }
        chars -= 1;
    }
}

#[cfg(test)]
mod tests;
