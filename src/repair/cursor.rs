//! Where the next fetched segment of a run goes. Pure.

use super::plan::{Place, Run};
use crate::media::AAC_FRAME_SAMPLES;

/// The place in a run that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    place: Place,
    room: Option<u64>,
}

/// A place on the media timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) media_time: i64,
    pub(super) duration: u64,
}

impl Cursor {
    /// At the start of `run`.
    pub(super) fn of(run: &Run) -> Self {
        Self { place: run.place, room: run.room }
    }

    /// Puts `duration` samples that were listed as `listed` at the next place. None if they do not fit between what is
    /// kept: less than a frame is rounding, and one that fits by half gets the room that there is.
    pub(super) fn put(&mut self, duration: u64, listed: u64) -> Option<Put> {
        let length = match self.room {
            Some(room) if duration < room.saturating_add(AAC_FRAME_SAMPLES) => duration,
            Some(room) if room.saturating_mul(2) >= duration && room >= AAC_FRAME_SAMPLES => room,
            Some(_) => {
                self.pass(listed);
                return None;
            }
            None => duration,
        };
        let media_time = match self.place {
            Place::From(start) => start,
            Place::Until(end) => end.saturating_sub(signed(length)),
        };
        // One that is torn ends early; the next one is where it would be all the same.
        self.pass(length.max(if duration < listed { listed } else { length }));
        Some(Put { media_time, duration: length })
    }

    /// Leaves out a segment that could not be had. Where it would be.
    pub(super) fn pass(&mut self, listed: u64) -> Put {
        let (media_time, next) = match self.place {
            Place::From(start) => (start, Place::From(start.saturating_add(signed(listed)))),
            Place::Until(end) => {
                let start = end.saturating_sub(signed(listed));
                (start, Place::Until(start))
            }
        };
        self.place = next;
        self.room = self.room.map(|room| room.saturating_sub(listed));
        Put { media_time, duration: listed }
    }
}

fn signed(samples: u64) -> i64 {
    i64::try_from(samples).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(place: Place, room: Option<u64>) -> Cursor {
        Cursor { place, room }
    }

    #[test]
    fn places_by_table() {
        let f = AAC_FRAME_SAMPLES;
        let put = |media_time: i64, duration: u64| Some(Put { media_time, duration });
        for (name, mut at, duration, listed, expected, then) in [
            ("forwards", cursor(Place::From(10), None), 5 * f, 5 * f, put(10, 5 * f), Place::From(10 + 5 * f as i64)),
            (
                "backwards",
                cursor(Place::Until(0), None),
                5 * f,
                5 * f,
                put(-5 * f as i64, 5 * f),
                Place::Until(-5 * f as i64),
            ),
            (
                "rounding",
                cursor(Place::From(0), Some(5 * f - 48)),
                5 * f,
                5 * f,
                put(0, 5 * f),
                Place::From(5 * f as i64),
            ),
            (
                "by half",
                cursor(Place::From(0), Some(3 * f)),
                5 * f,
                5 * f,
                put(0, 3 * f),
                Place::From(5 * f as i64).shorter(2 * f),
            ),
            ("no room", cursor(Place::From(0), Some(2 * f)), 5 * f, 5 * f, None, Place::From(5 * f as i64)),
            ("torn", cursor(Place::From(0), None), 2 * f, 5 * f, put(0, 2 * f), Place::From(5 * f as i64)),
        ] {
            assert_eq!(at.put(duration, listed), expected, "{name}");
            assert_eq!(at.place, then, "{name}");
        }
    }

    impl Place {
        fn shorter(self, by: u64) -> Self {
            match self {
                Self::From(at) => Self::From(at - by as i64),
                Self::Until(at) => Self::Until(at + by as i64),
            }
        }
    }
}
