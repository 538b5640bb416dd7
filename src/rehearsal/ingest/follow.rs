//! Judges what another server records as FLV, while it is being written or afterwards, in bounded memory and disk.
//!
//! A recording of nginx-rtmp holds the very messages that came, so the same judge looks at it as at a stand-in's
//! connection. It only reads; but what was read can be given back to the disk, for shows that last for hours.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;

use super::inspect::Inspector;
use super::report::ConnectionReport;
use crate::clock::Clock;

/// The file's header, and the size before the first tag.
const HEADER: u64 = 9 + 4;
/// A tag's own header, and the size behind its body.
const TAG: usize = 11;
const BEHIND: usize = 4;
/// Bytes read at once: some seconds of stream.
const PIECE: usize = 1 << 20;
/// Frames that are judged at a time where a whole file is there: the ear is given time to follow.
const AT_ONCE: usize = 2000;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;

/// Follows one recording.
#[derive(Debug)]
pub struct Follower {
    file: File,
    inspector: Inspector,
    /// Where the next tag begins.
    at: u64,
    clock: Clock,
    opened: Instant,
    /// When the last frame was read, in Unix ms.
    last_ms: i64,
    /// Whether timestamps stand for the time of arrival, which a file that is read later does not tell.
    is_live: bool,
}

impl Follower {
    /// Follows a recording that is being written. Its first frame's time is that at which it is read first.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn live(path: &Path, clock: Clock) -> io::Result<Self> {
        Self::open(path, clock, true)
    }

    /// Reads a recording that is complete.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn complete(path: &Path, clock: Clock) -> io::Result<Self> {
        Self::open(path, clock, false)
    }

    fn open(path: &Path, clock: Clock, is_live: bool) -> io::Result<Self> {
        let file = File::options().read(true).write(is_live).open(path)?;
        let now_ms = clock.wall().as_millisecond();
        let opened = clock.now();
        let mut inspector = Inspector::new(now_ms);
        // A recording need not hold the metadata that came first (nginx-rtmp's does not): that is not judged by it.
        inspector.data(b"onMetaData");
        Ok(Self { file, inspector, at: HEADER, clock, opened, last_ms: now_ms, is_live })
    }

    /// Judges what has come since; how many frames that were.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn poll(&mut self) -> io::Result<usize> {
        let mut frames = 0;
        let mut piece = vec![0; PIECE];
        while frames < AT_ONCE {
            let length = self.file.read_at(&mut piece, self.at)?;
            let (used, found) = self.tags(&Bytes::copy_from_slice(&piece[..length]));
            frames += found;
            self.at += used as u64;
            if used == 0 {
                break;
            }
        }
        if frames > 0 {
            self.last_ms = self.clock.wall().as_millisecond();
        }
        Ok(frames)
    }

    /// Gives the disk back what was judged. Only file systems with holes can do it.
    ///
    /// # Errors
    /// When this one cannot.
    pub fn forget(&self) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // The server may still look at the file's beginning.
        let from = 4096;
        let length = self.at.saturating_sub(from);
        if length == 0 { Ok(()) } else { Ok(fallocate(&self.file, flags, from, length)?) }
    }

    /// The report of a connection that still lives.
    pub fn so_far(&self) -> ConnectionReport {
        self.inspector.so_far()
    }

    /// The report of a connection that is over. Blocks for a moment.
    ///
    /// # Errors
    /// When the rest cannot be read.
    pub fn finish(mut self) -> io::Result<ConnectionReport> {
        while self.poll()? > 0 {}
        Ok(self.inspector.finish(self.last_ms, true))
    }

    /// Judges whole tags; how many bytes and frames they were.
    fn tags(&mut self, bytes: &Bytes) -> (usize, usize) {
        let (mut used, mut frames) = (0, 0);
        while let [kind, a, b, c, t1, t2, t3, t0, ..] = bytes[used..] {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let end = used + TAG + length;
            if bytes.len() < end + BEHIND {
                break;
            }
            let body = bytes.slice(used + TAG..end);
            let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
            let since = self.clock.now().saturating_duration_since(self.opened);
            let arrival = if self.is_live { since.as_secs_f64() * 1000.0 } else { f64::from(timestamp) };
            match kind {
                AUDIO => self.inspector.audio(timestamp, &body, arrival),
                VIDEO => self.inspector.video(timestamp, &body, arrival),
                DATA => self.inspector.data(&body),
                _ => {}
            }
            frames += 1;
            used = end + BEHIND;
        }
        (used, frames)
    }
}
