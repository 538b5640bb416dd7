//! The files for posting: what was received, remuxed without re-encoding, one session after the other.
//!
//! Reads the archive and adds finished files beside it; what was recorded is never changed. A file has its final name
//! only when it is whole.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::adts::{self, AacConfig};
use super::error::RecordingError;
use super::facts::{EpisodeFact, SegmentFact};
use super::folder::{Folder, folder_name, is_plain};
use super::line::{hex, sha256_hex};
use super::reader::{Archive, CaptureArchive, SessionArchive};
use super::track::Track;
use crate::gst::remux::{captured_frames, remux_mka};
use crate::gst::{Cover, FileTags};

/// Largest cover that goes into a file.
const COVER_LIMIT: u64 = 10 << 20;

/// Index and headers of a finished file, at most: 3 hours have 500 000 frames of 8 bytes or so.
const OVERHEAD: u64 = 16 << 20;

/// Timestamps of a captured stream are rounded to milliseconds: one frame off is no hole.
const CAPTURE_SLACK: u64 = 2;

/// What stands in the finished files about them.
#[derive(Debug, Clone)]
pub struct EpisodeMeta {
    /// Title; the session's own where there is none.
    pub title: Option<String>,
    /// Host; the session's own where there is none.
    pub host: Option<String>,
    /// Time zone of the date.
    pub timezone: TimeZone,
    /// PNG or JPEG file with the front cover.
    pub cover: Option<PathBuf>,
}

impl Default for EpisodeMeta {
    fn default() -> Self {
        Self { title: None, host: None, timezone: TimeZone::UTC, cover: None }
    }
}

/// What finishing made.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// The files, in order.
    pub files: Vec<EpisodeFact>,
    /// What a person should know about them.
    pub notes: Vec<String>,
}

/// Makes the files of every session. A session that fails keeps no other from its files.
pub(super) fn finish(archive: &Archive, meta: &EpisodeMeta, min_free: u64) -> Result<Finished, RecordingError> {
    let folder = Folder::open(&archive.folder).map_err(RecordingError::folder(&archive.folder))?;
    let mut finished = Finished::default();
    let cover = meta.cover.as_deref().and_then(|path| load_cover(path, &mut finished.notes));
    let mut errors = Vec::new();
    for session in &archive.sessions {
        let mut job = Job::new(&folder, archive, session, meta, cover.clone(), &mut finished);
        if let Err(error) = job.run(min_free) {
            job.discard();
            errors.push(error);
        }
    }
    if finished.files.is_empty()
        && let Some(error) = errors.pop()
    {
        return Err(error);
    }
    finished.notes.extend(errors.iter().map(|error| format!("A file could not be made: {error}.")));
    Ok(finished)
}

/// One session's files.
struct Job<'a> {
    folder: &'a Folder,
    session: &'a SessionArchive,
    base: String,
    tags: FileTags,
    out: &'a mut Finished,
    /// Name of the file that is being written.
    name: Option<String>,
    made: Vec<String>,
}

impl<'a> Job<'a> {
    fn new(
        folder: &'a Folder,
        archive: &Archive,
        session: &'a SessionArchive,
        meta: &EpisodeMeta,
        cover: Option<Cover>,
        out: &'a mut Finished,
    ) -> Self {
        let info = &session.info;
        let show = if is_plain(&archive.show.show) { &archive.show.show } else { "show" };
        let base = format!("{show}-{}", folder_name(&info.session));
        let date = info.started_at.or(session.found_at).map(|at| at.to_zoned(meta.timezone.clone()).date());
        let tags = FileTags {
            title: meta.title.clone().or_else(|| info.title.clone()),
            artist: meta.host.clone().or_else(|| info.host.clone()),
            date: date.map(|date| (date.year().unsigned_abs(), date.month().unsigned_abs(), date.day().unsigned_abs())),
            cover,
        };
        Self { folder, session, base, tags, out, name: None, made: Vec::new() }
    }

    fn run(&mut self, min_free: u64) -> Result<(), RecordingError> {
        let mut segments: Vec<&SegmentFact> = self.session.segments.iter().collect();
        segments.sort_by_key(|segment| (segment.media_time, segment.sequence));
        self.check_room(segments.iter().map(|segment| segment.bytes).sum(), min_free)?;
        self.segments(&segments)?;
        for capture in &self.session.captures {
            let bytes = self.folder.open_path(&capture.file).and_then(|file| file.metadata()).map_or(0, |m| m.len());
            if bytes == 0 {
                self.note(format!("{} is empty.", capture.file));
                continue;
            }
            self.check_room(bytes, min_free)?;
            self.capture(capture)?;
        }
        Ok(())
    }

