use ebur128::{EbuR128, Mode};

use super::*;
use crate::measure::{Hop, Meter, Second};
use crate::media::StereoSample;

/// Speech-like: syllables of noise of different levels with pauses, different in both channels.
fn talk(seconds: usize, seed: u64) -> Vec<StereoSample> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut low = 0.0_f32;
    let mut level = 0.2_f32;
    (0..seconds * 48_000)
        .map(|n| {
            if n % 9_600 == 0 {
                level = [0.0, 0.02, 0.1, 0.2, 0.5][random.usize(0..5)];
            }
            low += 0.1 * (random.f32() * 2.0 - 1.0 - low);
            let value = level * (low * 2.0 + (random.f32() - 0.5) * 0.2);
            [value, 0.7 * value]
        })
        .collect()
}

fn measure(blocks: &[(i64, &[StereoSample])]) -> Measurement {
    let (mut meter, mut measurement) = (Meter::default(), Measurement::default());
    for (at, samples) in blocks {
        meter.add(*at, samples);
    }
    meter.end();
    meter.take().into_iter().for_each(|(number, second)| measurement.add(number, second));
    measurement
}

fn reference(samples: &[StereoSample]) -> (f64, f64) {
    let mut ebu = EbuR128::new(2, 48_000, Mode::I | Mode::TRUE_PEAK).expect("a meter");
    ebu.add_frames_f32(samples.as_flattened()).expect("samples");
    let peak = ebu.true_peak(0).expect("a peak").max(ebu.true_peak(1).expect("a peak"));
    (ebu.loudness_global().expect("loudness"), 20.0 * peak.log10())
}

#[test]
fn gated_loudness_and_true_peak_agree_with_the_reference_wherever_the_audio_begins() {
    for (seed, start) in [(1, 0_i64), (2, 48_000 * 7 + 1234), (3, -48_000 * 100 - 77)] {
        let samples = talk(40, seed);
        let mut at = start;
        let blocks: Vec<_> = samples
            .chunks(1024)
            .map(|chunk| {
                let place = at;
                at += chunk.len() as i64;
                (place, chunk)
            })
            .collect();
        let measured = measure(&blocks).measured(&(start..at)).expect("loudness");
        // Blocks lie on whole hops of media time: levels that change by the block depend on where those begin.
        let (lufs, _) = reference(&samples[(-start).rem_euclid(HOP_SAMPLES) as usize..]);
        let (_, peak) = reference(&samples);
        assert!((measured.lufs - lufs).abs() < 0.1, "{} against {lufs}", measured.lufs);
        assert!((measured.true_peak_dbtp - peak).abs() < 0.1, "{} against {peak}", measured.true_peak_dbtp);
    }
}

#[test]
fn a_session_measured_in_pieces_and_in_any_order_is_the_session() {
    let samples = talk(60, 4);
    let whole = measure(&[(0, &samples)]);
    let cut = 48_000 * 21 + 3000;
    // The second piece is measured first, with a lead for its filter.
    let mut pieces = measure(&[(cut - 9600, &samples[cut as usize - 9600..])]);
    let first = measure(&[(0, &samples[..cut as usize])]);
    for number in 0..60 {
        let hops = std::array::from_fn(|hop| first.hop(number * 10 + hop as i64));
        pieces.add(number, Second { hops, true_peak: 0.0 });
    }
    let range = 0..48_000 * 60;
    assert_eq!(pieces.unmeasured(std::slice::from_ref(&range)), []);
    let (a, b) = (whole.integrated(&range).expect("loudness"), pieces.integrated(&range).expect("loudness"));
    assert!((a - b).abs() < 0.02, "{a} and {b}");
}

