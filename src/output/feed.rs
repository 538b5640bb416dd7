//! What one connection is sent: cut at the grid, interleaved, and never more than it can take.
//!
//! Pure: it turns a frame of audio and the pictures on the air into units with timestamps, and counts what it leaves
//! out. Frame `i` of the program lies at `i / fps` s of program time, at place `i` modulo the loop's length of whatever
//! picture is on the air: so every output shows the same, whenever it joined.

use std::sync::Arc;
use std::time::Duration;

use super::group::Join;
use crate::gst::rtmp::Unit;
use crate::media::{
    AAC_FRAME_SAMPLES, AudioFrame, EncodedLoop, GRID_SAMPLES, PictureTimeline, ProgramTime, SAMPLE_RATE,
};

/// A connection that is this far behind loses everything up to a grid point, rather than hold more.
const FULL: Duration = Duration::from_secs(2);

/// It may begin again at a grid point when no more than this is left to send.
const ROOM: Duration = Duration::from_secs(1);

/// Frames whose places differ by more than this many program samples have others missing between them. A frame at
/// 44.1 kHz is 1115 samples long.
const HOLE: u64 = 2 * AAC_FRAME_SAMPLES;

/// What to give the pipeline next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// Pictures with another codec configuration begin.
    Show(Arc<EncodedLoop>),
    /// A picture.
    Video(Unit),
    /// A piece of sound.
    Audio(Unit),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing was sent yet; begins at this grid point.
    Joining(ProgramTime),
    Running,
    /// Dropping; may go on at this grid point.
    Skipping(ProgramTime),
}

/// The feed of one connection, from its join on.
#[derive(Debug)]
pub(super) struct Feed {
    phase: Phase,
    /// Program time of the connection's first unit.
    start: ProgramTime,
    zero: ProgramTime,
    next_frame: u64,
    previous: Option<ProgramTime>,
    shown: Arc<EncodedLoop>,
    sample_rate: u32,
    offered: u64,
    dropped: u64,
}

impl Feed {
    /// A feed that joins as the group says. `shown` is the picture whose configuration the pipeline has.
    pub(super) fn new(join: Join, shown: Arc<EncodedLoop>, sample_rate: u32) -> Self {
        Self {
            phase: Phase::Joining(join.at),
            start: join.at,
            zero: join.zero,
            next_frame: 0,
            previous: None,
            shown,
            sample_rate,
            offered: 0,
            dropped: 0,
        }
    }

    /// Units so far, sent or dropped.
    pub(super) fn offered(&self) -> u64 {
        self.offered
    }

    /// Units that were dropped because the connection was behind.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How much later than what is pushed the timestamps must be, in ms. Known once something was sent.
    pub(super) fn shift_ms(&self) -> u32 {
        u32::try_from(self.start.since(self.zero) * 1000 / u64::from(SAMPLE_RATE)).unwrap_or(u32::MAX)
    }

    /// What to send now that `frame` is on the air and the connection is `level` behind.
    pub(super) fn on_audio(&mut self, frame: &AudioFrame, level: Duration, pictures: &PictureTimeline) -> Vec<Item> {
        self.notice_trouble(frame.at, level);
        self.previous = Some(frame.at);
        if !self.enter(frame.at, level, pictures) {
            if matches!(self.phase, Phase::Skipping(_)) {
                self.offered += 1;
                self.dropped += 1;
            }
            return Vec::new();
        }
        let mut items = Vec::with_capacity(4);
        while self.frame_time(self.next_frame) <= frame.at {
            self.video(pictures, &mut items);
            self.next_frame += 1;
        }
        self.offered += 1;
        items.push(Item::Audio(Unit {
            at_ns: nanos(frame.at.since(self.start), SAMPLE_RATE),
            duration_ns: nanos(AAC_FRAME_SAMPLES, self.sample_rate),
            key: true,
            data: frame.data.clone(),
        }));
        items
    }

