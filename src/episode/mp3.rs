//! An MP3 file: its tag, its index, its frames.
//!
//! The index is the `Info` frame that LAME puts before its own: how many frames follow, where each hundredth of the
//! file is, and how many samples at either end are none of the episode's, so that players show the right length, seek to the
//! right place and begin with the first sample (the "MP3 Info Tag" of gabriel.mp3-tech.org, revision 1).

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

/// Bytes on their way to the system at once.
const BUFFER: usize = 1 << 20;

/// Samples that LAME puts before the first one; decoders add 529 of their own, and know that.
const ENCODER_DELAY: u64 = 576;

/// `Info`, flags, counts, table, quality, and what LAME added.
const INDEX_BYTES: usize = 156;

const FLAGS: u32 = 0b1111;

/// The first frame's header, as far as an index must know it (ISO/IEC 11172-3, 2.4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    bytes: [u8; 4],
    is_mpeg1: bool,
    is_mono: bool,
    rate: u32,
}

impl Header {
    fn read(frame: &[u8]) -> Option<Self> {
        const RATES: [u32; 3] = [44_100, 48_000, 32_000];
        let bytes: [u8; 4] = frame.get(..4)?.try_into().ok()?;
        let is_layer3 = bytes[0] == 0xFF && bytes[1] & 0xE6 == 0xE2;
        let divisor = match bytes[1] >> 3 & 3 {
            3 => 1,
            2 => 2,
            _ => 4,
        };
        let rate = RATES.get(usize::from(bytes[2] >> 2 & 3))? / divisor;
        let header = Self { bytes, is_mpeg1: divisor == 1, is_mono: bytes[3] >> 6 == 3, rate };
        is_layer3.then_some(header)
    }

    fn frame_samples(self) -> u64 {
        if self.is_mpeg1 { 1152 } else { 576 }
    }

    fn side_info(self) -> usize {
        match (self.is_mpeg1, self.is_mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        }
    }

    /// The header of a frame without a checksum that is large enough for an index, and that frame's length.
    fn for_index(self) -> ([u8; 4], usize) {
        const KBPS_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const KBPS_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let table = if self.is_mpeg1 { KBPS_1 } else { KBPS_2 };
        let own = usize::from(self.bytes[2] >> 4);
        let length = |kbps: u32| (self.frame_samples() as u32 / 8 * kbps * 1000 / self.rate) as usize;
        let fits = |index: &usize| length(table[*index]) >= 4 + self.side_info() + INDEX_BYTES;
        let index = (own.clamp(1, 14)..15).find(fits).unwrap_or(14);
        let mut bytes = self.bytes;
        bytes[1] |= 1;
        bytes[2] = (index as u8) << 4 | bytes[2] & 0x0C;
        (bytes, length(table[index]))
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Mp3File {
    file: BufWriter<File>,
    tag: u64,
    header: Option<Header>,
    frames: u64,
    bytes: u64,
    checksum: u16,
}

impl Mp3File {
    /// Starts one in an empty `file` with its ID3 tag.
    pub(super) fn start(file: File, tag: &[u8]) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER, file);
        file.write_all(tag)?;
        Ok(Self { file, tag: tag.len() as u64, header: None, frames: 0, bytes: 0, checksum: 0 })
    }

    /// Appends a frame.
    pub(super) fn push(&mut self, frame: &[u8]) -> io::Result<()> {
        let no_frame = || io::Error::new(io::ErrorKind::InvalidData, "the encoder gave something that is no MP3 frame");
        if self.header.is_none() {
            let header = Header::read(frame).ok_or_else(no_frame)?;
            self.header = Some(header);
            self.file.write_all(&vec![0; header.for_index().1])?;
        }
        self.file.write_all(frame)?;
        self.frames += 1;
        self.bytes += frame.len() as u64;
        self.checksum = crc(self.checksum, frame);
        Ok(())
    }

    /// Writes the index of a file with `samples` of 48 000 a second.
    pub(super) fn finish(mut self, samples: u64) -> io::Result<()> {
        let Some(header) = self.header else { return self.file.flush() };
        let index = self.index(header, samples);
        self.file.seek(SeekFrom::Start(self.tag))?;
        self.file.write_all(&index)?;
        self.file.flush()
    }

    fn index(&self, header: Header, samples: u64) -> Vec<u8> {
        let (head, length) = header.for_index();
        let own = samples * u64::from(header.rate) / 48_000;
        let padding = (self.frames * header.frame_samples()).saturating_sub(own + ENCODER_DELAY).min(0xFFF);
        let whole = u32::try_from(self.bytes + length as u64).unwrap_or(u32::MAX);
        let mut index = vec![0; 4 + header.side_info()];
        index[..4].copy_from_slice(&head);
        index.extend_from_slice(b"Info");
        for number in [FLAGS, u32::try_from(self.frames).unwrap_or(u32::MAX), whole] {
            index.extend_from_slice(&number.to_be_bytes());
        }
        // At a constant rate each hundredth has as many bytes.
        index.extend((0..100_u32).map(|percent| (percent * 256 / 100) as u8));
        index.extend_from_slice(&0_u32.to_be_bytes());
        index.extend_from_slice(b"LAME3.100");
        // Revision 0, constant rate; then low-pass, peak, gains and flags that are not known.
        index.push(1);
        index.extend_from_slice(&[0; 10]);
        index.push(self.kbps(header));
        let delays = (ENCODER_DELAY << 12 | padding) as u32;
        index.extend_from_slice(&delays.to_be_bytes()[1..]);
        index.extend_from_slice(&[0; 4]);
        index.extend_from_slice(&whole.to_be_bytes());
        index.extend_from_slice(&self.checksum.to_be_bytes());
        let check = crc(0, &index);
        index.extend_from_slice(&check.to_be_bytes());
        index.resize(length, 0);
        index
    }

    fn kbps(&self, header: Header) -> u8 {
        let bits = self.bytes * 8 * u64::from(header.rate);
        let rate = bits / (self.frames * header.frame_samples()).max(1);
        u8::try_from((rate + 500) / 1000).unwrap_or(u8::MAX)
    }
}

/// CRC-16 with the polynomial 0x8005, reflected, continued over `bytes`.
fn crc(start: u16, bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = (index as u16, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xA001 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    bytes.iter().fold(start, |crc, byte| crc >> 8 ^ TABLE[usize::from((crc ^ u16::from(*byte)) as u8)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc(0, b"123456789"), 0xBB3D);
    }

    #[test]
    fn an_index_fits_into_its_frame_whatever_the_rate() {
        // 48 kHz: joint stereo at 128 kbit/s, mono at 32; 24 kHz (MPEG-2): stereo at 32 kbit/s.
        for (head, length) in
            [([0xFF, 0xFB, 0x94, 0x64], 384), ([0xFF, 0xFB, 0x14, 0xC4], 192), ([0xFF, 0xF3, 0x44, 0x64], 192)]
        {
            let header = Header::read(&head).expect("a header");
            assert_eq!(header.for_index().1, length, "{head:02X?}");
            let file = tempfile::tempfile().expect("a file");
            let mut mp3 = Mp3File::start(file, b"").expect("a start");
            mp3.push(&head).expect("a frame");
            assert_eq!(mp3.index(header, 1000).len(), length);
        }
        assert_eq!(Header::read(&[0xFF, 0xFC, 0x94, 0x64]), None, "layer 2");
        assert_eq!(Header::read(b"ID3"), None);
    }
}
