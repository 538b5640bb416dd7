//! Tests of the mixer.

use super::*;

const BLOCK: usize = 960;

fn sine(from: u64, count: usize, hertz: f64, level: f64) -> Vec<StereoSample> {
    let value = |at: u64| (level * (at as f64 * hertz * std::f64::consts::TAU / 48_000.0).sin()) as f32;
    (from..from + count as u64).map(|at| [value(at), value(at)]).collect()
}

fn largest_step(heard: &[StereoSample]) -> f32 {
    heard.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max)
}

/// Runs `blocks` steps of 20 ms; `feed` gives what comes in each.
fn run(mixer: &mut Mixer, blocks: u64, mut feed: impl FnMut(&mut Mixer, u64)) -> Vec<StereoSample> {
    let mut heard = Vec::new();
    for block in 0..blocks {
        let at = block * BLOCK as u64;
        feed(mixer, at);
        heard.extend(mixer.pull(at + BLOCK as u64));
    }
    heard
}

#[test]
fn one_track_passes_sample_by_sample_whatever_its_timestamps_wobble() {
    let mut mixer = Mixer::new(0, false);
    let wobble = [0_i64, 300, -250, 900, -40, 700, -900, 10];
    let heard = run(&mut mixer, 100, |mixer, at| {
        let stamp = at.saturating_add_signed(wobble[(at / 960) as usize % wobble.len()]);
        mixer.push(1, stamp, &sine(at, BLOCK, 440.0, 0.5));
    });
    let wanted = sine(0, heard.len(), 440.0, 0.5);
    assert!(heard[FADE + 1..].iter().zip(&wanted[FADE + 1..]).all(|(a, b)| a == b));
}

#[test]
fn joins_leaves_pauses_and_jumps_make_no_step() {
    let mut mixer = Mixer::new(0, false);
    // Every track begins and ends at a crest, where a cut would be heard most.
    let crest = |from: u64, count| sine(from + 120, count, 100.0, 0.4);
    let heard = run(&mut mixer, 200, |mixer, at| {
        let block = at / 960;
        mixer.push(1, at, &crest(at, BLOCK));
        if (20..60).contains(&block) || block > 75 {
            mixer.push(2, at + 7, &crest(at, BLOCK));
        }
        if block == 150 {
            mixer.leave(1);
        }
        if (100..120).contains(&block) && block % 3 != 0 {
            mixer.push(3, at, &crest(at, BLOCK));
        }
        if block > 130 {
            mixer.push(4, at + if block > 160 { 4800 } else { 0 }, &crest(at, BLOCK));
        }
    });
    // 0.4 at 100 Hz moves by 0.0053 a sample, a fade of it by 0.0017 more; five at once.
    let step = largest_step(&heard);
    assert!(step < 0.035, "{step}");
}

#[test]
fn tracks_lie_beside_each_other_by_their_time() {
    let mut mixer = Mixer::new(0, false);
    let click = |at: u64| {
        let mut block = vec![[0.0; 2]; BLOCK];
        if at == 9600 {
            block[480] = [0.25; 2];
        }
        block
    };
    let mut second: Vec<(u64, Vec<StereoSample>)> = Vec::new();
    let heard = run(&mut mixer, 50, |mixer, at| {
        mixer.push(1, at, &click(at));
        // The second track comes one block later than the first with the same moment.
        if let Some((at, block)) = second.pop() {
            mixer.push(2, at, &block);
        }
        second.push((at, click(at)));
    });
    let loud: Vec<usize> = heard.iter().enumerate().filter(|(_, s)| s[0] > 0.1).map(|(at, _)| at).collect();
    assert_eq!((loud.as_slice(), heard[10_080][0]), (&[10_080_usize][..], 0.5));
}

#[test]
fn a_clock_that_runs_wrong_is_followed_without_a_step() {
    // Two minutes with clocks further apart than any two sound cards.
    for ppm in [-200.0, 200.0] {
        let mut mixer = Mixer::new(0, false);
        let heard = run(&mut mixer, 6000, |mixer, at| {
            let stamp = (at as f64 * (1.0 + ppm / 1e6)) as u64;
            mixer.push(1, stamp, &sine(at, BLOCK, 200.0, 0.4));
        });
        assert!(largest_step(&heard) < 0.0125, "{ppm}: {}", largest_step(&heard));
        let track = &mixer.tracks[&1];
        let told = 6000.0 * 960.0 * (1.0 + ppm / 1e6);
        assert!(heard[4800..].windows(480).step_by(480).all(|w| w.iter().any(|s| s[0].abs() > 0.2)), "a hole");
        assert!((track.next() as f64 - told).abs() < 600.0, "{ppm}: {} {told}", track.next());
    }
}

