//! The file's own thread: appends whole lines, holds some while the disk refuses, and counts the rest.
//!
//! The show never waits for it, and no disk's trouble leaves this file.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::fact::{FORMAT_VERSION, Fact, Line};

/// Size from which only errors and changes of state are kept: a flapping night writes less than 2 MB.
const FULL: u64 = 20 << 20;

/// Size from which nothing is kept any more.
const BRIM: u64 = 24 << 20;

/// Lines held while the disk refuses.
const HELD: usize = 256;

/// Pause between two tries while the disk refuses.
const RETRY: Duration = Duration::from_secs(1);

/// Where the lines go.
pub(super) trait Sink {
    /// Appends a whole line or nothing.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
    /// Bytes that are there.
    fn length(&self) -> u64;
}

/// The file, opened when it is first needed and again after it could not be.
#[derive(Debug)]
pub(super) struct IncidentFile {
    path: PathBuf,
    open: Option<(File, u64)>,
}

impl IncidentFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    fn open(&self) -> io::Result<(File, u64)> {
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o644).custom_flags(no_link);
        let mut file = options.open(&self.path)?;
        let mut length = file.seek(SeekFrom::End(0))?;
        if length > 0 {
            // What a crash left of a line becomes a line of its own, which readers skip.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        Ok((file, length))
    }

    fn sync(&self) {
        if let Some((file, _)) = &self.open
            && let Err(error) = file.sync_data()
        {
            tracing::warn!(%error, "The incident file may not be on the disk.");
        }
    }
}

impl Sink for IncidentFile {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let (mut file, length) = match self.open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        if let Err(error) = file.write_all(line) {
            // Half a line is worse than none. Without this the next opening ends it.
            file.set_len(length)?;
            self.open = Some((file, length));
            return Err(error);
        }
        self.open = Some((file, length + line.len() as u64));
        Ok(())
    }

    fn length(&self) -> u64 {
        self.open.as_ref().map_or(0, |(_, length)| *length)
    }
}

/// Keeps lines as well as the disk allows.
#[derive(Debug)]
pub(super) struct Writer<S> {
    sink: S,
    held: VecDeque<(Vec<u8>, bool)>,
    left_out: u64,
    refused: Option<Instant>,
    is_full: bool,
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(sink: S) -> Self {
        Self { sink, held: VecDeque::new(), left_out: 0, refused: None, is_full: false }
    }

    /// A line comes in.
    pub(super) fn on_line(&mut self, line: &Line, now: Instant) {
        let vital = line.fact.is_vital();
        let length = self.sink.length();
        if length >= BRIM || (length >= FULL && !vital) {
            self.left_out += 1;
            if !std::mem::replace(&mut self.is_full, true) {
                let why = "the file is full: only errors and changes of state are kept from here on";
                self.hold(&left_out_line(line, 1, why), true);
            }
        } else {
            self.hold(line, vital);
        }
        self.on_time((line.at, line.t), now);
    }

    /// Writes what is held, unless the disk refused just now.
    pub(super) fn on_time(&mut self, (at, t): (Timestamp, f64), now: Instant) {
        if self.refused.is_some_and(|refused| now.saturating_duration_since(refused) < RETRY) {
            return;
        }
        while let Some((line, _)) = self.held.front() {
            if let Err(error) = self.sink.append(line) {
                if self.refused.replace(now).is_none() {
                    tracing::warn!(%error, "The incident file cannot be written; lines are held.");
                }
                return;
            }
            self.held.pop_front();
        }
        self.refused = None;
        if self.left_out > 0 && !self.is_full {
            let line = Line { v: FORMAT_VERSION, at, t, fact: Fact::Unknown };
            let lines = std::mem::take(&mut self.left_out);
            self.hold(&left_out_line(&line, lines, "the disk refused them"), true);
            self.on_time((at, t), now);
        }
    }

    /// Everything has come; one last try.
    pub(super) fn finish(&mut self, place: (Timestamp, f64), now: Instant) {
        self.refused = None;
        self.on_time(place, now);
        if !self.held.is_empty() || self.left_out > 0 {
            let lines = self.held.len() as u64 + self.left_out;
            tracing::warn!(lines, "The incident file lacks lines.");
        }
    }

    fn hold(&mut self, line: &Line, vital: bool) {
        let Some(bytes) = line.encode() else { return };
        self.held.push_back((bytes, vital));
        if self.held.len() > HELD {
            let at = self.held.iter().position(|(_, vital)| !vital).unwrap_or(0);
            self.held.remove(at);
            self.left_out += 1;
        }
    }
}

fn left_out_line(line: &Line, lines: u64, why: &str) -> Line {
    Line { fact: Fact::LeftOut { lines, why: why.to_owned() }, ..line.clone() }
}

