//! What X's own transcription heard, where a Space has it on. Pure and tolerant.
//!
//! The fields are those that stream-nexus and twspace-crawler observed in messages of the chat; anybody may write one.

use serde_json::Value;

use crate::source::Caption;
use crate::text;

/// Longest caption that is kept, in characters.
const LONGEST: usize = 500;

/// Longest name.
const LONGEST_NAME: usize = 40;

/// NTP's fixed point: 32 bits of seconds, 32 of their fraction.
const FRACTION: f64 = 4_294_967_296.0;

/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_TO_UNIX: f64 = 2_208_988_800.0;

/// Reads a caption that will not change any more; none of one that still grows.
pub(super) fn read(body: &Value, payload: &Value) -> Option<Caption> {
    if body["final"] == false {
        return None;
    }
    let text = text::plain(body["body"].as_str()?, LONGEST);
    let names = [&body["username"], &payload["sender"]["username"], &body["displayName"]];
    let name = names.into_iter().find_map(|name| name.as_str().filter(|name| !name.is_empty()));
    let speaker = name.map(|name| text::plain(name.trim_start_matches('@'), LONGEST_NAME));
    let frame = number(&body["ntpForBroadcasterFrame"]).map(|time| time / FRACTION);
    let sent = number(&body["timestamp"]).map(|ms| ms / 1000.0 + NTP_TO_UNIX);
    let ntp_seconds = frame.or(sent).filter(|seconds| (NTP_TO_UNIX..2.0 * FRACTION).contains(seconds));
    (!text.is_empty()).then_some(Caption { text, speaker: speaker.filter(|name| !name.is_empty()), ntp_seconds })
}

/// A number above nothing, in a string or not.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (number.is_finite() && number > 0.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn captions_by_table() {
        let caption = |text: &str, speaker: Option<&str>, ntp_seconds| {
            Some(Caption { text: text.to_owned(), speaker: speaker.map(str::to_owned), ntp_seconds })
        };
        let sender = json!({"sender": {"username": "@alice"}});
        for (body, payload, expected) in [
            (json!({"body": "a\nb\u{202E}", "final": true}), json!({}), caption("a b", None, None)),
            (json!({"body": "still", "final": false}), json!({}), None),
            (json!({"body": " \n", "final": true}), json!({}), None),
            (json!({"body": 7}), json!({}), None),
            (json!({"body": "x"}), sender.clone(), caption("x", Some("alice"), None)),
            (json!({"body": "x", "username": "bob"}), sender, caption("x", Some("bob"), None)),
            (
                json!({"body": "x", "ntpForBroadcasterFrame": 17_179_869_184_000_000_000_u64, "timestamp": 5}),
                json!({}),
                caption("x", None, Some(4_000_000_000.0)),
            ),
            (json!({"body": "x", "timestamp": "1700000000500"}), json!({}), caption("x", None, Some(3_908_988_800.5))),
            (
                json!({"body": "x", "timestamp": -1, "ntpForBroadcasterFrame": "NaN"}),
                json!({}),
                caption("x", None, None),
            ),
            (json!({"body": "x", "ntpForBroadcasterFrame": 1e300}), json!({}), caption("x", None, None)),
        ] {
            assert_eq!(read(&body, &payload), expected, "{body}");
        }
        let long = read(&json!({"body": "word ".repeat(1000)}), &json!({})).expect("a caption");
        assert!(long.text.chars().count() <= LONGEST);
    }
}
