//! The slate's desk: who the show is, what is happening and what time it is, as pictures on the program; and the
//! operator's own word, which stands in front of what is happening.

mod own;
mod script;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::BridgeError;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{ShowConfig, SlateConfig};
use crate::encode::picture::{DeskServices, FrameSource, PATIENCE, Painted, PictureDesk, PictureSettings};
use crate::media::{PictureTimeline, ProgramTime, SAMPLE_RATE, Still};
use crate::picture::{Slate, SlateContent};
use crate::program::{Cut, Delayed, Program};
use crate::status::OwnSlate;
use own::{OwnPicture, Shelf};
use script::Script;

/// How long before it is seen a picture is asked for, in samples: 8 s, for its encoding and the next point of the grid.
const LEAD: u64 = 8 * SAMPLE_RATE as u64;

/// How often the desk looks at what is due.
const LOOK: Duration = Duration::from_millis(500);

/// One picture.
#[derive(Debug, Clone)]
struct Shown {
    slate: SlateContent,
    /// The operator's, in the slate's place.
    picture: Option<Arc<OwnPicture>>,
    /// How often the operator has changed the slate: such a change waits for its turn, one of the show's own does not.
    hand: u32,
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.slate == other.slate && self.picture == other.picture
    }
}

/// The slate's drawing room, as the encoder knows it.
struct Drawn(Slate);

impl FrameSource for Drawn {
    type Content = Shown;

    fn is_urgent(&self, from: &Shown, to: &Shown) -> bool {
        from.hand == to.hand && (from.slate.line != to.slate.line || from.slate.live != to.slate.live)
    }

    fn paint(&self, content: &Shown) -> Painted {
        let slate = content.picture.as_ref().map_or(&self.0, |picture| &picture.slate);
        let frames = slate.frames(&content.slate);
        let still =
            frames.png().inspect_err(|error| tracing::warn!(error, "The slate cannot be shown to people.")).ok();
        Painted { still, frames: Box::new(move |index| frames.frame(index)) }
    }
}

/// What the slate shows, and who has the last word on it.
#[derive(Debug)]
struct Content {
    /// Title, host and clock; what is happening is the script's.
    slate: SlateContent,
    script: Script,
    /// What it says during a cut.
    moment: String,
    /// The operator's own words win over the space's.
    own_title: bool,
    own_host: bool,
    /// What the operator says in place of what is happening.
    own_text: Option<String>,
    /// What the operator shows in place of everything.
    own_picture: Option<Arc<OwnPicture>>,
    hand: u32,
    /// From when on the last picture holds: a new title or minute must not bring it forward.
    from: ProgramTime,
    asked: Option<Shown>,
}

impl Content {
    fn shown(&self) -> Shown {
        let (line, live) = self.script.said();
        let (line, live) = match (self.script.is_moment(), &self.own_text) {
            (true, _) => (self.moment.as_str(), false),
            (false, Some(own)) => (own.as_str(), live),
            (false, None) => (line, live),
        };
        // Names belong to what is heard, and stay away with it.
        let speaking = if live && !self.script.is_moment() { self.slate.speaking.clone() } else { String::new() };
        let slate = match self.own_picture {
            // Nothing else of it is seen, and no change of it needs another picture.
            Some(_) => SlateContent { live, ..SlateContent::default() },
            None => SlateContent { line: line.to_owned(), live, speaking, ..self.slate.clone() },
        };
        Shown { slate, picture: self.own_picture.clone(), hand: self.hand }
    }
}

/// Says what the slate shows. Clones share one slate; the clock on it goes by itself.
#[derive(Debug, Clone)]
pub(super) struct SlateDesk {
    content: Arc<Mutex<Content>>,
    requests: mpsc::UnboundedSender<(Shown, ProgramTime)>,
    timeline: watch::Receiver<Arc<PictureTimeline>>,
    program: Arc<Program>,
    shelf: Shelf,
    config: Arc<SlateConfig>,
    _end: Arc<tokio_util::sync::DropGuard>,
}

