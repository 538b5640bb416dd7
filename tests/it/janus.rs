//! The source `janus` against a real gateway: who comes is heard, who leaves is not, and nobody hears a click.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::time::{Duration, Instant};

use spacebridge::clock::Clock;
use spacebridge::media::{SAMPLE_RATE, StereoSample};
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::secret::Secret;
use spacebridge::source::janus::JanusSource;
use spacebridge::source::janus::client::{Login, POLL_PATIENCE};
use spacebridge::source::{Source as _, SourceContext, SourceEnd, SourceError, SourceEvent, Speaker};
use spacebridge::status::ShowStatus;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::support::janus::{Janus, Publisher, ROOM};
use crate::support::lossy::{Badness, Lossy};
use crate::support::nginx::Nginx;
use crate::support::show::{Stage, output};
use crate::support::turn;

/// What was heard of a room.
#[derive(Default)]
struct Heard {
    samples: Vec<StereoSample>,
    /// When a block came, and how many samples there were before it.
    came: Vec<(usize, Instant)>,
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
                self.came.push((self.samples.len(), Instant::now()));
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
    fn start(gateway: &Url, pin: &str) -> Self {
        let settings = HttpSettings {
            operator_urls: vec![gateway.clone()],
            patience: Some(POLL_PATIENCE),
            ..HttpSettings::default()
        };
        let client = HttpClient::new(settings).expect("a client");
        let pin = Some(Secret::new(pin));
        let mut source = JanusSource::new(gateway.clone(), ROOM, pin, Login::default(), client);
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
    let seconds: Vec<Vec<f32>> = (0..60).map(|index| spacebridge::ruler::second(index + 100 * side as u32)).collect();
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
    let mut visit = Visit::start(janus.url(), "secret");
    visit.until("the first is heard", |heard| heard.names() == ["left"] && heard.level(0, 0.5) > -30.0).await;
    let right = Publisher::join(&janus, "right", ruler(1)).await;
    visit.until("the second is heard", |heard| heard.names() == ["left", "right"] && heard.level(1, 0.5) > -30.0).await;
    // A track's place is set right once, after its first second.
    visit.listen(6.0).await;
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
        println!("side {side}: {marks:?}");
        let even = |pair: &[spacebridge::ruler::RulerMark]| (pair[1].at_samples - pair[0].at_samples - 48_000.0).abs();
        assert!(marks.windows(2).all(|pair| even(pair) < 15.0), "{marks:?}");
        assert!(marks.len() >= 3 && marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
    }
    let after: Vec<f32> = heard.samples[both + 48_000..].iter().map(|sample| sample[1]).collect();
    let marks = spacebridge::ruler::decode(&after);
    println!("right all the while: {marks:?}");
    assert!(marks.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "{marks:?}");
    let step = heard.samples.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
    println!("largest step {step}");
    assert!(step < 0.25, "{step}");
}

/// Loses, holds up and overtakes for `seconds`; every second of the ruler is to come through on both sides.
async fn hears_through_a_bad_network(seconds: u32, loss: f64) {
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let badness = Badness { loss, jitter: Duration::from_millis(30), seed: 812 };
    let lossy = Lossy::before(janus.url(), janus.here(), badness).await;
    let speakers = [Publisher::join(&janus, "left", ruler(0)).await, Publisher::join(&janus, "right", ruler(1)).await];
    let mut visit = Visit::start(lossy.url(), "secret");
    let both = |heard: &Heard| heard.level(0, 0.5) > -30.0 && heard.level(1, 0.5) > -30.0;
    visit.until("both are heard", both).await;
    // A track's place is set right once, after its first second.
    visit.listen(2.0).await;
    lossy.bad(true);
    let from = visit.heard.samples.len();
    for _ in 0..seconds {
        visit.listen(1.0).await;
    }
    let (end, heard) = visit.end().await;
    let (passed, lost) = lossy.counts();
    println!("{passed} datagrams passed, {lost} lost");
    assert!(matches!(end, Ok(SourceEnd::Cancelled)), "{end:?}");
    assert!(passed > 0, "another way was found: {:?} {}", lossy.ports(), heard.level(0, 0.5));
    assert!(lost as f64 >= 0.6 * loss * passed as f64, "nothing was lost");
    assert_eq!(heard.holes, 0);
    let mut whole = 0;
    for side in 0..2 {
        let mono: Vec<f32> = heard.samples[from..].iter().map(|sample| sample[side]).collect();
        let marks = spacebridge::ruler::decode(&mono);
        let steps: Vec<i64> = marks.windows(2).map(|m| (m[1].at_samples - m[0].at_samples) as i64 - 48_000).collect();
        println!("side {side}: {} seconds, {steps:?}", marks.len());
        assert!(marks.windows(2).all(|pair| pair[0].index < pair[1].index), "{marks:?}");
        whole += marks.len();
        let delays = delays(&heard, from, &marks, speakers[side].start());
        let (median, most) = (delays[delays.len() / 2], delays[delays.len() * 95 / 100]);
        println!("from the packet to the mix: median {median} ms, p95 {most} ms");
        assert!(median <= 170 || seconds < 20, "{median} ms");
    }
    // A packet carries a copy of the one before it. Where two are gone in succession one is gone for good.
    let twice = lossy.twice();
    println!("{whole} seconds are whole of {}; two packets in succession were lost {twice} times", 2 * seconds - 2);
    assert!(whole + 2 + twice >= 2 * seconds as usize, "{whole} {twice}");
}

/// From the moment that a second was sent to the moment that its first sample was given out, in ms, sorted.
fn delays(heard: &Heard, from: usize, marks: &[spacebridge::ruler::RulerMark], start: Instant) -> Vec<u128> {
    let delay = |mark: &spacebridge::ruler::RulerMark| {
        let place = from + mark.at_samples as usize;
        let block = heard.came.partition_point(|(before, _)| *before <= place);
        let sent = start + Duration::from_secs(u64::from(mark.index % 100));
        heard.came[block - 1].1.saturating_duration_since(sent).as_millis()
    };
    let mut delays: Vec<u128> = marks.iter().map(delay).collect();
    delays.sort_unstable();
    delays
}

/// Seconds of processor time that a process has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = stat.rsplit(')').next().expect("a name").split_whitespace().collect::<Vec<_>>();
    // Fields 14 and 15 of proc_pid_stat(5), in hundredths.
    (after[11].parse::<f64>().expect("a number") + after[12].parse::<f64>().expect("a number")) / 100.0
}

