//! Captions as files: WebVTT for players, and the JSON that Podcasting 2.0 calls a transcript.

use std::fmt::Write as _;

use serde::Serialize;

use super::Cue;
use crate::episode::cue_text::{escape, rounded, time};

#[derive(Serialize)]
struct File<'a> {
    version: &'static str,
    segments: Vec<Segment<'a>>,
}

/// As <https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/examples/transcripts/transcripts.md> has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
    start_time: f64,
    end_time: f64,
    body: &'a str,
}

/// Cues as a transcript for feeds.
pub fn json(cues: &[Cue]) -> String {
    let segments = cues.iter().map(|cue| {
        let (start_time, end_time) = (rounded(cue.start), rounded(cue.end));
        Segment { speaker: cue.speaker.as_deref(), start_time, end_time, body: &cue.text }
    });
    let file = File { version: "1.0.0", segments: segments.collect() };
    serde_json::to_string(&file).expect("plain data becomes JSON") + "\n"
}

/// Cues as WebVTT, each with its speaker's voice.
pub fn webvtt(cues: &[Cue]) -> String {
    let mut text = String::from("WEBVTT\n");
    for cue in cues {
        let voice = cue.speaker.as_deref().map(|name| format!("<v {}>", escape(name))).unwrap_or_default();
        write!(text, "\n{} --> {}\n{voice}{}\n", time(cue.start), time(cue.end), escape(&cue.text))
            .expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_strangers_stay_inside_their_cue() {
        let cue = Cue { start: 1.0004, end: 3602.5, speaker: Some("a>b".into()), text: "<i> --> & \n\n x".into() };
        let cues = [cue, Cue { start: 0.0, end: 1.0, speaker: None, text: "y".into() }];
        assert_eq!(
            webvtt(&cues),
            "WEBVTT\n\n00:00:01.000 --> 01:00:02.500\n<v a&gt;b>&lt;i&gt; --&gt; &amp;    x\n\n00:00:00.000 --> 00:00:01.000\ny\n"
        );
        assert_eq!(
            json(&cues),
            "{\"version\":\"1.0.0\",\"segments\":[{\"speaker\":\"a>b\",\"startTime\":1.0,\"endTime\":3602.5,\"body\":\"<i> --> & \\n\\n x\"},{\"startTime\":0.0,\"endTime\":1.0,\"body\":\"y\"}]}\n"
        );
    }
}
