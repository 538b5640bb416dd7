//! A speaker's seat on a bad night, before a real gateway: the account is suspended, the host vanishes, pictures are
//! offered, the way to the gateway ends again and again.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::time::{Duration, Instant};

use spacebridge::rehearsal::space::control::{SeatEvent, SeatRule};
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use spacebridge::source::SourceFault;
use spacebridge::source::x_space::seat::Rules;
use spacebridge::status::ShowStatus;

use crate::seat;
use crate::support::janus::Janus;
use crate::support::show::{Space, Stage};
use crate::support::turn;
use crate::support::visit::{Heard, Visit};

/// A seat from which the host is heard.
async fn on_stage() -> (Janus, seat::Stage, Visit) {
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::for_spaces().await;
    let stage = seat::Stage::open(Some(janus.url())).await;
    let mut visit = stage.visit(Rules::default());
    visit.until("the host is heard", 15, |heard| heard.level(0, 0.5) > -30.0).await;
    (janus, stage, visit)
}

fn marks_of(heard: &Heard) -> Vec<spacebridge::ruler::RulerMark> {
    spacebridge::ruler::decode(&spacebridge::ruler::mono(&heard.samples))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_picture_is_refused_and_an_account_that_is_suspended_in_mid_show_is_told_as_that() {
    let _turn = turn().await;
    let (_janus, stage, mut visit) = on_stage().await;
    visit.listen(2.0).await;
    let guest = SeatRule { who: Some("dave".to_owned()), camera: true, ..SeatRule::of(SeatEvent::Arrive) };
    stage.order(Order::Seat(guest)).await;
    let talks = |heard: &Heard| heard.speakers.iter().any(|one| one.name == "dave" && one.talking);
    visit.until("the guest with a camera is heard", 15, talks).await;
    visit.listen(2.0).await;
    assert_eq!(visit.heard.codes(), ["seat.taken", "source.video"]);
    let marks = marks_of(&visit.heard);
    let follows = |pair: &[spacebridge::ruler::RulerMark]| pair[1].index == pair[0].index + 1;
    assert!(marks.len() >= 3 && marks.windows(2).all(follows), "the host is heard all the while: {marks:?}");
    assert_eq!(visit.heard.holes, 0);

    // Its session is gone at X without a word, and nothing comes from the gateway any more.
    stage.order(Order::Seat(SeatRule::of(SeatEvent::Suspend))).await;
    stage.order(Order::Seat(SeatRule::of(SeatEvent::Cut))).await;
    let (end, heard) = visit.end(15).await;
    let error = end.expect_err("suspended");
    assert_eq!((error.class, heard.codes().last()), (SourceFault::Operator, Some(&"seat.refused")), "{error}");
    assert!(error.message.contains("suspended"), "{error}");
    assert_eq!(heard.codes().len(), 3, "{:?}", heard.notices);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_host_who_vanishes_in_mid_show_is_told_once() {
    let _turn = turn().await;
    let (_janus, stage, mut visit) = on_stage().await;
    stage.order(Order::HostDrop).await;
    let gone = Instant::now();
    visit.until("nobody is there", 10, |heard| heard.speakers.is_empty()).await;
    visit.until("that is told", 30, |heard| heard.codes().contains(&"seat.empty")).await;
    println!("an absent host was told after {:?}", gone.elapsed());
    assert!((18..25).contains(&gone.elapsed().as_secs()), "{:?}", gone.elapsed());
    visit.listen(10.0).await;
    let heard = visit.leave().await;
    assert_eq!(heard.codes(), ["seat.taken", "seat.empty"]);
    assert_eq!(heard.holes, 0, "silence goes on meanwhile");
}

fn is_active(status: &ShowStatus, index: usize) -> bool {
    status.sources.get(index).is_some_and(|source| source.active)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_way_to_the_gateway_that_ends_after_every_four_seconds_never_stops_the_show() {
    let _turn = turn().await;
    let janus = Janus::for_spaces().await;
    let space = Space::start(&SpaceArgs { gateway: Some(janus.url().clone()), ..SpaceArgs::default() }).await;
    space.order(Order::Seat(SeatRule { seconds: Some(4), ..SeatRule::of(SeatEvent::Cut) })).await;
    let stage = Stage::new(&space.config_of_both_seats("standby = \"warm\""));
    let run = stage.run(&["--json"]);
    stage.until("the listener is heard", 60, |status| is_active(status, 1)).await;
    let before = stage.status().await.expect("a status").program.seconds;
    let began = Instant::now();
    stage.until("the program goes on", 90, |status| status.program.seconds > before + 75.0).await;
    assert!(began.elapsed() < Duration::from_secs(80), "the program stood still: {:?}", began.elapsed());
    let requests = space.report().await.requests;
    let said = run.interrupt().await;
    let events = said.lines("event");
    let told: Vec<(&str, &str)> = events
        .iter()
        .filter_map(|event| Some((event["code"].as_str()?, event["at"].as_str().unwrap_or_default())))
        .filter(|(code, _)| code.starts_with("seat."))
        .collect();
    println!("{told:?} {requests:?}");
    let codes: Vec<&str> = told.iter().map(|(code, _)| *code).collect();
    let lost = codes.iter().filter(|code| **code == "seat.lost").count();
    assert!(lost >= 3, "{told:?}");
    assert!(codes.windows(2).all(|pair| pair[0] != pair[1]), "each seat and each loss is told once: {told:?}");
    assert!(codes.iter().all(|code| ["seat.taken", "seat.lost"].contains(code)), "{told:?}");
    // A seat that lasts four seconds, found dead after five: without a pause between the attempts there were ten.
    assert!(requests["seat_join"] <= 8, "{requests:?}");
}
