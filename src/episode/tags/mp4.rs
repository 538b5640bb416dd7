//! Tags, cover and both kinds of chapters of an MP4 file: a chapter track, which Apple's players read, and a chapter
//! list (`chpl`), which most others do.

use std::path::Path;
use std::time::Duration;

use mp4ameta::{Chapter, Img, ImgFmt, Userdata};

use super::{FileLabels, chpl};
use crate::episode::EpisodeError;

/// A chapter list counts its entries in a byte; a chapter track holds them all.
const LONGEST_LIST: usize = 255;

/// Writes the labels into the MP4 file at `path`. Cheap while its index is at its end: the sound is not moved.
///
/// # Errors
/// When the file is no MP4 or cannot be written.
pub fn write_mp4(path: &Path, labels: &FileLabels) -> Result<(), EpisodeError> {
    let FileLabels { tags, chapters } = labels;
    let mut data = Userdata::default();
    if let Some(title) = &tags.title {
        data.set_title(title.clone());
    }
    if let Some(artist) = &tags.artist {
        data.set_artist(artist.clone());
    }
    if let Some(album) = &tags.album {
        data.set_album(album.clone());
    }
    if let Some(date) = tags.date {
        data.set_year(date.to_string());
    }
    if let Some(comment) = &tags.comment {
        data.set_comment(comment.clone());
        data.set_description(comment.clone());
    }
    if let Some(cover) = &tags.cover {
        let format = if cover.media_type == "image/png" { ImgFmt::Png } else { ImgFmt::Jpeg };
        data.set_artwork(Img::new(format, cover.bytes.to_vec()));
    }
    let chapters = chapters.iter().map(|c| Chapter::new(Duration::from_millis(c.millis()), c.title.clone()));
    data.chapter_list_mut().extend(chapters.clone().take(LONGEST_LIST));
    data.chapter_track_mut().extend(chapters);
    if let Some(last) = data.chapter_list_mut().last_mut() {
        last.title = chpl::padded(&last.title);
    }
    data.write_to_path(path)
        .map_err(|error| EpisodeError::Unsuitable(format!("the tags could not be written: {error}")))?;
    if data.chapter_list().is_empty() {
        return Ok(());
    }
    chpl::modernise(path).map_err(EpisodeError::io("the chapters could not be written"))
}
