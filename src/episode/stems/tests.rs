//! Speakers with rulers of their own, from packets to the files of an editor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::alert::Events;
use crate::clock::Clock;
use crate::config::RecordingConfig;
use crate::episode::{ExportRequest, Exported, Format, Progress, export, reel};
use crate::gst::decode_file::decode_start;
use crate::gst::episode_encode::{Codec, Embedded, FileEncoder, Samples, Target};
use crate::gst::pcm_capture::PcmCapture;
use crate::media::StereoSample;
use crate::recording::{Closing, Limits, NewStem, Recording, ShowFact, Surroundings};
use crate::ruler;

const SESSION: &str = "room-1";
const S: i64 = 48_000;

/// Where the room's stream begins on the session's media time: it was entered before.
const ZERO: i64 = 2 * S;

/// What an Opus encoder puts in front of the sound (RFC 7845: its pre-skip). The mix has it too.
const PRIMING: i64 = 312;

const SECONDS: u32 = 8;

fn sound(first: u32) -> Vec<StereoSample> {
    (first..first + SECONDS).flat_map(ruler::second).map(|value| [value; 2]).collect()
}

/// The packets of a ruler that begins with `first`, 20 ms each.
fn packets(temp: &Path, first: u32) -> Vec<Vec<u8>> {
    let file = temp.join(format!("{first}.opus"));
    std::fs::write(&file, "").expect("a file");
    let encoder = FileEncoder::start(Codec::Opus(96), 2, Target::File(file.clone(), Embedded::default()));
    let encoder = encoder.expect("an encoder");
    encoder.push(&Samples::new(&sound(first), 0)).expect("samples");
    encoder.finish().expect("an end");
    drop(encoder);
    let mut reader = ogg::PacketReader::new(std::fs::File::open(file).expect("a file"));
    let mut packets = Vec::new();
    while let Ok(Some(packet)) = reader.read_packet() {
        if !packet.data.starts_with(b"Opus") {
            packets.push(packet.data);
        }
    }
    assert!(packets.len() >= 50 * SECONDS as usize);
    packets
}

fn surroundings() -> Surroundings {
    let clock = Clock::system();
    Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() }
}

fn recording(parent: &Path) -> Recording {
    let config = RecordingConfig { enabled: true, folder: parent.join("recordings"), ..RecordingConfig::default() };
    let show = ShowFact { show: "night".into(), ..ShowFact::default() };
    Recording::create(&config, show, surroundings()).expect("a recording")
}

/// The mix of both, as a room captures it: one on each side.
async fn capture(recording: &Recording) {
    let (sender, mut captured) = mpsc::unbounded_channel::<Bytes>();
    let mut capture = PcmCapture::stereo(sender).expect("a capture");
    let (left, right) = (sound(0), sound(1000));
    let mut mix = vec![[0.0; 2]; PRIMING as usize];
    mix.extend(left.iter().zip(&right).map(|(left, right)| [left[0], right[0]]));
    let end = mix.len() - 100;
    mix[end..].fill([0.25, -0.25]);
    mix.chunks(960).for_each(|block| capture.push_stereo(block));
    // Each block is a cluster of its own: the last one's are the last bytes.
    let last: Vec<u8> =
        mix[mix.len() - 100..].iter().flatten().flat_map(|v| ((v * 32_767.0) as i16).to_le_bytes()).collect();
    loop {
        let bytes = tokio::time::timeout(Duration::from_secs(10), captured.recv()).await;
        let bytes = bytes.expect("the last block comes").expect("it goes on");
        let is_last = bytes.ends_with(&last);
        recording.capture(SESSION, bytes, Some(ZERO));
        if is_last {
            return;
        }
    }
}

fn people(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| (format!("id-{}", &name[..3]), (*name).to_owned())).collect()
}

/// Two speakers; one leaves for 3 s, the other loses a packet.
async fn recorded(temp: &Path) -> Recording {
    let recording = recording(temp);
    let at = |packet: usize| ZERO + packet as i64 * 960;
    recording.speakers(SESSION, people(&["ann <host>", "bob"]), ZERO);
    let (ann, bob) = (packets(temp, 0), packets(temp, 1000));
    for (number, (ann, bob)) in ann.into_iter().zip(bob).enumerate() {
        let stem = |speaker: &str, data: Vec<u8>| NewStem {
            session: SESSION.into(),
            speaker: speaker.into(),
            media_time: at(number),
            samples: 960,
            data: data.into(),
        };
        match number {
            100 => recording.speakers(SESSION, people(&["bob"]), at(number)),
            250 => recording.speakers(SESSION, people(&["ann again", "bob"]), at(number)),
            _ => {}
        }
        if !(100..250).contains(&number) {
            recording.stem(stem("id-ann", ann));
        }
        if number != 310 {
            recording.stem(stem("id-bob", bob));
        }
    }
    capture(&recording).await;
    recording
}

fn made(archive: &Path, start: Option<i64>) -> Exported {
    let range = reel::Range { start, end: None };
    let folder = archive.join(format!("out-{}", start.unwrap_or(0)));
    let request = ExportRequest { range, folder: Some(folder), ..ExportRequest::new(archive, [Format::Stems]) };
    export(&request, &Progress::default()).expect("files")
}