    /// A finished file needs its room twice for a moment: its index stands before the audio.
    fn check_room(&self, bytes: u64, min_free: u64) -> Result<(), RecordingError> {
        let free = self.folder.free_bytes().map_err(RecordingError::io("the free space is not known"))?;
        let needed = if bytes == 0 { 0 } else { bytes.saturating_mul(2).saturating_add(OVERHEAD) };
        if needed > 0 && free < needed.saturating_add(min_free) {
            return Err(RecordingError::NoRoom { needed, free });
        }
        Ok(())
    }

    fn segments(&mut self, segments: &[&SegmentFact]) -> Result<(), RecordingError> {
        let mut track = None;
        for segment in segments {
            let Some(bytes) = self.read(segment) else { continue };
            track = self.segment(track, segment, &bytes)?;
        }
        self.close(track)
    }

    /// Puts one segment's frames at their place. Goes on in a new file where the codec changes or a hole is too long.
    fn segment(
        &mut self,
        mut track: Option<Track>,
        segment: &SegmentFact,
        bytes: &Bytes,
    ) -> Result<Option<Track>, RecordingError> {
        let (mut left_out, mut config, mut index) = (0, None, 0_u64);
        for frame in adts::frames(bytes) {
            if config != Some(frame.config) {
                // The place of frames behind a change inside a segment follows from those before it.
                let offset = index as i64 * 1024 * 48_000 / i64::from(frame.config.sample_rate);
                let at = segment.media_time.saturating_add(offset);
                (track, left_out) = self.track_for(track, frame.config, at, 1)?;
                config = Some(frame.config);
            }
            index += 1;
            if left_out > 0 {
                left_out -= 1;
            } else if let Some(track) = &mut track {
                track.push(bytes.slice_ref(frame.data))?;
            }
        }
        if index == 0 {
            self.note(format!("{} holds no AAC frame that could be used.", segment.file));
        }
        Ok(track)
    }

    /// The file for frames of `config` at media time `at`, and how many of them are in it already.
    fn track_for(
        &mut self,
        track: Option<Track>,
        config: AacConfig,
        at: i64,
        slack: u64,
    ) -> Result<(Option<Track>, u64), RecordingError> {
        if let Some(mut track) = track {
            if track.config == config
                && let Some(left_out) = track.seek(at.saturating_sub(track.origin), slack)?
            {
                return Ok((Some(track), left_out));
            }
            let reason =
                if track.config == config { "a hole is too long to fill" } else { "the codec's settings change" };
            self.note(format!(
                "The finished audio goes on in another file at {:.1} s: {reason}.",
                at as f64 / 48_000.0
            ));
            self.close(Some(track))?;
        }
        let name = self.next_name("m4a")?;
        let path = |name: String| self.folder.path().join(name);
        let track = Track::start(path(part(&name)), path(scratch(&name)), config, at, &self.tags)?;
        Ok((Some(track), 0))
    }

    /// The segment's bytes as they were received; what is gone or altered is said, and used as far as it can be.
    fn read(&mut self, segment: &SegmentFact) -> Option<Bytes> {
        match self.folder.read(&segment.file, segment.bytes.saturating_add(1)) {
            Ok(bytes) => {
                if sha256_hex(&bytes) != segment.sha256 {
                    self.note(format!("{} was altered since it was recorded.", segment.file));
                }
                Some(Bytes::from(bytes))
            }
            Err(error) => {
                self.note(format!("{} cannot be read ({error}); silence stands in its place.", segment.file));
                None
            }
        }
    }

    /// AAC goes into an `.m4a` as segments do, anything else into a whole Matroska file.
    fn capture(&mut self, capture: &CaptureArchive) -> Result<(), RecordingError> {
        let from = self.folder.path().join(&capture.file);
        if holds_aac(self.folder, &capture.file) && self.aac_capture(&from)? {
            return Ok(());
        }
        let name = self.next_name("mka")?;
        if self.tags.cover.is_some() {
            self.note(format!("{name} has no cover: this GStreamer cannot put one into a Matroska file."));
        }
        remux_mka(&from, &self.folder.path().join(part(&name)), &self.tags)?;
        let seconds = capture.seconds.unwrap_or(0.0);
        self.publish(EpisodeFact { seconds, ..EpisodeFact::default() })
    }

