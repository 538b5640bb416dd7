//! Tests of the mixer.

use super::super::envelope::FADE;
use super::*;

const BLOCK: usize = 960;

fn sine(from: u64, count: usize, hertz: f64, level: f64) -> Vec<StereoSample> {
    let value = |at: u64| (level * (at as f64 * hertz * std::f64::consts::TAU / 48_000.0).sin()) as f32;
    (from..from + count as u64).map(|at| [value(at), value(at)]).collect()
}

/// Largest second difference: a click shows here, however small its step.
fn sharpest(heard: &[StereoSample]) -> f32 {
    heard.windows(3).map(|s| (s[0][0] - 2.0 * s[1][0] + s[2][0]).abs()).fold(0.0, f32::max)
}

/// Runs `blocks` steps of 20 ms; `feed` gives what comes in each.
fn run(mixer: &mut Mixer, blocks: u64, feed: impl FnMut(&mut Mixer, u64)) -> Vec<StereoSample> {
    run_from(mixer, 0, blocks, feed)
}

fn run_from(mixer: &mut Mixer, start: u64, blocks: u64, mut feed: impl FnMut(&mut Mixer, u64)) -> Vec<StereoSample> {
    let mut heard = Vec::new();
    for block in 0..blocks {
        let at = start + block * BLOCK as u64;
        feed(mixer, at);
        heard.extend(mixer.pull(at + BLOCK as u64));
    }
    heard
}

#[test]
fn one_track_passes_sample_by_sample_whatever_its_timestamps_wobble() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let wobble = [0_i64, 300, -250, 200, -40, 310, -300, 10];
    let heard = run(&mut mixer, 101, |mixer, at| {
        let stamp = at.saturating_add_signed(wobble[(at / 960) as usize % wobble.len()]);
        mixer.push(1, stamp, at, &sine(at, BLOCK, 440.0, 0.5));
    });
    let wanted = sine(0, heard.len(), 440.0, 0.5);
    assert!(heard.len() > 90_000 && heard[FADE..].iter().zip(&wanted[FADE..]).all(|(a, b)| a == b));
}

#[test]
fn where_nobody_is_in_haste_a_track_is_set_right_before_any_of_it_is_heard() {
    let mut mixer = Mixer::new(0, EASY_DELAY, false);
    // What comes first was held up by 40 ms, and with it the whole track lies so much too late.
    let late = 1920;
    let stamped = |at: u64| at + late;
    let heard = run(&mut mixer, 200, |mixer, at| {
        let came = if at == 0 { late } else { at };
        mixer.push(1, stamped(at), came, &sine(at, BLOCK, 440.0, 0.5));
    });
    let wanted = sine(0, heard.len(), 440.0, 0.5);
    assert!(heard.len() > 100_000 && heard[FADE..].iter().zip(&wanted[FADE..]).all(|(a, b)| a == b));
}

#[test]
fn what_comes_first_after_a_standstill_is_heard_though_the_mix_is_behind() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let tone = |at: u64| sine(at, BLOCK, 440.0, 0.5);
    run(&mut mixer, 50, |mixer, at| mixer.push(1, at, at, &tone(at)));
    // Three seconds later it goes on, and nobody asked for the mix in between.
    let again = 200 * BLOCK as u64;
    let mut heard = Vec::new();
    for at in (again..again + 48_000).step_by(BLOCK) {
        mixer.push(1, at, at, &tone(at));
        heard.extend(mixer.pull(at));
    }
    let first = mixer.position() - heard.len() as u64;
    let wanted = sine(first, heard.len(), 440.0, 0.5);
    let from = (again - first) as usize + FADE;
    let to = heard.len() - FADE;
    assert!(from < to && heard[from..to].iter().zip(&wanted[from..to]).all(|(a, b)| a == b));
    // What was due before the first sound is not made up.
    let mut mixer = Mixer::new(0, DELAY, false);
    mixer.skip_to(again);
    assert_eq!(mixer.pull(again + DELAY).len(), 0);
    assert_eq!(mixer.position(), again);
    // Nor is that late which lies before it.
    mixer.push(1, again - 100, again, &tone(again - 100));
    assert_eq!(mixer.place(1, again), again);
}

