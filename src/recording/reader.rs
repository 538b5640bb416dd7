//! Reads a journal back: every checksum is checked, unknown types are skipped, damage is reported and read around.
//!
//! [`Archive`] is the model of an archive that everything else is made from: the gap list, the resume point, the
//! finished files. The writer keeps the same model up to date, so that there is one way to understand a journal.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::RecordingError;
use super::facts::{
    EpisodeFact, ExportFact, Fact, GapFact, MarkFact, MissingFact, RepairFact, SegmentFact, SessionFact, ShowFact,
};
use super::fills::FillFact;
use super::folder::Folder;
use super::gaps;
use super::journal;
use super::line::{self, Entry, LineError, MAX_LINE};
use super::stems::{SpeakerFact, StemArchive};
use crate::status::Gap;

/// What was seen of a journal on the way through it.
#[derive(Debug, Default)]
pub struct Scan {
    /// Whole lines.
    pub entries: u64,
    /// Lines that cannot be used though good ones follow.
    pub damage: Vec<Damage>,
    /// Bytes up to the end of the last whole line.
    pub good_bytes: u64,
    /// Number of the last whole line.
    pub last_seq: u64,
}

/// A line of a journal that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub error: LineError,
}

/// Gives every whole line of a journal to `visit`. What follows the last whole line is a torn end and no damage.
///
/// # Errors
/// When the file cannot be read.
pub fn scan(file: &mut File, mut visit: impl FnMut(Entry)) -> io::Result<Scan> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut scan, mut offset, mut suspects) = (Scan::default(), 0, Vec::new());
    let (mut line, mut seen) = (Vec::new(), HashSet::new());
    loop {
        line.clear();
        let length = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)? as u64;
        if length == 0 {
            return Ok(scan);
        }
        let whole = line.pop_if(|byte| *byte == b'\n').is_some();
        let result = if whole { line::decode(&line) } else { Err(LineError::Check) };
        match result {
            // Two lines with one number can be the work of two writers; the same line twice is none of anybody's.
            Ok(entry) if !seen.insert((entry.seq, line::check_digits(&line))) => {
                scan.damage.push(Damage { offset, error: LineError::Repeated });
            }
            Ok(entry) => {
                scan.last_seq = scan.last_seq.max(entry.seq);
                scan.entries += 1;
                visit(entry);
            }
            // Torn so far: damage only if a good line follows.
            Err(LineError::Check) => {
                suspects.push(Damage { offset, error: LineError::Check });
                offset += length;
                continue;
            }
            Err(error) => scan.damage.push(Damage { offset, error }),
        }
        scan.damage.append(&mut suspects);
        offset += length;
        scan.good_bytes = offset;
    }
}

/// An archive as its journal tells it.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// The archive's folder.
    pub folder: PathBuf,
    /// What the show is.
    pub show: ShowFact,
    /// When the archive began.
    pub started_at: Option<Timestamp>,
    /// Sessions in the order in which they were found.
    pub sessions: Vec<SessionArchive>,
    /// The newest entry for every finished file, by its path.
    pub episodes: BTreeMap<String, EpisodeFact>,
    /// Files that somebody had made, in order.
    pub exports: Vec<ExportFact>,
    /// Whether it is never to be deleted by itself.
    pub keep: bool,
    /// How often another process went on with it.
    pub resumes: u32,
    /// Whether the show is over.
    pub ended: bool,
    /// Since when it is.
    pub ended_at: Option<Timestamp>,
    /// Whole lines.
    pub entries: u64,
    /// Lines that cannot be used.
    pub damage: Vec<Damage>,
}

/// One session of an archive.
#[derive(Debug, Clone, Default)]
pub struct SessionArchive {
    /// What is known of it, newest word.
    pub info: SessionFact,
    /// When the journal first named it.
    pub found_at: Option<Timestamp>,
    /// Kept segments in the order in which they came, without their ID3 facts.
    pub segments: Vec<SegmentFact>,
    /// Media that could not be had, in the order in which it was given up.
    pub missing: Vec<MissingFact>,
    /// Intervals without audio that the show saw.
    pub gaps: Vec<GapFact>,
    /// Places that the operator named, in the order in which they were named.
    pub marks: Vec<MarkFact>,
    /// Where its repair stands; none if nothing was ever missing or the archive is of a version that repaired nothing.
    pub repair: Option<RepairFact>,
    /// Where another session holds what this one lacks, in the order in which it was found.
    pub fills: Vec<FillFact>,
    /// Encoded streams, one file each.
    pub captures: Vec<CaptureArchive>,
    /// Who came, left and took another name, in order.
    pub speakers: Vec<SpeakerFact>,
    /// Speakers' own streams, one file each.
    pub stems: Vec<StemArchive>,
    /// The last entry that counts for going on.
    last: Option<(u64, i64)>,
    /// Files of kept segments.
    files: HashSet<String>,
}

