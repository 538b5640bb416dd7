//! One show over several spaces: before the start, from one space to the next, and left in any state.

use std::time::Duration;

use rustix::process::Signal;
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use spacebridge::status::{OutputState, ShowState, ShowStatus};

use crate::support::media::Tracks;
use crate::support::nginx::Nginx;
use crate::support::show::{Run, Space, Stage, output};
use crate::support::{eventually_async, turn};

fn new_space(title: &str) -> Order {
    Order::NewSpace { title: Some(title.to_owned()), host: None, not_started: false, scheduled_in_seconds: None }
}

/// The id of the session that is on the air.
fn session(status: &ShowStatus) -> Option<&str> {
    status.session.as_ref().map(|session| session.id.as_str())
}

async fn until_live_with(stage: &Stage, id: &str, seconds: u64) -> ShowStatus {
    let live = |status: &ShowStatus| status.state == ShowState::Live && session(status) == Some(id);
    stage.until("the space is on the air", seconds, live).await
}

/// Sessions of the journal with at least one segment, in their order.
fn kept_sessions(stage: &Stage) -> Vec<String> {
    let mut sessions: Vec<String> = Vec::new();
    for line in stage.journal().iter().filter(|line| line["type"] == "segment") {
        let session = line["session"].as_str().expect("a session").to_owned();
        if sessions.last() != Some(&session) {
            sessions.push(session);
        }
    }
    sessions
}

