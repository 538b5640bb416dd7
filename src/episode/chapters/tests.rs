use proptest::prelude::*;

use super::*;

fn list(chapters: &[(f64, &str)]) -> Vec<Chapter> {
    chapters.iter().map(|(start, title)| Chapter::new(*start, *title)).collect()
}

#[test]
fn a_list_in_disorder_with_hostile_titles_becomes_one_that_every_reader_takes() {
    let raw =
        [(90.0, "b\u{1b}[2J\nc"), (30.0, "\u{202E}a"), (90.0002, "d"), (500.0, "behind the end"), (40.0, "\u{7}")];
    let tidied = tidy(list(&raw), 400.0, Some("The night"));
    assert_eq!(tidied, list(&[(0.0, "The night"), (30.0, "a"), (40.0, "Chapter 3"), (90.0, "d")]));
    assert_eq!(tidy(list(&[(5.0, "x")]), 10.0, None)[0], Chapter::new(0.0, "Start"));
    assert!(tidy(Vec::new(), 10.0, Some("The night")).is_empty(), "no chapters are no chapter");
}

#[test]
fn a_mark_before_the_cut_names_the_start_of_the_file() {
    let mark =
        |seconds: i64, title: &str| MarkFact { session: "s".into(), media_time: seconds * 48_000, title: title.into() };
    let chapters = from_marks(&[mark(-20, "waiting"), mark(10, "hello"), mark(100, "news")], 30 * 48_000);
    assert_eq!(tidy(chapters, 600.0, None), list(&[(0.0, "hello"), (70.0, "news")]));
}

#[test]
fn a_file_of_lines_is_read_and_a_wrong_line_is_named() {
    let read = parse("0:00 Start\n\n 3:21 - The news\r\n1:02:03.5 Questions & answers\n75:00 Late\n");
    let wanted = list(&[(0.0, "Start"), (201.0, "The news"), (3723.5, "Questions & answers"), (4500.0, "Late")]);
    assert_eq!(read, Ok(wanted));
    for (text, line) in [
        ("0:00 a\n1:60 b", 2),
        ("0:00 a\n\nwelcome", 3),
        ("0:00", 1),
        ("1:70:00 a", 1),
        ("0:0 a", 1),
        ("-1:00 a", 1),
        ("1:2:3:4 a", 1),
        ("99999:00 a", 1),
        ("٣:٢١ a", 1),
        ("NaN:00 a", 1),
        ("9999:00:00 a", 1),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.to_string().starts_with(&format!("line {line} is no chapter")), "{text:?}: {error}");
    }
    assert_eq!(parse("0:00 :"), Ok(list(&[(0.0, ":")])), "a title of a dash alone is one");
    assert_eq!(parse("\n"), Err(ChapterError::Empty));
    assert_eq!(parse(&"0:00 x\n".repeat(MOST + 1)), Err(ChapterError::TooMany));
}

#[test]
fn a_json_file_is_read_and_a_wrong_line_is_named() {
    let chapters = list(&[(0.0, "Start"), (168.25, "Hearing \"aids\"")]);
    let json = podcast_json(&chapters, Some("Episode"));
    assert_eq!(parse(&json), Ok(chapters));
    assert!(json.contains("\"version\": \"1.2.0\"") && json.contains("\"startTime\": 168.25"), "{json}");
    let hidden = parse(r#"{"version":"1.2.0","chapters":[{"startTime":0,"title":"a"},{"startTime":9,"toc":false}]}"#);
    assert_eq!(hidden, Ok(list(&[(0.0, "a")])));
    let error = parse("{\"chapters\": [\n{\"startTime\": \"x\"}]}").expect_err("no number");
    assert!(error.to_string().starts_with("line 2 "), "{error}");
    let error = parse("{\"chapters\": [{\"startTime\": -1}]}").expect_err("a time before the start");
    assert!(error.to_string().contains("chapter 1 begins at -1 s"), "{error}");
}

#[test]
fn youtube_gets_only_what_it_takes() {
    let chapters = list(&[(0.0, "Start <b>"), (5.0, "too near"), (62.9, "News"), (3723.0, "End"), (7195.0, "short")]);
    let made = youtube(&chapters, 7200.0, "");
    assert_eq!(made.lines, "0:00 Start b\n1:02 News\n1:02:03 End\n");
    assert_eq!(made.notes.len(), 2, "{:?}", made.notes);
    let few = youtube(&chapters[..3], 7200.0, "");
    assert!(few.lines.is_empty() && few.notes.iter().any(|note| note.contains("at least 3")), "{few:?}");
    assert_eq!(youtube(&[], 7200.0, "").lines, "");
}

#[test]
fn opus_and_flac_chapters_are_numbered_comments() {
    let comments = vorbis_comments(&list(&[(0.0, "Start"), (3723.25, "News")]));
    let wanted = ["CHAPTER000=00:00:00.000", "CHAPTER000NAME=Start", "CHAPTER001=01:02:03.250", "CHAPTER001NAME=News"];
    assert_eq!(comments, wanted);
}

fn any_list() -> impl Strategy<Value = Vec<Chapter>> {
    let chapter = (-100.0..20_000.0_f64, "\\PC{0,200}").prop_map(|(start, title)| Chapter::new(start, title));
    prop::collection::vec(chapter, 0..80)
}

proptest! {
    #[test]
    fn a_tidy_list_keeps_every_promise(chapters in any_list(), duration in 0.0..20_000.0_f64, title in "\\PC{0,50}") {
        let some = chapters.iter().any(|chapter| chapter.start < duration);
        let tidied = tidy(chapters, duration, Some(&title));
        prop_assert_eq!(tidied.first().map(|first| first.start), some.then_some(0.0));
        for pair in tidied.windows(2) {
            prop_assert!(pair[0].start < pair[1].start && pair[1].start <= duration + 0.001);
        }
        for chapter in &tidied {
            prop_assert!(!chapter.title.is_empty() && chapter.title.len() <= LONGEST_TITLE_BYTES);
            prop_assert!(!chapter.title.chars().any(char::is_control));
        }
        prop_assert_eq!(tidy(tidied.clone(), duration.max(0.001) + 1.0, None), tidied);
    }

    #[test]
    fn lines_for_youtube_obey_its_rules(chapters in any_list(), duration in 0.0..20_000.0_f64, room in 0_usize..6000) {
        let description = "x".repeat(room);
        let lines = youtube(&tidy(chapters, duration, None), duration, &description).lines;
        if !lines.is_empty() {
            let read = parse(&lines).expect("they can be read again");
            prop_assert!(read.len() >= 3 && read[0].start == 0.0 && lines.starts_with("0:00 "));
            prop_assert!(read.windows(2).all(|pair| pair[1].start - pair[0].start >= 10.0));
            prop_assert!(read.last().is_some_and(|last| last.start + 10.0 <= duration));
            prop_assert!(!lines.contains(['<', '>']));
            let between = if room == 0 { 0 } else { 2 };
            prop_assert!(room + between + lines.len() <= 5000);
        }
    }

    #[test]
    fn fuzz_chapters_file(text in any::<String>()) {
        drop(parse(&text));
        drop(parse(&format!("{{\"chapters\":{text}")));
    }
}
