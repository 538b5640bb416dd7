//! The paths of a show in a real browser: how each stands, which one is heard, who holds to it, and who is in the room.

use std::ffi::OsStr;

use serde_json::Value;
use spacebridge::rehearsal::space::control::{SeatEvent, SeatRule};
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::canary::{Canaries, canary};
use crate::daemon_canary::{Operation, answer};
use crate::dashboard::{log_in, sign_in, turn_to};
use crate::support::browser::{Browser, Screen, pictures};
use crate::support::daemon::{Daemon, House};
use crate::support::janus::{Janus, Publisher, ROOM, ruler};
use crate::support::show::Space;
use crate::support::turn;

/// The whole page at once, in both themes, on a desk and on a phone.
async fn look_over(browser: &Browser, page: &str) {
    for screen in [Screen::DESK, Screen::DESK.dark(true), Screen::PHONE, Screen::PHONE.dark(false)] {
        let height = if screen.width == Screen::DESK.width { 1700 } else { 3400 };
        browser.look_like(Screen { height, ..screen }).await;
        let theme = if screen.dark { "dark" } else { "light" };
        browser.screenshot(&pictures().join(format!("{page}-{theme}-{}.png", screen.width))).await;
        assert_eq!(browser.overflow().await, 0, "{page} is wider than {} pixels", screen.width);
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{page}, {theme}, {}", screen.width);
    }
    browser.look_like(Screen::DESK).await;
}

/// What the page says of its path number `row`, from the top.
fn path(row: usize, says: &str) -> String {
    format!("document.querySelectorAll('.sources tr')[{row}]?.innerText.includes('{says}')")
}

