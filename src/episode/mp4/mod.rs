//! An MP4 file that is being written: encoded frames in, tables in memory, no frame held.
//!
//! The index comes last while the file is being made, so that tags and chapters cost nothing to put in; then
//! [`faststart`] moves it to the front. Owns the container and knows neither shows nor recordings.

mod boxes;
pub mod faststart;

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

use bytes::Bytes;

use crate::media::{AAC_FRAME_SAMPLES, VideoFormat};
use crate::recording::adts::AacConfig;

/// Bytes on their way to the system at once.
const BUFFER: usize = 1 << 20;

/// `mdat` with a size of 64 bits, which is known at the end.
const DATA_HEADER: u64 = 16;

/// What a track holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// AAC, each frame 1024 samples.
    Audio(AacConfig),
    /// H.264 without B-frames at a constant rate.
    Video {
        /// Size and rate.
        format: VideoFormat,
        /// The AVCDecoderConfigurationRecord of ISO/IEC 14496-15.
        codec_data: Bytes,
    },
}

impl Kind {
    /// Units of time in a second, and those that a frame lasts.
    fn times(&self) -> (u32, u32) {
        /// What video is counted in: every usual rate divides it.
        const VIDEO_CLOCK: u32 = 90_000;
        match self {
            Self::Audio(config) => (config.sample_rate, AAC_FRAME_SAMPLES as u32),
            Self::Video { format, .. } => (VIDEO_CLOCK, VIDEO_CLOCK / format.fps.max(1)),
        }
    }
}

/// Frames of one track that lie together in the file.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    offset: u64,
    frames: u32,
}

#[derive(Debug)]
struct Track {
    kind: Kind,
    sizes: Vec<u32>,
    /// Numbers, from 1, of frames that decoding can begin with; empty where it can with each.
    keys: Vec<u32>,
    chunks: Vec<Chunk>,
}

impl Track {
    /// Frames that last about a second: a player fetches no more than it needs.
    fn chunk_frames(&self) -> u32 {
        let (clock, delta) = self.kind.times();
        (clock / delta.max(1)).max(1)
    }

    fn seconds(&self) -> f64 {
        let (clock, delta) = self.kind.times();
        self.sizes.len() as f64 * f64::from(delta) / f64::from(clock.max(1))
    }
}

/// An MP4 file that is being written.
#[derive(Debug)]
pub struct Mp4Writer {
    file: BufWriter<File>,
    data_at: u64,
    position: u64,
    tracks: Vec<Track>,
    last: Option<usize>,
}

impl Mp4Writer {
    /// Starts a file with these tracks in an empty `file`, which can be read too.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(file: File, tracks: impl IntoIterator<Item = Kind>) -> io::Result<Self> {
        let tracks: Vec<Track> = tracks
            .into_iter()
            .map(|kind| Track { kind, sizes: Vec::new(), keys: Vec::new(), chunks: Vec::new() })
            .collect();
        let head = boxes::file_type(tracks.iter().any(|track| matches!(track.kind, Kind::Video { .. })))?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        file.write_all(&head)?;
        file.write_all(&data_header(0))?;
        let data_at = head.len() as u64;
        Ok(Self { file, data_at, position: data_at + DATA_HEADER, tracks, last: None })
    }

    /// Appends a frame to the track with that number; `key` says whether decoding can begin with it (sound always can).
    ///
    /// # Errors
    /// What the system says.
    pub fn push(&mut self, track: usize, frame: &[u8], key: bool) -> io::Result<()> {
        let follows = self.last == Some(track);
        let Some(into) = self.tracks.get_mut(track) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such track"));
        };
        let size = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let full = into.chunk_frames();
        self.file.write_all(frame)?;
        match into.chunks.last_mut() {
            Some(chunk) if follows && chunk.frames < full => chunk.frames += 1,
            _ => into.chunks.push(Chunk { offset: self.position, frames: 1 }),
        }
        into.sizes.push(size);
        if key && matches!(into.kind, Kind::Video { .. }) {
            into.keys.push(into.sizes.len() as u32);
        }
        self.position += u64::from(size);
        self.last = Some(track);
        Ok(())
    }

    /// Frames of the track so far.
    pub fn frames(&self, track: usize) -> u64 {
        self.tracks.get(track).map_or(0, |track| track.sizes.len() as u64)
    }

    /// Length of the track so far, in seconds.
    pub fn seconds(&self, track: usize) -> f64 {
        self.tracks.get(track).map_or(0.0, Track::seconds)
    }

    /// Writes the index behind the frames. The file can be played now; [`faststart::to_front`] makes it one that
    /// plays while it is being fetched.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self) -> io::Result<File> {
        let index = boxes::index(&self.tracks, self.position)?;
        self.file.write_all(&index)?;
        self.file.seek(SeekFrom::Start(self.data_at))?;
        self.file.write_all(&data_header(self.position - self.data_at))?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// The head of an `mdat` of `size` bytes with its head.
fn data_header(size: u64) -> Vec<u8> {
    [&1_u32.to_be_bytes()[..], b"mdat", &size.to_be_bytes()].concat()
}
