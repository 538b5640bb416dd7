#![expect(clippy::print_stdout, reason = "the figures are what these tests are read for")]

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::ruler;

fn tone(hz: f64, from: usize, count: usize) -> Vec<StereoSample> {
    let value = |n: usize| (0.5 * (TAU * hz * n as f64 / 48_000.0).sin()) as f32;
    (from..from + count).map(|n| [value(n), -value(n)]).collect()
}

/// Everything that comes out of blocks of these sizes.
fn stretch(input: &[StereoSample], sizes: &[usize], correction: impl Fn(usize) -> f64) -> (Vec<StereoSample>, u64) {
    let (mut stretcher, mut out, mut at) = (Stretcher::default(), Vec::new(), 0);
    for size in sizes.iter().cycle() {
        if at >= input.len() {
            break;
        }
        let block = &input[at..(at + size).min(input.len())];
        out.extend_from_slice(stretcher.process(block, correction(at)).0);
        at += block.len();
    }
    (out, stretcher.held())
}

#[test]
fn nothing_to_correct_leaves_every_bit_alone() {
    let input = tone(440.0, 0, 100_000);
    let (out, held) = stretch(&input, &[1024, 7, 48_000], |_| 0.0);
    assert_eq!((out == input, held), (true, 0));
}

#[test]
fn the_joint_where_the_resampler_takes_over_is_exact() {
    let input = tone(440.0, 0, 96_000);
    // So little that half a second later the samples are still at their places.
    let (out, held) = stretch(&input, &[1024], |at| if at < 40_000 { 0.0 } else { 1e-12 });
    assert_eq!(out.len() as u64 + held, 96_000);
    for (n, (got, sent)) in out.iter().zip(&input).enumerate() {
        assert!((got[0] - sent[0]).abs() < 1e-6, "sample {n}: {} instead of {}", got[0], sent[0]);
    }
}

/// How far each sample of a sine lies from what its two neighbours foretell, at worst, as a share of the amplitude. A
/// pace that is 1000 ppm off makes 0.0007 % of it at 440 Hz and 0.2 % at 8 kHz; a click or a lost sample makes percents.
fn residual(out: &[StereoSample], hz: f64) -> f64 {
    let twice = 2.0 * (TAU * hz / 48_000.0).cos();
    let off = |w: &[StereoSample]| (f64::from(w[2][0]) + f64::from(w[0][0]) - twice * f64::from(w[1][0])).abs();
    out.windows(3).map(off).fold(0.0, f64::max) / 0.5
}

#[test]
fn a_clock_that_runs_off_is_followed_without_a_click() {
    for (ppm, hz) in [(100e-6, 440.0), (-100e-6, 440.0), (1e-3, 440.0), (-1e-3, 440.0), (100e-6, 8_000.0)] {
        let input = tone(hz, 0, 20 * 48_000);
        // Untouched at first; then the pace changes as fast as it may and stays.
        let sizes = [1024, 1024, 2048, 960, 1];
        let (out, held) = stretch(&input, &sizes, |at| if at < 2 * 48_000 { 0.0 } else { ppm });
        let step = |samples: &[StereoSample]| {
            samples.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0_f32, f32::max)
        };
        let (residual, steps) = (residual(&out, hz), (step(&input), step(&out)));
        let length = out.len() as i64 + held as i64 - input.len() as i64;
        println!(
            "{:+.0} ppm, {hz} Hz: residual {:.5} %, step {:.5} (input {:.5}), {length:+} samples in 20 s",
            ppm * 1e6,
            residual * 100.0,
            steps.1,
            steps.0
        );
        assert!(residual < if hz < 1_000.0 { 2e-5 } else { 2e-3 }, "{residual}");
        // Six samples of a period always fall on the same places of it, until the pace changes.
        assert!(hz > 1_000.0 || steps.1 <= steps.0 * 1.002, "{steps:?}");
        let slewing = (ppm.abs() / SLEW_PER_SECOND).min(18.0);
        let expected = ppm.signum() * SLEW_PER_SECOND * slewing * 48_000.0 * (18.0 - slewing / 2.0);
        assert!((length as f64 - expected).abs() < 3.0, "{length} instead of {expected}");
    }
}

#[test]
fn the_ruler_is_understood_second_by_second_at_full_correction() {
    let input: Vec<StereoSample> = (0..10).flat_map(ruler::second).map(|value| [value, value]).collect();
    for correction in [MAX_CORRECTION, -MAX_CORRECTION] {
        let (out, _) = stretch(&input, &[1024], |_| correction);
        let indices: Vec<u32> = ruler::decode(&ruler::mono(&out)).iter().map(|mark| mark.index).collect();
        assert_eq!(indices, (0..10).collect::<Vec<u32>>(), "at {correction}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_goes_in_comes_out_whatever_the_blocks_and_corrections(
        sizes in proptest::collection::vec(1_usize..3_000, 1..30),
        corrections in proptest::collection::vec(-1.5e-3..1.5e-3_f64, 1..30),
    ) {
        let input = tone(440.0, 0, 20_000);
        let (out, held) = stretch(&input, &sizes, |at| corrections[at / 2_000 % corrections.len()]);
        let difference = out.len() as i64 + held as i64 - 20_000;
        prop_assert!(difference.abs() <= 22, "{}", difference);
        let step = out.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0_f32, f32::max);
        prop_assert!(step < 0.0289, "a step of {}", step);
    }
}
