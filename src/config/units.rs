//! Times and sizes as people write them: `6s`, `2m`, `500 MB`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a time with its unit, such as `6s`, `500ms`, `2m` or `1h 30m`.
///
/// # Errors
/// In words, when it is no such time, or negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has no unit".into());
    }
    let signed: SignedDuration = trimmed.parse().map_err(|_| "is not a time".to_owned())?;
    Duration::try_from(signed).map_err(|_| "is negative".into())
}

/// Writes a time as [`parse_duration`] reads it.
pub fn format_duration(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{}s", duration.as_secs()), |signed| format!("{signed:#}"))
}

/// Reads an amount of bytes with its unit, such as `500 MB` or `2GiB`.
///
/// # Errors
/// In words, when it is no such amount.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let unit_at = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("has no unit")?;
    let (number, unit) = trimmed.split_at(unit_at);
    let number: f64 = number.parse().map_err(|_| "is not an amount of bytes")?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0_f64.powi(2),
        "gib" => 1024.0_f64.powi(3),
        "tib" => 1024.0_f64.powi(4),
        _ => return Err("is not an amount of bytes".into()),
    };
    // 10^15 bytes: more than any disk of a podcaster, far below where a float loses whole bytes.
    let bytes = number * factor;
    if bytes <= 1e15 { Ok(bytes.round() as u64) } else { Err("is larger than any disk".into()) }
}

/// Writes an amount of bytes for people.
pub fn format_size(bytes: u64) -> String {
    let value = bytes as f64;
    [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(factor, _)| value >= *factor)
        .map_or_else(|| format!("{bytes} B"), |(factor, unit)| format!("{:.1} {unit}", value / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_and_refused_without() {
        let read = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(read("6s"), Ok(6_000));
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("1.5s"), Ok(1_500));
        assert_eq!(read(" 1h 30m "), Ok(5_400_000));
        assert_eq!(read("6"), Err("has no unit".into()));
        assert_eq!(read("-6s"), Err("is negative".into()));
        assert_eq!(read("soon"), Err("is not a time".into()));
        assert_eq!(read(""), Err("is not a time".into()));
    }

    #[test]
    fn a_written_time_is_read_back() {
        for seconds in [0.5, 1.0, 90.0, 5400.0] {
            let duration = Duration::from_secs_f64(seconds);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration), "{seconds}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit_and_refused_without() {
        assert_eq!(parse_size("500 MB"), Ok(500_000_000));
        assert_eq!(parse_size("1.5GiB"), Ok(1_610_612_736));
        for wrong in ["500", "MB", "-1 MB", "1 parsec", "", "9999999 TB", "1e400 B"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(format_size(999), "999 B");
        assert_eq!(format_size(500_000_000), "500.0 MB");
    }
}