#[test]
fn a_track_that_always_comes_late_is_heard_all_the_same() {
    let mut mixer = Mixer::new(0, false);
    let heard = run(&mut mixer, 200, |mixer, at| {
        mixer.push(1, at.saturating_sub(9600), &sine(at, BLOCK, 440.0, 0.5));
    });
    let loud = heard[48_000..].iter().filter(|s| s[0].abs() > 0.01).count();
    assert!(loud > 120_000, "{loud}");
}

#[test]
fn frozen_flooding_and_lying_tracks_disturb_nobody_and_hold_little() {
    let mut mixer = Mixer::new(0, false);
    let loud = vec![[0.3; 2]; 200_000];
    let heard = run(&mut mixer, 100, |mixer, at| {
        mixer.push(1, at, &sine(at, BLOCK, 440.0, 0.25));
        if at == 0 {
            mixer.push(2, at, &[[0.0; 2]; BLOCK]);
        }
        for other in 100..300 {
            mixer.push(other, u64::MAX - 5, &loud[..10]);
        }
        for _ in 0..5 {
            mixer.push(3, at, &vec![[0.0; 2]; BLOCK]);
            mixer.push(4, u64::from(at > 0) * 48_000_000, &loud);
        }
    });
    let wanted = sine(0, heard.len(), 440.0, 0.25);
    assert!(heard[FADE..].iter().zip(&wanted[FADE..]).all(|(a, b)| (a[0] - b[0]).abs() < 0.31));
    let held: Vec<usize> = mixer.tracks.values().map(|track| track.held.len()).collect();
    assert!(held.len() <= TRACKS_MAX && held.iter().all(|held| *held <= HELD_MAX), "{held:?}");
}

#[test]
fn what_is_too_loud_bends_and_what_is_no_number_is_silent() {
    let table = [(0.5, 0.5), (0.9, 0.9), (-0.5, -0.5), (f32::NAN, 0.0), (f32::INFINITY, 0.0)];
    for (value, wanted) in table {
        assert_eq!(bent(value).to_bits(), f32::to_bits(wanted), "{value}");
    }
    let mut before = 0.0;
    for step in 0..500 {
        let value = bent(step as f32 / 100.0);
        assert!(value >= before && value <= 1.0);
        before = value;
    }
}

#[test]
fn a_quiet_speaker_is_brought_to_the_loud_ones_and_no_further_than_it_may() {
    for (level, wanted_db) in [(0.02, 12.0), (0.0707, 6.0), (0.9, -12.0)] {
        let mut mixer = Mixer::new(0, true);
        let heard = run(&mut mixer, 600, |mixer, at| mixer.push(1, at, &sine(at, BLOCK, 440.0, level)));
        let power: f64 = heard[500_000..548_000].iter().map(|s| f64::from(s[0]).powi(2)).sum::<f64>() / 48_000.0;
        let gained = 10.0 * (power / (level * level / 2.0)).log10();
        assert!((gained - wanted_db).abs() < 0.7, "{level}: {gained}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_comes_the_mix_has_no_hole_and_no_bound_is_broken(
        pushes in proptest::collection::vec((0_u32..80, 0_u64..200_000, 0_usize..5000), 1..60),
    ) {
        let mut mixer = Mixer::new(0, false);
        let mut now = 0;
        for (track, at, count) in pushes {
            mixer.push(track, at, &vec![[0.1; 2]; count]);
            now += 960;
            let before = mixer.position();
            let heard = mixer.pull(now);
            proptest::prop_assert_eq!(before + heard.len() as u64, now.saturating_sub(HOLD));
            proptest::prop_assert!(heard.iter().flatten().all(|value| value.abs() <= 1.0));
            proptest::prop_assert!(mixer.tracks.len() <= TRACKS_MAX);
            proptest::prop_assert!(mixer.tracks.values().all(|track| track.held.len() <= HELD_MAX));
        }
    }
}
