//! One connection of an output: its pipeline, its reader of the program, its feed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{broadcast, watch};

use super::OutputInputs;
use super::fault::{FaultClass, OutputFault};
use super::feed::{Feed, Item};
use super::group::Member;
use super::slow::Carried;
use crate::gst::BusEvent;
use crate::gst::rtmp::{RtmpPipeline, RtmpTarget};
use crate::media::{AudioFrame, EncodedLoop, PictureTimeline, ProgramTime};

/// How long a connection that is closed in order may take to send what it holds: little more than a healthy one holds.
const DRAIN: Duration = Duration::from_millis(1500);

/// What a connection wakes its task for.
#[derive(Debug)]
pub(super) enum Wake {
    /// A frame of the program went on the air.
    Frame(AudioFrame),
    /// The pipeline reported something.
    Bus(BusEvent),
}

/// A connection, from its making to its close.
pub(super) struct Connection {
    pipeline: RtmpPipeline,
    bus: Pin<Box<dyn Stream<Item = BusEvent> + Send>>,
    audio: Option<broadcast::Receiver<AudioFrame>>,
    pictures: watch::Receiver<Arc<PictureTimeline>>,
    shown: Arc<EncodedLoop>,
    sample_rate: u32,
    feed: Option<Feed>,
    sending: bool,
}

impl Connection {
    /// Begins to connect. After `patience` without a byte it fails by itself.
    pub(super) async fn open(
        target: &RtmpTarget,
        inputs: &OutputInputs,
        patience: Duration,
    ) -> Result<Self, OutputFault> {
        let latest = ProgramTime::from_samples(u64::MAX);
        let shown = inputs.pictures.borrow().at(latest).cloned();
        let detail = || "there is no picture yet".to_owned();
        let shown = shown.ok_or_else(|| OutputFault { class: FaultClass::Other, detail: detail() })?;
        let (target, format, picture) = (target.clone(), inputs.audio_format.clone(), shown.clone());
        // The first build of a process loads plugins from the disk.
        let build = tokio::task::spawn_blocking(move || RtmpPipeline::new(&target, &format, &picture));
        let pipeline = build.await.map_err(|_| OutputFault::plain(FaultClass::Local))??;
        pipeline.set_patience(patience);
        let bus = Box::pin(pipeline.events());
        if let Err(error) = pipeline.play().await {
            if !pipeline.close().await {
                tracing::warn!("A pipeline that did not start did not come down either.");
            }
            return Err(error.into());
        }
        Ok(Self {
            pipeline,
            bus,
            audio: Some(inputs.audio.subscribe()),
            pictures: inputs.pictures.clone(),
            shown,
            sample_rate: inputs.audio_format.sample_rate,
            feed: None,
            sending: false,
        })
    }

    /// The next thing to deal with. Safe to cancel.
    pub(super) async fn wake(&mut self) -> Wake {
        loop {
            tokio::select! {
                Some(event) = self.bus.next() => return Wake::Bus(event),
                frame = receive(&mut self.audio) => match frame {
                    Ok(frame) => return Wake::Frame(frame),
                    // The feed sees the hole that this leaves.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => self.audio = None,
                },
            }
        }
    }

    /// Sends what is on the air with `frame`, once the server has accepted the stream and the group has said where to
    /// join: a pipeline that is fed while it connects would begin with the past.
    pub(super) fn feed(&mut self, frame: &AudioFrame, member: &Member) {
        if self.feed.is_none() && self.pipeline.bytes_out() > 0 {
            let join = member.ready(frame.at);
            self.feed = join.map(|join| Feed::new(join, self.shown.clone(), self.sample_rate));
        }
        let Some(feed) = &mut self.feed else { return };
        let pictures = self.pictures.borrow().clone();
        let items = feed.on_audio(frame, self.pipeline.level(), &pictures);
        if !items.is_empty() && !self.sending {
            self.sending = true;
            self.pipeline.shift(feed.shift_ms());
        }
        for item in items {
            let taken = match item {
                Item::Show(picture) => {
                    self.pipeline.show(&picture);
                    true
                }
                Item::Video(unit) => self.pipeline.push_video(unit),
                Item::Audio(unit) => self.pipeline.push_audio(unit),
            };
            if !taken {
                // The bus says why.
                return;
            }
        }
    }

    /// Bytes given to the socket.
    pub(super) fn bytes_out(&self) -> u64 {
        self.pipeline.bytes_out()
    }

    /// Units dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.feed.as_ref().map_or(0, Feed::dropped)
    }

    /// All that it has carried.
    pub(super) fn carried(&self) -> Carried {
        let offered = self.feed.as_ref().map_or(0, Feed::offered);
        Carried { bytes: self.bytes_out(), offered, dropped: self.dropped() }
    }

    /// Sends what it holds, says so to the server, and closes. See [`Connection::close`].
    pub(super) async fn close_in_order(mut self) -> bool {
        if self.sending {
            self.pipeline.finish();
            if tokio::time::timeout(DRAIN, self.bus.next()).await.is_err() {
                tracing::debug!("Connection is closed before all of it was sent.");
            }
        }
        self.close().await
    }

    /// Closes at once. False when it did not come down in time and was abandoned.
    pub(super) async fn close(self) -> bool {
        self.pipeline.close().await
    }
}

async fn receive(
    audio: &mut Option<broadcast::Receiver<AudioFrame>>,
) -> Result<AudioFrame, broadcast::error::RecvError> {
    match audio {
        Some(audio) => audio.recv().await,
        // The program is over; what is left is to be closed.
        None => std::future::pending().await,
    }
}
