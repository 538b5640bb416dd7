//! The list beside the files: who is who, and who was there when. Pure.

use serde_json::{Value, json};

use super::{Extent, Voice};
use crate::media::SAMPLE_RATE;
use crate::recording::{SessionArchive, SpeakerChange};

/// The list as JSON. Times are seconds of the files.
pub(in crate::episode) fn json(
    session: &SessionArchive,
    extent: Extent,
    mix: Option<&str>,
    voices: &[(Voice, String)],
) -> String {
    let stems: Vec<Value> = voices.iter().map(|(voice, file)| stem(session, extent, voice, file)).collect();
    let list = json!({
        "version": 1,
        "session": session.info.session,
        "sample_rate": SAMPLE_RATE,
        "media_time": extent.origin,
        "samples": extent.length,
        "seconds": seconds(extent.length as i64),
        "mix": mix,
        "stems": stems,
    });
    format!("{list:#}\n")
}

fn stem(session: &SessionArchive, extent: Extent, voice: &Voice, file: &str) -> Value {
    let within = |media_time: i64| media_time.saturating_sub(extent.origin).clamp(0, extent.length as i64);
    let facts = || session.speakers.iter().filter(|fact| fact.speaker == voice.id);
    let mut present: Vec<(i64, i64)> = Vec::new();
    let mut since: Option<i64> = None;
    for fact in facts() {
        match fact.change {
            SpeakerChange::Joined => since = Some(fact.media_time),
            SpeakerChange::Renamed => {}
            SpeakerChange::Left => present.extend(since.take().map(|since| (since, fact.media_time))),
        }
    }
    present.extend(since.map(|since| (since, i64::MAX)));
    let present =
        present.into_iter().map(|(start, end)| (within(start), within(end))).filter(|(start, end)| start < end);
    let present: Vec<Value> =
        present.map(|(start, end)| json!({"start": seconds(start), "end": seconds(end)})).collect();
    let named = facts().filter(|fact| fact.change != SpeakerChange::Left);
    let names: Vec<Value> =
        named.map(|fact| json!({"start": seconds(within(fact.media_time)), "name": fact.name})).collect();
    json!({
        "file": file,
        "speaker": voice.id,
        "name": voice.names.last(),
        "names": names,
        "present": present,
    })
}

fn seconds(samples: i64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
