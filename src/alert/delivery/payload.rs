//! What an alert is given: one JSON object.

use serde::Serialize;

use crate::alert::Event;

/// Version of the object; fields are added, never renamed.
const VERSION: u32 = 1;

/// One event on its way to an alert.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload<'a> {
    pub(super) show: &'a str,
    pub(super) event: &'a Event,
    /// Events before this one that the alert was too slow for.
    pub(super) left_out: u64,
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    show: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
    /// The line for people under the names by which chat services take it: `text` and `content`.
    text: &'a str,
    content: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Payload<'_> {
    /// The object, as one line.
    pub(super) fn json(&self) -> Vec<u8> {
        let text = self.text();
        let written = Written {
            v: VERSION,
            show: self.show,
            event: self.event,
            left_out: self.left_out,
            text: &text,
            content: &text,
        };
        serde_json::to_vec(&written).expect("plain data with text keys")
    }

    /// Everything in a line for people.
    fn text(&self) -> String {
        let Event { level, subject, message, doing, remedy, .. } = self.event;
        let mut text = format!("{} {}: {subject}: {message}", self.show, level.as_str());
        for (what, part) in [("The bridge", doing), ("What to do", remedy)] {
            text.extend(part.iter().map(|part| format!(" {what}: {part}")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Events, Report};
    use crate::clock::Clock;

    #[test]
    fn an_alert_is_given_the_event_the_show_and_a_line_for_people() {
        let events = Events::new(Clock::system());
        events.tell(Report::error("recording.stopped", "recording", "The disk is full.").remedy("Free some space."));
        let event = events.recent(1).remove(0);
        let json = Payload { show: "night", event: &event, left_out: 0 }.json();
        let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let line = "night error: recording: The disk is full. What to do: Free some space.";
        for (key, expected) in [
            ("show", "night"),
            ("code", "recording.stopped"),
            ("level", "error"),
            ("remedy", "Free some space."),
            ("text", line),
            ("content", line),
        ] {
            assert_eq!(value[key], expected, "{key}");
        }
        assert_eq!((&value["v"], value.get("left_out")), (&1.into(), None));
    }
}
