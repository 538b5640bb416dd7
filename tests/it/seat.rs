//! A speaker's seat in the simulated space, whose speakers speak in a real Janus: every way to the seat and out of it.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use spacebridge::clock::Clock;
use spacebridge::config::XApiConfig;
use spacebridge::media::SAMPLE_RATE;
use spacebridge::rehearsal::space::control::{SeatEvent, SeatRule, SpaceReport, SpaceStarted};
use spacebridge::rehearsal::space::{Order, SpaceArgs, SpaceServer};
use spacebridge::secret::Secret;
use spacebridge::source::x_space::auth::Auth;
use spacebridge::source::x_space::seat::{Rules, SpeakerSeat};
use spacebridge::source::{SourceEnd, SourceError, SourceFault};
use spacebridge::status::ShowState;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::support::janus::Janus;
use crate::support::process::find;
use crate::support::show::Space;
use crate::support::visit::{Heard, Visit};
use crate::support::{eventually_async, turn};

/// The simulated space before a gateway.
pub(crate) struct Stage {
    started: SpaceStarted,
    client: reqwest::Client,
    _guard: DropGuard,
}

impl Stage {
    pub(crate) async fn open(gateway: Option<&Url>) -> Self {
        let args = SpaceArgs { gateway: gateway.cloned(), ..SpaceArgs::default() };
        let server = SpaceServer::bind(args, Clock::system()).await.expect("a space");
        let started = server.started();
        let token = CancellationToken::new();
        tokio::spawn(server.serve(token.clone().cancelled_owned()));
        Self { started, client: reqwest::Client::new(), _guard: token.drop_guard() }
    }

    pub(crate) async fn order(&self, order: Order) -> SpaceReport {
        let url = format!("{}/control", self.started.guest_base);
        let answer = self.client.post(url).json(&order).send().await.expect("an answer");
        answer.error_for_status().expect("obeyed").json().await.expect("a report")
    }

    async fn seat(&self, event: SeatEvent) -> BTreeMap<String, u64> {
        self.order(Order::Seat(SeatRule::of(event))).await.requests
    }

    pub(crate) async fn requests(&self) -> BTreeMap<String, u64> {
        let url = format!("{}/control/report", self.started.guest_base);
        let report: SpaceReport = self.client.get(url).send().await.expect("an answer").json().await.expect("a report");
        report.requests
    }

    fn source(&self, rules: Rules, seat_silence: bool) -> SpeakerSeat {
        let url = |text: &str| Url::parse(text).expect("a url");
        let config = XApiConfig {
            api_base: url(&self.started.api_base),
            guest_base: url(&self.started.guest_base),
            chat_base: url(&self.started.guest_base),
            login_base: url(&self.started.guest_base),
            stage_base: url(&self.started.guest_base),
            cookie_hosts: vec!["127.0.0.1".to_owned()],
            allow_private_addresses: true,
            seat_silence,
            lookup_interval: Duration::from_secs(1),
            ..XApiConfig::default()
        };
        let auth = Auth::LoggedIn { auth_token: Secret::new("a".repeat(40)), ct0: Secret::new("b".repeat(160)) };
        SpeakerSeat::new(&self.started.space_url, &config, auth, &Clock::system(), rules).expect("a source")
    }

    pub(crate) fn visit(&self, rules: Rules) -> Visit {
        self.visit_with(rules, false)
    }

