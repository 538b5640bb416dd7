use super::*;

const FORMAT: SoundFormat = SoundFormat { sample_rate: 48_000, channels: 2 };

fn sequences(script: &mut Script, now_ms: u64) -> Vec<u64> {
    match script.listing(now_ms, None) {
        Listing::Absent => Vec::new(),
        Listing::Chunks(chunks) => chunks.iter().map(|chunk| chunk.sequence).collect(),
    }
}

#[test]
fn the_window_slides_in_real_time() {
    let mut script = Script::new(SpaceState::Running, 1704, 0, FORMAT);
    for (now_ms, expected) in [
        (0, vec![]),
        (3007, vec![]),
        (3008, vec![1704]),
        (5994, vec![1704]),
        (5995, vec![1704, 1705]),
        (15_000, vec![1705, 1706, 1707, 1708]),
    ] {
        assert_eq!(sequences(&mut script, now_ms), expected, "at {now_ms} ms");
    }
}

#[test]
fn chunks_have_141_and_140_frames_without_a_hole() {
    let chunks = Script::new(SpaceState::Running, 10, 0, FORMAT).history(60_000);
    assert!(chunks.windows(2).all(|pair| pair[0].end_frame() == pair[1].first_frame));
    assert!(chunks.windows(2).all(|pair| pair[0].frames + pair[1].frames == 281));
}

#[test]
fn a_dropped_host_takes_the_playlist_away_and_comes_back_with_a_jump() {
    let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
    script.drop_host(20_000);
    assert_eq!((script.listing(25_000, None), script.state()), (Listing::Absent, SpaceState::Running));
    let last = script.history(25_000).last().expect("chunks").sequence;
    script.return_host(40_000);
    assert_eq!(script.listing(41_000, None), Listing::Absent);
    let Listing::Chunks(chunks) = script.listing(44_000, None) else { panic!("no playlist") };
    assert_eq!((chunks.len(), chunks[0].presence, chunks[0].discontinuity), (1, 1, true));
    assert!(chunks[0].sequence > last + 5, "{} after {last}", chunks[0].sequence);
    assert!(chunks[0].first_frame > FORMAT.frame_at(39_900));
}

#[test]
fn a_frozen_playlist_answers_the_same_and_then_skips_ahead() {
    let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
    script.freeze(16_000);
    assert_eq!(sequences(&mut script, 60_000), sequences(&mut script, 16_000));
    script.thaw();
    assert_eq!(sequences(&mut script, 60_000)[0], 16);
    assert!(script.history(60_000).iter().any(|chunk| chunk.sequence == 8), "what left the window stays fetchable");
}

#[test]
fn jitter_delays_listings_and_never_reorders_them() {
    let chunks = Script::new(SpaceState::Running, 0, 5000, FORMAT).history(200_000);
    assert!(chunks.windows(2).all(|pair| pair[0].listed_ms <= pair[1].listed_ms));
    let late = |chunk: &Chunk| chunk.listed_ms - FORMAT.ms_of(chunk.end_frame());
    assert!(chunks.iter().any(|chunk| late(chunk) > 1000));
}

#[test]
fn a_space_that_is_over_lists_nothing_but_remembers() {
    let mut script = Script::new(SpaceState::NotStarted, 0, 0, FORMAT);
    assert_eq!(script.listing(9000, None), Listing::Absent);
    script.start(10_000);
    script.close(SpaceState::Ended, 20_000);
    assert_eq!(script.listing(30_000, None), Listing::Absent);
    assert_eq!(script.history(30_000).len(), 3);
    script.start(40_000);
    assert_eq!(script.state(), SpaceState::Ended);
}

#[test]
fn numbers_jump_and_step_back_while_the_sound_goes_on() {
    for (step, next) in [(100_i64, 105), (-3, 2)] {
        let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
        assert_eq!(sequences(&mut script, 16_000), [1, 2, 3, 4]);
        script.renumber(16_000, |sequence| sequence.saturating_add_signed(step));
        assert_eq!(sequences(&mut script, 16_001), [1, 2, 3, 4], "the step is seen with the next chunk");
        assert_eq!(sequences(&mut script, 18_500), [next], "step {step}");
        assert_eq!(sequences(&mut script, 22_000), [next, next + 1]);
        let chunks = script.history(60_000);
        assert!(chunks.windows(2).all(|pair| pair[0].end_frame() == pair[1].first_frame));
        assert!(chunks.iter().enumerate().all(|(n, chunk)| chunk.index == n && !chunk.discontinuity));
    }
}

#[test]
fn an_old_copy_of_the_list_is_the_list_of_that_time() {
    let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
    let old = script.listing(16_000, None);
    script.renumber(30_000, |sequence| sequence + 50);
    assert_ne!(script.listing(60_000, None), old);
    assert_eq!(Listing::Chunks(script.window(16_000)), old);
    assert_eq!(script.listing(60_000, Some(16_000)), old);
}

#[test]
fn a_mark_lies_before_one_chunk_and_is_counted_for_ever() {
    let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
    script.mark(10_000);
    script.mark(40_000);
    let marks: Vec<_> = script.history(70_000).iter().map(|c| (c.discontinuity, c.discontinuities)).collect();
    assert_eq!((marks[2], marks[3], marks[4]), ((false, 0), (true, 1), (false, 1)));
    assert_eq!((marks[13], marks[14]), ((true, 2), (false, 2)));
    assert_eq!(sequences(&mut script, 13_000), [0, 1, 2, 3], "the window goes on over a mark");
}

#[test]
fn the_form_changes_at_a_joint_and_no_sample_is_lost_or_repeated() {
    for offset in 0..30 {
        let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
        let other = SoundFormat { sample_rate: 44_100, channels: 1 };
        script.change_format(20_000 + offset * 250, other, true);
        assert_eq!(script.format(), other);
        script.change_format(60_000, FORMAT, false);
        let chunks = script.history(100_000);
        for pair in chunks.windows(2) {
            assert_eq!(pair[0].ruler_start() + pair[0].ruler_samples(), pair[1].ruler_start(), "{pair:?}");
            assert_eq!(pair[1].discontinuity, pair[0].format == FORMAT && pair[1].format == other);
        }
        assert!(chunks.iter().all(|chunk| (20..=161).contains(&chunk.frames)), "{chunks:?}");
        let changed = chunks.iter().position(|chunk| chunk.format == other).expect("another form");
        assert!(chunks[changed].start_ms() < 27_300 + offset * 250, "{} ms", chunks[changed].start_ms());
        assert_eq!(chunks.last().expect("chunks").format, FORMAT);
    }
}

#[test]
fn silence_falls_on_whole_chunks() {
    let mut script = Script::new(SpaceState::Running, 0, 0, FORMAT);
    script.silence(10_000, true);
    script.silence(20_000, false);
    let silent: Vec<u64> = script.history(60_000).iter().filter(|c| c.silent).map(|c| c.sequence).collect();
    assert_eq!(silent, [3, 4, 5]);
}
