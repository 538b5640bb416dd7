//! Keeps one show's bridge process running, and brings it to its end in time.
//!
//! It knows nothing of media: it starts the process, hands over the configuration, restarts it when it dies, and asks
//! it to end over its own protocol. What to do when is in [`policy`].

mod child;
mod found;
mod log_file;
pub mod policy;
mod pulse;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::bridge::client::BridgeClient;
use crate::bridge::obituary;
use crate::bridge::state_folder::StateFolder;
use crate::clock::Clock;

pub use child::{Launch, STARTED_BY};
use found::Found;
use policy::{Action, Event, Exit, Policy, Wish};
pub use policy::{EXIT_FAILED, GRACE, Outcome};

/// How often the log's size is looked at.
const LOG_LOOK: Duration = Duration::from_secs(30);

/// Lines of a dead process's log that are shown.
const LAST_LINES: usize = 12;

/// Pause between two attempts to reach a bridge that is still starting.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// What the operator wants of the show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Finish the session, closing slate, final files.
    End,
    /// Recording safe, outputs closed, resumable.
    Suspend,
    /// As [`Order::Suspend`], without waiting any longer than the system needs.
    Leave,
}

/// What the supervisor has done, for the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A process was started.
    Started {
        /// Its id.
        pid: u32,
    },
    /// A process ended otherwise than as asked.
    Died {
        /// How, in words.
        how: String,
        /// The last lines of its log.
        last_lines: Vec<String>,
        /// Pause before the next is started; none if none is.
        again_in: Option<Duration>,
    },
    /// Time is up, and the process is made to end.
    TimeUp,
}

/// Keeps the bridge of one show.
#[derive(Debug)]
pub struct Supervisor {
    folder: StateFolder,
    launch: Launch,
    handover: Arc<[u8]>,
    policy: Policy,
    clock: Clock,
    notices: mpsc::UnboundedSender<Notice>,
    process: Option<Process>,
    start_at: Option<Instant>,
    asking: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Process {
    body: Body,
    log_start: u64,
    /// Ends with why the process, though alive, is frozen.
    watching: AbortOnDropHandle<&'static str>,
    /// Why it was killed.
    frozen: Option<&'static str>,
}

#[derive(Debug)]
enum Body {
    Child(Child),
    Found(Found),
}

impl Body {
    fn pid(&self) -> Option<u32> {
        match self {
            Self::Child(child) => child.id(),
            Self::Found(found) => Some(found.pid),
        }
    }

