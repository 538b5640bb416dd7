//! The ruler: audio in which every second can be told from any other by its sound.
//!
//! A second starts with a rising chirp, whose place a matched filter finds within a fraction of a millisecond, and goes
//! on with seven tones of 125 ms that spell its number: five hexadecimal digits and two check digits. Cut, repeated,
//! shifted or missing seconds are thus seen in what comes out at the other end, even after AAC and mixing to mono.

use std::f64::consts::TAU;

use crate::media::SAMPLE_RATE;

/// Numbers run from 0 to this one, about twelve days.
pub const MAX_INDEX: u32 = 0xF_FFFF;

const RATE: usize = SAMPLE_RATE as usize;
const AMPLITUDE: f64 = 0.4;

/// The chirp: 60 ms from 800 to 3200 Hz, a sound that speech and tones hardly resemble.
const CHIRP_SAMPLES: usize = RATE * 60 / 1000;
const CHIRP_HZ: (f64, f64) = (800.0, 3200.0);

/// Tones start 80 ms after the second and follow each other without a pause, up to 955 ms.
const TONES_START: usize = RATE * 80 / 1000;
const TONE_SAMPLES: usize = RATE * 125 / 1000;
const TONE_RAMP: usize = RATE * 5 / 1000;
const DIGITS: usize = 7;
/// 16 tones from 700 Hz, 120 Hz apart: fifteen times the resolution of a tone's length.
const TONE_BASE_HZ: f64 = 700.0;
const TONE_STEP_HZ: f64 = 120.0;

/// The search runs on every sixth sample: 8 kHz still holds the whole chirp and costs little.
const DECIMATION: usize = 6;
/// Least likeness of a chirp, from 0 to 1. Clean AAC reaches 0.98, tones that passed Opus stay under 0.25 and those of a
/// second that is laid over itself under 0.4.
const CHIRP_LIKENESS: f64 = 0.7;
/// The same between two seconds that are whole, on its place to the millisecond: what a network lost for 20 ms leaves more
/// than 0.6. A second that was cut has no such neighbours.
const CHIRP_BETWEEN: f64 = 0.5;
const PLACE: f64 = RATE as f64 / 1000.0;
/// Least share of a tone's energy that must lie at its own frequency, and how many times as much as at any other: two
/// packets of Opus that are lost in succession leave a share of 0.48 and nothing elsewhere, two tones at once an equal one.
const TONE_SHARE: f64 = 0.3;
const TONE_CLEAR: f64 = 4.0;

/// A second that was found whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RulerMark {
    /// Its number.
    pub index: u32,
    /// Where it starts, in samples at 48 kHz from the start of what was searched.
    pub at_samples: f64,
}

/// The 48 000 mono samples of second `index`; numbers above [`MAX_INDEX`] start again at 0.
pub fn second(index: u32) -> Vec<f32> {
    let mut samples = vec![0.0_f32; RATE];
    for (n, value) in samples.iter_mut().take(CHIRP_SAMPLES).enumerate() {
        *value = (AMPLITUDE * chirp(n as f64 / RATE as f64)) as f32;
    }
    for (place, digit) in digits(index & MAX_INDEX).into_iter().enumerate() {
        let hz = tone_hz(digit);
        let start = TONES_START + place * TONE_SAMPLES;
        for n in 0..TONE_SAMPLES {
            let ramp = (n.min(TONE_SAMPLES - 1 - n) as f64 / TONE_RAMP as f64).min(1.0);
            samples[start + n] = (AMPLITUDE * ramp * (TAU * hz * n as f64 / RATE as f64).sin()) as f32;
        }
    }
    samples
}

/// Every whole second in `samples` (mono, 48 kHz), in order.
///
/// A second that is cut, overlaid or damaged so that its number cannot be trusted is not in the list.
pub fn decode(samples: &[f32]) -> Vec<RulerMark> {
    let read = |(at, likeness): (f64, f64)| {
        let start = at.round().max(0.0) as usize;
        let index = read_digits(samples.get(start..)?)?;
        Some((RulerMark { index, at_samples: at }, likeness > CHIRP_LIKENESS))
    };
    let marks: Vec<(RulerMark, bool)> = chirps(samples).into_iter().filter_map(read).collect();
    let follows = |(a, _): &(RulerMark, bool), (b, _): &(RulerMark, bool)| {
        b.index == a.index + 1 && (b.at_samples - a.at_samples - RATE as f64).abs() < PLACE
    };
    let between = |place: usize| {
        let (before, after) = (place.checked_sub(1).and_then(|before| marks.get(before)), marks.get(place + 1));
        let is_whole = |mark: &&(RulerMark, bool)| mark.1;
        let (before, after) = (before.filter(is_whole), after.filter(is_whole));
        before.is_some_and(|before| follows(before, &marks[place]))
            && after.is_some_and(|after| follows(&marks[place], after))
    };
    let found = marks.iter().enumerate().filter(|(place, (_, whole))| *whole || between(*place));
    found.map(|(_, (mark, _))| *mark).collect()
}

