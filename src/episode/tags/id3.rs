//! The ID3 tag of an MP3 file, with chapters as its Chapter Frame Addendum (id3.org, 2005) defines them.
//!
//! Version 2.3: what is older than 2.4 is read everywhere.

use id3::frame::{self, Chapter, PictureType, TableOfContents};
use id3::{Encoder, Frame, Tag, TagLike as _, Version};

use super::{FileLabels, spans};
use crate::episode::EpisodeError;

/// A place is told in time, not in bytes.
const NO_OFFSET: u32 = u32::MAX;

/// The tag's bytes, which stand before the sound of a file of `duration` seconds.
///
/// # Errors
/// When it would be larger than a tag can be (256 MB).
pub(in crate::episode) fn id3(labels: &FileLabels, duration: f64) -> Result<Vec<u8>, EpisodeError> {
    let FileLabels { tags, chapters } = labels;
    let mut tag = Tag::new();
    let texts = [("TIT2", &tags.title), ("TPE1", &tags.artist), ("TALB", &tags.album)];
    for (frame, text) in texts {
        if let Some(text) = text {
            tag.set_text(frame, text.clone());
        }
    }
    if let Some(date) = tags.date {
        tag.set_text("TYER", format!("{:04}", date.year()));
        tag.set_text("TDAT", format!("{:02}{:02}", date.day(), date.month()));
    }
    tag.set_text("TLEN", format!("{}", (duration * 1000.0).round().max(0.0) as u64));
    if let Some(comment) = &tags.comment {
        let (lang, description) = ("eng".to_owned(), String::new());
        tag.add_frame(frame::Comment { lang, description, text: comment.clone() });
    }
    if let Some(cover) = &tags.cover {
        tag.add_frame(frame::Picture {
            mime_type: cover.media_type.to_owned(),
            picture_type: PictureType::CoverFront,
            description: String::new(),
            data: cover.bytes.to_vec(),
        });
    }
    add_chapters(&mut tag, chapters, duration);
    let mut bytes = Vec::new();
    Encoder::new()
        .version(Version::Id3v23)
        .encode(&tag, &mut bytes)
        .map_err(|error| EpisodeError::Unsuitable(format!("the tag of the MP3 file cannot be made: {error}")))?;
    Ok(bytes)
}

fn add_chapters(tag: &mut Tag, list: &[super::Chapter], duration: f64) {
    if list.is_empty() {
        return;
    }
    let mut elements = Vec::new();
    let mut chapters = Vec::new();
    for (index, (start, end, title)) in spans(list, duration).enumerate() {
        let millis = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let element_id = format!("chp{index}");
        elements.push(element_id.clone());
        chapters.push(Chapter {
            element_id,
            start_time: millis(start),
            end_time: millis(end),
            start_offset: NO_OFFSET,
            end_offset: NO_OFFSET,
            frames: vec![Frame::text("TIT2", title)],
        });
    }
    // The count of a table is a byte. Readers that go without a table find the rest.
    elements.truncate(255);
    let element_id = "toc".to_owned();
    tag.add_frame(TableOfContents { element_id, top_level: true, ordered: true, elements, frames: Vec::new() });
    for chapter in chapters {
        tag.add_frame(chapter);
    }
}