impl SlateDesk {
    /// Encodes the first slate and puts it on the program; with the operator's own word from before a restart, whose
    /// picture lies in the state folder `folder`.
    ///
    /// # Errors
    /// When no picture can be encoded at all. Files of the operator that cannot be used are an event, and the default
    /// slate takes their place.
    pub(super) async fn start(
        config: &ShowConfig,
        program: Arc<Program>,
        (folder, own): (&Path, Option<&OwnSlate>),
        clock: &Clock,
        events: &Events,
    ) -> Result<Self, BridgeError> {
        let (slate, fault) = Slate::load_or_default(&config.slate);
        if let Some(fault) = fault {
            events.error("slate.file", "slate", format!("The default slate is on the air: {fault}"), None);
        }
        let zone = TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC);
        let shelf = Shelf::in_folder(folder);
        let mut content = first(config, config.slate.clock.then(|| time_of_day(clock, &zone)));
        content.take_up(own, &shelf, &config.slate).await;
        let settings = PictureSettings { format: config.slate.format, video_kbps: config.slate.video_kbps };
        let token = CancellationToken::new();
        let services =
            DeskServices { clock: clock.clone(), events: events.clone(), token: token.clone(), patience: PATIENCE };
        let reached = program.clone();
        let (desk, timeline) =
            PictureDesk::start(Drawn(slate), settings, content.shown(), move || reached.now(), services).await?;
        content.asked = Some(content.shown());
        let (requests, mut inbox) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some((content, at)) = inbox.recv().await {
                desk.show(content, at).await;
            }
        });
        let own = Self {
            content: Arc::new(Mutex::new(content)),
            requests,
            timeline,
            program,
            shelf,
            config: Arc::new(config.slate.clone()),
            _end: Arc::new(token.clone().drop_guard()),
        };
        own.keep_time(clock.clone(), config.slate.clock.then_some(zone), token);
        Ok(own)
    }

    /// The pictures, for the outputs.
    pub(super) fn timeline(&self) -> watch::Receiver<Arc<PictureTimeline>> {
        self.timeline.clone()
    }

    /// The picture that is on the air now, for people.
    pub(super) fn still(&self) -> Option<Still> {
        self.timeline.borrow().at(self.program.now())?.still.clone()
    }

    /// Says what is happening from program time `at` on.
    pub(super) fn say(&self, line: &str, live: bool, at: ProgramTime) {
        let mut content = self.content();
        content.script.say(line, live, at);
        self.turn(&mut content);
    }

    /// Says that the show is over, now: what is held back is not heard any more.
    pub(super) fn close(&self, line: &str) {
        let mut content = self.content();
        content.script.forget();
        content.script.say(line, false, self.program.now());
        self.turn(&mut content);
    }

    /// Takes the space's own title and host, where the operator gave none. Those of an earlier space give way to a `fresh`
    /// one that has none.
    pub(super) fn describe(&self, title: Option<&str>, host: Option<&str>, fresh: bool) {
        let blank = fresh.then_some("");
        let mut content = self.content();
        if let (Some(title), false) = (title.or(blank), content.own_title) {
            content.slate.title = title.to_owned();
        }
        if let (Some(host), false) = (host.or(blank), content.own_host) {
            content.slate.host = host.to_owned();
        }
        self.ask(&mut content, self.program.now());
    }

    /// Whether the slate names who is speaking.
    pub(super) fn names_speakers(&self) -> bool {
        self.config.show_speakers
    }

    /// Says who is speaking; empty for nobody. With a public delay nobody is named: what may still be cut must not be seen
    /// before it could be heard.
    pub(super) fn speaking(&self, names: &[String]) {
        let mut content = self.content();
        let names = if self.program.public_delay() > 0 { &[] } else { names };
        content.slate.speaking = names.join(" · ");
        self.ask(&mut content, self.program.now());
    }

    /// What was cut is not on the slate either.
    pub(super) fn moment(&self, cut: Cut) {
        let mut content = self.content();
        content.script.moment(ProgramTime::from_samples(cut.from), ProgramTime::from_samples(cut.to));
        self.turn(&mut content);
    }

    /// What will be heard later, or earlier, will be seen so too.
    pub(super) fn shift(&self, delayed: Delayed) {
        self.content().script.shift(ProgramTime::from_samples(delayed.joint), delayed.by);
    }

    /// The operator's own word on the slate, if there is one.
    pub(super) fn own(&self) -> Option<OwnSlate> {
        let content = self.content();
        let text = content.own_text.clone().map(OwnSlate::Text);
        if content.own_picture.is_some() { Some(OwnSlate::Picture) } else { text }
    }

    /// Lets the slate say `text` in place of what is happening; none gives it back to the show.
    pub(super) fn own_text(&self, text: Option<String>) {
        let mut content = self.content();
        (content.own_text, content.own_picture) = (text, None);
        content.hand += 1;
        self.ask(&mut content, self.program.now());
        self.shelf.clear();
    }

    /// Lets a picture stand in the slate's place.
    ///
    /// # Errors
    /// In words, for what is no picture that can be used, or cannot be kept for a restart.
    pub(super) async fn own_picture(&self, bytes: Bytes) -> Result<(), String> {
        let (config, shelf) = (self.config.clone(), self.shelf.clone());
        let work = move || {
            let picture = OwnPicture::of(bytes.to_vec(), &config).map_err(|error| error.to_string())?;
            shelf.put(&bytes).map_err(|error| format!("the picture cannot be kept in the state folder: {error}"))?;
            Ok::<_, String>(picture)
        };
        let done = tokio::task::spawn_blocking(move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
        let picture = match done.await {
            Ok(Ok(picture)) => picture?,
            _ => return Err("the picture could not be read: save it again as a PNG".to_owned()),
        };
        let mut content = self.content();
        (content.own_text, content.own_picture) = (None, Some(picture));
        content.hand += 1;
        self.ask(&mut content, self.program.now());
        Ok(())
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // A holder that panicked leaves at worst an old word.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for every picture that is due soon.
    fn turn(&self, content: &mut Content) {
        turn(content, self.program.now(), &self.requests);
    }

    fn ask(&self, content: &mut Content, at: ProgramTime) {
        ask(content, at, &self.requests);
    }

    /// Changes the clock with every minute, and asks for what is due.
    fn keep_time(&self, clock: Clock, zone: Option<TimeZone>, token: CancellationToken) {
        let (content, requests) = (Arc::downgrade(&self.content), self.requests.clone());
        let program = self.program.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    () = clock.sleep(LOOK) => {}
                }
                let Some(content) = content.upgrade() else { return };
                let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
                let now = program.now();
                turn(&mut content, now, &requests);
                let time = zone.as_ref().map(|zone| time_of_day(&clock, zone));
                if content.slate.clock != time {
                    content.slate.clock = time;
                    ask(&mut content, now, &requests);
                }
            }
        });
    }
}

