//! `spacebridge mark`: names a place, in what is on the air or in a recording.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::recordings::{Place, edited};
use super::words::{clean, clock, whole};
use super::{client_of, runtime, say, say_json};
use crate::bridge::protocol::MarkAccepted;
use crate::media::SAMPLE_RATE;
use crate::recording::{Archive, MarkFact, SessionArchive};
use crate::text;

/// Longest title, in characters: what a chapter list shows.
const TITLE_MAX: usize = 200;

/// Arguments of `mark`.
#[derive(Debug, Clone, Args)]
pub struct MarkArgs {
    /// What it is about, such as "Climate"
    pub title: String,
    /// Name of the show; needed if several are on the air
    #[arg(long, conflicts_with = "recording")]
    pub show: Option<String>,
    /// Mark a place in this recording instead
    #[arg(long, value_name = "NAME", requires = "at")]
    pub recording: Option<String>,
    /// Where in the recording, such as 1:02:03
    #[arg(long, value_name = "TIME", requires = "recording", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Which session of the recording; needed if it has several
    #[arg(long, value_name = "ID", requires = "recording")]
    pub session: Option<String>,
    /// Where recordings are.
    #[command(flatten)]
    pub place: Place,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Marks, and says where.
pub(super) fn run(args: &MarkArgs) -> anyhow::Result<ExitCode> {
    let marked = match &args.recording {
        Some(name) => afterwards(args, name)?,
        None => {
            let client = client_of(args.show.as_deref())?;
            runtime()?.block_on(client.mark(&args.title))?
        }
    };
    if args.json {
        say_json(&marked)?;
    } else {
        let sign = if marked.seconds < 0.0 { "-" } else { "" };
        let at = clock(whole(marked.seconds.abs()));
        say(&format!("Marked at {sign}{at} of {}: {}", clean(&marked.session), clean(&marked.title)));
    }
    Ok(ExitCode::SUCCESS)
}

fn afterwards(args: &MarkArgs, name: &str) -> anyhow::Result<MarkAccepted> {
    let title = text::plain(&args.title, TITLE_MAX);
    anyhow::ensure!(!title.is_empty(), "a mark needs a title");
    let folder = args.place.find(name)?;
    let archive = Archive::read(&folder)?;
    let session = session_of(&archive, args.session.as_deref())?;
    let at = args.at.as_deref().context("--at says where, such as --at 1:02:03")?;
    let seconds = seconds_of(at).with_context(|| format!("{at:?} is no time: write 1:02:03, 12:40 or 95.5"))?;
    let media_time = (seconds * f64::from(SAMPLE_RATE)).round() as i64;
    let (start, end) = extent(session).context("nothing of that space is in the recording")?;
    if !(start..=end).contains(&media_time) {
        let time = |samples: i64| clock((samples.max(0) / i64::from(SAMPLE_RATE)) as u64);
        bail!("{at} is not in the recording, which goes from {} to {}", time(start), time(end));
    }
    let mark = MarkFact { session: session.info.session.clone(), media_time, title };
    edited(&folder, |recording| recording.mark(mark.clone()))?;
    Ok(MarkAccepted { session: mark.session, seconds, title: mark.title })
}

fn session_of<'a>(archive: &'a Archive, id: Option<&str>) -> anyhow::Result<&'a SessionArchive> {
    let ids = || archive.sessions.iter().map(|session| clean(&session.info.session)).collect::<Vec<_>>().join(", ");
    match (id, &archive.sessions[..]) {
        (Some(id), _) => archive.session(id).with_context(|| format!("no session {id}; there is {}", ids())),
        (None, [only]) => Ok(only),
        (None, []) => bail!("the recording has no session"),
        (None, _) => bail!("the recording has several sessions, name one by --session: {}", ids()),
    }
}

/// First and last media time of what is kept or known to be missing.
fn extent(session: &SessionArchive) -> Option<(i64, i64)> {
    let starts = session.segments.iter().map(|s| s.media_time).chain(session.missing.iter().map(|m| m.media_time));
    let ends = session.segments.iter().map(|s| s.end()).chain(session.missing.iter().map(|m| m.end()));
    let captured: f64 = session.captures.iter().filter_map(|capture| capture.seconds).fold(0.0, |sum, s| sum + s);
    let stream = (captured > 0.0).then_some((captured * f64::from(SAMPLE_RATE)) as i64);
    let start = starts.min().or(stream.map(|_| 0))?;
    Some((start, ends.max().unwrap_or(start).max(stream.unwrap_or(start))))
}

/// `1:02:03`, `12:40`, `95.5`, with a minus for what was before the place where the recording joined.
fn seconds_of(text: &str) -> Option<f64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let parts: Vec<&str> = text.split(':').collect();
    let (last, whole) = parts.split_last()?;
    let digits = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let (seconds, fraction) = last.split_once('.').map_or((*last, "0"), |(seconds, fraction)| (seconds, fraction));
    if whole.len() > 2 || !digits(seconds) || !digits(fraction) || !whole.iter().all(|part| digits(part)) {
        return None;
    }
    let below_sixty = |part: &str| part.parse::<u32>().is_ok_and(|number| number < 60);
    // Only the first of several numbers may be large.
    if let [_, between @ ..] = whole
        && !between.iter().chain([&seconds]).all(|part| below_sixty(part))
    {
        return None;
    }
    let above = whole.iter().try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    Some(sign * (above * 60.0 + last.parse::<f64>().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_as_people_write_them() {
        let cases = [
            ("1:02:03", Some(3723.0)),
            ("12:40", Some(760.0)),
            ("95.5", Some(95.5)),
            ("-9:59", Some(-599.0)),
            ("0:00:00.25", Some(0.25)),
            ("1:60", None),
            ("1:2:3:4", None),
            ("1e9", None),
            ("", None),
            ("inf", None),
            ("1:", None),
            (":1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds_of(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_place(text in "[-0-9:.]{0,14}|\\PC{0,20}") {
            if let Some(seconds) = seconds_of(&text) {
                prop_assert!(seconds.is_finite());
            }
        }
    }
}
