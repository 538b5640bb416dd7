//! What the chat says about the stage: who was let up, who was muted, who had to leave. Pure and tolerant.
//!
//! Numbers as observed by twifork, elizaOS's agent-twitter-client and the userscript X Spaces+.

use serde_json::Value;

use super::message::number;
use crate::source::x_space::metadata::periscope_id;

/// Ids that one message may name.
const IDS_MAX: usize = 64;

/// Longest name that is kept, in characters.
const NAME_MAX: usize = 80;

/// Something that changed on stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSign {
    /// What.
    pub change: StageChange,
    /// For whom: ids of the media side and numbers at X, as far as they are named.
    pub ids: Vec<String>,
    /// Their name, cleaned; empty where it is not said.
    pub name: String,
}

/// What may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageChange {
    /// The host let them speak.
    LetUp,
    /// They were made to leave the stage.
    Removed,
    /// They are muted.
    Muted,
    /// They are not.
    Unmuted,
}

/// Reads a chat message about the stage; none where it changes nothing that matters.
pub(super) fn read(body: &Value) -> Option<StageSign> {
    let change = match number(body, "guestBroadcastingEvent")? {
        // The countdown is over; connecting begins; the guest is live.
        9 | 12 | 13 => StageChange::LetUp,
        // The host hangs up on them; they are taken off the stage.
        10 | 15 => StageChange::Removed,
        16 => StageChange::Muted,
        17 => StageChange::Unmuted,
        _ => return None,
    };
    let own = body.get("guestRemoteID").and_then(periscope_id);
    let listed = body.get("twitter_participant_ids").and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<String> = own.into_iter().chain(listed.filter_map(periscope_id)).take(IDS_MAX).collect();
    let name = body.get("guestUsername").and_then(Value::as_str).unwrap_or_default();
    (!ids.is_empty()).then(|| StageSign { change, ids, name: crate::text::plain(name, NAME_MAX) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changes_the_stage_for_somebody_named_is_told() {
        let body = |event: Value| {
            json!({"type": 40, "guestBroadcastingEvent": event, "guestRemoteID": "1abc",
            "guestUsername": "Al\nice", "twitter_participant_ids": ["4711", "../x", 5]})
        };
        for (event, change) in [
            (json!(12), Some(StageChange::LetUp)),
            (json!(9), Some(StageChange::LetUp)),
            (json!("15"), Some(StageChange::Removed)),
            (json!(10), Some(StageChange::Removed)),
            (json!(16), Some(StageChange::Muted)),
            (json!(17), Some(StageChange::Unmuted)),
            (json!(23), None),
            (json!(null), None),
        ] {
            assert_eq!(read(&body(event.clone())).map(|sign| sign.change), change, "{event}");
        }
        let sign = read(&body(json!(16))).expect("a sign");
        assert_eq!((sign.ids, sign.name.as_str()), (vec!["1abc".to_owned(), "4711".to_owned()], "Al ice"));
        assert_eq!(read(&json!({"guestBroadcastingEvent": 15})), None, "nobody in particular");
    }
}
