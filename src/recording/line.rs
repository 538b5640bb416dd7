//! One line of the journal: how it is written and how it is checked.
//!
//! A line is a JSON object whose last member is `check`: the first 16 hexadecimal digits of the SHA-256 of every byte
//! of the line before `,"check":`. It covers bytes and not values, so that a shell can check it without a JSON parser.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::facts::Fact;

/// Version of the lines that this program writes and reads.
pub const FORMAT_VERSION: u64 = 1;

/// Longest line that is read. Written ones stay far below: texts, names and ID3 facts are bounded.
pub(super) const MAX_LINE: usize = 1 << 20;

const CHECK_KEY: &[u8] = b",\"check\":\"";
const CHECK_DIGITS: usize = 16;

/// One line, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Number of the line, from 1.
    pub seq: u64,
    /// Wall time at which it was written.
    pub at: Timestamp,
    /// What it says.
    pub fact: Fact,
}

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is not whole: the checksum is missing or another one.
    #[error("the line is torn or was altered")]
    Check,
    /// It stands in the journal already, as after a block of the disk was written twice.
    #[error("the line is there a second time")]
    Repeated,
    /// It is whole, and written by a version that this one does not know.
    #[error("the line has format version {0}, this program reads version {FORMAT_VERSION}: use a newer spacebridge")]
    Newer(u64),
    /// It is whole, and its members are not what they should be.
    #[error("the line's content is not understood: {0}")]
    Content(String),
}

#[derive(Serialize)]
struct Written<'a> {
    v: u64,
    seq: u64,
    at: Timestamp,
    #[serde(flatten)]
    fact: &'a Fact,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    at: Timestamp,
}

/// The line for a fact, with its end of line.
///
/// # Errors
/// When the fact cannot be written as JSON, which no fact of ours is.
pub(super) fn encode(seq: u64, at: Timestamp, fact: &Fact) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&Written { v: FORMAT_VERSION, seq, at, fact })?;
    line.pop();
    let check = check_of(&line);
    line.extend_from_slice(CHECK_KEY);
    line.extend_from_slice(check.as_bytes());
    line.extend_from_slice(b"\"}\n");
    Ok(line)
}

/// Reads a line, given without its end of line.
///
/// # Errors
/// [`LineError`].
pub fn decode(line: &[u8]) -> Result<Entry, LineError> {
    let body = verified_body(line).ok_or(LineError::Check)?;
    let mut json = body.to_vec();
    json.push(b'}');
    let value: serde_json::Value =
        serde_json::from_slice(&json).map_err(|error| LineError::Content(error.to_string()))?;
    let content = |error: serde_json::Error| LineError::Content(error.to_string());
    match value.get("v").and_then(serde_json::Value::as_u64) {
        Some(FORMAT_VERSION) => {}
        Some(version) => return Err(LineError::Newer(version)),
        None => return Err(LineError::Content("it has no version".to_owned())),
    }
    let head = Head::deserialize(&value).map_err(content)?;
    let fact = Fact::deserialize(&value).map_err(content)?;
    Ok(Entry { seq: head.seq, at: head.at, fact })
}

/// The line up to its checksum, if that is right.
fn verified_body(line: &[u8]) -> Option<&[u8]> {
    let tail = CHECK_KEY.len() + CHECK_DIGITS + 2;
    if line.len() > MAX_LINE {
        return None;
    }
    let (body, tail) = line.split_at_checked(line.len().checked_sub(tail)?)?;
    let digits = tail.strip_prefix(CHECK_KEY)?.strip_suffix(b"\"}")?;
    (digits == check_of(body).as_bytes()).then_some(body)
}

/// The checksum that a line ends with, as a number.
pub(super) fn check_digits(line: &[u8]) -> u64 {
    let digits = line.strip_suffix(b"\"}").and_then(|line| line.last_chunk::<CHECK_DIGITS>());
    digits.and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()).unwrap_or(0)
}

fn check_of(body: &[u8]) -> String {
    let mut check = sha256_hex(body);
    check.truncate(CHECK_DIGITS);
    check
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::facts::MissingFact;

    fn at() -> Timestamp {
        "2026-01-02T03:04:05.5Z".parse().expect("a time")
    }

    fn line(fact: &Fact) -> Vec<u8> {
        let mut line = encode(7, at(), fact).expect("a line");
        assert_eq!(line.pop(), Some(b'\n'));
        line
    }

    #[test]
    fn a_line_is_what_the_manual_says() {
        let text = String::from_utf8(line(&Fact::Note { text: "hi".into() })).expect("text");
        assert_eq!(
            text,
            r#"{"v":1,"seq":7,"at":"2026-01-02T03:04:05.5Z","type":"note","text":"hi","check":"CHECK"}"#
                .replace("CHECK", &sha256_hex(text.split(",\"check\"").next().expect("a body").as_bytes())[..16])
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let good = line(&Fact::State { state: "live".into(), words: "Live".into() });
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert_eq!(decode(&bad), Err(LineError::Check), "byte {place}");
            assert_eq!(decode(&good[..place]), Err(LineError::Check), "cut at {place}");
        }
    }

    fn sealed(body: &str) -> Vec<u8> {
        format!("{body},\"check\":\"{}\"}}", check_of(body.as_bytes())).into_bytes()
    }

    #[test]
    fn types_and_fields_of_later_versions_are_skipped_and_newer_formats_named() {
        let later = sealed(r#"{"v":1,"seq":1,"at":"2026-01-02T03:04:05Z","type":"chapter","title":"x""#);
        assert_eq!(decode(&later).map(|entry| entry.fact), Ok(Fact::Unknown));
        let field = sealed(r#"{"v":1,"seq":1,"at":"2026-01-02T03:04:05Z","type":"note","text":"x","origin":"replay""#);
        assert_eq!(decode(&field).map(|entry| entry.fact), Ok(Fact::Note { text: "x".into() }));
        let newer = sealed(r#"{"v":2,"seq":1,"at":"2026-01-02T03:04:05Z","type":"note""#);
        assert_eq!(decode(&newer), Err(LineError::Newer(2)));
        let odd = sealed(r#"{"v":1,"seq":1,"at":"2026-01-02T03:04:05Z","type":"segment""#);
        assert!(matches!(decode(&odd), Err(LineError::Content(_))));
    }

    proptest! {
        #[test]
        fn fuzz_journal_line(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(decode(&bytes).is_err());
            let body = String::from_utf8_lossy(&bytes);
            drop(decode(&sealed(&body)));
            drop(decode(&sealed(&format!(r#"{{"v":1,"seq":1,"at":"2026-01-02T03:04:05Z","type":{body}"#))));
        }

        #[test]
        fn fuzz_journal_line_hostile_text_comes_back(cause in ".{0,200}", name in ".{0,200}", media_time: i64) {
            let missing = MissingFact { cause, names: vec![name], media_time, ..MissingFact::default() };
            let fact = Fact::Missing(missing);
            let line = line(&fact);
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(decode(&line).map(|entry| entry.fact), Ok(fact));
        }
    }
}
