//! The slate's desk: who the show is, what is happening and what time it is, as pictures on the program.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::BridgeError;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::ShowConfig;
use crate::encode::picture::{DeskServices, FrameSource, PATIENCE, PictureDesk, PictureSettings};
use crate::media::{PictureTimeline, ProgramTime};
use crate::picture::{Slate, SlateContent};
use crate::program::Program;

/// The slate's drawing room, as the encoder knows it.
struct Drawn(Slate);

impl FrameSource for Drawn {
    type Content = SlateContent;

    fn is_urgent(&self, from: &SlateContent, to: &SlateContent) -> bool {
        from.line != to.line || from.live != to.live
    }

    fn frames(&self, content: &SlateContent) -> Box<dyn FnMut(usize) -> Vec<u8>> {
        let frames = self.0.frames(content);
        Box::new(move |index| frames.frame(index))
    }
}

/// What the slate shows, and who has the last word on it.
#[derive(Debug)]
struct Content {
    slate: SlateContent,
    /// The operator's own words win over the space's.
    own_title: bool,
    own_host: bool,
    /// From when on the last line holds: a new title or minute must not bring it forward.
    from: ProgramTime,
}

/// Says what the slate shows. Clones share one slate; the clock on it goes by itself.
#[derive(Debug, Clone)]
pub(super) struct SlateDesk {
    content: Arc<Mutex<Content>>,
    requests: tokio::sync::mpsc::UnboundedSender<(SlateContent, ProgramTime)>,
    timeline: watch::Receiver<Arc<PictureTimeline>>,
    program: Arc<Program>,
    _end: Arc<tokio_util::sync::DropGuard>,
}

impl SlateDesk {
    /// Encodes the first slate and puts it on the program.
    ///
    /// # Errors
    /// When no picture can be encoded at all. Files of the operator that cannot be used are an event, and the default
    /// slate takes their place.
    pub(super) async fn start(
        config: &ShowConfig,
        program: Arc<Program>,
        clock: &Clock,
        events: &Events,
    ) -> Result<Self, BridgeError> {
        let (slate, fault) = Slate::load_or_default(&config.slate);
        if let Some(fault) = fault {
            events.error("slate.file", "slate", format!("The default slate is on the air: {fault}"), None);
        }
        let zone = TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC);
        let first = SlateContent {
            title: config.show.title.clone().unwrap_or_default(),
            host: config.show.host.clone().unwrap_or_default(),
            line: config.slate.texts.connecting.clone(),
            live: false,
            clock: config.slate.clock.then(|| time_of_day(clock, &zone)),
        };
        let settings = PictureSettings { format: config.slate.format, video_kbps: config.slate.video_kbps };
        let token = CancellationToken::new();
        let services =
            DeskServices { clock: clock.clone(), events: events.clone(), token: token.clone(), patience: PATIENCE };
        let reached = program.clone();
        let (desk, timeline) =
            PictureDesk::start(Drawn(slate), settings, first.clone(), move || reached.now(), services).await?;
        let (requests, mut inbox) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some((content, at)) = inbox.recv().await {
                desk.show(content, at).await;
            }
        });
        let content = Content {
            slate: first,
            own_title: config.show.title.is_some(),
            own_host: config.show.host.is_some(),
            from: ProgramTime::ZERO,
        };
        let own = Self {
            content: Arc::new(Mutex::new(content)),
            requests,
            timeline,
            program,
            _end: Arc::new(token.clone().drop_guard()),
        };
        if config.slate.clock {
            own.keep_time(clock.clone(), zone, token);
        }
        Ok(own)
    }

    /// The pictures, for the outputs.
    pub(super) fn timeline(&self) -> watch::Receiver<Arc<PictureTimeline>> {
        self.timeline.clone()
    }

    /// Says what is happening from program time `at` on.
    pub(super) fn say(&self, line: &str, live: bool, at: ProgramTime) {
        self.change(at, |content| {
            content.slate.line = line.to_owned();
            content.slate.live = live;
            content.from = at;
        });
    }

    /// Takes the space's own title and host, where the operator gave none. Those of an earlier space give way to a `fresh`
    /// one that has none.
    pub(super) fn describe(&self, title: Option<&str>, host: Option<&str>, fresh: bool) {
        let blank = fresh.then_some("");
        self.change(self.program.now(), |content| {
            if let (Some(title), false) = (title.or(blank), content.own_title) {
                content.slate.title = title.to_owned();
            }
            if let (Some(host), false) = (host.or(blank), content.own_host) {
                content.slate.host = host.to_owned();
            }
        });
    }

    fn change(&self, at: ProgramTime, change: impl FnOnce(&mut Content)) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let before = content.slate.clone();
        change(&mut content);
        let at = at.max(content.from);
        if content.slate != before && self.requests.send((content.slate.clone(), at)).is_err() {
            tracing::debug!("The slate's desk is closed.");
        }
    }

    /// Changes the clock with every minute.
    fn keep_time(&self, clock: Clock, zone: TimeZone, token: CancellationToken) {
        let (content, requests) = (Arc::downgrade(&self.content), self.requests.clone());
        let program = self.program.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    () = clock.sleep(Duration::from_secs(1)) => {}
                }
                let Some(content) = content.upgrade() else { return };
                let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
                let time = Some(time_of_day(&clock, &zone));
                if content.slate.clock != time {
                    content.slate.clock = time;
                    drop(requests.send((content.slate.clone(), program.now().max(content.from))));
                }
            }
        });
    }
}

fn time_of_day(clock: &Clock, zone: &TimeZone) -> String {
    clock.wall().to_zoned(zone.clone()).strftime("%H:%M %Z").to_string()
}
