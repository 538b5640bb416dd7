//! Shows that a daemon begins by itself: at a time, and when a host's account goes live.

use std::fs;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use spacebridge::rehearsal::space::SpaceArgs;

use crate::support::daemon::{Daemon, House};
use crate::support::show::{Space, send, write_secret};
use crate::support::{eventually_async, turn};

async fn put(daemon: &Daemon, path: &str, body: &Value) -> (StatusCode, Value) {
    let answer = daemon.ask(Method::PUT, path).json(body).send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn make(daemon: &Daemon, draft: &Value) {
    let (status, said) = daemon.post("/api/v1/shows", draft).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_show_begins_in_its_second_or_is_made_up_or_told_as_missed_and_never_begins_twice() {
    let house = House::new();
    let mut daemon = house.serve(&[]).await;
    for name in ["soon", "down", "late"] {
        make(&daemon, &json!({"link": "tone", "name": name, "closing": "1s", "record": false})).await;
    }
    let at = |seconds: i64| Timestamp::from_second(Timestamp::now().as_second() + seconds).expect("a time");
    let due = at(4);
    let rule = |at: Timestamp, give_up: &str| json!({"at": format!("{at}"), "early": "1s", "give_up_after": give_up});
    let (status, said) = put(&daemon, "/api/v1/schedules/soon", &rule(due, "1m")).await;
    assert_eq!((status, said["next"].as_str()), (StatusCode::OK, Some(due.to_string().as_str())), "{said}");
    daemon.until("soon", "on the air", 20, |show| show["on_the_air"] == true).await;
    // When the daemon began it: how long its process takes to start is the machine's business.
    let wish: Value =
        serde_json::from_slice(&fs::read(house.state().join("serve/wishes/soon")).expect("a wish")).expect("JSON");
    let begun: Timestamp = wish["at"].as_str().expect("a time").parse().expect("a time");
    let off = begun.since((Unit::Second, due)).expect("near").total(Unit::Second).expect("seconds");
    assert!((-1.2..2.5).contains(&off), "it began {off} s from its time");

    daemon.order("/api/v1/shows/soon/end").await;
    daemon.until("soon", "over", 20, |show| show["standing"] == "off").await;
    // The daemon is away at the time of two more: one can still be made up.
    let (soon, gone) = (put(&daemon, "/api/v1/schedules/down", &rule(at(3), "5m")).await, at(3));
    assert_eq!(soon.0, StatusCode::OK);
    assert_eq!(put(&daemon, "/api/v1/schedules/late", &rule(gone, "1s")).await.0, StatusCode::OK);
    assert_eq!(daemon.stop(Signal::KILL).await, None);
    let away = || async { (Timestamp::now() > gone + Duration::from_secs(2)).then_some(()) };
    eventually_async("their time is over", Duration::from_secs(10), away).await;
    daemon = house.serve(&[]).await;
    daemon.until("down", "made up", 20, |show| show["on_the_air"] == true).await;
    assert!(daemon.said().contains("daemon.schedule_missed"), "{}", daemon.said());
    assert_eq!(daemon.get("/api/v1/shows/late").await["standing"], "off");
    assert_eq!(daemon.get("/api/v1/shows/soon").await["standing"], "off", "it began a second time");
    assert_eq!(daemon.get("/api/v1/schedules/soon").await["next"], Value::Null);
    daemon.order("/api/v1/shows/down/end").await;

    for (path, rule, status) in [
        ("soon", rule(due, "1m"), StatusCode::UNPROCESSABLE_ENTITY),
        ("soon", json!({"at": "2999-01-01T20:00:00Z", "on": ["fri"]}), StatusCode::UNPROCESSABLE_ENTITY),
        ("nobody", rule(at(9), "1m"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(put(&daemon, &format!("/api/v1/schedules/{path}"), &rule).await.0, status, "{rule}");
    }
    let friday = json!({"at": "2026-11-20T20:00[Europe/Berlin]", "on": ["fri"]});
    assert_eq!(put(&daemon, "/api/v1/schedules/late", &friday).await.0, StatusCode::OK);
    let gone = daemon.ask(Method::DELETE, "/api/v1/shows/late").send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let shows: Vec<String> = daemon
        .get("/api/v1/schedules")
        .await
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["show"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(shows, ["down", "soon"], "a show that is gone leaves no schedule");
    daemon.until("down", "over", 20, |show| show["standing"] == "off").await;
}

/// A show file whose source is the simulated space, in the words of `link`.
fn show_of(house: &House, space: &Space, name: &str, link: &str) {
    let sections = space.config().replace(&space.started.space_url, link);
    house.show(name, &sections);
    for cookie in ["auth_token", "ct0"] {
        write_secret(&house.path("shows").join(cookie), "0123456789abcdef");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_goes_live_begins_the_show_with_that_space_once_and_never_again() {
    let _turn = turn().await;
    let space = Space::start(&SpaceArgs { running_for_seconds: 5, ..SpaceArgs::default() }).await;
    let id = space.report().await.space_ids.last().expect("a space").clone();
    let house = House::new();
    // Its own link names a Space that is long gone: the watch gives it the new one.
    show_of(&house, &space, "night", "https://x.com/i/spaces/1AAAAAAAAAAAA");
    // Not on the air by itself: what a daemon finds for the first time it begins.
    fs::create_dir_all(house.state().join("serve/wishes")).expect("a folder");
    fs::write(house.state().join("serve/wishes/night"), r#"{"wish":"off","at":"2026-01-01T00:00:00Z"}"#)
        .expect("a file");
    let mut daemon = house.serve(&[]).await;
    make(&daemon, &json!({"link": "tone", "name": "tone"})).await;
    let host = SpaceArgs::default().host;
    let watch = |host: &str, show: &str| json!({"host": host, "show": show});
    for (name, draft) in [
        ("w", watch("two words", "night")),
        ("w", watch(&host, "tone")),
        ("w", watch(&host, "nobody")),
        ("a.b", watch(&host, "night")),
    ] {
        let (status, said) = put(&daemon, &format!("/api/v1/watches/{name}"), &draft).await;
        assert_eq!((status, &said["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad-watch")), "{draft}: {said}");
    }
    let (status, said) = put(&daemon, "/api/v1/watches/w", &watch(&format!("@{host}"), "night")).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let carries = |show: &Value| show["state"] == "live" && show["status"]["session"]["id"] == id.as_str();
    daemon.until("night", "the host's Space is carried", 30, carries).await;
    assert_eq!(daemon.get("/api/v1/watches/w").await["live"], id.as_str());

    // The daemon is killed, then the bridge: the Space that was found is gone on with.
    daemon.stop(Signal::KILL).await;
    daemon = house.serve(&[]).await;
    let show = daemon.until("night", "found again", 20, |show| show["standing"] == "supervised").await;
    let pid = show["status"]["bridge"]["pid"].as_u64().expect("a pid");
    send(u32::try_from(pid).expect("a pid"), Signal::KILL);
    let anew = |show: &Value| carries(show) && show["status"]["bridge"]["pid"] != pid;
    daemon.until("night", "carried by another bridge", 30, anew).await;

    // Whoever ended it meant it: another daemon, and another watch on the same host, leave it so.
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "over", 30, |show| show["standing"] == "off").await;
    daemon.stop(Signal::TERM).await;
    daemon = house.serve(&[]).await;
    let before = space.report().await.requests.get("host").copied().unwrap_or_default();
    let link = format!("https://x.com/i/spaces/{id}");
    assert_eq!(put(&daemon, "/api/v1/watches/other", &watch(&link, "night")).await.0, StatusCode::OK);
    let looked = || async {
        let watches = daemon.get("/api/v1/watches").await;
        let all = watches.as_array().expect("a list").iter().all(|watch| watch["live"] == id.as_str());
        all.then_some(watches)
    };
    let watches = eventually_async("both watches have looked", Duration::from_secs(20), looked).await;
    assert_eq!(watches.as_array().map(Vec::len), Some(2));
    assert!(space.report().await.requests.get("host").copied().unwrap_or_default() >= before + 2);
    assert_eq!(daemon.get("/api/v1/shows/night").await["standing"], "off", "the same Space began twice");
    let gone = daemon.ask(Method::DELETE, "/api/v1/watches/other").send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_rehearsal_by_one_call_is_seen_while_it_runs_and_judged_and_leaves_no_show() {
    let _turn = turn().await;
    let house = House::new();
    let daemon = house.serve(&[]).await;
    let (status, said) = daemon.post("/api/v1/rehearsals", &json!({})).await;
    assert_eq!((status, said["state"].as_str()), (StatusCode::CREATED, Some("running")), "{said}");
    let id = said["id"].as_str().expect("an id").to_owned();
    let (status, said) = daemon.post("/api/v1/rehearsals", &json!({})).await;
    assert_eq!((status, said["code"].as_str()), (StatusCode::CONFLICT, Some("refused")), "{said}");
    let is_live = |show: &Value| show["standing"] == "elsewhere" && show["state"] == "live";
    daemon.until(&id, "seen among the shows", 60, is_live).await;
    let over = || async {
        let seen = daemon.get(&format!("/api/v1/rehearsals/{id}")).await;
        (seen["state"] != "running").then_some(seen)
    };
    let seen = eventually_async("it is judged", Duration::from_secs(240), over).await;
    assert_eq!(seen["state"], "passed", "{seen}");
    assert_eq!(seen["verdict"]["verdict"], "pass");
    assert!(daemon.said().contains("rehearsal.passed"), "{}", daemon.said());
    assert_eq!(daemon.get("/api/v1/shows").await, json!([]));
    assert!(!house.state().join("shows").join(&id).exists(), "its state is left over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_that_is_ended_early_is_over_and_never_passes() {
    let _turn = turn().await;
    let house = House::new();
    let daemon = house.serve(&[]).await;
    let (status, said) = daemon.post("/api/v1/rehearsals", &json!({"scenario": "/etc/passwd"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    let (status, said) = daemon.post("/api/v1/rehearsals", &json!({"scenario": "plain"})).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    let id = said["id"].as_str().expect("an id").to_owned();
    daemon.until(&id, "on the air", 30, |show| show["on_the_air"] == true).await;
    daemon.order(&format!("/api/v1/shows/{id}/end")).await;
    let over = || async {
        let seen = daemon.get(&format!("/api/v1/rehearsals/{id}")).await;
        (seen["state"] != "running").then_some(seen)
    };
    let seen = eventually_async("it is over", Duration::from_secs(60), over).await;
    assert_eq!(seen["state"], "failed", "{seen}");
    assert_eq!(daemon.get("/api/v1/shows").await, json!([]));
}
