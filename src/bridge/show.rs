//! The composition root of a show: builds the stages, joins them, and drains them in the data's order.

mod begin;
mod close;
mod gate;
mod live;
mod mark;
mod mend;
mod on_air;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::BridgeError;
use super::archive::Archive;
use super::board::Board;
use super::conductor::{Outcome, Word};
use super::desk::SlateDesk;
use super::keeper::Keeper;
use super::mender::Mender;
use super::outputs::Outputs;
use super::protocol::{BridgeCommand, SHOW_FAILED};
use super::state_folder::{ShowLock, ShowRecord, StateFolder};
use super::telling::Telling;
use super::watchdog::Watchdog;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::media::SAMPLE_RATE;
use crate::program::Program;
use crate::status::ShowState;
use gate::Gate;
use live::LookedAt;

/// How often the status is put together: as often as the event stream repeats it.
const STATUS_INTERVAL: Duration = Duration::from_millis(super::protocol::STATUS_INTERVAL_MS);

/// How often the state folder is told that the show is alive.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// The program is handed on in blocks of 171 ms: so much of it may still be on its way.
const HAND_ON: Duration = Duration::from_millis(200);

/// Room of the ring beyond the delay: the longest segment and what the placement tolerates; 0.4 MB a second.
const RING_SECONDS: u32 = 12;

/// The delay of a Space, in samples: the operator may point any show at one.
const SPACE_DELAY: u64 = 6 * SAMPLE_RATE as u64;

/// An output that has been live for so many seconds has an audience: a fault does not take the show off the air then.
const LOOKED_AT: u64 = 30;

/// How long a show that fails at once still answers: whoever started it may only just be connecting to hear why.
const LAST_WORD: Duration = Duration::from_millis(700);

/// What is answered to orders that come too late.
const ENDING: &str = "The show is ending.";

/// How a show came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShowEnd {
    /// Finished, with final files.
    Ended,
    /// Recording safe, outputs closed, resumable.
    Suspended,
    /// Nothing could be had: the message says what to do.
    Failed(String),
}

/// Carries the show from going on the air to its end. `suspend` is a signal from outside (SIGTERM).
///
/// # Errors
/// [`BridgeError`] when the show cannot begin, or the program cannot go on.
pub async fn carry(
    config: ShowConfig,
    secrets: Secrets,
    folder: StateFolder,
    clock: Clock,
    suspend: CancellationToken,
) -> Result<ShowEnd, BridgeError> {
    let show = Show::begin(config, secrets, folder, clock).await?;
    show.carry(suspend).await
}

/// Everything a running show owns.
struct Show {
    config: ShowConfig,
    secrets: Secrets,
    clock: Clock,
    events: Events,
    keeper: Keeper,
    record: ShowRecord,
    archive: Archive,
    program: Arc<Program>,
    outputs: Outputs,
    board: Board,
    commands: mpsc::Receiver<BridgeCommand>,
    /// Operators' pictures that were looked at.
    pictures: (mpsc::UnboundedSender<LookedAt>, mpsc::UnboundedReceiver<LookedAt>),
    /// Other sources, for the conductor.
    orders: mpsc::Sender<Word>,
    /// The link of the other source that the conductor has not turned to yet.
    following: Option<String>,
    gate: Gate,
    /// Mends the recording; none where nobody wants it.
    mender: Option<Mender>,
    /// Whether somebody wants the end at once.
    is_hurried: bool,
    /// Its work beside the show.
    mending: Option<AbortOnDropHandle<()>>,
    /// Whether the show has an audience.
    on_the_air: Arc<AtomicBool>,
    conductor: JoinHandle<Outcome>,
    conductor_token: CancellationToken,
    socket_token: CancellationToken,
    socket: JoinHandle<()>,
    desk: SlateDesk,
    telling: Telling,
    watchdog: Watchdog,
    /// A signal from outside asks for a suspension.
    suspend: CancellationToken,
    /// Says when the recording's disk is short.
    _disk: Option<AbortOnDropHandle<()>>,
    _lock: ShowLock,
}