/// One captured stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaptureArchive {
    /// Path inside the archive.
    pub file: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Media time of its zero, where that is known.
    pub media_time: Option<i64>,
    /// Seconds of arrival; none if it was cut off by a crash.
    pub seconds: Option<f64>,
    /// Bytes that were lost inside it.
    pub lost_bytes: u64,
}

/// Where a source goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeState {
    /// The session's id.
    pub session: String,
    /// The last sequence number that is kept or was given up.
    pub last_sequence: u64,
    /// Media time just after it.
    pub media_time: i64,
    /// The PROGRAM-DATE-TIME of a kept segment, and its media time.
    pub program_date_time: Option<(Timestamp, i64)>,
}

impl Archive {
    /// Reads the archive in `folder`, whether or not somebody writes it at the time.
    ///
    /// # Errors
    /// [`RecordingError::NoArchive`] without a readable line, [`RecordingError::Newer`], or what the system says.
    pub fn read(folder: &Path) -> Result<Self, RecordingError> {
        let open = Folder::open(folder).map_err(RecordingError::folder(folder))?;
        let mut file = match open.open_path(journal::NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RecordingError::NoArchive(folder.to_owned()));
            }
            other => other.map_err(RecordingError::folder(folder))?,
        };
        let mut archive = Self { folder: folder.to_owned(), ..Self::default() };
        let scan =
            scan(&mut file, |entry| archive.apply(entry.at, entry.fact)).map_err(RecordingError::folder(folder))?;
        archive.checked(scan)
    }

    /// The archive if `scan`, which made it, found something that this version can go on with.
    pub(super) fn checked(mut self, scan: Scan) -> Result<Self, RecordingError> {
        let newer = scan.damage.iter().find_map(|damage| match damage.error {
            LineError::Newer(version) => Some(version),
            _ => None,
        });
        if let Some(version) = newer {
            return Err(RecordingError::Newer { folder: self.folder, version });
        }
        if scan.entries == 0 {
            return Err(RecordingError::NoArchive(self.folder));
        }
        self.damage = scan.damage;
        Ok(self)
    }

    /// Adds what one line says.
    pub(super) fn apply(&mut self, at: Timestamp, fact: Fact) {
        self.entries += 1;
        match fact {
            Fact::ShowStarted(show) => {
                self.show = show;
                self.started_at = Some(at);
            }
            Fact::Resumed { .. } => {
                self.resumes += 1;
                (self.ended, self.ended_at) = (false, None);
            }
            Fact::Ended => (self.ended, self.ended_at) = (true, Some(at)),
            Fact::SessionStarted(info) | Fact::SessionChanged(info) => self.learn(at, info),
            Fact::SessionEnded(info) => self.learn(at, SessionFact { ended: true, ..info }),
            Fact::Segment(segment) => self.session_mut(&segment.session, at).keep(segment),
            Fact::Missing(missing) => self.session_mut(&missing.session, at).give_up(missing),
            Fact::Gap(gap) => self.session_mut(&gap.session, at).gaps.push(gap),
            Fact::CaptureStarted { session, file, media_time } => {
                let capture = CaptureArchive { file, started_at: Some(at), media_time, ..CaptureArchive::default() };
                self.session_mut(&session, at).captures.push(capture);
            }
            Fact::CaptureEnded { session, file, seconds, .. } => {
                let captures = &mut self.session_mut(&session, at).captures;
                if let Some(capture) = captures.iter_mut().find(|capture| capture.file == file) {
                    capture.seconds = Some(seconds);
                }
            }
            Fact::CaptureLost { session, bytes, .. } => {
                if let Some(capture) = self.session_mut(&session, at).captures.last_mut() {
                    capture.lost_bytes += bytes;
                }
            }
            Fact::Speaker(speaker) => self.session_mut(&speaker.session.clone(), at).speakers.push(speaker),
            Fact::StemStarted(start) => {
                let stems = &mut self.session_mut(&start.session.clone(), at).stems;
                stems.push(StemArchive { start, started_at: Some(at), end: None });
            }
            Fact::StemEnded(end) => {
                let stems = &mut self.session_mut(&end.session.clone(), at).stems;
                if let Some(stem) = stems.iter_mut().find(|stem| stem.start.file == end.file) {
                    stem.end = Some(end);
                }
            }
            Fact::Episode(episode) => {
                self.episodes.insert(episode.file.clone(), episode);
            }
            Fact::Exported(export) => self.exports.push(export),
            Fact::Mark(mark) => self.session_mut(&mark.session, at).marks.push(mark),
            Fact::Repair(repair) => {
                let session = self.session_mut(&repair.session.clone(), at);
                session.repair = Some(repair);
            }
            Fact::Fill(fill) => self.session_mut(&fill.session.clone(), at).fills.push(fill),
            Fact::Keep { keep } => self.keep = keep,
            // They are many: whoever wants them reads them from the journal.
            Fact::Caption(_)
            | Fact::Talking(_)
            | Fact::State { .. }
            | Fact::StemsLost { .. }
            | Fact::Suspended
            | Fact::Note { .. }
            | Fact::Unknown => {}
        }
    }

    /// The session called `id`.
    pub fn session(&self, id: &str) -> Option<&SessionArchive> {
        self.sessions.iter().find(|session| session.info.session == id)
    }

    fn learn(&mut self, at: Timestamp, info: SessionFact) {
        let id = info.session.clone();
        self.session_mut(&id, at).info = info;
    }

    fn session_mut(&mut self, id: &str, at: Timestamp) -> &mut SessionArchive {
        let index = self.sessions.iter().position(|session| session.info.session == id).unwrap_or_else(|| {
            let info = SessionFact { session: id.to_owned(), ..SessionFact::default() };
            self.sessions.push(SessionArchive { info, found_at: Some(at), ..SessionArchive::default() });
            self.sessions.len() - 1
        });
        &mut self.sessions[index]
    }

    /// Every gap of every session, in order.
    pub fn gaps(&self) -> Vec<Gap> {
        self.sessions.iter().flat_map(SessionArchive::gap_list).collect()
    }

    /// Where the source of session `id` goes on.
    pub fn resume_point(&self, id: &str) -> Option<ResumeState> {
        let session = self.session(id)?;
        let (last_sequence, media_time) = session.last?;
        let dated = session
            .segments
            .iter()
            .rev()
            .filter(|s| !s.late)
            .find_map(|s| s.program_date_time.map(|time| (time, s.media_time)));
        Some(ResumeState { session: id.to_owned(), last_sequence, media_time, program_date_time: dated })
    }
}

