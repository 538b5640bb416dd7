//! A speaker's packets out of their file, each with its place on media time.

use std::fs::File;
use std::io::{self, BufReader};

use bytes::Bytes;
use ogg::{OggReadError, PacketReader};

use crate::media::opus;
use crate::recording::folder::Folder;

/// Pages that cannot be used, until the rest is given up.
const MOST_DAMAGE: u32 = 1000;

/// A packet and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPacket {
    /// Media time of its first sample.
    pub media_time: i64,
    /// Duration in 48 kHz samples.
    pub samples: u32,
    /// The packet as received.
    pub data: Bytes,
}

/// Reads one file from its beginning. What is torn or altered is passed over and counted.
pub struct StemReader {
    pages: PacketReader<BufReader<File>>,
    damage: u32,
}

impl std::fmt::Debug for StemReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StemReader").field("damage", &self.damage).finish_non_exhaustive()
    }
}

impl StemReader {
    /// Opens the file at `path` inside an archive.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(archive: &Folder, path: &str) -> io::Result<Self> {
        Ok(Self { pages: PacketReader::new(BufReader::new(archive.open_path(path)?)), damage: 0 })
    }

    /// Pages so far that could not be used.
    pub fn damage(&self) -> u32 {
        self.damage
    }
}

impl Iterator for StemReader {
    type Item = PlacedPacket;

    fn next(&mut self) -> Option<PlacedPacket> {
        while self.damage < MOST_DAMAGE {
            let packet = match self.pages.read_packet() {
                Ok(packet) => packet?,
                Err(OggReadError::ReadError(_)) => return None,
                Err(_) => {
                    self.damage += 1;
                    continue;
                }
            };
            if packet.data.starts_with(b"OpusHead") || packet.data.starts_with(b"OpusTags") {
                continue;
            }
            let placed = opus::duration(&packet.data).and_then(|samples| {
                let media_time = i64::try_from(packet.absgp_page()).ok()?.checked_sub(i64::from(samples))?;
                Some(PlacedPacket { media_time, samples, data: packet.data.into() })
            });
            match placed {
                Some(placed) => return Some(placed),
                None => self.damage += 1,
            }
        }
        None
    }
}
