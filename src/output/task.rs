//! The task of one output: the only owner of its connection, and the one who speaks about it.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::connection::{Connection, Wake};
use super::fault::{FaultClass, OutputFault};
use super::group::Member;
use super::rate::Rate;
use super::slow::Slowness;
use super::state::{Action, Event, Machine};
use super::voice::Voice;
use super::{OutputCommand, OutputInputs, OutputSettings, words};
use crate::alert::Events;
use crate::gst::rtmp::{AddressError, RtmpFault, RtmpTarget};
use crate::gst::{BusEvent, Fault};
use crate::status::{BudgetStatus, OutputState, OutputStatus};

/// How often the bytes out are looked at.
const TICK: Duration = Duration::from_millis(200);

/// How often the status is told while nothing changes.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// As much of a library's words as an operator is shown.
const DETAIL_CHARS: usize = 160;

/// What an output has done over all its connections.
#[derive(Debug, Default)]
struct Totals {
    connections: u32,
    failures: u32,
    /// Without those of the connection that is open.
    bytes: u64,
    /// Without those of the connection that is open.
    dropped: u64,
    abandoned: u32,
}

pub(super) struct Task {
    name: String,
    subject: String,
    server: String,
    enabled: bool,
    target: Result<RtmpTarget, AddressError>,
    inputs: OutputInputs,
    events: Events,
    member: Member,
    machine: Machine,
    connection: Option<Connection>,
    totals: Totals,
    rate: Rate,
    last_error: Option<String>,
    fault: Option<FaultClass>,
    voice: Voice,
    slowness: Slowness,
    publishes: watch::Sender<Vec<Instant>>,
    status: watch::Sender<OutputStatus>,
    status_at: Instant,
    live_since: Option<jiff::Timestamp>,
}

