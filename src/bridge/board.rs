//! The board: puts every stage's read model together into the show's status.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::archive::Archive;
use super::conductor::SessionView;
use super::desk::SlateDesk;
use super::orphan::Lineage;
use super::outputs::{OutputView, Outputs};
use super::state_folder::ShowRecord;
use super::words::{self, Situation};
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::ShowConfig;
use crate::media::{SAMPLE_RATE, Still};
use crate::program::{Level, Program};
use crate::status::{
    BridgeStatus, OutputState, PROTOCOL_VERSION, ProgramStatus, RecordingStatus, SessionStatus, ShowState, ShowStatus,
};
use crate::text;

/// Where the status is published.
pub(super) type StatusSender = watch::Sender<Arc<ShowStatus>>;

/// Where the picture that is on the air is published.
pub(super) type StillSender = watch::Sender<Option<Still>>;

/// Events in the status, for a client that has just come.
const RECENT: usize = 20;

/// Collects what the stages say of themselves.
pub(super) struct Board {
    show: String,
    clock: Clock,
    bridge: BridgeStatus,
    program: Arc<Program>,
    level: watch::Receiver<Level>,
    outputs: Vec<OutputView>,
    desk: SlateDesk,
    /// What was cut out of the program, in samples.
    cut: u64,
    recording: watch::Receiver<RecordingStatus>,
    view: watch::Receiver<SessionView>,
    forced: Option<ShowState>,
    /// When the outputs open, while they are closed.
    opens_at: Option<Timestamp>,
    /// What the slate says since the show itself took the word from its session.
    slate: Option<String>,
    /// What is happening, while the show itself says it.
    words: Option<String>,
    sender: Option<(StatusSender, StillSender)>,
    lineage: Lineage,
}

impl Board {
    /// A board over the stages of one show.
    pub(super) fn new(
        config: &ShowConfig,
        clock: &Clock,
        record: &ShowRecord,
        (program, desk): (Arc<Program>, SlateDesk),
        outputs: &Outputs,
        archive: &Archive,
        view: watch::Receiver<SessionView>,
    ) -> Self {
        Self {
            show: config.show.name.clone(),
            clock: clock.clone(),
            bridge: BridgeStatus {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: clock.wall(),
                resumes: record.resumes,
                orphaned: false,
            },
            level: program.level(),
            program,
            outputs: outputs.views(),
            desk,
            cut: 0,
            recording: archive.status(),
            view,
            forced: None,
            opens_at: None,
            slate: None,
            words: None,
            sender: None,
            lineage: Lineage::new(clock.clone()),
        }
    }

    /// Publishes to `sender` from now on.
    pub(super) fn publish_to(mut self, status: StatusSender, still: StillSender) -> Self {
        self.sender = Some((status, still));
        self
    }

    /// From now on the show is in `state`, whatever its session says.
    pub(super) fn set_state(&mut self, state: ShowState) {
        self.forced = Some(state);
        self.words = None;
    }

    /// What is happening, until the state changes.
    pub(super) fn set_words(&mut self, words: String) {
        self.words = Some(words);
    }

    /// The outputs are closed until then, or open.
    pub(super) fn set_opening(&mut self, opens_at: Option<Timestamp>) {
        self.opens_at = opens_at;
    }

    /// From now on these are the outputs.
    pub(super) fn set_outputs(&mut self, outputs: &Outputs) {
        self.outputs = outputs.views();
    }

    /// So much more was cut out of the program.
    pub(super) fn add_cut(&mut self, samples: u64) {
        self.cut += samples;
    }