/// The mean of both channels, as [`decode`] wants it.
pub fn mono(samples: &[crate::media::StereoSample]) -> Vec<f32> {
    samples.iter().map(|[left, right]| 0.5 * (left + right)).collect()
}

fn tone_hz(digit: u32) -> f64 {
    TONE_BASE_HZ + TONE_STEP_HZ * f64::from(digit)
}

/// Five digits of the number, most significant first, and two that catch any single wrong digit and most swaps.
fn digits(index: u32) -> [u32; DIGITS] {
    let d: [u32; 5] = std::array::from_fn(|place| (index >> (16 - 4 * place)) & 0xF);
    let sum = d.iter().sum::<u32>();
    let weighted = d.iter().zip([1, 3, 5, 7, 9]).map(|(digit, weight)| digit * weight).sum::<u32>();
    [d[0], d[1], d[2], d[3], d[4], (sum + 5) & 0xF, (weighted + 10) & 0xF]
}

fn chirp(seconds: f64) -> f64 {
    let length = CHIRP_SAMPLES as f64 / RATE as f64;
    let window = (std::f64::consts::PI * seconds / length).sin();
    let sweep = (CHIRP_HZ.1 - CHIRP_HZ.0) / length;
    window * (TAU * (CHIRP_HZ.0 * seconds + 0.5 * sweep * seconds * seconds)).sin()
}

/// Starts of chirps, in samples at 48 kHz, and how like one each is.
fn chirps(samples: &[f32]) -> Vec<(f64, f64)> {
    let low: Vec<f64> = samples
        .chunks_exact(DECIMATION)
        .map(|chunk| chunk.iter().map(|value| f64::from(*value)).sum::<f64>() / DECIMATION as f64)
        .collect();
    let length = CHIRP_SAMPLES / DECIMATION;
    // The filter's sample lies in the middle of the samples that were averaged.
    let middle = (DECIMATION as f64 - 1.0) / 2.0;
    let filter: Vec<f64> = (0..length).map(|n| chirp((n as f64 * DECIMATION as f64 + middle) / RATE as f64)).collect();
    let likeness = correlate(&low, &filter);
    let apart = RATE / DECIMATION / 2;
    let mut found: Vec<usize> = Vec::new();
    for (at, value) in likeness.iter().enumerate() {
        if *value < CHIRP_BETWEEN {
            continue;
        }
        match found.last_mut() {
            Some(last) if at - *last < apart => {
                if *value > likeness[*last] {
                    *last = at;
                }
            }
            _ => found.push(at),
        }
    }
    let place = |at: usize| (at as f64 + vertex(&likeness, at)) * DECIMATION as f64;
    found.into_iter().map(|at| (place(at), likeness[at])).collect()
}

/// Normalised cross-correlation: 1 where `signal` is the filter times anything positive.
fn correlate(signal: &[f64], filter: &[f64]) -> Vec<f64> {
    let Some(places) = signal.len().checked_sub(filter.len()) else { return Vec::new() };
    let filter_norm = filter.iter().map(|value| value * value).sum::<f64>().sqrt();
    let mut energy = signal[..filter.len()].iter().map(|value| value * value).sum::<f64>();
    let mut likeness = Vec::with_capacity(places + 1);
    for at in 0..=places {
        let window = &signal[at..at + filter.len()];
        let product: f64 = window.iter().zip(filter).map(|(a, b)| a * b).sum();
        likeness.push(if energy > 1e-3 { product / (energy.sqrt() * filter_norm) } else { 0.0 });
        if at < places {
            energy += signal[at + filter.len()].powi(2) - signal[at].powi(2);
        }
    }
    likeness
}

/// Offset of the peak of a parabola through a maximum and its neighbours, within -0.5..=0.5.
fn vertex(values: &[f64], at: usize) -> f64 {
    if at == 0 || at + 1 >= values.len() {
        return 0.0;
    }
    let (a, b, c) = (values[at - 1], values[at], values[at + 1]);
    let curve = a - 2.0 * b + c;
    if curve.abs() < 1e-12 { 0.0 } else { (0.5 * (a - c) / curve).clamp(-0.5, 0.5) }
}

/// The number spelled by the tones of the second that starts at `samples[0]`, if its check digits agree.
fn read_digits(samples: &[f32]) -> Option<u32> {
    let mut read = [0_u32; DIGITS];
    for (place, digit) in read.iter_mut().enumerate() {
        let start = TONES_START + place * TONE_SAMPLES;
        // The middle of the tone, so that a start that is off by a little does not matter.
        let margin = TONE_SAMPLES / 10;
        *digit = read_tone(samples.get(start + margin..start + TONE_SAMPLES - margin)?)?;
    }
    let index = read[..5].iter().fold(0, |index, digit| index << 4 | digit);
    (digits(index) == read).then_some(index)
}

fn read_tone(samples: &[f32]) -> Option<u32> {
    let energy: f64 = samples.iter().map(|value| f64::from(*value).powi(2)).sum();
    if energy < 1e-4 * samples.len() as f64 {
        return None;
    }
    let power = |digit: u32| goertzel(samples, tone_hz(digit)) / (energy * samples.len() as f64 / 2.0);
    let mut shares: Vec<(u32, f64)> = (0..16).map(|digit| (digit, power(digit))).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ((digit, share), (_, second)) = (shares[0], shares[1]);
    (share > TONE_SHARE && share > TONE_CLEAR * second).then_some(digit)
}

