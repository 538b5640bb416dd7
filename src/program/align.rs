//! How far two recordings of one sound lie apart, by the sound itself.
//!
//! Pure. Two paths out of one space carry the same talk, seconds apart and through different codecs; their clocks and
//! time stamps do not tell to the millisecond where they belong together. The sound does: the place where the two are
//! most alike, first at a twelfth of the rate over all that is there, then sample by sample around it.

use realfft::RealFftPlanner;

use crate::media::SAMPLE_RATE;

/// The first search runs at 4 kHz: most of a voice lies below 2 kHz.
const DECIMATION: usize = 12;

/// Samples of the first search's rate in a second.
const COARSE_RATE: usize = SAMPLE_RATE as usize / DECIMATION;

/// Least that both must have at the same place: 5 s.
const OVERLAP: usize = COARSE_RATE * 5;

/// Places with less in common than that are looked at as well, down to this: 2.5 s. None of them is believed, but where
/// one of them is the best, the true place is most likely there, and the best of the others is only like it.
const GLIMPSE: usize = OVERLAP / 2;

/// Longest recording that is looked at: 60 s.
const LONGEST: usize = SAMPLE_RATE as usize * 60;

/// Least likeness, from 0 to 1, and by how much it must stand out from any other place. A tone is alike at every
/// period: nothing stands out.
const LIKENESS: f32 = 0.5;
const STANDS_OUT: f32 = 0.1;

/// What lies within 10 ms of a place is that place.
const SAME_PLACE: usize = COARSE_RATE / 100;

/// Root mean square below which there is nothing to compare: -60 dBFS.
const SILENCE: f64 = 0.001;

/// What is compared sample by sample: 1 s, the loudest.
const FINE: usize = SAMPLE_RATE as usize;

/// Where two recordings of one sound are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Sample `n` of the second sounds as sample `n + samples` of the first.
    pub samples: i64,
    /// How alike they are there, from 0 to 1.
    pub likeness: f32,
}

/// Where `probe` lies in `reference`; both mono at 48 kHz. None where too little is common to both, where one of them is
/// silent, or where no place stands out.
pub fn shift(reference: &[f32], probe: &[f32]) -> Option<Shift> {
    let (reference, probe) = (last(reference), last(probe));
    let (coarse_reference, coarse_probe) = (decimated(reference.1), decimated(probe.1));
    let coarse = coarse_shift(&coarse_reference, &coarse_probe)?;
    let fine = fine_shift(reference.1, probe.1, coarse.samples * DECIMATION as i64)?;
    // What was cut from the starts counts as well.
    Some(Shift { samples: fine + reference.0 as i64 - probe.0 as i64, likeness: coarse.likeness })
}

fn last(samples: &[f32]) -> (usize, &[f32]) {
    let skipped = samples.len().saturating_sub(LONGEST);
    (skipped, &samples[skipped..])
}

fn decimated(samples: &[f32]) -> Vec<f32> {
    let mean = |chunk: &[f32]| chunk.iter().sum::<f32>() / DECIMATION as f32;
    samples.chunks_exact(DECIMATION).map(mean).collect()
}

fn coarse_shift(reference: &[f32], probe: &[f32]) -> Option<Shift> {
    if reference.len() < OVERLAP || probe.len() < OVERLAP {
        return None;
    }
    let products = correlation(reference, probe);
    let (energy_r, energy_p) = (energies(reference), energies(probe));
    let first = GLIMPSE as i64 - probe.len() as i64;
    let end = (reference.len() - GLIMPSE) as i64;
    let common = |shift: i64| probe.len().min((reference.len() as i64 - shift) as usize) - (-shift).max(0) as usize;
    let likeness = |shift: i64| {
        // The part of the probe that lies on the reference.
        let from = (-shift).max(0) as usize;
        let to = probe.len().min((reference.len() as i64 - shift) as usize);
        let on_r = |index: usize| (index as i64 + shift) as usize;
        let energy = (energy_p[to] - energy_p[from]).min(energy_r[on_r(to)] - energy_r[on_r(from)]);
        if energy < SILENCE * SILENCE * (to - from) as f64 {
            return 0.0;
        }
        let both = (energy_p[to] - energy_p[from]) * (energy_r[on_r(to)] - energy_r[on_r(from)]);
        let index = shift.rem_euclid(products.len() as i64) as usize;
        (f64::from(products[index]) / both.sqrt()) as f32
    };
    let all: Vec<f32> = (first..=end).map(likeness).collect();
    let (best, likeness) = highest(&all, |_| true)?;
    let (_, next) = highest(&all, |index| index.abs_diff(best) > SAME_PLACE).unwrap_or((0, 0.0));
    let shift = first + best as i64;
    let clear = likeness >= LIKENESS && likeness - next.max(0.0) >= STANDS_OUT && common(shift) >= OVERLAP;
    clear.then_some(Shift { samples: shift, likeness })
}

