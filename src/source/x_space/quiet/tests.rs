use proptest::prelude::*;

use super::*;

const PAUSE: Duration = Duration::from_secs(10);

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

fn frozen() -> Trouble {
    Trouble::Unchanged(Duration::from_secs(12))
}

/// What can happen to a session that X can be asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Happens {
    News,
    NotFound,
    Frozen,
    TimedOut,
    ListEnd,
    Running,
    Ended,
    ApiDown,
    ApiRefuses,
    ApiGone,
    ChatEnd,
}

use Happens::*;

fn on(quiet: &mut Quiet, happens: Happens, now: Instant) {
    match happens {
        News => quiet.on_news(),
        NotFound => quiet.on_trouble(&Trouble::NotFound, now),
        Frozen => quiet.on_trouble(&frozen(), now),
        TimedOut => quiet.on_trouble(&Trouble::TimedOut(Duration::from_secs(5)), now),
        ListEnd => quiet.on_list_end(now),
        Running => quiet.on_state(SpaceState::Running, now),
        Ended => quiet.on_state(SpaceState::Ended, now),
        ApiDown => quiet.on_error(&ApiError::Server(503), now),
        ApiRefuses => quiet.on_error(&ApiError::Geoblocked, now),
        ApiGone => quiet.on_error(&ApiError::NotFound(""), now),
        ChatEnd => quiet.on_chat_end(now),
    }
}

#[test]
fn the_end_by_table() {
    // What happens at which second, and whether the session is over then.
    type Row = (&'static str, &'static [(u64, Happens)], bool);
    let rows: [Row; 19] = [
        ("one 404", &[(0, NotFound)], false),
        ("404 for an hour, X says that it runs", &[(0, NotFound), (1, Running), (3600, NotFound)], false),
        ("404 for an hour, X is down", &[(0, NotFound), (1, ApiDown), (3600, NotFound), (3600, ApiDown)], false),
        ("404 and X says over", &[(0, NotFound), (1, Ended)], true),
        ("X says over and then 404", &[(0, Ended), (1, NotFound)], true),
        ("X says over while segments come", &[(0, Ended), (20, Ended), (40, Ended), (41, News)], false),
        ("X said over, segments come, 404", &[(0, Ended), (5, News), (9, NotFound)], true),
        ("X took it back", &[(0, Ended), (5, Running), (9, NotFound)], false),
        ("frozen and X says over once", &[(0, Frozen), (1, Ended)], false),
        ("frozen and X says over again at once", &[(0, Frozen), (1, Ended), (2, Ended)], false),
        ("frozen and X confirms", &[(0, Frozen), (1, Ended), (11, Ended)], true),
        ("no network and X confirms", &[(0, TimedOut), (1, Ended), (11, Ended)], true),
        ("the list ends", &[(0, ListEnd), (3600, ListEnd)], false),
        ("the list ends and the chat too", &[(0, ListEnd), (1, ChatEnd)], true),
        ("the chat ends alone", &[(0, ChatEnd), (1, Frozen), (3600, Frozen)], false),
        ("the chat ends, X is down, 404", &[(0, ChatEnd), (1, ApiDown), (2, NotFound)], true),
        ("the chat lied long ago", &[(0, ChatEnd), (100, NotFound), (101, Running)], false),
        ("X knows it no more, three times, 404", &[(0, NotFound), (1, ApiGone), (11, ApiGone), (21, ApiGone)], true),
        ("X knows it no more once, 404", &[(0, NotFound), (1, ApiGone), (900, NotFound)], false),
    ];
    for (name, story, over) in rows {
        let start = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, start);
        let mut last = start;
        for (second, happens) in story {
            last = after(start, *second);
            on(&mut quiet, *happens, last);
        }
        assert_eq!(quiet.verdict(last) == Verdict::Over, over, "{name}");
    }
}

#[test]
fn a_pasted_playlist_that_is_gone_for_long_is_over_and_one_that_stalls_is_not() {
    let now = Instant::now();
    let mut quiet = Quiet::new(false, PAUSE, now);
    assert_eq!(quiet.next_question(), None);
    quiet.on_trouble(&Trouble::NotFound, now);
    assert_eq!(quiet.verdict(after(now, 299)), Verdict::Continue);
    assert_eq!(quiet.verdict(after(now, 300)), Verdict::Over);
    quiet.on_trouble(&Trouble::Failed("no route".into()), after(now, 301));
    assert_eq!(quiet.verdict(after(now, 9999)), Verdict::Continue);
    quiet.on_list_end(now);
    assert_eq!(quiet.verdict(after(now, 9)), Verdict::Continue);
    assert_eq!(quiet.verdict(after(now, 10)), Verdict::Over);
    quiet.on_news();
    assert_eq!(quiet.verdict(after(now, 10)), Verdict::Continue);
}

