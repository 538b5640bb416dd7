use proptest::prelude::*;

use super::*;

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

/// An archive that ended so many days ago, and is protected by nothing.
fn archive(days: i64, bytes: u64) -> Summary {
    let ended = now() - jiff::SignedDuration::from_hours(24 * days);
    Summary {
        name: format!("show-{days}"),
        started_at: Some(ended),
        ended_at: Some(ended),
        bytes,
        exported: true,
        ..Summary::default()
    }
}

fn limits(days: Option<u64>, bytes: Option<u64>, count: Option<u32>) -> RetentionConfig {
    RetentionConfig { max_age: days.map(|days| Duration::from_secs(days * 86_400)), max_bytes: bytes, max_count: count }
}

#[test]
fn what_goes_by_table() {
    let all = [archive(1, 10), archive(5, 10), archive(3, 10), archive(9, 10)];
    let cases = [
        (limits(None, None, None), vec![]),
        (limits(Some(4), None, None), vec![("show-9", Limit::Age), ("show-5", Limit::Age)]),
        (limits(None, Some(25), None), vec![("show-9", Limit::Size), ("show-5", Limit::Size)]),
        (limits(None, Some(40), None), vec![]),
        (limits(None, None, Some(3)), vec![("show-9", Limit::Count)]),
        (limits(Some(8), Some(25), None), vec![("show-9", Limit::Age), ("show-5", Limit::Size)]),
        (limits(None, None, Some(0)), ["9", "5", "3", "1"].map(|n| (n, Limit::Count)).to_vec()),
    ];
    for (limits, expected) in cases {
        let plan = plan(&all, &limits, now());
        let goes: Vec<_> = plan.delete.iter().map(|one| (one.name.as_str(), one.limit)).collect();
        let same = |(found, expected): (&(&str, Limit), &(&str, Limit))| {
            found.0.ends_with(expected.0) && found.1 == expected.1
        };
        assert!(goes.len() == expected.len() && goes.iter().zip(&expected).all(same), "{limits:?}: {goes:?}");
        assert_eq!(plan.protected, []);
    }
}

#[test]
fn what_somebody_may_still_want_never_goes() {
    type Change = fn(&mut Summary);
    let changes: [(Protection, Change); 6] = [
        (Protection::Written, |one| one.written_by = Some("1".into())),
        (Protection::Kept, |one| one.keep = true),
        (Protection::NotEnded, |one| one.ended_at = None),
        (Protection::RepairPending, |one| one.repair_pending = true),
        (Protection::Damaged, |one| one.damaged_lines = 1),
        (Protection::NotExported, |one| one.exported = false),
    ];
    for (protection, change) in changes {
        let mut old = archive(100, 1000);
        change(&mut old);
        let plan = plan(&[old, archive(1, 10)], &limits(Some(50), None, Some(1)), now());
        assert!(plan.delete.iter().all(|one| one.name != "show-100"), "{protection:?}");
        assert_eq!(plan.protected.iter().map(|one| one.by).collect::<Vec<_>>(), [protection]);
    }
}

proptest! {
    #[test]
    fn only_unprotected_ones_go_oldest_first_and_no_more_than_needed(
        archives in proptest::collection::vec((0_i64..40, 0_u64..50, any::<[bool; 4]>()), 0..20),
        days in proptest::option::of(0_u64..40),
        bytes in proptest::option::of(0_u64..600),
        count in proptest::option::of(0_u32..20),
    ) {
        let archives: Vec<Summary> = archives.into_iter().enumerate().map(|(at, (days, bytes, flags))| {
            let mut one = archive(days, bytes);
            one.name = format!("{at:02}");
            (one.keep, one.exported, one.repair_pending) = (flags[0], flags[1] | flags[3], flags[2] & flags[3]);
            one
        }).collect();
        let limits = limits(days, bytes, count);
        let plan = plan(&archives, &limits, now());
        let goes = |one: &&Summary| plan.delete.iter().any(|gone| gone.name == one.name);
        let left: Vec<&Summary> = archives.iter().filter(|one| !goes(one)).collect();
        for gone in archives.iter().filter(goes) {
            prop_assert_eq!(Protection::of(gone), None);
            let younger_stays = left.iter().all(|one| one.ended_at >= gone.ended_at || Protection::of(one).is_some());
            prop_assert!(younger_stays, "an older one stays though nothing protects it");
        }
        let free = |one: &&&Summary| Protection::of(one).is_none();
        if left.iter().filter(free).count() > 0 {
            prop_assert!(count.is_none_or(|most| left.len() as u64 <= u64::from(most)));
            prop_assert!(bytes.is_none_or(|most| left.iter().map(|one| one.bytes).sum::<u64>() <= most));
        }
        // Nothing goes for number or size alone once both hold.
        if let Some(last) = plan.delete.iter().rfind(|one| one.limit != Limit::Age) {
            let (number, size) = (left.len() as u64 + 1, left.iter().map(|one| one.bytes).sum::<u64>() + last.bytes);
            prop_assert!(count.is_some_and(|most| number > u64::from(most)) || bytes.is_some_and(|most| size > most));
        }
    }
}
