//! What is asked of an export. Plain data.

use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::reel::Range;
use crate::config::SlateConfig;

/// What can be made of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// The sound as it was received, in an MP4 without a picture.
    M4a,
    /// MP3, for every player and feed.
    Mp3,
    /// Opus in Ogg: small.
    Opus,
    /// FLAC: large, no loss behind the decoder.
    Flac,
    /// PCM of 16 bits, for an editor.
    Wav,
    /// The sound as it was received, with a still picture, for video platforms.
    Mp4,
    /// A picture and a JSON of the waveform.
    Waveform,
    /// Who spoke when: JSON and WebVTT.
    Speakers,
    /// What was said, in the platform's words: WebVTT and JSON.
    Captions,
    /// Each speaker apart and the mix, for an editor: FLAC files of one length, and a list.
    Stems,
    /// The chapters: Podcasting 2.0 JSON and lines for a description.
    Chapters,
}

impl Format {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 11] = [
        Self::M4a,
        Self::Mp3,
        Self::Opus,
        Self::Flac,
        Self::Wav,
        Self::Mp4,
        Self::Waveform,
        Self::Speakers,
        Self::Captions,
        Self::Stems,
        Self::Chapters,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::M4a => "m4a",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Mp4 => "mp4",
            Self::Waveform => "waveform",
            Self::Speakers => "speakers",
            Self::Captions => "captions",
            Self::Stems => "stems",
            Self::Chapters => "chapters",
        }
    }

    /// Bytes of a second, about and rather too many; none where the source's own count. `kbps` is the operator's rate.
    pub(super) fn bytes_a_second(self, kbps: Option<u32>) -> Option<u64> {
        let coded = |default: u32| u64::from(kbps.unwrap_or(default)) * 1000 / 8;
        match self {
            Self::M4a | Self::Mp4 => None,
            Self::Mp3 => Some(coded(128)),
            Self::Opus => Some(coded(96)),
            Self::Flac => Some(150_000),
            Self::Wav => Some(192_000),
            Self::Waveform | Self::Speakers | Self::Captions | Self::Chapters => Some(400),
            // What speakers' files take depends on how much each said.
            Self::Stems => Some(0),
        }
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.name() == wanted).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is no format that can be made: take one of {known}")
        })
    }
}

/// Where chapters come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChapterSource {
    /// The operator's marks if there are any, else the speakers.
    #[default]
    Auto,
    /// The operator's marks.
    Marks,
    /// Changes of who speaks most.
    Speakers,
    /// A file with lines such as `1:02:03 Title`, or Podcasting 2.0 JSON.
    File(PathBuf),
    /// No chapters.
    None,
}

impl FromStr for ChapterSource {
    type Err = std::convert::Infallible;

    /// A word, or the path of a file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "marks" => Self::Marks,
            "speakers" => Self::Speakers,
            "none" => Self::None,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

/// What stands in the files; what is none comes from the recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Title; the session's, or the show's.
    pub title: Option<String>,
    /// Artist; the host.
    pub artist: Option<String>,
    /// Album; the show's name.
    pub album: Option<String>,
    /// Date as `YYYY-MM-DD`; the day on which the session started.
    pub date: Option<String>,
    /// Comment; nothing.
    pub comment: Option<String>,
    /// Front cover, PNG or JPEG.
    pub cover: Option<PathBuf>,
}

/// What is asked of an export.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The archive's folder.
    pub archive: PathBuf,
    /// Ids of sessions; all with audio where it is empty.
    pub sessions: Vec<String>,
    /// What to make.
    pub formats: Vec<Format>,
    /// Where to; `export` in the archive where there is none.
    pub folder: Option<PathBuf>,
    /// The files' name up to the ending; `<show>-<session>` where there is none.
    pub name: Option<String>,
    /// Which piece of the session.
    pub range: Range,
    /// Whether the silence before the first and after the last word is left out.
    pub trim: bool,
    /// Integrated loudness to reach, in LUFS.
    pub loudness: Option<f64>,
    /// Whether to mix down to one channel.
    pub mono: bool,
    /// Bit rate of what is encoded with loss, in kbit/s.
    pub bitrate: Option<u32>,
    /// What stands in the files.
    pub words: Words,
    /// Where chapters come from.
    pub chapters: ChapterSource,
    /// The look of a video; its picture's size.
    pub slate: SlateConfig,
    /// A picture instead of the slate.
    pub picture: Option<PathBuf>,
    /// Whether files of the same name are overwritten.
    pub force: bool,
    /// Time zone of the date.
    pub timezone: TimeZone,
    /// Bytes that shall stay free.
    pub min_free: u64,
}

impl ExportRequest {
    /// Asks for `formats` of every session of the archive in `archive`, with nothing changed.
    pub fn new(archive: impl Into<PathBuf>, formats: impl Into<Vec<Format>>) -> Self {
        Self {
            archive: archive.into(),
            sessions: Vec::new(),
            formats: formats.into(),
            folder: None,
            name: None,
            range: Range::default(),
            trim: false,
            loudness: None,
            mono: false,
            bitrate: None,
            words: Words::default(),
            chapters: ChapterSource::Auto,
            slate: super::slate::default_slate(),
            picture: None,
            force: false,
            timezone: TimeZone::UTC,
            min_free: 0,
        }
    }

    /// Whether the sound itself is changed: then it must be encoded anew.
    pub fn changes_samples(&self) -> bool {
        self.loudness.is_some() || self.mono
    }

    /// Whether it can be copied as it was received.
    pub(super) fn is_copied(&self, format: Format) -> bool {
        matches!(format, Format::M4a | Format::Mp4) && !self.changes_samples()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        assert_eq!(" MP3 ".parse(), Ok(Format::Mp3));
        let error = "ogg".parse::<Format>().expect_err("a refusal");
        assert!(Format::ALL.iter().all(|format| error.contains(format.name())), "{error}");
    }

    #[test]
    fn a_file_of_chapters_is_a_path() {
        let parsed = |text: &str| text.parse::<ChapterSource>().expect("never fails");
        assert_eq!(parsed("marks"), ChapterSource::Marks);
        assert_eq!(parsed("my/chapters.txt"), ChapterSource::File("my/chapters.txt".into()));
    }
}
