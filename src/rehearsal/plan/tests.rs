//! What is read as a plan, and what is refused with a line.

use super::*;
use crate::rehearsal::proxy::{Fault, Scope, Way};

#[test]
fn every_shipped_plan_is_read() {
    for (name, _) in SHIPPED {
        assert!(Plan::named(name).is_ok(), "{name}: {:?}", Plan::named(name));
    }
    let plan = Plan::named("rough_night").expect("a plan");
    assert_eq!(plan.steps[2].act, Some(Act::Space(Order::HostDrop)));
    assert_eq!(plan.length(20.0), Duration::from_secs(75), "the short form's seconds are real ones");
}

#[test]
fn the_night_takes_minutes_and_not_an_hour_at_the_speed_of_the_drill() {
    let length = Plan::named("august-12").expect("a plan").length(20.0).as_secs();
    assert!((200..360).contains(&length), "{length} s");
}

#[test]
fn only_waits_of_the_schedule_are_divided() {
    let text = "[[step]]\nwait = \"40m\"\n[[step]]\nreal = \"20s\"\nspace = { do = \"host_drop\" }";
    let plan = Plan::parse("x", text).expect("a plan");
    assert_eq!(plan.length(20.0), Duration::from_secs(140));
    assert_eq!(plan.length(1.0), Duration::from_secs(2420));
}

#[test]
fn words_for_an_ingest_are_faults_of_its_proxy() {
    for (words, fault, scope) in [
        ("do = \"kill\"", Fault::Refuse, Scope::All),
        ("do = \"freeze\"", Fault::Stall { way: Way::Both }, Scope::All),
        ("do = \"return\"", Fault::Pass, Scope::All),
        ("fault = { kind = \"reset\" }\nscope = \"living\"", Fault::Reset, Scope::Living),
        ("fault = { kind = \"stall\", way = \"up\" }", Fault::Stall { way: Way::Up }, Scope::All),
    ] {
        let plan = Plan::parse("x", &format!("[[step]]\ningest = \"youtube\"\n{words}")).expect(words);
        let act = Act::Ingest { name: "youtube".to_owned(), fault, scope };
        assert_eq!(plan.steps[0].act, Some(act), "{words}");
    }
}

#[test]
fn an_expectation_names_what_state_and_how_long() {
    let plan = Plan::parse("x", "[[step]]\nexpect = \"rumble backoff within 10s\"").expect("a plan");
    let expected =
        Expectation { output: Some("rumble".to_owned()), state: "backoff".to_owned(), within: Duration::from_secs(10) };
    assert_eq!(plan.steps[0].act, Some(Act::Expect(expected)));
}

#[test]
fn a_wrong_plan_says_what_is_wrong_and_where() {
    let late = "live_seconds = 5\nrunning_for_seconds = 0\n[[order]]\nat_seconds = 9\ndo = \"end\"";
    for (text, expected) in [
        ("", "live_seconds"),
        (late, "after the end"),
        ("nonsense = 1", "nonsense"),
        ("speed = 0.5\n[[step]]\nwait = \"1s\"", "between 1 and 100"),
        ("[[step]]\nwait = \"1s\"\n\n[[step]]\nwait = \"1\"", "line 4: `wait = \"1\"` has no unit"),
        ("\n[[step]]\nwait = \"1s\"\nreal = \"1s\"", "line 2: `wait` and `real`"),
        ("[[step]]\nspace = { do = \"host_drop\" }\nbridge = \"kill\"", "line 1: one step has one"),
        ("[[step]]\ningest = \"twitch\"\ndo = \"kill\"", "no ingest \"twitch\", only youtube, rumble"),
        ("[[step]]\ningest = \"youtube\"", "needs either"),
        ("[[step]]\nfault = { kind = \"cut\" }", "need `ingest"),
        ("[[step]]", "nothing happens"),
        ("[[step]]\nexpect = \"good\"", "is not understood"),
        ("[[step]]\nexpect = \"happy within 5s\"", "no state \"happy\""),
        ("[[step]]\nspace = { do = \"dance\" }", "line 2"),
        ("[[step]]\nwait = \"1s\"\nwhen = 3", "line 3"),
        ("not_started = true\nrunning_for_seconds = 3\n[[step]]\nwait = \"1s\"", "exclude each other"),
        ("live_seconds = 3\n[[step]]\nwait = \"1s\"", "use one"),
    ] {
        let error = Plan::parse("x", text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?} gives {error}");
    }
    assert!(Plan::named("x").expect_err("unknown").to_string().contains("plain"));
    assert!(Plan::find("/nowhere/night.toml").expect_err("no file").to_string().contains("cannot be read"));
}
