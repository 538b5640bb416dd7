//! The file of a measurement: one line of JSON per second, appended, never synced. Derived data: any line may be torn or
//! absent, and what cannot be read was never measured.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::HOPS;
use super::measurement::{Hop, Measurement, Second};

/// Longest line that is looked at; ours have 200 bytes.
const LONGEST_LINE: u64 = 4096;

/// Most of a file that is looked at: several weeks.
const LONGEST_FILE: u64 = 256 << 20;

/// Numbers of seconds beyond this are broken: a year.
const FARTHEST: i64 = 366 * 24 * 3600;

/// One second as it is written. Short names: a day has 86 400 lines.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// The second's number.
    s: i64,
    /// Loudness of each hop in hundredths of a LUFS.
    l: Vec<Option<i16>>,
    /// Lowest and highest sample of each hop, in -127..=127.
    p: Vec<(i8, i8)>,
    /// True peak, linear, in thousandths.
    t: u32,
}

impl Line {
    fn of(number: i64, second: &Second) -> Self {
        let raw = second.hops.map(|hop| hop.map(|hop| hop.raw()));
        Self {
            s: number,
            l: raw.iter().map(|hop| hop.map(|hop| hop.0)).collect(),
            p: raw.iter().map(|hop| hop.map_or((0, 0), |hop| (hop.1, hop.2))).collect(),
            t: (second.true_peak * 1000.0).ceil().clamp(0.0, 1e9) as u32,
        }
    }

    fn second(&self) -> Option<(i64, Second)> {
        if self.l.len() != HOPS || self.p.len() != HOPS || self.s.unsigned_abs() > FARTHEST.unsigned_abs() {
            return None;
        }
        let mut second = Second { true_peak: self.t as f32 / 1000.0, ..Second::default() };
        for (hop, (lufs, (min, max))) in second.hops.iter_mut().zip(self.l.iter().zip(&self.p)) {
            *hop = lufs.map(|lufs| Hop::from_raw(lufs, *min, *max));
        }
        Some((self.s, second))
    }
}

/// The file of a session's measurement in an archive; `session` is the session's folder name.
pub fn file_of(archive: &Path, session: &str) -> PathBuf {
    archive.join("measure").join(format!("{session}.jsonl"))
}

/// Reads what was measured. A file that is not there holds nothing.
///
/// # Errors
/// When it is there and cannot be read.
pub fn load(path: &Path) -> io::Result<Measurement> {
    let mut measurement = Measurement::default();
    let file = match options().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(measurement),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file.take(LONGEST_FILE));
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(measurement);
        }
        if let Some((number, second)) = serde_json::from_slice::<Line>(&line).ok().and_then(|line| line.second()) {
            measurement.add(number, second);
        }
    }
}

/// Appends seconds. Makes the file and its folder where they are not there.
///
/// # Errors
/// When it cannot be written.
pub fn append(path: &Path, seconds: &[(i64, Second)]) -> io::Result<()> {
    if seconds.is_empty() {
        return Ok(());
    }
    let mut file = open(path)?;
    let mut text = Vec::with_capacity(seconds.len() * 200);
    if ends_torn(&mut file)? {
        text.push(b'\n');
    }
    for (number, second) in seconds {
        serde_json::to_writer(&mut text, &Line::of(*number, second))?;
        text.push(b'\n');
    }
    file.write_all(&text)
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent()
        && let Err(error) = DirBuilder::new().mode(0o755).create(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    options().read(true).append(true).create(true).mode(0o644).open(path)
}

/// Links in a folder that others may have made are not followed.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options
}

/// Whether the last line has no end.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(lufs: f64) -> Second {
        let mut second = Second { true_peak: 0.5, ..Second::default() };
        second.hops[3..].fill(Some(Hop::new(lufs, -0.25, 0.5)));
        second
    }

    fn all(path: &Path, numbers: std::ops::Range<i64>) -> Measurement {
        let seconds: Vec<_> = numbers.map(|number| (number, second(-20.0 - number as f64 / 10.0))).collect();
        append(path, &seconds).expect("a write");
        let mut measurement = Measurement::default();
        seconds.into_iter().for_each(|(number, second)| measurement.add(number, second));
        measurement
    }

    #[test]
    fn what_is_written_is_read_again_and_a_link_is_not_followed() {
        let temp = tempfile::tempdir().expect("a folder");
        let path = file_of(temp.path(), "1yNxaNvaMYQKj");
        assert!(load(&path).expect("nothing").is_empty());
        let written = all(&path, -5..5);
        assert_eq!(load(&path).expect("a measurement"), written);
        let link = file_of(temp.path(), "other");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(append(&link, &[(0, second(-20.0))]).is_err() && load(&link).is_err());
    }

    #[test]
    fn a_torn_end_costs_one_second_and_none_behind_it() {
        let temp = tempfile::tempdir().expect("a folder");
        let path = file_of(temp.path(), "s");
        all(&path, 0..5);
        let length = std::fs::metadata(&path).expect("a file").len();
        OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(length - 7)).expect("cut");
        append(&path, &[(9, second(-30.0))]).expect("a write");
        let read = load(&path).expect("a measurement");
        let known = |number: i64| read.hop(number * 10 + 5).is_some();
        assert_eq!((0..10).filter(|n| known(*n)).collect::<Vec<_>>(), [0, 1, 2, 3, 9]);
    }

    proptest! {
        #[test]
        fn fuzz_measure(junk in proptest::collection::vec(any::<u8>(), 0..600), cut in 0..400_usize) {
            let temp = tempfile::tempdir().expect("a folder");
            let path = file_of(temp.path(), "s");
            all(&path, 0..3);
            let mut bytes = std::fs::read(&path).expect("bytes");
            bytes.truncate(cut.min(bytes.len()));
            bytes.extend(junk);
            std::fs::write(&path, bytes).expect("a file");
            prop_assert!(load(&path).is_ok());
        }
    }
}