impl Task {
    pub(super) fn new(
        settings: OutputSettings,
        inputs: OutputInputs,
        events: Events,
    ) -> (Self, watch::Receiver<OutputStatus>, watch::Receiver<Vec<Instant>>) {
        let now = inputs.clock.now();
        let budget = Budget::new(settings.budget, &settings.spent, &inputs.clock);
        let (publishes, published) = watch::channel(budget.spent(now).collect());
        let target = RtmpTarget::new(&settings.url, settings.key.as_ref());
        let host = settings.url.host_str().unwrap_or_default();
        let server = target.as_ref().map_or(format!("{}://{host}", settings.url.scheme()), RtmpTarget::server);
        let (status, receiver) = watch::channel(blank(&settings.name, &server));
        let task = Self {
            subject: format!("output {}", settings.name),
            name: settings.name,
            server,
            enabled: settings.enabled,
            target,
            inputs,
            events,
            member: settings.group.unwrap_or_default().enter(),
            machine: Machine::new(budget, now),
            connection: None,
            totals: Totals::default(),
            rate: Rate::default(),
            last_error: None,
            fault: None,
            voice: Voice::default(),
            slowness: Slowness::default(),
            publishes,
            status,
            status_at: now,
            live_since: None,
        };
        (task, receiver, published)
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<OutputCommand>, token: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.enabled {
            self.on(Event::Begin).await;
        }
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                Some(command) = commands.recv() => self.on(command.into()).await,
                _ = tick.tick() => self.tick().await,
                wake = wake(&mut self.connection) => match wake {
                    Wake::Frame(frame) => {
                        if let Some(connection) = &mut self.connection {
                            connection.feed(&frame, &self.member);
                        }
                    }
                    Wake::Bus(event) => self.bus(event).await,
                },
            }
        }
        self.on(Event::Stop).await;
    }

    async fn tick(&mut self) {
        let now = self.inputs.clock.now();
        if let Some(connection) = &self.connection {
            let carried = connection.carried();
            self.rate.note(carried.bytes, now);
            if let Some(news) = self.slowness.note(carried, now) {
                words::slow(&self.events, &self.subject, &self.server, news);
            }
            self.on(Event::Progress { bytes: carried.bytes, offered: carried.offered }).await;
            if self.machine.has_lasted() {
                self.voice.settle();
            }
        }
        self.on(Event::Tick).await;
        self.tell_budget();
        if now.saturating_duration_since(self.status_at) >= STATUS_EVERY {
            self.tell();
        }
    }

    async fn bus(&mut self, event: BusEvent) {
        let mut fault = match event {
            BusEvent::Fault(fault) => self.class(&fault),
            // Nobody asked for it: the sink came to an end by itself.
            BusEvent::Eos => OutputFault::plain(FaultClass::Closed),
        };
        if let Action::Fail(class) = self.machine.on(Event::Fault(fault.class), self.inputs.clock.now()) {
            fault.class = class;
            self.fail(fault).await;
        }
    }

    async fn on(&mut self, event: Event) {
        let before = self.machine.state();
        match self.machine.on(event, self.inputs.clock.now()) {
            Action::None => {}
            Action::Connect => self.connect().await,
            Action::Disconnect => {
                if let Some(connection) = self.forget() {
                    let came_down = connection.close_in_order().await;
                    self.closed(came_down);
                }
            }
            Action::Fail(class) => self.fail(OutputFault::plain(class)).await,
        }
        let after = self.machine.state();
        if before != after {
            if after == OutputState::Live {
                self.totals.connections += 1;
                self.fault = None;
                self.publishes.send_replace(self.machine.budget().spent(self.inputs.clock.now()).collect());
                self.events.info("output.live", &self.subject, format!("On the air at {}.", self.server));
            }
            self.tell();
        }
    }

    async fn connect(&mut self) {
        self.member.connecting();
        let opened = match &self.target {
            Ok(target) => Connection::open(target, &self.inputs, self.machine.patience()).await,
            Err(error) => Err(error.clone().into()),
        };
        match opened {
            Ok(connection) => self.connection = Some(connection),
            Err(fault) => {
                self.machine.on(Event::Fault(fault.class), self.inputs.clock.now());
                self.fail(fault).await;
            }
        }
    }

    /// Drops the connection, then tells. A pipeline that failed may burn a core until it is stopped.
    async fn fail(&mut self, fault: OutputFault) {
        if let Some(connection) = self.forget() {
            let came_down = connection.close().await;
            self.closed(came_down);
        }
        self.totals.failures += 1;
        self.fault = Some(fault.class);
        let message = fault.message(&self.server);
        let remedy = fault.class.remedy(&self.name);
        if let Some(say) = self.voice.fault(fault.class, self.inputs.clock.now()) {
            words::fault(&self.events, &self.subject, fault.class, say, &message, remedy.as_deref());
        }
        self.last_error = Some(remedy.map_or(message.clone(), |remedy| format!("{message} {remedy}")));
        self.tell_budget();
        self.tell();
    }

    fn tell_budget(&mut self) {
        if self.voice.budget(self.machine.is_held(), self.inputs.clock.now()) {
            words::budget(&self.events, &self.subject, &self.name, self.machine.budget());
        }
    }

    fn closed(&mut self, came_down: bool) {
        if !came_down {
            self.totals.abandoned += 1;
            words::abandoned(&self.events, &self.subject, self.totals.abandoned);
        }
    }

    /// Takes the connection out, with what it has done.
    fn forget(&mut self) -> Option<Connection> {
        // An attempt that came to nothing leaves its group too.
        self.member.leave();
        let connection = self.connection.take()?;
        self.totals.bytes += connection.bytes_out();
        self.totals.dropped += connection.dropped();
        self.rate.clear();
        self.slowness = Slowness::default();
        Some(connection)
    }

    fn class(&self, fault: &Fault) -> OutputFault {
        let live = self.machine.state() == OutputState::Live;
        let proven = self.machine.is_proven(self.inputs.clock.now());
        let class = FaultClass::of(RtmpFault::of(fault), live, proven);
        let text = self.target.as_ref().map_or(String::new(), |target| target.redact(&fault.text));
        tracing::debug!(output = self.name, error = text, "Connection failed.");
        let words = matches!(class, FaultClass::Rejected | FaultClass::Busy | FaultClass::Other);
        // The first line is GStreamer's message; its details follow in parentheses, with places in its source.
        let line = text.lines().next().unwrap_or_default().split(" (").next().unwrap_or_default();
        let clean = line.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS);
        OutputFault { class, detail: if words { clean.collect() } else { String::new() } }
    }

    fn tell(&mut self) {
        let now = self.inputs.clock.now();
        self.status_at = now;
        let live = self.machine.state() == OutputState::Live;
        self.live_since = live.then(|| self.live_since.unwrap_or_else(|| self.inputs.clock.wall()));
        let connection = self.connection.as_ref();
        self.status.send_replace(OutputStatus {
            state: self.machine.state(),
            state_seconds: self.machine.in_state(now).as_secs(),
            live_since: self.live_since,
            connections: self.totals.connections,
            failures: self.totals.failures,
            bytes_out: self.totals.bytes + connection.map_or(0, Connection::bytes_out),
            kbps: self.rate.kbps(),
            dropped_frames: self.totals.dropped + connection.map_or(0, Connection::dropped),
            last_error: self.last_error.clone(),
            retry_in_seconds: self.machine.retry_in(now).map(|wait| wait.as_secs()),
            fault: self
                .fault
                .filter(|_| self.machine.state() != OutputState::Stopped)
                .map(|fault| fault.code().to_owned()),
            budget: budget_of(&self.machine, now),
            abandoned: self.totals.abandoned,
            ..blank(&self.name, &self.server)
        });
    }
}

fn budget_of(machine: &Machine, now: Instant) -> BudgetStatus {
    let budget = machine.budget();
    BudgetStatus {
        limit: budget.limit(),
        used: u32::try_from(budget.spent(now).count()).unwrap_or(u32::MAX),
        next_in_seconds: machine.retry_in(now).filter(|_| machine.is_held()).map(|wait| wait.as_secs()),
    }
}

impl From<OutputCommand> for Event {
    fn from(command: OutputCommand) -> Self {
        match command {
            OutputCommand::Start => Self::Start,
            OutputCommand::Stop => Self::Stop,
            OutputCommand::Restart => Self::Restart,
        }
    }
}

async fn wake(connection: &mut Option<Connection>) -> Wake {
    match connection {
        Some(connection) => connection.wake().await,
        None => std::future::pending().await,
    }
}

fn blank(name: &str, server: &str) -> OutputStatus {
    OutputStatus {
        name: name.to_owned(),
        server: server.to_owned(),
        state: OutputState::Stopped,
        state_seconds: 0,
        live_since: None,
        connections: 0,
        failures: 0,
        bytes_out: 0,
        kbps: 0,
        dropped_frames: 0,
        last_error: None,
        retry_in_seconds: None,
        fault: None,
        budget: BudgetStatus::default(),
        abandoned: 0,
    }
}
