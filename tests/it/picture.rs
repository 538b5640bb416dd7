//! The slate through the picture desk, as the bridge joins them.

use std::sync::Arc;
use std::time::Duration;

use spacebridge::alert::Events;
use spacebridge::clock::Clock;
use spacebridge::config::SlateConfig;
use spacebridge::encode::picture::{DeskServices, FrameSource, PATIENCE, Painted, PictureDesk, PictureSettings};
use spacebridge::media::{GRID_SAMPLES, ProgramTime};
use spacebridge::picture::{Slate, SlateContent};
use tokio_util::sync::CancellationToken;

struct Drawing(Slate);

impl FrameSource for Drawing {
    type Content = SlateContent;

    fn is_urgent(&self, from: &SlateContent, to: &SlateContent) -> bool {
        (&from.line, from.live) != (&to.line, to.live)
    }

    fn paint(&self, content: &SlateContent) -> Painted {
        let frames = self.0.frames(content);
        Painted { frames: Box::new(move |index| frames.frame(index)), still: None }
    }
}

#[tokio::test]
async fn a_hostile_title_takes_over_without_a_word_to_the_decoder() {
    let config = SlateConfig::default();
    let slate = Slate::load(&config).expect("a slate");
    let clock = Clock::system();
    let services =
        DeskServices { events: Events::new(clock.clone()), clock, token: CancellationToken::new(), patience: PATIENCE };
    let settings = PictureSettings { format: slate.format(), video_kbps: config.video_kbps };
    let first = SlateContent { line: "Connecting to the space".into(), ..SlateContent::default() };
    let zero = || ProgramTime::ZERO;
    let (desk, mut timeline) =
        PictureDesk::start(Drawing(slate), settings, first, zero, services).await.expect("a desk");
    let before = timeline.borrow_and_update().at(ProgramTime::ZERO).expect("a picture").clone();
    let title = "</text><image href='file:///etc/passwd'/>\u{202e}\u{0}🚀 שלום مرحبا नमस्ते 世界 Z\u{301}\u{327}\u{301}"
        .repeat(20);
    let live = SlateContent {
        title: title.clone(),
        host: title.clone(),
        line: "Live".into(),
        speaking: title.clone(),
        consent: title,
        live: true,
        clock: None,
    };
    desk.show(live, ProgramTime::ZERO).await;
    let change = tokio::time::timeout(Duration::from_secs(60), timeline.changed());
    change.await.expect("a change in time").expect("a living desk");
    let after = timeline.borrow().at(ProgramTime::from_samples(GRID_SAMPLES)).expect("a picture").clone();
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!(before.codec_data, after.codec_data);
    assert_eq!(after.frames.len(), 60);
    let bits = after.frames.iter().map(bytes::Bytes::len).sum::<usize>() * 8;
    assert!((bits as f64 / 2.0 / 3_000_000.0 - 1.0).abs() < 0.1, "{bits} bits in 2 s");
}
