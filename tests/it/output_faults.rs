//! What an output does about an ingest's faults, judged at real servers' own recordings; long ones run in `make drill`.

#![expect(clippy::print_stdout, reason = "the figures of a drill are for whoever runs it")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use spacebridge::alert::Level;
use spacebridge::clock::{Clock, Pace};
use spacebridge::config::{BudgetConfig, WhenSpent};
use spacebridge::output::OutputHandle;
use spacebridge::rehearsal::proxy::{Fault, FaultProxy, Way};
use spacebridge::status::OutputState;

use crate::support::media::Tracks;
use crate::support::namespace::Namespace;
use crate::support::nginx::Nginx;
use crate::support::outputs::{SECONDS_OF_BYTES, Show, codes, until, until_live};
use crate::support::{eventually, turn};

/// How late a test may see what an output did.
const SEEN: Duration = Duration::from_millis(100);

/// Fails unless `nginx` had one connection for all the time, without a gap.
fn assert_undisturbed(nginx: &Nginx) {
    let [recording] = &nginx.recordings()[..] else { panic!("{:?}", nginx.recordings()) };
    Tracks::of(recording).assert_continuous_from(0);
}

async fn live_again(output: &OutputHandle, connections: u32, seconds: u64) {
    let back = format!("connection {connections} is live");
    until(output, &back, seconds, |status| status.connections == connections && status.state == OutputState::Live)
        .await;
}

