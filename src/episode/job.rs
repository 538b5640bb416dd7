//! One session's files of an export: copied in one pass, encoded in another, and the small ones beside them.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::chapters::{podcast_json, youtube};
use super::copy::{Copied, CopyPlan, Copying, PartFacts, copy, part_name};
use super::encode::{EncodeFormat, EncodeJob, EncodePlan, encode};
use super::error::EpisodeError;
use super::export::{Exported, Made};
use super::finish::base_name;
use super::known::Known;
use super::label::Labels;
use super::output::{NewFile, Overwrite, Placed, existing};
use super::progress::Progress;
use super::reel::Reel;
use super::request::{ExportRequest, Format};
use super::scene::Scene;
use super::stems::{StemsPlan, Voice};
use super::tags::{FileLabels, write_mp4};
use super::{captions, peaks, slate, speakers, stems, waveform};
use crate::media::{EncodedLoop, SAMPLE_RATE};
use crate::recording::{Archive, Folder, SessionArchive, folder_name};

/// One session's files.
pub(super) struct Job<'a> {
    request: &'a ExportRequest,
    session: &'a SessionArchive,
    labels: &'a Labels,
    archive: &'a Archive,
    base: String,
    reel: Reel,
    picture: Option<Arc<EncodedLoop>>,
    /// Everybody who was heard, each with the name of a file.
    voices: Vec<(Voice, String)>,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        request: &'a ExportRequest,
        archive: &'a Archive,
        session: &'a SessionArchive,
        several: bool,
        labels: &'a Labels,
    ) -> Result<Self, EpisodeError> {
        let base = match &request.name {
            Some(name) if several => format!("{name}-{}", folder_name(&session.info.session)),
            Some(name) => name.clone(),
            None => base_name(archive, session),
        };
        if base.is_empty() || base.starts_with('.') || base.contains('/') || base.chars().any(char::is_control) {
            return Err(EpisodeError::Unsuitable(format!(
                "{base:?} cannot name a file: take one without / that does not begin with a dot, and --to for the folder"
            )));
        }
        let reel = Reel::open(archive, &session.info.session, request.range)?;
        let picture = if request.formats.contains(&Format::Mp4) {
            let words = labels.of(archive, session);
            let title = words.title.as_deref().unwrap_or_default();
            Some(Arc::new(slate::encode(request, title, words.artist.as_deref().unwrap_or_default())?))
        } else {
            None
        };
        let voices = stems::voices(session);
        let names = stems::file_names(&base, &voices);
        let voices = voices.into_iter().zip(names).collect();
        Ok(Self { request, session, labels, archive, base, reel, picture, voices })
    }

    fn samples(&self) -> u64 {
        let (start, end) = self.reel.span();
        end.abs_diff(start)
    }

    /// Samples that go by, over all passes.
    pub(super) fn work(&self) -> u64 {
        let copied = self.request.formats.iter().any(|format| self.request.is_copied(*format));
        let apart = if self.wants_stems() { 1 + self.voices.len() as u64 } else { 0 };
        self.samples() * (u64::from(copied) + u64::from(!self.encodings().is_empty()) + apart)
    }

    /// Bytes that the files take, about and rather too many.
    pub(super) fn needed(&self) -> u64 {
        let seconds = self.samples() / u64::from(SAMPLE_RATE) + 1;
        let video = self.picture.as_ref().map_or(0, |picture| {
            let frames: u64 = picture.frames.iter().map(|frame| frame.len() as u64).sum();
            let length = (picture.frames.len() as u64 / u64::from(picture.format.fps.max(1))).max(1);
            frames * (seconds / length + 1)
        });
        let file = |format: &Format| {
            let own = self.reel.bytes().saturating_add(seconds * 64);
            let sound = format.bytes_a_second(self.request.bitrate).map_or(own, |bytes| bytes * seconds);
            if *format == Format::Mp4 { sound.saturating_add(video) } else { sound }
        };
        let apart = if self.wants_stems() { stems::needed(self.session, &self.archive.folder, seconds) } else { 0 };
        self.request.formats.iter().map(file).fold(apart, u64::saturating_add)
    }

    /// A file of another making is never overwritten unasked; one that an export of this recording made may be looked at
    /// again when the new one is whole.
    pub(super) fn refuse_to_overwrite(&self, folder: &Folder) -> Result<(), EpisodeError> {
        if self.request.force {
            return Ok(());
        }
        for name in self.request.formats.iter().flat_map(|format| self.names(*format)) {
            let there = existing(folder, &name).map_err(EpisodeError::io(format!("{name} cannot be looked at")))?;
            let ours = |sha256: &String| self.archive.exports.iter().any(|export| export.sha256 == *sha256);
            if there.is_some_and(|sha256| !ours(&sha256)) {
                return Err(EpisodeError::Exists(folder.path().join(name)));
            }
        }
        Ok(())
    }

    /// The names of a format's files.
    fn names(&self, format: Format) -> Vec<String> {
        let named = |endings: &[&str]| endings.iter().map(|ending| part_name(&self.base, 1, ending)).collect();
        match format {
            Format::Waveform => named(&["waveform.png", "peaks.json"]),
            Format::Speakers => named(&["speakers.json", "vtt"]),
            Format::Captions => named(&["captions.vtt", "captions.json"]),
            Format::Chapters => named(&["chapters.json", "youtube.txt"]),
            Format::Stems if self.voices.is_empty() => Vec::new(),
            Format::Stems => {
                let beside = named(&["stem-mix.flac", "stems.json"]);
                beside.into_iter().chain(self.voices.iter().map(|(_, name)| name.clone())).collect()
            }
            format => named(&[format.name()]),
        }
    }

    pub(super) fn run(
        &self,
        folder: &Arc<Folder>,
        progress: &Progress,
        out: &mut Exported,
    ) -> Result<(), EpisodeError> {
        let known = Known::learn(self.request, self.archive, self.session, progress, &mut out.notes)?;
        let copies = self.copies();
        if !copies.is_empty() {
            self.copy(copies, &known, folder, progress, out)?;
        }
        let jobs = self.encodings();
        if !jobs.is_empty() {
            self.encode(jobs, &known, folder, progress, out)?;
        }
        if self.wants_stems() {
            self.stems(&known, folder, progress, out)?;
        }
        for format in &self.request.formats {
            progress.check()?;
            for (name, bytes) in self.small(*format, &known, &mut out.notes)? {
                let placed = self.put(folder, &name, &bytes)?;
                out.files.push(self.made(*format, folder, placed, self.part(&known)));
            }
        }
        Ok(())
    }

    fn copies(&self) -> Vec<Copying> {
        let copied = self.request.formats.iter().filter(|format| self.request.is_copied(**format));
        copied
            .filter_map(|format| match format {
                Format::Mp4 => self.picture.clone().map(Copying::Mp4),
                _ => Some(Copying::M4a),
            })
            .collect()
    }

    fn encodings(&self) -> Vec<EncodeJob> {
        let encoded = self.request.formats.iter().filter(|format| !self.request.is_copied(**format));
        let jobs = encoded.filter_map(|format| {
            let format = match format {
                Format::Mp3 => EncodeFormat::Mp3,
                Format::Opus => EncodeFormat::Opus,
                Format::Flac => EncodeFormat::Flac,
                Format::Wav => EncodeFormat::Wav,
                Format::M4a => EncodeFormat::M4a,
                Format::Mp4 => EncodeFormat::Mp4(self.picture.clone()?),
                Format::Waveform | Format::Speakers | Format::Captions | Format::Stems | Format::Chapters => {
                    return None;
                }
            };
            Some(EncodeJob { format, kbps: self.request.bitrate })
        });
        jobs.collect()
    }

    fn overwrite(&self) -> Overwrite {
        if self.request.force { Overwrite::Always } else { Overwrite::Never }
    }

    fn file_labels(&self, known: &Known, part: PartFacts) -> FileLabels {
        let tags = self.labels.of(self.archive, self.session);
        let chapters = known.chapters(part.origin, part.seconds, tags.title.as_deref());
        FileLabels::new(&tags, chapters)
    }

    fn copy(
        &self,
        copies: Vec<Copying>,
        known: &Known,
        folder: &Arc<Folder>,
        progress: &Progress,
        out: &mut Exported,
    ) -> Result<(), EpisodeError> {
        let dress = |path: &Path, part: PartFacts| write_mp4(path, &self.file_labels(known, part));
        let (base, overwrite) = (self.base.clone(), self.overwrite());
        let plan = CopyPlan { folder: folder.clone(), base, copies, overwrite, dress: &dress };
        let mut reel = self.open(known)?;
        let patched: i64 = reel.take_patches().iter().map(|patch| patch.span.end - patch.span.start).sum();
        let report = copy(&mut reel, &plan, progress)?;
        if patched > 0 {
            out.notes.push(format!(
                "{:.1} s stay silent where the received frames are copied, and are there from another path where the sound is encoded: ask for mp3, opus, flac, wav or --loudness.",
                patched as f64 / f64::from(SAMPLE_RATE)
            ));
        }
        self.take(folder, report.files, report.foreign, report.notes, out);
        Ok(())
    }

    fn encode(
        &self,
        jobs: Vec<EncodeJob>,
        known: &Known,
        folder: &Arc<Folder>,
        progress: &Progress,
        out: &mut Exported,
    ) -> Result<(), EpisodeError> {
        let labels = self.file_labels(known, self.part(known));
        let plan = EncodePlan {
            folder: folder.clone(),
            base: self.base.clone(),
            jobs,
            mono: self.request.mono,
            dsp: known.dsp,
            overwrite: self.overwrite(),
            labels: &labels,
        };
        let mut reel = self.open(known)?;
        let report = encode(&mut reel, &plan, progress)?;
        self.take(folder, report.files, report.foreign, report.notes, out);
        Ok(())
    }

    fn wants_stems(&self) -> bool {
        self.request.formats.contains(&Format::Stems)
    }

    /// Each speaker apart, the mix, and the list.
    fn stems(
        &self,
        known: &Known,
        folder: &Arc<Folder>,
        progress: &Progress,
        out: &mut Exported,
    ) -> Result<(), EpisodeError> {
        if self.voices.is_empty() {
            out.notes.push("No speaker was recorded apart: a source of separate speakers is needed.".to_owned());
            return Ok(());
        }
        let labels = self.file_labels(known, self.part(known));
        let plan = StemsPlan {
            folder: folder.clone(),
            mix: format!("{}.stem-mix", self.base),
            voices: self.voices.clone(),
            range: known.range,
            overwrite: self.overwrite(),
            labels: &labels,
        };
        let report = stems::make(&mut self.open(known)?, &plan, progress)?;
        out.notes.extend(report.notes);
        let Some(extent) = report.extent else { return Ok(()) };
        let seconds = extent.length as f64 / f64::from(SAMPLE_RATE);
        let part = PartFacts { origin: extent.origin, seconds, filled_seconds: 0.0 };
        let mix = (report.files.len() > self.voices.len()).then(|| format!("{}.stem-mix.flac", self.base));
        let list = stems::json(self.session, extent, mix.as_deref(), &self.voices);
        let list = self.put(folder, &part_name(&self.base, 1, "stems.json"), list.as_bytes())?;
        let files = report.files.into_iter().chain([list]);
        out.files.extend(files.map(|file| self.made(Format::Stems, folder, file, part)));
        Ok(())
    }

    fn open(&self, known: &Known) -> Result<Reel, EpisodeError> {
        Reel::open(self.archive, &self.session.info.session, known.range)
    }

    /// The piece as one part.
    fn part(&self, known: &Known) -> PartFacts {
        PartFacts { origin: known.span.start, seconds: known.seconds(), filled_seconds: 0.0 }
    }

    /// Names and contents of a format's small files.
    fn small(
        &self,
        format: Format,
        known: &Known,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(String, Vec<u8>)>, EpisodeError> {
        let contents: Vec<Vec<u8>> = match format {
            Format::Chapters => self.chapter_files(known, notes),
            Format::Speakers => {
                let turns = known.turns();
                vec![
                    speakers::json(&self.session.info.session, &turns).into_bytes(),
                    speakers::webvtt(&turns).into_bytes(),
                ]
            }
            Format::Captions => {
                let cues = captions::read(&self.archive.folder, &self.session.info.session)?.cues(&known.span);
                if cues.is_empty() {
                    notes.push(
                        "The platform told no captions: a Space has them where its host turned them on.".to_owned(),
                    );
                    return Ok(Vec::new());
                }
                vec![captions::webvtt(&cues).into_bytes(), captions::json(&cues).into_bytes()]
            }
            Format::Waveform => match known.measurement() {
                Some(measurement) => {
                    let part = self.part(known);
                    let chapters = known.chapters(part.origin, part.seconds, None);
                    let chapters = chapters.into_iter().map(|one| (one.start, one.title));
                    let scene = Scene::new(self.session, measurement, known.span.clone(), chapters, known.turns());
                    vec![waveform::png(&scene, waveform::WIDTH)?, peaks::json(&scene).into_bytes()]
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        // Lines for a platform that takes none of these chapters: an empty file would only be puzzled over.
        Ok(self.names(format).into_iter().zip(contents).filter(|(_, bytes)| !bytes.is_empty()).collect())
    }

    fn chapter_files(&self, known: &Known, notes: &mut Vec<String>) -> Vec<Vec<u8>> {
        let part = self.part(known);
        let tags = self.labels.of(self.archive, self.session);
        let chapters = known.chapters(part.origin, part.seconds, tags.title.as_deref());
        let lines = youtube(&chapters, part.seconds, tags.comment.as_deref().unwrap_or_default());
        notes.extend(lines.notes);
        vec![podcast_json(&chapters, tags.title.as_deref()).into_bytes(), lines.lines.into_bytes()]
    }

    fn put(&self, folder: &Arc<Folder>, name: &str, bytes: &[u8]) -> Result<Placed, EpisodeError> {
        let target = NewFile::create(folder, name)?;
        let written = target.file()?.write_all(bytes);
        written.map_err(EpisodeError::io(format!("{} could not be written", target.final_path().display())))?;
        target.place(self.overwrite())
    }

    fn take(&self, folder: &Folder, files: Vec<Copied>, foreign: Vec<String>, notes: Vec<String>, out: &mut Exported) {
        let left_out = |file: &String| format!("{file} is no AAC and is left out: its finished .mka holds it.");
        let said = notes.into_iter().chain(foreign.iter().map(left_out));
        for note in said {
            // Both passes may say the same of a segment.
            if !out.notes.contains(&note) {
                out.notes.push(note);
            }
        }
        for copied in files {
            let format = Format::ALL.into_iter().find(|format| format.name() == copied.extension);
            let format = format.unwrap_or(Format::M4a);
            out.files.push(self.made(format, folder, copied.file, copied.part));
        }
    }

    fn made(&self, format: Format, folder: &Folder, file: Placed, part: PartFacts) -> Made {
        Made {
            session: self.session.info.session.clone(),
            format,
            file: folder.path().join(&file.name),
            bytes: file.bytes,
            sha256: file.sha256,
            media_time: part.origin,
            seconds: part.seconds,
            filled_seconds: part.filled_seconds,
        }
    }
}