fn order(event: SeatEvent, who: Option<&str>) -> Order {
    Order::Seat(SeatRule { who: who.map(str::to_owned), ..SeatRule::of(event) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_seat_and_the_path_behind_it_are_seen_held_to_and_let_go_in_the_browser() {
    let _turn = turn().await;
    let janus = Janus::for_spaces().await;
    let args = SpaceArgs { running_for_seconds: 60, gateway: Some(janus.url().clone()), ..SpaceArgs::default() };
    let space = Space::start(&args).await;
    space.order(Order::Seat(SeatRule { seconds: Some(20), ..SeatRule::of(SeatEvent::Approve) })).await;
    let house = House::new();
    log_in(&house);
    let rest = "[slate]\nshow_speakers = true\n\n[failover]\nback_after = \"5s\"\ndelay = \"15s\"\n\n";
    house.show("night", &(space.config_of_both_seats("standby = \"warm\"") + rest));
    let daemon = house.serve(&[]).await;
    let browser = Browser::start("dashboard-sources", Screen::DESK).await;
    sign_in(&browser, &daemon, &daemon.operate).await;
    turn_to(&browser, "#/shows/night", "").await;
    browser.says("Waiting for the host", 20).await;
    browser.until("the other path is heard meanwhile", 30, &path(1, "On the air")).await;
    look_over(&browser, "seat-waits").await;

    browser.until("the seat is on the air", 60, &path(0, "On the air")).await;
    browser.until("the other path is placed", 60, &path(1, "Standing by, aligned")).await;
    for who in ["carol", "dave"] {
        space.order(order(SeatEvent::Arrive, Some(who))).await;
    }
    space.order(order(SeatEvent::Mute, Some("carol"))).await;
    browser.says("carol (muted, but heard)", 20).await;
    browser.says("dave (talking)", 20).await;
    look_over(&browser, "seat-on-the-air").await;

    let held = |row: usize| {
        move |show: &Value| {
            let source = &show["status"]["sources"][row];
            source["pinned"] == true && source["active"] == true
        }
    };
    let second = browser.ask("return document.querySelectorAll('.sources tr')[1].querySelector('th').innerText").await;
    let second = second.as_str().expect("a name");
    browser.press(&format!("Hold to {second}")).await;
    daemon.until("night", "held to the second path", 20, held(1)).await;
    browser.until("the page says so", 10, &path(1, "Held by you")).await;
    browser.until("it is on the air", 10, &path(1, "On the air")).await;
    look_over(&browser, "path-held").await;
    browser.press(&format!("Let go of {second}")).await;
    let free = |show: &Value| {
        let sources = show["status"]["sources"].as_array().expect("a list");
        sources.iter().all(|source| source["pinned"] == false) && sources[0]["active"] == true
    };
    daemon.until("night", "the better path is gone back to", 60, free).await;
    browser.until("the page says so", 10, &path(0, "On the air")).await;

    space.order(order(SeatEvent::Kick, None)).await;
    browser.says("Taken off the stage", 20).await;
    browser.until("the other path is on the air", 20, &path(1, "On the air")).await;
    look_over(&browser, "seat-lost").await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new(), "the page's own errors");
}

/// Chooses how the sound is had.
pub(crate) async fn choose(browser: &Browser, way: &str) {
    let choose = format!(
        "const way = document.querySelector('[name=way]'); way.value = '{way}'; way.dispatchEvent(new Event('change'));\n\
         for (const fold of document.querySelectorAll('details details')) fold.open = true"
    );
    browser.ask(&choose).await;
}

/// A door on this machine before the gateway: secrets go over the network by https only, and here in the clear.
async fn door(janus: &Janus) -> (Url, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut url = janus.url().clone();
    let far = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let near = listener.local_addr().expect("an address");
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(near.port())).expect("a port");
    let work = async move {
        while let Ok((mut guest, _)) = listener.accept().await {
            let far = far.clone();
            tokio::spawn(async move {
                let mut gateway = TcpStream::connect(far).await?;
                tokio::io::copy_bidirectional(&mut guest, &mut gateway).await
            });
        }
    };
    (url, AbortOnDropHandle::new(tokio::spawn(work)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn a_room_of_ones_own_is_entered_in_the_form_and_its_secrets_are_told_nowhere() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let names = ["pin", "api_secret", "token"];
    let canaries = Canaries(names.into_iter().map(|name| (name, canary(32))).collect());
    let janus = Janus::locked(canaries.get("pin"), canaries.get("api_secret")).await;
    let (gateway, _door) = door(&janus).await;
    let _ann = Publisher::join(&janus, "Ann <b>&", ruler(0)).await;
    let house = House::new();
    let daemon = house.serve_in(&[], &[("RUST_LOG", OsStr::new("trace"))]).await;
    let browser = Browser::start("dashboard-room", Screen::DESK).await;
    sign_in(&browser, &daemon, &daemon.operate).await;
    browser.press("New show").await;
    browser.fill("[name=link]", gateway.as_str()).await;
    browser.press("More").await;
    browser.fill("[name=name]", "night").await;
    for way in ["whep", "speaker", "janus"] {
        choose(&browser, way).await;
        look_over(&browser, &format!("create-{way}")).await;
    }
    // A fold hides nothing that is asked for.
    browser.ask("for (const fold of document.querySelectorAll('details')) fold.open = false").await;
    browser.press("Create the show").await;
    browser.until("what is missing is shown", 5, "document.querySelector('[name=room]').checkVisibility()").await;
    browser.fill("[name=room]", ROOM).await;
    for name in names {
        browser.fill(&format!("[name={name}]"), canaries.get(name)).await;
    }
    browser.fill("[name=consent]", "Everybody in the room agreed.").await;
    browser.press("Create the show").await;
    browser.until("its page", 20, "location.hash === '#/shows/night'").await;
    browser.until("it is live", 40, "document.querySelector('h1 .state')?.textContent === 'Live'").await;
    browser.says("Ann <b>& (talking)", 20).await;
    look_over(&browser, "room").await;
    told_nowhere(&house, &daemon, &browser, &canaries).await;
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "over", 60, |show| show["standing"] == "off" && show["state"] == "ended").await;
    let own = names.map(|name| format!("{name}.x"));
    let files = canaries.assert_absent_below(&house.path(""), &own.each_ref().map(String::as_str));
    assert!(files >= 8, "only {files} files were looked at");
}

/// Replies, the page, logs and processes.
async fn told_nowhere(house: &House, daemon: &Daemon, browser: &Browser, canaries: &Canaries) {
    let document = daemon.get("/api/v1/openapi.json").await;
    let looks = Operation::all(&document).into_iter().filter(Operation::only_looks);
    let paths: Vec<String> = looks.map(|operation| operation.at(None)).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in &paths {
        let (_, text) = answer(daemon, reqwest::Method::GET, path, Some(&daemon.operate), None).await;
        canaries.assert_absent(path, text.as_bytes());
    }
    let page = browser.ask("return document.documentElement.outerHTML").await;
    canaries.assert_absent("the page", page.as_str().expect("text").as_bytes());
    canaries.assert_absent("the log", daemon.said().as_bytes());
    let bridge = daemon.get("/api/v1/shows/night").await["status"]["bridge"]["pid"].as_u64().expect("a process");
    canaries.assert_absent_in_process("the bridge", bridge.try_into().expect("a pid"), &["cmdline", "environ"]);
    canaries.assert_absent_in_process("the daemon", daemon.pid(), &["cmdline", "environ"]);
    let log = house.state().join("shows/night/bridge.log");
    canaries.assert_absent("the bridge's log", &std::fs::read(log).expect("a log"));
    assert_eq!(browser.complaints().await, Vec::<Value>::new(), "the page's own errors");
}
