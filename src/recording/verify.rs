//! Whether an archive is whole: every checksum of its journal, its segments and its finished files is computed again.
//!
//! Reads only. What is missing of the audio is no fault of the archive: its journal says so, and so does this.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::RecordingError;
use super::facts::{Fact, SegmentFact};
use super::folder::{self, Folder, Kind};
use super::inventory::{self, Owner};
use super::line;
use super::reader::{Archive, scan};
use super::{journal, lock};
use crate::status::Gap;

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// Threads that compute checksums: more only queue for the disk.
const MOST_THREADS: usize = 4;

/// Ranges of lost lines and files in a list that are told one by one.
const MOST_TOLD: usize = 1000;

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verification {
    /// The archive's folder.
    pub folder: PathBuf,
    /// Whether everything that the journal lists is there, unaltered, and the journal itself has every line.
    pub whole: bool,
    /// Whole lines of the journal.
    pub lines: u64,
    /// Segments that are there, unaltered.
    pub segments: u64,
    /// Finished files that are there, unaltered.
    pub files: u64,
    /// Bytes whose checksums were computed.
    pub bytes: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What a person may want to know though nothing is wrong with it.
    pub notes: Vec<String>,
    /// Files that are not the archive's, or that its journal does not list.
    pub extra: Vec<String>,
    /// What is missing of the audio, as the journal tells it.
    pub gaps: Vec<Gap>,
    /// Process that writes the archive now.
    pub written_by: Option<String>,
    /// Segments that are gone or altered: a repair can have them again.
    #[serde(skip)]
    pub damaged: Vec<SegmentFact>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong in general.
    pub kind: FaultKind,
    /// Path inside the archive.
    pub file: String,
    /// What is wrong with it, for people.
    pub words: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A line of the journal cannot be used.
    Line,
    /// Lines of the journal are not there.
    LostLines,
    /// There is no journal with a readable line.
    NoJournal,
    /// A file is not there.
    Missing,
    /// A file holds other bytes than it did.
    Altered,
    /// A file cannot be read.
    Unreadable,
}

/// Computes every checksum of the archive in `folder` again. `progress` is told the bytes that were read and those that
/// are to be read, from several threads.
///
/// # Errors
/// [`RecordingError::Newer`], or where the folder or the journal cannot be read. Damage is no error.
pub fn verify(folder: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Verification, RecordingError> {
    let root = Folder::open(folder).map_err(RecordingError::folder(folder))?;
    let mut found = Verification { folder: folder.to_owned(), ..Verification::default() };
    found.written_by = lock::holder_of(&root);
    let archive = found.journal(&root)?;
    let checks = checks(&archive);
    let outcomes = compute(&root, &checks, progress);
    for (check, outcome) in checks.iter().zip(outcomes) {
        found.settle(check, outcome);
    }
    if found.written_by.is_none() {
        found.look_around(&root, &archive).map_err(RecordingError::folder(folder))?;
    }
    found.gaps = archive.gaps();
    found.whole = found.faults.is_empty();
    Ok(found)
}

/// Segments of the archive in `folder` that are gone or altered on the disk, in the journal's order.
///
/// # Errors
/// As [`verify`].
pub fn damaged_segments(folder: &Path) -> Result<Vec<SegmentFact>, RecordingError> {
    Ok(verify(folder, &|_, _| {})?.damaged)
}

/// A file whose checksum the journal knows.
struct Check<'a> {
    file: &'a str,
    bytes: u64,
    sha256: &'a str,
    /// The segment, if it is one.
    segment: Option<&'a SegmentFact>,
    keeper: Keeper,
}

/// Whose a file is, and thus what it means if it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// The recording's own: nothing brings it back but a repair.
    Recording,
    /// Made from the recording: it can be made again.
    Made,
    /// The operator's: an export may be moved or changed.
    Operator,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Right(u64),
    Missing,
    Altered,
    Unreadable(String),
}

fn checks(archive: &Archive) -> Vec<Check<'_>> {
    let segments = archive.sessions.iter().flat_map(|session| &session.segments);
    let segments = segments.map(|segment| Check {
        file: &segment.file,
        bytes: segment.bytes,
        sha256: &segment.sha256,
        segment: Some(segment),
        keeper: Keeper::Recording,
    });
    let stems = archive.sessions.iter().flat_map(|session| &session.stems).filter_map(|stem| stem.end.as_ref());
    let stems = stems.map(|end| (&end.file, end.bytes, &end.sha256, Keeper::Recording));
    let episodes =
        archive.episodes.values().map(|episode| (&episode.file, episode.bytes, &episode.sha256, Keeper::Made));
    // The newest word for a file counts.
    let newest = |at: usize| archive.exports[at + 1..].iter().all(|later| later.file != archive.exports[at].file);
    let exports =
        archive.exports.iter().enumerate().filter(|(at, export)| newest(*at) && folder::is_inside(&export.file));
    let exports = exports.map(|(_, export)| (&export.file, export.bytes, &export.sha256, Keeper::Operator));
    let files = stems.chain(episodes).chain(exports);
    segments
        .chain(files.map(|(file, bytes, sha256, keeper)| Check { file, bytes, sha256, segment: None, keeper }))
        .collect()
}

