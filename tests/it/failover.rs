//! Two paths to one sound through the real program: one fails, and the other is heard without a second lost or repeated.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::time::{Duration, Instant};

use spacebridge::rehearsal::space::control::{SeatEvent, SeatRule};
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use spacebridge::status::{ShowStatus, SourceStatus};

use super::support::janus::Janus;
use super::support::measure::{assert_every_second, ruler_of};
use super::support::nginx::Nginx;
use super::support::show::{Run, Space, Stage, output};
use super::support::station::{Does, Station, Tape};
use super::support::turn;

/// A source of the list; none before the bridge has told them.
fn source(status: &ShowStatus, index: usize) -> Option<&SourceStatus> {
    status.sources.get(index)
}

/// A show that hears two stations, the second of them some seconds behind.
struct Two {
    near: Station,
    far: Station,
    nginx: Nginx,
    stage: Stage,
    run: Run,
    _tape: tempfile::TempDir,
}

impl Two {
    async fn start(lag: Duration, standby: &str, failover: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tape = Tape::new(folder.path(), 240);
        let near = Station::start(&tape, Duration::ZERO).await;
        let far = Station::start(&tape, lag).await;
        let nginx = Nginx::start("live").await;
        let source = |station: &Station| format!("[[source]]\nkind = \"uri\"\nuri = \"{}\"\n{standby}\n", station.url);
        let sections = format!(
            "{}{}[failover]\nback_after = \"4s\"\n{failover}\n{}",
            source(&near),
            source(&far),
            output("mirror", &nginx)
        );
        let stage = Stage::new(&sections);
        let run = stage.run(&[]);
        Self { near, far, nginx, stage, run, _tape: folder }
    }

    /// Waits until source `index` is heard; how long that took.
    async fn heard(&self, index: usize) -> (ShowStatus, Duration) {
        let began = Instant::now();
        let what = format!("source {index} is heard");
        let status =
            self.stage.until(&what, 60, |status| source(status, index).is_some_and(|source| source.active)).await;
        (status, began.elapsed())
    }

    /// The same in aligned mode, once both are placed and heard for a while.
    async fn aligned(delay: &str) -> Self {
        let two = Self::start(Duration::from_secs(5), "standby = \"warm\"", &format!("delay = \"{delay}\"")).await;
        let placed = |status: &ShowStatus| source(status, 1).is_some_and(|source| source.aligned);
        two.stage.until("the second is placed by its sound", 60, placed).await;
        two.goes_on(2.0).await;
        two
    }

    /// The first one freezes: the other is heard in time, and goes on.
    async fn freezes(&self) {
        self.near.order(Does::Freezes);
        let (_, took) = self.heard(1).await;
        assert!(took < Duration::from_millis(3500), "noticed after {took:?}");
        self.goes_on(10.0).await;
    }

    /// Waits until so much was kept more.
    async fn goes_on(&self, seconds: f64) {
        let now = self.stage.status().await.expect("a status").program.seconds;
        self.stage.until("the program goes on", 60, |status| status.program.seconds > now + seconds).await;
    }

    /// Ends the show; the seconds of the ruler that the ingest has.
    async fn end(self) -> Vec<(u32, f64)> {
        let Self { nginx, run, near, far, .. } = self;
        run.interrupt().await;
        drop((near, far));
        ruler_of(nginx.recordings().last().expect("a recording"))
    }
}

/// All at the same time, since each waits most of its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_fails_is_not_heard_to_fail() {
    let _turn = turn().await;
    tokio::join!(
        a_frozen_path_gives_way_to_the_one_beside_it_and_no_second_is_lost_or_said_twice(),
        a_path_that_falls_silent_where_the_other_has_sound_gives_way_before_the_silence_is_heard(),
        a_source_that_goes_down_gives_way_to_a_cold_one_within_five_seconds(),
    );
}