/// Seconds of processor time that a show of the room with two outputs takes for ten seconds.
async fn cost(janus: &Janus, speakers: usize) -> f64 {
    let mirrors = [Nginx::start("live").await, Nginx::start("live").await];
    let source = format!("[[source]]\nkind = \"janus\"\nurl = \"{}\"\nroom = \"{ROOM}\"\n", janus.url());
    let stage = Stage::new(&format!(
        "{source}pin_file = \"pin\"\n\n{}{}",
        output("one", &mirrors[0]),
        output("two", &mirrors[1])
    ));
    stage.secret("pin", "secret");
    let run = stage.run(&[]);
    stage.until_live().await;
    let there = |status: &ShowStatus| status.session.as_ref().is_some_and(|session| session.speakers.len() == speakers);
    stage.until("all are there", 30, there).await;
    let pid = stage.until_kept(3.0).await.bridge.pid;
    let before = used(pid);
    // Not for anything to happen: this is what is measured.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let used = used(pid) - before;
    run.interrupt().await;
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn the_processor_time_of_thirteen_speakers_is_told_beside_that_of_one() {
    let _turn = crate::support::turn_alone().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::start().await;
    let mut table = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        let mut room = vec![Publisher::join_in_mono(&janus, "one", ruler(0)).await];
        table[0].push(cost(&janus, 1).await);
        for index in 1..13 {
            room.push(Publisher::join_in_mono(&janus, &format!("speaker {index}"), ruler(index % 2)).await);
        }
        table[1].push(cost(&janus, 13).await);
        for publisher in room {
            publisher.leave().await;
        }
    }
    let median = table.each_mut().map(|row| {
        row.sort_by(f64::total_cmp);
        row[1]
    });
    println!("CPU seconds of 10 s of a show: {table:?}, {:.2} times", median[1] / median[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn thirty_milliseconds_of_jitter_cost_no_second() {
    let _turn = turn().await;
    hears_through_a_bad_network(6, 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn five_percent_of_loss_and_thirty_milliseconds_of_jitter_cost_no_second() {
    let _turn = turn().await;
    hears_through_a_bad_network(25, 0.05).await;
}

async fn a_wrong_pin_is_told(janus: &Janus) {
    let mut visit = Visit::start(janus.url(), "canary");
    while visit.events.recv().await.is_some() {}
    let (end, _) = visit.end().await;
    let error = end.expect_err("refused");
    assert!(error.is_permanent() && error.message.contains("pin") && !error.message.contains("canary"), "{error}");
}