    /// Begins to skip when the connection is too far behind, or when frames of audio are missing.
    fn notice_trouble(&mut self, at: ProgramTime, level: Duration) {
        let missing = self.previous.map_or(0, |previous| at.since(previous)) > HOLE;
        if matches!(self.phase, Phase::Running) && (missing || level > FULL) {
            self.phase = Phase::Skipping(at.grid_ceil());
        }
    }

    /// Whether units are sent at `at`; passes the grid point that it waits for.
    fn enter(&mut self, at: ProgramTime, level: Duration, pictures: &PictureTimeline) -> bool {
        let (grid, joining) = match self.phase {
            Phase::Running => return true,
            Phase::Joining(grid) => (grid, true),
            Phase::Skipping(grid) => (grid, false),
        };
        if at < grid {
            return false;
        }
        let next = grid.plus(GRID_SAMPLES).max(at.grid_ceil());
        let late = at.since(grid) > HOLE;
        if late || level > ROOM || pictures.at(grid).is_none() {
            self.phase = if joining { Phase::Joining(next) } else { Phase::Skipping(next) };
            return false;
        }
        let first = grid.samples() * u64::from(self.shown.format.fps) / u64::from(SAMPLE_RATE);
        if joining {
            self.start = grid;
        } else {
            let skipped = first.saturating_sub(self.next_frame);
            self.offered += skipped;
            self.dropped += skipped;
        }
        self.next_frame = first;
        self.phase = Phase::Running;
        true
    }

    fn video(&mut self, pictures: &PictureTimeline, items: &mut Vec<Item>) {
        let index = self.next_frame;
        let Some(picture) = pictures.at(self.frame_time(index)) else { return };
        let place = (index % self.shown.format.loop_frames() as u64) as usize;
        let Some(data) = picture.frames.get(place) else { return };
        if !Arc::ptr_eq(picture, &self.shown) {
            if picture.codec_data != self.shown.codec_data {
                items.push(Item::Show(picture.clone()));
            }
            self.shown = picture.clone();
        }
        let fps = self.shown.format.fps;
        let first = self.start.samples() * u64::from(fps) / u64::from(SAMPLE_RATE);
        self.offered += 1;
        items.push(Item::Video(Unit {
            at_ns: nanos(index - first, fps),
            duration_ns: nanos(1, fps),
            key: place == 0,
            data: data.clone(),
        }));
    }

    fn frame_time(&self, index: u64) -> ProgramTime {
        self.shown.format.frame_time(index)
    }
}

