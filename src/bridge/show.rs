//! The composition root of a show: builds the stages, joins them, and drains them in the data's order.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::board::Board;
use super::conductor::{Conductor, Handles, Outcome, SessionView, SourceSlot};
use super::desk::SlateDesk;
use super::outputs::Outputs;
use super::protocol::{BridgeCommand, BridgeService, SHOW_FAILED};
use super::state_folder::{ShowLock, ShowRecord, StateError, StateFolder, fingerprint};
use super::telling::Telling;
use super::{BridgeError, socket, sources};
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::encode::audio::AudioEncode;
use crate::gst;
use crate::media::{ProgramTime, SAMPLE_RATE, StereoSample};
use crate::program::{Program, ProgramSettings};
use crate::status::ShowState;

/// How often the status is put together: as often as the event stream repeats it.
const STATUS_INTERVAL: Duration = Duration::from_millis(super::protocol::STATUS_INTERVAL_MS);

/// How often the state folder is told that the show is alive.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// The program is handed on in blocks of 171 ms: so much of it may still be on its way.
const HAND_ON: Duration = Duration::from_millis(200);

/// Room of the ring beyond the delay: the longest segment and what the placement tolerates; 0.4 MB a second.
const RING_SECONDS: u32 = 12;

/// How long a show that fails at once still answers: whoever started it may only just be connecting to hear why.
const LAST_WORD: Duration = Duration::from_millis(700);

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
    let show = Show::begin(config, &secrets, folder, clock).await?;
    show.carry(suspend).await
}

/// Everything a running show owns.
struct Show {
    config: ShowConfig,
    clock: Clock,
    events: Events,
    folder: StateFolder,
    record: ShowRecord,
    archive: Archive,
    program: Arc<Program>,
    outputs: Outputs,
    board: Board,
    commands: mpsc::Receiver<BridgeCommand>,
    conductor: JoinHandle<Outcome>,
    conductor_token: CancellationToken,
    socket_token: CancellationToken,
    socket: JoinHandle<()>,
    desk: SlateDesk,
    telling: Telling,
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
    async fn begin(
        config: ShowConfig,
        secrets: &Secrets,
        folder: StateFolder,
        clock: Clock,
    ) -> Result<Self, BridgeError> {
        let lock = folder.lock()?;
        gst::init()?;
        check_machine(&config)?;
        let events = Events::new(clock.clone());
        let record = take_up(&folder, &config, &clock)?;
        let archive = Archive::open(&config, record.archive.as_deref(), &clock, &events)?;
        let slots = sources::build(&config, secrets, &clock)?;
        let (encode, feed) = AudioEncode::start(config.program.sample_rate, config.program.audio_kbps)?;
        let (program, desk) = start_media(&config, encode, &slots, &clock, &events).await?;
        let outputs = Outputs::start(&config, secrets, &feed, desk.timeline(), &clock, &events);
        let (view_sender, view) = watch::channel(SessionView::default());
        let board = Board::new(&config, &clock, &record, program.clone(), &outputs, &archive, view);
        let (status_sender, status) = watch::channel(Arc::new(board.status(&events)));
        let (command_sender, commands) = mpsc::channel(16);
        let told_of = (&folder, &record, archive.folder());
        let telling = Telling::start((&config, secrets), told_of, (&events, &clock), status.clone());
        let service = BridgeService { status, events: events.clone(), commands: command_sender };
        let (socket, socket_token) = start_socket(&folder, service);
        let board = board.publish_to(status_sender);
        let handles = Handles {
            clock: clock.clone(),
            events: events.clone(),
            program: program.clone(),
            archive: archive.clone(),
            desk: desk.clone(),
            texts: config.slate.texts.clone(),
            zone: TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC),
            view: view_sender,
        };
        let conductor = Conductor::new(handles, slots, archive.resume_point(record.playlist_url.clone()));
        let conductor_token = CancellationToken::new();
        let conductor = tokio::spawn(conductor.run(conductor_token.clone()));
        let mut show = Self {
            config,
            clock,
            events,
            folder,
            record,
            archive,
            program,
            outputs,
            board,
            commands,
            conductor,
            conductor_token,
            socket_token,
            socket,
            desk,
            telling,
            _lock: lock,
        };
        show.save_record();
        Ok(show)
    }

    async fn carry(mut self, suspend: CancellationToken) -> Result<ShowEnd, BridgeError> {
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
                Ok(self.finish().await)
            }
            Verdict::End | Verdict::SessionOver(Outcome::Cancelled) => {
                self.stop_conductor().await;
                self.desk.say(&self.config.slate.texts.ended, false, self.program.now());
                self.board.set_slate(&self.config.slate.texts.ended);
                self.closing_slate().await;
                Ok(self.finish().await)
            }
            Verdict::Suspend => {
                self.stop_conductor().await;
                self.archive.suspend().await;
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
        let give_up = self.config.show.give_up_after.map(|patience| tokio::time::Instant::now() + patience);
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        let mut record = tokio::time::interval(RECORD_INTERVAL);
        loop {
            tokio::select! {
                () = suspend.cancelled() => return Verdict::Suspend,
                outcome = &mut self.conductor => {
                    return Verdict::SessionOver(outcome.unwrap_or_else(|error| Outcome::Failed(error.to_string())));
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
                    BridgeCommand::Output { name, action, reply } => {
                        // A client that went away needs no answer.
                        drop(reply.send(self.outputs.act(&name, action).await));
                    }
                },
                now = status.tick() => {
                    self.board.update(&self.events);
                    if give_up.is_some_and(|give_up| now >= give_up) && !self.board.was_heard() {
                        let message = "The space has not started in the time that show.give_up_after gives it";
                        self.events.warning("show.gave_up", "show", message, Some("Run it again when the space is live."));
                        return Verdict::End;
                    }
                }
                _ = record.tick() => self.save_record(),
            }
        }
    }

    /// Waits until what was placed is heard; a second word to end or suspend cuts it short.
    async fn hear_out(&mut self, heard: ProgramTime) {
        let left = Duration::from_nanos(ProgramTime::from_samples(heard.since(self.program.now())).nanos());
        self.wait(left.min(Duration::from_secs(60))).await;
    }

    async fn closing_slate(&mut self) {
        self.board.set_state(ShowState::Ending);
        if self.outputs.is_empty() {
            return;
        }
        self.wait(self.config.show.closing + HAND_ON).await;
    }

    /// Waits, with the status going on, until the time is over or a command says that it is enough.
    async fn wait(&mut self, duration: Duration) {
        let until = tokio::time::Instant::now() + duration;
        let mut status = tokio::time::interval(STATUS_INTERVAL);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                Some(command) = self.commands.recv() => match command {
                    BridgeCommand::End | BridgeCommand::Suspend => return,
                    BridgeCommand::Output { name, action, reply } => drop(reply.send(self.outputs.act(&name, action).await)),
                },
                _ = status.tick() => self.board.update(&self.events),
            }
        }
    }

    async fn stop_conductor(&mut self) {
        self.conductor_token.cancel();
        let deadline = tokio::time::timeout(Duration::from_secs(5), &mut self.conductor).await;
        if deadline.is_err() {
            tracing::warn!("The source did not stop in time.");
            self.conductor.abort();
        }
    }

    async fn finish(&mut self) -> ShowEnd {
        self.outputs.stop().await;
        self.board.update(&self.events);
        let files = self.archive.finish(&self.config, &self.events).await;
        for file in &files {
            self.events.info("recording.file", "recording", format!("Ready to post: {file}"));
        }
        self.record.ended_at = Some(self.clock.wall());
        self.close(ShowState::Ended).await;
        ShowEnd::Ended
    }

    /// Closes the outputs and the socket; readers of the status see the last one.
    async fn close(&mut self, state: ShowState) {
        self.outputs.stop().await;
        self.board.set_state(state);
        self.board.update(&self.events);
        self.save_record();
        self.telling.finish().await;
        self.board.update(&self.events);
        self.socket_token.cancel();
        if (&mut self.socket).await.is_err() {
            tracing::warn!("The show's socket broke.");
        }
    }

    fn save_record(&mut self) {
        self.record.alive_at = self.clock.wall();
        self.record.archive = self.archive.folder();
        self.record.playlist_url = self.board.playlist_url().or(self.record.playlist_url.take());
        if let Err(error) = self.folder.save(&self.record) {
            tracing::warn!(%error, "The show's state could not be saved.");
        }
    }
}

