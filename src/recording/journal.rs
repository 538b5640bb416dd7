//! The journal's file: appends lines that are whole or not there, and mends a torn end.
//!
//! Knows nothing of what the lines say beyond their numbers.

use std::fs::File;
use std::io::{self, Write as _};

use jiff::Timestamp;

use super::facts::Fact;
use super::folder::Folder;
use super::line::{self, Entry};
use super::reader::{Scan, scan};

/// The journal's name in an archive.
pub(super) const NAME: &str = "journal.jsonl";

/// Where the bytes of torn ends are put, in case somebody wants to look at them.
pub(super) const TORN_NAME: &str = "journal.torn";

/// The journal of the archive in `folder`.
pub fn file_of(folder: &std::path::Path) -> std::path::PathBuf {
    folder.join(NAME)
}

/// A journal that is open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Bytes of whole lines: a line that could not be written to its end is cut off again.
    good: u64,
    next_seq: u64,
}

impl Journal {
    pub(super) fn create(folder: &Folder) -> io::Result<Self> {
        Ok(Self { file: folder.create_file(NAME)?, good: 0, next_seq: 1 })
    }

    /// Opens a journal to go on with it and gives every line to `visit`. What a crash left behind the last whole line
    /// is cut off; says how many bytes.
    pub(super) fn resume(folder: &Folder, visit: impl FnMut(Entry)) -> io::Result<(Self, Scan, u64)> {
        let mut file = folder.append(NAME)?;
        let scan = scan(&mut file, visit)?;
        let torn = file.metadata()?.len().saturating_sub(scan.good_bytes);
        if torn > 0 {
            keep_torn_end(folder, &mut file, scan.good_bytes)?;
            file.set_len(scan.good_bytes)?;
            file.sync_all()?;
        }
        let journal = Self { file, good: scan.good_bytes, next_seq: scan.last_seq + 1 };
        Ok((journal, scan, torn))
    }

    /// Appends a fact. When this returns, the line is on the disk.
    pub(super) fn append(&mut self, at: Timestamp, fact: &Fact) -> io::Result<u64> {
        let seq = self.next_seq;
        let line = line::encode(seq, at, fact).map_err(io::Error::other)?;
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Cuts off what was written of the line, so that the next try starts on a line of its own.
            self.file.set_len(self.good)?;
            return Err(error);
        }
        self.good += line.len() as u64;
        self.next_seq += 1;
        Ok(seq)
    }
}

