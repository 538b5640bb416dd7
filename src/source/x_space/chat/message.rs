//! What a message of the chat says that matters to a bridge. Pure and tolerant: JSON nested in strings, from strangers.
//!
//! Shapes as observed by twspace-crawler, elizaOS's agent-twitter-client and stream-nexus.

use serde_json::Value;

use super::caption;
use super::stage::{self, StageSign};
use crate::source::Caption;

/// Kinds of an outer message.
const CHAT: i64 = 1;
const CONTROL: i64 = 2;

/// Kind of a control message that tells who is there.
const PRESENCE: i64 = 4;

/// Type of a chat message that tells the end.
const BROADCAST_ENDED: i64 = 5;

/// Type of a chat message about the stage.
const GUEST_CONTROL: i64 = 40;

/// Type of a chat message with what X's own transcription heard.
const TRANSCRIPTION: i64 = 45;

/// What is understood of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// Something changed on stage.
    Stage(StageSign),
    /// So many listen.
    Occupancy(u64),
    /// Something was said.
    Caption(Caption),
    /// The Space is over.
    Ended,
    /// A message of a known kind that does not matter here.
    Other,
    /// Nothing that can be read.
    Noise,
}

/// Reads one message.
pub(super) fn read(text: &str) -> Heard {
    let Ok(outer) = serde_json::from_str::<Value>(text) else { return Heard::Noise };
    let Some(payload) = nested(&outer, "payload") else { return Heard::Noise };
    match number(&outer, "kind") {
        Some(CHAT) => match nested(&payload, "body") {
            Some(body) => chat(&body, &payload),
            None => Heard::Other,
        },
        Some(CONTROL) if number(&payload, "kind") == Some(PRESENCE) => {
            let listeners = nested(&payload, "body").as_ref().and_then(|body| number(body, "occupancy"));
            listeners.and_then(|count| u64::try_from(count).ok()).map_or(Heard::Other, Heard::Occupancy)
        }
        Some(CONTROL) => Heard::Other,
        _ => Heard::Noise,
    }
}

fn chat(body: &Value, payload: &Value) -> Heard {
    match number(body, "type") {
        Some(TRANSCRIPTION) => caption::read(body, payload).map_or(Heard::Other, Heard::Caption),
        Some(BROADCAST_ENDED) => Heard::Ended,
        Some(GUEST_CONTROL) => stage::read(body).map_or(Heard::Other, Heard::Stage),
        _ => Heard::Other,
    }
}

/// The first message: who we are.
pub(super) fn auth(access_token: &str) -> String {
    wrapped(3, &serde_json::json!({"access_token": access_token}))
}

/// The second: which room we want to hear.
pub(super) fn join(room: &str) -> String {
    let body = serde_json::json!({"room": room}).to_string();
    wrapped(2, &serde_json::json!({"kind": 1, "body": body}))
}

fn wrapped(kind: i64, payload: &Value) -> String {
    serde_json::json!({"kind": kind, "payload": payload.to_string()}).to_string()
}

/// JSON in a string, as it is sent, or as it might be one day: JSON itself.
fn nested(value: &Value, name: &str) -> Option<Value> {
    match value.get(name)? {
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Object(object) => Some(Value::Object(object.clone())),
        _ => None,
    }
}

pub(super) fn number(value: &Value, name: &str) -> Option<i64> {
    let value = value.get(name)?;
    value.as_i64().or_else(|| value.as_f64().map(|float| float as i64)).or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_and_the_count_are_read_whatever_else_is_sent() {
        let chat = |body: &str| serde_json::json!({"kind": 1, "payload": serde_json::json!({"room": "r", "body": body}).to_string()});
        for (message, heard) in [
            (chat(r#"{"type":5,"v":2}"#), Heard::Ended),
            (chat(r#"{"type":"5"}"#), Heard::Ended),
            (chat(r#"{"type":1,"body":"{\"type\":5}"}"#), Heard::Other),
            (chat(r#"{"type":45,"body":"a caption","final":false}"#), Heard::Other),
            (chat("{\"type\":5"), Heard::Other),
            (
                serde_json::json!({"kind": 2, "payload": r#"{"kind":4,"body":"{\"occupancy\":17,\"room\":\"r\"}"}"#}),
                Heard::Occupancy(17),
            ),
            (serde_json::json!({"kind": 2, "payload": {"kind": 4, "body": {"occupancy": 3}}}), Heard::Occupancy(3)),
            (serde_json::json!({"kind": 2, "payload": r#"{"kind":4,"body":"{\"occupancy\":-1}"}"#}), Heard::Other),
            (serde_json::json!({"kind": 2, "payload": r#"{"kind":1,"body":"{}"}"#}), Heard::Other),
            (serde_json::json!({"kind": 2, "payload": "not json"}), Heard::Noise),
            (serde_json::json!({"kind": 99, "payload": "{}"}), Heard::Noise),
            (serde_json::json!([1, 2]), Heard::Noise),
        ] {
            assert_eq!(read(&message.to_string()), heard, "{message}");
        }
        assert_eq!(read("{\"kind\":1,"), Heard::Noise);
        assert_eq!(read(&"[".repeat(60_000)), Heard::Noise);
    }

    #[test]
    fn a_token_cannot_break_out_of_its_place() {
        let outer: Value = serde_json::from_str(&auth("a\"}\\,{")).expect("json");
        let payload: Value = serde_json::from_str(outer["payload"].as_str().expect("text")).expect("json");
        assert_eq!((outer["kind"].as_i64(), payload["access_token"].as_str()), (Some(3), Some("a\"}\\,{")));
        let outer: Value = serde_json::from_str(&join("1ABDEGJKLMNOP")).expect("json");
        assert_eq!(outer["payload"], r#"{"body":"{\"room\":\"1ABDEGJKLMNOP\"}","kind":1}"#);
    }

    proptest! {
        #[test]
        fn no_message_can_do_harm(text in "\\PC{0,200}") {
            read(&text);
        }
    }
}