#[test]
fn joins_leaves_pauses_and_jumps_never_click() {
    for hertz in [200.0, 440.0, 1000.0] {
        let mut mixer = Mixer::new(0, DELAY, false);
        // Every track begins and ends at a crest, where a cut would be heard most.
        let crest = |from: u64| sine(from + (12_000.0 / hertz) as u64, BLOCK, hertz, 0.15);
        let heard = run(&mut mixer, 300, |mixer, at| {
            let block = at / 960;
            mixer.push(1, at, at, &crest(at));
            if (20..60).contains(&block) || block > 75 {
                mixer.push(2, at + 7, at, &crest(at));
            }
            if block == 150 {
                mixer.leave(1);
            }
            if (100..220).contains(&block) && block % 7 != 0 {
                mixer.push(3, at, at, &crest(at));
            }
            // One whose first packet was late, so that it is moved, and one whose time jumps.
            if block > 130 {
                mixer.push(4, at + 3840, at, &crest(at));
                mixer.push(5, at + if block > 200 { 4800 } else { 0 }, at, &crest(at));
            }
        });
        let own = (hertz * std::f64::consts::TAU / 48_000.0).powi(2) * 0.15;
        // Five at once, and two of them fade over each other where one jumps.
        let factor = f64::from(sharpest(&heard)) / own;
        assert!(factor < 5.5, "{hertz} Hz: {factor} times the sharpest of one sine");
    }
}

#[test]
fn one_that_comes_and_goes_is_hardly_sharper_than_it_is_by_itself() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let heard = run(&mut mixer, 200, |mixer, at| {
        if at / 960 % 10 < 6 {
            mixer.push(1, at, at, &sine(at + 27, BLOCK, 440.0, 0.5));
        }
    });
    let own = (440.0 * std::f64::consts::TAU / 48_000.0).powi(2) * 0.5;
    assert!(f64::from(sharpest(&heard)) < 1.1 * own, "{} {own}", sharpest(&heard));
    assert!(heard.iter().any(|sample| sample[0] > 0.49));
}

#[test]
fn tracks_lie_beside_each_other_by_their_time() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let click = |at: u64| {
        let mut block = vec![[0.0; 2]; BLOCK];
        if at == 9600 {
            block[480] = [0.25; 2];
        }
        block
    };
    let mut second: Vec<(u64, Vec<StereoSample>)> = Vec::new();
    let heard = run(&mut mixer, 50, |mixer, at| {
        mixer.push(1, at, at, &click(at));
        // The second track comes one block later than the first with the same moment.
        if let Some((stamp, block)) = second.pop() {
            mixer.push(2, stamp, at, &block);
        }
        second.push((at, click(at)));
    });
    let loud: Vec<usize> = heard.iter().enumerate().filter(|(_, s)| s[0] > 0.1).map(|(at, _)| at).collect();
    assert_eq!((loud.as_slice(), heard[10_080][0]), (&[10_080_usize][..], 0.5));
}

#[test]
fn a_clock_that_runs_wrong_is_followed_without_a_click_or_a_hole() {
    for ppm in [-100.0, 100.0] {
        let mut mixer = Mixer::new(0, DELAY, false);
        let (mut before, mut worst, mut quiet): (Vec<StereoSample>, f32, _) = (Vec::new(), 0.0, 0);
        let mut sent = 0_u64;
        let sound = sine(0, 48_000, 200.0, 0.4);
        for block in 0..50 * 300_u64 {
            let now = block * 960;
            // As many packets as the sender has made by now, each held up by as much as jitter may.
            while (sent * 960) as f64 <= now as f64 * (1.0 + ppm / 1e6) {
                let jitter = (((sent * 2_654_435_761) & 0xffff_ffff) * 1440) >> 32;
                let made = ((sent * 960) as f64 / (1.0 + ppm / 1e6)) as u64;
                let place = (sent * 960 % 48_000) as usize;
                mixer.push(1, sent * 960, made + jitter, &sound[place..place + BLOCK]);
                sent += 1;
            }
            let heard = mixer.pull(now);
            if block > 100 {
                worst = worst.max(sharpest(&[before.as_slice(), &heard].concat()));
                quiet += usize::from(heard.iter().all(|sample| sample[0].abs() < 0.1));
            }
            before = heard.get(heard.len().saturating_sub(2)..).unwrap_or_default().to_vec();
        }
        let own = (200.0 * std::f64::consts::TAU / 48_000.0).powi(2) * 0.4;
        assert!(f64::from(worst) < 1.5 * own && quiet == 0, "{ppm}: {worst} {own} {quiet}");
        let shift = mixer.tracks[&1].shift as f64 + ppm * 300.0 * 0.048;
        assert!(shift.abs() < 300.0, "{ppm}: {shift}");
    }
}

#[test]
fn a_track_that_always_comes_late_is_heard_all_the_same() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let heard = run(&mut mixer, 200, |mixer, at| {
        mixer.push(1, at.saturating_sub(9600), at, &sine(at, BLOCK, 440.0, 0.5));
    });
    let loud = heard[72_000..].iter().filter(|s| s[0].abs() > 0.01).count();
    assert!(loud > 100_000, "{loud} of {}", heard.len() - 72_000);
}