    async fn ended(&mut self) -> Exit {
        match self {
            Self::Child(child) => match child.wait().await {
                Ok(status) => child::exit_of(status),
                Err(error) => Exit::Crashed(error.to_string()),
            },
            Self::Found(found) => found.ended().await,
        }
    }
}

impl Supervisor {
    /// For the show of `folder`. `handover` is what the bridge reads from its standard input, secrets included;
    /// `closing` is how long its closing slate stays.
    pub fn new(
        folder: StateFolder,
        launch: Launch,
        handover: Vec<u8>,
        closing: Duration,
        clock: Clock,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Self {
        let start_at = Some(clock.now());
        Self {
            folder,
            launch,
            handover: handover.into(),
            policy: Policy::new(closing),
            clock,
            notices,
            process: None,
            start_at,
            asking: None,
        }
    }

    /// Begins with process `pid`, which carries the show already and lost its supervisor: nothing of it is interrupted.
    pub fn adopting(mut self, pid: u32) -> Self {
        let body = Body::Found(Found::new(self.folder.clone(), pid));
        let log_start = std::fs::metadata(self.folder.log()).map_or(0, |found| found.len());
        self.start_at = None;
        self.process = Some(self.watched(body, log_start));
        self
    }

    fn watched(&self, body: Body, log_start: u64) -> Process {
        let pulse = pulse::until_frozen(BridgeClient::new(self.folder.clone()), self.clock.clone());
        let watching = AbortOnDropHandle::new(tokio::spawn(pulse));
        Process { body, log_start, watching, frozen: None }
    }

    /// Keeps the bridge until the show is over. An error says that no process could be started at all.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> io::Result<Outcome> {
        let mut look = tokio::time::interval(LOG_LOOK);
        let mut listening = true;
        loop {
            let event = tokio::select! {
                happened = life_of(&mut self.process) => match happened {
                    Life::Exited(exit) => self.note_exit(exit),
                    Life::Frozen(why) => self.note_frozen(why),
                },
                order = orders.recv(), if listening => match order {
                    Some(Order::End) => Event::EndAsked,
                    Some(Order::Suspend) => Event::SuspendAsked,
                    Some(Order::Leave) => Event::LeaveAsked,
                    None => { listening = false; continue }
                },
                () = until(self.policy.deadline()) => {
                    self.tell(Notice::TimeUp);
                    Event::DeadlinePassed
                }
                () = until(self.start_at) => { self.start()?; continue }
                _ = look.tick() => {
                    if let Err(error) = log_file::rotate(&self.folder.log()) {
                        tracing::warn!(%error, "The bridge's log could not be set aside.");
                    }
                    continue
                }
            };
            if let Some(outcome) = self.handle(event) {
                return Ok(outcome);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<Outcome> {
        let died = match &event {
            Event::Exited(Exit::Crashed(how)) => Some(how.clone()),
            Event::Exited(Exit::BadConfiguration) => Some("bad configuration".to_owned()),
            Event::Exited(Exit::Failed) => Some("the show cannot go on".to_owned()),
            _ => None,
        };
        // A process that stood still was killed by us: the signal is not what it died of.
        let frozen = self.process.as_ref().and_then(|process| process.frozen);
        let died = died.map(|how| frozen.map_or(how, str::to_owned));
        let action = self.policy.on(event, self.clock.now());
        if let (Some(how), Action::Start { .. }) = (&died, &action) {
            obituary::leave(&self.folder, frozen.is_some(), how);
        }
        if let Some(how) = died {
            self.tell_death(how, &action);
        }
        match action {
            Action::Wait => {}
            Action::Start { after } => self.start_at = Some(self.clock.now() + after),
            Action::Ask => self.ask(),
            Action::Terminate => return self.signal(Signal::TERM),
            Action::Kill => return self.signal(Signal::KILL),
            Action::Finish(outcome) => return Some(outcome),
        }
        None
    }

    fn start(&mut self) -> io::Result<()> {
        self.start_at = None;
        let (child, log_start) = self.launch.start(&self.folder.log(), Arc::clone(&self.handover))?;
        let pid = child.id().unwrap_or_default();
        tracing::info!(show = self.folder.show(), pid, "The bridge process was started.");
        self.process = Some(self.watched(Body::Child(child), log_start));
        self.tell(Notice::Started { pid });
        if self.policy.wish().is_some() {
            self.ask();
        }
        Ok(())
    }

    /// Brings the wish to the bridge, which may still be starting, or be stuck: then the deadline decides.
    fn ask(&mut self) {
        let Some(wish) = self.policy.wish() else { return };
        let (client, clock) = (BridgeClient::new(self.folder.clone()), self.clock.clone());
        self.asking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let asked = match wish {
                    Wish::End => client.end().await,
                    Wish::Suspend => client.suspend().await,
                };
                match asked {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%error, ?wish, "The bridge could not be asked yet."),
                }
                clock.sleep(ASK_PAUSE).await;
            }
        })));
    }

    /// Signals the process; without one the show is over.
    fn signal(&mut self, signal: Signal) -> Option<Outcome> {
        let pid = self.process.as_ref().and_then(|process| process.body.pid());
        let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
            return Some(Outcome::Clean);
        };
        // The process is not waited for yet, so that its id is nobody else's.
        if let Err(error) = kill_process(pid, signal) {
            tracing::warn!(%error, "The bridge process could not be signalled.");
        }
        None
    }

    fn note_frozen(&mut self, why: &'static str) -> Event {
        tracing::error!(show = self.folder.show(), why, "The bridge process is frozen.");
        if let Some(process) = &mut self.process {
            process.frozen = Some(why);
        }
        Event::Frozen
    }

    fn note_exit(&mut self, exit: Exit) -> Event {
        self.asking = None;
        Event::Exited(exit)
    }

    fn tell_death(&mut self, how: String, action: &Action) {
        let log_start = self.process.take().map_or(0, |process| process.log_start);
        let last_lines = log_file::last_lines(&self.folder.log(), log_start, LAST_LINES);
        let again_in = if let Action::Start { after } = action { Some(*after) } else { None };
        if matches!(action, Action::Finish(Outcome::Failed)) {
            tracing::info!(show = self.folder.show(), "The show cannot go on.");
        } else {
            tracing::error!(show = self.folder.show(), how, ?again_in, "The bridge process died.");
        }
        self.tell(Notice::Died { how, last_lines, again_in });
    }

    fn tell(&self, notice: Notice) {
        // A terminal that is gone needs no notice.
        drop(self.notices.send(notice));
    }
}

/// What can happen to a process by itself.
enum Life {
    Exited(Exit),
    Frozen(&'static str),
}

async fn life_of(process: &mut Option<Process>) -> Life {
    let Some(process) = process else { return std::future::pending().await };
    let is_watched = process.frozen.is_none();
    tokio::select! {
        exit = process.body.ended() => Life::Exited(exit),
        Ok(why) = &mut process.watching, if is_watched => Life::Frozen(why),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
