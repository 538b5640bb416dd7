use proptest::prelude::*;

use super::*;
use crate::source::SegmentFact;

const SECOND: i64 = 48_000;

/// Levels of one a second from media time `start` on, with the names of the guests.
fn levels(start: i64, names: &[&str], heard: &[&[u32]]) -> Levels {
    let mut levels = Levels::default();
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    levels.add(start, SegmentFact::Participants { offset: 0, names });
    for (n, levels_now) in heard.iter().enumerate() {
        let fact = SegmentFact::AudioLevels { offset: n as u64 * 48_000, levels: levels_now.to_vec() };
        levels.add(start, fact);
    }
    levels.sort();
    levels
}

fn told(turns: &[Turn]) -> Vec<(f64, f64, &str)> {
    turns.iter().map(|turn| (turn.start, turn.end, turn.handle.as_str())).collect()
}

#[test]
fn voices_are_the_host_and_then_the_guests_and_may_overlap() {
    let levels = levels(0, &["ann", "bob"], &[&[20, 0, 0], &[20, 9, 0], &[8, 30, 0], &[0, 0, 12], &[0, 0, 0]]);
    let turns = turns(&levels, Some("@somebody"), &(0..10 * SECOND));
    assert_eq!(told(&turns), [(0.0, 2.0, "somebody"), (1.0, 3.0, "ann"), (3.0, 4.0, "bob")]);
    assert!(turns[0].host && !turns[1].host);
    assert_eq!(totals(&turns), [("ann", 2.0), ("somebody", 2.0), ("bob", 1.0)]);
}

#[test]
fn a_breath_parts_no_turn_and_a_flicker_is_none() {
    let mut fine = Levels::default();
    for (ms, level) in [(0, 20), (1000, 20), (2000, 0), (2900, 20), (4000, 0), (9000, 20), (9200, 0)] {
        fine.add(0, SegmentFact::AudioLevels { offset: ms * 48, levels: vec![level] });
    }
    fine.sort();
    assert_eq!(told(&turns(&fine, None, &(0..20 * SECOND))), [(0.0, 4.0, "host")]);
}

#[test]
fn who_is_heard_apart_talks_until_told_otherwise() {
    let mut levels = Levels::default();
    assert!(levels.is_empty());
    let mut talk = |at: i64, names: &[&str]| {
        levels.add_talking(at * SECOND, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    };
    talk(30, &["a\nnn"]);
    talk(2, &["@ann", "bob"]);
    talk(10, &["bob"]);
    talk(12, &[]);
    levels.sort();
    assert!(!levels.is_empty());
    let turns = turns(&levels, Some("bob"), &(SECOND..1000 * SECOND));
    assert_eq!(told(&turns), [(1.0, 9.0, "ann"), (1.0, 11.0, "bob"), (29.0, 329.0, "a nn")]);
    assert!(turns[1].host && !turns[0].host);
}

#[test]
fn a_level_without_a_next_one_does_not_talk_for_ever() {
    let levels = levels(0, &[], &[&[20]]);
    assert_eq!(told(&turns(&levels, None, &(0..100 * SECOND))), [(0.0, 2.0, "host")]);
}

#[test]
fn seconds_count_from_the_first_sample_of_a_file_that_was_trimmed_or_begins_before_we_joined() {
    let levels = levels(-10 * SECOND, &["ann"], &[&[0, 20], &[0, 20], &[0, 20], &[0, 0]]);
    let of = |range: Range<i64>| told(&turns(&levels, None, &range)).iter().map(|t| (t.0, t.1)).collect::<Vec<_>>();
    assert_eq!(of(-10 * SECOND..0), [(0.0, 3.0)]);
    assert_eq!(of(-9 * SECOND..-8 * SECOND), [(0.0, 1.0)]);
    assert_eq!(of(0..SECOND), []);
}

#[test]
fn guests_whose_names_are_not_known_yet_have_a_number() {
    let levels = levels(0, &[], &[&[0, 20, 20]]);
    let turns = turns(&levels, None, &(0..SECOND));
    assert_eq!(turns.iter().map(|turn| turn.handle.as_str()).collect::<Vec<_>>(), ["speaker 1", "speaker 2"]);
}

fn turn(start: f64, end: f64, handle: &str) -> Turn {
    Turn { start, end, handle: handle.to_owned(), host: handle == "host" }
}

#[test]
fn a_new_main_speaker_is_a_change_and_a_question_in_between_is_none() {
    let talk = [
        turn(0.0, 100.0, "host"),
        turn(30.0, 33.0, "ann"),
        turn(100.0, 400.0, "ann"),
        turn(200.0, 210.0, "host"),
        turn(400.0, 420.0, "bob"),
        turn(420.0, 500.0, "ann"),
        turn(500.0, 700.0, "host"),
    ];
    let changes = speaker_changes(&talk, Duration::from_secs(60));
    let told: Vec<_> = changes.iter().map(|(at, who)| (*at, who.as_str())).collect();
    assert_eq!(told, [(0.0, "host"), (100.0, "ann"), (500.0, "host")]);
    assert!(speaker_changes(&talk, Duration::from_secs(3600)).is_empty());
    assert!(speaker_changes(&[], Duration::from_secs(60)).is_empty());
}

#[test]
fn hostile_handles_stay_inside_their_cue_and_their_string() {
    let hostile = "a<b>\n\n00:00 --> 00:01&\u{202e}\"";
    let levels = levels(0, &[hostile], &[&[0, 20], &[0, 20]]);
    let turns = turns(&levels, Some("</v><script>"), &(0..SECOND * 2));
    let vtt = webvtt(&turns);
    assert_eq!(vtt.matches("-->").count(), 1, "{vtt}");
    assert!(vtt.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n<v a&lt;b&gt; 00:00 --&gt; 00:01&amp;"), "{vtt}");
    let json: serde_json::Value = serde_json::from_str(&json("s", &turns)).expect("JSON");
    assert_eq!(json["turns"][0]["end"], 2.0);
    assert!(
        webvtt(&[turn(3599.9996, 7322.5, "host")]).contains("01:00:00.000 --> 02:02:02.500\n<v.host host>host (host)")
    );
}

proptest! {
    #[test]
    fn fuzz_speakers(
        heard in proptest::collection::vec((any::<i64>(), proptest::collection::vec(any::<u32>(), 0..6)), 0..40),
        names in proptest::collection::vec(".{0,60}", 0..6),
        start in any::<i64>(),
        length in 0..1_000_000_i64,
    ) {
        let mut levels = Levels::default();
        levels.add(start, SegmentFact::Participants { offset: 0, names });
        for (at, now) in heard {
            levels.add(at, SegmentFact::AudioLevels { offset: 0, levels: now });
        }
        levels.sort();
        let turns = turns(&levels, Some(".*"), &(start..start.saturating_add(length)));
        let end = length as f64 / 48_000.0;
        prop_assert!(turns.iter().all(|turn| turn.start >= 0.0 && turn.start < turn.end && turn.end <= end + 1e-6));
        speaker_changes(&turns, Duration::from_secs(60));
        webvtt(&turns);
    }
}