fn nanos(count: u64, rate: u32) -> u64 {
    (u128::from(count) * 1_000_000_000 / u128::from(rate)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoFormat;
    use bytes::Bytes;

    fn picture(id: u8) -> Arc<EncodedLoop> {
        let frames = (0..60).map(|place| Bytes::from(vec![id, place])).collect();
        let format = VideoFormat { width: 1280, height: 720, fps: 30 };
        Arc::new(EncodedLoop { codec_data: Bytes::from_static(b"c"), frames, format, still: None })
    }

    fn audio(n: u64) -> AudioFrame {
        AudioFrame { at: ProgramTime::from_samples(n * AAC_FRAME_SAMPLES), data: Bytes::from_static(b"a") }
    }

    fn seconds(seconds: u64) -> ProgramTime {
        ProgramTime::from_samples(seconds * u64::from(SAMPLE_RATE))
    }

    fn feed(join: u64, zero: u64, picture: &Arc<EncodedLoop>) -> Feed {
        Feed::new(Join { at: seconds(join), zero: seconds(zero) }, picture.clone(), 48_000)
    }

    fn run(feed: &mut Feed, frames: std::ops::Range<u64>, level: Duration, timeline: &PictureTimeline) -> Vec<Item> {
        frames.flat_map(|n| feed.on_audio(&audio(n), level, timeline)).collect()
    }

    fn videos(items: &[Item]) -> Vec<(u64, bool, Bytes)> {
        let video = |item: &Item| match item {
            Item::Video(unit) => Some((unit.at_ns / 1_000_000, unit.key, unit.data.clone())),
            _ => None,
        };
        items.iter().filter_map(video).collect()
    }

    fn audios(items: &[Item]) -> Vec<u64> {
        let audio = |item: &Item| if let Item::Audio(unit) = item { Some(unit.at_ns / 1_000_000) } else { None };
        items.iter().filter_map(audio).collect()
    }

    #[test]
    fn a_join_starts_both_tracks_at_the_grid_with_a_key_frame_first() {
        let picture = picture(1);
        let timeline = PictureTimeline::new(picture.clone());
        let mut feed = feed(4, 4, &picture);
        let items = run(&mut feed, 100..400, Duration::ZERO, &timeline);
        assert!(matches!(&items[0], Item::Video(unit) if unit.key && unit.at_ns == 0 && unit.data[..] == [1, 0]));
        assert!(audios(&items)[0] < 22, "{:?}", audios(&items)[0]);
        assert_eq!((feed.dropped(), feed.shift_ms()), (0, 0));
        for track in [audios(&items), videos(&items).into_iter().map(|(at, ..)| at).collect()] {
            assert!(track.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] <= 34));
        }
    }

    #[test]
    fn a_full_connection_loses_whole_loops_and_goes_on_with_a_key_frame() {
        let picture = picture(1);
        let timeline = PictureTimeline::new(picture.clone());
        let mut feed = feed(0, 0, &picture);
        run(&mut feed, 0..50, Duration::ZERO, &timeline);
        let full = run(&mut feed, 50..150, Duration::from_millis(2100), &timeline);
        assert_eq!(full, []);
        let after = run(&mut feed, 150..250, Duration::ZERO, &timeline);
        assert_eq!(videos(&after)[0], (4000, true, Bytes::from(vec![1, 0])));
        assert!(audios(&after)[0] >= 4000);
        // 50 audio frames went out; up to the grid at 4 s there are 188. Frames 33.. of 120 pictures are missing.
        assert_eq!(feed.dropped(), (188 - 50) + (120 - 32));
    }

    #[test]
    fn frames_missing_from_the_program_feed_never_leave_pictures_without_their_key_frame() {
        let picture = picture(1);
        let timeline = PictureTimeline::new(picture.clone());
        let mut feed = feed(0, 0, &picture);
        run(&mut feed, 0..50, Duration::ZERO, &timeline);
        let after = run(&mut feed, 60..120, Duration::ZERO, &timeline);
        assert_eq!(videos(&after)[0], (2000, true, Bytes::from(vec![1, 0])));
    }

    #[test]
    fn a_new_picture_takes_over_at_its_grid_point_and_with_its_configuration() {
        let (old, mut new) = (picture(1), EncodedLoop::clone(&picture(2)));
        new.codec_data = Bytes::from_static(b"d");
        let mut timeline = PictureTimeline::new(old.clone());
        timeline.schedule(seconds(2), Arc::new(new));
        let mut feed = feed(0, 0, &old);
        let items = run(&mut feed, 0..150, Duration::ZERO, &timeline);
        let changes: Vec<_> =
            videos(&items).windows(2).filter(|w| w[0].2[0] != w[1].2[0]).map(|w| w[1].clone()).collect();
        assert_eq!(changes, [(2000, true, Bytes::from(vec![2, 0]))]);
        let shows: Vec<_> = items.iter().filter(|item| matches!(item, Item::Show(_))).collect();
        assert_eq!(shows.len(), 1);
    }

    #[test]
    fn a_later_join_of_a_group_keeps_the_zero() {
        let picture = picture(1);
        let timeline = PictureTimeline::new(picture.clone());
        let (mut first, mut second) = (feed(2, 2, &picture), feed(6, 2, &picture));
        let (a, b) =
            (run(&mut first, 0..500, Duration::ZERO, &timeline), run(&mut second, 0..500, Duration::ZERO, &timeline));
        assert_eq!(second.shift_ms(), 4000);
        let shifted: Vec<_> = videos(&b).into_iter().map(|(at, key, data)| (at + 4000, key, data)).collect();
        assert!(videos(&a).ends_with(&shifted));
        let shifted: Vec<_> = audios(&b).into_iter().map(|at| at + 4000).collect();
        assert!(audios(&a).ends_with(&shifted));
    }
}
