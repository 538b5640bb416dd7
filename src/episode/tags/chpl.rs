//! The chapter list of an MP4 file in the version that every reader knows.
//!
//! mp4ameta writes version 0 of `chpl`, which mutagen takes for version 1, the one that ffmpeg writes. Version 1 has four
//! bytes more: they are taken from room that was left behind the last title, so that nothing else in the file moves.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Room behind the last title.
const ROOM: usize = 4;

/// Largest list: 255 chapters with titles of 255 bytes.
const LARGEST: u64 = 1 << 17;

/// The last chapter's title with the room behind it, in the 255 bytes that there are.
pub(super) fn padded(title: &str) -> String {
    let mut end = title.len().min(255 - ROOM);
    while !title.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &title[..end], " ".repeat(ROOM))
}

/// Turns the chapter list of the file at `path`, if it has one of version 0, into one of version 1.
pub(super) fn modernise(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut within = 0..file.metadata()?.len();
    for name in [b"moov", b"udta", b"chpl"] {
        let Some(found) = find(&file, within, name)? else { return Ok(()) };
        within = found;
    }
    let mut body = vec![0; (within.end - within.start).min(LARGEST) as usize];
    file.read_exact_at(&mut body, within.start)?;
    if let Some(body) = version_1(&body) {
        file.write_all_at(&body, within.start)?;
    }
    Ok(())
}

/// Where the contents of the first box called `name` are.
fn find(file: &File, within: std::ops::Range<u64>, name: &[u8; 4]) -> io::Result<Option<std::ops::Range<u64>>> {
    let mut at = within.start;
    while at + 8 <= within.end {
        let mut head = [0; 16];
        let known = (within.end - at).min(16) as usize;
        file.read_exact_at(&mut head[..known], at)?;
        let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let (header, size) = match size {
            0 => (8, within.end - at),
            1 => {
                (16, u64::from_be_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]))
            }
            size => (8, size),
        };
        if size < header || size > within.end - at {
            return Ok(None);
        }
        if &head[4..8] == name {
            return Ok(Some(at + header..at + size));
        }
        at += size;
    }
    Ok(None)
}

/// The same list as version 1, if it is of version 0 and has its room at its end.
fn version_1(body: &[u8]) -> Option<Vec<u8>> {
    let (head, entries) = body.split_at_checked(5)?;
    let entries = entries.strip_suffix(&[b' '; ROOM])?;
    if head[..4] != [0; 4] {
        return None;
    }
    let mut made = [&[1, 0, 0, 0, 0, 0, 0, 0, head[4]], entries].concat();
    // Each entry: a time of 8 bytes, a length of one, a title.
    let mut at = 9;
    for _ in 1..head[4] {
        at += 9 + usize::from(*made.get(at + 8)?);
    }
    let length = made.get_mut(at + 8)?;
    *length = length.checked_sub(ROOM as u8)?;
    (at + 9 + usize::from(made[at + 8]) == made.len()).then_some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time: u64, title: &str) -> Vec<u8> {
        [&time.to_be_bytes()[..], &[title.len() as u8], title.as_bytes()].concat()
    }

    #[test]
    fn a_list_gets_its_four_bytes_and_nothing_else_moves() {
        let old = [vec![0, 0, 0, 0, 2], entry(0, "Start"), entry(7, &padded("News"))].concat();
        let new = [vec![1, 0, 0, 0, 0, 0, 0, 0, 2], entry(0, "Start"), entry(7, "News")].concat();
        assert_eq!(version_1(&old), Some(new.clone()));
        assert_eq!(old.len(), new.len());
        assert_eq!(version_1(&new), None, "it is one already");
        assert_eq!(version_1(&old[..8]), None);
        let torn = [vec![0, 0, 0, 0, 9], entry(0, &padded("News"))].concat();
        assert_eq!(version_1(&torn), None);
    }

    #[test]
    fn a_long_last_title_is_cut_between_characters() {
        let title = padded(&"ü".repeat(127));
        assert!(title.len() <= 255 && title.ends_with("ü    "), "{}", title.len());
    }
}
