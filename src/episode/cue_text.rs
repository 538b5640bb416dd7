//! Times and words as WebVTT and the lists beside it want them.

/// Seconds to the millisecond.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Milliseconds.
pub(super) fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round().max(0.0) as u64
}

/// `01:02:03.004`.
pub(super) fn time(seconds: f64) -> String {
    let ms = millis(seconds);
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// For cue text and the name of a voice: neither may hold markup, an arrow or a line break.
pub(super) fn escape(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
