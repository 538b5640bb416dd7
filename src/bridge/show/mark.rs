//! The operator names the place that is being heard.

use super::Show;
use crate::bridge::protocol::MarkAccepted;
use crate::media::SAMPLE_RATE;
use crate::text;

/// Longest title, in characters: what a chapter list shows.
const TITLE_MAX: usize = 200;

impl Show {
    /// Marks what is on the air at this moment; the text says why it cannot be.
    pub(super) fn mark(&self, title: &str) -> Result<MarkAccepted, String> {
        let title = text::plain(title, TITLE_MAX);
        if title.is_empty() {
            return Err("A mark needs a title: spacebridge mark \"Climate\".".to_owned());
        }
        let (session, anchor) = {
            let view = self.board.view();
            (view.info.id.clone(), view.anchor)
        };
        // The anchor knows nothing of the public delay.
        let heard = self.program.now().samples().saturating_sub(self.program.public_delay());
        let Some(media_time) = anchor.and_then(|anchor| place(heard, anchor)) else {
            return Err("Nothing of the space has been heard yet: mark again when it is.".to_owned());
        };
        if !self.archive.mark(&session, media_time, &title) {
            return Err("Nothing is recorded in this show, so that there is nothing to mark.".to_owned());
        }
        let seconds = media_time as f64 / f64::from(SAMPLE_RATE);
        self.events.info("recording.mark", "recording", format!("Marked at {}: {title}", time_of(seconds)));
        Ok(MarkAccepted { session, seconds, title })
    }
}

/// Media time of what is on the air at a program sample; none before the session's own beginning is.
fn place(now: u64, anchor: i64) -> Option<i64> {
    i64::try_from(now).ok()?.checked_sub(anchor).filter(|media_time| *media_time >= 0)
}

fn time_of(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_lies_where_it_is_heard_and_not_where_the_newest_audio_is() {
        let s = u64::from(SAMPLE_RATE);
        assert_eq!(place(100 * s, 40 * 48_000), Some(60 * 48_000));
        // A show that joined late: media zero lies before the program's own start.
        assert_eq!(place(10 * s, -600 * 48_000), Some(610 * 48_000));
        assert_eq!(place(10 * s, 12 * 48_000), None, "not on the air yet");
        assert_eq!(time_of(3723.9), "1:02:03");
    }
}