    fn visit_with(&self, rules: Rules, seat_silence: bool) -> Visit {
        Visit::start(self.source(rules, seat_silence))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_is_taken_heard_and_given_back() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::for_spaces().await;
    let stage = Stage::open(Some(janus.url())).await;
    let began = Instant::now();
    let mut visit = stage.visit(Rules::default());
    visit.until("the host is heard", 15, |heard| heard.names() == ["rehearsal"] && heard.level(0, 0.5) > -30.0).await;
    println!("seat after {:?}", began.elapsed());
    let enough = visit.heard.samples.len() + 5 * SAMPLE_RATE as usize;
    visit.until("seconds", 15, |heard| heard.samples.len() > enough).await;
    let guest =
        |dtx| SeatRule { who: Some("carol".to_owned()), channels: Some(1), dtx, ..SeatRule::of(SeatEvent::Arrive) };
    stage.order(Order::Seat(guest(true))).await;
    visit
        .until("a guest comes", 10, |heard| {
            heard.names() == ["carol", "rehearsal"] || heard.names() == ["rehearsal", "carol"]
        })
        .await;
    stage.order(Order::Seat(SeatRule { who: Some("carol".to_owned()), ..SeatRule::of(SeatEvent::Mute) })).await;
    let muted = |heard: &Heard| heard.speakers.iter().any(|one| one.name == "carol" && one.muted == Some(true));
    visit.until("the guest is muted", 5, muted).await;
    stage.order(Order::Seat(SeatRule { who: Some("carol".to_owned()), ..SeatRule::of(SeatEvent::Leave) })).await;
    visit.until("the guest leaves", 10, |heard| heard.names() == ["rehearsal"]).await;
    let heard = visit.leave().await;
    let mono = spacebridge::ruler::mono(&heard.samples);
    let marks = spacebridge::ruler::decode(&mono);
    let apart = |pair: &[spacebridge::ruler::RulerMark]| {
        let seconds = (pair[1].at_samples - pair[0].at_samples) / f64::from(SAMPLE_RATE);
        (seconds - f64::from(pair[1].index - pair[0].index)).abs() < 0.1
    };
    // A machine that gives out may spoil a second, and moves none.
    assert!(marks.len() >= 2 && marks.windows(2).all(apart), "{marks:?}");
    assert_eq!(heard.codes(), ["seat.taken"]);
    let requests = stage.requests().await;
    for (kind, count) in
        [("seat_login", 1), ("seat_join", 1), ("seat_negotiate", 1), ("seat_end", 1), ("watch_stop", 1)]
    {
        assert_eq!(requests.get(kind), Some(&count), "{kind}: {requests:?}");
    }
    assert_eq!(requests.get("seat_request"), None);
}

/// One attempt to its end, after an order.
async fn attempt(stage: &Stage, event: SeatEvent, rules: Rules) -> (SourceError, Heard, BTreeMap<String, u64>) {
    stage.order(Order::Heal).await;
    stage.seat(event).await;
    let (end, heard) = stage.visit(rules).end(20).await;
    (end.expect_err("no seat"), heard, stage.requests().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_is_not_to_be_had_is_told_and_leaves_nothing_behind() {
    spacebridge::gst::init().expect("GStreamer");
    let stage = Stage::open(None).await;
    let hasty = Rules { timeout: Duration::from_secs(2), ..Rules::default() };
    let count = |requests: &BTreeMap<String, u64>, kind: &str| requests.get(kind).copied().unwrap_or_default();

    let (error, heard, requests) = attempt(&stage, SeatEvent::Ignore, hasty).await;
    assert!(matches!(error.class, SourceFault::RateLimited(_)), "{error:?}");
    assert_eq!(heard.codes(), ["seat.waiting", "seat.timeout"]);
    assert!(heard.notices[0].message.contains("@bridge") && heard.notices[0].remedy.is_some());
    assert_eq!((count(&requests, "seat_request"), count(&requests, "seat_cancel")), (1, 1), "it is taken back");

    let (error, heard, requests) = attempt(&stage, SeatEvent::Refuse, Rules::default()).await;
    assert_eq!((error.class, heard.codes()), (SourceFault::Operator, vec!["seat.waiting", "seat.refused"]));
    assert_eq!((count(&requests, "seat_request"), count(&requests, "seat_cancel")), (2, 1), "nothing to take back");

    let shy = Rules { request_to_speak: false, ..hasty };
    let (error, heard, requests) = attempt(&stage, SeatEvent::Ignore, shy).await;
    assert_eq!((error.class, heard.codes()), (SourceFault::Operator, vec!["seat.refused"]));
    assert_eq!(count(&requests, "seat_request"), 2, "the host was not asked");

    let (error, heard, requests) = attempt(&stage, SeatEvent::Suspend, hasty).await;
    assert_eq!((error.class, heard.codes()), (SourceFault::Operator, vec!["seat.refused"]));
    assert!(error.message.contains("suspended"), "{error}");
    assert_eq!(count(&requests, "seat_login"), 3, "nothing further was asked");
    assert_eq!(count(&requests, "watch_stop"), 3);

    let (error, heard, requests) = attempt(&stage, SeatEvent::Narrow, hasty).await;
    assert_eq!((error.class, heard.codes()), (SourceFault::Operator, vec!["seat.refused"]));
    assert!(error.message.contains("subscribers"), "{error}");
    assert!(
        heard.notices[0].remedy.as_ref().is_some_and(|remedy| remedy.contains("subscribes")),
        "{:?}",
        heard.notices
    );
    assert_eq!(count(&requests, "seat_request"), 2, "the host was not asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_is_lost_is_told_as_what_it_was() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::for_spaces().await;
    let stage = Stage::open(Some(janus.url())).await;
    for code in [427, 429, 465] {
        let rule = SeatRule { code: Some(code), times: Some(1), ..SeatRule::of(SeatEvent::GatewayError) };
        stage.order(Order::Seat(rule)).await;
        let (end, heard) = stage.visit(Rules::default()).end(15).await;
        let error = end.expect_err("refused");
        assert_eq!((error.class, heard.codes()), (SourceFault::Transient, vec!["seat.taken", "seat.lost"]), "{error}");
        assert!(error.message.contains(&format!("Janus {code}")), "{error}");
    }

    stage.order(Order::Seat(SeatRule { seconds: Some(1), ..SeatRule::of(SeatEvent::Approve) })).await;
    let mut visit = stage.visit(Rules::default());
    visit.until("the host is heard", 15, |heard| heard.level(0, 0.3) > -30.0).await;
    assert_eq!(visit.heard.codes(), ["seat.waiting", "seat.approved", "seat.taken"]);
    stage.seat(SeatEvent::Kick).await;
    let (end, heard) = visit.end(8).await;
    let error = end.expect_err("thrown out");
    assert!(matches!(error.class, SourceFault::RateLimited(_)), "{error:?}");
    assert_eq!(heard.codes().last(), Some(&"seat.removed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_dies_without_a_word_and_a_space_that_ends_are_noticed() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let janus = Janus::for_spaces().await;
    let stage = Stage::open(Some(janus.url())).await;
    let mut visit = stage.visit(Rules::default());
    visit.until("the host is heard", 15, |heard| heard.level(0, 0.3) > -30.0).await;
    let cut = Instant::now();
    stage.seat(SeatEvent::Cut).await;
    let (end, heard) = visit.end(12).await;
    println!("a cut was noticed after {:?}: {end:?}", cut.elapsed());
    let error = end.expect_err("cut");
    assert_eq!((error.class, heard.codes()), (SourceFault::Transient, vec!["seat.taken", "seat.lost"]), "{error}");

    let mut visit = stage.visit_with(Rules::default(), true);
    visit.until("the host is heard again", 15, |heard| heard.level(0, 0.3) > -30.0).await;
    eventually_async("silence is sent", Duration::from_secs(5), || async {
        stage.requests().await.contains_key("seat_publish").then_some(())
    })
    .await;
    assert_eq!(visit.heard.names(), ["rehearsal"], "nobody hears their own silence");
    let over = Instant::now();
    stage.order(Order::End { replay: false }).await;
    let (end, _) = visit.end(10).await;
    println!("the end was noticed after {:?}", over.elapsed());
    assert!(matches!(end, Ok(SourceEnd::SessionEnded)), "{end:?}");
    assert_eq!(stage.requests().await.get("seat_end"), Some(&2));
}

#[test]
#[ignore = "make drill"]
fn a_rehearsal_from_a_speakers_seat_passes_and_tells_its_delay() {
    let far = crate::support::namespace::Namespace::new();
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("short.toml");
    std::fs::write(&plan, "live_seconds = 20\n").expect("a plan");
    let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let (plan, place) = (path(&plan), path(&folder.path().join("out")));
    let program = env!("CARGO_BIN_EXE_spacebridge");
    let mut command = std::process::Command::new(find("ip"));
    command.args(["netns", "exec", far.name(), program, "rehearse", "--seat", "speaker", "--json"]);
    let said = command.args(["--scenario", &plan, "--folder", &place]).output().expect("a process");
    let (said, log) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let verdict: serde_json::Value = serde_json::from_str(said.trim()).unwrap_or_else(|_| panic!("{said} {log}"));
    println!("{}", verdict["checks"]);
    assert_eq!(verdict["verdict"], "pass", "{verdict}");
    let delay = verdict["checks"][0]["measured_seconds"].as_f64().expect("a delay");
    assert!((0.1..1.0).contains(&delay), "{delay}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make drill"]
async fn a_seat_that_is_taken_away_leaves_the_show_to_the_listener() {
    let janus = Janus::for_spaces().await;
    let space = Space::start(&SpaceArgs { gateway: Some(janus.url().clone()), ..SpaceArgs::default() }).await;
    let stage = crate::support::show::Stage::new(&space.config_of_both_seats(""));
    let run = stage.run(&[]);
    let more = async |seconds: f64| {
        let before = stage.status().await.expect("a status").program.seconds;
        stage.until("the program goes on", 60, |status| status.program.seconds > before + seconds).await;
    };
    stage.until("the seat is heard", 30, |status| status.state == ShowState::Live && status.sources[0].active).await;
    more(5.0).await;
    let kicked = Instant::now();
    space.order(Order::Seat(SeatRule::of(SeatEvent::Kick))).await;
    stage
        .until("the listener is heard", 30, |status| status.state == ShowState::Live && status.sources[1].active)
        .await;
    println!("the listener's path was on the air {:?} after the seat was taken away", kicked.elapsed());
    more(6.0).await;
    run.interrupt().await;
    assert!(kicked.elapsed() < Duration::from_secs(40));
    // The seat heard who spoke; the listener was told.
    let archive = stage.archive();
    let folder = archive.to_str().expect("a path");
    let done = stage.verb(&["recordings", "export", folder, "--format", "speakers"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let files =
        std::fs::read_dir(archive.join("export")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut sessions = 0;
    for file in files.filter(|file| file.to_string_lossy().ends_with(".speakers.json")) {
        let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("a list")).expect("JSON");
        println!("{told}");
        let turn = told["turns"].as_array().expect("turns").iter().find(|turn| turn["handle"] == "rehearsal");
        let turn = turn.expect("the host spoke");
        assert_eq!(turn["host"], true, "{told}");
        let is_seat = told["session"].as_str().is_some_and(|session| session.ends_with("-stage"));
        assert!(!is_seat || turn["end"].as_f64() > Some(4.0), "{told}");
        sessions += 1;
    }
    assert_eq!(sessions, 2);
}
