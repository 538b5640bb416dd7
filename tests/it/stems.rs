//! Speakers apart, from a real gateway to the files of an editor: every second lies where the mix has it.

use std::path::Path;
use std::time::Duration;

use spacebridge::alert::Events;
use spacebridge::clock::Clock;
use spacebridge::config::RecordingConfig;
use spacebridge::episode::{ExportRequest, Format, Progress, export};
use spacebridge::gst::decode_file::decode_start;
use spacebridge::recording::{Closing, Limits, NewStem, Recording, ShowFact, Surroundings};
use spacebridge::ruler::RulerMark;
use spacebridge::source::{Source as _, SourceContext, SourceEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::janus::{Janus, Publisher, ruler};
use crate::support::turn;

const SESSION: &str = "room";

/// Stem and mix are laid by one place: less than a sample apart.
const CORRECTION: f64 = 1.0;

/// What a show does with the events of a source.
#[derive(Default)]
struct Keeping {
    heard: i64,
    zero: Option<i64>,
    stems: usize,
}

impl Keeping {
    fn keep(&mut self, recording: &Recording, event: SourceEvent) {
        match event {
            SourceEvent::Audio(block) => {
                self.zero.get_or_insert(block.media_time);
                self.heard = block.media_time + block.samples.len() as i64;
            }
            SourceEvent::Capture(bytes) => recording.capture(SESSION, bytes, self.zero),
            SourceEvent::Speakers(speakers) => {
                let now = speakers.into_iter().map(|speaker| (speaker.id, speaker.name)).collect();
                recording.speakers(SESSION, now, self.heard);
            }
            SourceEvent::Stem(packet) => {
                self.stems += 1;
                recording.stem(NewStem {
                    session: SESSION.into(),
                    speaker: packet.speaker,
                    media_time: packet.media_time,
                    samples: packet.samples,
                    data: packet.data,
                });
            }
            _ => {}
        }
    }
}

fn marks(folder: &Path, ending: &str, side: usize) -> (usize, Vec<RulerMark>) {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let file = files.into_iter().find(|file| file.to_string_lossy().ends_with(ending)).expect("a file");
    let samples = decode_start(&file, usize::MAX).expect("samples");
    let mono: Vec<f32> = samples.iter().map(|sample| sample[side]).collect();
    (mono.len(), spacebridge::ruler::decode(&mono))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_speaker_of_a_real_room_lies_on_the_mix() {
    let _turn = turn().await;
    spacebridge::gst::init().expect("GStreamer");
    let temp = tempfile::tempdir().expect("a folder");
    let config = RecordingConfig { enabled: true, folder: temp.path().to_owned(), ..RecordingConfig::default() };
    let clock = Clock::system();
    let with = Surroundings { events: Events::new(clock.clone()), clock: clock.clone(), limits: Limits::default() };
    let recording = Recording::create(&config, ShowFact { show: "night".into(), ..ShowFact::default() }, with);
    let recording = recording.expect("a recording");
    let janus = Janus::start().await;
    let left = Publisher::join(&janus, "left", ruler(0)).await;
    let right = Publisher::join(&janus, "right", ruler(1)).await;
    let mut source = Janus::source(janus.url(), "secret");
    let (sender, mut events) = mpsc::channel(64);
    let token = CancellationToken::new();
    let context = SourceContext::new(sender, token.clone(), clock);
    let work = tokio::spawn(async move { source.run(context).await });
    let mut keeping = Keeping::default();
    let listen = async {
        // Both for eight seconds: the place of each is set right once, after its first.
        while keeping.stems < 2 * 8 * 50 {
            keeping.keep(&recording, events.recv().await.expect("it goes on"));
        }
        token.cancel();
        while let Some(event) = events.recv().await {
            keeping.keep(&recording, event);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), listen).await.expect("both are heard");
    drop((work, left, right));
    recording.close(Closing::Ended).await.expect("an end");
    let out = temp.path().join("out");
    let request =
        ExportRequest { folder: Some(out.clone()), ..ExportRequest::new(recording.folder(), [Format::Stems]) };
    let done = tokio::task::spawn_blocking(move || export(&request, &Progress::default())).await.expect("a thread");
    assert_eq!(done.expect("files").notes, Vec::<String>::new());
    for (side, name) in ["left", "right"].into_iter().enumerate() {
        let (length, mixed) = marks(&out, "stem-mix.flac", side);
        let (own_length, own) = marks(&out, &format!("stem-{name}.flac"), side);
        assert_eq!(length, own_length);
        assert!(own.len() >= 3, "{own:?}");
        // Around the moment when a track's place is set right once, stem and mix do so a packet apart.
        let settled: Vec<_> = mixed.iter().filter(|mark| mark.at_samples > 4.0 * 48_000.0).collect();
        assert!(settled.len() >= 2, "{mixed:?}");
        for mark in settled {
            let apart = own.iter().find(|own| own.index == mark.index).map(|own| own.at_samples - mark.at_samples);
            assert!(apart.is_some_and(|apart| apart.abs() < CORRECTION), "{name}: {mark:?} {apart:?}");
        }
    }
}
