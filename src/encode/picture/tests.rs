//! What the desk puts on the air, and when.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

const TINY: PictureSettings = PictureSettings { format: VideoFormat { width: 64, height: 64, fps: 30 }, video_kbps: 0 };

/// Pictures of one grey each; 255 panics, 254 never comes to an end.
struct Greys(Arc<AtomicUsize>);

impl FrameSource for Greys {
    type Content = u8;

    fn is_urgent(&self, _: &u8, _: &u8) -> bool {
        true
    }

    fn paint(&self, content: &u8) -> Painted {
        assert!(*content != 255, "a content that cannot be drawn");
        if *content == 254 {
            loop {
                std::thread::park();
            }
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        let grey = *content;
        Painted { frames: Box::new(move |_| vec![grey; 64 * 64 * 3 / 2]), still: Some(vec![grey]) }
    }
}

struct Show {
    desk: PictureDesk<u8>,
    timeline: watch::Receiver<Arc<PictureTimeline>>,
    now: Arc<AtomicU64>,
    drawn: Arc<AtomicUsize>,
    events: Events,
}

async fn show() -> Show {
    show_with(PATIENCE).await
}

async fn show_with(patience: Duration) -> Show {
    let (now, drawn) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
    let clock = Clock::system();
    let events = Events::new(clock.clone());
    let services = DeskServices { clock, events: events.clone(), token: CancellationToken::new(), patience };
    let read = now.clone();
    let time = move || ProgramTime::from_samples(read.load(Ordering::Relaxed));
    let (desk, timeline) = PictureDesk::start(Greys(drawn.clone()), TINY, 0, time, services).await.expect("a desk");
    Show { desk, timeline, now, drawn, events }
}

impl Show {
    async fn change(&mut self, content: u8, at: u64) -> Arc<PictureTimeline> {
        self.timeline.mark_unchanged();
        self.desk.show(content, ProgramTime::from_samples(at)).await;
        let change = tokio::time::timeout(Duration::from_secs(30), self.timeline.changed());
        change.await.expect("a change in time").expect("a living desk");
        self.timeline.borrow().clone()
    }
}

fn at(timeline: &PictureTimeline, samples: u64) -> Arc<EncodedLoop> {
    timeline.at(ProgramTime::from_samples(samples)).expect("a picture").clone()
}

#[tokio::test]
async fn a_picture_never_takes_over_in_the_past() {
    let mut show = show().await;
    let first = at(&show.timeline.borrow(), 0);
    show.now.store(5 * GRID_SAMPLES + 7, Ordering::Relaxed);
    let timeline = show.change(90, 0).await;
    assert_eq!(at(&timeline, 6 * GRID_SAMPLES - 1), first);
    assert_ne!(at(&timeline, 6 * GRID_SAMPLES), first);
    // One that is asked for later comes at the first grid point from there on.
    let second = at(&timeline, 6 * GRID_SAMPLES);
    let timeline = show.change(180, 9 * GRID_SAMPLES + 1).await;
    assert_eq!(at(&timeline, 10 * GRID_SAMPLES - 1), second);
    assert_ne!(at(&timeline, 10 * GRID_SAMPLES), second);
}

#[test]
fn a_grid_point_that_is_too_near_is_left_alone() {
    let grid = |n: u64| ProgramTime::from_samples(n * GRID_SAMPLES);
    assert_eq!(takeover(ProgramTime::ZERO, ProgramTime::from_samples(GRID_SAMPLES - MARGIN - 1)), grid(1));
    assert_eq!(takeover(ProgramTime::ZERO, ProgramTime::from_samples(GRID_SAMPLES - MARGIN)), grid(2));
    assert_eq!(takeover(grid(9), ProgramTime::from_samples(GRID_SAMPLES)), grid(9));
}

#[tokio::test]
async fn flips_between_two_pictures_are_drawn_once_each() {
    let mut show = show().await;
    for n in 1..=20 {
        show.change(if n % 2 == 0 { 0 } else { 90 }, n * GRID_SAMPLES).await;
    }
    assert_eq!(show.drawn.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_title_that_breaks_the_drawing_leaves_the_old_picture_on_the_air() {
    let mut show = show().await;
    let first = at(&show.timeline.borrow(), 0);
    let mut events = show.events.subscribe();
    show.desk.show(255, ProgramTime::ZERO).await;
    let event = tokio::time::timeout(Duration::from_secs(30), events.recv()).await.expect("in time").expect("an event");
    assert_eq!(event.code, "slate.failed");
    assert_eq!(at(&show.timeline.borrow(), GRID_SAMPLES * 1000), first);
    let timeline = show.change(90, 0).await;
    assert_ne!(at(&timeline, GRID_SAMPLES), first);
}

#[test]
fn a_picture_that_never_comes_to_an_end_is_told_and_the_next_one_is_shown() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut show = show_with(Duration::from_secs(4)).await;
        show.desk.show(254, ProgramTime::ZERO).await;
        let timeline = show.change(5, 0).await;
        assert_ne!(at(&timeline, 0), at(&timeline, GRID_SAMPLES));
        let told = show.events.recent(9);
        assert_eq!(told.iter().map(|event| event.code.as_str()).collect::<Vec<_>>(), ["slate.failed"]);
        assert!(told[0].message.contains("took longer than 4 s"), "{told:?}");
    });
    // The thread that hangs is left behind, as a bridge leaves it.
    runtime.shutdown_background();
}

#[test]
fn pictures_that_hang_do_not_pile_up_without_end() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let source = Arc::new(Greys(Arc::default()));
        let kiln = Kiln { settings: TINY, patience: Duration::from_millis(20), at_work: Arc::default() };
        for n in 0..ABANDONED_MAX + 2 {
            let error = kiln.encode(source.clone(), 254).await.expect_err("it hangs");
            let begun = matches!(error, PictureEncodeError::Frozen { .. });
            assert_eq!(begun, n < ABANDONED_MAX, "picture {n}: {error}");
        }
    });
    runtime.shutdown_background();
}
