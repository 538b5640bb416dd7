//! The quietest place of a piece of sound: where a little of it may be left out or said twice unheard. Pure.

use crate::media::SAMPLE_RATE;

/// What must be quiet on both sides of the place: 20 ms.
const AROUND: usize = SAMPLE_RATE as usize / 50;

/// Where the quietest `width` samples of `sound` begin, with some around them; the middle where it is too short to choose.
pub(super) fn quietest(sound: &[f32], width: usize) -> usize {
    let reach = width + 2 * AROUND;
    let Some(last) = sound.len().checked_sub(reach) else { return sound.len().saturating_sub(width) / 2 };
    let power = |value: &f32| f64::from(*value) * f64::from(*value);
    let mut sum: f64 = sound[..reach].iter().map(power).sum();
    let (mut best, mut least) = (0, sum);
    for start in 1..=last {
        sum += power(&sound[start + reach - 1]) - power(&sound[start - 1]);
        if sum < least {
            (best, least) = (start, sum);
        }
    }
    best + AROUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_is_found_and_a_short_piece_has_its_middle() {
        let mut sound = vec![0.5; 48_000];
        sound[10_000..10_500].fill(0.0);
        sound[30_000..33_000].fill(0.01);
        let at = quietest(&sound, 480);
        assert!((30_000 + AROUND..33_000 - AROUND - 480 + 1).contains(&at), "{at}");
        assert_eq!(quietest(&sound[..1000], 480), 260);
        assert_eq!(quietest(&[], 480), 0);
    }
}