impl SessionArchive {
    /// Media time just after the last thing that is kept or was given up.
    pub fn end(&self) -> Option<i64> {
        self.last.map(|(_, end)| end)
    }

    /// Whether a segment is kept in this file of the archive.
    pub fn has_file(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    /// Segments that were given up under names that are known, and are still not kept; the newest `limit`, in order.
    pub fn wanted(&self, limit: usize) -> Vec<&MissingFact> {
        let kept: HashSet<&str> = self.segments.iter().map(|segment| segment.name.as_str()).collect();
        let is_wanted = |missing: &&MissingFact| {
            missing.first_sequence == missing.last_sequence
                && matches!(&missing.names[..], [name] if !kept.contains(name.as_str()))
        };
        let mut wanted: Vec<&MissingFact> = self.missing.iter().rev().filter(is_wanted).take(limit).collect();
        wanted.reverse();
        wanted
    }

    /// What is missing of it, in order.
    pub fn gap_list(&self) -> Vec<Gap> {
        gaps::list(&self.info.session, &self.segments, &self.missing, &self.gaps)
    }

    fn keep(&mut self, mut segment: SegmentFact) {
        // A day of ID3 facts is tens of megabytes: who wants them reads them with `scan`.
        segment.facts = Vec::new();
        // One that came late must not take the source back.
        if !segment.late && segment.origin.is_live() {
            self.last = Some((segment.sequence, segment.end()));
        }
        self.files.insert(segment.file.clone());
        self.segments.push(segment);
    }

    fn give_up(&mut self, missing: MissingFact) {
        // A span that is repaired or lost later must not take the source back.
        if self.last.is_none_or(|(_, end)| missing.end() >= end) {
            self.last = Some((missing.last_sequence, missing.end()));
        }
        self.missing.push(missing);
    }
}