/// Waits for the next failure; gives how long it took to be found.
async fn failure(output: &OutputHandle, since: Instant, seconds: u64) -> Duration {
    let before = output.status().borrow().failures;
    until(output, "the fault is told", seconds, |status| status.failures > before).await;
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restart_verb_moves_one_output_and_no_other() {
    let _turn = turn().await;
    let (restarted, healthy) = (Nginx::start("live").await, Nginx::start("live").await);
    let show = Show::start();
    let (a, b) = (show.output("a", &restarted.url(), None), show.output("b", &healthy.url(), None));
    until_live(&a).await;
    until_live(&b).await;
    healthy.grows(SECONDS_OF_BYTES).await;
    assert!(a.restart().await);
    live_again(&a, 2, 8).await;
    // A broadcast that ends before its first key frame leaves no file.
    restarted.grows(SECONDS_OF_BYTES).await;
    assert!(a.stop().await);
    until(&a, "it has stopped", 5, |status| status.state == OutputState::Stopped).await;
    assert!(a.start().await);
    live_again(&a, 3, 8).await;
    restarted.grows(2 * SECONDS_OF_BYTES).await;
    let status = a.status().borrow().clone();
    assert_eq!((status.budget.used, status.failures), (3, 0), "what the operator orders is counted, and is no failure");
    let told = show.end().await;
    assert_eq!(codes(&told, "output b"), ["output.live"]);
    assert_undisturbed(&healthy);
    let recordings = restarted.recordings();
    assert_eq!(recordings.len(), 3);
    Tracks::of(&recordings[2]).assert_continuous_from(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_is_told_and_holds_until_the_operator_says_restart() {
    let _turn = turn().await;
    let mut nginx = Nginx::start("live").await;
    let show = Show::start();
    let budget = BudgetConfig { per_hour: 1, when_spent: WhenSpent::Hold };
    let output = show.output_within("a", &nginx.url(), None, budget);
    until_live(&output).await;
    nginx.kill();
    let held = until(&output, "the budget holds it", 5, |status| status.budget.next_in_seconds.is_some()).await;
    assert!(held.budget.next_in_seconds > Some(3500), "{:?}", held.budget);
    assert_eq!((held.budget.used, held.budget.limit, held.state), (1, 1, OutputState::Backoff));
    nginx.up(None).await;
    assert!(output.restart().await);
    live_again(&output, 2, 8).await;
    assert_eq!(output.status().borrow().budget.used, 2);
    let told = show.end().await;
    let alert = told.iter().find(|event| event.code == "output.budget").expect("it is told");
    assert_eq!(alert.level, Level::Error);
    assert!(alert.remedy.as_ref().is_some_and(|remedy| remedy.contains("output restart a")), "{alert:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_frozen_ingest_is_replaced_within_25_seconds_at_the_default_bitrate() {
    let _turn = turn().await;
    let (victim, healthy) = (Nginx::start("live").await, Nginx::start("live").await);
    let show = Show::start();
    let (a, b) = (show.output("a", &victim.url(), None), show.output("b", &healthy.url(), None));
    until_live(&a).await;
    until_live(&b).await;
    victim.grows(4 * SECONDS_OF_BYTES).await;
    victim.freeze();
    let found = failure(&a, Instant::now(), 60).await;
    println!("frozen at 3000 + 128 kbit/s: replaced after {:.1} s", found.as_secs_f64());
    assert!(found <= Duration::from_secs(25), "{found:?}");
    assert!(a.status().borrow().last_error.as_ref().is_some_and(|error| error.contains("takes no more data")));
    victim.thaw();
    live_again(&a, 2, 30).await;
    victim.grows(2 * SECONDS_OF_BYTES).await;
    let told = show.end().await;
    assert_eq!(codes(&told, "output a")[..2], ["output.live", "output.stalled"]);
    assert_eq!(codes(&told, "output b"), ["output.live"]);
    assert_undisturbed(&healthy);
    let again = victim.recordings();
    Tracks::of(again.last().expect("a recording")).assert_continuous_from(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_black_holed_ingest_is_replaced_within_10_seconds() {
    let _turn = turn().await;
    let far = Namespace::new();
    let (victim, healthy) = (Nginx::start_in(far.name(), far.there(), "live").await, Nginx::start("live").await);
    let show = Show::start();
    let (a, b) = (show.output("a", &victim.url(), None), show.output("b", &healthy.url(), None));
    until_live(&a).await;
    until_live(&b).await;
    for round in 1..=3 {
        victim.grows(11 * SECONDS_OF_BYTES).await;
        far.black_hole(true);
        let found = failure(&a, Instant::now(), 30).await;
        // Some attempts go into the hole.
        failure(&a, Instant::now(), 40).await;
        let step = a.status().borrow().retry_in_seconds.unwrap_or(0) + 1;
        far.black_hole(false);
        let opened = Instant::now();
        live_again(&a, round + 1, 60).await;
        let back = opened.elapsed();
        println!(
            "black hole {round}: replaced after {:.1} s; back {:.1} s after its end, with a step of {step} s",
            found.as_secs_f64(),
            back.as_secs_f64()
        );
        assert!(found <= Duration::from_secs(10), "{found:?}");
    }
    victim.grows(2 * SECONDS_OF_BYTES).await;
    let told = show.end().await;
    for event in told.iter().filter(|event| event.subject == "output a") {
        println!("  {} {} {}", event.at, event.code, event.message);
    }
    assert_eq!(codes(&told, "output b"), ["output.live"]);
    assert_undisturbed(&healthy);
    let again = victim.recordings();
    Tracks::of(again.last().expect("a recording")).assert_continuous_from(0);
}

/// A show with two live outputs: `a` through a proxy to `behind`, `b` straight to `healthy`.
struct Pair {
    behind: Nginx,
    healthy: Nginx,
    proxy: FaultProxy,
    show: Show,
    a: OutputHandle,
    b: OutputHandle,
}

impl Pair {
    async fn live() -> Self {
        let (behind, healthy) = (Nginx::start("live").await, Nginx::start("live").await);
        let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], behind.port))).await.expect("a proxy");
        let show = Show::start();
        let a = show.output("a", &format!("rtmp://127.0.0.1:{}/live", proxy.port()), None);
        let b = show.output("b", &healthy.url(), None);
        until_live(&a).await;
        until_live(&b).await;
        Self { behind, healthy, proxy, show, a, b }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn half_an_uplink_is_told_with_figures_and_kept() {
    let _turn = turn().await;
    let Pair { behind: slow, healthy, proxy, show, a, b: _b } = Pair::live().await;
    // 1.2 of 3.1 Mbit/s. The kernel's buffers take some megabytes before anything is late.
    proxy.set(Fault::Trickle { bytes_per_second: 150_000 }).await;
    let mut told = show.events.subscribe();
    let since = Instant::now();
    let event = eventually("it is told", Duration::from_secs(150), || {
        let event = told.try_recv().ok()?;
        (event.code == "output.slow").then_some(event)
    })
    .await;
    println!("half an uplink: told after {:.0} s: {}", since.elapsed().as_secs_f64(), event.message);
    let before = a.status().borrow().clone();
    // One mistake teaches it: behind megabytes of buffers a slow way looks dead for some seconds.
    assert!(before.connections <= 2, "{before:?}");
    slow.grows(9 * SECONDS_OF_BYTES).await;
    let after = a.status().borrow().clone();
    let kept = (after.connections, after.failures, after.state);
    assert_eq!(kept, (before.connections, before.failures, OutputState::Live), "{after:?}");
    let told = show.end().await;
    assert_eq!(codes(&told, "output b"), ["output.live"]);
    assert_undisturbed(&healthy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_stalled_connection_through_a_proxy_is_replaced_and_no_other_moves() {
    let _turn = turn().await;
    let Pair { behind: victim, healthy, proxy, show, a, b: _b } = Pair::live().await;
    victim.grows(11 * SECONDS_OF_BYTES).await;
    proxy.set(Fault::Stall { way: Way::Both }).await;
    let found = failure(&a, Instant::now(), 60).await;
    println!("stalled both ways behind a proxy: replaced after {:.1} s", found.as_secs_f64());
    assert!(found <= Duration::from_secs(25), "{found:?}");
    proxy.set(Fault::Pass).await;
    live_again(&a, 2, 30).await;
    assert_eq!(codes(&show.end().await, "output b"), ["output.live"]);
    assert_undisturbed(&healthy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn thirty_kills_spend_the_budget_and_no_more() {
    let _turn = turn().await;
    // An hour is half a minute here. Sessions last, so that only the budget makes the output wait.
    let pace = Pace { epoch: Timestamp::now(), speed: 120.0 };
    let (hour, per_hour) = (Duration::from_secs(30), 2);
    let mut nginx = Nginx::start("live").await;
    let show = Show::start_with(Clock::paced(Some(pace)));
    let budget = BudgetConfig { per_hour, when_spent: WhenSpent::Hold };
    let output = show.output_within("a", &nginx.url(), None, budget);
    let (mut begun, mut held) = (Vec::new(), 0);
    for cycle in 1..=30 {
        until(&output, "it is live", 60, |status| status.connections == cycle).await;
        begun.push(Instant::now());
        until(&output, "it has lasted", 20, |status| status.state_seconds > 10).await;
        nginx.kill();
        let waits = until(&output, "the death is told", 10, |status| status.state == OutputState::Backoff).await;
        held += u32::from(waits.budget.next_in_seconds.is_some());
        nginx.up(None).await;
    }
    // Each is seen up to 0.1 s after it began.
    let within = |first: &Instant| begun.iter().filter(|at| **at >= *first && **at - *first < hour - SEEN).count();
    let most = begun.iter().map(within).max().expect("sessions");
    println!("thirty kills: at most {most} broadcasts in an hour of {per_hour}, held back {held} times");
    assert!(most <= per_hour as usize, "{most}");
    assert!(held >= 10, "held back only {held} times");
    assert_eq!(nginx.recordings().len(), 30, "what the ingest saw");
    assert!(codes(&show.end().await, "output a").contains(&"output.budget".to_owned()));
}