/// The machine has what this show needs, or the error names every missing package.
fn check_machine(config: &ShowConfig) -> Result<(), BridgeError> {
    let missing = gst::elements::missing();
    if !missing.is_empty() {
        return Err(BridgeError::MissingElements(missing));
    }
    if config.outputs.iter().any(|output| output.url.scheme() == "rtmps") && !gst::elements::tls_available() {
        return Err(BridgeError::NoTls);
    }
    Ok(())
}

/// The record of an earlier run that this one goes on with, or a new one.
fn take_up(folder: &StateFolder, config: &ShowConfig, clock: &Clock) -> Result<ShowRecord, StateError> {
    let now = clock.wall();
    // What makes it the same show: its name and where its audio comes from.
    let identity = serde_json::to_vec(&(&config.show.name, &config.sources)).unwrap_or_default();
    let print = fingerprint(&identity);
    match folder.load()? {
        Some(mut record) if record.is_resumable(now, &print) => {
            record.resumes += 1;
            record.suspended_at = None;
            Ok(record)
        }
        _ => Ok(ShowRecord::new(&config.show.name, print, now)),
    }
}

/// The program and the slate that stands on it from its first moment.
async fn start_media(
    config: &ShowConfig,
    mut encode: AudioEncode,
    slots: &[SourceSlot],
    clock: &Clock,
    events: &Events,
) -> Result<(Arc<Program>, SlateDesk), BridgeError> {
    let delay = slots.iter().map(|slot| slot.delay).max().unwrap_or(0);
    let settings = ProgramSettings {
        gain_db: config.program.gain_db,
        limit_dbtp: config.program.limit_dbtp,
        hold: sources::hold_audio(config, events).await,
        capacity_seconds: RING_SECONDS + (delay / u64::from(SAMPLE_RATE)) as u32,
    };
    let first = encode.position();
    let consumer = Box::new(move |block: &[StereoSample]| encode.push(block).map_err(|error| error.to_string()));
    let program = Arc::new(Program::start(&settings, first, consumer).map_err(BridgeError::Thread)?);
    let desk = SlateDesk::start(config, program.clone(), clock, events).await?;
    Ok((program, desk))
}

fn start_socket(folder: &StateFolder, service: BridgeService) -> (JoinHandle<()>, CancellationToken) {
    let token = CancellationToken::new();
    let (folder, stop) = (folder.clone(), token.clone());
    let task = tokio::spawn(async move {
        if let Err(error) = socket::serve(&folder, service, stop).await {
            tracing::error!(%error, "The show's protocol is not served.");
        }
    });
    (task, token)
}
