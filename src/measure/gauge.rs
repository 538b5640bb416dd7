//! The meter of a running show: hears the session's own audio on a thread of its own, and never lets the show wait. What
//! it has no time for is a hole in the measurement and nothing else.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::{io, thread};

use super::file::{append, file_of};
use super::measurement::Second;
use super::meter::Meter;
use crate::media::PcmBlock;

/// Blocks that may wait, some bursts of a space: 8 MB at most.
const WAITING: usize = 1024;

/// Seconds that are written at once.
const BATCH: usize = 10;

#[derive(Debug)]
enum Heard {
    Session(String),
    Audio(PcmBlock),
}

/// A meter that writes into an archive. Dropping it writes what is left.
#[derive(Debug)]
pub struct Gauge {
    heard: Option<SyncSender<Heard>>,
    thread: Option<JoinHandle<()>>,
}

impl Gauge {
    /// Starts the thread for the archive in `folder`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let (heard, received) = sync_channel(WAITING);
        let worker = Worker { folder: folder.to_owned(), file: None, meter: Meter::default(), waiting: Vec::new() };
        let thread = thread::Builder::new().name("measure".to_owned()).spawn(move || worker.run(&received))?;
        Ok(Self { heard: Some(heard), thread: Some(thread) })
    }

    /// What is heard from now on is of the session with this folder name. Never blocks.
    pub fn session(&self, folder_name: &str) {
        self.send(Heard::Session(folder_name.to_owned()));
    }

    /// Hears a block of the session, as it was decoded. Never blocks.
    pub fn audio(&self, block: &PcmBlock) {
        self.send(Heard::Audio(block.clone()));
    }

    fn send(&self, heard: Heard) {
        if let Some(sender) = &self.heard
            && sender.try_send(heard).is_err()
        {
            tracing::debug!("A piece of audio was not measured.");
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.heard = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("The measuring thread had panicked.");
        }
    }
}

struct Worker {
    folder: PathBuf,
    /// None before the first session, and where it cannot be written.
    file: Option<PathBuf>,
    meter: Meter,
    waiting: Vec<(i64, Second)>,
}

impl Worker {
    fn run(mut self, received: &Receiver<Heard>) {
        while let Ok(heard) = received.recv() {
            match heard {
                Heard::Session(name) => {
                    let file = file_of(&self.folder, &name);
                    if self.file.as_ref() != Some(&file) {
                        self.end();
                        self.file = Some(file);
                    }
                }
                Heard::Audio(block) => {
                    self.meter.add(block.media_time, &block.samples);
                    self.waiting.extend(self.meter.take());
                    if self.waiting.len() >= BATCH {
                        self.write();
                    }
                }
            }
        }
        self.end();
    }

    fn end(&mut self) {
        self.meter.end();
        self.waiting.extend(self.meter.take());
        self.write();
    }

    fn write(&mut self) {
        let seconds = std::mem::take(&mut self.waiting);
        if let Some(file) = &self.file
            && let Err(error) = append(file, &seconds)
        {
            // Measured again from the segments when it is needed: nothing for people.
            tracing::warn!(%error, "The measurement of the audio could not be written.");
            self.file = None;
        }
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "spans are lists of ranges")]
mod tests {
    use super::*;
    use crate::measure::load;

    fn block(media_time: i64, length: usize) -> PcmBlock {
        PcmBlock { media_time, samples: vec![[0.25, -0.25]; length] }
    }

    #[test]
    fn each_session_has_its_own_file_and_nothing_that_was_heard_is_left_unwritten_at_the_end() {
        let temp = tempfile::tempdir().expect("a folder");
        let gauge = Gauge::start(temp.path()).expect("a thread");
        for (session, seconds) in [("first", 3), ("second", 2)] {
            gauge.session(session);
            for n in 0..seconds * 10 {
                gauge.audio(&block(n * 4800 - 48_000, 4800));
            }
        }
        drop(gauge);
        for (session, seconds) in [("first", 3), ("second", 2)] {
            let measurement = load(&file_of(temp.path(), session)).expect("a measurement");
            assert_eq!(measurement.span(), Some(-48_000..(seconds - 1) * 48_000), "{session}");
            assert_eq!(measurement.coverage(&[-48_000..(seconds - 1) * 48_000]), 1.0);
        }
    }

    #[test]
    fn a_show_never_waits_for_its_meter_and_a_folder_that_cannot_be_written_ends_nothing() {
        let gauge = Gauge::start(Path::new("/proc/nowhere")).expect("a thread");
        gauge.session("s");
        let start = std::time::Instant::now();
        let heap = block(0, 1024);
        (0..20 * WAITING).for_each(|_| gauge.audio(&heap));
        // Handing over copies 160 MB; waiting for all of it to be measured would take a minute here.
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
