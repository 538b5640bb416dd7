//! What stands in a finished file about it: title, artist, date, cover.
//!
//! The muxers of GStreamer 1.22 write some of it in ways that no reader expects; this module knows how to get it right.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use super::episode_encode::Embedded;

/// What stands in a finished file about it.
#[derive(Debug, Clone, Default)]
pub struct FileTags {
    /// Title.
    pub title: Option<String>,
    /// Artist.
    pub artist: Option<String>,
    /// Year, month and day.
    pub date: Option<(u16, u8, u8)>,
    /// Front cover; only `.m4a` files can have one.
    pub cover: Option<Cover>,
}

/// A picture that goes into a file as it is.
#[derive(Debug, Clone)]
pub struct Cover {
    /// `image/png` or `image/jpeg`.
    pub media_type: &'static str,
    /// The file's bytes.
    pub bytes: Bytes,
}

const MODE: gst::TagMergeMode = gst::TagMergeMode::ReplaceAll;

const MONTHS: [glib::DateMonth; 12] = [
    glib::DateMonth::January,
    glib::DateMonth::February,
    glib::DateMonth::March,
    glib::DateMonth::April,
    glib::DateMonth::May,
    glib::DateMonth::June,
    glib::DateMonth::July,
    glib::DateMonth::August,
    glib::DateMonth::September,
    glib::DateMonth::October,
    glib::DateMonth::November,
    glib::DateMonth::December,
];

/// Text that stands in a file for another of the same length.
#[derive(Debug)]
pub(super) struct StandIn {
    written: String,
    meant: String,
}

/// Sets the tags of a matroskamux. It writes every text that is more than a plain word with quotes and backslashes in
/// it: such a text gets a stand-in, to be put right by [`replace`] in the finished file. It cannot write attachments, so there is no cover.
pub(super) fn set_mka(mux: &gst::Element, tags: &FileTags) -> Vec<StandIn> {
    let Some(setter) = mux.dynamic_cast_ref::<gst::TagSetter>() else { return Vec::new() };
    let mut stand_ins = Vec::new();
    let mut plain = |text: &str| {
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return text.to_owned();
        }
        let written: String = text.bytes().map(|_| fastrand::alphanumeric()).collect();
        stand_ins.push(StandIn { written: written.clone(), meant: text.to_owned() });
        written
    };
    if let Some(title) = &tags.title {
        setter.add_tag::<gst::tags::Title>(&plain(title).as_str(), MODE);
    }
    if let Some(artist) = &tags.artist {
        setter.add_tag::<gst::tags::Artist>(&plain(artist).as_str(), MODE);
    }
    set_date(setter, tags);
    stand_ins
}

fn set_date(setter: &gst::TagSetter, tags: &FileTags) {
    if let Some((year, month, day)) = tags.date
        && let Some(month) = MONTHS.get(usize::from(month).wrapping_sub(1))
        && let Ok(date) = glib::Date::from_dmy(day, *month, year)
    {
        setter.add_tag::<gst::tags::Date>(&date, MODE);
    }
}

/// Sets the tags of an encoder that writes them itself: Opus, FLAC, WAV.
pub(super) fn set_embedded(encoder: &gst::Element, embedded: &Embedded) {
    const MORE: gst::TagMergeMode = gst::TagMergeMode::Append;
    let Some(setter) = encoder.dynamic_cast_ref::<gst::TagSetter>() else { return };
    let tags = &embedded.tags;
    if let Some(title) = &tags.title {
        setter.add_tag::<gst::tags::Title>(&title.as_str(), MODE);
    }
    if let Some(artist) = &tags.artist {
        setter.add_tag::<gst::tags::Artist>(&artist.as_str(), MODE);
    }
    if let Some(album) = &embedded.album {
        setter.add_tag::<gst::tags::Album>(&album.as_str(), MODE);
    }
    if let Some(comment) = &embedded.comment {
        setter.add_tag::<gst::tags::Comment>(&comment.as_str(), MODE);
    }
    set_date(setter, tags);
    // Vorbis comments are made of the one, the INFO list of a WAV file of the other.
    if let Some((year, month, day)) = tags.date
        && let Ok(date) = gst::DateTime::from_ymd(year.into(), month.into(), day.into())
    {
        setter.add_tag::<gst::tags::DateTime>(&date, MODE);
    }
    for comment in &embedded.extended {
        setter.add_tag::<gst::tags::ExtendedComment>(&comment.as_str(), MORE);
    }
    if let Some(cover) = &tags.cover {
        let caps = gst::Caps::new_empty_simple(cover.media_type);
        // Type 3 is the front cover, as in ID3 (GstTagImageType).
        let info = gst::Structure::builder("GstTagImageInfo").build();
        let buffer = gst::Buffer::from_slice(cover.bytes.clone());
        let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).info(info).build();
        setter.add_tag::<gst::tags::Image>(&sample, MODE);
    }
}

/// Puts the meant texts into the file at `path` where their stand-ins are: behind the id of a Matroska tag's text and
/// its size, near the end.
pub(super) fn replace(path: &Path, stand_ins: &[StandIn]) -> io::Result<()> {
    const TAG_STRING: [u8; 2] = [0x44, 0x87];
    const LONGEST_SIZE: usize = 8;
    const NEAR: u64 = 1 << 20;
    if stand_ins.is_empty() {
        return Ok(());
    }
    let file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(NEAR);
    let mut bytes = vec![0; (length - from) as usize];
    file.read_exact_at(&mut bytes, from)?;
    for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&TAG_STRING)) {
        let texts = at + TAG_STRING.len() + 1..=at + TAG_STRING.len() + LONGEST_SIZE;
        let found = |place: &usize, text: &str| bytes.get(*place..).is_some_and(|b| b.starts_with(text.as_bytes()));
        for stand_in in stand_ins {
            if let Some(place) = texts.clone().find(|place| found(place, &stand_in.written)) {
                file.write_all_at(stand_in.meant.as_bytes(), from + place as u64)?;
            }
        }
    }
    Ok(())
}
