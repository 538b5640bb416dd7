use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::cursor::Cursor;
use super::*;
use crate::recording::{Origin, SegmentFact};

const FRAME: u64 = AAC_FRAME_SAMPLES;

/// One segment of an original.
#[derive(Debug, Clone)]
struct Piece {
    number: u64,
    start: i64,
    duration: u64,
}

fn original(first: u64, frames: &[u64]) -> Vec<Piece> {
    let mut start = 0;
    let pieces = frames.iter().enumerate().map(|(index, frames)| {
        let piece = Piece { number: first + index as u64, start, duration: frames * FRAME };
        start += piece.duration as i64;
        piece
    });
    pieces.collect()
}

fn name(number: u64) -> String {
    format!("chunk_1700000000000000000_{number}_a.aac")
}

fn clock(start: i64) -> Timestamp {
    // Rounded to milliseconds, as lists are.
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(1_700_000_000_000 + start.div_euclid(48))
}

fn kept(piece: &Piece, zero: i64) -> SegmentFact {
    SegmentFact {
        session: "s".into(),
        sequence: piece.number,
        name: name(piece.number),
        file: format!("segments/s/{:08}.aac", piece.number),
        bytes: 1,
        sha256: String::new(),
        media_time: piece.start - zero,
        duration: piece.duration,
        program_date_time: Some(clock(piece.start)),
        listed_at: Timestamp::UNIX_EPOCH,
        discontinuity: false,
        late: false,
        origin: Origin::Live,
        facts: Vec::new(),
    }
}

fn listed(piece: &Piece) -> PastEntry {
    PastEntry {
        sequence: Some(piece.number),
        name: name(piece.number),
        url: format!("https://cdn.example/{}", name(piece.number)).parse().expect("a url"),
        duration: piece.duration,
        program_date_time: Some(clock(piece.start)),
        discontinuity: false,
    }
}

fn session(kept: Vec<SegmentFact>) -> SessionArchive {
    let mut session = SessionArchive::default();
    session.segments.extend(kept);
    session
}

fn list(entries: Vec<PastEntry>, is_replay: bool) -> PastList {
    PastList { info: None, is_replay, ended: is_replay, entries }
}

/// Where everything lies after the plan, by name; every segment is fetched as long as it is.
fn applied(plan: &Plan) -> HashMap<String, (i64, u64)> {
    let mut placed = HashMap::new();
    for run in &plan.runs {
        let mut cursor = Cursor::of(run);
        for entry in &run.entries {
            if let Some(put) = cursor.put(entry.duration, entry.duration) {
                let before = placed.insert(entry.name.clone(), (put.media_time, put.duration));
                assert_eq!(before, None, "{} is fetched once", entry.name);
            }
        }
    }
    placed
}

fn plan_of(original: &[Piece], keep: &[usize], from: usize, change: impl Fn(PastEntry) -> PastEntry) -> (Plan, i64) {
    let zero = keep.first().map_or(0, |index| original[*index].start);
    let kept = keep.iter().map(|index| kept(&original[*index], zero)).collect();
    let entries = original[from..].iter().map(listed).map(change).collect();
    (plan(&session(kept), &list(entries, true), &HashSet::new()), zero)
}

proptest! {
    #[test]
    fn after_the_plan_the_timeline_is_the_original(
        frames in proptest::collection::vec(100_u64..150, 1..60),
        keep in proptest::collection::vec(any::<bool>(), 60),
        from in 0_usize..30,
        foreign in 0_u8..4,
    ) {
        let original = original(1704, &frames);
        let from = from.min(original.len() - 1);
        let keep: Vec<usize> = (0..original.len()).filter(|index| keep[*index]).collect();
        // A replay may name and number its segments in another way.
        let change = |entry: PastEntry| PastEntry {
            name: if foreign & 1 == 0 { entry.name } else { format!("r{}", entry.sequence.unwrap_or(0)) },
            sequence: if foreign & 2 == 0 { entry.sequence } else { entry.sequence.map(|number| number + 5000) },
            ..entry
        };
        // Where the list begins behind all that is kept, the place is an estimate; and numbers of another count say
        // nothing of what the list does not show beside them.
        let reach = usize::from(foreign & 2 == 0);
        prop_assume!(keep.is_empty() || keep.iter().any(|index| index + reach >= from));
        let (plan, zero) = plan_of(&original, &keep, from, change);
        prop_assert!(plan.notes.is_empty(), "{:?}", plan.notes);
        let placed = applied(&plan);
        let zero = if keep.is_empty() { original[from].start } else { zero };
        for (index, piece) in original.iter().enumerate() {
            let found = placed.get(&change(listed(piece)).name);
            if keep.contains(&index) {
                prop_assert_eq!(found, None, "what is kept is not fetched");
            } else if index >= from {
                prop_assert_eq!(found, Some(&(piece.start - zero, piece.duration)), "number {}", piece.number);
            }
        }
    }

    #[test]
    fn whatever_the_list_says_nothing_lies_over_what_is_kept_and_nothing_twice(
        frames in proptest::collection::vec(1_u64..200, 1..30),
        keep in proptest::collection::vec(any::<bool>(), 30),
        chosen in proptest::collection::vec((0_usize..30, 0_u64..400_000, any::<bool>(), any::<bool>()), 0..40),
    ) {
        let original = original(7, &frames);
        let keep: Vec<usize> = (0..original.len()).filter(|index| keep[*index]).collect();
        let kept: Vec<_> = keep.iter().map(|index| kept(&original[*index], 0)).collect();
        let entries = chosen.iter().map(|(index, duration, dated, named)| {
            let entry = listed(&original[index % original.len()]);
            PastEntry {
                duration: *duration,
                program_date_time: entry.program_date_time.filter(|_| *dated),
                name: if *named { entry.name } else { format!("x{duration}") },
                ..entry
            }
        });
        let plan = plan(&session(kept.clone()), &list(entries.collect(), true), &HashSet::new());
        let placed = applied(&plan);
        for (name, (start, duration)) in &placed {
            prop_assert!(!kept.iter().any(|kept| kept.name == *name), "{} is kept", name);
            for kept in &kept {
                let over = (start + *duration as i64).min(kept.end()) - (*start).max(kept.media_time);
                prop_assert!(over < FRAME as i64, "{name} lies over number {}", kept.sequence);
            }
        }
    }
}