#[test]
fn a_pause_of_any_length_is_no_fault_and_what_follows_lies_right() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let heard = run(&mut mixer, 1000, |mixer, at| {
        if !(96_000..480_000).contains(&at) {
            mixer.push(1, at, at, &sine(at, BLOCK, 440.0, 0.5));
        }
    });
    let wanted = sine(0, heard.len(), 440.0, 0.5);
    assert!(heard[480_480..].iter().zip(&wanted[480_480..]).all(|(a, b)| a == b));
    assert!(heard[96_000..480_000].iter().all(|sample| sample[0] == 0.0));
}

#[test]
fn frozen_flooding_and_lying_tracks_disturb_nobody_and_hold_little() {
    let mut mixer = Mixer::new(0, DELAY, false);
    let (loud, long) = (vec![[0.1; 2]; BLOCK], vec![[0.0; 2]; 200_000]);
    let heard = run(&mut mixer, 200, |mixer, at| {
        mixer.push(1, at, at, &sine(at, BLOCK, 440.0, 0.25));
        if at == 0 {
            mixer.push(2, at, at, &loud);
        }
        for other in 100..300 {
            mixer.push(other, u64::MAX - 5, at, &loud[..10]);
        }
        for _ in 0..5 {
            mixer.push(3, at, at, &long[..BLOCK]);
            mixer.push(4, u64::from(at > 0) * 48_000_000, at, &loud);
            mixer.push(5, at, at, &long);
        }
    });
    // The frozen one was there for one packet.
    let wanted = sine(0, heard.len(), 440.0, 0.25);
    assert!(heard[BLOCK..].iter().zip(&wanted[BLOCK..]).all(|(a, b)| (a[0] - b[0]).abs() < 1e-6));
    let held = |track: &Track| track.runs.iter().map(|run| run.samples.len()).sum::<usize>();
    assert!(mixer.tracks.len() <= TRACKS_MAX && mixer.tracks.values().all(|track| held(track) <= HELD_MAX));
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
        let mut mixer = Mixer::new(0, DELAY, true);
        let heard = run(&mut mixer, 600, |mixer, at| mixer.push(1, at, at, &sine(at, BLOCK, 440.0, level)));
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
        let mut mixer = Mixer::new(0, DELAY, false);
        let mut now = 0;
        for (track, at, count) in pushes {
            mixer.push(track, at, now, &vec![[0.1; 2]; count]);
            now += 960;
            let before = mixer.position();
            let heard = mixer.pull(now);
            proptest::prop_assert_eq!(before + heard.len() as u64, now.saturating_sub(DELAY));
            proptest::prop_assert!(heard.iter().flatten().all(|value| value.abs() <= 1.0));
            proptest::prop_assert!(mixer.tracks.len() <= TRACKS_MAX);
            let held = |track: &Track| track.runs.iter().map(|run| run.samples.len()).sum::<usize>();
            proptest::prop_assert!(mixer.tracks.values().all(|track| held(track) <= HELD_MAX));
        }
    }
}

#[test]
fn who_counts_no_time_while_muted_is_heard_again_afterwards() {
    for leap in [-(5 * 48_000_i64), 5 * 48_000] {
        let mut mixer = Mixer::new(48_000 * 10, DELAY, false);
        let start = 48_000 * 10;
        let heard = run_from(&mut mixer, start, 450, |mixer, at| {
            let since = at - start;
            // Muted from the first second to the sixth.
            let stamp = if since < 48_000 { at } else { at.saturating_add_signed(leap) };
            if !(48_000..6 * 48_000).contains(&since) {
                mixer.push(1, stamp, at, &sine(at, BLOCK, 440.0, 0.5));
            }
        });
        let loud = |from: usize| heard[from..from + 4800].iter().any(|sample| sample[0].abs() > 0.4);
        assert!(loud(24_000) && !loud(3 * 48_000) && loud(7 * 48_000) && loud(8 * 48_000), "{leap}");
        assert!(sharpest(&heard) < 0.003, "{leap}: {}", sharpest(&heard));
    }
}

#[test]
fn a_burst_of_old_packets_places_nothing_anew() {
    let mut mixer = Mixer::new(0, DELAY, false);
    run(&mut mixer, 400, |mixer, at| match at / 960 {
        150..250 => {}
        250 => {
            for old in 150..=250 {
                mixer.push(1, old * 960, at, &sine(old * 960, BLOCK, 440.0, 0.5));
            }
        }
        _ => mixer.push(1, at, at, &sine(at, BLOCK, 440.0, 0.5)),
    });
    // What was a little late is given a little; the place itself is kept.
    let shift = mixer.tracks[&1].shift;
    assert!((0..=4800).contains(&shift), "{shift}");
}
