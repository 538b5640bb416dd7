//! The daemon as a service: what the service manager is told, the health check, what Prometheus reads, and that what is
//! installed fits the program.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::daemon::{Daemon, House};
use crate::support::show::{PROGRAM, send};
use crate::support::{eventually, turn};

const TONE: &str = "[[source]]\nkind = \"tone\"\n";

/// The manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(house: &House) -> Self {
        let socket = UnixDatagram::bind(house.path("notify")).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        Self(socket)
    }

    /// Waits for a message with this line; the whole message.
    async fn told(&self, line: &str) -> String {
        eventually(line, Duration::from_secs(15), || {
            let mut bytes = [0; 4096];
            let length = self.0.recv(&mut bytes).ok()?;
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            message.lines().any(|told| told == line).then_some(message)
        })
        .await
    }

    fn forget(&self) {
        while self.0.recv(&mut [0; 4096]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told_the_truth_and_a_daemon_that_hangs_feeds_no_watchdog() {
    let house = House::new();
    let manager = Manager::listen(&house);
    let socket = house.path("notify");
    let told = [("NOTIFY_SOCKET", socket.as_os_str()), ("WATCHDOG_USEC", OsStr::new("900000"))];
    let mut daemon = house.serve_in(&[], &told).await;
    manager.told("READY=1").await;
    let status = manager.told("WATCHDOG=1").await;
    assert!(status.contains("STATUS=0 of 0 shows on the air"), "{status}");
    house.show("night", "[[source]]\nkind = \"telepathy\"\n");
    send(daemon.pid(), Signal::HUP);
    assert!(manager.told("RELOADING=1").await.contains("MONOTONIC_USEC="));
    manager.told("READY=1").await;
    manager.told("STATUS=0 of 1 shows on the air").await;
    // A process that hangs as a whole; that a loop or a door alone which hangs is noticed is tested beside the code.
    assert_eq!(health(&house).0, Some(0));
    send(daemon.pid(), Signal::STOP);
    manager.forget();
    let (code, said) = health(&house);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the daemon is not well"), "{said}");
    assert!(manager.0.recv(&mut [0; 64]).is_err(), "it was fed for as long as the check waited");
    send(daemon.pid(), Signal::CONT);
    manager.told("WATCHDOG=1").await;
    send(daemon.pid(), Signal::TERM);
    manager.told("STOPPING=1").await;
    assert_eq!(daemon.ended(20).await, Some(0));
    let (code, said) = health(&house);
    assert!(code == Some(1) && said.contains("no show is on the air"), "{said}");
}

/// What `spacebridge health` says.
fn health(house: &House) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM).arg("health").env("SPACEBRIDGE_STATE", house.state()).output();
    let output = output.expect("the program starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_that_the_rules_and_the_dashboard_name_is_told_by_a_live_daemon() {
    let _turn = turn().await;
    let house = House::new();
    let refused = "[[output]]\nname = \"o\"\nurl = \"rtmp://127.0.0.1:1/live\"\nkey_file = \"night.key\"\n";
    house.show("night", &format!("{TONE}{refused}"));
    let mut daemon = house.serve(&[]).await;
    daemon.until("night", "on the air", 30, |show| show["state"] == "live").await;
    let text = metrics(&daemon).await;
    let told: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| name(line)).collect();
    for file in ["config/prometheus/rules.yml", "config/grafana/dashboard.json"] {
        let text = fs::read_to_string(file).expect("a file");
        let named: Vec<&str> = text.match_indices("spacebridge_").filter_map(|(at, _)| name(&text[at..])).collect();
        assert!(named.len() > 8, "{file}: {named:?}");
        let lacking: Vec<_> = named.iter().filter(|name| !told.contains(name)).collect();
        assert!(lacking.is_empty(), "{file} names {lacking:?}, which nobody tells");
    }
    // Neither an address nor a path of a client's is a label.
    assert!(!text.contains("rtmp:") && !text.contains("127.0.0.1") && !text.contains("night.key"), "{text}");
    drop(daemon.ask(Method::GET, "/api/v1/shows/made-up-by-a-client").send().await);
    let text = metrics(&daemon).await;
    assert!(text.contains("route=\"/api/v1/shows/{show}\",method=\"GET\",code=\"404\"}"), "{text}");
    assert!(!text.contains("made-up"), "{text}");
    let of_night = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start) && line.contains("night")).expect(start);
        line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).expect("a number")
    };
    assert!(of_night("spacebridge_bridge_memory_proportional_bytes") > 5e6);
    assert!(of_night("spacebridge_bridge_cpu_seconds_total") > 0.0);
    assert!(of_night("spacebridge_recording_disk_free_bytes") > 0.0);
    // Without its daemon a show is well by itself.
    assert_eq!(daemon.stop(Signal::TERM).await, Some(0));
    assert_eq!(health(&house).0, Some(0));
    let ended = Command::new(PROGRAM).args(["end", "night"]).env("SPACEBRIDGE_STATE", house.state()).status();
    assert!(ended.expect("the program starts").success());
    eventually("the show is over", Duration::from_secs(20), || (health(&house).0 == Some(1)).then_some(())).await;
}

async fn metrics(daemon: &Daemon) -> String {
    daemon.ask(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("a text")
}

/// The metric's name that a text begins with.
fn name(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|name| name.len() > "spacebridge_".len())
}

#[test]
fn the_alert_rules_fire_when_they_should() {
    let told = Command::new("promtool").args(["test", "rules", "config/prometheus/rules_test.yml"]).output();
    let told = told.expect("promtool of the Debian package prometheus");
    assert!(
        told.status.success(),
        "{}{}",
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr)
    );
}

#[test]
fn the_dashboard_is_a_whole_one() {
    let text = fs::read_to_string("config/grafana/dashboard.json").expect("a file");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: std::collections::BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert!(ids.len() == panels.len() && !ids.contains(&None), "every panel has an id of its own");
    assert!(panels.iter().all(|panel| panel["title"].is_string() && panel["targets"][0]["expr"].is_string()));
}

#[test]
fn the_package_depends_on_what_the_program_needs() {
    let read = |path: &str| fs::read_to_string(path).expect("a file");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let package = &manifest["package"]["metadata"]["deb"];
    let depends: Vec<&str> = package["depends"].as_str().expect("a list").split(", ").collect();
    for line in read("packaging/debian-run.txt").lines() {
        let needed = line.split('#').next().unwrap_or_default().trim();
        assert!(needed.is_empty() || depends.contains(&needed), "the package does not depend on {needed}");
    }
    for asset in package["assets"].as_array().expect("assets") {
        let source = asset[0].as_str().expect("a path");
        assert!(source.starts_with("target/") || fs::exists(source).expect("a folder"), "{source} is not there");
    }
    let unit = read("packaging/systemd/spacebridge.service");
    for line in ["Type=notify", "KillMode=process", "Restart=always", "NoNewPrivileges=yes", "ProtectSystem=strict"] {
        assert!(unit.lines().any(|told| told == line), "the unit lost {line}");
    }
}