async fn a_frozen_path_gives_way_to_the_one_beside_it_and_no_second_is_lost_or_said_twice() {
    let two = Two::aligned("9s").await;
    two.freezes().await;
    assert_every_second(&two.end().await, 12);
}

/// The way back to a source that thawed: its place is found anew.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "make drill"]
async fn a_path_that_thawed_is_gone_back_to_and_no_second_is_lost_or_said_twice() {
    let _turn = turn().await;
    let two = Two::aligned("9s").await;
    two.freezes().await;
    two.near.order(Does::Plays);
    two.heard(0).await;
    two.goes_on(10.0).await;
    let marks = two.end().await;
    assert_every_second(&marks, 20);
}

async fn a_path_that_falls_silent_where_the_other_has_sound_gives_way_before_the_silence_is_heard() {
    let two = Two::aligned("10s").await;
    two.near.order(Does::Mutes);
    two.heard(1).await;
    two.goes_on(12.0).await;
    assert_every_second(&two.end().await, 12);
}

async fn a_source_that_goes_down_gives_way_to_a_cold_one_within_five_seconds() {
    let two = Two::start(Duration::from_secs(2), "standby = \"cold\"", "").await;
    two.stage.until_live().await;
    two.goes_on(6.0).await;
    two.near.order(Does::IsDown);
    let (_, took) = two.heard(1).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    two.goes_on(6.0).await;
    two.near.order(Does::Plays);
    two.heard(0).await;
    two.goes_on(4.0).await;
    let events = std::fs::read_to_string(two.stage.path("run-1.err")).unwrap_or_default();
    let marks = two.end().await;
    let seconds: Vec<u32> = marks.iter().map(|(index, _)| *index).collect();
    // A source that has only just come is heard from its oldest on: what lies before the change may be said again.
    let again = |pair: &[u32]| pair[1] <= pair[0];
    let back = seconds.windows(2).filter(|pair| again(pair));
    assert!(back.clone().count() <= 1 && back.into_iter().all(|pair| pair[0] - pair[1] < 3), "{seconds:?}\n{events}");
    assert!(seconds.len() > 12, "{seconds:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make drill"]
async fn a_seat_whose_media_break_off_gives_way_to_the_listeners_path_without_a_second_lost() {
    let _turn = turn().await;
    let janus = Janus::for_spaces().await;
    let space = Space::start(&SpaceArgs { gateway: Some(janus.url().clone()), ..SpaceArgs::default() }).await;
    let nginx = Nginx::start("live").await;
    let failover = "[failover]\nmode = \"aligned\"\ndelay = \"15s\"\nback_after = \"5s\"\n\n";
    let sections = space.config_of_both_seats("standby = \"warm\"") + failover + &output("mirror", &nginx);
    let stage = Stage::new(&sections);
    let run = stage.run(&[]);
    let more = async |seconds: f64| {
        let before = stage.status().await.expect("a status").program.seconds;
        stage.until("the program goes on", 60, |status| status.program.seconds > before + seconds).await;
    };
    stage
        .until("the listener's path is placed", 90, |status| {
            source(status, 0).is_some_and(|seat| seat.active) && source(status, 1).is_some_and(|other| other.aligned)
        })
        .await;
    more(4.0).await;
    let cut = Instant::now();
    space.order(Order::Seat(SeatRule::of(SeatEvent::Cut))).await;
    stage.until("the listener is heard", 30, |status| source(status, 1).is_some_and(|source| source.active)).await;
    let took = cut.elapsed();
    more(20.0).await;
    stage.until("the seat is heard again", 90, |status| source(status, 0).is_some_and(|source| source.active)).await;
    more(18.0).await;
    run.interrupt().await;
    println!("the listener's path took over {took:?} after the seat's media broke off");
    assert!(took < Duration::from_millis(3500), "{took:?}");
    assert_every_second(&ruler_of(nginx.recordings().last().expect("a recording")), 35);
}