/// Power of `samples` at one frequency.
fn goertzel(samples: &[f32], hz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hz / RATE as f64).cos();
    let (mut previous, mut before) = (0.0_f64, 0.0_f64);
    for value in samples {
        let now = f64::from(*value) + coefficient * previous - before;
        before = previous;
        previous = now;
    }
    previous * previous + before * before - coefficient * previous * before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(indices: &[u32]) -> Vec<f32> {
        indices.iter().flat_map(|index| second(*index)).collect()
    }

    #[test]
    fn every_second_is_read_at_its_place() {
        let indices = [0, 1, 2, 59, 60, 4095, 4096, MAX_INDEX];
        let mut samples = vec![0.0; 1234];
        samples.extend(tape(&indices));
        let marks = decode(&samples);
        assert_eq!(marks.iter().map(|mark| mark.index).collect::<Vec<_>>(), indices);
        for (n, mark) in marks.iter().enumerate() {
            let error = mark.at_samples - (1234 + n * RATE) as f64;
            assert!(error.abs() < 5.0, "second {n} is {error} samples off");
        }
    }

    #[test]
    fn a_cut_second_is_missing_and_not_another_number() {
        let mut samples = tape(&[7, 8, 9]);
        samples.drain(RATE + 30_000..RATE + 33_000);
        let indices: Vec<u32> = decode(&samples).iter().map(|mark| mark.index).collect();
        assert_eq!(indices, [7, 9]);
    }

    #[test]
    fn silence_in_a_second_makes_it_missing() {
        let mut samples = tape(&[7, 8, 9]);
        samples[RATE + 20_000..RATE + 32_000].fill(0.0);
        let indices: Vec<u32> = decode(&samples).iter().map(|mark| mark.index).collect();
        assert_eq!(indices, [7, 9]);
    }

    /// What a decoder makes of packets that were lost: it fades out, and comes back within 30 ms.
    fn conceal(samples: &mut [f32], lost: usize) {
        let back = RATE * 30 / 1000;
        for (n, value) in samples.iter_mut().take(lost + back).enumerate() {
            let fade = (1.0 - n as f32 / 480.0).max(0.0).max((n as f32 - lost as f32) / back as f32);
            *value *= fade;
        }
    }

    #[test]
    fn a_second_that_lost_a_packet_or_two_is_read_where_it_can_be() {
        let packet = RATE / 50;
        for (from, packets, readable) in [
            (20_000, 1, true),
            (20_000, 2, true),
            (20_000, 8, false),
            (TONES_START + 2 * TONE_SAMPLES + 1500, 2, true),
            (200, 1, true),
            (1900, 1, true),
            (0, 3, false),
        ] {
            let mut samples = tape(&[7, 8, 9]);
            conceal(&mut samples[RATE + from..], packets * packet);
            let marks = decode(&samples);
            assert_eq!(marks.iter().any(|mark| mark.index == 8), readable, "{packets} at {from}");
            assert!(marks.len() == if readable { 3 } else { 2 });
            let off = |at: f64| at - (at / 48_000.0).round() * 48_000.0;
            assert!(marks.iter().all(|mark| off(mark.at_samples).abs() < 5.0), "{marks:?}");
        }
    }

    #[test]
    fn a_second_whose_beginning_is_missing_is_not_read_after_a_cut() {
        let mut samples = tape(&[5, 9, 10, 11]);
        samples.drain(RATE..RATE + RATE * 34 / 1000);
        let indices: Vec<u32> = decode(&samples).iter().map(|mark| mark.index).collect();
        assert_eq!(indices, [5, 10, 11]);
    }

    #[test]
    fn two_seconds_at_once_are_never_a_third() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..40 {
            let (a, b) = (random.u32(0..=MAX_INDEX), random.u32(0..=MAX_INDEX));
            let (at, level) = (random.usize(0..RATE / 2), random.f32());
            let mut samples = tape(&[a, a]);
            for (n, value) in second(b).into_iter().enumerate() {
                samples[at + n] += level * value;
            }
            let marks = decode(&samples);
            assert!(marks.iter().all(|mark| mark.index == a || mark.index == b), "{a} {b} {at} {level}: {marks:?}");
        }
    }

    #[test]
    fn a_repeated_second_is_seen_twice() {
        let indices: Vec<u32> = decode(&tape(&[5, 5, 6])).iter().map(|mark| mark.index).collect();
        assert_eq!(indices, [5, 5, 6]);
    }

    #[test]
    fn noise_and_nothing_are_no_seconds() {
        let noise: Vec<f32> = (0..96_000).map(|_| fastrand::f32() - 0.5).collect();
        assert!(decode(&noise).is_empty());
        assert!(decode(&[]).is_empty());
        assert!(decode(&vec![0.0; 96_000]).is_empty());
    }
}