    /// What is known of the session.
    pub(super) fn view(&self) -> watch::Ref<'_, SessionView> {
        self.view.borrow()
    }

    /// From now on the slate says `line`, whatever its session says.
    pub(super) fn set_slate(&mut self, line: &str) {
        self.slate = Some(line.to_owned());
    }

    /// Whether any session ever had audio for the air.
    pub(super) fn was_heard(&self) -> bool {
        self.view.borrow().heard
    }

    /// Whether an output has been live for `seconds`.
    pub(super) fn is_looked_at(&self, seconds: u64) -> bool {
        self.outputs.iter().any(|output| {
            let output = output.status();
            output.state == OutputState::Live && output.state_seconds >= seconds
        })
    }

    /// Whether nobody supervises this process any more, for so long that its show is suspended.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lineage.is_abandoned()
    }

    /// From now on process `pid` supervises this one.
    ///
    /// # Errors
    /// In words, when there is no such process.
    pub(super) fn adopt(&mut self, pid: u32, events: &Events) -> Result<(), String> {
        self.lineage.adopt(pid, events)?;
        self.update(events);
        Ok(())
    }

    /// Puts the status together and publishes it.
    pub(super) fn update(&mut self, events: &Events) {
        self.lineage.look(events);
        self.bridge.orphaned = self.lineage.is_orphaned();
        if let Some((status, still)) = &self.sender {
            still.send_replace(self.desk.still());
            status.send_replace(Arc::new(self.status(events)));
        }
    }

    /// The show as it is now.
    pub(super) fn status(&self, events: &Events) -> ShowStatus {
        let view = self.view.borrow();
        let state = state_of(&view, self.forced);
        ShowStatus {
            protocol: PROTOCOL_VERSION,
            show: self.show.clone(),
            bridge: self.bridge.clone(),
            state,
            words: self.words.clone().unwrap_or_else(|| {
                words::sentence(&Situation {
                    state,
                    outputs: (self.live_outputs(), self.outputs.len()),
                    start: view.start,
                    opens_at: self.opens_at,
                    holds_until: view.holds_until,
                    now: self.clock.schedule(),
                })
            }),
            session: session(&view),
            sources: view.sources.clone(),
            program: self.program(&view),
            slate: self.slate.clone().unwrap_or_else(|| view.slate.clone()),
            slate_version: self.desk.still().map(|still| still.version),
            own_slate: self.desk.own(),
            outputs: self.outputs.iter().map(OutputView::status).collect(),
            recording: self.recording.borrow().clone(),
            events: events.recent(RECENT),
        }
    }

    fn live_outputs(&self) -> usize {
        self.outputs.iter().filter(|output| output.status().state == OutputState::Live).count()
    }

    fn program(&self, view: &SessionView) -> ProgramStatus {
        let level = *self.level.borrow();
        let ms = |samples: u64| samples * 1000 / u64::from(SAMPLE_RATE);
        ProgramStatus {
            seconds: self.program.now().seconds(),
            buffered_ms: ms(self.program.ahead()),
            holding: self.program.is_holding(),
            peak_dbfs: level.peak_dbfs,
            rms_dbfs: level.rms_dbfs,
            short_term_lufs: level.short_term_lufs,
            late_ms: ms(view.late),
            skipped_ms: ms(view.skipped),
            public_delay_ms: ms(self.program.public_delay()),
            cut_ms: ms(self.cut),
        }
    }
}

fn state_of(view: &SessionView, forced: Option<ShowState>) -> ShowState {
    forced.unwrap_or_else(|| view.state.map_or(ShowState::Starting, words::show_state))
}

fn session(view: &SessionView) -> Option<SessionStatus> {
    if view.info.id.is_empty() {
        return None;
    }
    let plain = |value: &Option<String>| value.as_deref().map(|value| text::plain(value, 200));
    Some(SessionStatus {
        id: view.info.id.clone(),
        title: plain(&view.info.title),
        host: plain(&view.info.host),
        platform_state: plain(&view.info.platform_state),
        scheduled_start: view.info.scheduled_start,
        started_at: view.info.started_at,
        speakers: view.speakers.clone(),
        anchor_samples: view.anchor,
        segments: view.segments,
    })
}
