//! The drill: whole bad nights, carried by the real program to real nginx ingests behind fault proxies, and judged by
//! what nginx recorded. `make drill` runs them; each prints its figures.

use std::time::Duration;

use crate::support::drill::Drill;
use crate::support::process::PLUGINS;
use crate::support::turn;

/// A scenario with nothing but its name.
fn drill(scenario: &str, speed: u32, minutes: u64) -> Drill<'_> {
    Drill { scenario, speed, output_keys: "", patience: Duration::from_secs(60 * minutes) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn night_of_12_august_is_carried_to_its_end() {
    let _turn = turn().await;
    drill("august-12", 20, 12).hold(|_| {}).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn host_on_a_bad_line_is_never_seen_at_the_outputs() {
    let _turn = turn().await;
    drill("host-drops", 1, 10).hold(|_| {}).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn storm_at_the_cdn_loses_nothing_that_could_be_fetched() {
    let _turn = turn().await;
    drill("cdn-storm", 1, 10).hold(|_| {}).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn storm_at_one_ingest_never_reaches_the_other() {
    let _turn = turn().await;
    drill("ingest-storm", 1, 10).hold(|_| {}).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn everything_at_once_is_lived_through() {
    let _turn = turn().await;
    drill("everything", 1, 12).hold(|_| {}).await.assert_passed();
}

/// A host that drops and an ingest that is killed, in half a minute.
const SHORT: &str = r#"
gaps_planned = true

[[step]]
real = "7s"
space = { do = "host_drop" }

[[step]]
real = "1s"
ingest = "rumble"
do = "kill"

[[step]]
real = "2s"
ingest = "rumble"
do = "return"

[[step]]
real = "1s"
space = { do = "host_return" }

[[step]]
real = "15s"
expect = "rumble live within 10s"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_of_an_operators_own_is_rehearsed_and_judged() {
    let _turn = turn().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("short.toml");
    std::fs::write(&file, SHORT).expect("a scenario");
    let mut command = tokio::process::Command::new(crate::support::show::PROGRAM);
    command.args(["rehearse", "--json", "--folder", "out", "--scenario"]).arg(&file);
    command.env("HOME", folder.path()).env(PLUGINS.0, PLUGINS.1);
    command.current_dir(folder.path()).kill_on_drop(true);
    let rehearsed = tokio::time::timeout(Duration::from_secs(90), command.output()).await;
    let said = rehearsed.expect("it ends").expect("the program starts");
    let error = String::from_utf8_lossy(&said.stderr);
    let verdict: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!(verdict["verdict"], "pass", "{verdict:#} {error}");
    let connections: Vec<_> =
        verdict["outputs"].as_array().expect("outputs").iter().map(|o| &o["connections"]).collect();
    assert_eq!(connections, [1, 2]);
    assert!(verdict["checks"].as_array().is_some_and(|checks| checks.len() >= 2), "{verdict:#}");
    let told = |who: &str| verdict["timeline"].as_array().is_some_and(|all| all.iter().any(|one| one["who"] == who));
    assert!(told("rehearsal") && told("output rumble"), "{verdict:#}");
}
