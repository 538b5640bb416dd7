//! What a show says to people: the slate's line and the status in one sentence. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::SlateTexts;
use crate::session::SessionState;
use crate::status::ShowState;

/// What the slate says in `state`.
pub(super) fn slate_line(
    texts: &SlateTexts,
    state: SessionState,
    start: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
) -> String {
    match state {
        SessionState::Connecting => texts.connecting.clone(),
        SessionState::Waiting => match start.filter(|start| *start > now) {
            Some(start) => fill(&texts.scheduled, start, now, zone),
            None => texts.waiting.clone(),
        },
        SessionState::Live => texts.live.clone(),
        SessionState::Gap => texts.gap.clone(),
        SessionState::Ended => texts.ended.clone(),
    }
}

fn fill(text: &str, start: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (start, today) = (start.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if start.date() == today.date() { "%H:%M" } else { "%-d %B, %H:%M" };
    text.replace("{time}", &start.strftime(format).to_string()).replace("{zone}", &start.strftime("%Z").to_string())
}

/// The state of the show that belongs to a state of its session.
pub(super) fn show_state(state: SessionState) -> ShowState {
    match state {
        SessionState::Connecting | SessionState::Waiting => ShowState::Waiting,
        SessionState::Live => ShowState::Live,
        SessionState::Gap => ShowState::Gap,
        SessionState::Ended => ShowState::Ending,
    }
}

/// The show in one sentence.
pub(super) fn sentence(state: ShowState, has_outputs: bool, start: Option<Timestamp>, now: Timestamp) -> String {
    let where_to = if has_outputs { "on the air" } else { "being recorded" };
    match state {
        ShowState::Starting => "Getting ready.".to_owned(),
        ShowState::Waiting => match start.filter(|start| *start > now) {
            Some(start) => format!("The space is announced for {}.", start.strftime("%Y-%m-%d %H:%M UTC")),
            None => "Waiting for the space.".to_owned(),
        },
        ShowState::Live => format!("The space is live and {where_to}."),
        ShowState::Gap => "The space has dropped out; the outputs go on with the slate.".to_owned(),
        ShowState::Ending => "The space is over; closing.".to_owned(),
        ShowState::Suspended => "Suspended: the recording is safe, run again to go on.".to_owned(),
        ShowState::Ended => "Over.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_start_is_told_in_the_configured_zone() {
        let texts = SlateTexts::default();
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let now: Timestamp = "2024-08-12T17:30:00Z".parse().expect("a time");
        let start: Timestamp = "2024-08-12T18:00:00Z".parse().expect("a time");
        let line = |state, start, now| slate_line(&texts, state, start, now, &zone);
        assert_eq!(line(SessionState::Waiting, Some(start), now), "Starts at 20:00 CEST");
        assert_eq!(line(SessionState::Waiting, Some(start), start), "Waiting for the space to open");
        let tomorrow: Timestamp = "2024-08-13T18:00:00Z".parse().expect("a time");
        assert_eq!(line(SessionState::Waiting, Some(tomorrow), now), "Starts at 13 August, 20:00 CEST");
    }
}