/// The content before anything happened.
fn first(config: &ShowConfig, clock: Option<String>) -> Content {
    let slate = SlateContent {
        title: config.show.title.clone().unwrap_or_default(),
        host: config.show.host.clone().unwrap_or_default(),
        line: String::new(),
        speaking: String::new(),
        live: false,
        clock,
        consent: config.show.consent.clone().filter(|_| config.slate.show_consent).unwrap_or_default(),
    };
    Content {
        slate,
        script: Script::new(config.slate.texts.connecting.clone()),
        moment: config.slate.texts.moment.clone(),
        own_title: config.show.title.is_some(),
        own_host: config.show.host.is_some(),
        own_text: None,
        own_picture: None,
        hand: 0,
        from: ProgramTime::ZERO,
        asked: None,
    }
}

impl Content {
    /// Takes up the operator's own word from before a restart.
    async fn take_up(&mut self, own: Option<&OwnSlate>, shelf: &Shelf, config: &SlateConfig) {
        match own {
            Some(OwnSlate::Text(text)) => self.own_text = Some(text.clone()),
            Some(OwnSlate::Picture) => {
                let (kept, config) = (shelf.clone(), config.clone());
                let read = tokio::task::spawn_blocking(move || OwnPicture::of(kept.get()?, &config).ok());
                self.own_picture = read.await.ok().flatten();
            }
            None => shelf.clear(),
        }
    }
}

fn turn(content: &mut Content, now: ProgramTime, requests: &mpsc::UnboundedSender<(Shown, ProgramTime)>) {
    while let Some(at) = content.script.next(now.plus(LEAD)) {
        ask(content, at, requests);
    }
}

/// Asks for what the slate shows now, unless it was asked for already.
fn ask(content: &mut Content, at: ProgramTime, requests: &mpsc::UnboundedSender<(Shown, ProgramTime)>) {
    let shown = content.shown();
    if content.asked.as_ref() == Some(&shown) {
        return;
    }
    content.from = at.max(content.from);
    content.asked = Some(shown.clone());
    if requests.send((shown, content.from)).is_err() {
        tracing::debug!("The slate's desk is closed.");
    }
}

fn time_of_day(clock: &Clock, zone: &TimeZone) -> String {
    clock.wall().to_zoned(zone.clone()).strftime("%H:%M %Z").to_string()
}