fn keep_torn_end(folder: &Folder, journal: &mut File, from: u64) -> io::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    journal.seek(SeekFrom::Start(from))?;
    let mut file = folder.append(TORN_NAME)?;
    io::copy(journal, &mut file)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::reader::Archive;

    fn note(text: &str) -> Fact {
        Fact::Note { text: text.into() }
    }

    #[test]
    fn torn_line_at_every_byte_is_cut_off_and_nothing_before_it_is_lost() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(temp.path()).expect("open");
        let mut journal = Journal::create(&folder).expect("a journal");
        for text in ["one", "two"] {
            journal.append(Timestamp::UNIX_EPOCH, &note(text)).expect("a line");
        }
        let good = journal.good as usize;
        journal.append(Timestamp::UNIX_EPOCH, &note("three")).expect("a line");
        let bytes = std::fs::read(temp.path().join(NAME)).expect("bytes");
        for cut in good..bytes.len() {
            std::fs::write(temp.path().join(NAME), &bytes[..cut]).expect("a cut");
            let (mut journal, scan, torn) = Journal::resume(&folder, drop).expect("resumes");
            assert_eq!((scan.last_seq, torn as usize), (2, cut - good), "cut at {cut}");
            assert_eq!(journal.append(Timestamp::UNIX_EPOCH, &note("again")).expect("a line"), 3);
            let archive = Archive::read(temp.path()).expect("an archive");
            assert_eq!((archive.entries, archive.damage.len()), (3, 0), "cut at {cut}");
        }
    }

    /// What a crash or a broken disk may leave behind the last bytes that were synced.
    fn tail() -> impl Strategy<Value = (usize, Vec<u8>, Option<(usize, usize)>)> {
        let block = proptest::option::of((0_usize..2000, 1_usize..2000));
        let bytes = prop_oneof![
            Just(Vec::new()),
            (1_usize..5000).prop_map(|length| vec![0; length]),
            proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 1..300),
        ];
        (0_usize..2000, bytes, block)
    }

    /// Texts of the notes that a journal holds, in order.
    fn notes(folder: &Folder) -> (Vec<String>, Scan, u64) {
        let mut notes = Vec::new();
        let mut file = folder.append(NAME).expect("a journal");
        let scan = scan(&mut file, |entry| {
            if let Fact::Note { text } = entry.fact {
                notes.push(text);
            }
        });
        (notes, scan.expect("a scan"), file.metadata().expect("a length").len())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn fuzz_journal_torn_write((cut, bytes, block) in tail(), lines in 1_usize..12) {
            let temp = tempfile::tempdir().expect("a folder");
            let folder = Folder::open(temp.path()).expect("open");
            let mut journal = Vec::new();
            let mut ends = Vec::new();
            for seq in 1..=lines {
                journal.extend(line::encode(seq as u64, Timestamp::UNIX_EPOCH, &note(&seq.to_string())).expect("a line"));
                ends.push(journal.len());
            }
            let cut = cut % (journal.len() + 1);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            // A block that the disk wrote twice, of what was there already.
            let again = block.map(|(from, length)| {
                let from = from % (cut + 1);
                journal[from..(from + length).min(cut)].to_vec()
            });
            let torn = [&journal[..cut], &bytes[..], &again.unwrap_or_default()].concat();
            // What follows may be the very end of line that was cut off.
            let whole = whole + usize::from(ends.contains(&(cut + 1)) && torn.get(cut) == Some(&b'\n'));
            std::fs::write(temp.path().join(NAME), &torn).expect("a journal");
            let (mut resumed, _, _) = Journal::resume(&folder, drop).expect("resumes");
            resumed.append(Timestamp::UNIX_EPOCH, &note("again")).expect("a line");
            let (found, scan, length) = notes(&folder);
            let expected: Vec<String> = (1..=whole).map(|seq| seq.to_string()).chain(["again".to_owned()]).collect();
            prop_assert_eq!(found, expected, "every line before the tear, in order, and none that was invented");
            prop_assert_eq!(scan.good_bytes, length, "a line of its own for whatever comes next");
        }

        #[test]
        fn fuzz_journal_spoiled_in_the_middle(at in any::<usize>(), byte in any::<u8>(), lines in 2_usize..12) {
            let temp = tempfile::tempdir().expect("a folder");
            let folder = Folder::open(temp.path()).expect("open");
            let encode = |seq: usize| line::encode(seq as u64, Timestamp::UNIX_EPOCH, &note(&seq.to_string())).expect("a line");
            let mut journal: Vec<u8> = (1..=lines).flat_map(encode).collect();
            let at = at % journal.len();
            journal[at] = byte;
            std::fs::write(temp.path().join(NAME), &journal).expect("a journal");
            let (found, _, _) = notes(&folder);
            let numbers: Vec<usize> = found.iter().filter_map(|text| text.parse().ok()).collect();
            // A spoiled end of line takes the next one with it, no more.
            prop_assert!(numbers.len() + 2 >= lines && numbers.is_sorted() && numbers.len() == found.len(), "{:?}", found);
        }
    }

    #[test]
    fn a_torn_line_of_zeros_after_power_loss_is_cut_off() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(temp.path()).expect("open");
        let mut journal = Journal::create(&folder).expect("a journal");
        journal.append(Timestamp::UNIX_EPOCH, &note("one")).expect("a line");
        let mut bytes = std::fs::read(temp.path().join(NAME)).expect("bytes");
        bytes.extend([0; 4096]);
        std::fs::write(temp.path().join(NAME), &bytes).expect("a write");
        let (_, scan, torn) = Journal::resume(&folder, drop).expect("resumes");
        assert_eq!((scan.last_seq, torn), (1, 4096));
        assert!(temp.path().join(TORN_NAME).exists());
    }
}
