//! One voice's samples on an extent: its packets decoded, each at its place, silence where there is none.

use super::Extent;
use super::lay::Lay;
use crate::episode::error::EpisodeError;
use crate::gst::decode_opus::PacketDecoder;
use crate::media::StereoSample;
use crate::recording::{Folder, StemReader};

/// Packets that are decoded at once: about a second.
const PACKETS: usize = 64;

/// What a decoder must hear before the first sample that is wanted: 80 ms, after which it is itself (RFC 7845 §4.6).
const LEAD: i64 = 3840;

/// Blocks are stamped in nanoseconds.
const ROUNDING: u64 = 2;

/// A file on its way.
struct Open {
    reader: StemReader,
    decoder: PacketDecoder,
    /// Media time of the decoder's zero: its first packet's.
    zero: Option<i64>,
    /// Where the next block is expected, from that zero.
    next: u64,
}

/// See the module.
pub(super) struct Track<'a> {
    archive: &'a Folder,
    files: std::vec::IntoIter<String>,
    extent: Extent,
    lay: Lay,
    open: Option<Open>,
    over: bool,
    damage: u32,
    unreadable: u32,
}

impl<'a> Track<'a> {
    pub(super) fn new(archive: &'a Folder, files: Vec<String>, extent: Extent) -> Self {
        let lay = Lay::new(extent.length);
        Self { archive, files: files.into_iter(), extent, lay, open: None, over: false, damage: 0, unreadable: 0 }
    }

    /// What a person should know.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let damaged = (self.damage > 0).then(|| format!("{} pages were damaged; silence stands there.", self.damage));
        let gone = (self.unreadable > 0)
            .then(|| format!("{} files could not be read; silence stands there.", self.unreadable));
        damaged.into_iter().chain(gone)
    }

    /// Replaces `samples` by the next ones, none at times. False at the end.
    pub(super) fn next(&mut self, samples: &mut Vec<StereoSample>) -> Result<bool, EpisodeError> {
        samples.clear();
        if let Some(ready) = self.lay.next() {
            *samples = ready;
            return Ok(true);
        }
        if self.over {
            return Ok(false);
        }
        match self.open.take() {
            Some(open) => self.decode(open)?,
            None => self.open_next()?,
        }
        Ok(true)
    }

    fn open_next(&mut self) -> Result<(), EpisodeError> {
        let Some(file) = self.files.next() else {
            self.over = true;
            self.lay.end();
            return Ok(());
        };
        match StemReader::open(self.archive, &file) {
            Ok(reader) => self.open = Some(Open { reader, decoder: PacketDecoder::start()?, zero: None, next: 0 }),
            Err(error) => {
                tracing::warn!(%error, file, "A speaker's file cannot be read.");
                self.unreadable += 1;
            }
        }
        Ok(())
    }

    /// Decodes some packets of the open file.
    fn decode(&mut self, mut open: Open) -> Result<(), EpisodeError> {
        let (first, behind) =
            (self.extent.origin.saturating_sub(LEAD), self.extent.origin.saturating_add_unsigned(self.extent.length));
        let mut blocks = Vec::new();
        for _ in 0..PACKETS {
            let packet = open.reader.next().filter(|packet| packet.media_time < behind);
            let Some(packet) = packet else {
                self.damage += open.reader.damage();
                let (zero, next) = (open.zero, open.next);
                open.decoder.finish(&mut blocks)?;
                self.put(zero, next, blocks);
                return Ok(());
            };
            if packet.media_time + i64::from(packet.samples) <= first {
                continue;
            }
            let zero = *open.zero.get_or_insert(packet.media_time);
            let at = u64::try_from(packet.media_time.saturating_sub(zero)).unwrap_or(0);
            open.decoder.push(at, packet.samples, packet.data)?;
        }
        open.decoder.pull(&mut blocks);
        open.next = self.put(open.zero, open.next, blocks);
        self.open = Some(open);
        Ok(())
    }

    /// Lays blocks at their places; where the next one is expected.
    fn put(&mut self, zero: Option<i64>, mut next: u64, blocks: Vec<(u64, Vec<StereoSample>)>) -> u64 {
        let Some(zero) = zero else { return next };
        for (at, block) in blocks {
            let at = if at.abs_diff(next) <= ROUNDING { next } else { at };
            next = at + block.len() as u64;
            self.lay.put(zero.saturating_add_unsigned(at).saturating_sub(self.extent.origin), block);
        }
        next
    }
}