/// Final files of a stage's only archive.
fn episodes(stage: &Stage) -> usize {
    let entries = std::fs::read_dir(stage.archive()).expect("an archive");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "m4a")).count()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_set_and_a_host_who_opens_another_space_leave_one_connection_and_every_session_kept() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(30).await;
    let first = space.report().await.space_id;
    let stage = Stage::with_show(&format!("{}{}", space.config(), output("a", &nginx)), "follow_host = \"5m\"");
    let run = stage.run(&["--json"]);
    stage.until_live().await;

    let refused = stage.verb(&["source", "set", "https://x.com/somebody/status/12345"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("The show keeps its source."), "{}", text(&refused.stderr));
    let status = stage.status().await.expect("a status");
    assert_eq!((status.state, session(&status)), (ShowState::Live, Some(first.as_str())));

    let second = space.order(new_space("The second")).await.space_id;
    let set = stage.verb(&["source", "set", &second]).await;
    assert!(set.status.success(), "{}", text(&set.stderr));
    let status = until_live_with(&stage, &second, 25).await;
    assert_eq!(status.session.and_then(|session| session.title).as_deref(), Some("The second"));
    let wanted = format!("on  1  Space {second}  on the air");
    eventually_async("the list names the second, and it is heard", Duration::from_secs(20), || async {
        let listed = text(&stage.verb(&["source", "list"]).await.stdout);
        (listed.trim() == wanted).then_some(())
    })
    .await;

    // The space dies, and the host has another one at once.
    space.order(Order::Timeout { replay: false }).await;
    let third = space.order(new_space("The third")).await.space_id;
    let status = until_live_with(&stage, &third, 40).await;
    assert_eq!(status.outputs[0].connections, 1);
    stage.until_kept(3.0).await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_eq!(kept_sessions(&stage), [first, second, third]);
    assert_eq!(episodes(&stage), 3);
    let [file] = &nginx.recordings()[..] else { panic!("not one connection: {:?}", nginx.recordings()) };
    Tracks::of(file).assert_continuous_from(0);
    let codes: Vec<String> =
        said.lines("event").iter().filter_map(|event| Some(event["code"].as_str()?.to_owned())).collect();
    for code in ["session.replaced", "session.between", "session.next"] {
        assert_eq!(codes.iter().filter(|own| *own == code).count(), 1, "{code}: {codes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_counts_down_with_closed_outputs_and_goes_on_the_air_before_a_space_that_is_late() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::start(&SpaceArgs { not_started: true, ..SpaceArgs::default() }).await;
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(18);
    let keys = format!("on_air_before = \"4s\"\nstart = \"{start}\"");
    let stage = Stage::with_show(&format!("{}{}", space.config(), output("a", &nginx)), &keys);
    let run = stage.run(&["--json"]);
    let closed = stage.until("the start is known", 14, |status| status.words.starts_with("Goes on the air at")).await;
    assert_eq!((closed.state, closed.outputs[0].state), (ShowState::Waiting, OutputState::Stopped));
    assert!(closed.slate.starts_with("Starts in "), "{}", closed.slate);
    stage.until("the outputs open", 25, |status| status.outputs[0].state == OutputState::Live).await;
    let late = |status: &ShowStatus| status.slate == "Waiting for the space to open";
    let waiting = stage.until("the start is over", 20, late).await;
    assert_eq!((waiting.state, nginx.recordings().len()), (ShowState::Waiting, 1));
    space.order(Order::Start).await;
    stage.until_live().await;
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    Tracks::of(&nginx.recordings()[0]).assert_continuous_from(0);
}

/// Suspends a run and waits for its end within the time that a supervisor gives it.
async fn suspended(mut run: Run, what: &str) {
    let asked = std::time::Instant::now();
    run.signal(Signal::TERM);
    let said = run.ended(20).await;
    assert_eq!(said.code, Some(0), "{what}: {}", said.all());
    assert!(asked.elapsed() < Duration::from_secs(15), "{what}: suspended after {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_show_is_suspended_and_resumed_in_every_state_and_goes_on_with_the_source_it_had() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let announced = SpaceArgs { not_started: true, scheduled_in_seconds: Some(3600), ..SpaceArgs::default() };
    let space = Space::start(&announced).await;
    let keys = "follow_host = \"10m\"\non_air_before = \"10m\"";
    let stage = Stage::with_show(&format!("{}{}", space.config(), output("a", &nginx)), keys);
    let run = stage.run(&[]);
    stage.until("a first word", 20, |_| true).await;
    suspended(run, "while it begins").await;

    let run = stage.run(&[]);
    stage.until("closed outputs", 20, |status| status.words.starts_with("Goes on the air at")).await;
    suspended(run, "with closed outputs").await;
    assert!(nginx.recordings().is_empty());

    let run = stage.run(&[]);
    space.order(Order::Start).await;
    stage.until_live().await;
    suspended(run, "while live").await;

    let run = stage.run(&[]);
    stage.until_live().await;
    space.order(Order::HostDrop).await;
    stage.until("the gap", 30, |status| status.state == ShowState::Gap).await;
    suspended(run, "in a gap").await;

    let run = stage.run(&[]);
    space.order(Order::Timeout { replay: false }).await;
    stage.until("the hold", 60, |status| status.words.contains("waited for until")).await;
    suspended(run, "while it waits for the next space").await;

    // Whoever resumes it now finds the space over, holds on, and joins the next one.
    let run = stage.run(&[]);
    stage.until("the hold again", 60, |status| status.words.contains("waited for until")).await;
    let next = space.order(new_space("The next")).await.space_id;
    until_live_with(&stage, &next, 60).await;
    suspended(run, "after the next space was joined").await;

    let run = stage.run(&[]);
    until_live_with(&stage, &next, 30).await;
    let last = space.order(new_space("The last")).await.space_id;
    assert!(stage.verb(&["source", "set", &last]).await.status.success());
    suspended(run, "while it goes over to another source").await;

    let mut run = stage.run(&[]);
    until_live_with(&stage, &last, 30).await;
    run.signal(Signal::INT);
    let said = run.ended(30).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_eq!(kept_sessions(&stage).last(), Some(&last));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_wrong_link_given_to_a_live_show_keeps_the_mirrors_up_until_a_right_one_comes() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let space = Space::running_for(30).await;
    let first = space.report().await.space_id;
    let stage = Stage::new(&format!("{}{}", space.config(), output("a", &nginx)));
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    assert!(stage.verb(&["source", "set", "1aaaaaaaaaaaa"]).await.status.success());
    let told = |status: &ShowStatus| status.events.iter().any(|event| event.code == "source.failed");
    let status = stage.until("the wrong link is told", 20, told).await;
    assert_eq!((status.state, status.outputs[0].state), (ShowState::Waiting, OutputState::Live));
    assert!(stage.verb(&["source", "set", &first]).await.status.success());
    let status = until_live_with(&stage, &first, 25).await;
    assert_eq!(status.outputs[0].connections, 1);
    let said = run.interrupt().await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_eq!((kept_sessions(&stage), episodes(&stage)), (vec![first], 1));
    let [file] = &nginx.recordings()[..] else { panic!("not one connection: {:?}", nginx.recordings()) };
    Tracks::of(file).assert_continuous_from(0);
}
