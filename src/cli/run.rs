//! `spacebridge run`: the small parent of a bridge. It shows the show, takes the operator's signals, and has the last
//! word; `status --watch` shows the same without being the parent.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::level_filters::LevelFilter;

use super::args::{Global, LogFormat, RunArgs};
use super::follow::{Heard, follow};
use super::plain::notice_lines;
use super::prepare::Prepared;
use super::take_over::make_way;
use super::tally::Tally;
use super::ui::{Face, Ui};
use super::view::{Input, Leaving};
use super::{logging, runtime, say, say_json, wiring};
use crate::bridge::client::BridgeClient;
use crate::bridge::protocol::{SHOW_FAILED, Update};
use crate::bridge::state_folder::{self, StateFolder};
use crate::clock::Clock;
use crate::status::{ShowState, ShowStatus};
use crate::supervisor::{Launch, Notice, Order, Outcome, Supervisor};

/// How long the last status is waited for when the bridge process is gone.
const LAST_STATUS: std::time::Duration = std::time::Duration::from_secs(1);

/// Carries a show from its beginning to its end.
pub(super) fn run(args: &RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let face = Face::choose(args.json, args.plain);
    let prepared = wiring::prepare(args, io::stdin().is_terminal() && io::stderr().is_terminal())?;
    let folder = StateFolder::open(&prepared.show)?;
    let runtime = runtime()?;
    runtime.block_on(make_way(&folder))?;
    let own_log = folder.path().join("run.log");
    let destination =
        if face == Face::Screen { logging::Destination::File(&own_log) } else { logging::Destination::Stderr };
    logging::start(global, LevelFilter::WARN, destination).context("cannot start the log")?;
    let launch = launch(&prepared, state_folder::root()?, global)?;
    let log = folder.log().display().to_string();
    runtime.block_on(async { carry(folder, launch, prepared, face).await?.last_word(&log) })
}

/// How the bridge of a prepared show is started.
pub(super) fn launch(prepared: &Prepared, state_root: PathBuf, global: &Global) -> anyhow::Result<Launch> {
    let mut launch = Launch::this_program(&prepared.show, state_root).context("cannot find this program")?;
    launch.secret_variables.clone_from(&prepared.secret_variables);
    launch.arguments.extend((0..global.verbose).map(|_| "-v".into()));
    if global.log_format == LogFormat::Json {
        launch.arguments.extend(["--log-format", "json"].map(Into::into));
    }
    Ok(launch)
}

/// Carries the show and shows it, until the bridge has ended for good.
pub(super) async fn carry(
    folder: StateFolder,
    launch: Launch,
    prepared: Prepared,
    face: Face,
) -> anyhow::Result<Carried> {
    let clock = Clock::system();
    let signals = Signals::listen()?;
    let (orders, taken) = mpsc::channel(8);
    let (notices, noticed) = mpsc::unbounded_channel();
    let client = BridgeClient::new(folder.clone());
    let supervisor = Supervisor::new(folder, launch, prepared.handover, prepared.closing, clock.clone(), notices);
    let (ui, inputs) = Ui::open(face, &prepared.show, Leaving::No, clock.clone())?;
    let parent = Parent {
        ui,
        clock,
        tally: Tally::default(),
        orders,
        leaving: Leaving::No,
        last_death: Vec::new(),
        last_status: None,
        told_why: false,
    };
    let supervising = tokio::spawn(supervisor.run(taken));
    parent.go(supervising, follow(client), noticed, inputs, signals).await
}

/// A show that is over.
pub(super) struct Carried {
    /// How its bridge ended.
    pub(super) outcome: Outcome,
    /// The last that was heard of it.
    pub(super) last_status: Option<ShowStatus>,
    ui: Ui,
    tally: Tally,
    last_death: Vec<String>,
}

/// The signals that mean something to a show.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// The parent while the show is on.
struct Parent {
    ui: Ui,
    clock: Clock,
    tally: Tally,
    orders: mpsc::Sender<Order>,
    leaving: Leaving,
    last_death: Vec<String>,
    last_status: Option<ShowStatus>,
    /// Whether the show itself has said why it cannot go on.
    told_why: bool,
}

impl Parent {
    async fn go(
        mut self,
        mut supervising: JoinHandle<io::Result<Outcome>>,
        mut heard: mpsc::Receiver<Heard>,
        mut notices: mpsc::UnboundedReceiver<Notice>,
        mut inputs: Option<mpsc::Receiver<Input>>,
        mut signals: Signals,
    ) -> anyhow::Result<Carried> {
        let mut last_notices = Vec::new();
        let outcome = loop {
            tokio::select! {
                outcome = &mut supervising => break outcome,
                Some(heard) = heard.recv() => self.hear(&heard),
                Some(notice) = notices.recv() => match notice {
                    // The show's own word on it may still be on its way.
                    Notice::Died { again_in: None, .. } => last_notices.push(notice),
                    notice => self.note(&notice),
                },
                Some(input) = pressed(&mut inputs) => match input {
                    Input::Leave => self.press(),
                    Input::Resized => self.ui.redraw(),
                },
                Some(()) = signals.interrupt.recv() => self.press(),
                Some(()) = signals.terminate.recv() => self.suspend(),
                Some(()) = signals.hangup.recv() => self.suspend(),
            }
        };
        while let Ok(Some(Heard::Update(update))) = tokio::time::timeout(LAST_STATUS, heard.recv()).await {
            self.hear(&Heard::Update(update));
        }
        last_notices.extend(std::iter::from_fn(|| notices.try_recv().ok()));
        last_notices.iter().for_each(|notice| self.note(notice));
        let outcome = outcome.context("the supervisor failed")?.context("cannot start the bridge process")?;
        let Self { ui, tally, last_death, last_status, .. } = self;
        Ok(Carried { outcome, last_status, ui, tally, last_death })
    }

