//! What must be known of a session before its files are made: which piece of it, how loud it is, who spoke, its chapters.
//!
//! Finds out only what the request needs. Every place is media time until a file is known that it lies in.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range as Span;
use std::path::Path;
use std::time::Duration;

use super::chapters::{self, Chapter, LARGEST_FILE, from_marks, tidy};
use super::error::EpisodeError;
use super::loudness::{Aim, Dsp, level};
use super::measured::complete;
use super::progress::Progress;
use super::reel::{Range, Reel};
use super::request::{ChapterSource, ExportRequest, Format};
use super::speakers::{self, Levels, Turn, speaker_changes, turns};
use crate::measure::Measurement;
use crate::media::SAMPLE_RATE;
use crate::recording::{Archive, SessionArchive};

/// A speaker who talks for less is no chapter.
const CHAPTER_OF_A_SPEAKER: Duration = Duration::from_secs(180);

/// See the module.
#[derive(Debug)]
pub(super) struct Known {
    /// The piece of the session that becomes files.
    pub(super) range: Range,
    /// Media times of that piece.
    pub(super) span: Span<i64>,
    /// What is done to the sound.
    pub(super) dsp: Dsp,
    measurement: Option<Measurement>,
    levels: Option<Levels>,
    host: Option<String>,
    /// Starts are seconds of media time.
    chapters: Vec<Chapter>,
}

impl Known {
    /// Finds out what the request needs of a session. Decodes what was not measured, if loudness matters.
    pub(super) fn learn(
        request: &ExportRequest,
        archive: &Archive,
        session: &SessionArchive,
        progress: &Progress,
        notes: &mut Vec<String>,
    ) -> Result<Self, EpisodeError> {
        let id = session.info.session.as_str();
        let wants = |format: Format| request.formats.contains(&format);
        let whole = Reel::open(archive, id, request.range)?.span();
        let mut known = Self {
            range: request.range,
            span: whole.0..whole.1,
            dsp: Dsp::default(),
            measurement: None,
            levels: None,
            host: session.info.host.clone(),
            chapters: Vec::new(),
        };
        if request.trim || request.loudness.is_some() || wants(Format::Waveform) {
            known.measurement = Some(complete(archive, id, progress)?.measurement);
        }
        if request.trim {
            known.trim(notes);
        }
        let speakers = request.chapters == ChapterSource::Speakers
            || (request.chapters == ChapterSource::Auto && session.marks.is_empty());
        if speakers || wants(Format::Speakers) || wants(Format::Waveform) {
            known.levels = Some(speakers::read(&archive.folder, id)?);
        }
        known.chapters = known.find_chapters(&request.chapters, session)?;
        if let Some(lufs) = request.loudness {
            known.level(Aim { lufs, mono: request.mono }, archive, id, progress, notes)?;
        }
        Ok(known)
    }

    fn trim(&mut self, notes: &mut Vec<String>) {
        match self.measurement.as_ref().and_then(|measurement| measurement.words(&self.span)) {
            Some(words) => {
                self.range = Range { start: Some(words.start), end: Some(words.end) };
                self.span = words;
            }
            None => notes.push("Nobody says a word in it: nothing is trimmed.".to_owned()),
        }
    }

    fn level(
        &mut self,
        aim: Aim,
        archive: &Archive,
        session: &str,
        progress: &Progress,
        notes: &mut Vec<String>,
    ) -> Result<(), EpisodeError> {
        let measured = self.measurement.as_ref().and_then(|measurement| measurement.measured(&self.span));
        let whole = Reel::open(archive, session, self.range)?;
        let levelling = level(measured, aim, &whole, &mut |range| Reel::open(archive, session, range), progress)?;
        self.dsp = levelling.dsp;
        notes.extend(levelling.notes);
        Ok(())
    }

    fn find_chapters(&self, source: &ChapterSource, session: &SessionArchive) -> Result<Vec<Chapter>, EpisodeError> {
        let by_speaker = || {
            let changes = speaker_changes(&self.turns(), CHAPTER_OF_A_SPEAKER);
            changes.into_iter().map(|(start, title)| Chapter::new(start + seconds(self.span.start), title)).collect()
        };
        Ok(match source {
            ChapterSource::None => Vec::new(),
            ChapterSource::Marks => from_marks(&session.marks, 0),
            ChapterSource::Auto if !session.marks.is_empty() => from_marks(&session.marks, 0),
            ChapterSource::Auto | ChapterSource::Speakers => by_speaker(),
            ChapterSource::File(path) => {
                let from_file = read_chapters(path)?.into_iter();
                from_file.map(|one| Chapter::new(one.start + seconds(self.span.start), one.title)).collect()
            }
        })
    }

    /// Who spoke when, in seconds of the piece.
    pub(super) fn turns(&self) -> Vec<Turn> {
        let levels = self.levels.as_ref();
        levels.map_or_else(Vec::new, |levels| turns(levels, self.host.as_deref(), &self.span))
    }

    /// What was measured, if it was asked for.
    pub(super) fn measurement(&self) -> Option<&Measurement> {
        self.measurement.as_ref()
    }

    /// The chapters of a file whose first sample has media time `origin`.
    pub(super) fn chapters(&self, origin: i64, length: f64, title: Option<&str>) -> Vec<Chapter> {
        let shifted = |one: &Chapter| Chapter::new(one.start - seconds(origin), &one.title);
        tidy(self.chapters.iter().map(shifted).collect(), length, title)
    }

    /// Length of the piece, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        seconds(self.span.end.saturating_sub(self.span.start).max(0))
    }
}

fn seconds(samples: i64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

fn read_chapters(path: &Path) -> Result<Vec<Chapter>, EpisodeError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
    let length = read.map_err(EpisodeError::io(format!("the chapters in {} cannot be read", path.display())))?;
    if length as u64 > LARGEST_FILE {
        return Err(EpisodeError::Unsuitable(format!("{} is larger than any list of chapters", path.display())));
    }
    chapters::parse(&text).map_err(|error| EpisodeError::Unsuitable(format!("{}: {error}", path.display())))
}
