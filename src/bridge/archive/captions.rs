//! What was said, in the platform's words, on its way to the recording.

use std::time::{Duration, Instant};

use super::Archive;
use crate::recording::CaptionFact;
use crate::source::Caption;

/// Captions that are kept at most: a day of lively talk has some ten thousand.
const MOST: u32 = 20_000;

/// And in ten seconds: whoever talks fast is captioned every other second. Anybody may write what looks like one.
const MOST_AT_ONCE: u32 = 20;
const AT_ONCE: Duration = Duration::from_secs(10);

/// How many were kept.
#[derive(Debug, Default)]
pub(super) struct Captions {
    all: u32,
    /// Since when, and how many since then.
    lately: Option<(Instant, u32)>,
}

impl Captions {
    /// Whether one more is kept.
    fn take(&mut self, now: Instant) -> bool {
        let (since, count) = self.lately.filter(|(since, _)| now.duration_since(*since) < AT_ONCE).unwrap_or((now, 0));
        let fits = self.all < MOST && count < MOST_AT_ONCE;
        self.lately = Some((since, count + u32::from(fits)));
        self.all += u32::from(fits);
        fits
    }
}

impl Archive {
    /// Keeps a caption, with where the session's sound had come to.
    pub(in crate::bridge) fn caption(&self, caption: Caption) {
        let Some(recording) = &self.recording else { return };
        let mut shared = self.shared();
        if !shared.session.session.is_empty() && shared.captions.take(Instant::now()) {
            let Caption { text, speaker, ntp_seconds } = caption;
            let session = shared.session.session.clone();
            recording.caption(CaptionFact { session, media_time: shared.stream.heard, ntp_seconds, speaker, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_captions_fills_no_journal() {
        let (mut captions, start) = (Captions::default(), Instant::now());
        let kept = |captions: &mut Captions, at: Duration, count: u32| {
            (0..count).filter(|_| captions.take(start + at)).count()
        };
        assert_eq!(kept(&mut captions, Duration::ZERO, 1000), 20);
        assert_eq!(kept(&mut captions, Duration::from_secs(9), 10), 0);
        assert_eq!(kept(&mut captions, Duration::from_secs(10), 5), 5);
        let all: usize = (2..3000).map(|index| kept(&mut captions, AT_ONCE * index, 100)).sum();
        assert_eq!(all + 25, MOST as usize);
    }
}
