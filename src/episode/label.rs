//! What stands in a file about it: title, artist, album, date, comment, cover.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::error::EpisodeError;
use super::request::ExportRequest;
use crate::gst::{Cover, FileTags};
use crate::recording::{Archive, SessionArchive};

/// Largest cover that goes into a file.
const COVER_LIMIT: u64 = 10 << 20;

/// What stands in a file about it.
#[derive(Debug, Clone, Default)]
pub struct Tags {
    /// Title; hostile text.
    pub title: Option<String>,
    /// Host; hostile text.
    pub artist: Option<String>,
    /// The show.
    pub album: Option<String>,
    /// The day of the session.
    pub date: Option<Date>,
    /// Anything else.
    pub comment: Option<String>,
    /// Front cover.
    pub cover: Option<Cover>,
}

impl Tags {
    /// What Matroska files get of it.
    pub(super) fn for_matroska(&self) -> FileTags {
        let date = self.date.map(|date| (date.year().unsigned_abs(), date.month() as u8, date.day() as u8));
        FileTags { title: self.title.clone(), artist: self.artist.clone(), date, cover: self.cover.clone() }
    }
}

/// The day on which a session started.
pub(super) fn date_of(session: &SessionArchive, zone: &TimeZone) -> Option<Date> {
    session.info.started_at.or(session.found_at).map(|at| at.to_zoned(zone.clone()).date())
}

/// What an operator asked to stand in the files of an export, with the cover read once.
#[derive(Debug)]
pub(super) struct Labels {
    asked: super::request::Words,
    date: Option<Date>,
    cover: Option<Cover>,
    zone: TimeZone,
}

impl Labels {
    pub(super) fn new(request: &ExportRequest, notes: &mut Vec<String>) -> Result<Self, EpisodeError> {
        let asked = request.words.clone();
        let parse = |text: &String| {
            text.parse::<Date>().map_err(|_| EpisodeError::Unsuitable(format!("{text:?} is no date like 2026-01-31")))
        };
        let date = asked.date.as_ref().map(parse).transpose()?;
        let cover = asked.cover.as_deref().and_then(|path| load_cover(path, notes));
        Ok(Self { asked, date, cover, zone: request.timezone.clone() })
    }

    /// What stands in a session's files.
    pub(super) fn of(&self, archive: &Archive, session: &SessionArchive) -> Tags {
        let (show, info) = (&archive.show, &session.info);
        let name = Some(show.show.clone()).filter(|name| !name.is_empty());
        Tags {
            title: self.asked.title.clone().or_else(|| show.title.clone()).or_else(|| info.title.clone()),
            artist: self.asked.artist.clone().or_else(|| show.host.clone()).or_else(|| info.host.clone()),
            album: self.asked.album.clone().or(name),
            date: self.date.or_else(|| date_of(session, &self.zone)),
            comment: self.asked.comment.clone(),
            cover: self.cover.clone(),
        }
    }
}

/// The operator's cover, if it can be one; says why not.
pub(super) fn load_cover(path: &Path, notes: &mut Vec<String>) -> Option<Cover> {
    let mut refuse = |reason: String| {
        notes.push(format!("The cover {} was left out: {reason}.", path.display()));
        None
    };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(COVER_LIMIT + 1).read_to_end(&mut bytes));
    let media_type = match (read, &bytes[..]) {
        (Err(error), _) => return refuse(error.to_string()),
        (Ok(length), _) if length as u64 > COVER_LIMIT => return refuse("it has more than 10 MB".to_owned()),
        (Ok(_), [0x89, b'P', b'N', b'G', ..]) => "image/png",
        (Ok(_), [0xFF, 0xD8, 0xFF, ..]) => "image/jpeg",
        _ => return refuse("it is neither PNG nor JPEG".to_owned()),
    };
    Some(Cover { media_type, bytes: Bytes::from(bytes) })
}
