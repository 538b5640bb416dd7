//! The source `janus` against a real gateway: who comes is heard, who leaves is not, and nobody hears a click.

use std::time::Duration;

use spacebridge::clock::Clock;
use spacebridge::media::{SAMPLE_RATE, StereoSample};
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::secret::Secret;
use spacebridge::source::janus::JanusSource;
use spacebridge::source::janus::client::{Login, POLL_PATIENCE};
use spacebridge::source::{Source as _, SourceContext, SourceEnd, SourceError, SourceEvent, Speaker};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::janus::{Janus, Publisher, ROOM};
use crate::support::turn;

/// What was heard of a room.
#[derive(Default)]
struct Heard {
    samples: Vec<StereoSample>,
    first: Option<i64>,
    holes: usize,
    stems: usize,
    speakers: Vec<Vec<Speaker>>,
}

impl Heard {
    fn take(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Audio(block) => {
                let first = *self.first.get_or_insert(block.media_time);
                self.holes += usize::from(block.media_time != first + self.samples.len() as i64);
                self.samples.extend(block.samples);
            }
            SourceEvent::Stem(packet) => self.stems += usize::from(packet.samples == 960),
            SourceEvent::Speakers(speakers) => self.speakers.push(speakers),
            _ => {}
        }
    }

    fn names(&self) -> Vec<&str> {
        self.speakers.last().into_iter().flatten().map(|speaker| speaker.name.as_str()).collect()
    }

    /// Power of one side over the last `seconds`, in dBFS.
    fn level(&self, side: usize, seconds: f64) -> f64 {
        let count = (seconds * f64::from(SAMPLE_RATE)) as usize;
        let last = &self.samples[self.samples.len().saturating_sub(count)..];
        let power: f64 = last.iter().map(|sample| f64::from(sample[side]).powi(2)).sum::<f64>() / last.len() as f64;
        10.0 * power.max(1e-12).log10()
    }
}

/// Listens while `play` goes on.
struct Visit {
    events: mpsc::Receiver<SourceEvent>,
    token: CancellationToken,
    work: tokio::task::JoinHandle<Result<SourceEnd, SourceError>>,
    heard: Heard,
}

impl Visit {
    fn start(janus: &Janus, pin: &str) -> Self {
        let settings = HttpSettings {
            operator_urls: vec![janus.url().clone()],
            patience: Some(POLL_PATIENCE),
            ..HttpSettings::default()
        };
        let client = HttpClient::new(settings).expect("a client");
        let pin = Some(Secret::new(pin));
        let mut source = JanusSource::new(janus.url().clone(), ROOM, pin, Login::default(), client);
        let (sender, events) = mpsc::channel(64);
        let token = CancellationToken::new();
        let context = SourceContext { events: sender, token: token.clone(), clock: Clock::system(), resume: None };
        let work = tokio::spawn(async move { source.run(context).await });
        Self { events, token, work, heard: Heard::default() }
    }

    /// Listens until `done`.
    async fn until(&mut self, what: &str, done: impl Fn(&Heard) -> bool) {
        let listen = async {
            while !done(&self.heard) {
                let Some(event) = self.events.recv().await else { panic!("{what}: the source ended") };
                self.heard.take(event);
            }
        };
        if tokio::time::timeout(Duration::from_secs(15), listen).await.is_err() {
            panic!("{what}: not within 15 s; {:?} {:?}", self.heard.names(), self.heard.samples.len());
        }
    }

    async fn listen(&mut self, seconds: f64) {
        let wanted = self.heard.samples.len() + (seconds * f64::from(SAMPLE_RATE)) as usize;
        self.until("time goes by", |heard| heard.samples.len() >= wanted).await;
    }

    async fn end(mut self) -> (Result<SourceEnd, SourceError>, Heard) {
        self.token.cancel();
        let drain = async { while self.events.recv().await.is_some() {} };
        let (end, ()) = tokio::join!(self.work, drain);
        (end.expect("no panic"), self.heard)
    }
}

/// The ruler on one side.
fn ruler(side: usize) -> impl Fn(u64) -> Vec<StereoSample> + Send + 'static {
    let seconds: Vec<Vec<f32>> = (0..30).map(|index| spacebridge::ruler::second(index + 100 * side as u32)).collect();
    move |block| {
        let second = &seconds[(block / 50) as usize % seconds.len()];
        let place = (block % 50) as usize * 960;
        let on_side = |value: &f32| {
            let mut sample = [0.0; 2];
            sample[side] = *value;
            sample
        };
        second[place..place + 960].iter().map(on_side).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speakers_come_and_go_and_each_is_heard_whole() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    a_wrong_pin_is_told(&janus).await;
    let left = Publisher::join(&janus, "left", ruler(0)).await;
    let mut visit = Visit::start(&janus, "secret");
    visit.until("the first is heard", |heard| heard.names() == ["left"] && heard.level(0, 0.5) > -30.0).await;
    let right = Publisher::join(&janus, "right", ruler(1)).await;
    visit.until("the second is heard", |heard| heard.names() == ["left", "right"] && heard.level(1, 0.5) > -30.0).await;
    visit.listen(4.5).await;
    let both = visit.heard.samples.len();
    left.leave().await;
    visit.until("the first has left", |heard| heard.names() == ["right"] && heard.level(0, 0.3) < -60.0).await;
    let third = Publisher::join(&janus, "third", ruler(0)).await;
    visit.until("the third is heard", |heard| heard.names().contains(&"third") && heard.level(0, 0.5) > -30.0).await;
    visit.listen(2.5).await;
    let (end, heard) = visit.end().await;
    drop((right, third));
    assert!(matches!(end, Ok(SourceEnd::Cancelled)), "{end:?}");
    assert_eq!(heard.holes, 0);
    assert!(heard.stems > 400, "{}", heard.stems);
    let window = both - 4 * 48_000..both;
    for side in 0..2 {
        let mono: Vec<f32> = heard.samples[window.clone()].iter().map(|sample| sample[side]).collect();
        let marks = spacebridge::ruler::decode(&mono);
        assert!(marks.len() >= 3 && marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
    }
    let after: Vec<f32> = heard.samples[both + 48_000..].iter().map(|sample| sample[1]).collect();
    let marks = spacebridge::ruler::decode(&after);
    assert!(marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
    let step = heard.samples.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.25, "{step}");
}

async fn a_wrong_pin_is_told(janus: &Janus) {
    let mut visit = Visit::start(janus, "canary");
    while visit.events.recv().await.is_some() {}
    let (end, _) = visit.end().await;
    let error = end.expect_err("refused");
    assert!(error.is_permanent() && error.message.contains("pin") && !error.message.contains("canary"), "{error}");
}