/// Computes the checksums, on as many threads as help; outcomes in the order of the checks.
fn compute(root: &Folder, checks: &[Check<'_>], progress: &(dyn Fn(u64, u64) + Sync)) -> Vec<Outcome> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let total = checks.iter().map(|check| check.bytes).sum();
    let work = || {
        let mut outcomes = Vec::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(check) = checks.get(at) else { return outcomes };
            let outcome = examine(root, check, &mut buffer, &mut |bytes| {
                progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
            });
            outcomes.push((at, outcome));
        }
    };
    let mut outcomes: Vec<(usize, Outcome)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn examine(root: &Folder, check: &Check<'_>, buffer: &mut [u8], read: &mut impl FnMut(u64)) -> Outcome {
    let digest = root.open_path(check.file).and_then(|mut file| {
        // A file of another length is another file: nothing is gained by reading it all.
        if file.metadata()?.len() == check.bytes { digest(&mut file, buffer, read).map(Some) } else { Ok(None) }
    });
    match digest {
        Ok(Some(sha256)) if sha256 == check.sha256 => Outcome::Right(check.bytes),
        Ok(_) => Outcome::Altered,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Outcome::Missing,
        Err(error) => Outcome::Unreadable(error.to_string()),
    }
}

fn digest(file: &mut File, buffer: &mut [u8], read: &mut impl FnMut(u64)) -> io::Result<String> {
    let mut sha256 = Sha256::new();
    loop {
        match file.read(buffer)? {
            0 => return Ok(line::hex(&sha256.finalize())),
            length => {
                sha256.update(&buffer[..length]);
                read(length as u64);
            }
        }
    }
}

impl Verification {
    /// Reads the journal and says what is wrong with it.
    fn journal(&mut self, root: &Folder) -> Result<Archive, RecordingError> {
        let mut archive = Archive { folder: self.folder.clone(), ..Archive::default() };
        let mut file = match root.open_path(journal::NAME) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.no_journal("is not there: copy the folder again, its audio alone is in segments/");
                return Ok(archive);
            }
            Err(error) => return Err(RecordingError::folder(root.path())(error)),
        };
        let mut numbers = Numbers::default();
        let mut is_first_right = false;
        let scanned = scan(&mut file, |entry| {
            is_first_right |= entry.seq == 1 && matches!(entry.fact, Fact::ShowStarted(_));
            numbers.next(entry.seq);
            archive.apply(entry.at, entry.fact);
        });
        let scanned = scanned.map_err(RecordingError::folder(root.path()))?;
        self.lines = scanned.entries;
        let torn = file.metadata().map_or(0, |metadata| metadata.len()).saturating_sub(scanned.good_bytes);
        for damage in scanned.damage.iter().take(MOST_TOLD) {
            self.fault(FaultKind::Line, journal::NAME, format!("at byte {}: {}", damage.offset, damage.error));
        }
        for (first, last) in numbers.lost.iter().take(MOST_TOLD) {
            let which = if first == last { format!("line {first} is") } else { format!("lines {first} to {last} are") };
            self.fault(FaultKind::LostLines, journal::NAME, format!("{which} not there"));
        }
        if numbers.again > 0 {
            let words = format!("{} numbers stand on several lines: two processes wrote it", numbers.again);
            self.fault(FaultKind::Line, journal::NAME, words);
        }
        if scanned.entries == 0 {
            self.no_journal("has no readable line: copy the folder again, its audio alone is in segments/");
            archive.checked(scanned).or_else(|error| match error {
                RecordingError::NoArchive(folder) => Ok(Archive { folder, ..Archive::default() }),
                error => Err(error),
            })
        } else {
            if !is_first_right && numbers.lost.is_empty() {
                self.fault(
                    FaultKind::LostLines,
                    journal::NAME,
                    "the first line is not the beginning of a show".to_owned(),
                );
            }
            if torn > 0 && self.written_by.is_none() {
                self.notes.push(format!("{torn} bytes of a torn last line, which a crash leaves, are passed over"));
            }
            archive.checked(scanned)
        }
    }

    fn no_journal(&mut self, what: &str) {
        self.fault(FaultKind::NoJournal, journal::NAME, what.to_owned());
    }

    fn settle(&mut self, check: &Check<'_>, outcome: Outcome) {
        match (&outcome, check.segment) {
            (Outcome::Right(bytes), segment) => {
                self.bytes += bytes;
                if segment.is_some() {
                    self.segments += 1
                } else {
                    self.files += 1
                }
                return;
            }
            (_, Some(segment)) => self.damaged.push(segment.clone()),
            (Outcome::Missing, None) if check.keeper == Keeper::Operator => return,
            (Outcome::Missing, None) if check.keeper == Keeper::Made => {
                return self.notes.push(format!("{} is gone; it can be made again", check.file));
            }
            (Outcome::Altered, None) if check.keeper == Keeper::Operator => {
                return self.notes.push(format!("{} was altered since it was exported", check.file));
            }
            _ => {}
        }
        let (kind, words) = match outcome {
            Outcome::Missing => (FaultKind::Missing, "is missing".to_owned()),
            Outcome::Unreadable(error) => (FaultKind::Unreadable, format!("cannot be read: {error}")),
            _ => (FaultKind::Altered, "was altered".to_owned()),
        };
        self.fault(kind, check.file, words);
    }

    /// Finds what lies in the folder and is not listed, and streams that are not there.
    fn look_around(&mut self, root: &Folder, archive: &Archive) -> io::Result<()> {
        let captures = archive.sessions.iter().flat_map(|session| &session.captures).map(|capture| &capture.file);
        // Those that ended have a checksum.
        let stems = archive.sessions.iter().flat_map(|session| &session.stems).filter(|stem| stem.end.is_none());
        for file in captures.chain(stems.map(|stem| &stem.start.file)) {
            if root.open_path(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                self.fault(FaultKind::Missing, file, "is missing".to_owned());
            }
        }
        let mut half_made = 0;
        for item in inventory::items(root, archive)? {
            match item.owner {
                Owner::HalfMade => half_made += 1,
                Owner::Unlisted | Owner::Foreign if item.kind != Kind::Folder && self.extra.len() < MOST_TOLD => {
                    self.extra.push(item.path);
                }
                _ => {}
            }
        }
        if half_made > 0 {
            self.notes.push(format!("{half_made} half-made hidden files, which a crash leaves, may be deleted"));
        }
        Ok(())
    }

    fn fault(&mut self, kind: FaultKind, file: &str, words: String) {
        self.faults.push(Fault { kind, file: file.to_owned(), words });
    }
}

