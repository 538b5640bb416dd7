//! The incident file: one file for each show, with the timeline of its states, faults, decisions and figures, and the
//! report that is drawn from it the morning after.
//!
//! It reads what the show says of itself, statuses and events, and nothing else; no stage knows of it. A show whose
//! disk takes no line goes on all the same.

mod fact;
mod page;
mod reader;
mod story;
mod watcher;
mod words;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alert::Events;
use crate::clock::Clock;
use crate::status::ShowStatus;
pub use fact::{Begin, EventFact, FORMAT_VERSION, Fact, Figures, GapFact, Line, OutputFigures, SessionFact};
pub use page::page;
pub use reader::{Read, read, read_lines};
pub use story::{Lane, Mark, Span, Story, Total, Trouble};
use watcher::Watcher;
pub use words::summary;

/// The file's name in an archive or a state folder.
pub const NAME: &str = "incident.jsonl";

/// Lines on their way to the file's thread: minutes of the worst flood that events let through.
const ON_THE_WAY: usize = 1024;

/// How long the last lines may take at the show's end.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A show's incident file, being written.
#[derive(Debug)]
pub struct Incident {
    keeping: Option<JoinHandle<()>>,
    over: CancellationToken,
    written: Option<std::thread::JoinHandle<()>>,
}

impl Incident {
    /// Writes to the file at `path`, behind what is there, everything that is told and every change of the status.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub fn start(
        path: PathBuf,
        begin: Begin,
        events: &Events,
        status: watch::Receiver<Arc<ShowStatus>>,
        clock: &Clock,
    ) -> std::io::Result<Self> {
        let (lines, incoming) = sync_channel(ON_THE_WAY);
        let written =
            std::thread::Builder::new().name("incident".to_owned()).spawn(move || writer::run(path, &incoming))?;
        let keeper = Keeper {
            lines,
            lost: 0,
            events: events.clone(),
            after: 0,
            status,
            watcher: Watcher::default(),
            began: clock.now(),
            clock: clock.clone(),
        };
        let over = CancellationToken::new();
        let keeping = tokio::spawn(keeper.run(begin, over.clone()));
        Ok(Self { keeping: Some(keeping), over, written: Some(written) })
    }

    /// Writes the last status, the figures and the end, for a few seconds at most.
    pub async fn finish(&mut self) {
        self.over.cancel();
        let (Some(keeping), Some(written)) = (self.keeping.take(), self.written.take()) else { return };
        let joined = async {
            drop(keeping.await);
            drop(tokio::task::spawn_blocking(move || written.join()).await);
        };
        if tokio::time::timeout(LAST_WORD, joined).await.is_err() {
            tracing::warn!("The incident file was not done at the show's end.");
        }
    }
}

/// Turns events and statuses into lines.
struct Keeper {
    lines: SyncSender<Line>,
    /// Lines that the thread had no room for.
    lost: u64,
    events: Events,
    after: u64,
    status: watch::Receiver<Arc<ShowStatus>>,
    watcher: Watcher,
    began: Instant,
    clock: Clock,
}

impl Keeper {
    async fn run(mut self, begin: Begin, over: CancellationToken) {
        self.keep(Fact::Begin(begin));
        let mut news = self.events.subscribe();
        loop {
            // Whether this look comes after the last word.
            let last = over.is_cancelled();
            self.look();
            if last {
                break;
            }
            tokio::select! {
                _ = news.recv() => {}
                changed = self.status.changed() => if changed.is_err() { over.cancelled().await },
                () = over.cancelled() => {}
            }
        }
        let status = Arc::clone(&self.status.borrow());
        self.keep(Fact::Figures(self.watcher.figures(&status)));
        self.keep(Fact::End { state: watcher::word(&status.state) });
    }

    /// Keeps everything that is new.
    fn look(&mut self) {
        for event in self.events.after(self.after) {
            self.after = event.id;
            self.keep(Fact::Event(EventFact::from(&event)));
        }
        let status = Arc::clone(&self.status.borrow_and_update());
        for fact in self.watcher.on_status(&status, self.clock.now()) {
            self.keep(fact);
        }
    }

    fn keep(&mut self, fact: Fact) {
        let t = self.clock.now().saturating_duration_since(self.began).as_millis() as f64 / 1000.0;
        let line = Line { v: FORMAT_VERSION, at: self.clock.wall(), t, fact };
        if self.lost > 0 {
            let why = "the disk was too slow for them".to_owned();
            let lost = Line { fact: Fact::LeftOut { lines: self.lost, why }, ..line.clone() };
            if self.lines.try_send(lost).is_ok() {
                self.lost = 0;
            }
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(line) {
            self.lost += 1;
        }
    }
}
