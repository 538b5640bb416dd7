//! Turns as files: JSON for programs, WebVTT for players.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Turn, totals};
use crate::episode::cue_text::{escape, millis, rounded, time};

#[derive(Serialize)]
struct File<'a> {
    version: u32,
    session: &'a str,
    speakers: Vec<Speaker<'a>>,
    turns: &'a [Turn],
}

#[derive(Serialize)]
struct Speaker<'a> {
    handle: &'a str,
    seconds: f64,
}

/// Turns as JSON: `speakers` with their seconds, and `turns` with start, end, handle and host.
pub fn json(session: &str, turns: &[Turn]) -> String {
    let speakers =
        totals(turns).into_iter().map(|(handle, seconds)| Speaker { handle, seconds: rounded(seconds) }).collect();
    let turns: Vec<Turn> =
        turns.iter().map(|turn| Turn { start: rounded(turn.start), end: rounded(turn.end), ..turn.clone() }).collect();
    let file = File { version: 1, session, speakers, turns: &turns };
    serde_json::to_string(&file).expect("plain data becomes JSON") + "\n"
}

/// Turns as WebVTT: one cue each, with a voice; the host's has the class `host`.
pub fn webvtt(turns: &[Turn]) -> String {
    let mut text = String::from("WEBVTT\n");
    for turn in turns.iter().filter(|turn| millis(turn.end) > millis(turn.start)) {
        let (handle, class) = (escape(&turn.handle), if turn.host { ".host" } else { "" });
        let words = if turn.host { format!("{handle} (host)") } else { handle.clone() };
        write!(text, "\n{} --> {}\n<v{class} {handle}>{words}\n", time(turn.start), time(turn.end))
            .expect("writing to a string cannot fail");
    }
    text
}
