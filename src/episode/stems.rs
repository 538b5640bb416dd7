//! Each speaker apart, for an editor: one FLAC file each, all of one length and one start, the mix beside them, and a
//! list that says who is who and who was there when.

mod lay;
mod list;
mod names;
mod track;

use std::sync::Arc;

use super::encode::{EncodeFormat, EncodeJob, EncodePlan, encode};
use super::error::EpisodeError;
use super::loudness::Dsp;
use super::output::{NewFile, Overwrite, Placed};
use super::progress::Progress;
use super::reel::{Range, Reel};
use super::tags::FileLabels;
use crate::gst::episode_encode::{Codec, Embedded, FileEncoder, Samples, Target};
use crate::media::SAMPLE_RATE;
use crate::recording::{Folder, SessionArchive, StemArchive};
pub(super) use list::json;
pub(super) use names::file_names;
use track::Track;

/// Bytes that a second of speech takes in FLAC, rather too many; silence takes next to nothing.
const BYTES_A_SECOND: u64 = 120_000;

/// Bytes of a packet of 20 ms, rather too few.
const PACKET_BYTES: u64 = 50;

/// A speaker and the files that hold them, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voice {
    /// The platform's id.
    pub(super) id: String,
    /// Every name that they had, newest last; hostile text.
    pub(super) names: Vec<String>,
    stems: Vec<StemArchive>,
}

/// Everybody who was heard in a session, in the order in which they were.
pub(super) fn voices(session: &SessionArchive) -> Vec<Voice> {
    let mut voices: Vec<Voice> = Vec::new();
    for stem in &session.stems {
        let at = voices.iter().position(|voice| voice.id == stem.start.speaker).unwrap_or_else(|| {
            let own = session.speakers.iter().filter(|fact| fact.speaker == stem.start.speaker);
            let mut names: Vec<String> = own.map(|fact| fact.name.clone()).collect();
            names.dedup();
            voices.push(Voice { id: stem.start.speaker.clone(), names, stems: Vec::new() });
            voices.len() - 1
        });
        voices[at].stems.push(stem.clone());
    }
    voices.iter_mut().for_each(|voice| voice.stems.sort_by_key(|stem| stem.start.media_time));
    voices
}

/// Bytes that the files of `session` take, about and rather too many.
pub(super) fn needed(session: &SessionArchive, folder: &std::path::Path, seconds: u64) -> u64 {
    let length = |stem: &StemArchive| folder.join(&stem.start.file).symlink_metadata().map_or(0, |meta| meta.len());
    let packets = session.stems.iter().map(length).sum::<u64>() / PACKET_BYTES;
    // The mix, what was said, and the silence between.
    (seconds + packets / 50 + seconds * session.stems.len() as u64 / 50).saturating_mul(BYTES_A_SECOND)
}

/// Where the files lie on media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Media time of the first sample of each.
    pub(super) origin: i64,
    /// Samples of each.
    pub(super) length: u64,
}

/// What is to be made.
#[derive(Debug)]
pub(super) struct StemsPlan<'a> {
    /// Where the files go.
    pub(super) folder: Arc<Folder>,
    /// Name of the mix, up to its ending.
    pub(super) mix: String,
    /// Everybody, each with the name of a file.
    pub(super) voices: Vec<(Voice, String)>,
    /// Which piece.
    pub(super) range: Range,
    /// What to do about files of those names.
    pub(super) overwrite: Overwrite,
    /// What stands in the mix.
    pub(super) labels: &'a FileLabels,
}

/// What was made.
#[derive(Debug, Default)]
pub(super) struct StemsReport {
    /// The mix, if there is one, and then each voice.
    pub(super) files: Vec<Placed>,
    /// Where they lie; none where nothing was made.
    pub(super) extent: Option<Extent>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// Makes the files: first the mix, whose start and length all others have.
///
/// # Errors
/// The first one. Each file has its name when it is whole.
pub(super) fn make(reel: &mut Reel, plan: &StemsPlan<'_>, progress: &Progress) -> Result<StemsReport, EpisodeError> {
    let mix = EncodePlan {
        folder: plan.folder.clone(),
        base: plan.mix.clone(),
        jobs: vec![EncodeJob { format: EncodeFormat::Flac, kbps: None }],
        mono: false,
        dsp: Dsp::default(),
        overwrite: plan.overwrite,
        labels: plan.labels,
    };
    let archive = Folder::open(reel.folder().path()).map_err(EpisodeError::io("the recording cannot be opened"))?;
    let made = encode(reel, &mix, progress)?;
    let mut report = StemsReport { notes: made.notes, ..StemsReport::default() };
    for copied in made.files {
        let length = (copied.part.seconds * f64::from(SAMPLE_RATE)).round() as u64;
        report.extent = Some(Extent { origin: copied.part.origin, length });
        report.files.push(copied.file);
    }
    let Some(extent) = report.extent.or_else(|| own_extent(plan)) else { return Ok(report) };
    report.extent = Some(extent);
    for (voice, name) in &plan.voices {
        let files = voice.stems.iter().map(|stem| stem.start.file.clone()).collect();
        let mut track = Track::new(&archive, files, extent);
        report.files.push(one(&mut track, name, plan, progress)?);
        report.notes.extend(track.notes().map(|note| format!("{name}: {note}")));
    }
    Ok(report)
}

/// Where the voices lie where there is no mix.
fn own_extent(plan: &StemsPlan<'_>) -> Option<Extent> {
    let stems = || plan.voices.iter().flat_map(|(voice, _)| &voice.stems);
    let first = stems().map(|stem| stem.start.media_time).min()?;
    let last = stems().filter_map(|stem| stem.end.as_ref()).map(|end| end.end).max()?;
    let origin = plan.range.start.unwrap_or(first);
    let end = plan.range.end.unwrap_or(last);
    let length = u64::try_from(end.saturating_sub(origin)).ok().filter(|length| *length > 0)?;
    Some(Extent { origin, length })
}

/// Makes one voice's file.
fn one(track: &mut Track<'_>, name: &str, plan: &StemsPlan<'_>, progress: &Progress) -> Result<Placed, EpisodeError> {
    let new = NewFile::create(&plan.folder, name)?;
    let encoder = FileEncoder::start(Codec::Flac, 2, Target::File(new.path(), Embedded::default()))?;
    let (mut samples, mut at) = (Vec::new(), 0);
    while track.next(&mut samples)? {
        progress.check()?;
        if !samples.is_empty() {
            encoder.push(&Samples::new(&samples, at))?;
            at += samples.len() as u64;
            progress.advance(samples.len() as u64);
        }
    }
    encoder.finish()?;
    // The pipeline holds what writes; it is stopped first.
    drop(encoder);
    new.place(plan.overwrite)
}

#[cfg(test)]
mod tests;
