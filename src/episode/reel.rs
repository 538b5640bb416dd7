//! One pass over a session's AAC frames in the order of media time: silence where some are missing, none shifted, none
//! twice. What every finished and exported file is made from.
//!
//! Reads the archive and writes nothing. Knows no container. Memory holds one segment, whatever the length.

mod extent;
mod patch;
mod track;

use std::collections::VecDeque;

pub(super) use patch::{Half, Patch};

use extent::{captured, holds, samples};
use track::Track;

use bytes::Bytes;

use super::error::EpisodeError;
use super::place::Placing;
use crate::gst::remux::CapturedFrames;
use crate::media::SAMPLE_RATE;
use crate::recording::adts::{self, AacConfig};
use crate::recording::{Archive, CaptureArchive, Folder, SegmentFact, sha256_hex};

/// Timestamps of a captured stream are rounded to milliseconds: one frame off is no hole.
const CAPTURE_SLACK: u64 = 2;

/// Largest segment that is read: a space's has 37 kB.
const LARGEST_SEGMENT: u64 = 64 << 20;

/// An archive with thousands of altered segments says it a few times.
const ENOUGH_NOTES: usize = 50;

/// A piece of a session, in media time; what is none reaches to the session's own end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Frames that end at or before it are left out.
    pub start: Option<i64>,
    /// Frames that begin at or after it are left out.
    pub end: Option<i64>,
}

/// What comes next on a reel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReelEvent {
    /// Frames of one configuration follow without a hole: another file, or a decoder's new start.
    Part {
        /// What a decoder must know of them.
        config: AacConfig,
        /// Media time of the first one's first sample.
        origin: i64,
    },
    /// One access unit of 1024 samples, without a header; silent where audio is missing.
    Frame(Bytes),
    /// A captured stream of uncompressed sound, of which nothing else is on the reel.
    Pcm {
        /// Its path in the archive.
        file: String,
        /// Media time of its zero.
        origin: i64,
    },
    /// A captured stream that is no AAC and of which nothing is on the reel: its path in the archive.
    Foreign(String),
}

/// What went by since the newest [`ReelEvent::Part`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames, the silent ones among them.
    pub frames: u64,
    /// Silent frames in place of missing audio.
    pub filled: u64,
    /// Frames that were received twice and went by once.
    pub repeated: u64,
}

/// What waits to be handed out.
#[derive(Debug)]
enum Step {
    Part(AacConfig, i64),
    Frame(Bytes),
    Silence(Bytes, u64),
    Repeated,
    Pcm(String, i64),
    Foreign(String),
}

/// A captured stream on its way.
#[derive(Debug)]
struct Stream {
    file: String,
    /// Media time of its zero.
    zero: i64,
    frames: CapturedFrames,
    known: Option<(Bytes, AacConfig)>,
}

/// A session's frames, in order. See the module.
#[derive(Debug)]
pub struct Reel {
    folder: Folder,
    segments: std::vec::IntoIter<SegmentFact>,
    captures: std::vec::IntoIter<CaptureArchive>,
    stream: Option<Stream>,
    range: Range,
    span: (i64, i64),
    bytes: u64,
    track: Option<Track>,
    waiting: VecDeque<Step>,
    tally: Tally,
    notes: Vec<String>,
    patches: VecDeque<Patch>,
}

impl Reel {
    /// Opens `session` of an archive, or the piece of it in `range`, with what other sessions hold of what it lacks.
    ///
    /// # Errors
    /// When there is no such session, or the archive's folder cannot be opened.
    pub fn open(archive: &Archive, session: &str, range: Range) -> Result<Self, EpisodeError> {
        let mut reel = Self::alone(archive, session, range)?;
        reel.patches = patch::of(archive, session, range)?;
        Ok(reel)
    }

