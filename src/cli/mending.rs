//! What `archive` and `recordings repair` share: a repair with a bar and Ctrl-C, and what is said of its end.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::words::{clean, clock, whole};
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::ShowConfig;
use crate::episode::{self, EpisodeMeta};
use crate::gst;
use crate::recording::{Recording, SessionArchive};
use crate::repair::{Doing, Repair, RepairEnd, RepairPolicy, RepairProgress};
use crate::source::Past;
use crate::source::past::PastQuery;
use crate::status::Gap;

/// What is mended.
pub(super) struct Mending {
    pub(super) recording: Arc<Recording>,
    pub(super) past: Arc<dyn Past>,
    pub(super) session: String,
    pub(super) damaged: HashSet<String>,
    pub(super) patience: Duration,
    /// Whether a bar may be drawn.
    pub(super) bar: bool,
}

/// How a session is now.
#[derive(Debug, Serialize)]
pub(super) struct Mended {
    pub(super) session: String,
    /// `whole`, `given_up`, or `pending`: stopped, to be gone on with.
    pub(super) state: &'static str,
    /// Seconds that are missing.
    pub(super) missing_seconds: f64,
    /// Why, where something is missing.
    pub(super) why: Option<String>,
    /// What is missing, in seconds of the session; it began at 0 or, where what was said before was had, before.
    pub(super) gaps: Vec<Gap>,
}

impl Mending {
    /// Mends it, until it is over or somebody interrupts.
    pub(super) async fn run(self) -> anyhow::Result<Mended> {
        let clock = Clock::system();
        let (sender, mut progress) = watch::channel(RepairProgress::default());
        let token = CancellationToken::new();
        let repair = Repair {
            recording: self.recording.clone(),
            past: self.past,
            query: PastQuery { session: self.session.clone(), playlist_url: None },
            damaged: self.damaged,
            clock: clock.clone(),
            events: Events::new(clock.clone()),
            token: token.clone(),
            progress: sender,
            from_the_beginning: Default::default(),
        };
        let policy = RepairPolicy { until: Some(clock.now() + self.patience), look_anyway: true };
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
        let bar = if self.bar && std::io::stderr().is_terminal() { bar() } else { ProgressBar::hidden() };
        let work = repair.after(policy);
        tokio::pin!(work);
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let end = loop {
            tokio::select! {
                end = &mut work => break end,
                _ = interrupt.recv() => token.cancel(),
                _ = terminate.recv() => token.cancel(),
                _ = tick.tick() => show(&bar, &progress.borrow_and_update(), &clock),
            }
        };
        bar.finish_and_clear();
        self.recording.flush().await;
        Ok(mended(&self.recording, self.session, end))
    }
}

fn mended(recording: &Recording, session: String, end: RepairEnd) -> Mended {
    let gaps = recording.archive().session(&session).map(SessionArchive::gap_list).unwrap_or_default();
    let (state, missing_seconds, why) = match end {
        RepairEnd::Whole => ("whole", 0.0, None),
        RepairEnd::GivenUp { left, why } => ("given_up", left, Some(why)),
        RepairEnd::Pending { left, why } => ("pending", left, Some(why)),
    };
    Mended { session, state, missing_seconds, why, gaps }
}

impl Mended {
    /// For people.
    pub(super) fn lines(&self, again: &str) -> Vec<String> {
        let why = self.why.as_deref().map(clean).unwrap_or_default();
        let missing = self.missing_seconds;
        let mut lines = vec![match self.state {
            "whole" => format!("{}: whole", clean(&self.session)),
            "given_up" => format!("{}: {missing:.1} s stay missing: {why}", clean(&self.session)),
            _ => format!("{}: {missing:.1} s are missing, {why}; go on with: {again}", clean(&self.session)),
        }];
        lines.extend(self.gaps.iter().map(|gap| {
            let sign = if gap.start_seconds < 0.0 { "-" } else { "" };
            let (at, length) = (clock(whole(gap.start_seconds.abs())), gap.end_seconds - gap.start_seconds);
            format!("  at {sign}{at}: {length:.1} s, {}", clean(&gap.cause))
        }));
        lines
    }
}

/// Makes the finished files anew; their paths. `config` gives title, host, zone and cover.
pub(super) async fn finish(recording: &Recording, config: &ShowConfig) -> anyhow::Result<Vec<String>> {
    gst::init()?;
    let meta = EpisodeMeta {
        title: config.show.title.clone(),
        host: config.show.host.clone(),
        timezone: TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC),
        cover: config.slate.artwork.clone(),
    };
    let finished = episode::finish(recording, meta).await?;
    let path = |file: &str| Path::new(recording.folder()).join(file).display().to_string();
    Ok(finished.files.iter().map(|file| path(&file.file)).collect())
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {eta} left  {msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, progress: &RepairProgress, clock: &Clock) {
    if let Doing::Fetching { fetched, total } = progress.doing {
        bar.set_length(total as u64);
        bar.set_position(fetched as u64);
        bar.set_message("");
    } else {
        bar.set_message(clean(&progress.words(clock.now())));
    }
}
