//! Files that hold the very frames that were received: an `.m4a`, and an `.mp4` with a still picture. Both in one pass.
//!
//! Decodes and encodes no sound. A reel of several parts becomes several files.

use std::path::Path;
use std::sync::Arc;

use super::error::EpisodeError;
use super::mp4::{Kind, Mp4Writer, faststart};
use super::output::{NewFile, Overwrite, Placed};
use super::progress::Progress;
use super::reel::{Reel, ReelEvent, Tally};
use crate::media::{AAC_FRAME_SAMPLES, EncodedLoop, SAMPLE_RATE};
use crate::recording::Folder;
use crate::recording::adts::AacConfig;

const AUDIO: usize = 0;
const VIDEO: usize = 1;

/// Frames between two looks at whether to stop: about a second of sound.
const CHECK_EVERY: u64 = 48;

/// Which container.
#[derive(Debug, Clone)]
pub enum Copying {
    /// Sound alone.
    M4a,
    /// Sound with a picture.
    Mp4(Arc<EncodedLoop>),
}

impl Copying {
    /// The file name's ending.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::M4a => "m4a",
            Self::Mp4(_) => "mp4",
        }
    }
}

/// What is made from one part of a reel, before it has its tags and its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartFacts {
    /// Media time of its first sample.
    pub origin: i64,
    /// Its length.
    pub seconds: f64,
    /// How much of that is silence in place of missing audio.
    pub filled_seconds: f64,
}

/// Puts tags, cover and chapters into the file at a path, whose index is at its end.
pub type Dress<'a> = &'a dyn Fn(&Path, PartFacts) -> Result<(), EpisodeError>;

/// A finished file.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    /// Its ending.
    pub extension: &'static str,
    /// The file.
    pub file: Placed,
    /// What is in it.
    pub part: PartFacts,
}

/// What to copy into which files.
pub struct CopyPlan<'a> {
    /// Where the files go.
    pub folder: Arc<Folder>,
    /// Their name up to a part's number and the ending.
    pub base: String,
    /// Which files.
    pub copies: Vec<Copying>,
    /// What to do about files of that name.
    pub overwrite: Overwrite,
    /// What finishes each.
    pub dress: Dress<'a>,
}

impl std::fmt::Debug for CopyPlan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyPlan").field("base", &self.base).field("copies", &self.copies).finish_non_exhaustive()
    }
}

/// What copying made.
#[derive(Debug, Default)]
pub struct CopyReport {
    /// The files, in order.
    pub files: Vec<Copied>,
    /// Captured streams that are no AAC.
    pub foreign: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Copies a reel into the plan's files. Each has its name when it is whole; one that fails leaves nothing.
///
/// # Errors
/// The first one, with the files of earlier parts in their places; none for a reel without audio.
pub fn copy(reel: &mut Reel, plan: &CopyPlan<'_>, progress: &Progress) -> Result<CopyReport, EpisodeError> {
    let mut report = CopyReport::default();
    let result = copy_parts(reel, plan, progress, &mut report);
    report.notes.extend(reel.take_notes());
    result.map(|()| report)
}

fn copy_parts(
    reel: &mut Reel,
    plan: &CopyPlan<'_>,
    progress: &Progress,
    report: &mut CopyReport,
) -> Result<(), EpisodeError> {
    let mut open: Option<Part> = None;
    let mut tally = Tally::default();
    let mut number = 0;
    while let Some(event) = reel.next().transpose()? {
        match event {
            ReelEvent::Frame(frame) => {
                let Some(part) = &mut open else { continue };
                part.push(&frame)?;
                tally = reel.tally();
                if tally.frames.is_multiple_of(CHECK_EVERY) {
                    progress.check()?;
                    progress.advance(CHECK_EVERY * part.frame_samples());
                }
            }
            ReelEvent::Part { config, origin } => {
                if let Some(part) = open.take() {
                    part.close(tally, plan, report)?;
                }
                number += 1;
                open = Some(Part::open(plan, number, config, origin)?);
            }
            ReelEvent::Pcm { file, .. } | ReelEvent::Foreign(file) => report.foreign.push(file),
        }
    }
    match open {
        Some(part) => part.close(tally, plan, report),
        None => Ok(()),
    }
}

/// The name of a part's file: `base.m4a`, then `base-2.m4a`.
pub(super) fn part_name(base: &str, number: usize, extension: &str) -> String {
    if number < 2 { format!("{base}.{extension}") } else { format!("{base}-{number}.{extension}") }
}

/// The files of one part.
struct Part {
    config: AacConfig,
    origin: i64,
    files: Vec<CopyFile>,
}

impl Part {
    fn open(plan: &CopyPlan<'_>, number: usize, config: AacConfig, origin: i64) -> Result<Self, EpisodeError> {
        let file = |copying: &Copying| {
            let name = part_name(&plan.base, number, copying.extension());
            CopyFile::create(&plan.folder, &name, copying, config)
        };
        let files: Result<_, _> = plan.copies.iter().map(file).collect();
        Ok(Self { config, origin, files: files? })
    }

