//! The picture desk: owns which encoded picture is on the air from which grid point on.
//!
//! Encodes on a blocking thread, once per picture, and publishes the [`PictureTimeline`]. Does not draw: frames come
//! from a [`FrameSource`]. Requests are carried out in order, and none takes over before an earlier one.

mod plan;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::alert::{Events, Report};
use crate::clock::Clock;
use crate::gst::{GstError, picture_encode};
use crate::media::{EncodedLoop, GRID_SAMPLES, PictureTimeline, ProgramTime, SAMPLE_RATE, Still, VideoFormat};
use plan::{Plan, Step};

/// Requests that may wait for the desk; it takes them at once, so a few are enough.
const QUEUE: usize = 16;

/// Encoded pictures that are kept, so that a show that flips between live and gap costs nothing. A loop at 3000 kbit/s
/// has 750 kB.
const CACHED: usize = 4;

/// A grid point that is nearer than this, in samples, is left to the old picture: every output of a group must see the
/// new timeline before it gets there, or they would differ.
const MARGIN: u64 = SAMPLE_RATE as u64 / 2;

/// How long a picture may take. Measured: under 2 s for 1920x1080 on one slow core; a machine that is busy elsewhere gets
/// its time, but a desk that waited for ever would never change the slate again.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Pictures that hang, each with a thread and an encoder of its own, before no more are begun.
const ABANDONED_MAX: usize = 8;

/// Old pictures stay known for this many samples, for outputs that lag.
const KEPT_BEHIND: u64 = 30 * SAMPLE_RATE as u64;

/// Who draws the pictures.
pub trait FrameSource: Send + Sync + 'static {
    /// What a picture shows: equal contents are equal pictures.
    type Content: Clone + PartialEq + Send + Sync + 'static;

    /// Whether the change from one content to another must not wait, such as from live to a gap. Others, such as a
    /// clock, are encoded at most once per 10 s.
    fn is_urgent(&self, from: &Self::Content, to: &Self::Content) -> bool;

    /// Prepares the picture. Blocks.
    fn paint(&self, content: &Self::Content) -> Painted;
}

/// A picture that is ready to be encoded.
pub struct Painted {
    /// Its frames by their index in the loop, as [`picture_encode::encode_loop`] takes them. Blocks.
    pub frames: Box<dyn FnMut(usize) -> Vec<u8>>,
    /// One of them as a PNG, for people.
    pub still: Option<Vec<u8>>,
}

/// A new picture from `at` on.
#[derive(Debug, Clone, PartialEq)]
pub struct SlateRequest<C> {
    /// What it shows.
    pub content: C,
    /// When it shall take over: the picture agrees with the delayed sound. The first grid point from here on that can
    /// still be reached is taken.
    pub at: ProgramTime,
}

/// How pictures are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureSettings {
    /// Size and rate.
    pub format: VideoFormat,
    /// Constant bitrate by filler, in kbit/s; 0 for none.
    pub video_kbps: u32,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureEncodeError {
    /// The encoder did not do it.
    #[error(transparent)]
    Gst(#[from] GstError),
    /// Drawing or encoding panicked on this content.
    #[error("the picture could not be drawn: report this with the title of the space")]
    Panicked,
    /// Drawing or encoding did not come to an end, and was left behind.
    #[error("the picture took longer than {seconds} s and was given up")]
    Frozen {
        /// The time it was given.
        seconds: u64,
    },
    /// So many pictures did not come to an end that no more are begun.
    #[error("{ABANDONED_MAX} pictures hang in the encoder: restart the show when it can be spared for a moment")]
    Stuck,
}

impl PictureEncodeError {
    /// Whether trying again with the same content cannot help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Gst(error) => error.is_permanent(),
            Self::Panicked => true,
            Self::Frozen { .. } | Self::Stuck => false,
        }
    }
}

/// Where new pictures are asked for. The task behind it ends when all clones are dropped.
#[derive(Debug, Clone)]
pub struct PictureDesk<C> {
    requests: mpsc::Sender<SlateRequest<C>>,
}

impl<C: Clone + PartialEq + Send + Sync + 'static> PictureDesk<C> {
    /// Encodes the first picture, which is on the air from the program's start, then starts the task that serves
    /// further requests until `token` is cancelled. `now` is the program time that outputs have reached.
    ///
    /// # Errors
    /// When the first picture cannot be encoded: nothing could be on the air.
    pub async fn start<S: FrameSource<Content = C>>(
        source: S,
        settings: PictureSettings,
        first: C,
        now: impl Fn() -> ProgramTime + Send + 'static,
        services: DeskServices,
    ) -> Result<(Self, watch::Receiver<Arc<PictureTimeline>>), PictureEncodeError> {
        let source = Arc::new(source);
        let kiln = Kiln { settings, patience: services.patience, at_work: Arc::default() };
        let picture = Arc::new(kiln.encode(source.clone(), first.clone()).await?);
        let (sender, timeline) = watch::channel(Arc::new(PictureTimeline::new(picture.clone())));
        let (requests, inbox) = mpsc::channel(QUEUE);
        let plan = Plan::new(first.clone(), services.clock.now());
        let desk = Desk { source, kiln, plan, cache: vec![(first, picture)], sender, now: Box::new(now), services };
        tokio::spawn(desk.run(inbox));
        Ok((Self { requests }, timeline))
    }

    /// Asks for a picture. What is on the air already is not encoded again.
    pub async fn show(&self, content: C, at: ProgramTime) {
        if self.requests.send(SlateRequest { content, at }).await.is_err() {
            tracing::debug!("Picture desk is closed.");
        }
    }
}