/// The thread: until the last sender is gone.
pub(super) fn run(path: PathBuf, lines: &Receiver<Line>) {
    let mut writer = Writer::new(IncidentFile::new(path));
    let mut place = (Timestamp::UNIX_EPOCH, 0.0);
    loop {
        match lines.recv_timeout(RETRY) {
            Ok(line) => {
                place = (line.at, line.t);
                writer.on_line(&line, Instant::now());
            }
            Err(RecvTimeoutError::Timeout) => writer.on_time(place, Instant::now()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    writer.finish(place, Instant::now());
    writer.sink.sync();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Level;
    use crate::incident::fact::EventFact;
    use crate::incident::reader::read_lines;

    /// A disk that refuses from some size on, or always.
    #[derive(Debug, Default)]
    struct Disk {
        bytes: Vec<u8>,
        pretended: u64,
        refuses: bool,
    }

    impl Sink for Disk {
        fn append(&mut self, line: &[u8]) -> io::Result<()> {
            if self.refuses {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(line);
            Ok(())
        }

        fn length(&self) -> u64 {
            self.pretended + self.bytes.len() as u64
        }
    }

    fn line(fact: Fact) -> Line {
        Line { v: FORMAT_VERSION, at: Timestamp::UNIX_EPOCH, t: 0.0, fact }
    }

    fn event(level: Level, message: &str) -> Line {
        let text = |text: &str| text.to_owned();
        line(Fact::Event(EventFact {
            level,
            code: text("c"),
            subject: text("s"),
            message: text(message),
            since: None,
            doing: None,
            remedy: None,
            count: 1,
        }))
    }

    fn state(word: &str) -> Line {
        line(Fact::State { state: word.to_owned(), from: None, words: String::new() })
    }

    fn written(writer: &Writer<Disk>) -> Vec<Fact> {
        read_lines(&writer.sink.bytes[..]).expect("lines").lines.into_iter().map(|line| line.fact).collect()
    }

    #[test]
    fn disk_full_what_matters_is_held_the_rest_counted_and_all_of_it_written_later() {
        let (mut writer, start) = (Writer::new(Disk { refuses: true, ..Disk::default() }), Instant::now());
        writer.on_line(&state("live"), start);
        for index in 0..HELD + 44 {
            writer.on_line(&event(Level::Warning, &index.to_string()), start);
        }
        writer.on_line(&event(Level::Error, "lost"), start);
        writer.sink.refuses = false;
        // Right after a refusal it is left in peace.
        writer.on_time((Timestamp::UNIX_EPOCH, 1.0), start + RETRY / 2);
        assert_eq!(written(&writer).len(), 0);
        writer.on_time((Timestamp::UNIX_EPOCH, 1.0), start + RETRY);
        let facts = written(&writer);
        assert_eq!(facts.len(), HELD + 1);
        assert!(matches!(&facts[0], Fact::State { state, .. } if state == "live"));
        assert!(matches!(&facts[HELD - 1], Fact::Event(event) if event.message == "lost"));
        assert!(matches!(&facts[HELD], Fact::LeftOut { lines: 46, .. }), "{:?}", facts[HELD]);
    }

    #[test]
    fn a_file_of_twenty_megabytes_takes_errors_and_states_only_and_then_nothing() {
        let (mut writer, now) = (Writer::new(Disk { pretended: FULL, ..Disk::default() }), Instant::now());
        for _ in 0..3 {
            writer.on_line(&event(Level::Warning, "w"), now);
        }
        writer.on_line(&event(Level::Error, "e"), now);
        writer.on_line(&state("gap"), now);
        writer.sink.pretended = BRIM;
        writer.on_line(&state("live"), now);
        let kinds: Vec<&str> = written(&writer)
            .iter()
            .map(|fact| match fact {
                Fact::LeftOut { .. } => "left out",
                Fact::Event(_) => "event",
                Fact::State { .. } => "state",
                _ => "other",
            })
            .collect();
        assert_eq!(kinds, ["left out", "event", "state"]);
    }

    #[test]
    fn a_file_that_a_crash_tore_goes_on_after_the_torn_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("incident.jsonl");
        let whole = state("live").encode().expect("bytes");
        for cut in 1..whole.len() {
            std::fs::write(&path, [&whole[..], &whole[..cut]].concat()).expect("a torn file");
            let mut file = IncidentFile::new(path.clone());
            file.append(&state("gap").encode().expect("bytes")).expect("it is written");
            let read = read_lines(&std::fs::read(&path).expect("bytes")[..]).expect("lines");
            // Cut before its line break alone, the torn line is whole.
            let torn = usize::from(cut < whole.len() - 1);
            assert_eq!((read.lines.len(), read.damaged as usize), (3 - torn, torn), "cut at {cut}");
        }
    }

    #[test]
    fn disk_full_in_the_middle_of_a_line_leaves_whole_lines() {
        // A device that takes nothing: the same error as a full disk, without one.
        let mut file = IncidentFile::new("/dev/full".into());
        assert!(file.append(b"{}\n").is_err());
        assert_eq!(file.length(), 0);
    }
}