#[test]
fn a_gap_is_silence_that_does_not_count_and_is_asked_for_once_it_is_there() {
    let samples = talk(20, 5);
    let measurement = measure(&[(0, &samples[..240_000]), (480_000, &samples[480_000..])]);
    let kept = [0..240_000, 480_000..960_000];
    assert_eq!(measurement.unmeasured(&kept), []);
    assert_eq!(measurement.unmeasured(&[0..960_000]), [240_000..480_000]);
    assert!((measurement.coverage(&[0..960_000]) - 0.75).abs() < 1e-9);
    let joined: Vec<_> = samples[..240_000].iter().chain(&samples[480_000..]).copied().collect();
    let (lufs, _) = reference(&joined);
    let measured = measurement.integrated(&(0..960_000)).expect("loudness");
    assert!((measured - lufs).abs() < 0.2, "{measured} against {lufs}");
}

#[test]
fn silence_and_nothing_have_no_loudness_and_no_words() {
    let range = 0..480_000;
    assert_eq!(Measurement::default().measured(&range), None);
    let silent = measure(&[(0, &[[0.0; 2]; 480_000])]);
    assert_eq!((silent.measured(&range), silent.words(&range)), (None, None));
    let broken = measure(&[(0, &[[f32::NAN, f32::INFINITY]; 48_000]), (48_000, &talk(9, 6))]);
    assert!(broken.integrated(&range).is_some_and(f64::is_finite));
}

/// A measurement from levels in LUFS, one per hop.
fn of_levels(levels: &[f64]) -> Measurement {
    let mut measurement = Measurement::default();
    for (number, hops) in levels.chunks(10).enumerate() {
        let mut second = Second { true_peak: 0.5, ..Second::default() };
        for (hop, level) in second.hops.iter_mut().zip(hops) {
            *hop = Some(Hop::new(*level, -0.5, 0.5));
        }
        measurement.add(number as i64, second);
    }
    measurement
}

#[test]
fn trimming_never_cuts_a_word_by_table() {
    let speech = vec![-20.0; 100];
    let quiet = |count: usize| vec![-80.0; count];
    let hop = |n: usize| n as i64 * HOP_SAMPLES;
    for (name, before, after, first, last) in [
        ("plain silence", quiet(100), quiet(100), 100, 200),
        ("a click long before", [quiet(10), vec![-20.0], quiet(89)].concat(), quiet(100), 100, 200),
        ("a whispered word before", [quiet(50), vec![-45.0; 3], quiet(47)].concat(), quiet(100), 50, 200),
        ("a word of 200 ms behind", quiet(100), [quiet(60), vec![-30.0; 2], quiet(38)].concat(), 100, 262),
        ("room noise", vec![-55.0; 100], vec![-58.0; 100], 100, 200),
        ("a voice that fades", quiet(100), [vec![-40.0; 5], vec![-48.0; 3], quiet(92)].concat(), 100, 208),
    ] {
        let levels = [before, speech.clone(), after].concat();
        let range = 0..hop(levels.len());
        let words = of_levels(&levels).words(&range).expect(name);
        assert!(words.start <= hop(first) && words.end >= hop(last), "{name}: {words:?}");
        assert_eq!(words, hop(first - LEAD as usize)..hop(last + TAIL as usize), "{name}");
    }
    let all = of_levels(&speech);
    assert_eq!(all.words(&(0..hop(100))), Some(0..hop(100)));
}

#[test]
fn a_waveform_of_any_width_shows_every_peak() {
    let mut measurement = of_levels(&vec![-30.0; 600]);
    let mut second = Second { true_peak: 1.0, ..Second::default() };
    second.hops.fill(Some(Hop::new(-10.0, -1.0, 1.0)));
    measurement.add(30, second);
    for count in [1, 7, 60, 599, 600, 5000] {
        let peaks = measurement.peaks(&(0..48_000 * 60), count);
        assert_eq!(peaks.len(), count);
        assert!(peaks.iter().all(Option::is_some), "{count}");
        assert!(peaks.contains(&Some((-127, 127))), "{count}");
    }
    assert_eq!(measurement.peaks(&(48_000 * 60..48_000 * 70), 10), vec![None; 10]);
    assert_eq!(measurement.peaks(&(0..0), 0), vec![]);
}