    /// False when the stream is a kind of AAC that is left in Matroska.
    fn aac_capture(&mut self, from: &Path) -> Result<bool, RecordingError> {
        let (mut track, mut known): (Option<Track>, Option<(Bytes, AacConfig)>) = (None, None);
        let mut foreign = false;
        let read = captured_frames(from, |frame| {
            let config = match &known {
                Some((bytes, config)) if *bytes == frame.config => Some(*config),
                _ => AacConfig::from_specific_config(&frame.config),
            };
            let Some(config) = config else {
                foreign = true;
                return Err(RecordingError::Closed);
            };
            known = Some((frame.config, config));
            let at = (u128::from(frame.nanos) * 48_000 / 1_000_000_000) as i64;
            let (next, left_out) = self.track_for(track.take(), config, at, CAPTURE_SLACK)?;
            track = next;
            match &mut track {
                Some(track) if left_out == 0 => Ok(track.push(frame.data)?),
                _ => Ok(()),
            }
        });
        if foreign && track.is_none() {
            return Ok(false);
        }
        if !foreign {
            read?;
        }
        self.close(track).map(|()| true)
    }

    fn close(&mut self, track: Option<Track>) -> Result<(), RecordingError> {
        let Some(track) = track else { return Ok(()) };
        let episode = EpisodeFact {
            media_time: track.origin,
            seconds: track.seconds(),
            filled_seconds: track.filled_seconds(),
            ..EpisodeFact::default()
        };
        let repeated = track.repeated();
        track.finish()?;
        if repeated > 0 {
            self.note(format!("{repeated} frames that were received twice are in the finished file once."));
        }
        self.publish(episode)
    }

    /// Gives the file that was written its final name.
    fn publish(&mut self, episode: EpisodeFact) -> Result<(), RecordingError> {
        let Some(name) = self.name.take() else { return Ok(()) };
        let failed = || RecordingError::io(format!("the finished file {name} could not be put in its place"));
        let (bytes, sha256) = digest(self.folder, &part(&name)).map_err(failed())?;
        self.folder.rename(&part(&name), &name).map_err(failed())?;
        self.folder.remove(&scratch(&name)).map_err(failed())?;
        let session = self.session.info.session.clone();
        self.out.files.push(EpisodeFact { session, file: name, bytes, sha256, ..episode });
        Ok(())
    }

    /// Removes what a failed run left.
    fn discard(&mut self) {
        for name in self.name.take().iter().flat_map(|name| [part(name), scratch(name)]) {
            if let Err(error) = self.folder.remove(&name) {
                tracing::warn!(%error, "A half-made file could not be removed.");
            }
        }
    }

    /// The next file's name: `show-session.m4a`, then `show-session-2.m4a`. What a crash left of it is removed.
    fn next_name(&mut self, extension: &str) -> Result<String, RecordingError> {
        let taken = self.made.iter().filter(|name| name.ends_with(extension)).count();
        let suffix = if taken == 0 { String::new() } else { format!("-{}", taken + 1) };
        let name = format!("{}{suffix}.{extension}", self.base);
        for left in [part(&name), scratch(&name)] {
            self.folder.remove(&left).map_err(RecordingError::io("an old half-made file could not be removed"))?;
        }
        self.made.push(name.clone());
        self.name = Some(name.clone());
        Ok(name)
    }

    fn note(&mut self, text: String) {
        // An archive with thousands of altered segments says it a few times.
        const ENOUGH: usize = 50;
        if self.out.notes.len() < ENOUGH {
            self.out.notes.push(text);
        }
    }
}

fn part(name: &str) -> String {
    format!(".{name}.part")
}

fn scratch(name: &str) -> String {
    format!(".{name}.scratch")
}

/// Length and SHA-256 of a file, which is on the disk when this returns.
fn digest(folder: &Folder, name: &str) -> io::Result<(u64, String)> {
    let mut file = folder.open_path(name)?;
    file.sync_all()?;
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((length, hex(&hash.finalize()))),
            count => {
                hash.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}

/// Whether the stream's header names AAC as its codec.
fn holds_aac(folder: &Folder, file: &str) -> bool {
    const HEADER: u64 = 64 << 10;
    let Ok(bytes) = folder.read(file, HEADER) else { return false };
    bytes.windows(5).any(|window| window == b"A_AAC")
}

fn load_cover(path: &Path, notes: &mut Vec<String>) -> Option<Cover> {
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
