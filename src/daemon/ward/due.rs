//! Whether a daemon that starts puts a show on the air.

use jiff::Timestamp;

use super::Origin;
use crate::bridge::state_folder::{RESUMABLE, ShowRecord};
use crate::daemon::folders::{Wish, WishMade};

/// It shall be there, it did not end while no daemon was there to see it, and it was not suspended for longer than an
/// audience waits.
pub(super) fn is_due(made: Option<WishMade>, record: Option<&ShowRecord>, origin: &Origin, now: Timestamp) -> bool {
    match made {
        None => matches!(origin, Origin::File(_)),
        Some(WishMade { wish: Wish::Off, .. }) => false,
        Some(WishMade { wish: Wish::On, at }) => {
            let ended = record.and_then(|record| record.ended_at).is_some_and(|ended| ended >= at);
            let suspended_at = record.and_then(|record| record.suspended_at);
            let stale = suspended_at.is_some_and(|at| at.duration_until(now).unsigned_abs() > RESUMABLE);
            !ended && !stale
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_starts_begins_nothing_again_that_is_over() {
        let at = |second: i64| Timestamp::from_second(1_780_000_000 + second).unwrap();
        let file = Origin::File("night.toml".into());
        let on = Some(WishMade { wish: Wish::On, at: at(100) });
        let off = Some(WishMade { wish: Wish::Off, at: at(100) });
        let record = ShowRecord::new("night", String::new(), at(100));
        let ended = |second| ShowRecord { ended_at: Some(at(second)), ..record.clone() };
        let suspended = |second| ShowRecord { suspended_at: Some(at(second)), ..record.clone() };
        for (made, record, origin, expected) in [
            (None, None, &file, true),
            (None, None, &Origin::Api, false),
            (on, None, &file, true),
            (off, None, &file, false),
            (on, Some(record.clone()), &file, true),
            (on, Some(ended(50)), &file, true),
            (on, Some(ended(150)), &file, false),
            (on, Some(suspended(900)), &Origin::Api, true),
            (on, Some(suspended(-900)), &Origin::Api, false),
        ] {
            assert_eq!(is_due(made, record.as_ref(), origin, at(1000)), expected, "{made:?} {record:?} {origin:?}");
        }
    }
}