/// Marks of a file's side: number and place.
fn marks(file: &Path, side: usize, length: usize) -> Vec<(u32, i64)> {
    let samples = decode_start(file, usize::MAX).expect("a decoder");
    assert_eq!(samples.len(), length, "{}", file.display());
    let mono: Vec<f32> = samples.iter().map(|sample| sample[side]).collect();
    ruler::decode(&mono).into_iter().map(|mark| (mark.index, mark.at_samples.round() as i64)).collect()
}

fn names(made: &Exported) -> Vec<String> {
    made.files.iter().filter_map(|made| Some(made.file.file_name()?.to_string_lossy().into_owned())).collect()
}

fn path(made: &Exported, ending: &str) -> PathBuf {
    let found = made.files.iter().map(|made| &made.file).find(|file| file.to_string_lossy().ends_with(ending));
    found.unwrap_or_else(|| panic!("no {ending} in {made:?}")).clone()
}

/// Marks of a ruler whose sound began at media time [`ZERO`], in a file that begins at `origin`.
fn wanted(numbers: impl Iterator<Item = u32>, origin: i64) -> Vec<(u32, i64)> {
    let place = |number: u32| ZERO - origin + PRIMING + i64::from(number % 1000) * S;
    numbers.map(|number| (number, place(number))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_of_every_speaker_lies_where_the_mix_has_it() {
    crate::gst::init().expect("GStreamer");
    let temp = tempfile::tempdir().expect("a folder");
    let recording = recorded(temp.path()).await;
    recording.close(Closing::Ended).await.expect("an end");
    let folder = recording.folder().to_owned();
    let all = tokio::task::spawn_blocking(move || (made(&folder, None), made(&folder, Some(ZERO + 5 * S / 2))));
    let (whole, piece) = all.await.expect("a thread");
    let base = "night-room-1";
    let files = ["stem-mix.flac", "stem-ann-again.flac", "stem-bob.flac", "stems.json"];
    assert_eq!(names(&whole), files.map(|name| format!("{base}.{name}")));
    assert_eq!(whole.notes, Vec::<String>::new());
    // A lost packet of 20 ms leaves its second readable.
    let (ann, bob) = ((0..2).chain(5..8), 1000..1008);
    for (made, origin, skipped) in [(&whole, ZERO, 0), (&piece, ZERO + 5 * S / 2, 3)] {
        let length = (i64::from(SECONDS) * S + PRIMING - (origin - ZERO)) as usize;
        let heard = |ending: &str, side: usize| marks(&path(made, ending), side, length);
        assert_eq!(heard("mix.flac", 0), wanted(skipped..8, origin), "the mix's left side");
        assert_eq!(heard("mix.flac", 1), wanted(1000 + skipped..1008, origin), "the mix's right side");
        let ann: Vec<u32> = ann.clone().filter(|number| *number >= skipped).collect();
        let bob: Vec<u32> = bob.clone().filter(|number| *number >= 1000 + skipped).collect();
        assert_eq!(heard("ann-again.flac", 0), wanted(ann.into_iter(), origin), "ann");
        assert_eq!(heard("bob.flac", 0), wanted(bob.into_iter(), origin), "bob");
    }
    for (file, from, to) in [("ann-again.flac", 2 * S, 5 * S), ("bob.flac", 310 * 960, 311 * 960)] {
        let samples = decode_start(&path(&whole, file), usize::MAX).expect("samples");
        let lacks =
            |from: i64, to: i64| samples[from as usize..to as usize].iter().flatten().all(|value| *value == 0.0);
        assert!(lacks(from, to), "{file}: what is not there is silent, to the last bit");
        assert!(!lacks(from - 960, from) && !lacks(to, to + 960), "{file}: and nothing else");
    }
    let list = std::fs::read_to_string(path(&whole, "stems.json")).expect("a list");
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let ann = &list["stems"][0];
    assert_eq!((&ann["name"], &ann["speaker"]), (&"ann again".into(), &"id-ann".into()));
    assert_eq!(ann["present"][0], serde_json::json!({"start": 0.0, "end": 2.0}));
    assert_eq!(ann["present"][1]["start"], 5.0);
    assert_eq!(list["samples"], i64::from(SECONDS) * S + PRIMING);
}

#[tokio::test(flavor = "multi_thread")]
async fn stems_of_a_show_that_was_killed_are_exported_and_a_stop_leaves_nothing() {
    crate::gst::init().expect("GStreamer");
    let temp = tempfile::tempdir().expect("a folder");
    let recording = recorded(temp.path()).await;
    recording.flush().await;
    let folder = recording.folder().to_owned();
    let done = tokio::task::spawn_blocking(move || {
        let progress = Progress::default();
        progress.cancel();
        let out = folder.join("stopped");
        let request = ExportRequest { folder: Some(out.clone()), ..ExportRequest::new(&folder, [Format::Stems]) };
        assert!(export(&request, &progress).is_err());
        assert_eq!(std::fs::read_dir(out).expect("a folder").count(), 0);
        made(&folder, None)
    });
    let done = done.await.expect("a thread");
    assert_eq!(names(&done).len(), 4);
    assert_eq!(marks(&path(&done, "bob.flac"), 0, (i64::from(SECONDS) * S + PRIMING) as usize).len(), 8);
    drop(recording);
}