/// What made the loop end.
enum Verdict {
    SessionOver(Outcome),
    End,
    Suspend,
    ProgramFailed(String),
}

impl Show {
    async fn carry(mut self, suspend: CancellationToken) -> Result<ShowEnd, BridgeError> {
        self.suspend = suspend.clone();
        if self.record.repairing {
            self.stop_conductor().await;
            self.mend().await;
            return Ok(self.finish().await);
        }
        match self.run(suspend).await {
            Verdict::SessionOver(Outcome::Failed(message)) => {
                self.events.error(SHOW_FAILED, "show", message.clone(), None);
                self.wait(LAST_WORD).await;
                self.close(ShowState::Ended).await;
                Ok(ShowEnd::Failed(message))
            }
            Verdict::SessionOver(Outcome::Ended(heard)) => {
                self.hear_out(heard).await;
                self.closing_slate().await;
                self.mend().await;
                Ok(self.finish().await)
            }
            Verdict::End | Verdict::SessionOver(Outcome::Cancelled) => {
                self.stop_conductor().await;
                self.desk.close(&self.config.slate.texts.ended);
                self.board.set_slate(&self.config.slate.texts.ended);
                self.closing_slate().await;
                Ok(self.finish().await)
            }
            Verdict::Suspend => {
                self.suspend_stages().await;
                self.record.suspended_at = Some(self.clock.wall());
                self.close(ShowState::Suspended).await;
                Ok(ShowEnd::Suspended)
            }
            Verdict::ProgramFailed(reason) => {
                self.close(ShowState::Suspended).await;
                Err(BridgeError::Program(reason))
            }
        }
    }

    /// The show's own loop: commands, the conductor's end, the program's failure, and the status.
    async fn run(&mut self, suspend: CancellationToken) -> Verdict {
        let mut failed = self.program.failed();
        let give_up =
            self.config.show.give_up_after.map(|patience| tokio::time::Instant::now() + self.clock.real(patience));
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        let mut record = tokio::time::interval(RECORD_INTERVAL);
        loop {
            tokio::select! {
                () = suspend.cancelled() => return Verdict::Suspend,
                outcome = &mut self.conductor => {
                    // What broke here may be well in a new process, which goes on with the show.
                    return outcome.map_or_else(|error| Verdict::ProgramFailed(error.to_string()), Verdict::SessionOver);
                }
                Ok(()) = failed.changed() => {
                    let reason = failed.borrow().as_ref().map(ToString::to_string);
                    if let Some(reason) = reason {
                        return Verdict::ProgramFailed(reason);
                    }
                }
                Some(command) = self.commands.recv() => match command {
                    BridgeCommand::End => return Verdict::End,
                    BridgeCommand::Suspend => return Verdict::Suspend,
                    BridgeCommand::Mark { title, reply } => drop(reply.send(self.mark(&title))),
                    BridgeCommand::Live { order, reply } => self.live(order, reply),
                    BridgeCommand::Source { url, reply } => self.follow(url, reply),
                    BridgeCommand::Adopt { pid, reply } => drop(reply.send(self.board.adopt(pid, &self.events))),
                    BridgeCommand::Output { name, action, reply } => self.switch(&name, action, reply).await,
                },
                now = status.tick() => {
                    self.watchdog.heart().beat();
                    self.open_gate().await;
                    self.board.update(&self.events);
                    self.keep_pictures();
                    if self.board.is_abandoned() {
                        return Verdict::Suspend;
                    }
                    if self.board.is_looked_at(LOOKED_AT) {
                        self.on_the_air.store(true, Ordering::Relaxed);
                    }
                    if give_up.is_some_and(|give_up| now >= give_up) && !self.board.was_heard() {
                        let message = "The space has not started in the time that show.give_up_after gives it";
                        self.events.warning("show.gave_up", "show", message, Some("Run it again when the space is live."));
                        return Verdict::End;
                    }
                }
                _ = record.tick() => self.save_record(),
                () = self.outputs.published() => self.save_record(),
            }
        }
    }
}
