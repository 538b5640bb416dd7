//! What the machine does not carry is refused with the figures, an operator's word counts more, and nothing that runs is
//! stopped for it.

use std::fs;

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, House};
use crate::support::turn;

const TONE: &str = "[[source]]\nkind = \"tone\"\n";

fn limits(house: &House, limits: &str) {
    fs::write(house.path("serve.toml"), format!("[limits]\n{limits}\n")).expect("a file");
}

fn is_live(show: &Value) -> bool {
    show["status"]["state"] == "live"
}

fn pid(show: &Value) -> u64 {
    show["status"]["bridge"]["pid"].as_u64().expect("a process")
}

/// A refusal's figures.
async fn refused(daemon: &Daemon, path: &str, body: &Value) -> String {
    let answer = daemon.ask(Method::POST, path).json(body).send().await.expect("an answer");
    let status = answer.status();
    let said: Value = answer.json().await.expect("JSON");
    assert_eq!((status, &said["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"machine-full".into()), "{said}");
    said["detail"].as_str().expect("figures").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_show_is_refused_with_figures_and_begun_by_force_and_the_first_one_goes_on() {
    let _turn = turn().await;
    let house = House::new();
    // Found beside the folder of shows, without being named.
    limits(&house, "max_shows = 1");
    house.show("a-night", TONE);
    house.show("b-night", TONE);
    let mut daemon = house.serve(&[]).await;
    let first = pid(&daemon.until("a-night", "is live", 30, is_live).await);
    // Both were due.
    let told = daemon.said();
    assert!(told.contains("The show b-night is not started, the machine does not carry it"), "{told}");
    assert_eq!(daemon.get("/api/v1/shows/b-night").await["standing"], "off");

    let why = refused(&daemon, "/api/v1/shows/b-night/start", &json!({})).await;
    assert!(why.starts_with("The configuration allows 1 at one time") && why.contains("1 shows use 0."), "{why}");
    refused(&daemon, "/api/v1/shows", &json!({"link": "tone", "name": "mine", "start": true})).await;
    assert_eq!(daemon.get("/api/v1/shows").await.as_array().expect("a list").len(), 2, "nothing half made");
    let machine = daemon.get("/api/v1/machine").await;
    let count = |key: &str| machine[key].as_u64().unwrap_or_else(|| panic!("no {key}: {machine}"));
    assert_eq!((count("shows"), count("max_shows"), count("room")), (1, 1, 0));
    assert_eq!(count("memory_reserve_bytes"), 256_000_000);
    assert!(count("cores") >= 1 && machine["cores_for_shows"].as_f64() > Some(0.8), "{machine}");

    daemon.order("/api/v1/shows/b-night/start?force=true").await;
    let second = pid(&daemon.until("b-night", "is live", 30, is_live).await);
    let machine = daemon.get("/api/v1/machine").await;
    assert_eq!((&machine["shows"], &machine["room"]), (&2.into(), &0.into()));
    // A daemon that comes next finds both, and judges neither.
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0));
    let daemon = house.serve(&[]).await;
    let supervised = |show: &Value| is_live(show) && show["standing"] == "supervised";
    for (show, before) in [("a-night", first), ("b-night", second)] {
        assert_eq!(pid(&daemon.until(show, "is adopted", 30, supervised).await), before, "{show} was begun again");
    }
    assert_eq!(daemon.get("/api/v1/machine").await["shows"], 2);
    for show in ["a-night", "b-night"] {
        daemon.order(&format!("/api/v1/shows/{show}/end")).await;
    }
    for show in ["a-night", "b-night"] {
        daemon.until(show, "is over", 30, |show| show["standing"] == "off").await;
    }
    assert_eq!(daemon.get("/api/v1/machine").await["room"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_memory_to_spare_begins_nothing_that_was_not_forced() {
    let _turn = turn().await;
    let house = House::new();
    limits(&house, "memory_reserve = \"900 TB\"");
    house.show("night", TONE);
    let daemon = house.serve(&[]).await;
    let why = refused(&daemon, "/api/v1/shows/night/start", &json!({})).await;
    assert!(why.contains("0 shows use 0.00 of") && why.contains("900000000 MB are kept free"), "{why}");
    assert_eq!(daemon.get("/api/v1/shows/night").await["standing"], "off");
    daemon.order("/api/v1/shows/night/start?force=true").await;
    daemon.until("night", "is live", 30, is_live).await;
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "is over", 30, |show| show["standing"] == "off").await;
}

#[tokio::test]
async fn a_fault_in_the_daemons_configuration_is_told_with_its_line_before_anything_starts() {
    let house = House::new();
    limits(&house, "max_show = 1");
    let mut daemon = house.spawn(&[]);
    assert_eq!(daemon.ended(20).await, Some(64));
    let said = daemon.said();
    assert!(said.contains("limits.max_show (line 2): unknown key. Did you mean max_shows."), "{said}");
}
