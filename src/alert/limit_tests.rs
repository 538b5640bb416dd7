//! The limit by table: what is told when.

use proptest::prelude::*;

use super::*;

fn warning(message: &str) -> Report {
    Report::warning("source.failed", "source", message)
}

/// A limiter with its own time.
struct Desk {
    limiter: Limiter,
    start: Instant,
    told: Vec<String>,
}

impl Desk {
    fn new() -> Self {
        Self { limiter: Limiter::default(), start: Instant::now(), told: Vec::new() }
    }

    fn keep(&mut self, told: Vec<Told>) -> &[String] {
        self.told = told.into_iter().map(|told| told.report.message).collect();
        &self.told
    }

    fn report(&mut self, at: f64, report: Report) -> &[String] {
        let now = self.start + Duration::from_secs_f64(at);
        let wall = Timestamp::UNIX_EPOCH + Duration::from_secs_f64(at);
        let told = self.limiter.on_report(report, now, wall);
        self.keep(told)
    }

    fn time(&mut self, at: f64) -> &[String] {
        let told = self.limiter.on_time(self.start + Duration::from_secs_f64(at));
        self.keep(told)
    }
}

#[test]
fn a_thousand_equal_warnings_are_one_line_and_a_number() {
    let mut desk = Desk::new();
    let mut lines = Vec::new();
    for index in 0..1000 {
        lines
            .extend_from_slice(desk.report(f64::from(index) * 0.01, warning(&format!("Answer 503 after {index} ms."))));
    }
    assert_eq!(lines, ["Answer 503 after 0 ms."]);
    assert_eq!(desk.time(59.9), [""; 0]);
    assert_eq!(desk.time(60.0), ["Answer 503 after 999 ms. (999 more times in 60 s)"]);
    assert_eq!(desk.time(10_000.0), [""; 0], "a trouble that is over is told no more");
}

#[test]
fn the_numbers_of_all_lines_together_are_the_number_of_reports() {
    let mut desk = Desk::new();
    let mut sum = 0;
    for second in 0..3600 {
        let now = desk.start + Duration::from_secs(second);
        let told = desk.limiter.on_report(warning("Answer 503."), now, Timestamp::UNIX_EPOCH);
        sum += told.iter().map(|told| told.count).sum::<u64>();
    }
    let last = desk.limiter.finish(desk.start + Duration::from_secs(3600));
    assert_eq!(sum + last.iter().map(|told| told.count).sum::<u64>(), 3600);
    assert_eq!(last[0].report.since, Some(Timestamp::UNIX_EPOCH), "the whole trouble's beginning");
}

#[test]
fn an_hours_trouble_is_told_ever_more_rarely() {
    let mut desk = Desk::new();
    let lines: usize = (0..3600).map(|second| desk.report(f64::from(second), warning("Answer 503.")).len()).sum();
    // At 0, 1, 3, 7, 15, 25, 35, 45 and 55 minutes.
    assert_eq!(lines, 9);
}

#[test]
fn another_text_level_or_subject_is_another_trouble() {
    let mut desk = Desk::new();
    for (report, told) in [
        (warning("Answer 503."), true),
        (warning("Answer 503."), false),
        (warning("Answer 429."), true),
        (warning("The connection failed."), true),
        (Report::error("source.failed", "source", "Answer 503."), true),
        (Report::warning("source.failed", "source 2", "Answer 503."), true),
        (Report::warning("source.slow", "source", "Answer 503."), true),
        (warning("The connection failed."), false),
    ] {
        let text = format!("{report:?}");
        assert_eq!(desk.report(1.0, report).len(), usize::from(told), "{text}");
    }
}

#[test]
fn amounts_make_no_new_trouble_and_codes_and_addresses_do() {
    for (one, other, same) in [
        ("3.0 s are missing: gone", "12.5 s are missing: gone", true),
        ("Answered 503; tried in 4 s", "Answered 503; tried in 15 s", true),
        ("Answered 503; tried in 4 s", "Answered 429; tried in 4 s", false),
        ("the address 127.0.0.1 was refused", "the address 169.254.169.254 was refused", false),
        ("chunk_1700_00012345_a.aac answered 404", "chunk_1703_00012346_a.aac answered 404", true),
        ("It holds 12 MB.", "It holds 7 MB.", true),
        ("output 1 broke", "output 2 broke", false),
    ] {
        assert_eq!(shape(one) == shape(other), same, "{one} / {other}");
    }
}

#[test]
fn a_change_of_state_is_never_counted_away_and_ends_the_trouble_before_it() {
    let mut desk = Desk::new();
    let (broke, live) = (
        || Report::warning("output.broke", "output a", "The connection broke."),
        || Report::info("output.live", "output a", "On the air."),
    );
    assert_eq!(desk.report(0.0, broke()), ["The connection broke."]);
    assert_eq!(desk.report(1.0, broke()), [""; 0]);
    assert_eq!(desk.report(2.0, live()), ["The connection broke. (1 more time in 2 s)", "On the air."]);
    assert_eq!(desk.report(3.0, broke()), ["The connection broke."]);
    assert_eq!(desk.report(4.0, live()), ["On the air."]);
}

#[test]
fn a_flood_of_different_texts_has_an_end_and_hides_no_error() {
    let mut desk = Desk::new();
    let words = |index: u32| "x".repeat(index as usize % 977 + 1);
    let told: usize = (0..5000).map(|index| desk.report(1.0, warning(&words(index))).len()).sum();
    assert!((200..=205).contains(&told), "{told}");
    assert_eq!(desk.report(1.0, Report::error("recording.lost", "recording", "Lost.")), ["Lost."]);
    let told = desk.time(11.0).join(" ");
    assert!(told.contains("more events were left out."), "{told}");
    assert!(desk.limiter.windows.len() <= MOST_WINDOWS && desk.limiter.order.len() <= MOST_WINDOWS);
}

#[test]
fn what_a_stage_says_of_a_beginning_is_kept() {
    let mut desk = Desk::new();
    let began = Timestamp::UNIX_EPOCH - Duration::from_secs(50);
    for at in [0.0, 1.0] {
        desk.report(at, warning("Answer 503.").since(began));
    }
    let told = desk.limiter.finish(desk.start + Duration::from_secs(2));
    assert_eq!((told[0].report.since, told[0].count), (Some(began), 1));
}

proptest! {
    #[test]
    fn no_row_of_reports_is_told_without_bound_or_loses_its_count(
        row in proptest::collection::vec((0_u8..4, 0_u8..3, 0_u16..2000), 0..400),
    ) {
        let mut desk = Desk::new();
        let (mut now, mut sum, mut left_out) = (0.0, 0, 0);
        let mut add = |told: Vec<Told>| for told in told {
            match told.report.code.as_str() {
                LEFT_OUT => left_out += told.report.message.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0),
                _ => sum += told.count,
            }
        };
        for (text, kind, pause) in &row {
            now += f64::from(*pause) / 1000.0;
            let message = ["One.", "Two.", "Three.", "Four."][usize::from(*text)];
            let report = match kind {
                0 => Report::info("i", "s", message),
                1 => Report::warning("w", "s", message),
                _ => Report::error("e", "s", message),
            };
            let at = desk.start + Duration::from_secs_f64(now);
            add(desk.limiter.on_report(report, at, Timestamp::UNIX_EPOCH));
        }
        add(desk.limiter.finish(desk.start + Duration::from_secs_f64(now)));
        prop_assert_eq!(sum + left_out, row.len() as u64);
    }
}