    /// The same with nothing of any other session.
    pub(super) fn alone(archive: &Archive, session: &str, range: Range) -> Result<Self, EpisodeError> {
        let found = archive.session(session).ok_or_else(|| EpisodeError::NoSession {
            name: session.to_owned(),
            known: archive.sessions.iter().map(|s| s.info.session.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let folder = Folder::open(&archive.folder)
            .map_err(EpisodeError::io(format!("the recording {} cannot be opened", archive.folder.display())))?;
        let within = |segment: &&SegmentFact| {
            range.start.is_none_or(|start| segment.end() > start)
                && range.end.is_none_or(|end| segment.media_time < end)
        };
        let mut segments: Vec<SegmentFact> = found.segments.iter().filter(within).cloned().collect();
        segments.sort_by_key(|segment| (segment.media_time, segment.sequence));
        let streams = captured(&found.captures);
        let first = segments.first().map_or(streams.0, |segment| segment.media_time);
        let last = segments.iter().map(SegmentFact::end).max().unwrap_or(streams.1);
        let captures = found.captures.clone();
        let length = |capture: &CaptureArchive| folder.open_path(&capture.file).and_then(|file| file.metadata());
        let streams = captures.iter().map(|capture| length(capture).map_or(0, |meta| meta.len()));
        Ok(Self {
            bytes: segments.iter().map(|s| s.bytes).chain(streams).fold(0, u64::saturating_add),
            span: (first.max(range.start.unwrap_or(first)), last.min(range.end.unwrap_or(last))),
            segments: segments.into_iter(),
            captures: captures.into_iter(),
            folder,
            stream: None,
            range,
            track: None,
            waiting: VecDeque::new(),
            tally: Tally::default(),
            notes: Vec::new(),
            patches: VecDeque::new(),
        })
    }

    /// Media time of the first sample and behind the last, as the journal says; of streams their length as far as it is
    /// known.
    pub fn span(&self) -> (i64, i64) {
        self.span
    }

    /// The piece that was asked for.
    pub(super) fn range(&self) -> Range {
        self.range
    }

    /// What lies in other sessions, in order; takes it. Frames of this reel are silent there.
    pub(super) fn take_patches(&mut self) -> VecDeque<Patch> {
        std::mem::take(&mut self.patches)
    }

    /// The archive's folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Bytes that are read, at most: no file that is copied from it becomes larger but by its silence and its index.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What went by since the newest part began.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What a person should know, so far; takes it.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Hands out what waits.
    fn pop(&mut self) -> Option<ReelEvent> {
        loop {
            match self.waiting.pop_front()? {
                Step::Repeated => self.tally.repeated += 1,
                Step::Silence(_, 0) => {}
                Step::Silence(frame, left) => {
                    self.tally.frames += 1;
                    self.tally.filled += 1;
                    self.waiting.push_front(Step::Silence(frame.clone(), left - 1));
                    return Some(ReelEvent::Frame(frame));
                }
                Step::Frame(frame) => {
                    self.tally.frames += 1;
                    return Some(ReelEvent::Frame(frame));
                }
                Step::Part(config, origin) => {
                    self.tally = Tally::default();
                    return Some(ReelEvent::Part { config, origin });
                }
                Step::Pcm(file, origin) => return Some(ReelEvent::Pcm { file, origin }),
                Step::Foreign(file) => return Some(ReelEvent::Foreign(file)),
            }
        }
    }

    /// Reads on. False at the end.
    fn advance(&mut self) -> Result<bool, EpisodeError> {
        if let Some(segment) = self.segments.next() {
            if let Some(bytes) = self.read(&segment) {
                self.segment(&segment, &bytes)?;
            }
            return Ok(true);
        }
        if let Some(mut stream) = self.stream.take() {
            if self.stream_frame(&mut stream)? {
                self.stream = Some(stream);
            }
            return Ok(true);
        }
        let Some(capture) = self.captures.next() else { return Ok(false) };
        self.track = None;
        self.open_stream(capture)?;
        Ok(true)
    }

    /// The segment's bytes as they were received; what is gone or altered is said, and used as far as it can be.
    fn read(&mut self, segment: &SegmentFact) -> Option<Bytes> {
        match self.folder.read(&segment.file, segment.bytes.saturating_add(1).min(LARGEST_SEGMENT)) {
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

    /// Puts one segment's frames at their place.
    fn segment(&mut self, segment: &SegmentFact, bytes: &Bytes) -> Result<(), EpisodeError> {
        let (mut left_out, mut config, mut index) = (0, None, 0_u64);
        for frame in adts::frames(bytes) {
            // The place of frames behind a change inside a segment follows from those before it.
            let at = segment.media_time.saturating_add(samples(index, frame.config));
            index += 1;
            // A repaired one may have got less room than it has frames: what was heard live is whole.
            let room = segment.end().saturating_sub(samples(1, frame.config) / 2);
            if !segment.origin.is_live() && at >= room {
                break;
            }
            if self.is_outside(at, frame.config) {
                continue;
            }
            if config != Some(frame.config) {
                left_out = self.seek(frame.config, at, 1)?;
                config = Some(frame.config);
            }
            if left_out > 0 {
                left_out -= 1;
                self.waiting.push_back(Step::Repeated);
            } else {
                self.push(bytes.slice_ref(frame.data));
            }
        }
        if index == 0 {
            self.note(format!("{} holds no AAC frame that could be used.", segment.file));
        }
        Ok(())
    }

    fn is_outside(&self, at: i64, config: AacConfig) -> bool {
        let end = at.saturating_add(samples(1, config));
        self.range.start.is_some_and(|start| end <= start) || self.range.end.is_some_and(|end| at >= end)
    }

    fn push(&mut self, frame: Bytes) {
        if let Some(track) = &mut self.track {
            track.frames += 1;
            self.waiting.push_back(Step::Frame(frame));
        }
    }

    /// Makes ready for frames of `config` at media time `at`: fills what is missing before them, or begins a part. How
    /// many of them went by already and are to be left out.
    fn seek(&mut self, config: AacConfig, at: i64, slack: u64) -> Result<u64, EpisodeError> {
        if let Some(track) = &mut self.track {
            let placing = (track.config == config).then(|| track.place(at, slack));
            match placing {
                Some(Placing::Fill(0)) => return Ok(0),
                // Only AAC-LC is encoded here: other kinds go on in a part of their own.
                Some(Placing::Fill(count)) if config.object_type == 2 => {
                    let silence = track.silence()?;
                    track.frames += count;
                    self.waiting.push_back(Step::Silence(silence, count));
                    return Ok(0);
                }
                Some(Placing::Drop(count)) => return Ok(count),
                _ => {}
            }
            let reason = if placing.is_some() { "a hole is too long to fill" } else { "the codec's settings change" };
            let seconds = at as f64 / f64::from(SAMPLE_RATE);
            self.note(format!("The finished audio goes on in another file at {seconds:.1} s: {reason}."));
        }
        self.track = Some(Track { config, origin: at, frames: 0, silent: None });
        self.waiting.push_back(Step::Part(config, at));
        Ok(0)
    }

    fn open_stream(&mut self, capture: CaptureArchive) -> Result<(), EpisodeError> {
        let length = self.folder.open_path(&capture.file).and_then(|file| file.metadata()).map_or(0, |m| m.len());
        if length == 0 {
            self.note(format!("{} is empty.", capture.file));
        } else if holds(&self.folder, &capture.file, b"A_AAC") {
            let frames = CapturedFrames::open(&self.folder.path().join(&capture.file))?;
            let zero = capture.media_time.unwrap_or(0);
            self.stream = Some(Stream { file: capture.file, zero, frames, known: None });
        } else if holds(&self.folder, &capture.file, b"A_PCM") {
            self.waiting.push_back(Step::Pcm(capture.file, capture.media_time.unwrap_or(0)));
        } else {
            self.waiting.push_back(Step::Foreign(capture.file));
        }
        Ok(())
    }

    /// Takes one frame of a captured stream. False at its end.
    fn stream_frame(&mut self, stream: &mut Stream) -> Result<bool, EpisodeError> {
        let Some(frame) = stream.frames.next().transpose()? else { return Ok(false) };
        let config = match &stream.known {
            Some((bytes, config)) if *bytes == frame.config => Some(*config),
            _ => AacConfig::from_specific_config(&frame.config),
        };
        let Some(config) = config else {
            if stream.known.is_none() {
                self.waiting.push_back(Step::Foreign(stream.file.clone()));
            } else {
                self.note(format!("{} goes on as another kind of AAC, which is left out.", stream.file));
            }
            return Ok(false);
        };
        stream.known = Some((frame.config, config));
        let at = (u128::from(frame.nanos) * u128::from(SAMPLE_RATE) / 1_000_000_000) as i64;
        let at = at.saturating_add(stream.zero);
        if !self.is_outside(at, config) {
            match self.seek(config, at, CAPTURE_SLACK)? {
                0 => self.push(frame.data),
                _ => self.waiting.push_back(Step::Repeated),
            }
        }
        Ok(true)
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < ENOUGH_NOTES {
            self.notes.push(text);
        }
    }
}

impl Iterator for Reel {
    type Item = Result<ReelEvent, EpisodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.pop() {
                return Some(Ok(event));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
