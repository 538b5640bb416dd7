//! The simulated space's own sound against what an archive and a finished file hold of it, frame by frame.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use spacebridge::recording::{Archive, SegmentFact, SessionArchive};
use spacebridge::source::x_space::segment;

use super::process;
use super::show::Space;

/// Samples of an AAC frame.
const FRAME: u64 = 1024;

/// Bytes of an ADTS header without a checksum; tools write other ones around the same frame.
const HEADER: usize = 7;

/// Fetches at once.
const PARALLEL: usize = 8;

/// Every chunk of a space that its platform lists, by number, as hashes of its frames.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(crate) chunks: BTreeMap<u64, Vec<u64>>,
}

impl Tape {
    /// Everything that `space` serves now. Its chunks must be well and its list whole by then.
    pub(crate) async fn of(space: &Space) -> Self {
        let live = &space.started.playlist_url;
        let folder = live.split("dynamic_playlist").next().expect("a folder").to_owned();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let list = get(&client, &format!("{folder}playlist_1.m3u8?type=replay")).await;
        let list = String::from_utf8(list.to_vec()).expect("text");
        let names: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
        let places = Arc::new(tokio::sync::Semaphore::new(PARALLEL));
        let mut fetches = tokio::task::JoinSet::new();
        for name in names {
            let number: u64 = name.rsplit('_').nth(1).and_then(|text| text.parse().ok()).expect(name);
            let (client, url, places) = (client.clone(), format!("{folder}{name}"), places.clone());
            fetches.spawn(async move {
                let _place = places.acquire_owned().await.expect("it is never closed");
                (number, frames(&get(&client, &url).await))
            });
        }
        Self { chunks: fetches.join_all().await.into_iter().collect() }
    }

    /// All frames of the chunks up to and with `last`, in order.
    pub(crate) fn frames_until(&self, last: u64) -> Vec<u64> {
        self.chunks.range(..=last).flat_map(|(_, frames)| frames.clone()).collect()
    }

    /// Samples of the chunks in `numbers`.
    pub(crate) fn samples(&self, numbers: std::ops::Range<u64>) -> i64 {
        self.chunks.range(numbers).map(|(_, frames)| frames.len() as i64 * FRAME as i64).sum()
    }
}

async fn get(client: &reqwest::Client, url: &str) -> Bytes {
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status).expect("an answer");
    answer.bytes().await.expect("a body")
}

/// Hashes of the AAC frames in ADTS, without their headers.
fn frames(bytes: &Bytes) -> Vec<u64> {
    let hash = |frame: &segment::Frame| {
        let mut hasher = DefaultHasher::new();
        frame.bytes[HEADER..].hash(&mut hasher);
        hasher.finish()
    };
    segment::split(bytes).frames.iter().map(hash).collect()
}

/// The only session of the archive in `folder`.
pub(crate) fn session_of(folder: &Path) -> SessionArchive {
    let archive = Archive::read(folder).expect("an archive");
    assert!(archive.damage.is_empty(), "{:?}", archive.damage);
    let [session] = &archive.sessions[..] else { panic!("not one session: {:?}", archive.sessions) };
    session.clone()
}

/// The kept segments in the order of media time.
pub(crate) fn in_order(session: &SessionArchive) -> Vec<SegmentFact> {
    let mut segments = session.segments.clone();
    segments.sort_by_key(|segment| segment.media_time);
    segments
}

/// Fails unless every segment that is kept holds the tape's very frames under its number, lies where the tape has it,
/// and is kept once. Gives the media time of the tape's start.
pub(crate) fn assert_kept_as_on(tape: &Tape, folder: &Path) -> i64 {
    let segments = in_order(&session_of(folder));
    let place = |segment: &SegmentFact| segment.media_time - tape.samples(0..segment.sequence);
    let zero = place(&segments[0]);
    for segment in &segments {
        let bytes = Bytes::from(std::fs::read(folder.join(&segment.file)).expect("a segment"));
        let kept = frames(&bytes);
        assert_eq!(Some(&kept), tape.chunks.get(&segment.sequence), "frames of segment {}", segment.sequence);
        assert_eq!(segment.duration, kept.len() as u64 * FRAME, "duration of segment {}", segment.sequence);
        assert_eq!(place(segment), zero, "segment {} is not at its place", segment.sequence);
    }
    for pair in segments.windows(2) {
        assert!(pair[0].sequence < pair[1].sequence, "segment {} is kept twice", pair[1].sequence);
    }
    zero
}

/// Hashes of the frames in a finished file, as ffmpeg reads them.
pub(crate) fn frames_of_file(file: &Path) -> Vec<u64> {
    let path = file.to_str().expect("a path");
    let out = process::run("ffmpeg", &["-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-f", "adts", "-"]);
    frames(&Bytes::from(out.stdout))
}