fn highest(values: &[f32], wanted: impl Fn(usize) -> bool) -> Option<(usize, f32)> {
    let all = values.iter().copied().enumerate().filter(|(index, _)| wanted(*index));
    all.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// `products[k]` is the sum of `probe[n] * reference[n + k]`, with negative `k` counted from the end.
fn correlation(reference: &[f32], probe: &[f32]) -> Vec<f32> {
    let size = (reference.len() + probe.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |samples: &[f32]| {
        let mut padded = vec![0.0; size];
        padded[..samples.len()].copy_from_slice(samples);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).expect("the buffers were made for this length");
        spectrum
    };
    let (mut product, probe) = (spectrum(reference), spectrum(probe));
    product.iter_mut().zip(&probe).for_each(|(value, probe)| *value *= probe.conj());
    // Their imaginary parts are rounding errors, and must be zero.
    let last = product.len() - 1;
    (product[0].im, product[last].im) = (0.0, 0.0);
    let mut out = inverse.make_output_vec();
    inverse.process(&mut product, &mut out).expect("the buffers were made for this length");
    out.iter_mut().for_each(|value| *value /= size as f32);
    out
}

fn energies(samples: &[f32]) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |value: &f32| {
        sum += f64::from(*value) * f64::from(*value);
        sum
    };
    std::iter::once(0.0).chain(samples.iter().map(add)).collect()
}

