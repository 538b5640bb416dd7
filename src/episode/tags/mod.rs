//! What stands in a file about it, in the way of each container. Nothing here knows recordings or sound.

mod chpl;
mod id3;
mod mp4;
mod vorbis;

pub(super) use id3::id3;
pub use mp4::write_mp4;
pub(super) use vorbis::vorbis;

use std::time::Duration;

use super::chapters::Chapter;
use super::label::Tags;
use crate::text::plain;

/// Longest text of a tag but the comment, in characters.
const LONGEST_TEXT: usize = 300;

/// Longest comment, in characters: a description for a video has 5000 bytes.
const LONGEST_COMMENT: usize = 5000;

/// What stands in a file about it: its texts are clean.
#[derive(Debug, Clone, Default)]
pub struct FileLabels {
    tags: Tags,
    chapters: Vec<Chapter>,
}

impl FileLabels {
    /// `tags` with their texts cleaned, and `chapters`, which are tidy (see [`super::chapters::tidy`]).
    pub fn new(tags: &Tags, chapters: Vec<Chapter>) -> Self {
        let text =
            |text: &Option<String>| text.as_ref().map(|text| plain(text, LONGEST_TEXT)).filter(|text| !text.is_empty());
        let tags = Tags {
            title: text(&tags.title),
            artist: text(&tags.artist),
            album: text(&tags.album),
            comment: tags.comment.as_ref().map(|text| lines(text)).filter(|text| !text.is_empty()),
            ..tags.clone()
        };
        Self { tags, chapters }
    }

    /// Its chapters.
    pub fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }
}

/// A text of several lines, each of them clean.
fn lines(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_COMMENT).collect();
    let clean: Vec<String> = cut.lines().map(|line| plain(line, LONGEST_COMMENT)).collect();
    clean.join("\n").trim().to_owned()
}

/// Where a chapter begins, and where the next one does.
fn spans(chapters: &[Chapter], duration: f64) -> impl Iterator<Item = (Duration, Duration, &str)> {
    let at = |chapter: &Chapter| Duration::from_millis(chapter.millis());
    let end = Duration::try_from_secs_f64(duration).unwrap_or_default();
    let ends = chapters.iter().skip(1).map(at).chain(std::iter::once(end));
    chapters.iter().zip(ends).map(move |(chapter, end)| (at(chapter), end.max(at(chapter)), chapter.title.as_str()))
}
