//! Paths that come and go, on a real program and a real slate, without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::alert::Events;
use crate::bridge::desk::SlateDesk;
use crate::clock::Clock;
use crate::config::{FailoverMode, Known, ShowConfig};
use crate::media::PcmBlock;
use crate::program::{EARLY_BLOCK_FRAMES, Program, ProgramSettings};
use crate::source::{Attempt, Source, SourceContext};

const CONFIG: &str = "[show]\nname = \"a\"\ntimezone = \"UTC\"\n[[source]]\nkind = \"tone\"\n\
    [slate]\nwidth = 160\nheight = 160\nvideo_kbps = 0\n";

/// A stream that gives a block every 20 ms, and takes its time to leave; or that fails after that time.
struct Stream {
    name: &'static str,
    goodbye: Duration,
    fails: bool,
    began: Arc<AtomicU32>,
}

impl Stream {
    async fn give(&mut self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        self.began.fetch_add(1, Ordering::Relaxed);
        let info = SessionInfo { id: self.name.into(), phase: SessionPhase::Live, ..SessionInfo::default() };
        context.send(SourceEvent::Session(info)).await?;
        if self.fails {
            tokio::time::sleep(self.goodbye).await;
            return Err(SourceError::operator("log in again"));
        }
        let speaker = Speaker { id: "1".into(), name: self.name.into(), muted: None, talking: true };
        context.send(SourceEvent::Speakers(vec![speaker])).await?;
        let mut media_time = 0;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tokio::select! {
                () = context.token.cancelled() => break,
                _ = tick.tick() => {
                    let samples = vec![[0.1; 2]; 960];
                    context.send(SourceEvent::Audio(PcmBlock { media_time, samples })).await?;
                    media_time += 960;
                }
            }
        }
        tokio::time::sleep(self.goodbye).await;
        Ok(SourceEnd::Cancelled)
    }
}

impl Source for Stream {
    fn describe(&self) -> String {
        self.name.to_owned()
    }

    fn default_delay(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn is_continuous(&self) -> bool {
        true
    }

    fn run(&mut self, context: SourceContext) -> Attempt<'_> {
        Box::pin(self.give(context))
    }
}

struct Show {
    orders: mpsc::Sender<Word>,
    view: watch::Receiver<SessionView>,
    token: CancellationToken,
    running: JoinHandle<Outcome>,
    events: Events,
    began: Vec<Arc<AtomicU32>>,
    _folder: tempfile::TempDir,
}

