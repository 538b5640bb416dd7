//! Times and texts of the picture. Widths are estimates, rather too large: nothing is drawn over something else.

use unicode_width::UnicodeWidthStr as _;

use crate::text::plain;

/// Width of a column of text, per unit of font size: wider than Inter's mean letter.
const COLUMN: f64 = 0.6;

/// Steps of the time axis, in seconds.
const STEPS: [f64; 14] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0];

/// Least room of one time, in pixels.
const TIME: f64 = 90.0;

/// Estimated width of a text.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.width() as f64 * COLUMN * size
}

/// As much of a hostile text as fits, with an ellipsis.
pub(super) fn fitted(text: &str, room: f64, size: f64) -> String {
    let mut chars = (room / (COLUMN * size)).max(1.0) as usize;
    loop {
        let cut = plain(text, chars);
        let wide = width(&cut, size);
        if wide <= room || chars <= 1 {
            return cut;
        }
        chars = (chars - 1).min((chars as f64 * room / wide) as usize).max(1);
    }
}

/// A time of a file of `whole` seconds: `4:05`, or `1:04:05` in one of an hour and more.
pub(super) fn clock(seconds: f64, whole: f64) -> String {
    let s = seconds.round().max(0.0) as u64;
    if whole >= 3600.0 {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

/// A length for people: `12 s`, `3 min 20 s`, `1 h 5 min`.
pub(super) fn length(seconds: f64) -> String {
    let s = seconds.round().max(0.0) as u64;
    match s {
        0 if seconds > 0.0 => format!("{seconds:.1} s"),
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

/// Seconds between two times on the axis.
pub(super) fn step(seconds: f64, pixels: f64) -> f64 {
    let fits = |step: &f64| seconds / step * TIME <= pixels;
    let longest = STEPS[STEPS.len() - 1];
    // A week of recording has days on its axis.
    STEPS.into_iter().find(fits).unwrap_or_else(|| (seconds * TIME / pixels / longest).ceil() * longest)
}
