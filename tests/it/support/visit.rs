//! A source in this process that is listened to, and what was heard of it.

use std::time::{Duration, Instant};

use spacebridge::clock::Clock;
use spacebridge::media::{SAMPLE_RATE, StereoSample};
use spacebridge::source::{Notice, Source, SourceContext, SourceEnd, SourceError, SourceEvent, Speaker};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What was heard.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) samples: Vec<StereoSample>,
    /// When a block came, and how many samples there were before it.
    pub(crate) came: Vec<(usize, Instant)>,
    first: Option<i64>,
    /// Blocks that did not begin where the one before ended.
    pub(crate) holes: usize,
    /// Packets of 20 ms, of all speakers.
    pub(crate) stems: usize,
    pub(crate) notices: Vec<Notice>,
    /// Who is in the room now.
    pub(crate) speakers: Vec<Speaker>,
}

impl Heard {
    fn take(&mut self, (at, event): (Instant, SourceEvent)) {
        match event {
            SourceEvent::Audio(block) => {
                let first = *self.first.get_or_insert(block.media_time);
                self.holes += usize::from(block.media_time != first + self.samples.len() as i64);
                self.came.push((self.samples.len(), at));
                self.samples.extend(block.samples);
            }
            SourceEvent::Stem(packet) => self.stems += usize::from(packet.samples == 960),
            SourceEvent::Notice(notice) => self.notices.push(notice),
            SourceEvent::Speakers(speakers) => self.speakers = speakers,
            _ => {}
        }
    }

    /// What was told, by its codes.
    pub(crate) fn codes(&self) -> Vec<&str> {
        self.notices.iter().map(|notice| notice.code).collect()
    }

    /// Who is in the room now.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.speakers.iter().map(|speaker| speaker.name.as_str()).collect()
    }

    /// Power of one side over the last `seconds`, in dBFS.
    pub(crate) fn level(&self, side: usize, seconds: f64) -> f64 {
        let count = (seconds * f64::from(SAMPLE_RATE)) as usize;
        let last = &self.samples[self.samples.len().saturating_sub(count)..];
        let power: f64 = last.iter().map(|sample| f64::from(sample[side]).powi(2)).sum();
        10.0 * (power / last.len().max(1) as f64).max(1e-12).log10()
    }
}

/// One attempt of a source, as a session makes it.
pub(crate) struct Visit {
    /// What came, and when. Taken off the source at once, as a show does: one whose events nobody takes falls behind.
    events: mpsc::UnboundedReceiver<(Instant, SourceEvent)>,
    token: CancellationToken,
    work: tokio::task::JoinHandle<Result<SourceEnd, SourceError>>,
    /// What was heard until now.
    pub(crate) heard: Heard,
}

impl Visit {
    pub(crate) fn start(mut source: impl Source + 'static) -> Self {
        let (sender, mut said) = mpsc::channel(64);
        let (keep, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = said.recv().await {
                drop(keep.send((Instant::now(), event)));
            }
        });
        let token = CancellationToken::new();
        let context = SourceContext::new(sender, token.clone(), Clock::system());
        let work = tokio::spawn(async move { source.run(context).await });
        Self { events, token, work, heard: Heard::default() }
    }

    /// Listens until `done`, for `patience` seconds at the most.
    pub(crate) async fn until(&mut self, what: &str, patience: u64, done: impl Fn(&Heard) -> bool) {
        let listen = async {
            while !done(&self.heard) {
                let Some(event) = self.events.recv().await else { panic!("{what}: the source ended") };
                self.heard.take(event);
            }
        };
        if tokio::time::timeout(Duration::from_secs(patience), listen).await.is_err() {
            let Heard { samples, notices, speakers, .. } = &self.heard;
            panic!("{what}: not within {patience} s; {} samples, {notices:?} {speakers:?}", samples.len());
        }
    }

    /// Listens for so long.
    pub(crate) async fn listen(&mut self, seconds: f64) {
        let wanted = self.heard.samples.len() + (seconds * f64::from(SAMPLE_RATE)) as usize;
        self.until("time goes by", 15, |heard| heard.samples.len() >= wanted).await;
    }

    /// The end that comes by itself, within `patience` seconds.
    pub(crate) async fn end(mut self, patience: u64) -> (Result<SourceEnd, SourceError>, Heard) {
        let drain = async {
            while let Some(event) = self.events.recv().await {
                self.heard.take(event);
            }
            self.work.await.expect("no panic")
        };
        let end = tokio::time::timeout(Duration::from_secs(patience), drain).await;
        (end.expect("an end in time"), self.heard)
    }

    /// Leaves, which a source does without being told twice.
    pub(crate) async fn leave(self) -> Heard {
        self.token.cancel();
        let (end, heard) = self.end(6).await;
        assert!(matches!(end, Ok(SourceEnd::Cancelled)), "{end:?}");
        heard
    }
}
