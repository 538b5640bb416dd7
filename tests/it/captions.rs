//! What the platform's own transcription says, from the chat to a transcript for the feed.

use serde_json::Value;
use spacebridge::gst::decode_file::decode_start;
use spacebridge::rehearsal::space::Order;
use spacebridge::rehearsal::space::control::ChatEvent;

use crate::support::show::{Space, Stage};
use crate::support::turn_to_hear;

/// How far a caption may lie from the sound of its moment, in seconds: the order takes a moment to arrive.
const TOLERANCE: f64 = 0.3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caption_lies_on_the_second_in_which_it_was_said_though_the_sound_comes_later() {
    let _turn = turn_to_hear().await;
    spacebridge::gst::init().expect("GStreamer");
    let space = Space::running_for(30).await;
    let stage = Stage::new(&space.config());
    for secret in ["auth_token", "ct0"] {
        stage.secret(secret, &"a".repeat(40));
    }
    let run = stage.run(&["--json"]);
    stage.until_live().await;
    stage.until_kept(3.0).await;
    let caption = |times| Order::Chat { event: ChatEvent::Caption, times: Some(times), code: None };
    let started = space.order(caption(1)).await.sound_started_ms;
    let said = (jiff::Timestamp::now().as_millisecond() - started) as f64 / 1000.0;
    // What was said now is heard by listeners some seconds later.
    stage.until_kept(14.0).await;
    space.order(caption(500)).await;
    stage.until_kept(2.0).await;
    let ended = run.interrupt().await;
    assert_eq!(ended.code, Some(0), "{}", ended.all());
    let kept = stage.journal().iter().filter(|line| line["type"] == "caption").count();
    assert!((2..=21).contains(&kept), "a flood fills no journal: {kept}");

    let archive = stage.archive();
    let folder = archive.to_str().expect("a path");
    let done = stage.verb(&["recordings", "export", folder, "--format", "wav,captions"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = |ending: &str| {
        let files =
            std::fs::read_dir(archive.join("export")).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.into_iter().find(|file| file.to_string_lossy().ends_with(ending)).expect(ending)
    };
    let sound = decode_start(&file(".wav"), usize::MAX).expect("samples");
    let mono: Vec<f32> = sound.iter().map(|sample| sample[0]).collect();
    let marks = spacebridge::ruler::decode(&mono);
    let mark = marks.iter().find(|mark| f64::from(mark.index) + 1.0 > said).expect("that second was recorded");
    let expected = mark.at_samples / 48_000.0 + said - f64::from(mark.index);
    let list: Value = serde_json::from_slice(&std::fs::read(file(".captions.json")).expect("a list")).expect("JSON");
    let first = &list["segments"][0];
    assert_eq!((&first["speaker"], &first["body"]), (&"alice".into(), &"this is what was said".into()));
    let start = first["startTime"].as_f64().expect("a start");
    assert!((start - expected).abs() < TOLERANCE, "{start} in place of {expected}");
    let cues = std::fs::read_to_string(file(".captions.vtt")).expect("cues");
    assert!(cues.starts_with("WEBVTT\n\n00:00:") && cues.contains("\n<v alice>this is what was said\n"), "{cues}");
}