#[test]
fn questions_are_asked_at_once_in_trouble_and_rarely_in_peace() {
    let now = Instant::now();
    let mut quiet = Quiet::new(true, PAUSE, now);
    assert_eq!(quiet.next_question(), Some(after(now, 60)));
    quiet.on_trouble(&Trouble::NotFound, after(now, 5));
    assert_eq!(quiet.next_question(), Some(after(now, 5)));
    quiet.on_question(after(now, 5));
    quiet.on_trouble(&Trouble::NotFound, after(now, 7));
    assert_eq!(quiet.next_question(), Some(after(now, 15)));
    // Trouble that comes and goes asks no more often than that.
    quiet.on_news();
    quiet.on_trouble(&Trouble::NotFound, after(now, 8));
    assert_eq!(quiet.next_question(), Some(after(now, 15)));
    quiet.on_error(&ApiError::RateLimited(Duration::from_secs(900)), after(now, 15));
    assert_eq!(quiet.next_question(), Some(after(now, 915)));
}

#[test]
fn expired_cookies_are_asked_about_ever_more_rarely() {
    let mut now = Instant::now();
    let mut quiet = Quiet::new(true, PAUSE, now);
    quiet.on_trouble(&Trouble::NotFound, now);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        quiet.on_question(now);
        quiet.on_error(&ApiError::Login(String::new()), now);
        let next = quiet.next_question().expect("a time");
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [30, 60, 120, 240, 300, 300]);
    quiet.on_question(now);
    quiet.on_state(SpaceState::Running, now);
    assert_eq!(quiet.next_question(), Some(now + PAUSE));
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        Just(News),
        Just(NotFound),
        Just(Frozen),
        Just(TimedOut),
        Just(ListEnd),
        Just(Running),
        Just(Ended),
        Just(ApiDown),
        Just(ApiRefuses),
        Just(ApiGone),
        Just(ChatEnd)
    ]
}

proptest! {
    /// Whatever happens in whatever order: no end without two signals, or a state that was said twice.
    #[test]
    fn no_story_without_two_signals_ends(story in proptest::collection::vec((0_u64..400, anything()), 1..60)) {
        let start = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, start);
        let (mut at, mut gone, mut said, mut list, mut chat) = (start, 0, 0, false, false);
        for (pause, happens) in story {
            at += Duration::from_secs(pause);
            on(&mut quiet, happens, at);
            gone = match happens { ApiGone => gone + 1, Running | Ended => 0, _ => gone };
            match happens {
                Ended => said += 1,
                ApiGone if gone >= GONE_ANSWERS => said += 1,
                Running => said = 0,
                NotFound | ListEnd => list = true,
                News => list = false,
                ChatEnd => chat = true,
                _ => {}
            }
            if quiet.verdict(at) == Verdict::Over {
                let signals = u32::from(said > 0) + u32::from(list) + u32::from(chat);
                prop_assert!(signals >= 2 || said >= 2, "said {said}, list {list}, chat {chat}");
                prop_assert!(happens != News);
            }
        }
    }

    /// Whatever came before: once X keeps saying that it is over and nothing new arrives, the end is found in time.
    #[test]
    fn a_confirmed_end_with_a_quiet_playlist_ends_in_bounded_time(
        story in proptest::collection::vec((0_u64..100, anything()), 0..40),
        silence in prop_oneof![Just(NotFound), Just(Frozen), Just(TimedOut), Just(ListEnd)],
    ) {
        let mut now = Instant::now();
        let mut quiet = Quiet::new(true, PAUSE, now);
        for (pause, happens) in story {
            now += Duration::from_secs(pause);
            on(&mut quiet, happens, now);
        }
        let begins = now;
        on(&mut quiet, silence, now);
        while quiet.verdict(now) == Verdict::Continue {
            let next = quiet.next_question().expect("somebody to ask").max(now);
            prop_assert!(next.saturating_duration_since(begins) <= Duration::from_secs(300 + 3 * 15), "too late");
            now = next;
            quiet.on_question(now);
            on(&mut quiet, Ended, now);
            on(&mut quiet, silence, now);
        }
    }
}