/// Follows the numbers of the lines.
#[derive(Default)]
struct Numbers {
    last: u64,
    lost: Vec<(u64, u64)>,
    again: u64,
}

impl Numbers {
    fn next(&mut self, seq: u64) {
        if seq <= self.last {
            self.again += 1;
            return;
        }
        if seq > self.last + 1 && self.lost.len() < MOST_TOLD {
            self.lost.push((self.last + 1, seq - 1));
        }
        self.last = seq;
    }
}

impl Verification {
    /// One sentence that says whether the archive is whole.
    pub fn sentence(&self) -> String {
        let lost = if self.gaps.is_empty() {
            "nothing is missing of its audio".to_owned()
        } else {
            let seconds = self.gaps.iter().fold(0.0, |sum, gap| sum + gap.end_seconds - gap.start_seconds);
            let gaps = if self.gaps.len() == 1 { "1 gap".to_owned() } else { format!("{} gaps", self.gaps.len()) };
            format!("{seconds:.1} s of audio are missing in {gaps}")
        };
        if self.whole {
            return format!(
                "whole: {} lines and {} files are as they were; {lost}",
                self.lines,
                self.segments + self.files
            );
        }
        let count = |kinds: &[FaultKind]| self.faults.iter().filter(|fault| kinds.contains(&fault.kind)).count();
        let parts = [
            (count(&[FaultKind::Line, FaultKind::LostLines]), "fault", "in its journal"),
            (count(&[FaultKind::Missing]), "file", "missing"),
            (count(&[FaultKind::Altered]), "file", "altered"),
            (count(&[FaultKind::Unreadable]), "file", "unreadable"),
        ];
        let told = parts.iter().filter(|(number, ..)| *number > 0).map(|(number, thing, what)| {
            let plural = if *number == 1 { "" } else { "s" };
            format!("{number} {thing}{plural} {what}")
        });
        let no_journal = (count(&[FaultKind::NoJournal]) > 0).then(|| "no journal".to_owned());
        let told = no_journal.into_iter().chain(told);
        format!("NOT whole: {}", told.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