/// The best shift within two coarse samples of `around`, over the loudest second that both have.
fn fine_shift(reference: &[f32], probe: &[f32], around: i64) -> Option<i64> {
    let reach = 2 * DECIMATION as i64;
    let from = (reach - around).max(0) as usize;
    let to = probe.len().min(usize::try_from(reference.len() as i64 - around - reach).ok()?);
    let common = probe.get(from..to)?;
    let loudness = |chunk: &[f32]| chunk.iter().map(|value| f64::from(*value * *value)).sum::<f64>();
    let chunks = common.chunks_exact(FINE).enumerate();
    let (loudest, chunk) = chunks.max_by(|a, b| loudness(a.1).total_cmp(&loudness(b.1)))?;
    let start = (from + loudest * FINE) as i64;
    let product = |shift: i64| {
        let start = (start + shift) as usize;
        let other = &reference[start..start + chunk.len()];
        chunk.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    };
    (around - reach..=around + reach).max_by(|a, b| product(*a).total_cmp(&product(*b)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ruler;

    /// Something like speech: the ruler with a melody of its own under it.
    fn talk(seconds: u32) -> Vec<f32> {
        let mut seed = 1_u32;
        let mut noise = 0.0_f32;
        let mut at = 0_u32;
        let mut next = |value: f32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise = noise * 0.97 + (seed >> 16) as f32 / 65_536.0 * 0.06 - 0.03;
            at += 1;
            let loud = ((at / 12_000).wrapping_mul(2_654_435_761) >> 30) as f32 / 3.0;
            value * 0.3 + noise * loud
        };
        (0..seconds).flat_map(ruler::second).map(&mut next).collect()
    }

    #[test]
    fn the_same_sound_is_found_to_the_sample_wherever_it_lies() {
        let all = talk(60);
        let s = SAMPLE_RATE as usize;
        // From and to of each, in samples.
        for (reference, probe) in [
            ((0, 40 * s), (20 * s + 17, 40 * s)),
            ((20 * s, 60 * s), (0, 30 * s + 5)),
            ((0, 40 * s), (1_234, 39 * s)),
            ((3 * s, 20 * s), (10 * s + 1, 50 * s)),
        ] {
            let found = shift(&all[reference.0..reference.1], &all[probe.0..probe.1]).expect("a place");
            assert_eq!(found.samples, probe.0 as i64 - reference.0 as i64, "{found:?}");
            assert!(found.likeness > 0.7, "{found:?}");
        }
    }

    #[test]
    fn another_level_noise_and_a_dull_path_change_nothing() {
        let all = talk(30);
        let mut dull = 0.0;
        let mut seed = 7_u32;
        let other = |value: &f32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            dull = dull * 0.6 + value * 0.4;
            dull * 0.2 + (seed >> 16) as f32 / 65_536.0 * 0.01
        };
        let probe: Vec<f32> = all[480_000..].iter().map(other).collect();
        let found = shift(&all, &probe).expect("a place");
        // The dull path is itself a sample or so late.
        assert!((found.samples - 480_000).abs() <= 2, "{found:?}");
    }

    #[test]
    fn the_plain_ruler_which_is_much_alike_from_second_to_second_is_found() {
        let all: Vec<f32> = (0..40).flat_map(ruler::second).collect();
        let found = shift(&all, &all[15 * 48_000..]).expect("a place");
        assert_eq!(found.samples, 15 * 48_000);
    }

    /// A path that has just come back has a little less in common with the other than is asked for, then a little more.
    #[test]
    fn a_place_with_too_little_in_common_is_not_taken_for_one_beside_it() {
        let all: Vec<f32> = (0..60).flat_map(ruler::second).collect();
        let s = SAMPLE_RATE as usize;
        let start = 37 * s + 20_000;
        for common in [3 * s, 4 * s, 5 * s - 2_400, 5 * s - 480, 5 * s - 12, 5 * s, 5 * s + 480, 6 * s] {
            let found = shift(&all[..start + common], &all[start..start + 9 * s]);
            assert!(found.is_none_or(|found| found.samples == start as i64), "{common}: {found:?}");
            assert!(found.is_some() || common < 5 * s + DECIMATION, "{common}");
        }
    }

    /// Bursts of voice-like noise with pauses, each of its own length and loudness.
    fn speech(seconds: usize, seed: u32) -> Vec<f32> {
        let mut seed = seed;
        let mut random = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32
        };
        let mut out = Vec::with_capacity(seconds * SAMPLE_RATE as usize);
        let (mut low, mut band) = (0.0_f32, 0.0_f32);
        while out.len() < seconds * SAMPLE_RATE as usize {
            let (length, pause) = (4_000 + (random() * 20_000.0) as usize, (random() * 30_000.0) as usize);
            let loud = 0.1 + 0.4 * random();
            for n in 0..length {
                // Noise around 500 Hz, which swells and fades as a syllable does.
                let envelope = (std::f32::consts::PI * n as f32 / length as f32).sin();
                low += 0.065 * band;
                band += 0.065 * (random() - 0.5 - low - 0.3 * band);
                out.push(loud * envelope * band * 4.0);
            }
            out.extend(std::iter::repeat_n(0.0, pause));
        }
        out.truncate(seconds * SAMPLE_RATE as usize);
        out
    }

    /// What a path does to it: dull, of another loudness, with noise of its own.
    fn through(talk: &[f32], dull: f32, level: f32, noise: f32, mut seed: u32) -> Vec<f32> {
        let mut low = 0.0;
        let lossy = |value: &f32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            low += dull * (value - low);
            low * level + noise * ((seed >> 8) as f32 / (1 << 24) as f32 - 0.5)
        };
        talk.iter().map(lossy).collect()
    }

    #[test]
    fn talk_through_two_lossy_paths_is_found_within_a_millisecond_and_other_talk_is_refused() {
        let s = SAMPLE_RATE as usize;
        let (talk, other) = (speech(30, 1), speech(30, 77));
        let near = through(&talk, 0.9, 1.0, 0.01, 3);
        for (at, dull, level) in [(8 * s + 311, 0.35, 0.4), (0, 0.5, 1.6), (17 * s, 0.35, 0.25)] {
            let far = through(&talk[at..], dull, level, 0.02 * level, 5);
            let found = shift(&near, &far).expect("a place");
            assert!((found.samples - at as i64).abs() <= 48, "{at}: {found:?}");
        }
        let strange = through(&other, 0.35, 0.5, 0.01, 9);
        assert_eq!(shift(&near, &strange), None, "other people");
        assert_eq!(shift(&near[..14 * s], &near[16 * s..]), None, "the same people, but nothing in common");
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        let s = SAMPLE_RATE as usize;
        let tone: Vec<f32> = (0..20 * s).map(|n| (n as f32 * 0.05).sin() * 0.3).collect();
        let (all, silence) = (talk(50), vec![0.0; 20 * s]);
        assert_eq!(shift(&tone, &tone[s..]), None, "a tone is alike everywhere");
        assert_eq!(shift(&all, &silence), None);
        assert_eq!(shift(&silence, &all), None);
        assert_eq!(shift(&all[..20 * s], &all[30 * s..]), None, "nothing is common");
        assert_eq!(shift(&all[..20 * s], &all[17 * s..37 * s]), None, "too little is common");
        assert_eq!(shift(&[], &[]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn no_lengths_and_no_values_panic(
            reference in proptest::collection::vec(-1e3_f32..1e3, 0..70_000),
            repeat in 1_usize..8,
            cut in 0_usize..70_000,
        ) {
            let reference = reference.repeat(repeat);
            let probe = &reference[cut.min(reference.len())..];
            shift(&reference, probe);
        }
    }
}
