//! What a show says to people: the slate's line and the status in one sentence. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::SlateTexts;
use crate::session::SessionState;
use crate::status::ShowState;

/// From this many seconds before the start on the slate counts down; before that it names the time.
const COUNTDOWN_FROM: i64 = 60 * 60;

/// What the slate says in `state`, if the start is announced for `start` and not over yet by the platform's word.
pub(super) fn slate_line(
    texts: &SlateTexts,
    state: SessionState,
    start: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
) -> String {
    match state {
        SessionState::Connecting | SessionState::Waiting => match start {
            Some(start) => announced(texts, start, now, zone),
            None if state == SessionState::Connecting => texts.connecting.clone(),
            None => texts.waiting.clone(),
        },
        SessionState::Live => texts.live.clone(),
        SessionState::Gap => texts.gap.clone(),
        SessionState::Between => texts.next.clone(),
        SessionState::Ended => texts.ended.clone(),
    }
}

fn announced(texts: &SlateTexts, start: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let left = start.duration_since(now).as_secs_f64().ceil() as i64;
    let text = match left {
        ..=0 => texts.late.replace("{late}", &late(-left)),
        1..=COUNTDOWN_FROM => texts.countdown.replace("{left}", &time_left(left)),
        _ => texts.scheduled.clone(),
    };
    let (start, today) = (start.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if start.date() == today.date() { "%H:%M" } else { "%-d %B, %H:%M" };
    text.replace("{time}", &start.strftime(format).to_string()).replace("{zone}", &start.strftime("%Z").to_string())
}

/// Whole minutes, and in the last one steps of 10 s; rounded up, so that the start never comes before its time.
fn time_left(seconds: i64) -> String {
    match seconds {
        ..=50 => format!("{} s", (seconds + 9) / 10 * 10),
        _ => format!("{} min", (seconds + 59) / 60),
    }
}

fn late(seconds: i64) -> String {
    match seconds / 60 {
        0 => "less than a minute".to_owned(),
        minutes @ 1..60 => format!("{minutes} min"),
        minutes => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// The state of the show that belongs to a state of its session.
pub(super) fn show_state(state: SessionState) -> ShowState {
    match state {
        SessionState::Connecting | SessionState::Waiting | SessionState::Between => ShowState::Waiting,
        SessionState::Live => ShowState::Live,
        SessionState::Gap => ShowState::Gap,
        SessionState::Ended => ShowState::Ending,
    }
}

/// What a show's sentence is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// Where the show stands.
    pub(super) state: ShowState,
    /// How many outputs are live, and how many there are.
    pub(super) outputs: (usize, usize),
    /// When the space is announced for.
    pub(super) start: Option<Timestamp>,
    /// When the outputs open, while they are closed.
    pub(super) opens_at: Option<Timestamp>,
    /// Until when the host's next space is waited for.
    pub(super) holds_until: Option<Timestamp>,
    /// Now, by the schedule's clock.
    pub(super) now: Timestamp,
}

/// The show in one sentence.
pub(super) fn sentence(show: &Situation) -> String {
    match show.state {
        ShowState::Starting => "Getting ready.".to_owned(),
        ShowState::Waiting => waiting(show),
        ShowState::Live => live(show.outputs),
        ShowState::Gap => "The space has dropped out; the outputs go on with the slate.".to_owned(),
        ShowState::Ending => "The space is over; closing.".to_owned(),
        ShowState::Suspended => "Suspended: the recording is safe, run again to go on.".to_owned(),
        ShowState::Ended => "Over.".to_owned(),
    }
}

/// Nobody is told that it is on the air while no output is.
fn live(outputs: (usize, usize)) -> String {
    match outputs {
        (_, 0) => "The space is live and being recorded.".to_owned(),
        (0, _) => "The space is live; no output is on the air yet.".to_owned(),
        (live, all) if live < all => format!("The space is live; {live} of {all} outputs are on the air."),
        _ => "The space is live and on the air.".to_owned(),
    }
}

fn waiting(show: &Situation) -> String {
    let at = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
    if let Some(opens) = show.opens_at {
        return format!(
            "Goes on the air at {}, or with the first sound; the outputs are closed until then.",
            at(opens)
        );
    }
    if let Some(until) = show.holds_until {
        return format!("The space is over; the host's next one is waited for until {}.", at(until));
    }
    match show.start.filter(|start| *start > show.now) {
        Some(start) => format!("The space is announced for {}.", at(start)),
        None => "Waiting for the space.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "2024-08-12T18:00:00Z";

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn line(texts: &SlateTexts, state: SessionState, start: Option<&str>, now: &str) -> String {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        slate_line(texts, state, start.map(time), time(now), &zone)
    }

    #[test]
    fn the_slate_names_the_time_then_counts_down_and_then_waits_however_late_it_gets() {
        let texts = SlateTexts::default();
        for (now, expected) in [
            ("2024-08-11T18:00:00Z", "Starts at 12 August, 20:00 CEST"),
            ("2024-08-12T16:59:59Z", "Starts at 20:00 CEST"),
            ("2024-08-12T17:00:00Z", "Starts in 60 min"),
            ("2024-08-12T17:47:30Z", "Starts in 13 min"),
            ("2024-08-12T17:48:00Z", "Starts in 12 min"),
            ("2024-08-12T17:58:59.9Z", "Starts in 2 min"),
            ("2024-08-12T17:59:00Z", "Starts in 1 min"),
            ("2024-08-12T17:59:09.9Z", "Starts in 1 min"),
            ("2024-08-12T17:59:10Z", "Starts in 50 s"),
            ("2024-08-12T17:59:19.1Z", "Starts in 50 s"),
            ("2024-08-12T17:59:50Z", "Starts in 10 s"),
            ("2024-08-12T17:59:59.9Z", "Starts in 10 s"),
            ("2024-08-12T18:00:00Z", "Waiting for the space to open"),
            ("2024-08-12T20:41:00Z", "Waiting for the space to open"),
        ] {
            for state in [SessionState::Connecting, SessionState::Waiting] {
                assert_eq!(line(&texts, state, Some(START), now), expected, "{now} {state:?}");
            }
        }
    }

    #[test]
    fn without_an_announced_start_the_slate_says_what_is_being_done() {
        let texts = SlateTexts::default();
        let plain = |state| line(&texts, state, None, START);
        assert_eq!(plain(SessionState::Connecting), "Connecting to the space");
        assert_eq!(plain(SessionState::Waiting), "Waiting for the space to open");
        assert_eq!(plain(SessionState::Between), "The space is over; waiting for the next one");
    }

    #[test]
    fn an_operators_own_texts_may_tell_all_of_it() {
        let texts = SlateTexts {
            countdown: "{left} until {time} {zone}".into(),
            late: "{late} late, announced for {time}".into(),
            ..SlateTexts::default()
        };
        let at = |now| line(&texts, SessionState::Waiting, Some(START), now);
        assert_eq!(at("2024-08-12T17:30:00Z"), "30 min until 20:00 CEST");
        assert_eq!(at("2024-08-12T18:00:30Z"), "less than a minute late, announced for 20:00");
        assert_eq!(at("2024-08-12T18:40:59Z"), "40 min late, announced for 20:00");
        assert_eq!(at("2024-08-12T20:05:00Z"), "2 h 5 min late, announced for 20:00");
    }

    #[test]
    fn a_show_that_waits_says_for_what() {
        let now = time("2024-08-12T17:00:00Z");
        let show = Situation {
            state: ShowState::Waiting,
            outputs: (0, 2),
            start: Some(time(START)),
            opens_at: None,
            holds_until: None,
            now,
        };
        assert_eq!(sentence(&show), "The space is announced for 2024-08-12 18:00 UTC.");
        let closed = Situation { opens_at: Some(time("2024-08-12T17:50:00Z")), ..show };
        assert!(sentence(&closed).starts_with("Goes on the air at 2024-08-12 17:50 UTC"));
        let between = Situation { holds_until: Some(time("2024-08-12T21:30:00Z")), ..show };
        assert!(sentence(&between).ends_with("waited for until 2024-08-12 21:30 UTC."));
        let words = |live| sentence(&Situation { state: ShowState::Live, outputs: (live, 2), ..show });
        assert_eq!(words(0), "The space is live; no output is on the air yet.");
        assert_eq!(words(1), "The space is live; 1 of 2 outputs are on the air.");
        assert_eq!(words(2), "The space is live and on the air.");
    }
}