/// What the desk's task works with.
#[derive(Debug, Clone)]
pub struct DeskServices {
    /// Monotonic time for the pace of encoding.
    pub clock: Clock,
    /// Where a picture that could not be made is reported.
    pub events: Events,
    /// Ends the task.
    pub token: CancellationToken,
    /// How long a picture may take; [`PATIENCE`] but for tests.
    pub patience: Duration,
}

struct Desk<S: FrameSource> {
    source: Arc<S>,
    kiln: Kiln,
    plan: Plan<S::Content>,
    /// The latest used last.
    cache: Vec<(S::Content, Arc<EncodedLoop>)>,
    sender: watch::Sender<Arc<PictureTimeline>>,
    now: Box<dyn Fn() -> ProgramTime + Send>,
    services: DeskServices,
}

impl<S: FrameSource> Desk<S> {
    async fn run(mut self, mut inbox: mpsc::Receiver<SlateRequest<S::Content>>) {
        let token = self.services.token.clone();
        loop {
            let wait = match self.plan.next(self.services.clock.now(), |content| cached(&self.cache, content)) {
                Step::Show(request) => {
                    self.serve(request).await;
                    // Requests that came meanwhile are looked at before the next picture.
                    while let Ok(request) = inbox.try_recv() {
                        self.accept(request);
                    }
                    continue;
                }
                Step::Wait(wait) => wait,
            };
            tokio::select! {
                () = token.cancelled() => return,
                () = self.services.clock.sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                request = inbox.recv() => match request {
                    Some(request) => self.accept(request),
                    None => return,
                },
            }
        }
    }

    fn accept(&mut self, request: SlateRequest<S::Content>) {
        let source = &self.source;
        self.plan.add(request, |from, to| source.is_urgent(from, to));
    }

    async fn serve(&mut self, request: SlateRequest<S::Content>) {
        let picture = match self.cache.iter().position(|(content, _)| *content == request.content) {
            Some(at) => Ok(self.cache.remove(at).1),
            None => {
                self.plan.encoded(self.services.clock.now());
                self.kiln.encode(self.source.clone(), request.content.clone()).await.map(Arc::new)
            }
        };
        match picture {
            Ok(picture) => {
                self.publish(request.at, &picture);
                self.cache.push((request.content, picture));
                let extra = self.cache.len().saturating_sub(CACHED);
                self.cache.drain(..extra);
            }
            Err(error) => {
                self.plan.failed();
                let message = format!("The slate could not be changed, the old one stays: {error}");
                let report = Report::warning("slate.failed", "slate", message);
                self.services.events.tell(report.doing("Keeps the old slate on the air and tries the next one."));
            }
        }
    }

    /// Lets the picture take over at the first grid point from `at` on that outputs have not reached.
    fn publish(&self, at: ProgramTime, picture: &Arc<EncodedLoop>) {
        let now = (self.now)();
        let takeover = takeover(at, now);
        self.sender.send_modify(|timeline| {
            let mut next = timeline.as_ref().clone();
            next.prune(ProgramTime::from_samples(now.samples().saturating_sub(KEPT_BEHIND)));
            next.schedule(takeover, picture.clone());
            *timeline = Arc::new(next);
        });
        tracing::info!(at_seconds = takeover.seconds(), "Slate changes.");
    }
}

/// The first grid point at or after `at` that lies ahead of `now` by more than [`MARGIN`].
fn takeover(at: ProgramTime, now: ProgramTime) -> ProgramTime {
    at.grid_ceil().max(now.plus(MARGIN).grid_floor().plus(GRID_SAMPLES))
}

fn cached<C: PartialEq>(cache: &[(C, Arc<EncodedLoop>)], wanted: &C) -> bool {
    cache.iter().any(|(content, _)| content == wanted)
}

/// Encodes one picture after the other, each in an encoder of its own.
#[derive(Debug)]
struct Kiln {
    settings: PictureSettings,
    patience: Duration,
    /// Has one clone for every picture that is being made, or hangs.
    at_work: Arc<()>,
}

impl Kiln {
    async fn encode<S: FrameSource>(
        &self,
        source: Arc<S>,
        content: S::Content,
    ) -> Result<EncodedLoop, PictureEncodeError> {
        if Arc::strong_count(&self.at_work) > ABANDONED_MAX {
            return Err(PictureEncodeError::Stuck);
        }
        let (settings, at_work) = (self.settings, self.at_work.clone());
        let work = move || {
            let _at_work = at_work;
            let Painted { frames, still } = source.paint(&content);
            let picture = picture_encode::encode_loop(settings.format, settings.video_kbps, frames)?;
            Ok::<_, GstError>(EncodedLoop { still: still.map(Still::new), ..picture })
        };
        // A stranger's title goes through text layout: a panic in there must not end the show.
        let guarded = tokio::task::spawn_blocking(move || catch_unwind(AssertUnwindSafe(work)));
        match tokio::time::timeout(self.patience, guarded).await {
            Ok(done) => {
                Ok(done.map_err(|_| PictureEncodeError::Panicked)?.map_err(|_| PictureEncodeError::Panicked)??)
            }
            Err(_) => Err(PictureEncodeError::Frozen { seconds: self.patience.as_secs() }),
        }
    }
}

#[cfg(test)]
mod tests;
