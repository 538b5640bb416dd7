//! What an operator does to a show that is on the air: the real program, real nginx ingests, the ruler as its sound.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use jiff::Timestamp;
use rustix::process::Signal;
use spacebridge::bridge::client::BridgeClient;
use spacebridge::bridge::state_folder::StateFolder;
use spacebridge::status::{OutputState, OwnSlate, ShowStatus};

use crate::support::measure::{assert_every_second, ruler_of};
use crate::support::media::{Tracks, assert_decodes};
use crate::support::nginx::Nginx;
use crate::support::process;
use crate::support::show::{SHOW, Stage, output, send};
use crate::support::{eventually, turn, turn_alone};

const TONE: &str = "[[source]]\nkind = \"tone\"\n\n";

fn client(stage: &Stage) -> BridgeClient {
    BridgeClient::new(StateFolder::at(&stage.path("state"), SHOW).expect("a name"))
}

/// Does a verb, which must be understood; what it says.
async fn said(stage: &Stage, verb: &str) -> String {
    let done = stage.verb(&verb.split_whitespace().collect::<Vec<_>>()).await;
    assert!(done.status.success(), "{verb}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Waits until so many more seconds of the program are on the air.
async fn on_air_for(stage: &Stage, seconds: f64) -> ShowStatus {
    let before = stage.status().await.expect("a status").program.seconds;
    stage.until("the program goes on", 40, |status| status.program.seconds >= before + seconds).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_is_not_heard_all_else_is_and_the_ingest_sees_no_step() {
    let _turn = turn().await;
    let nginx = Nginx::start("live").await;
    let stage = Stage::with_show(&format!("{TONE}{}", output("a", &nginx)), "public_delay = \"4s\"");
    let run = stage.run(&["--json"]);
    let live = stage.until_live().await;
    assert_eq!(live.program.public_delay_ms, 4000);
    on_air_for(&stage, 5.0).await;
    let answer = said(&stage, "cut --seconds 2").await;
    assert!(answer.contains("2.0 s are cut"), "{answer}");
    on_air_for(&stage, 6.5).await;
    said(&stage, "delay set 6s").await;
    let after = on_air_for(&stage, 6.0).await;
    assert_eq!((after.program.public_delay_ms, after.program.cut_ms), (6000, 2000));
    let ended = run.interrupt().await;
    assert_eq!(ended.code, Some(0), "{}", ended.all());

    let [file] = &nginx.recordings()[..] else { panic!("not one connection: {:?}", nginx.recordings()) };
    assert_decodes(file);
    let tracks = Tracks::of(file);
    tracks.assert_continuous_from(0);
    let steps = tracks.video.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms);
    assert!(steps.max() <= Some(34), "a picture is late");
    let heard = ruler_of(file);
    assert!(heard.len() >= 8, "{heard:?}");
    // Where two seconds that follow each other in the file do not do so in the sound, or in time.
    let jumps: Vec<(u32, f64)> = heard
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0 - 1, pair[1].1 - pair[0].1 - f64::from(pair[1].0 - pair[0].0) * 1000.0))
        .filter(|(missing, held)| *missing > 0 || held.abs() > 5.0)
        .collect();
    let [(cut, still), (torn, held)] = jumps[..] else { panic!("not a cut and a joint: {jumps:?} in {heard:?}") };
    assert!((2..=3).contains(&cut) && still.abs() < 5.0, "the cut takes two seconds and moves nothing: {jumps:?}");
    assert!(torn <= 1 && (held - 2000.0).abs() < 5.0, "a longer delay loses nothing but a joint: {jumps:?}");
    assert_every_second(&ruler_of(&stage.archive().join("capture/tone-0001.mka")), 14);
}

/// The bytes of the listen-in stream for some seconds: when how many had come.
async fn listen(stage: &Stage, seconds: u64) -> (Vec<u8>, Vec<(usize, f64)>) {
    let mut body = client(stage).audio().await.expect("audio");
    let (mut bytes, mut times) = (Vec::new(), Vec::new());
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        let Some(Ok(frame)) = body.frame().await else { panic!("the stream ended") };
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        times.push((bytes.len(), Timestamp::now().as_millisecond() as f64));
    }
    (bytes, times)
}

/// Wall time of program time zero, in Unix ms: the freshest of many statuses tells it.
pub(crate) async fn program_zero(bridge: &BridgeClient) -> f64 {
    let (mut zero, mut ticks) = (f64::MAX, tokio::time::interval(Duration::from_millis(25)));
    // The status is put together four times a second.
    for _ in 0..40 {
        ticks.tick().await;
        let status = bridge.status().await.expect("a status");
        zero = zero.min(Timestamp::now().as_millisecond() as f64 - status.program.seconds * 1000.0);
    }
    zero
}

pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How long after it was on the air each second of the ruler was in a listener's hands, in ms.
pub(crate) async fn listening_delays(
    bridge: &BridgeClient,
    zero: f64,
    bytes: &[u8],
    times: &[(usize, f64)],
) -> Vec<f64> {
    let session = bridge.status().await.expect("a status").session.expect("a session");
    let anchor = session.anchor_samples.expect("an anchor") as f64 / 48.0;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("heard.aac");
    std::fs::write(&file, bytes).expect("a file");
    let (mut ends, mut at) = (Vec::new(), 0);
    while let Some(header) = bytes.get(at..at + 7) {
        assert_eq!((header[0], header[1] & 0xF6), (0xFF, 0xF0), "whole frames follow each other");
        at += usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
        ends.push(at);
    }
    let came = |ms: f64| {
        let end = *ends.get((ms * 48.0 / 1024.0) as usize)?;
        times.iter().find(|(count, _)| *count >= end).map(|(_, time)| *time)
    };
    let delays = ruler_of(&file)
        .into_iter()
        .filter_map(|(index, ms)| Some(came(ms)? - (zero + anchor + f64::from(index) * 1000.0)));
    delays.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures are of use to whoever runs it by hand")]
#[ignore = "make drill"]
async fn the_meter_moves_ten_times_a_second_and_a_listener_is_less_than_two_seconds_behind() {
    let _turn = turn_alone().await;
    let nginx = Nginx::start("live").await;
    let stage = Stage::new(&format!("{TONE}{}", output("a", &nginx)));
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    let levels = async {
        let mut levels = client(&stage).levels().await.expect("levels");
        let mut seen = Vec::new();
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            let level = levels.next().await.expect("a stream").expect("a level");
            seen.push((level, Timestamp::now().as_millisecond() as f64));
        }
        seen
    };
    let (levels, (bytes, times)) = tokio::join!(levels, listen(&stage, 5));
    let zero = program_zero(&client(&stage)).await;
    let delays = listening_delays(&client(&stage), zero, &bytes, &times).await;
    assert!(levels.len() >= 40, "{} levels in 4 s", levels.len());
    assert!(levels.iter().any(|(level, _)| level.peak_dbfs > -40.0 && level.rms_dbfs < level.peak_dbfs));
    assert!(delays.len() >= 3 && delays.iter().all(|delay| *delay < 2000.0), "{delays:?}");
    // Told when its sound is on the air, which the block's end is not yet.
    let late: Vec<f64> = levels.iter().map(|(level, came)| came - zero - level.seconds * 1000.0).collect();
    let middle = middle(late);
    assert!(middle.abs() < 200.0, "a level comes {middle:.0} ms after its sound");
    println!("a level comes {middle:.0} ms after its sound");
    println!("{} levels in 4 s; a listener hears {delays:.0?} ms behind", levels.len());
    run.interrupt().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_comes_and_goes_no_other_notices_and_a_restarted_bridge_knows_of_it() {
    let _turn = turn().await;
    let (a, b) = (Nginx::start("live").await, Nginx::start("live").await);
    let stage = Stage::new(&format!("{TONE}{}", output("a", &a)));
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    stage.secret("b.key", "hush-hush-key");
    let add = format!("output add b --url {} --key-file b.key", b.url());
    said(&stage, &add).await;
    said(&stage, &format!("output add c --url {}/open", b.url())).await;
    said(&stage, "slate set --text Back-soon").await;
    let status = stage.until_live().await;
    assert_eq!(status.outputs.len(), 3);
    assert_eq!(status.own_slate, Some(OwnSlate::Text("Back-soon".into())));
    let picture = stage.path("back.png");
    let source = "testsrc2=size=1600x900";
    process::run(
        "ffmpeg",
        &["-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1", picture.to_str().expect("a path")],
    );
    said(&stage, "slate set --picture back.png").await;
    assert!(!stage.verb(&["slate", "set", "--picture", "show.toml"]).await.status.success(), "this is no picture");
    stage.until("the picture is the slate", 5, |status| status.own_slate == Some(OwnSlate::Picture)).await;
    b.grows(20_000).await;
    said(&stage, "output remove c").await;
    let refused = stage.verb(&["output", "add", "a", "--url", &a.url()]).await;
    assert!(!refused.status.success(), "a name is taken");
    let status = stage.until("c is gone", 5, |status| status.outputs.len() == 2).await;
    let connections = status.outputs.iter().map(|output| output.connections).collect::<Vec<_>>();
    assert_eq!(connections, [1, 1]);

    send(status.bridge.pid, Signal::KILL);
    let again = stage.until("the show goes on", 20, |again| again.bridge.pid != status.bridge.pid).await;
    assert_eq!(again.own_slate, Some(OwnSlate::Picture));
    assert_eq!(again.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let lost = &again.outputs[1];
    assert_eq!(lost.state, OutputState::Stopped);
    assert!(lost.last_error.as_ref().is_some_and(|error| error.contains("key is gone")), "{lost:?}");
    assert!(!stage.verb(&["output", "start", "b"]).await.status.success(), "without its key it cannot start");
    said(&stage, &add).await;
    stage.until_live().await;
    assert_decodes(&a.recordings()[0]);
    Tracks::of(&a.recordings()[0]).assert_continuous_from(0);
    let record = std::fs::read_to_string(stage.path("state").join("shows").join(SHOW).join("show.json"));
    assert!(!record.expect("a record").contains("hush-hush"), "no key is on the disk");
    let ended = run.interrupt().await;
    assert!(ended.all().contains("output.key_lost") && !ended.all().contains("hush-hush"), "{}", ended.all());
    eventually("the ingest has both sessions of b", Duration::from_secs(5), || {
        (b.recordings().len() >= 3).then_some(())
    })
    .await;
}
