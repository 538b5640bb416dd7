//! Moves the index of a finished MP4 from its end to its front, in place: no second copy of the file is needed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes that are moved at a time.
const BLOCK: u64 = 4 << 20;

/// Largest index that is moved: a week of audio has 120 MB.
const LARGEST_INDEX: u64 = 512 << 20;

/// Boxes that hold the boxes with the offsets.
const WAY: [[u8; 4]; 5] = [*b"moov", *b"trak", *b"mdia", *b"minf", *b"stbl"];

/// A box in a file or in bytes: where it begins, its name, its head's and its whole length.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    name: [u8; 4],
    head: u64,
    length: u64,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no MP4 with its index at the end: {what}"))
}

/// Moves the index, which is the last box, behind the file's type, which is the first, and lets its offsets follow.
/// Room for the index is needed at the end of the file. A file that is killed in between is broken: call it before the
/// file has its name.
///
/// # Errors
/// What the system says, or that it is no such file.
pub fn to_front(file: &File) -> io::Result<()> {
    let end = file.metadata()?.len();
    let places = top_level(file, end)?;
    let (Some(first), Some(index)) = (places.first(), places.last()) else { return Err(broken("it is empty")) };
    if first.name != *b"ftyp" || index.name != *b"moov" || index.length > LARGEST_INDEX {
        return Err(broken("its boxes lie otherwise"));
    }
    let (from, shift) = (first.length, index.length);
    let mut moov = vec![0; index.length as usize];
    file.read_exact_at(&mut moov, index.at)?;
    move_offsets(&mut moov, 0, from..index.at, shift)?;
    move_up(file, from, index.at, shift)?;
    file.write_all_at(&moov, from)
}

fn top_level(file: &File, end: u64) -> io::Result<Vec<Place>> {
    /// A file of ours has four.
    const MOST: usize = 64;
    let mut places = Vec::new();
    let mut at = 0;
    while at < end && places.len() < MOST {
        let mut head = [0; 16];
        let have = (end - at).min(16) as usize;
        file.read_exact_at(&mut head[..have], at)?;
        let place = place(&head[..have], at, end)?;
        at += place.length;
        places.push(place);
    }
    Ok(places)
}

/// The box whose head is `bytes` and that must end before `end`.
fn place(bytes: &[u8], at: u64, end: u64) -> io::Result<Place> {
    let short = bytes.first_chunk::<4>().ok_or_else(|| broken("a torn box"))?;
    let name = bytes.get(4..8).and_then(<[u8]>::first_chunk::<4>).ok_or_else(|| broken("a torn box"))?;
    let (head, length) = match u32::from_be_bytes(*short) {
        1 => {
            let long = bytes.get(8..16).and_then(<[u8]>::first_chunk::<8>).ok_or_else(|| broken("a torn box"))?;
            (16, u64::from_be_bytes(*long))
        }
        0 => (8, end - at),
        length => (8, u64::from(length)),
    };
    if length < head || at.checked_add(length).is_none_or(|over| over > end) {
        return Err(broken("a box that is longer than what it lies in"));
    }
    Ok(Place { at, name: *name, head, length })
}

/// Adds `shift` to every chunk's offset in `bytes` that points into `moved`. `depth` boxes lie around them.
fn move_offsets(bytes: &mut [u8], depth: usize, moved: std::ops::Range<u64>, shift: u64) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let place = place(&bytes[at..], 0, (bytes.len() - at) as u64)?;
        let body = at + place.head as usize..at + place.length as usize;
        at = body.end;
        if WAY.get(depth) == Some(&place.name) {
            move_offsets(&mut bytes[body], depth + 1, moved.clone(), shift)?;
        } else if depth == WAY.len() && place.name == *b"stco" {
            for entry in entries(&mut bytes[body], 4)? {
                let number = entry.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                let new = u32::try_from(later(u64::from(number), &moved, shift));
                entry.copy_from_slice(&new.map_err(|_| broken("it is too long for its offsets"))?.to_be_bytes());
            }
        } else if depth == WAY.len() && place.name == *b"co64" {
            for entry in entries(&mut bytes[body], 8)? {
                let number = entry.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                entry.copy_from_slice(&later(number, &moved, shift).to_be_bytes());
            }
        }
    }
    Ok(())
}

fn later(offset: u64, moved: &std::ops::Range<u64>, shift: u64) -> u64 {
    if moved.contains(&offset) { offset.saturating_add(shift) } else { offset }
}

/// The entries of a table behind its version, flags and count.
fn entries(body: &mut [u8], size: usize) -> io::Result<std::slice::ChunksExactMut<'_, u8>> {
    body.get_mut(8..).map(|table| table.chunks_exact_mut(size)).ok_or_else(|| broken("a torn table"))
}

/// Moves the bytes from `from` to `end` up by `shift`, the last ones first.
fn move_up(file: &File, from: u64, end: u64, shift: u64) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK.min(end.saturating_sub(from)) as usize];
    let mut until = end;
    while until > from {
        let start = until.saturating_sub(BLOCK).max(from);
        let block = &mut buffer[..(until - start) as usize];
        file.read_exact_at(block, start)?;
        file.write_all_at(block, start + shift)?;
        until = start;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrap(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, body].concat()
    }

    fn file_with(index: &[u8], data: &[u8]) -> (File, u64) {
        let bytes = [wrap(b"ftyp", b"isom"), wrap(b"mdat", data), index.to_vec()].concat();
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&bytes, 0).expect("bytes");
        (file, bytes.len() as u64)
    }

    fn index_of(offsets: &[u32]) -> Vec<u8> {
        let table: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_be_bytes()).collect();
        let table = [&[0; 4][..], &(offsets.len() as u32).to_be_bytes(), &table].concat();
        let inner = [b"stco", b"stbl", b"minf", b"mdia", b"trak"].iter().fold(table, |body, name| wrap(name, &body));
        wrap(b"moov", &inner)
    }

    #[test]
    fn offsets_follow_what_they_point_to() {
        let data: Vec<u8> = (0..200).collect();
        let index = index_of(&[20, 120, 219]);
        let (file, length) = file_with(&index, &data);
        to_front(&file).expect("moved");
        assert_eq!(file.metadata().expect("a file").len(), length);
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).expect("bytes");
        let shift = index.len() as u32;
        assert_eq!(&bytes[12..12 + index.len()], index_of(&[20 + shift, 120 + shift, 219 + shift]));
        assert_eq!(bytes[(20 + shift) as usize], 0);
        assert_eq!(bytes[(219 + shift) as usize], 199);
    }

    proptest! {
        #[test]
        fn fuzz_faststart_index(junk in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (file, length) = file_with(&wrap(b"moov", &junk), b"some data");
            drop(to_front(&file));
            prop_assert!(file.metadata().expect("a file").len() <= length);
        }
    }
}