    fn hear(&mut self, heard: &Heard) {
        match heard {
            Heard::Update(update) => {
                match update {
                    Update::Status(status) => {
                        self.tally.add(status, self.clock.now());
                        self.last_status = Some(status.as_ref().clone());
                    }
                    Update::Event(event) => self.told_why |= event.code == SHOW_FAILED,
                }
                self.ui.update(update);
            }
            Heard::Lost => self.ui.lost(),
            Heard::Failed(error) => tracing::error!(%error, "The bridge cannot be followed."),
        }
    }

    fn note(&mut self, notice: &Notice) {
        // What the show has said of itself need not be read in its log again.
        if self.told_why && matches!(notice, Notice::Died { again_in: None, .. }) {
            return;
        }
        if matches!(notice, Notice::Died { .. }) {
            self.last_death = notice_lines(notice);
        }
        self.ui.notice(notice);
    }

    /// Ctrl-C: first in order, then at once.
    fn press(&mut self) {
        match self.leaving {
            Leaving::No | Leaving::OnlyTheView => self.leave(Leaving::Ending, Order::End),
            Leaving::Ending | Leaving::Suspending => self.order(Order::Leave),
        }
    }

    /// SIGTERM, or a terminal that hung up: the host goes down, or nobody is there to end the show.
    fn suspend(&mut self) {
        match self.leaving {
            Leaving::Suspending => self.order(Order::Leave),
            _ => self.leave(Leaving::Suspending, Order::Suspend),
        }
    }

    fn leave(&mut self, leaving: Leaving, order: Order) {
        self.leaving = leaving;
        self.ui.leaving(leaving);
        self.order(order);
    }

    fn order(&self, order: Order) {
        if let Err(error) = self.orders.try_send(order) {
            tracing::warn!(%error, "An order to the supervisor was lost.");
        }
    }
}

impl Carried {
    /// What is said when everything is over, and the exit code.
    fn last_word(self, log: &str) -> anyhow::Result<ExitCode> {
        let Self { outcome, ui, tally, last_death, last_status } = self;
        let (was_screen, is_json) = (ui.is_screen(), ui.is_json());
        // Gives the terminal back, so that the last word stays on it.
        drop(ui);
        if was_screen && outcome != Outcome::Clean {
            last_death.iter().for_each(|line| say(line));
        }
        if let Some(words) = words_of(&outcome, log) {
            drop(writeln!(io::stderr(), "spacebridge: {words}"));
        }
        if is_json {
            tally.summary(outcome.exit_code()).map_or(Ok(()), |summary| say_json(&summary))?;
        } else {
            tally.lines().iter().for_each(|line| say(line));
            if last_status.is_some_and(|status| status.state == ShowState::Suspended) {
                say("The show is suspended: run the same command within 30 minutes to resume it.");
            }
        }
        Ok(outcome.exit_code().into())
    }
}

fn words_of(outcome: &Outcome, log: &str) -> Option<String> {
    match outcome {
        Outcome::Clean => None,
        Outcome::Failed => Some(format!("the show cannot go on; its log is {log}")),
        Outcome::BadConfiguration => Some(format!("the bridge refused its configuration; its log is {log}")),
        Outcome::GraceExceeded => Some(format!(
            "the bridge did not finish in time and was stopped; what was received is kept, and its log is {log}"
        )),
        Outcome::CrashLoop(how) => Some(format!(
            "the bridge died five times within a minute, last by {how}, and is left alone; what was received is kept, \
             and its log is {log}"
        )),
        Outcome::Crashed(how) => Some(format!("the bridge died by {how} while it was leaving; its log is {log}")),
    }
}

/// The next key; never, where no keys are read.
async fn pressed(inputs: &mut Option<mpsc::Receiver<Input>>) -> Option<Input> {
    match inputs {
        Some(inputs) => inputs.recv().await,
        None => None,
    }
}

/// Shows a show that another process carries, until it is over or the operator has seen enough.
pub(super) fn watch(client: BridgeClient) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let show = client.hello().await?.show;
        let mut signals = Signals::listen()?;
        let (mut ui, mut inputs) = Ui::open(Face::choose(false, false), &show, Leaving::OnlyTheView, Clock::system())?;
        let mut heard = follow(client);
        let mut over = false;
        loop {
            tokio::select! {
                Some(heard) = heard.recv() => match heard {
                    Heard::Update(update) => {
                        if let Update::Status(status) = &update {
                            over = matches!(status.state, ShowState::Ended | ShowState::Suspended);
                        }
                        ui.update(&update);
                    }
                    Heard::Lost if over => return Ok(ExitCode::SUCCESS),
                    Heard::Lost => ui.lost(),
                    Heard::Failed(error) => { drop(ui); return Err(error.into()) }
                },
                Some(input) = pressed(&mut inputs) => match input {
                    Input::Leave => return Ok(ExitCode::SUCCESS),
                    Input::Resized => ui.redraw(),
                },
                Some(()) = signals.interrupt.recv() => return Ok(ExitCode::SUCCESS),
                Some(()) = signals.terminate.recv() => return Ok(ExitCode::SUCCESS),
                Some(()) = signals.hangup.recv() => return Ok(ExitCode::SUCCESS),
            }
        }
    })
}