impl Show {
    /// A show of streams, each with the time that it takes to leave; those named warm are, the one named broken fails.
    async fn of(streams: &[(&'static str, Duration)]) -> Self {
        crate::gst::init().expect("GStreamer");
        let known = Known { presets: &[], space_link: &|link| Ok(link.to_owned()) };
        let folder = tempfile::tempdir().expect("a folder");
        let config = crate::config::read(CONFIG, folder.path(), known).expect("a configuration");
        let (clock, began): (Clock, Vec<_>) = (Clock::system(), streams.iter().map(|_| Arc::default()).collect());
        let stream = |(stream, began): (&(&'static str, Duration), &Arc<AtomicU32>)| {
            let source =
                Stream { name: stream.0, goodbye: stream.1, fails: stream.0 == "broken", began: began.clone() };
            SourceSlot::new(Box::new(source), 9_600).standing_by(stream.0.starts_with("warm"))
        };
        let slots = streams.iter().zip(&began).map(stream).collect();
        let (view_sender, view) = watch::channel(SessionView::default());
        let handles = handles(&config, folder.path(), clock, view_sender).await;
        let events = handles.events.clone();
        let (orders, inbox) = mpsc::channel(4);
        let token = CancellationToken::new();
        let running = tokio::spawn(Conductor::new(handles, slots, None, None, inbox).run(token.clone()));
        Self { orders, view, token, running, events, began, _folder: folder }
    }

    async fn pin(&self, name: &str) {
        self.orders.send(Word::Pin(Some(name.to_owned()))).await.expect("a conductor");
    }

    /// Waits until source `index` is heard and well.
    async fn hears(&self, index: usize, within: Duration) {
        let heard = |show: &Self| show.view.borrow().sources.get(index).is_some_and(|one| one.active && one.healthy);
        self.until(&format!("{index} is heard"), within, |show| heard(show).then_some(())).await;
    }

    /// Waits for what `look` gives.
    async fn until<T>(&self, what: &str, within: Duration, look: impl Fn(&Self) -> Option<T>) -> T {
        let until = Instant::now() + within;
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(!self.running.is_finished(), "the show is over");
            assert!(Instant::now() < until, "not in time: {what}; {:?}", self.view.borrow().sources);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ends(self) {
        self.token.cancel();
        assert_eq!(self.running.await.expect("a conductor"), Outcome::Cancelled);
    }
}

async fn handles(
    config: &ShowConfig,
    folder: &std::path::Path,
    clock: Clock,
    view: watch::Sender<SessionView>,
) -> Handles {
    let events = Events::new(clock.clone());
    let settings = ProgramSettings {
        gain_db: 0.0,
        limit_dbtp: None,
        hold: Vec::new().into(),
        capacity_seconds: 60,
        public_delay: Duration::ZERO,
        block_frames: EARLY_BLOCK_FRAMES,
    };
    let program = Program::start(&settings, ProgramTime::from_samples(0), Box::new(|_| Ok(()))).expect("a thread");
    let program = Arc::new(program);
    let desk = SlateDesk::start(config, program.clone(), (folder, None), &clock, &events).await.expect("a slate");
    let mut failover = config.failover.clone();
    failover.mode = FailoverMode::LowLatency;
    Handles {
        clock,
        events,
        program,
        archive: Archive::closed(),
        desk,
        texts: config.slate.texts.clone(),
        zone: TimeZone::UTC,
        failover,
        view,
        start: None,
        follow: None,
        on_the_air: Arc::new(AtomicBool::new(true)),
    }
}

#[tokio::test]
async fn who_speaks_is_what_the_path_on_the_air_says_of_it_though_it_said_so_long_ago() {
    let show = Show::of(&[("near", Duration::ZERO), ("warm", Duration::ZERO)]).await;
    show.hears(0, Duration::from_secs(5)).await;
    let stands_by = |show: &Show| show.view.borrow().sources[1].healthy.then_some(());
    show.until("one stands by", Duration::from_secs(5), stands_by).await;
    show.pin("warm").await;
    show.hears(1, Duration::from_secs(2)).await;
    let named =
        |show: &Show| show.view.borrow().speakers.iter().map(|one| one.name.as_str()).eq(["warm"]).then_some(());
    show.until("its people are named", Duration::from_secs(2), named).await;
    show.ends().await;
}

#[tokio::test]
async fn a_source_that_stands_by_when_the_first_one_cannot_be_had_is_heard_and_that_is_not_the_operators_wish() {
    let show = Show::of(&[("broken", Duration::from_millis(300)), ("warm", Duration::ZERO)]).await;
    show.hears(1, Duration::from_secs(5)).await;
    let switched = |event: &crate::alert::Event| event.code == "source.switched";
    let told = |show: &Show| show.events.recent(20).into_iter().find(switched).map(|event| event.message.clone());
    let message = show.until("that is told", Duration::from_secs(5), told).await;
    assert!(message.starts_with("broken was lost; warm is heard instead"), "{message}");
    show.ends().await;
}

#[tokio::test]
async fn a_source_that_leaves_slowly_neither_holds_up_the_next_one_nor_ends_the_show_nor_is_lost() {
    let show = Show::of(&[("near", Duration::from_millis(2_300)), ("far", Duration::ZERO)]).await;
    show.hears(0, Duration::from_secs(5)).await;
    show.pin("far").await;
    show.hears(1, Duration::from_millis(1_500)).await;
    // It is still leaving when it is wanted again.
    show.pin("near").await;
    let again = |show: &Show| (show.began[0].load(Ordering::Relaxed) >= 2).then_some(());
    show.until("it comes again", Duration::from_secs(8), again).await;
    show.hears(0, Duration::from_secs(3)).await;
    show.ends().await;
}
