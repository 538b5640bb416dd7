//! One speaker's file: an Ogg Opus stream that grows packet by packet.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use sha2::{Digest as _, Sha256};

use super::budget::Budget;
use crate::media::SAMPLE_RATE;
use crate::recording::folder::Folder;
use crate::recording::line::hex;

/// A killed process loses nothing without this; a power cut loses at most so much.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// Timestamps closer to the end of the packet before than this continue it: they are rounded.
const JOINT: i64 = 60;

/// The one stream of a file.
const SERIAL: u32 = 1;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is in the file; bytes that the file grew by.
    Whole(u64),
    /// Its time is over: it is there already.
    Twice,
    /// More than a speaker may send.
    Flood,
}

/// An open file.
pub(super) struct StemFile {
    file: File,
    /// Path inside the archive.
    path: String,
    /// Makes pages; what it made and is not in the file yet waits inside.
    pages: PacketWriter<'static, Vec<u8>>,
    good: u64,
    sha256: Sha256,
    packets: u64,
    end: i64,
    budget: Budget,
    synced: Instant,
}

impl std::fmt::Debug for StemFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StemFile").field("path", &self.path).field("packets", &self.packets).finish_non_exhaustive()
    }
}

impl StemFile {
    /// Makes the next file for `speaker`, who has `count` already, whose first packet is heard at `media_time`.
    pub(super) fn create(folder: &Folder, prefix: &str, speaker: &str, count: usize, now: Instant) -> io::Result<Self> {
        for number in count + 1.. {
            let name = format!("{speaker}-{number:04}.opus");
            let file = match folder.create_file(&name) {
                // A crash between the file and its journal line left it; it is not ours to overwrite.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let mut pages = PacketWriter::new(Vec::new());
            pages.write_packet(head(), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
            pages.write_packet(tags(), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
            let path = format!("{prefix}/{name}");
            let (good, sha256, budget) = (0, Sha256::new(), Budget::new(now));
            return Ok(Self { file, path, pages, good, sha256, packets: 0, end: 0, budget, synced: now });
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Appends a packet; all of it, or nothing if it fails: then it may be called again with the same.
    pub(super) fn append(&mut self, media_time: i64, samples: u32, data: &[u8], now: Instant) -> io::Result<Kept> {
        let start = if media_time.abs_diff(self.end) <= JOINT.unsigned_abs() { self.end } else { media_time };
        let end = start.saturating_add(i64::from(samples));
        if start < 0 || (self.packets > 0 && end <= self.end) {
            // What could not be written the last time still waits.
            let grown = self.flush()?;
            return Ok(if grown > 0 { Kept::Whole(grown) } else { Kept::Twice });
        }
        if !self.budget.take(data.len() + 28, now) {
            return Ok(Kept::Flood);
        }
        self.pages.write_packet(data.to_vec(), SERIAL, PacketWriteEndInfo::EndPage, end.unsigned_abs())?;
        self.end = end;
        self.packets += 1;
        let grown = self.flush()?;
        self.sync_at_times(now);
        Ok(Kept::Whole(grown))
    }

    /// Writes the pages that wait; their bytes.
    fn flush(&mut self) -> io::Result<u64> {
        let waiting = self.pages.inner_mut();
        if let Err(error) = self.file.write_all(waiting) {
            self.file.set_len(self.good)?;
            return Err(error);
        }
        self.sha256.update(&*waiting);
        let grown = waiting.len() as u64;
        waiting.clear();
        self.good += grown;
        Ok(grown)
    }

    fn sync_at_times(&mut self, now: Instant) {
        if now.saturating_duration_since(self.synced) > SYNC_INTERVAL {
            self.synced = now;
            // The page is in the file: an error here must not have it written twice. The next write meets it too.
            if let Err(error) = self.file.sync_data() {
                tracing::warn!(%error, "A speaker's file could not be synced to the disk.");
            }
        }
    }

    /// Puts everything on the disk.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn bytes(&self) -> u64 {
        self.good
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Media time behind the last packet.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// SHA-256 of what is in the file.
    pub(super) fn sha256(&self) -> String {
        hex(&self.sha256.clone().finalize())
    }
}

/// The identification header (RFC 7845 §5.1): two channels, into which any packet decodes; nothing to skip, since what
/// the far end's encoder put in front of the sound is in the mix as well; no gain, and the plain channel mapping.
fn head() -> Vec<u8> {
    let mut head = b"OpusHead".to_vec();
    head.extend([1, 2]);
    head.extend(0_u16.to_le_bytes());
    head.extend(SAMPLE_RATE.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// The comment header (RFC 7845 §5.2), without a comment: names change, and the journal knows them.
fn tags() -> Vec<u8> {
    let vendor = crate::recording::store::program();
    let mut tags = b"OpusTags".to_vec();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor.bytes());
    tags.extend(0_u32.to_le_bytes());
    tags
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ogg::PacketReader;

    use super::*;

    fn read(bytes: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        let mut reader = PacketReader::new(Cursor::new(bytes));
        let mut packets = Vec::new();
        while let Ok(Some(packet)) = reader.read_packet() {
            packets.push((packet.absgp_page(), packet.data));
        }
        packets
    }

    fn stem(temp: &tempfile::TempDir) -> StemFile {
        let folder = Folder::open(temp.path()).expect("a folder");
        StemFile::create(&folder, "stems/s", "ann", 0, Instant::now()).expect("a file")
    }

    #[test]
    fn every_packet_keeps_its_time_over_losses_rounding_and_repeats() {
        let temp = tempfile::tempdir().expect("a folder");
        let (mut stem, now) = (stem(&temp), Instant::now());
        let packet = |n: u8| vec![0xf8, n];
        let table = [
            (1000, Some(1960), "the first"),
            (1961, Some(2920), "rounding is no gap"),
            (2919, Some(3880), "nor an overlap"),
            (4840, Some(5800), "a lost packet is a jump"),
            (4840, None, "the same once more"),
            (3000, None, "older than what is there"),
            (5300, Some(6260), "one that overlaps is kept where it says"),
            (480_000, Some(480_960), "silence for a while"),
            (-5000, None, "before the beginning of time"),
        ];
        for (at, (media_time, kept, what)) in table.into_iter().enumerate() {
            let found = stem.append(media_time, 960, &packet(at as u8), now).expect("a write");
            assert_eq!(matches!(found, Kept::Whole(_)), kept.is_some(), "{what}");
        }
        let packets = read(std::fs::read(temp.path().join("ann-0001.opus")).expect("a file"));
        assert!(packets[0].1.starts_with(b"OpusHead") && packets[1].1.starts_with(b"OpusTags"));
        let wanted: Vec<(u64, Vec<u8>)> =
            table.into_iter().enumerate().filter_map(|(at, (_, end, _))| Some((end?, packet(at as u8)))).collect();
        assert_eq!(packets[2..], wanted[..]);
    }

    #[test]
    fn a_torn_page_takes_nothing_with_it() {
        let temp = tempfile::tempdir().expect("a folder");
        let (mut stem, now) = (stem(&temp), Instant::now());
        let mut ends = Vec::new();
        for n in 0..5 {
            stem.append(960 * n, 960, &[7; 60], now).expect("a write");
            ends.push(stem.bytes() as usize);
        }
        let bytes = std::fs::read(temp.path().join("ann-0001.opus")).expect("a file");
        assert_eq!(bytes.len() as u64, stem.bytes());
        assert_eq!(stem.sha256(), crate::recording::sha256_hex(&bytes));
        for cut in ends[0]..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(read(bytes[..cut].to_vec()).len(), 2 + whole, "cut at {cut}");
        }
    }
}