    fn frame_samples(&self) -> u64 {
        AAC_FRAME_SAMPLES * u64::from(SAMPLE_RATE) / u64::from(self.config.sample_rate)
    }

    fn push(&mut self, frame: &[u8]) -> Result<(), EpisodeError> {
        self.files.iter_mut().try_for_each(|file| file.push(frame))
    }

    fn close(self, tally: Tally, plan: &CopyPlan<'_>, report: &mut CopyReport) -> Result<(), EpisodeError> {
        let seconds = |frames: u64| (frames * AAC_FRAME_SAMPLES) as f64 / f64::from(self.config.sample_rate);
        let part =
            PartFacts { origin: self.origin, seconds: seconds(tally.frames), filled_seconds: seconds(tally.filled) };
        if tally.repeated > 0 {
            report
                .notes
                .push(format!("{} frames that were received twice are in the finished file once.", tally.repeated));
        }
        for file in self.files {
            let extension = file.extension;
            let file = file.finish(|path| (plan.dress)(path, part), plan.overwrite)?;
            report.files.push(Copied { extension, file, part });
        }
        Ok(())
    }
}

/// One MP4 file on its way: sound frame by frame, the picture by itself.
pub(super) struct CopyFile {
    extension: &'static str,
    target: NewFile,
    writer: Mp4Writer,
    picture: Option<Arc<EncodedLoop>>,
}

impl CopyFile {
    pub(super) fn create(
        folder: &Arc<Folder>,
        name: &str,
        copying: &Copying,
        config: AacConfig,
    ) -> Result<Self, EpisodeError> {
        let target = NewFile::create(folder, name)?;
        let picture = match copying {
            Copying::M4a => None,
            Copying::Mp4(picture) => Some(picture.clone()),
        };
        let video = picture
            .as_ref()
            .map(|picture| Kind::Video { format: picture.format, codec_data: picture.codec_data.clone() });
        let tracks = std::iter::once(Kind::Audio(config)).chain(video);
        let writer = Mp4Writer::start(target.file()?, tracks).map_err(failed(&target))?;
        Ok(Self { extension: copying.extension(), target, writer, picture })
    }

    /// Appends a frame of sound, and the picture behind each whole second.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<(), EpisodeError> {
        self.writer.push(AUDIO, frame, true).map_err(failed(&self.target))?;
        if self.picture.is_some() && self.writer.seconds(AUDIO) >= self.writer.seconds(VIDEO) + 1.0 {
            let whole = self.writer.seconds(AUDIO).floor();
            self.show_until(whole)?;
        }
        Ok(())
    }

    /// Shows the picture up to `seconds`, to the nearest frame.
    fn show_until(&mut self, seconds: f64) -> Result<(), EpisodeError> {
        let Some(picture) = self.picture.clone() else { return Ok(()) };
        let wanted = (seconds * f64::from(picture.format.fps)).round().max(1.0) as u64;
        while self.writer.frames(VIDEO) < wanted {
            let index = (self.writer.frames(VIDEO) % picture.frames.len().max(1) as u64) as usize;
            let Some(frame) = picture.frames.get(index) else { break };
            self.writer.push(VIDEO, frame, index == 0).map_err(failed(&self.target))?;
        }
        Ok(())
    }

    /// Makes the file whole and gives it its name.
    pub(super) fn finish(
        mut self,
        dress: impl FnOnce(&Path) -> Result<(), EpisodeError>,
        overwrite: Overwrite,
    ) -> Result<Placed, EpisodeError> {
        self.show_until(self.writer.seconds(AUDIO))?;
        let Self { target, writer, .. } = self;
        drop(writer.finish().map_err(failed(&target))?);
        dress(&target.path())?;
        faststart::to_front(&target.file()?).map_err(failed(&target))?;
        target.place(overwrite)
    }
}

fn failed(target: &NewFile) -> impl FnOnce(std::io::Error) -> EpisodeError {
    EpisodeError::io(format!("{} could not be written", target.final_path().display()))
}