#[test]
fn numbers_that_the_replay_lacks_move_nothing_that_it_has() {
    let original = original(100, &[141; 20]);
    // Kept: 104, 110 and 119; the replay lacks 102, 106, 107 and 115.
    let lacks = [102, 106, 107, 115];
    let kept: Vec<_> = [4, 10, 19].iter().map(|index| kept(&original[*index], original[4].start)).collect();
    let entries = original.iter().filter(|piece| !lacks.contains(&piece.number)).map(listed).collect();
    let placed = applied(&plan(&session(kept), &list(entries, true), &HashSet::new()));
    assert_eq!(placed.len(), 13);
    for piece in &original {
        if let Some((start, _)) = placed.get(&name(piece.number)) {
            assert_eq!(*start, piece.start - original[4].start, "number {}", piece.number);
        }
    }
}

#[test]
fn a_kept_segment_that_the_replay_lacks_stays_between_its_neighbours() {
    let original = original(100, &[141; 7]);
    let kept = vec![kept(&original[0], 0), kept(&original[3], 0), kept(&original[6], 0)];
    let entries = original.iter().filter(|piece| piece.number != 103).map(listed).collect();
    let placed = applied(&plan(&session(kept), &list(entries, true), &HashSet::new()));
    assert_eq!(placed.len(), 4);
    assert_eq!(placed[&name(104)].0, original[4].start);
}

#[test]
fn a_snapshot_takes_nothing_from_the_live_edge() {
    let original = original(0, &[141; 10]);
    let kept = vec![kept(&original[3], 0), kept(&original[6], 0)];
    let placed = applied(&plan(&session(kept), &list(original.iter().map(listed).collect(), false), &HashSet::new()));
    let mut names: Vec<_> = placed.into_keys().collect();
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2, 4, 5].map(name));
    let nothing = plan(&session(Vec::new()), &list(original.iter().map(listed).collect(), false), &HashSet::new());
    assert_eq!(nothing, Plan::default());
}

#[test]
fn a_hole_that_disagrees_with_the_list_is_said_and_keeps_what_is_kept_in_place() {
    let original = original(0, &[141; 4]);
    for (shift, fetched) in [(-(FRAME as i64) * 20, 2), (FRAME as i64 * 20, 2), (-(FRAME as i64) * 200, 1)] {
        let mut right = kept(&original[3], 0);
        right.media_time += shift;
        right.program_date_time = None;
        let kept = vec![kept(&original[0], 0), right.clone()];
        let plan = plan(&session(kept), &list(original.iter().map(listed).collect(), true), &HashSet::new());
        // What would lie over what is kept for the most part is not even fetched.
        assert_eq!(plan.notes.len(), fetched - 1, "{plan:?}");
        let placed = applied(&plan);
        assert_eq!(placed.len(), fetched, "{shift}");
        assert!(placed.values().all(|(start, duration)| start + *duration as i64 <= right.media_time), "{placed:?}");
    }
}

#[test]
fn a_file_that_was_altered_is_fetched_again_to_its_own_place() {
    let original = original(5, &[141; 4]);
    let kept: Vec<_> = original.iter().map(|piece| kept(piece, 0)).collect();
    let damaged = HashSet::from([kept[2].file.clone()]);
    let plan = plan(&session(kept), &list(original.iter().map(listed).collect(), false), &damaged);
    assert_eq!(applied(&plan), HashMap::from([(name(7), (original[2].start, 141 * FRAME))]));
}
